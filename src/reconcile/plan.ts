/** What a change of manifests would do: resources, tools of each tenant, rights. Nothing is applied. */
import { isDeepStrictEqual } from 'node:util';
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import type { ManifestSet } from '../manifest/load.ts';
import { digestContent, type Identity, type Manifest, nameOf } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import type { Tool } from '../snapshot/snapshot.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileSet, type Verdict } from './compile.ts';
import { pruneProblem } from './hold.ts';
import { diffIssuer, diffTenant } from './identity-diff.ts';
import { isRemote } from './remote-documents.ts';
import type { RightsChange } from './rights-change.ts';
import { type ContextSide, diffRights, type SeenApi, type SeenTool } from './rights-diff.ts';

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

/** What a context allows, or whose tokens an issuer or a tenant stands for. */
export interface RightsDiff extends Identity {
  readonly file: string;
  readonly line: number;
  readonly changes: readonly RightsChange[];
}

export interface Plan {
  readonly resources: readonly ResourceChange[];
  readonly tools: readonly ToolChange[];
  readonly rights: readonly RightsDiff[];
  /** Errors and warnings of the side that is planned. */
  readonly diagnostics: readonly Diagnostic[];
  /** Why the gateway would hold the change back as a whole; null: it would not. */
  readonly held: string | null;
}

/** One side of a plan, compiled as the gateway would. */
export interface Side {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly diagnostics: readonly Diagnostic[];
  readonly revision: string;
}

/** `previous`: what is in force before, which stays in the place of what is not valid. */
export function compileSide(
  set: ManifestSet,
  previous: AppliedSet,
  deps: CompileDeps,
  revision: string,
): Side {
  const verdicts = compileSet(set, previous, deps);
  const all = new Set([
    ...set.diagnostics,
    ...[...verdicts.values()].flatMap(({ diagnostics }) => diagnostics),
  ]);
  return { verdicts, diagnostics: [...all].sort(compareDiagnostics), revision };
}

/** What a side would have in force. */
export function appliedOf({ verdicts }: Side): AppliedSet {
  return new Map(
    [...verdicts].flatMap(([key, { applied }]): [string, Applied][] =>
      applied === null ? [] : [[key, applied]],
    ),
  );
}

export function planBetween(before: Side, after: Side): Plan {
  return {
    resources: diffResources(before, after),
    tools: diffTools(before, after),
    rights: diffAllRights(before, after),
    diagnostics: after.diagnostics,
    held: pruneProblem(new Set(appliedOf(before).keys()), after.verdicts, before.revision),
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
  const fields = [
    ...diffValues('/metadata', metadataOf(old), metadataOf(now)),
    ...diffValues('/spec', old.spec, now.spec),
    ...diffContents(old, now),
  ];
  const moved_from = old.file === now.file ? null : old.file;
  if (fields.length === 0 && moved_from === null) return null;
  return { ...base, action: fields.length === 0 ? 'move' : 'change', moved_from, fields };
}

/** Labels and annotations: who it is does not change, and is said in more than one way. */
function metadataOf({ document }: Manifest): object {
  const { metadata } = document.value as { readonly metadata: Readonly<Record<string, unknown>> };
  const { name: _, tenant: __, ...rest } = metadata;
  return rest;
}

/** The files that it refers to by the same names. */
function diffContents(before: Manifest, after: Manifest): FieldChange[] {
  // Of a document that is elsewhere the manifest itself names the digest.
  const files = [...after.data].filter(([, file]) => !isRemote(file));
  return files.flatMap(([reference, { digest }]) => {
    const was = before.data.get(reference)?.digest ?? digest;
    const shown = (one: string): string => `sha256:${one.slice(0, 12)}`;
    return was === digest
      ? []
      : [{ field: `content of ${reference}`, before: shown(was), after: shown(digest) }];
  });
}

/** The leaves that differ, by JSON pointer. */
function diffValues(pointer: string, before: unknown, after: unknown): FieldChange[] {
  if (Array.isArray(before) && Array.isArray(after)) return diffLists(pointer, before, after);
  if (isMapping(before) && isMapping(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => diffValues(pointerTo(pointer, key), own(before, key), own(after, key)));
  }
  return isDeepStrictEqual(before, after) ? [] : [{ field: pointer, before, after }];
}

/** What is equal at both ends is left out, so that an entry more is one change and not one for each that follows. */
function diffLists(pointer: string, before: readonly unknown[], after: readonly unknown[]): FieldChange[] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && isDeepStrictEqual(before[start], after[start])) start += 1;
  let end = 0;
  while (end < shorter - start && isDeepStrictEqual(before.at(-1 - end), after.at(-1 - end))) end += 1;
  const [old, now] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const at = (index: number): string => pointerTo(pointer, start + index);
  const partners = partnersOf(old, now);
  return [
    ...old.flatMap((value, i) =>
      partners.includes(i) ? [] : [{ field: at(i), before: value, after: undefined }],
    ),
    ...now.flatMap((value, i) => {
      const partner = partners[i] ?? null;
      if (partner !== null) return diffValues(at(i), old[partner], value);
      return [{ field: at(i), before: undefined, after: value }];
    }),
  ];
}

