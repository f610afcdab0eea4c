/**
 * A change that somebody asked of the API, as the manifest that makes it when it is committed. It is judged beside what
 * is in force by the code that would judge it then; nothing is applied and nothing is written.
 */
import { stringify } from 'yaml';
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import { API_VERSION, type Kind } from '../manifest/kind.ts';
import { checkTools, type Found, loadManifests } from '../manifest/load.ts';
import { diagnosticAt, type Identity, keyOf, nameOf } from '../manifest/manifest.ts';
import { parseFile } from '../manifest/parse.ts';
import type { Located } from '../manifest/position.ts';
import { isManifestFile, makeTree, type TreeFile, treeFile } from '../manifest/tree.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileSet } from './compile.ts';
import type { IndexFile } from './document-cache.ts';
import { asData, documentsIn, isRemote, NOT_FETCHED, withDocuments } from './remote-documents.ts';
import type { AskedChange, Draft, DraftChange, ManifestState } from './status.ts';

export interface DraftDeps {
  /** What is in force, by key. */
  readonly applied: () => AppliedSet;
  readonly states: () => readonly ManifestState[];
  readonly indexFile: IndexFile;
}

/** Where the manifests of a kind are kept, by convention; the rest stand at the top. */
const DIRECTORIES: { readonly [K in Kind]?: string } = {
  ToolWorkflow: 'workflows/',
  CliTool: 'cli-tools/',
  SecurityContext: 'contexts/',
};
/** Manifests that use a changed one and are compiled with it: enough to see that it breaks them, and calls go on. */
const MAX_USERS = 50;
/** What diagnostics call the body of a request. */
const BODY = 'body';
const NOTHING: Located = { value: null, positions: Int32Array.of() };
/** A body with one of these is a whole manifest. */
const HEAD = ['apiVersion', 'kind', 'metadata', 'spec'];

type Fields = Readonly<Record<string, unknown>>;

/** What a body asks for; or what is wrong with it. */
type Asked = { readonly identity: Identity; readonly manifest: Fields } | { readonly problem: Diagnostic };

export function createDrafts({ applied, states, indexFile }: DraftDeps): DraftChange {
  const deps: CompileDeps = {
    indexFile,
    remoteKeys: () => {
      throw new Error('a draft is never judged with issuers');
    },
  };
  return async (asked) => {
    const inForce = applied();
    if (asked.action === 'remove') return draftRemoval(asked, inForce, states(), deps);
    const { documents, diagnostics } = parseFile(BODY, asked.body ?? Buffer.of());
    if (diagnostics.length > 0) return unreadable(diagnostics);
    const read = readBody(asked, documents, inForce);
    if ('problem' in read) return unreadable([read.problem]);
    const { identity, manifest } = read;
    const current = fileOf(identity, states());
    const file = current ?? newFile(identity, inForce, states());
    const text = stringify(manifest, { lineWidth: 0 });
    return {
      identity,
      change: current === null ? 'add' : 'replace',
      file,
      shares_file_with: othersIn(file, identity, states()),
      manifest_yaml: text,
      diagnostics: await judge(treeFile(file, Buffer.from(text)), keyOf(identity), inForce, deps),
    };
  };
}

function unreadable(diagnostics: readonly Diagnostic[]): Draft {
  return {
    identity: null,
    change: 'add',
    file: null,
    shares_file_with: [],
    manifest_yaml: null,
    diagnostics,
  };
}

function draftRemoval(
  { kind, tenant, name }: AskedChange,
  inForce: AppliedSet,
  states: readonly ManifestState[],
  deps: CompileDeps,
): Draft {
  const identity = { kind, tenant, name: name ?? '' };
  const diagnostics = compileBeside(keyOf(identity), null, inForce, deps);
  const file = fileOf(identity, states);
  const shares_file_with = othersIn(file, identity, states);
  return { identity, change: 'remove', file, shares_file_with, manifest_yaml: null, diagnostics };
}

