/**
 * From the files of a directory to its manifests, each by itself: syntax, schema, secrets, tenant, files that it
 * refers to, and that no two say who they are in the same words. What needs other manifests is `reconcile/compile.ts`.
 */
import { posix } from 'node:path';
import { compareDiagnostics, type Diagnostic, errorAt } from './diagnostic.ts';
import { API_VERSION, isKind, KINDS, type Kind } from './kind.ts';
import {
  diagnosticAt,
  digestManifest,
  type Identity,
  keyOf,
  type Manifest,
  nameOf,
  type SpecOf,
} from './manifest.ts';
import { type ParsedDocument, type ParsedFile, parseFile } from './parse.ts';
import { locate } from './position.ts';
import { scanSecrets } from './secret-scan.ts';
import { suggest } from './suggest.ts';
import type { Tree, TreeFile } from './tree.ts';
import { validateManifest } from './validate.ts';
import { fieldPath, nounOf, orList, quoted } from './words.ts';

/** A manifest that was found, valid or not. */
export interface Found {
  readonly identity: Identity;
  readonly key: string;
  readonly file: string;
  /** Where it begins. */
  readonly line: number;
  readonly column: number;
  /** null: it has errors. */
  readonly manifest: Manifest | null;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ManifestSet {
  /** By key; of several with one key, the first. */
  readonly found: ReadonlyMap<string, Found>;
  /** What belongs to no manifest whose identity could be read. */
  readonly diagnostics: readonly Diagnostic[];
  /** Files with such errors: manifests that were in them before are bad now, not gone. */
  readonly broken: ReadonlySet<string>;
}

/** Parses many files; the reconciler has one that remembers and uses threads. */
export type ParseFiles = (files: readonly TreeFile[]) => Promise<readonly ParsedFile[]>;

export const parseFiles: ParseFiles = async (files) => files.map((file) => parseFile(file.path, file.bytes));

/** Reads all manifests of a tree. Never rejects for what the files hold. */
export async function loadManifests(tree: Tree, parse: ParseFiles = parseFiles): Promise<ManifestSet> {
  const sources = [...tree.files.values()].filter((file) => !looksLikeData(file));
  const parsed = await parse(sources);
  const loose: Diagnostic[] = [...tree.diagnostics];
  const broken = new Set(tree.diagnostics.map(({ file }) => file));
  const drafts: Draft[] = [];
  const syntax = new Map<string, Diagnostic[]>();
  for (const [index, file] of sources.entries()) {
    const { documents, diagnostics } = parsed[index]!;
    if (diagnostics.length > 0)
      syntax.set(
        file.path,
        diagnostics.map((one) => ({ ...one, file: file.path })),
      );
    for (const document of documents) drafts.push({ file: file.path, document });
  }

  const referred = new Set<string>();
  const manifests = drafts
    .filter(({ document }) => isManifest(document))
    .map((draft) => readDraft(draft, tree, referred));
  // A file that a manifest refers to is data, and its syntax is for its reader to judge.
  for (const draft of drafts) {
    if (isManifest(draft.document) || referred.has(draft.file) || isEmpty(draft.document)) continue;
    loose.push(notAManifest(draft));
    broken.add(draft.file);
  }
  for (const [file, diagnostics] of syntax) {
    if (referred.has(file)) continue;
    loose.push(...diagnostics);
    broken.add(file);
  }
  for (const file of tree.files.values()) {
    if (looksLikeData(file) && !referred.has(file.path)) loose.push(unusedDocument(file.path));
  }
  const found = new Map<string, Found>();
  for (const one of manifests) {
    if ('loose' in one) {
      loose.push(...one.loose);
      broken.add(one.file);
    } else {
      const first = found.get(one.key);
      found.set(one.key, first === undefined ? one : collide(first, one));
    }
  }
  return { found: checkTools(found), diagnostics: loose.sort(compareDiagnostics), broken };
}

interface Draft {
  readonly file: string;
  readonly document: ParsedDocument;
}

/** Nobody says who this is: an error of its file. */
interface Nameless {
  readonly file: string;
  readonly loose: readonly Diagnostic[];
}

type Report = (
  pointer: string,
  rule: string,
  message: string,
  hint?: string | null,
  at?: 'key' | 'value',
) => void;

function readDraft({ file, document }: Draft, tree: Tree, referred: Set<string>): Found | Nameless {
  const diagnostics: Diagnostic[] = [];
  const report: Report = (pointer, rule, message, hint = null, at = 'value') => {
    diagnostics.push(diagnosticAt({ file, document }, pointer, rule, message, { hint, at }));
  };
  const value = document.value as Readonly<Record<string, unknown>>;
  const kind = checkKind(value, report);
  if (kind === null) return { file, loose: diagnostics };
  for (const { pointer, rule, message, hint, at } of validateManifest(kind, value))
    report(pointer, rule, message, hint, at);
  for (const { pointer, what, hint } of scanSecrets(value))
    report(pointer, 'secret', `${fieldPath(pointer)} ${what}`, hint);
  const name = textOf(textMap(value.metadata).name);
  if (name === null) return { file, loose: diagnostics };
  const identity: Identity = { kind, tenant: checkTenant(kind, file, value, report), name };
  const data = resolveData(kind, identity.tenant, file, value, tree, report);
  for (const one of data.values()) referred.add(one.path);
  const key = keyOf(identity);
  const start = locate(document, '', 'value');
  const sound = document.valid && diagnostics.length === 0;
  const manifest: Manifest | null = sound
    ? {
        ...identity,
        key,
        spec: value.spec as SpecOf<Kind>,
        annotations: textMap(textMap(value.metadata).annotations) as Record<string, string>,
        file,
        document,
        data,
        digest: digestManifest(value, data),
      }
    : null;
  return { identity, key, file, ...start, manifest, diagnostics: diagnostics.sort(compareDiagnostics) };
}

function checkKind(value: Readonly<Record<string, unknown>>, report: Report): Kind | null {
  const { apiVersion, kind } = value;
  if (apiVersion !== API_VERSION) {
    const [what, rule] =
      apiVersion === undefined
        ? ['apiVersion is missing', 'missing-field']
        : ['this apiVersion is not known', 'unknown-version'];
    report('/apiVersion', rule!, what!, `write apiVersion: ${API_VERSION}`, 'key');
  }
  if (isKind(kind)) return apiVersion === API_VERSION ? kind : null;
  if (kind === undefined) {
    report('', 'missing-field', 'kind is missing', `the kinds are ${orList(KINDS)}`);
  } else if (typeof kind !== 'string') {
    report('/kind', 'wrong-type', `kind must be text, not ${nounOf(kind)}`);
  } else {
    const meant = suggest(kind, KINDS);
    const hint = meant === null ? `the kinds are ${orList(KINDS)}` : `did you mean ${meant}?`;
    report('/kind', 'unknown-kind', `there is no kind ${quoted(kind)}`, hint);
  }
  return null;
}

/** Below `tenants/<t>/` a manifest is tenant t's, whether it says so or not. */
function checkTenant(
  kind: Kind,
  file: string,
  value: Readonly<Record<string, unknown>>,
  report: Report,
): string | null {
  const said = textOf(textMap(value.metadata).tenant);
  const [top, directory, ...rest] = file.split('/');
  const inside = top === 'tenants' && directory !== undefined && rest.length > 0 ? directory : null;
  if (kind === 'Tenant') {
    if (inside !== null) {
      report(
        '/kind',
        'tenant-directory',
        'a Tenant manifest stands outside of tenants/: a tenant does not make itself',
      );
    } else if (said !== null) {
      report(
        '/metadata/tenant',
        'tenant-directory',
        'a Tenant manifest belongs to no tenant',
        'remove metadata.tenant',
        'key',
      );
    }
    return null;
  }
  if (inside === null) return said;
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(inside)) {
    report('', 'tenant-directory', `the directory tenants/${inside} has not the name that a tenant can have`);
  } else if (said !== null && said !== inside) {
    report(
      '/metadata/tenant',
      'tenant-directory',
      `the file is below tenants/${inside}, so the manifest belongs to tenant ${inside}, not ${quoted(said)}`,
      'remove metadata.tenant, or move the file',
    );
  }
  return inside;
}

