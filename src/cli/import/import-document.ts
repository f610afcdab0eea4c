/** From an OpenAPI document to manifests in a directory: what is made, changed, kept and left out, and why. */
import { posix } from 'node:path';
import { type Diagnostic, formatDiagnostic } from '../../manifest/diagnostic.ts';
import { TOOL_KINDS } from '../../manifest/kind.ts';
import { type Identity, keyOf, type Manifest, type SpecOf } from '../../manifest/manifest.ts';
import { treeFile } from '../../manifest/tree.ts';
import { readDocument } from '../../openapi/document.ts';
import { DocumentError } from '../../openapi/document-error.ts';
import { type DocumentIndex, indexDocument } from '../../openapi/index-document.ts';
import type { Operation } from '../../openapi/operation.ts';
import { derivedId } from '../../openapi/path-template.ts';
import { toolNames } from '../../openapi/tool-name.ts';
import { compileValuePattern, matchesAny } from '../../policy/match.ts';
import type { Matcher } from '../../snapshot/snapshot.ts';
import { sideOfTree } from '../local-side.ts';
import { CliError } from '../output.ts';
import { OPERATION, OPTIONS, SOURCE, STATE } from './annotations.ts';
import { apiManifest, credentialHint } from './api-manifest.ts';
import type { Directory } from './directory.ts';
import { writeYaml } from './edit-yaml.ts';
import { readFingerprint } from './fingerprint.ts';
import { mergeManifest } from './merge.ts';
import { toolManifest } from './tool-manifest.ts';

export interface ImportRequest {
  readonly bytes: Buffer;
  /** As it was named: for messages, and to know the ApiSpec again. */
  readonly origin: string;
  /** null: the document is a file. */
  readonly url: string | null;
  /** The document below the directory; null: it is elsewhere, and copied. */
  readonly inside: string | null;
  /** The ApiSpec refers to the URL, instead of a copy. */
  readonly reference: boolean;
  /** null: as the last time, or the default. */
  readonly name: string | null;
  readonly base_url: string | null;
  readonly prefix: string | null;
  readonly operations: readonly string[] | null;
  readonly tenant: string | null;
  readonly prune: boolean;
}

export type Action =
  | 'created'
  | 'updated'
  | 'unchanged'
  /** The document has changed what was edited by hand. */
  | 'kept'
  | 'skipped'
  | 'removed'
  /** Its operation is not in the document any more; it stays until somebody prunes. */
  | 'vanished'
  /** The gateway would not take it. */
  | 'invalid';

export interface Row {
  readonly action: Action;
  readonly kind: 'ApiSpec' | 'ToolWorkflow';
  /** null: it was left out before it had one. */
  readonly name: string | null;
  /** Method and path; null: an ApiSpec. */
  readonly operation: string | null;
  readonly file: string | null;
  readonly note: string;
}

export interface Imported {
  readonly api: string;
  readonly prefix: string;
  readonly rows: readonly Row[];
  /** What is wrong with the document beside single operations. */
  readonly warnings: readonly string[];
}

const COMMENT =
  'Made by `seal-gateway import openapi`. Edit it as you like: the next import keeps what was edited.';

/** Changes `directory` in memory. Rejects with CliError when nothing can be made of the document. */
export async function importDocument(directory: Directory, request: ImportRequest): Promise<Imported> {
  const { document, index } = readAll(request);
  const api = importApi(directory, request, document, index);
  const rows = [api.row, ...leftOut(index), ...importTools(directory, request, api, document, index)];
  const checked = await check(directory, request, api, rows);
  const order = (row: Row): string => `${row.kind} ${row.name ?? row.operation ?? ''}`;
  return {
    api: api.name,
    prefix: api.prefix,
    rows: checked.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    warnings: index.problems
      .filter(({ operation_id }) => operation_id === null)
      .map(({ pointer, message }) => `${pointer === '' ? 'the document' : pointer}: ${message}`),
  };
}