function readBody(asked: AskedChange, documents: readonly Located[], inForce: AppliedSet): Asked {
  const [document = NOTHING, ...more] = documents;
  const { value } = document;
  const fault = (pointer: string, message: string): Asked => ({
    problem: diagnosticAt({ file: BODY, document }, pointer, 'bad-request', message),
  });
  if (more.length > 0 || !isMap(value))
    return fault('', 'send one manifest, or its name and the fields of its spec, as one JSON object');
  const given = HEAD.some((key) => Object.hasOwn(value, key)) ? wholeOf(value) : shortOf(value);
  const name = asked.name ?? given.metadata.name;
  const tenant = asked.tenant ?? given.metadata.tenant ?? null;
  if (given.manifest.kind !== undefined && given.manifest.kind !== asked.kind)
    return fault('/kind', `this is no ${asked.kind}`);
  if (typeof name !== 'string') return fault('', `the name of the ${asked.kind} must be given, as text`);
  if (tenant !== null && typeof tenant !== 'string')
    return fault(given.at.tenant, 'a tenant is named by text');
  if ((given.metadata.name ?? name) !== name) return fault(given.at.name, `the path says ${name}`);
  if ((given.metadata.tenant ?? tenant) !== tenant) return fault(given.at.tenant, `?tenant= says ${tenant}`);
  const identity: Identity = { kind: asked.kind, tenant, name };
  return { identity, manifest: complete(asked, identity, given, inForce.get(keyOf(identity))) };
}

interface Given {
  readonly manifest: Fields;
  readonly metadata: Fields;
  readonly spec: unknown;
  /** Pointers to what says who it is. */
  readonly at: { readonly name: string; readonly tenant: string };
}

function wholeOf(value: Fields): Given {
  const metadata = isMap(value.metadata) ? value.metadata : {};
  const at = { name: '/metadata/name', tenant: '/metadata/tenant' };
  return { manifest: value, metadata, spec: value.spec, at };
}

function shortOf({ name, tenant, ...spec }: Fields): Given {
  return { manifest: {}, metadata: { name, tenant }, spec, at: { name: '/name', tenant: '/tenant' } };
}

/** What the request leaves out: the head; and of a manifest that is there its labels, and what an amendment keeps. */
function complete(
  { action }: AskedChange,
  { kind, tenant, name }: Identity,
  given: Given,
  current: Applied | undefined,
): Fields {
  const now = (current?.manifest.document.value ?? {}) as Fields;
  const amends = action === 'amend';
  const keeps = amends || !Object.hasOwn(given.manifest, 'metadata');
  const metadata = (keeps ? merge(now.metadata, given.metadata) : given.metadata) as Fields;
  const { name: _name, tenant: _tenant, ...more } = metadata;
  return {
    apiVersion: API_VERSION,
    kind,
    ...given.manifest,
    metadata: { name, ...(tenant !== null && { tenant }), ...more },
    spec: amends ? merge(now.spec, given.spec ?? {}) : given.spec,
  };
}

/** A JSON merge patch (RFC 7396): null removes a field, an object is merged, all else replaces. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const merged = new Map(Object.entries(isMap(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

/** Where the manifest is now, whether it is good or not; null: nowhere. */
function fileOf(identity: Identity, states: readonly ManifestState[]): string | null {
  const key = keyOf(identity);
  return states.find((state) => keyOf(state) === key)?.file ?? null;
}

function othersIn(file: string | null, identity: Identity, states: readonly ManifestState[]): string[] {
  const key = keyOf(identity);
  return states.filter((state) => state.file === file && keyOf(state) !== key).map(nameOf);
}

/** A file of its own that nothing else is in, and that the gateway reads. */
function newFile(
  { kind, tenant, name }: Identity,
  inForce: AppliedSet,
  states: readonly ManifestState[],
): string {
  const taken = new Set([...states.map(({ file }) => file), ...dataOf(inForce).map(({ path }) => path)]);
  const directory = (tenant === null ? '' : `tenants/${plain(tenant)}/`) + (DIRECTORIES[kind] ?? '');
  const dashed = directory + plain(name).replaceAll('.', '-');
  const candidates = [`${directory}${plain(name)}.yaml`, `${dashed}.yaml`];
  const free = candidates.find((path) => isManifestFile(path) && !taken.has(path));
  return free ?? `${dashed}-${kind.toLowerCase()}.yaml`;
}

