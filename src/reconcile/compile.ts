/**
 * A whole set of manifests -> everything that a snapshot is made of. Pure but for its caches: the same set gives the
 * same result whatever the order of files. A manifest that cannot be compiled keeps its last good version, and those
 * that need it go on with that; rights are the exception: a right that is not valid is no right (design section 5).
 */
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import { KINDS, type Kind } from '../manifest/kind.ts';
import type { Found, ManifestSet } from '../manifest/load.ts';
import { type Identity, keyOf, type Manifest, nameOf } from '../manifest/manifest.ts';
import type { Issuer, SecurityContext, Tenant, TokenKeys, Tool } from '../snapshot/snapshot.ts';
import { type CompiledApi, compileApi, type IndexFile } from './compile-api.ts';
import { compileContext, compileIssuer, compileTenant } from './compile-context.ts';
import { compileWorkflow, type FindApi } from './compile-workflow.ts';
import { createProblems, type Problems } from './problems.ts';

/** What a manifest became. */
export type Resource =
  | { readonly kind: 'ApiSpec'; readonly compiled: CompiledApi }
  | { readonly kind: 'SecurityContext'; readonly context: SecurityContext }
  | { readonly kind: 'TokenIssuer'; readonly issuer: Issuer }
  | { readonly kind: 'Tenant'; readonly tenant: Tenant }
  | { readonly kind: 'ToolWorkflow' | 'CliTool'; readonly tool: Tool }
  | { readonly kind: 'SemanticJudge' };

/** A manifest version that is in force. */
export interface Applied {
  readonly manifest: Manifest;
  readonly resource: Resource;
  /** The versions of other manifests that it was compiled with. */
  readonly uses: readonly Applied[];
  readonly warnings: readonly Diagnostic[];
}

export type ManifestStatus = 'Ready' | 'Stale' | 'Invalid' | 'Blocked';

/** What became of one manifest at one reconcile. */
export interface Verdict {
  readonly identity: Identity;
  readonly key: string;
  readonly status: ManifestStatus;
  /** Errors and warnings, in order; of the version that was tried. */
  readonly diagnostics: readonly Diagnostic[];
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Digest of the version that was tried; null: it has errors by itself. */
  readonly digest: string | null;
  /** What is in force; null: nothing. */
  readonly applied: Applied | null;
}

export interface CompileDeps {
  readonly indexFile: IndexFile;
  readonly remoteKeys: (url: string, algorithms: readonly string[]) => TokenKeys;
}

export type AppliedSet = ReadonlyMap<string, Applied>;

/** Kinds whose deleted or invalid manifests grant nothing. */
const RIGHTS: ReadonlySet<Kind> = new Set(['SecurityContext', 'TokenIssuer', 'Tenant']);
/** Each kind after those that it refers to. */
const ORDER: readonly Kind[] = [
  ...KINDS.filter((kind) => kind !== 'ToolWorkflow' && kind !== 'CliTool'),
  'CliTool',
  'ToolWorkflow',
];

/** The verdict of every manifest, by key, those of one kind in order of key. */
export function compileSet(
  set: ManifestSet,
  previous: AppliedSet,
  deps: CompileDeps,
): ReadonlyMap<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  const found = withBroken(set, previous);
  const issuers = sharedIssuers(found);
  for (const kind of ORDER) {
    const keys = [...found.keys()].filter((key) => key.startsWith(`${kind}/`)).sort();
    for (const key of keys) verdicts.set(key, judge(found.get(key)!, { verdicts, previous, deps, issuers }));
  }
  return verdicts;
}

interface Context {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly previous: AppliedSet;
  readonly deps: CompileDeps;
  /** `iss` values that several manifests claim -> their keys. */
  readonly issuers: ReadonlyMap<string, readonly string[]>;
}

