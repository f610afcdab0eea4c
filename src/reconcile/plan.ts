/** What a change of manifests would do: resources, tools of each tenant, rights. Nothing is applied. */
import type { Diagnostic } from '../manifest/diagnostic.ts';
import type { ManifestSet } from '../manifest/load.ts';
import { type Identity, keyOf, type Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { type Applied, type CompileDeps, compileSet, type Verdict } from './compile.ts';
import { type ContextSide, diffRights, type RightsDiff } from './rights-diff.ts';

export interface FieldChange {
  /** JSON pointer within the manifest. */
  readonly field: string;
  /** undefined: it is not there. */
  readonly before: unknown;
  readonly after: unknown;
}

export interface ResourceChange extends Identity {
  readonly action: 'add' | 'change' | 'remove' | 'move';
  readonly file: string;
  readonly line: number;
  /** Where it was, when that is another file. */
  readonly moved_from: string | null;
  readonly fields: readonly FieldChange[];
}

export interface ToolChange {
  /** null: callers without a tenant. */
  readonly tenant: string | null;
  readonly appear: readonly string[];
  readonly disappear: readonly string[];
}

export interface Plan {
  readonly resources: readonly ResourceChange[];
  readonly tools: readonly ToolChange[];
  readonly rights: readonly RightsDiff[];
  /** Errors and warnings of the side that is planned. */
  readonly diagnostics: readonly Diagnostic[];
}

/** One side of a plan, compiled as the gateway would. */
export interface Side {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly diagnostics: readonly Diagnostic[];
}

export function compileSide(
  set: ManifestSet,
  previous: ReadonlyMap<string, Applied>,
  deps: CompileDeps,
): Side {
  const verdicts = compileSet(set, previous, deps);
  const all = [...set.diagnostics, ...[...verdicts.values()].flatMap(({ diagnostics }) => diagnostics)];
  return { verdicts, diagnostics: all };
}

export function planBetween(before: Side, after: Side): Plan {
  return {
    resources: diffResources(before, after),
    tools: diffTools(before, after),
    rights: diffContexts(before, after),
    diagnostics: after.diagnostics,
  };
}

/** Whether anything would change. */
export function isEmpty({ resources, tools, rights }: Plan): boolean {
  return resources.length + tools.length + rights.length === 0;
}

function diffResources(before: Side, after: Side): ResourceChange[] {
  const keys = [...new Set([...before.verdicts.keys(), ...after.verdicts.keys()])].sort();
  return keys.flatMap((key) => diffResource(before.verdicts.get(key), after.verdicts.get(key)) ?? []);
}

function diffResource(before: Verdict | undefined, after: Verdict | undefined): ResourceChange | null {
  const place = (after ?? before)!;
  const base = { ...place.identity, file: place.file, line: place.line, moved_from: null, fields: [] };
  const [old, now] = [before?.applied?.manifest ?? null, after?.applied?.manifest ?? null];
  if (old === null) return now === null ? null : { ...base, action: 'add' };
  if (now === null) return { ...base, action: 'remove' };
  const fields = diffValues('/spec', old.spec, now.spec);
  for (const reference of new Set([...old.data.keys(), ...now.data.keys()])) {
    const [was, is] = [old.data.get(reference)?.digest, now.data.get(reference)?.digest];
    if (was !== is && was !== undefined && is !== undefined)
      fields.push({
        field: `content of ${reference}`,
        before: `sha256:${was.slice(0, 12)}`,
        after: `sha256:${is.slice(0, 12)}`,
      });
  }
  fields.push(...diffValues('/metadata/annotations', old.annotations, now.annotations));
  const moved_from = old.file === now.file ? null : old.file;
  if (fields.length === 0 && moved_from === null) return null;
  return { ...base, action: fields.length === 0 ? 'move' : 'change', moved_from, fields };
}

/** The leaves that differ, by JSON pointer. */
function diffValues(pointer: string, before: unknown, after: unknown): FieldChange[] {
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => diffValues(pointerTo(pointer, key), own(before, key), own(after, key)));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ field: pointer, before, after }];
}

function diffTools(before: Side, after: Side): ToolChange[] {
  return tenantsOf(before, after).flatMap((tenant) => {
    const [old, now] = [toolsOf(before, tenant), toolsOf(after, tenant)];
    const appear = now.filter((tool) => !old.includes(tool));
    const disappear = old.filter((tool) => !now.includes(tool));
    return appear.length + disappear.length === 0 ? [] : [{ tenant, appear, disappear }];
  });
}

function diffContexts(before: Side, after: Side): RightsDiff[] {
  const keys = [...new Set([...before.verdicts.keys(), ...after.verdicts.keys()])]
    .filter((key) => key.startsWith('SecurityContext/'))
    .sort();
  return keys.flatMap((key) => {
    const { tenant, name } = (after.verdicts.get(key) ?? before.verdicts.get(key))!.identity;
    const changes = diffRights(contextSide(before, key, tenant), contextSide(after, key, tenant));
    return changes.length === 0 ? [] : [{ tenant, name, changes }];
  });
}

/** A global context serves every tenant, so the tools of all of them count. */
function contextSide(side: Side, key: string, tenant: string | null): ContextSide | null {
  const applied = side.verdicts.get(key)?.applied;
  if (applied?.resource.kind !== 'SecurityContext') return null;
  const tools =
    tenant === null
      ? [...new Set(tenantsOf(side).flatMap((one) => toolsOf(side, one)))]
      : toolsOf(side, tenant);
  return {
    manifest: applied.manifest as Manifest<'SecurityContext'>,
    context: applied.resource.context,
    tools,
  };
}

/** null, and every tenant that some manifest belongs to or is. */
function tenantsOf(...sides: Side[]): (string | null)[] {
  const names = sides.flatMap(({ verdicts }) =>
    [...verdicts.values()].map(({ identity }) =>
      identity.kind === 'Tenant' ? identity.name : identity.tenant,
    ),
  );
  return [null, ...[...new Set(names)].filter((name): name is string => name !== null).sort()];
}

/** The names of the tools that callers of a tenant see, those that cannot run left out. */
function toolsOf({ verdicts }: Side, tenant: string | null): string[] {
  const tools = [...verdicts.values()].filter(({ identity, applied }) => {
    const isTool = identity.kind === 'ToolWorkflow' || identity.kind === 'CliTool';
    if (!isTool || applied === null || (identity.tenant !== null && identity.tenant !== tenant)) return false;
    const own = verdicts.get(keyOf({ ...identity, tenant }));
    return identity.tenant !== null || tenant === null || own === undefined;
  });
  return [...new Set(tools.map(({ identity }) => identity.name))].sort();
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function own(value: object, key: string): unknown {
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}