/** A name that may be none, and is told so, must still not lead out of the directory. */
function plain(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9._-]/g, '-').replace(/^\.+/, '');
}

function dataOf(inForce: AppliedSet): TreeFile[] {
  return [...inForce.values()].flatMap(({ manifest }) => [...manifest.data.values()]);
}

/** All that would be said of this file if it were there. */
async function judge(
  file: TreeFile,
  key: string,
  inForce: AppliedSet,
  deps: CompileDeps,
): Promise<Diagnostic[]> {
  const local = dataOf(inForce).filter((one) => !isRemote(one));
  const data = new Map(local.map((one) => [one.path, one]));
  data.delete(file.path);
  const known = documentsIn(inForce);
  const set = await loadManifests(makeTree([file, ...data.values()], []));
  const { found, diagnostics } = withDocuments(set, (document) => {
    const one = known.get(document.sha256);
    return one === undefined ? { ...NOT_FETCHED, hint: null } : asData(document, one);
  });
  // What the documents are when no manifest refers to them is nothing to this one.
  const loose = diagnostics.filter((one) => one.file === file.path);
  const one = found.get(key);
  if (one === undefined || one.manifest === null) {
    // A name that is none may make another manifest of it than was asked for.
    const told = [...found.values()].filter(({ file: path }) => path === file.path);
    return [...loose, ...told.flatMap((read) => read.diagnostics)].map(softened).sort(compareDiagnostics);
  }
  return [...loose, ...compileBeside(key, one, inForce, deps)].sort(compareDiagnostics);
}

/** A document that nothing in force refers to is not known here; it may be there, or come with the same commit. */
function softened(diagnostic: Diagnostic): Diagnostic {
  if (diagnostic.rule !== 'missing-file') return diagnostic;
  const message = 'no manifest in force refers to this file, so what it holds was not checked';
  return { ...diagnostic, severity: 'warning', message, hint: 'commit it too, unless it is there' };
}

/** The diagnostics of one manifest, and the errors of those that use it, when it is changed (null: removed). */
function compileBeside(
  key: string,
  changed: Found | null,
  inForce: AppliedSet,
  deps: CompileDeps,
): Diagnostic[] {
  const users: string[] = [];
  const found = new Map<string, Found>();
  for (const applied of inForce.values()) {
    const { manifest, uses } = applied;
    const usesIt = users.length < MAX_USERS && uses.some((used) => used.manifest.key === key);
    if (usesIt) users.push(manifest.key);
    if (manifest.key !== key && (usesIt || mayBeNeeded(applied, changed)))
      found.set(manifest.key, foundOf(applied));
  }
  const previous = new Map([...found.keys()].map((one) => [one, inForce.get(one)!]));
  if (changed !== null) found.set(key, changed);
  const verdicts = compileSet(
    { found: checkTools(found), diagnostics: [], broken: new Set() },
    previous,
    deps,
  );
  const broken = users.flatMap((user) => verdicts.get(user)?.diagnostics ?? []);
  return [
    ...(verdicts.get(key)?.diagnostics ?? []),
    ...broken.filter(({ severity }) => severity === 'error'),
  ].sort(compareDiagnostics);
}

/** What a manifest may refer to, and the tools whose name it may have taken. */
function mayBeNeeded({ manifest }: Applied, changed: Found | null): boolean {
  if (manifest.kind === 'ApiSpec' || manifest.kind === 'SemanticJudge') return true;
  const isTool = manifest.kind === 'ToolWorkflow' || manifest.kind === 'CliTool';
  return isTool && manifest.name === changed?.identity.name;
}

function foundOf({ manifest }: Applied): Found {
  const { kind, tenant, name, key, file } = manifest;
  return { identity: { kind, tenant, name }, key, file, line: 1, column: 1, manifest, diagnostics: [] };
}

function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