/** Manifests that were in a file which cannot be read now are bad, not gone. */
function withBroken(set: ManifestSet, previous: AppliedSet): Map<string, Found> {
  const found = new Map(set.found);
  for (const { manifest } of previous.values()) {
    if (found.has(manifest.key) || !set.broken.has(manifest.file)) continue;
    const diagnostics = set.diagnostics.filter(({ file }) => file === manifest.file);
    const [{ line, column } = { line: 1, column: 1 }] = diagnostics;
    const identity: Identity = { kind: manifest.kind, tenant: manifest.tenant, name: manifest.name };
    found.set(manifest.key, {
      identity,
      key: manifest.key,
      file: manifest.file,
      line,
      column,
      manifest: null,
      diagnostics,
    });
  }
  return found;
}

function judge(found: Found, context: Context): Verdict {
  const { manifest } = found;
  const before = context.previous.get(found.key) ?? null;
  const { identity, key, file, line, column } = found;
  const place = { identity, key, file, line, column, digest: manifest?.digest ?? null };
  if (manifest === null) return fallBack(place, found.diagnostics, 'Invalid', before);
  const { applied, problems } = compileOne(manifest, before, context);
  const diagnostics = [...found.diagnostics, ...problems.list(), ...(applied?.warnings ?? [])].sort(
    compareDiagnostics,
  );
  if (applied !== null) return { ...place, status: 'Ready', diagnostics, applied };
  return fallBack(place, diagnostics, problems.blocked ? 'Blocked' : 'Invalid', before);
}

type Place = Omit<Verdict, 'status' | 'diagnostics' | 'applied'>;

function fallBack(
  place: Place,
  diagnostics: readonly Diagnostic[],
  status: 'Invalid' | 'Blocked',
  before: Applied | null,
): Verdict {
  if (before === null || RIGHTS.has(place.identity.kind))
    return { ...place, status, diagnostics, applied: null };
  return { ...place, status: 'Stale', diagnostics, applied: before };
}

function compileOne(
  manifest: Manifest,
  before: Applied | null,
  context: Context,
): { applied: Applied | null; problems: Problems } {
  const problems = createProblems(manifest);
  const uses = new Map<string, Applied>();
  const find: Find = (kind, name) => lookUp(kind, manifest.tenant, name, context.verdicts, uses);
  if (before?.manifest.digest === manifest.digest && sameUses(before, manifest, find)) {
    // Its place may be another one, which later diagnostics name.
    return { applied: { ...before, manifest }, problems };
  }
  const resource = compileResource(manifest, problems, find, context);
  if (resource === null || problems.failed) return { applied: null, problems };
  return {
    applied: { manifest, resource, uses: [...uses.values()], warnings: problems.list() },
    problems: createProblems(manifest),
  };
}

type Find = (kind: Kind, name: string) => Applied | { readonly absent: true } | { readonly bad: string };

/** The tenant's own manifest, else the global one. */
function lookUp(
  kind: Kind,
  tenant: string | null,
  name: string,
  verdicts: ReadonlyMap<string, Verdict>,
  uses: Map<string, Applied>,
): ReturnType<Find> {
  const own = tenant === null ? undefined : verdicts.get(keyOf({ kind, tenant, name }));
  const verdict = own ?? verdicts.get(keyOf({ kind, tenant: null, name }));
  if (verdict === undefined) return { absent: true };
  if (verdict.applied === null)
    return { bad: `${nameOf(verdict.identity)} is not valid (${verdict.file}:${verdict.line})` };
  uses.set(verdict.key, verdict.applied);
  return verdict.applied;
}

/** Whether all that it was compiled with is still what it would be compiled with. */
function sameUses(before: Applied, manifest: Manifest, find: Find): boolean {
  if (manifest.kind === 'TokenIssuer') return false;
  return before.uses.every((used) => {
    const now = find(used.manifest.kind, used.manifest.name);
    return 'resource' in now && now.resource === used.resource;
  });
}