/** For each entry of the new list the old one that it was: that of its name, else the one in its place. */
function partnersOf(before: readonly unknown[], after: readonly unknown[]): (number | null)[] {
  const [old, now] = [before.map(nameOfEntry), after.map(nameOfEntry)];
  const named = [old, now].every((names) => !names.includes(null) && new Set(names).size === names.length);
  if (!named) return now.map((_, i) => (before.length === after.length ? i : null));
  return now.map((name) => (old.includes(name) ? old.indexOf(name) : null));
}

/** Steps, capabilities and keys have one. */
function nameOfEntry(value: unknown): string | null {
  if (!isMapping(value)) return null;
  const { name, tool_pattern, kid } = value as Readonly<Record<string, unknown>>;
  return [name, tool_pattern, kid].find((one) => typeof one === 'string') ?? null;
}

function diffTools(before: Side, after: Side): ToolChange[] {
  return tenantsOf(before, after).flatMap((tenant) => {
    const [old, now] = [before, after].map((side) => toolsOf(side, tenant).map(({ name }) => name));
    const appear = now!.filter((tool) => !old!.includes(tool));
    const disappear = old!.filter((tool) => !now!.includes(tool));
    return appear.length + disappear.length === 0 ? [] : [{ tenant, appear, disappear }];
  });
}

/** Of contexts, issuers and tenants: what they grant is nothing where they are absent or not valid. */
function diffAllRights(before: Side, after: Side): RightsDiff[] {
  const keys = [...new Set([...before.verdicts.keys(), ...after.verdicts.keys()])].sort();
  return keys.flatMap((key) => {
    const place = (after.verdicts.get(key) ?? before.verdicts.get(key))!;
    const changes = diffRightsOf(key, place.identity, before, after);
    return changes.length === 0 ? [] : [{ ...place.identity, file: place.file, line: place.line, changes }];
  });
}

function diffRightsOf(key: string, { kind, tenant }: Identity, before: Side, after: Side): RightsChange[] {
  const [old, now] = [before, after].map(({ verdicts }) => verdicts.get(key)?.applied?.manifest ?? null);
  switch (kind) {
    case 'SecurityContext':
      return diffRights(contextSide(before, key, tenant), contextSide(after, key, tenant));
    case 'TokenIssuer':
      return diffIssuer(old as Manifest<'TokenIssuer'> | null, now as Manifest<'TokenIssuer'> | null);
    case 'Tenant':
      return diffTenant(old as Manifest<'Tenant'> | null, now as Manifest<'Tenant'> | null);
    default:
      return [];
  }
}

