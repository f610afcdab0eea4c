/**
 * From the files of a directory to its manifests: who they are, which files they refer to, and that no two say who
 * they are in the same words. What else needs other manifests is `reconcile/compile.ts`.
 */
import { posix } from 'node:path';
import { compareDiagnostics, type Diagnostic, errorAt } from './diagnostic.ts';
import { TOOL_KINDS } from './kind.ts';
import { digestWithData, type Found, keyOf, nameOf } from './manifest.ts';
import { createPace } from './pace.ts';
import { type Draft, type ReadFiles, type Reference, readFiles } from './read-file.ts';
import { suggest } from './suggest.ts';
import type { Tree, TreeFile } from './tree.ts';

export type { Found } from './manifest.ts';

export interface ManifestSet {
  /** By key; of several with one key, the first. */
  readonly found: ReadonlyMap<string, Found>;
  /** What belongs to no manifest whose identity could be read. */
  readonly diagnostics: readonly Diagnostic[];
  /** Files, and directories, that could not be read: manifests that were in them before are bad now, not gone. */
  readonly broken: ReadonlySet<string>;
}

/** Reads all manifests of a tree. Never rejects for what the files hold. */
export async function loadManifests(tree: Tree, read: ReadFiles = readFiles): Promise<ManifestSet> {
  const readings = await read([...tree.files.values()]);
  const breathe = createPace();
  const files = filesOf(tree);
  const referred = new Set<string>();
  const found = new Map<string, Found>();
  for (const { drafts } of readings) {
    for (const draft of drafts) {
      const one = withData(draft, files, referred);
      const first = found.get(one.key);
      found.set(one.key, first === undefined ? one : collide(first, one));
    }
  }
  await breathe();
  const diagnostics = [...tree.diagnostics];
  const broken = new Set(tree.diagnostics.map(({ file }) => file));
  for (const reading of readings) {
    if (referred.has(reading.file) && !reading.holdsManifests) continue;
    diagnostics.push(...reading.loose);
    if (reading.broken) broken.add(reading.file);
  }
  await breathe();
  return { found: checkTools(found), diagnostics: diagnostics.sort(compareDiagnostics), broken };
}

/** Whether a file, or a directory that it is in, could not be read. */
export function isBroken({ broken }: ManifestSet, file: string): boolean {
  if (broken.size === 0) return false;
  for (let path = file; path !== '.'; path = posix.dirname(path)) if (broken.has(path)) return true;
  return false;
}

interface Files {
  readonly tree: Tree;
  /** Names by directory, for those that were nearly written. */
  namesIn(directory: string): readonly string[];
}

/** What follows in a directory of more is not compared with a mistyped name. */
const MAX_NAMES = 1_000;

function filesOf(tree: Tree): Files {
  let names: Map<string, string[]> | null = null;
  return {
    tree,
    namesIn(directory) {
      names ??= Map.groupBy(tree.files.keys(), (path) => posix.dirname(path));
      return (names.get(directory) ?? []).slice(0, MAX_NAMES).map((path) => posix.basename(path));
    },
  };
}

/** What drafts became with the files that they refer to: for as long as a draft is remembered, it is not made anew. */
const complete = new WeakMap<Draft, Found>();

/** The manifest with the files that it refers to. */
function withData(draft: Draft, files: Files, referred: Set<string>): Found {
  const { found, references } = draft;
  if (references.length === 0) return found;
  const data = new Map<string, TreeFile>();
  const diagnostics = [...found.diagnostics];
  for (const reference of references) {
    const file = files.tree.files.get(reference.path);
    const fault = faultOf(found, reference, file, files);
    if (fault !== null) {
      diagnostics.push(fault);
    } else {
      data.set(reference.text, file!);
      referred.add(reference.path);
    }
  }
  const { manifest } = found;
  if (manifest === null || diagnostics.length > 0)
    return { ...found, manifest: null, diagnostics: diagnostics.sort(compareDiagnostics) };
  const digest = digestWithData(manifest.digest, data);
  const known = complete.get(draft);
  if (known?.manifest?.digest === digest) return known;
  const whole = { ...found, manifest: { ...manifest, data, digest } };
  complete.set(draft, whole);
  return whole;
}

/** Why a manifest cannot have a file that it refers to. null: it can. */
function faultOf(
  { file, identity: { tenant } }: Found,
  reference: Reference,
  target: TreeFile | undefined,
  { tree, namesIn }: Files,
): Diagnostic | null {
  const { field, path } = reference;
  const fault = (rule: string, message: string, hint: string | null = null): Diagnostic =>
    errorAt(file, reference, rule, message, hint);
  const owner = /^tenants\/([^/]+)\//.exec(path)?.[1] ?? null;
  if (owner !== null && owner !== tenant)
    return fault('foreign-file', `${field} is a file of tenant ${owner}`);
  if (target !== undefined) return null;
  const refusal = tree.diagnostics.find((one) => one.file === path);
  if (refusal !== undefined) return fault('missing-file', `${path} cannot be used: ${refusal.message}`);
  const near = suggest(posix.basename(path), namesIn(posix.dirname(path)));
  return fault('missing-file', `there is no file ${path}`, near === null ? null : `did you mean ${near}?`);
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
  return {
    ...first,
    manifest: same ? first.manifest : null,
    diagnostics: diagnostics.sort(compareDiagnostics),
  };
}

const CLASH = 'tool-name-clash';

/** Workflows and CLI tools share one namespace; a tenant may not shadow a global tool. Tells what it has not told yet. */
export function checkTools(found: Map<string, Found>): Map<string, Found> {
  for (const one of found.values()) {
    const clash = clashOf(one, found);
    if (clash === null || one.diagnostics.some(({ rule }) => rule === CLASH)) continue;
    const diagnostics = [...one.diagnostics, diagnosticOfClash(one, clash)].sort(compareDiagnostics);
    found.set(one.key, { ...one, manifest: null, diagnostics });
  }
  return found;
}

/** What stands in the way of a tool's name; the global one of a tenant's and a global tool keeps it. */
function clashOf({ identity }: Found, found: ReadonlyMap<string, Found>): Found | null {
  const { kind, tenant, name } = identity;
  if (!TOOL_KINDS.includes(kind)) return null;
  for (const other of TOOL_KINDS) {
    const twin = other === kind ? undefined : found.get(keyOf({ kind: other, tenant, name }));
    const shadowed = tenant === null ? undefined : found.get(keyOf({ kind: other, tenant: null, name }));
    if (twin !== undefined || shadowed !== undefined) return (twin ?? shadowed)!;
  }
  return null;
}

function diagnosticOfClash(one: Found, other: Found): Diagnostic {
  const shadows = one.identity.tenant !== other.identity.tenant;
  const message = shadows
    ? `the global ${nameOf(other.identity)} (${other.file}:${other.line}) has this name already; a tenant may not shadow it`
    : `${nameOf(other.identity)} (${other.file}:${other.line}) has this name already; workflows and CLI tools share their names`;
  return errorAt(one.file, one, CLASH, message, 'choose another name');
}