function readAll({ bytes, origin, url }: ImportRequest): { document: unknown; index: DocumentIndex } {
  try {
    const document = readDocument(bytes);
    return { document, index: indexDocument(document, url === null ? {} : { url }) };
  } catch (error) {
    if (error instanceof DocumentError) throw new CliError(`${origin}: ${error.message}`);
    throw error;
  }
}

interface ImportedApi {
  readonly name: string;
  readonly key: string;
  readonly prefix: string;
  /** Which operations become tools that are not yet. */
  readonly isWanted: Matcher;
  readonly title: string;
  readonly row: Row;
}

function importApi(
  directory: Directory,
  request: ImportRequest,
  document: unknown,
  index: DocumentIndex,
): ImportedApi {
  const { tenant, origin } = request;
  const name = request.name ?? nameOfSource(directory, request) ?? nameOfTitle(index.title);
  const identity = { kind: 'ApiSpec', tenant, name } as const;
  const existing = directory.find(identity);
  const options = optionsOf(existing);
  const prefix = request.prefix ?? options.prefix ?? name;
  const operations = request.operations ?? options.operations ?? ['*'];
  const own_base_url = request.base_url ?? options.base_url ?? null;
  const base_url = own_base_url ?? index.server;
  if (base_url === null || !/^https?:/i.test(base_url))
    throw new CliError('the document names no server with a host: say where the API is (--base-url <url>)');
  const file = existing?.file ?? directory.freePath(`${topOf(tenant)}${name}.yaml`);
  const source = sourceOf(directory, request, existing, file, name);
  const generated = apiManifest({
    ...{ name, source, base_url, origin, prefix, operations },
    own_base_url: own_base_url !== null,
  });
  const place = { kind: 'ApiSpec', name, operation: null, file } as const;
  const written = existing === null ? write() : again(existing);
  function write(): Pick<Row, 'action' | 'note'> {
    const hint = credentialHint(document);
    const said =
      hint === null ? '' : `\nThe document asks for a credential: add spec.credential, and ${hint}.`;
    directory.put(file, writeYaml(generated, COMMENT + said));
    return { action: 'created', note: hint === null ? '' : 'needs a credential; its file says which' };
  }
  function again(manifest: Manifest): Pick<Row, 'action' | 'note'> {
    const merged = merge(directory, manifest, generated);
    const isNew = 'file' in source && directory.changed().includes(documentPath(file, source.file));
    if (!isNew) return merged;
    return { action: 'updated', note: ['the document', merged.note].filter(Boolean).join('; ') };
  }
  const matchers = operations.map((text) => patternOf(text));
  return {
    ...{ name, prefix, key: keyOf(identity), title: index.title },
    isWanted: (text) => matchesAny(matchers, text),
    row: { ...place, ...written },
  };
}

function patternOf(text: string): Matcher {
  try {
    return compileValuePattern(text);
  } catch (error) {
    throw new CliError(`--operations: ${(error as Error).message}`);
  }
}

/** The ApiSpec that was made of this file or URL before. */
function nameOfSource({ set }: Directory, { origin, tenant }: ImportRequest): string | null {
  const made = [...set.found.values()].filter(
    ({ manifest }) =>
      manifest?.kind === 'ApiSpec' && manifest.tenant === tenant && manifest.annotations[SOURCE] === origin,
  );
  return made.length === 1 ? made[0]!.identity.name : null;
}

/** Words of titles that are of every API. */
const COMMON = /^(the|an?|official|apis?|rest|restful|http|openapi|swagger|spec|specification|v?\d+)$/;

function nameOfTitle(title: string): string {
  const words = title
    .toLowerCase()
    .replaceAll("'s", '')
    .split(/[^a-z0-9]+/);
  const telling = words.filter((word) => word !== '' && !COMMON.test(word));
  const name = telling.slice(0, 3).join('-').slice(0, 40);
  if (name === '') throw new CliError('the title of the document gives no name: choose one (--name <api>)');
  return name;
}