/** The files that a manifest of this kind may refer to, by JSON pointer. */
const REFERENCES: { readonly [K in Kind]?: readonly string[] } = {
  ApiSpec: ['/spec/source/file'],
  TokenIssuer: ['/spec/jwks/file', '/spec/envelope_keys/file'],
};

function resolveData(
  kind: Kind,
  tenant: string | null,
  file: string,
  value: unknown,
  tree: Tree,
  report: Report,
): Map<string, TreeFile> {
  const data = new Map<string, TreeFile>();
  for (const pointer of REFERENCES[kind] ?? []) {
    const reference = textOf(
      pointer
        .split('/')
        .slice(1)
        .reduce<unknown>((node, key) => textMap(node)[key], value),
    );
    if (reference === null) continue;
    const path = posix.normalize(posix.join(posix.dirname(file), reference));
    const owner = /^tenants\/([^/]+)\//.exec(path)?.[1] ?? null;
    const found = tree.files.get(path);
    if (reference.startsWith('/') || path.startsWith('../') || path === '..') {
      report(
        pointer,
        'leaves-directory',
        `${fieldPath(pointer)} leaves the directory of the manifests`,
        'write a path relative to this file',
      );
    } else if (owner !== null && owner !== tenant) {
      report(pointer, 'foreign-file', `${fieldPath(pointer)} is a file of tenant ${owner}`);
    } else if (found === undefined) {
      const near = suggest(
        posix.basename(path),
        [...tree.files.keys()].map((known) => posix.basename(known)),
      );
      report(
        pointer,
        'missing-file',
        `there is no file ${path}`,
        near === null ? null : `did you mean ${near}?`,
      );
    } else {
      data.set(reference, found);
    }
  }
  return data;
}

