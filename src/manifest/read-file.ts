/**
 * One file by itself: its documents against syntax, schema and secrets, and whose they are. What other files hold
 * does not count here, so that a file which has not changed need not be read again.
 */
import { posix } from 'node:path';
import { compareDiagnostics, type Diagnostic, errorAt, type Position } from './diagnostic.ts';
import type { Violation } from './explain.ts';
import { API_VERSION, isKind, KINDS, type Kind, RESERVED_TOOLS, TOOL_KINDS } from './kind.ts';
import {
  diagnosticAt,
  digestContent,
  type Found,
  type Identity,
  keyOf,
  type Manifest,
  type SpecOf,
} from './manifest.ts';
import { createPace } from './pace.ts';
import { checkSize, type ParsedDocument, parseFile } from './parse.ts';
import { type Located, locate } from './position.ts';
import { scanSecrets } from './secret-scan.ts';
import { soundPart } from './sound-part.ts';
import { suggest } from './suggest.ts';
import { isManifestFile, type TreeFile } from './tree.ts';
import { validateManifest } from './validate.ts';
import { fieldPath, nounOf, orList, quoted } from './words.ts';

export interface FileReading {
  readonly file: string;
  readonly drafts: readonly Draft[];
  /** What belongs to no manifest whose identity could be read. */
  readonly loose: readonly Diagnostic[];
  /** False: when a manifest refers to this file it is data, and what is loose in it is for its reader to judge. */
  readonly holdsManifests: boolean;
  /** There may be manifests in it that could not be found. */
  readonly broken: boolean;
}

/** A manifest as far as its own file tells. */
export interface Draft {
  readonly found: Found;
  readonly references: readonly Reference[];
}

/** A file that a manifest refers to, and where it says so. */
export interface Reference extends Position {
  /** In the words of a message: `spec.source.file`. */
  readonly field: string;
  /** As written. */
  readonly text: string;
  /** Below the root. */
  readonly path: string;
}

/** Reads many files; the reconciler has one that remembers. */
export type ReadFiles = (files: readonly TreeFile[]) => Promise<readonly FileReading[]>;

export const readFiles: ReadFiles = async (files) => {
  const breathe = createPace();
  const readings: FileReading[] = [];
  for (const file of files) {
    readings.push(readFile(file));
    await breathe();
  }
  return readings;
};

/** Never throws: a fault of ours in one file does not stop the others. */
export function readFile(file: TreeFile): FileReading {
  try {
    return readContent(file);
  } catch (error) {
    return failedReading(file, error instanceof Error ? error.message : String(error));
  }
}

/** Of a file that could not be read, for a reason that is no fault of its author. */
export function failedReading({ path }: TreeFile, reason: string): FileReading {
  const message = `the gateway failed to read this file: ${reason}`;
  const loose = [errorAt(path, START, 'internal', message, 'please report it')];
  return { file: path, drafts: [], loose, holdsManifests: true, broken: true };
}

/** Whether a file is parsed, and so takes time in proportion to its size; others are told by their looks. */
export function isParsed(file: TreeFile): boolean {
  return !looksLikeOpenApi(file) && checkSize(file.path, file.bytes) === null;
}

const START: Position = { line: 1, column: 1 };

/** A file that is being written begins with nothing: what was in it before is bad for that moment, not gone. */
function readEmpty(path: string): FileReading {
  const hint = 'delete the file to remove what was in it';
  const empty = errorAt(path, START, 'empty-file', 'the file is empty', hint);
  return {
    ...{ file: path, drafts: [], loose: [{ ...empty, severity: 'warning' }] },
    ...{ holdsManifests: false, broken: true },
  };
}

function readContent(file: TreeFile): FileReading {
  const { path } = file;
  if (file.bytes.length === 0) return readEmpty(path);
  if (looksLikeOpenApi(file)) {
    const message = 'this looks like an OpenAPI document, but no ApiSpec refers to it';
    const unused = errorAt(path, START, 'unused-document', message);
    const loose: Diagnostic[] = [{ ...unused, severity: 'warning' }];
    return { file: path, drafts: [], loose, holdsManifests: false, broken: false };
  }
  const { documents, diagnostics } = parseFile(path, file.bytes);
  const drafts: Draft[] = [];
  const ofDocuments = new Set(documents.flatMap((document) => document.diagnostics));
  const loose = diagnostics.filter((diagnostic) => !ofDocuments.has(diagnostic));
  for (const document of documents) {
    const read = readDocument(path, document);
    if ('found' in read) drafts.push(read);
    else loose.push(...read.loose);
  }
  return {
    file: path,
    drafts,
    loose: loose.sort(compareDiagnostics),
    // Of what cannot be read, the name of our version tells: to refer to a file must not hide its faults.
    holdsManifests:
      documents.some(isManifest) || (diagnostics.length > 0 && file.bytes.includes(API_VERSION)),
    broken: loose.length > 0 || diagnostics.length > 0,
  };
}

