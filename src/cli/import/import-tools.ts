/** The ToolWorkflows of an import. */
import { TOOL_KINDS } from '../../manifest/kind.ts';
import type { Manifest } from '../../manifest/manifest.ts';
import type { DocumentIndex } from '../../openapi/index-document.ts';
import type { Operation } from '../../openapi/operation.ts';
import { derivedId } from '../../openapi/path-template.ts';
import { toolNames } from '../../openapi/tool-name.ts';
import { OPERATION } from './annotations.ts';
import type { Directory } from './directory.ts';
import { COMMENT, writeYaml } from './edit-yaml.ts';
import { handEdits } from './hand-edits.ts';
import { type ImportedApi, topOf } from './import-api.ts';
import { renewManifest } from './renew-manifest.ts';
import type { ImportRequest, Row } from './request.ts';
import { toolManifest } from './tool-manifest.ts';

/** The tools of the operations of a document: new ones, those that are there, and those that are of it no more. */
export function importTools(
  directory: Directory,
  request: ImportRequest,
  api: ImportedApi,
  document: unknown,
  index: DocumentIndex,
): Row[] {
  const { known, gone } = imported(directory, request, api, index);
  const operations = [...index.operations.values()];
  const origins = originsOf(operations);
  const make = (operation: Operation, name: string) =>
    toolManifest(document, operation, {
      ...{ name, api: api.name, title: api.title, credential: api.credential },
      origin: origins.get(operation)!,
    });
  const renew = ({ operation, manifest }: Known): Row => {
    const { name, file } = manifest;
    const made = make(operation, name);
    const base = { kind: 'ToolWorkflow', name, file, operation: callOf(operation) } as const;
    if ('value' in made) return { ...base, ...renewManifest(directory, manifest, made.value) };
    return { ...base, action: 'kept', note: `the document has changed, and ${made.skip}` };
  };
  const renewed = known.map((one): Row => {
    if (api.isWanted(one.operation)) return renew(one);
    const pruned = prune(directory, request, one.manifest, 'left out by --operations');
    const base = { kind: 'ToolWorkflow', operation: callOf(one.operation) } as const;
    if (pruned.action === 'removed') return { ...base, ...pruned };
    // It is still in force, and must fit the document.
    const { action, note } = renew(one);
    const notes = [pruned.note, ...(action === 'unchanged' ? [] : [note])];
    return { ...base, ...pruned, action: 'unselected', note: notes.join('; ') };
  });
  const have = new Set(known.map(({ operation }) => operation));
  const fresh = operations.filter((operation) => !have.has(operation) && api.isWanted(operation));
  const names = namesFor(directory, api, operations, fresh, known);
  const created = fresh.map((operation): Row => {
    const name = names.get(operation.id)!;
    const made = make(operation, name);
    const base = { kind: 'ToolWorkflow', name, operation: callOf(operation) } as const;
    if ('skip' in made) return { ...base, action: 'skipped', file: null, note: made.skip };
    const file = directory.freePath(fileFor(request.tenant, api, name));
    directory.put(file, writeYaml(made.value, COMMENT));
    return { ...base, action: 'created', file, note: '' };
  });
  const vanished = gone.map((manifest): Row => {
    const pruned = prune(directory, request, manifest, 'not in the document any more');
    return { kind: 'ToolWorkflow', operation: originIn(manifest, api), ...pruned };
  });
  return [...renewed, ...created, ...vanished];
}

function callOf({ method, path }: Operation): string {
  return derivedId(method, path);
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

/**
 * The manifests that earlier imports of this API made, whatever they are called now and wherever they are. Throws
 * CliError for one that is not valid: it would be made a second time, under another name.
 */
function importedTools(directory: Directory, { tenant }: ImportRequest, { name }: ImportedApi): Manifest[] {
  return [...directory.set.found.values()].flatMap(({ identity, manifest, part }) => {
    const isOurs =
      identity.kind === 'ToolWorkflow' &&
      identity.tenant === tenant &&
      (manifest ?? part)?.annotations[OPERATION]?.startsWith(`${name} `) === true;
    return isOurs ? (directory.find(identity) ?? []) : [];
  });
}

/** A manifest, and the operation that it was made of. Several may be of one: people copy what they vary. */
interface Known {
  readonly operation: Operation;
  readonly manifest: Manifest;
}

/** An operation whose path has changed is known by its id. */
function imported(
  directory: Directory,
  request: ImportRequest,
  api: ImportedApi,
  { operations }: DocumentIndex,
): { readonly known: readonly Known[]; readonly gone: readonly Manifest[] } {
  const byOrigin = new Map([...originsOf([...operations.values()])].map(([one, origin]) => [origin, one]));
  const known: Known[] = [];
  const gone: Manifest[] = [];
  for (const manifest of importedTools(directory, request, api)) {
    const { steps } = (manifest as Manifest<'ToolWorkflow'>).spec;
    const operation = byOrigin.get(originIn(manifest, api)) ?? operations.get(steps[0]?.operation_id ?? '');
    if (operation === undefined) gone.push(manifest);
    else known.push({ operation, manifest });
  }
  return { known, gone };
}

function originIn({ annotations }: Manifest, { name }: ImportedApi): string {
  return annotations[OPERATION]!.slice(name.length + 1);
}

/** Names for what is new. They are judged beside the whole document, so that they do not depend on `--operations`. */
function namesFor(
  { set }: Directory,
  { prefix }: ImportedApi,
  operations: readonly Operation[],
  fresh: readonly Operation[],
  known: readonly Known[],
): ReadonlyMap<string, string> {
  const own = new Set(known.map(({ manifest }) => manifest.name));
  const tools = [...set.found.values()].filter(({ identity }) => TOOL_KINDS.includes(identity.kind));
  const taken = new Set(tools.map(({ identity }) => identity.name).filter((name) => !own.has(name)));
  const names = toolNames(operations, prefix, taken);
  const clashing = fresh.filter(({ id }) => own.has(names.get(id)!));
  const others = toolNames(clashing, prefix, new Set([...taken, ...own, ...names.values()]));
  return new Map([...names, ...others]);
}

/** Removes what nobody wants any more, when that is asked for; what people have put in, only when that is meant too. */
function prune(
  directory: Directory,
  request: ImportRequest,
  manifest: Manifest,
  why: string,
): Pick<Row, 'name' | 'file' | 'note'> & { action: 'removed' | 'vanished'; edited: string[] } {
  const { name, file } = manifest;
  const edited = handEdits(manifest, directory.bytesOf(file)!.toString('utf8'));
  const held = edited.length === 0 ? '' : `edited by hand (${edited.join(', ')})`;
  const base = { name, file, edited };
  if (request.prune === 'nothing' || (request.prune === 'untouched' && edited.length > 0)) {
    const how = held === '' ? '--prune removes it' : `${held}: --prune-edited removes it`;
    return { ...base, action: 'vanished', note: `${why}; ${how}` };
  }
  directory.remove(manifest);
  return { ...base, action: 'removed', note: [why, held].filter(Boolean).join('; ') };
}