interface Remembered {
  readonly prefix?: string;
  readonly operations?: readonly string[];
  readonly base_url?: string;
}

function optionsOf(existing: Manifest | null): Remembered {
  try {
    return JSON.parse(existing?.annotations[OPTIONS] ?? '{}');
  } catch {
    throw new CliError(`the annotation ${OPTIONS} of ApiSpec ${existing?.name} is no JSON; remove it`);
  }
}

function topOf(tenant: string | null): string {
  return tenant === null ? '' : `tenants/${tenant}/`;
}

function documentPath(manifestFile: string, reference: string): string {
  return posix.join(posix.dirname(manifestFile), reference);
}

/** Where the ApiSpec finds the document, which is put there. */
function sourceOf(
  directory: Directory,
  { bytes, url, inside, reference, origin, tenant }: ImportRequest,
  existing: Manifest | null,
  manifestFile: string,
  name: string,
): { file: string } | { url: string; sha256: string } {
  const { digest } = treeFile(origin, bytes);
  const written = (existing?.spec as SpecOf<'ApiSpec'> | undefined)?.source;
  if (existing !== null && existing.annotations[STATE] === undefined) {
    const same = [...existing.data.values()].some((file) => file.digest === digest);
    if (!same && written?.sha256 !== digest)
      throw new CliError(
        `ApiSpec ${name} is there already, in ${existing.file}, and is of another document: choose another --name`,
      );
    return written as { file: string };
  }
  if (reference && url !== null) return { url, sha256: digest };
  const copy = written?.file === undefined ? null : documentPath(manifestFile, written.file);
  const ending = /^[\s\uFEFF]*\{/.test(bytes.toString('utf8', 0, 1024)) ? 'json' : 'yaml';
  const path = inside ?? copy ?? directory.freePath(`${topOf(tenant)}${name}.openapi.${ending}`);
  if (inside === null) directory.put(path, bytes);
  const file = posix.relative(posix.dirname(manifestFile), path);
  return { file: file.startsWith('.') ? file : `./${file}` };
}

/** What has changed when only the import's own annotations have. */
const CHANGED_NOTES: Readonly<Record<string, string>> = {
  [OPERATION]: 'its operation is elsewhere in the document',
  [SOURCE]: 'its document is from elsewhere',
  [OPTIONS]: 'its flags',
};

/** A manifest that is there, with what the document has changed. */
function merge(directory: Directory, existing: Manifest, generated: unknown): Pick<Row, 'action' | 'note'> {
  const state = existing.annotations[STATE];
  if (state === undefined) return { action: 'unchanged', note: `by hand alone: it has no ${STATE}` };
  const { edits, updated, kept, edited } = mergeManifest(
    existing.document.value,
    generated,
    readFingerprint(state),
  );
  const own = (generated as { metadata: { annotations: Record<string, string> } }).metadata.annotations;
  const notes = [OPERATION, SOURCE, OPTIONS, STATE].flatMap((key) =>
    own[key] === undefined || own[key] === existing.annotations[key]
      ? []
      : [{ path: ['metadata', 'annotations', key], value: own[key] }],
  );
  if (edits.length + notes.length > 0) directory.edit(existing, [...edits, ...notes]);
  const said = (what: string, fields: readonly string[]): string[] =>
    fields.length === 0 ? [] : [`${what}: ${fields.map(shown).join(', ')}`];
  const [first] = notes;
  if (updated.length + kept.length === 0 && first !== undefined && first.path.at(-1) !== STATE)
    return { action: 'updated', note: CHANGED_NOTES[first.path.at(-1)!]! };
  if (updated.length + kept.length === 0)
    return { action: 'unchanged', note: said('as edited by hand', edited).join('') };
  const note = [
    ...said('changed', updated),
    ...said('kept as edited by hand, though the document has changed it', kept),
  ];
  return { action: updated.length > 0 ? 'updated' : 'kept', note: note.join('; ') };
}

/** `/spec/input_schema/properties/id` as people call it. */
function shown(pointer: string): string {
  const path = pointer.replace(/^\/(spec|metadata)\//, '').replace('input_schema/properties/', 'input.');
  return path.replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
}

function leftOut(index: DocumentIndex): Row[] {
  return index.problems
    .filter(({ operation_id }) => operation_id !== null)
    .map(({ operation_id, message }) => ({
      action: 'skipped',
      kind: 'ToolWorkflow',
      ...{
        name: null,
        operation: operation_id,
        file: null,
        note: message.replace(/^operation .*? is left out: /, ''),
      },
    }));
}

function importTools(
  directory: Directory,
  request: ImportRequest,
  api: ImportedApi,
  document: unknown,
  index: DocumentIndex,
): Row[] {
  const known = knownTools(directory, request, api, index);
  const operations = [...index.operations.values()];
  const origins = originsOf(operations);
  const fresh = operations.filter(
    (operation) =>
      !known.has(operation) &&
      (api.isWanted(operation.id) || api.isWanted(derivedId(operation.method, operation.path))),
  );
  const names = namesFor(directory, api, operations, fresh, known);
  const rows = [...known].map(([operation, existing]): Row => {
    const made = make(operation, existing.name);
    const place = { kind: 'ToolWorkflow', name: existing.name, file: existing.file } as const;
    const base = { ...place, operation: derivedId(operation.method, operation.path) };
    if ('skip' in made)
      return { ...base, action: 'kept', note: `the document has changed, and ${made.skip}` };
    return { ...base, ...merge(directory, existing, made.value) };
  });
  function make(operation: Operation, name: string) {
    const place = { name, api: api.name, title: api.title, origin: origins.get(operation)! };
    return toolManifest(document, operation, place);
  }
  for (const operation of fresh) {
    const name = names.get(operation.id)!;
    const base = {
      kind: 'ToolWorkflow',
      name,
      operation: derivedId(operation.method, operation.path),
    } as const;
    const made = make(operation, name);
    if ('skip' in made) {
      rows.push({ ...base, action: 'skipped', file: null, note: made.skip });
      continue;
    }
    const file = directory.freePath(fileFor(request.tenant, api, name));
    directory.put(file, writeYaml(made.value, COMMENT));
    rows.push({ ...base, action: 'created', file, note: '' });
  }
  return [...rows, ...vanished(directory, request, api, known)];
}

function fileFor(tenant: string | null, { name: api, prefix }: ImportedApi, name: string): string {
  const short = prefix !== '' && name.startsWith(`${prefix}.`) ? name.slice(prefix.length + 1) : name;
  return `${topOf(tenant)}workflows/${api}/${short.replaceAll('.', '-')}.yaml`;
}

/** By what an operation is known again: method and path, unless the document has several of them. */
function originsOf(operations: readonly Operation[]): Map<Operation, string> {
  const groups = Map.groupBy(operations, ({ method, path }) => derivedId(method, path));
  return new Map(
    [...groups].flatMap(([origin, group]) =>
      group.map((operation) => [operation, group.length === 1 ? origin : operation.id] as const),
    ),
  );
}

/** The manifests that earlier imports of this API made, whatever they are called now and wherever they are. */
function importedTools({ set }: Directory, { tenant }: ImportRequest, { name }: ImportedApi): Manifest[] {
  return [...set.found.values()].flatMap(({ manifest }) =>
    manifest?.kind === 'ToolWorkflow' &&
    manifest.tenant === tenant &&
    manifest.annotations[OPERATION]?.startsWith(`${name} `) === true
      ? [manifest]
      : [],
  );
}

/** The manifest of each operation that has one. An operation whose path has changed is known by its id. */
function knownTools(
  directory: Directory,
  request: ImportRequest,
  api: ImportedApi,
  { operations }: DocumentIndex,
): Map<Operation, Manifest> {
  const manifests = importedTools(directory, request, api);
  const originOf = (manifest: Manifest): string =>
    manifest.annotations[OPERATION]!.slice(api.name.length + 1);
  const byOrigin = new Map([...originsOf([...operations.values()])].map(([one, origin]) => [origin, one]));
  const known = new Map<Operation, Manifest>();
  const left: Manifest[] = [];
  for (const manifest of manifests) {
    const operation = byOrigin.get(originOf(manifest));
    if (operation === undefined) left.push(manifest);
    else if (!known.has(operation)) known.set(operation, manifest);
  }
  for (const manifest of left) {
    const { steps } = (manifest as Manifest<'ToolWorkflow'>).spec;
    const moved = operations.get(steps[0]?.operation_id ?? '');
    if (moved !== undefined && !known.has(moved)) known.set(moved, manifest);
  }
  return known;
}

/** Names for what is new. They are judged beside the whole document, so that they do not depend on `--operations`. */
function namesFor(
  { set }: Directory,
  { prefix }: ImportedApi,
  operations: readonly Operation[],
  fresh: readonly Operation[],
  known: ReadonlyMap<Operation, Manifest>,
): ReadonlyMap<string, string> {
  const imported = new Set([...known.values()].map(({ name }) => name));
  const tools = [...set.found.values()].filter(({ identity }) => TOOL_KINDS.includes(identity.kind));
  const taken = new Set(tools.map(({ identity }) => identity.name).filter((name) => !imported.has(name)));
  const names = toolNames(operations, prefix, taken);
  const clashing = fresh.filter(({ id }) => imported.has(names.get(id)!));
  const others = toolNames(clashing, prefix, new Set([...taken, ...imported, ...names.values()]));
  return new Map([...names, ...others]);
}

function vanished(
  directory: Directory,
  request: ImportRequest,
  api: ImportedApi,
  known: ReadonlyMap<Operation, Manifest>,
): Row[] {
  const there = new Set(known.values());
  return importedTools(directory, request, api)
    .filter((manifest) => !there.has(manifest))
    .map((manifest) => {
      const { name, file, annotations } = manifest;
      const operation = annotations[OPERATION]!.slice(api.name.length + 1);
      const base = { kind: 'ToolWorkflow', name, file, operation } as const;
      if (!request.prune)
        return { ...base, action: 'vanished', note: 'not in the document any more; --prune removes it' };
      directory.remove(manifest);
      return { ...base, action: 'removed', note: 'not in the document any more' };
    });
}

/** What the gateway would say of it all. New tools that it would not take are left out. */
async function check(
  directory: Directory,
  { bytes, origin, tenant }: ImportRequest,
  api: ImportedApi,
  rows: readonly Row[],
): Promise<Row[]> {
  const document = treeFile(origin, bytes);
  const side = await sideOfTree(directory.tree(), { documents: new Map([[document.digest, document]]) });
  const said = (severity: Diagnostic['severity'], identity: Identity): Diagnostic[] =>
    (side.verdicts.get(keyOf(identity))?.diagnostics ?? []).filter((one) => one.severity === severity);
  const apiErrors = said('error', { kind: 'ApiSpec', tenant, name: api.name }).map(formatDiagnostic);
  if (apiErrors.length > 0)
    throw new CliError(`the ApiSpec would not be valid:\n  ${apiErrors.join('\n  ')}`);
  return rows.map((row) => {
    if (row.kind === 'ApiSpec' || row.name === null || row.action === 'removed' || row.action === 'vanished')
      return row;
    const identity: Identity = { kind: 'ToolWorkflow', tenant, name: row.name };
    const [error] = said('error', identity);
    if (row.file === null) return row;
    if (error === undefined) {
      const notes = [row.note, ...said('warning', identity).map(({ message }) => message)];
      return { ...row, note: notes.filter(Boolean).join('; ') };
    }
    if (row.action !== 'created') return { ...row, action: 'invalid', note: formatDiagnostic(error) };
    directory.restore(row.file);
    return { ...row, action: 'skipped', file: null, note: error.message };
  });
}