/** Two manifests of one identity. Copies are harmless; else neither counts, whatever the order of files. */
function collide(first: Found, second: Found): Found {
  const same = first.manifest !== null && first.manifest.digest === second.manifest?.digest;
  const tell = (one: Found, other: Found): Diagnostic => {
    const message = `${nameOf(one.identity)} is also in ${other.file}:${other.line}`;
    const duplicate = errorAt(one.file, one, 'duplicate-manifest', message, 'remove one of them');
    return same ? { ...duplicate, severity: 'warning' } : duplicate;
  };
  const diagnostics = [...first.diagnostics, ...second.diagnostics, tell(second, first)];
  if (!same) diagnostics.push(tell(first, second));
  return { ...first, manifest: same ? first.manifest : null, diagnostics };
}

/** Workflows and CLI tools share one namespace; a tenant may not shadow a global tool. */
export function checkTools(found: Map<string, Found>): Map<string, Found> {
  const tools = new Map<string, Found[]>();
  for (const one of found.values()) {
    const { kind, name } = one.identity;
    if (kind !== 'ToolWorkflow' && kind !== 'CliTool') continue;
    const known = tools.get(name);
    if (known === undefined) tools.set(name, [one]);
    else known.push(one);
  }
  for (const sharing of tools.values()) {
    if (sharing.length === 1) continue;
    for (const one of sharing) {
      const clash = clashOf(one, sharing);
      if (clash === null) continue;
      const diagnostic = diagnosticOfClash(one, clash);
      found.set(one.key, { ...one, manifest: null, diagnostics: [...one.diagnostics, diagnostic] });
    }
  }
  return found;
}

/** What stands in the way of this tool's name; the global one of a tenant's and a global tool keeps it. */
function clashOf(one: Found, sharing: readonly Found[]): Found | null {
  const { kind, tenant } = one.identity;
  const twin = sharing.find(({ identity }) => identity.tenant === tenant && identity.kind !== kind);
  if (twin !== undefined || tenant === null) return twin ?? null;
  return sharing.find(({ identity }) => identity.tenant === null) ?? null;
}

function diagnosticOfClash(one: Found, other: Found): Diagnostic {
  const shadows = one.identity.tenant !== other.identity.tenant;
  const message = shadows
    ? `the global ${nameOf(other.identity)} (${other.file}:${other.line}) has this name already; a tenant may not shadow it`
    : `${nameOf(other.identity)} (${other.file}:${other.line}) has this name already; workflows and CLI tools share their names`;
  return errorAt(one.file, one, 'tool-name-clash', message, 'choose another name');
}

function isManifest(document: ParsedDocument): boolean {
  const { value } = document;
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    ('apiVersion' in value || 'kind' in value)
  );
}

function isEmpty(document: ParsedDocument): boolean {
  return document.value === null;
}

function notAManifest({ file, document }: Draft): Diagnostic {
  const isMap = typeof document.value === 'object' && !Array.isArray(document.value);
  const message = isMap
    ? 'this is no manifest: apiVersion and kind are missing'
    : `a manifest must be a mapping, not ${nounOf(document.value)}`;
  return errorAt(
    file,
    locate(document, ''),
    'not-a-manifest',
    message,
    'no manifest refers to this file either',
  );
}

/** A key at the left margin that only OpenAPI documents have: not worth the strict reader of manifests. */
function looksLikeData({ bytes }: TreeFile): boolean {
  const head = bytes.toString('utf8', 0, 4096);
  return /^(\s*\{\s*)?"?(openapi|swagger)"?\s*:/m.test(head) && !/^(\s*\{\s*)?"?apiVersion"?\s*:/m.test(head);
}

function unusedDocument(file: string): Diagnostic {
  const message = 'this looks like an OpenAPI document, but no ApiSpec refers to it';
  return { ...errorAt(file, { line: 1, column: 1 }, 'unused-document', message), severity: 'warning' };
}

function textMap(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