/** Nobody says who this is: an error of its file. */
interface Nameless {
  readonly loose: readonly Diagnostic[];
}

type Fields = Readonly<Record<string, unknown>>;
type Report = (
  pointer: string,
  rule: string,
  message: string,
  hint?: string | null,
  at?: 'key' | 'value',
) => void;

/** Faults that leave the rest of a document as it was meant. */
const HARMLESS = new Set(['duplicate-key', 'yaml-alias', 'not-a-number', 'forbidden-key']);

function readDocument(file: string, document: ParsedDocument): Draft | Nameless {
  if (!isManifest(document)) {
    const told = document.value === null || !document.valid;
    return { loose: told ? document.diagnostics : [notAManifest(file, document)] };
  }
  const diagnostics = [...document.diagnostics];
  const syntax = new Set(diagnostics.map(placeOf));
  const report: Report = (pointer, rule, message, hint = null, at = 'value') => {
    const diagnostic = diagnosticAt({ file, document }, pointer, rule, message, { hint, at });
    // What is missing because it could not be read is missing for that reason.
    if (!syntax.has(placeOf(diagnostic))) diagnostics.push(diagnostic);
  };
  const value = document.value as Fields;
  const readable = diagnostics.every(({ rule }) => HARMLESS.has(rule)) && (document.valid || syntax.size > 0);
  const kind = readable ? checkKind(value, report) : kindOf(value);
  const name = textOf(fieldsOf(value.metadata).name);
  const violations = kind !== null && readable ? checkContent(kind, value, report) : [];
  const identity = kind === null || name === null ? null : identify(kind, name, file, value, report);
  if (identity === null) return { loose: diagnostics };
  const references = readable ? referencesOf(identity.kind, file, document, report) : [];
  const key = keyOf(identity);
  const start = locate(document, '');
  const place = { identity, key, file, ...start, diagnostics: diagnostics.sort(compareDiagnostics) };
  if (document.valid && diagnostics.length === 0) {
    const manifest = makeManifest(place, document, digestContent(value));
    return { found: { ...place, manifest }, references };
  }
  const part = document.valid ? soundPart(identity.kind, value, violations) : null;
  const more =
    part === null
      ? {}
      : {
          part: {
            ...makeManifest(place, { ...document, value: part }, digestContent(part)),
            document: { value, positions: document.positions },
          },
        };
  return { found: { ...place, manifest: null, ...more }, references };
}

/** The manifest that a sound document is; `digest` is that of its content. */
export function makeManifest(
  { identity, key, file }: Pick<Found, 'identity' | 'key' | 'file'>,
  { value, positions }: Located,
  digest: string,
): Manifest {
  const { metadata, spec } = value as Fields;
  return {
    ...identity,
    key,
    spec: spec as SpecOf<Kind>,
    annotations: fieldsOf(fieldsOf(metadata).annotations) as Record<string, string>,
    file,
    document: { value, positions },
    data: new Map(),
    digest,
  };
}

function placeOf({ line, column }: { readonly line: number; readonly column: number }): string {
  return `${line}:${column}`;
}

/** Those of the schema. */
function checkContent(kind: Kind, value: Fields, report: Report): readonly Violation[] {
  const violations = validateManifest(kind, value);
  for (const { pointer, rule, message, hint, at } of violations) report(pointer, rule, message, hint, at);
  for (const { pointer, what, hint } of scanSecrets(value))
    report(pointer, 'secret', `${fieldPath(pointer)} ${what}`, hint);
  return violations;
}

function kindOf({ apiVersion, kind }: Fields): Kind | null {
  return apiVersion === API_VERSION && isKind(kind) ? kind : null;
}