function compileResource(
  manifest: Manifest,
  problems: Problems,
  find: Find,
  context: Context,
): Resource | null {
  const { deps, verdicts } = context;
  switch (manifest.kind) {
    case 'ApiSpec': {
      const compiled = compileApi(manifest as Manifest<'ApiSpec'>, problems, deps.indexFile);
      return compiled && { kind: 'ApiSpec', compiled };
    }
    case 'ToolWorkflow': {
      const findApi: FindApi = (name) => {
        const api = find('ApiSpec', name);
        if ('absent' in api)
          return { absent: true, names: visibleNames('ApiSpec', manifest.tenant, verdicts) };
        return 'bad' in api ? api : (api.resource as Extract<Resource, { kind: 'ApiSpec' }>).compiled;
      };
      const tool = compileWorkflow(manifest as Manifest<'ToolWorkflow'>, problems, findApi);
      return tool && { kind: 'ToolWorkflow', tool };
    }
    case 'CliTool':
      return compileCliTool(manifest as Manifest<'CliTool'>, problems, find);
    case 'SecurityContext':
      return {
        kind: 'SecurityContext',
        context: compileContext(manifest as Manifest<'SecurityContext'>, problems),
      };
    case 'Tenant':
      return { kind: 'Tenant', tenant: compileTenant(manifest as Manifest<'Tenant'>, problems) };
    case 'SemanticJudge':
      return { kind: 'SemanticJudge' };
    case 'TokenIssuer': {
      const one = manifest as Manifest<'TokenIssuer'>;
      checkIssuer(one, problems, context);
      const issuer = compileIssuer(one, problems, deps.remoteKeys);
      return issuer && { kind: 'TokenIssuer', issuer };
    }
  }
}

function compileCliTool(
  { spec, name, tenant }: Manifest<'CliTool'>,
  problems: Problems,
  find: Find,
): Resource {
  if (spec.semantic_judge !== undefined) {
    const judge = find('SemanticJudge', spec.semantic_judge);
    if ('bad' in judge) problems.block('/spec/semantic_judge', judge.bad);
    if ('absent' in judge)
      problems.error(
        '/spec/semantic_judge',
        'unknown-judge',
        `there is no SemanticJudge ${spec.semantic_judge} that this manifest may use`,
      );
  }
  return {
    kind: 'CliTool',
    tool: {
      kind: 'cli',
      name,
      tenant,
      description: spec.description,
      input_schema: { type: 'object' },
      tags: spec.tags ?? [],
      category: spec.category ?? null,
      annotations: spec.annotations ?? {},
      image: spec.image,
      command: spec.command,
      allowed_subcommands: spec.allowed_subcommands,
    },
  };
}

/** A token's `iss` must lead to one manifest, whichever file comes first. */
function checkIssuer(
  manifest: Manifest<'TokenIssuer'>,
  problems: Problems,
  { issuers, verdicts }: Context,
): void {
  const others = (issuers.get(manifest.spec.issuer) ?? []).filter((key) => key !== manifest.key);
  if (others.length > 0) {
    problems.error(
      '/spec/issuer',
      'duplicate-issuer',
      `TokenIssuer ${others.map((key) => key.split('/').slice(1).filter(Boolean).join('/')).join(', ')} has this issuer too`,
      'make one manifest of them',
    );
  }
  const context = manifest.spec.default_security_context;
  if (
    context !== undefined &&
    !visibleNames('SecurityContext', manifest.tenant, verdicts).includes(context)
  ) {
    problems.warn(
      '/spec/default_security_context',
      'unknown-context',
      `there is no SecurityContext ${context}; tokens that name none are granted nothing`,
    );
  }
}

function sharedIssuers(found: ReadonlyMap<string, Found>): Map<string, string[]> {
  const keys = new Map<string, string[]>();
  for (const { manifest } of found.values()) {
    if (manifest?.kind !== 'TokenIssuer') continue;
    const { issuer } = (manifest as Manifest<'TokenIssuer'>).spec;
    keys.set(issuer, [...(keys.get(issuer) ?? []), manifest.key].sort());
  }
  return keys;
}

function visibleNames(kind: Kind, tenant: string | null, verdicts: ReadonlyMap<string, Verdict>): string[] {
  const seen = [...verdicts.values()].filter(
    ({ identity }) => identity.kind === kind && (identity.tenant === null || identity.tenant === tenant),
  );
  return seen.map(({ identity }) => identity.name);
}