/** A global context serves every tenant, so the tools of all of them count. */
function contextSide(side: Side, key: string, tenant: string | null): ContextSide | null {
  const applied = side.verdicts.get(key)?.applied;
  if (applied?.resource.kind !== 'SecurityContext') return null;
  const tenants = tenant === null ? tenantsOf(side) : [tenant];
  return {
    manifest: applied.manifest as Manifest<'SecurityContext'>,
    context: applied.resource.context,
    tools: tenants.flatMap((one) => toolsOf(side, one)),
    apis: apisOf(side, tenant),
  };
}

/** The APIs that bearers of a context may see: a tenant's context serves that tenant alone. */
function apisOf({ verdicts }: Side, tenant: string | null): SeenApi[] {
  return [...verdicts.values()].flatMap(({ identity, applied }) => {
    if (applied?.resource.kind !== 'ApiSpec') return [];
    const { name, tenant: owner } = identity;
    if (owner !== null && tenant !== null && owner !== tenant) return [];
    if (owner !== null && !mayCall(verdicts.get(`Tenant//${owner}`))) return [];
    const { operations, limit } = applied.resource.compiled.explored;
    const ids = [...operations.values()].flatMap((one) => (limit(one) === null ? [one.id] : []));
    return [{ tenant: owner, name, operations: ids }];
  });
}

/** null, and every tenant that some manifest belongs to or is. */
function tenantsOf(...sides: Side[]): (string | null)[] {
  const names = sides.flatMap(({ verdicts }) =>
    [...verdicts.values()].map(({ identity }) =>
      identity.kind === 'Tenant' ? identity.name : identity.tenant,
    ),
  );
  return [null, ...[...new Set(names)].filter((name) => name !== null).sort()];
}

/** The tools that callers of a tenant see, those that cannot run left out. A tenant that may not call sees none. */
function toolsOf({ verdicts }: Side, tenant: string | null): SeenTool[] {
  if (tenant !== null && !mayCall(verdicts.get(`Tenant//${tenant}`))) return [];
  const tools = [...verdicts.values()].flatMap(({ applied }) => {
    const resource = applied?.resource;
    if (resource?.kind !== 'ToolWorkflow' && resource?.kind !== 'CliTool') return [];
    const { tool } = resource;
    if (tool.tenant !== null && tool.tenant !== tenant) return [];
    return [{ name: tool.name, subcommands: subcommandsOf(tool), definition: definitionOf(applied!) }];
  });
  return tools.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Fields for people: a tool that has other ones does what it did. */
const PROSE = new Set(['description', 'tags', 'category', 'annotations']);
const definitions = new WeakMap<Applied, ReadonlyMap<string, string>>();

/** What a tool is, apart from how it is described: its manifest and those that it uses, with their documents. */
function definitionOf(applied: Applied): ReadonlyMap<string, string> {
  const known = definitions.get(applied);
  if (known !== undefined) return known;
  const { manifest, uses } = applied;
  const spec = Object.fromEntries(Object.entries(manifest.spec).filter(([field]) => !PROSE.has(field)));
  // Of a document that is elsewhere the digest stands in the spec.
  const data = [...manifest.data].flatMap(([text, file]) => (isRemote(file) ? [] : [[text, file.digest]]));
  const parts = new Map([[nameOf(manifest), digestContent([spec, data])]]);
  for (const used of uses) for (const [name, digest] of definitionOf(used)) parts.set(name, digest);
  definitions.set(applied, parts);
  return parts;
}

function mayCall(verdict: Verdict | undefined): boolean {
  const resource = verdict?.applied?.resource;
  return resource?.kind === 'Tenant' && !resource.tenant.suspended;
}

function subcommandsOf(tool: Tool): readonly string[] | null {
  return tool.kind === 'cli' ? tool.allowed_subcommands : null;
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(value: object, key: string): unknown {
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}