/** A file of another program that has both fields is told by its version alone. */
function checkKind(value: Fields, report: Report): Kind | null {
  const { apiVersion, kind } = value;
  if (apiVersion === undefined) {
    report('', 'missing-field', 'apiVersion is missing', `write apiVersion: ${API_VERSION}`);
  } else if (apiVersion !== API_VERSION) {
    const given = typeof apiVersion === 'string' ? quoted(apiVersion) : nounOf(apiVersion);
    const message = `apiVersion must be ${API_VERSION}, not ${given}`;
    report('/apiVersion', 'unknown-version', message);
    return null;
  }
  if (isKind(kind)) return kindOf(value);
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

/** Below `tenants/<t>/` a manifest is tenant t's, whether it says so or not. null: it may not say who it is. */
function identify(kind: Kind, name: string, file: string, value: Fields, report: Report): Identity | null {
  const said = textOf(fieldsOf(value.metadata).tenant);
  const [top, directory, ...rest] = file.split('/');
  const inside = top === 'tenants' && directory !== undefined && rest.length > 0 ? directory : null;
  if (kind === 'Tenant') {
    if (inside !== null) {
      // It must not even stand in the way of the Tenant that it claims to be.
      const message = `a Tenant manifest may not be in tenants/${inside}/: no tenant makes tenants`;
      report('/kind', 'tenant-directory', message, 'move the file out of tenants/');
      return null;
    }
    return { kind, tenant: null, name };
  }
  if (TOOL_KINDS.includes(kind) && RESERVED_TOOLS.includes(name)) {
    const message = `the name ${name} is taken by the gateway itself`;
    report('/metadata/name', 'reserved-name', message, 'choose another name');
  }
  if (inside === null) return { kind, tenant: said, name };
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(inside)) {
    report('', 'tenant-directory', `no tenant can have the name of the directory tenants/${inside}`);
  } else if (said !== null && said !== inside) {
    report(
      '/metadata/tenant',
      'tenant-directory',
      `the file is below tenants/${inside}, so the manifest belongs to tenant ${inside}, not ${quoted(said)}`,
      'remove metadata.tenant, or move the file',
    );
  }
  return { kind, tenant: inside, name };
}

/** The files that a manifest of this kind may refer to, by JSON pointer. */
const REFERENCES: { readonly [K in Kind]?: readonly string[] } = {
  ApiSpec: ['/spec/source/file'],
  TokenIssuer: ['/spec/jwks/file', '/spec/envelope_keys/file'],
};

function referencesOf(kind: Kind, file: string, document: ParsedDocument, report: Report): Reference[] {
  return (REFERENCES[kind] ?? []).flatMap((pointer) => {
    const field = fieldPath(pointer);
    const keys = pointer.split('/').slice(1);
    const text = textOf(keys.reduce<unknown>((node, key) => fieldsOf(node)[key], document.value));
    if (text === null) return [];
    const path = posix.normalize(posix.join(posix.dirname(file), text));
    if (text.startsWith('/') || path === '..' || path.startsWith('../')) {
      const message = `${field} leaves the directory of the manifests`;
      report(pointer, 'leaves-directory', message, 'write a path relative to this file');
    } else if (!isManifestFile(path)) {
      const message = `${field} names a file that is never read`;
      const hint = 'its name must end with .yaml, .yml or .json, and no part of it may begin with "."';
      report(pointer, 'missing-file', message, hint);
    } else {
      return [{ ...locate(document, pointer), field, text, path }];
    }
    return [];
  });
}

function isManifest({ value }: ParsedDocument): boolean {
  const fields = fieldsOf(value);
  return Object.hasOwn(fields, 'apiVersion') || Object.hasOwn(fields, 'kind');
}

function notAManifest(file: string, document: ParsedDocument): Diagnostic {
  const isMap = typeof document.value === 'object' && !Array.isArray(document.value);
  const message = isMap
    ? 'this is no manifest: apiVersion and kind are missing'
    : `a manifest must be a mapping, not ${nounOf(document.value)}`;
  const hint = 'no manifest refers to this file either';
  return errorAt(file, locate(document, ''), 'not-a-manifest', message, hint);
}

/** A key at the left margin that only OpenAPI documents have: not worth the strict reader of manifests. */
function looksLikeOpenApi({ bytes }: TreeFile): boolean {
  const head = bytes.toString('utf8', 0, 4096);
  return /^(\s*\{\s*)?"?(openapi|swagger)"?\s*:/m.test(head) && !/^(\s*\{\s*)?"?apiVersion"?\s*:/m.test(head);
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
