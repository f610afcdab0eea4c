/**
 * A whole set of manifests -> everything that a snapshot is made of. Pure but for its caches: the same set gives the
 * same result whatever the order of files. A manifest that cannot be compiled keeps its last good version, and those
 * that need it go on with that; rights are the exception: a right that is not valid is no right.
 */
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import { KINDS, type Kind, TOOL_KINDS } from '../manifest/kind.ts';
import { checkTools, type Found, isBroken, type ManifestSet } from '../manifest/load.ts';
import { type Identity, keyOf, type Manifest, nameOf } from '../manifest/manifest.ts';
import { createPace } from '../manifest/pace.ts';
import { holds } from '../manifest/sound-part.ts';
import { suggest } from '../manifest/suggest.ts';
import type { Issuer, Judge, SecurityContext, Tenant, TokenKeys, Tool } from '../snapshot/snapshot.ts';
import { checkCredential } from './check-credential.ts';
import { checkIssuer, type IssuerClaims, issuersOf } from './check-issuer.ts';
import { type CompiledApi, compileApi } from './compile-api.ts';
import { compileCliTool, compileJudge } from './compile-cli.ts';
import { compileContext, compileIssuer, compileTenant } from './compile-context.ts';
import { compileWorkflow } from './compile-workflow.ts';
import type { IndexFile } from './document-cache.ts';
import { createProblems, type Finding, type Hint, type Problems, placeFindings } from './problems.ts';

/** What a manifest became. */
export type Resource =
  | { readonly kind: 'ApiSpec'; readonly compiled: CompiledApi }
  | { readonly kind: 'SecurityContext'; readonly context: SecurityContext }
  | { readonly kind: 'TokenIssuer'; readonly issuer: Issuer }
  | { readonly kind: 'Tenant'; readonly tenant: Tenant }
  | { readonly kind: 'ToolWorkflow' | 'CliTool'; readonly tool: Tool }
  | { readonly kind: 'SemanticJudge'; readonly judge: Judge };

/** A manifest version that is in force. */
export interface Applied {
  readonly manifest: Manifest;
  readonly resource: Resource;
  /** The versions of other manifests that it was compiled with. */
  readonly uses: readonly Applied[];
  readonly warnings: readonly Finding[];
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
  /** Whether the store keeps credentials that users have bound. Absent: it is not known, and taken for granted. */
  readonly bindings?: boolean | undefined;
}

export type AppliedSet = ReadonlyMap<string, Applied>;
export type Verdicts = ReadonlyMap<string, Verdict>;
/** Every manifest that was there before, valid or not, and its file. */
export type KnownSet = ReadonlyMap<string, { readonly identity: Identity; readonly file: string }>;

/** Kinds whose deleted or invalid manifests grant nothing. */
const RIGHTS: ReadonlySet<Kind> = new Set(['SecurityContext', 'TokenIssuer', 'Tenant']);
/** Each kind after those that it refers to. */
const ORDER: readonly Kind[] = [
  ...KINDS.filter((kind) => !TOOL_KINDS.includes(kind)),
  'CliTool',
  'ToolWorkflow',
];

/** The verdict of every manifest, by key, those of one kind in order of key. */
export function compileSet(
  set: ManifestSet,
  previous: AppliedSet,
  deps: CompileDeps,
  known: KnownSet = knownFrom(previous),
): Verdicts {
  const work = judgeAll(set, previous, deps, known);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** The same, with a turn for the event loop now and then. */
export async function compileInSlices(
  set: ManifestSet,
  previous: AppliedSet,
  deps: CompileDeps,
  known: KnownSet = knownFrom(previous),
): Promise<Verdicts> {
  const breathe = createPace();
  const work = judgeAll(set, previous, deps, known);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await breathe();
  }
}

interface Context {
  readonly found: ReadonlyMap<string, Found>;
  readonly previous: AppliedSet;
  readonly deps: CompileDeps;
  /** So far, which is all of the kinds before. */
  readonly verdicts: Verdicts;
  readonly issuers: IssuerClaims;
  /** All manifests of a kind that has been judged. */
  ofKind(kind: Kind): readonly Verdict[];
}

/** Yields after each manifest, and within large ones. */
function* judgeAll(
  set: ManifestSet,
  previous: AppliedSet,
  deps: CompileDeps,
  known: KnownSet,
): Generator<void, Verdicts> {
  const found = withBroken(set, known);
  const verdicts = new Map<string, Verdict>();
  const kinds = Map.groupBy(found.values(), ({ identity }) => identity.kind);
  const judged = new Map<Kind, readonly Verdict[]>();
  const context: Context = {
    ...{ found, previous, deps, verdicts, issuers: issuersOf(found) },
    ofKind: (kind) => judged.get(kind) ?? [],
  };
  for (const kind of ORDER) {
    const keys = (kinds.get(kind) ?? []).map(({ key }) => key).sort();
    for (const key of keys) {
      verdicts.set(key, yield* judge(found.get(key)!, context));
      yield;
    }
    judged.set(
      kind,
      keys.map((key) => verdicts.get(key)!),
    );
  }
  return verdicts;
}

function knownFrom(previous: AppliedSet): KnownSet {
  return new Map(
    [...previous].map(([key, { manifest }]) => [key, { identity: manifest, file: manifest.file }]),
  );
}

/** Manifests that were in a file which cannot be read now are bad, not gone. */
function withBroken(set: ManifestSet, known: KnownSet): ReadonlyMap<string, Found> {
  if (set.broken.size === 0) return set.found;
  const found = new Map(set.found);
  for (const [key, { identity, file }] of known) {
    if (found.has(key) || !isBroken(set, file)) continue;
    const { kind, tenant, name } = identity;
    const diagnostics = set.diagnostics.filter((one) => one.file === file || file.startsWith(`${one.file}/`));
    const [{ line, column } = { line: 1, column: 1 }] = diagnostics;
    found.set(key, {
      identity: { kind, tenant, name },
      key,
      file,
      line,
      column,
      manifest: null,
      diagnostics,
    });
  }
  // It keeps its name too: nobody takes that of a tool whose file is broken.
  return checkTools(found);
}

function* judge(found: Found, context: Context): Generator<void, Verdict> {
  const { manifest } = found;
  const { identity, key, file, line, column } = found;
  const place = { identity, key, file, line, column, digest: manifest?.digest ?? null };
  if (manifest === null) return yield* fallBack(place, yield* withMore(found, context), 'Invalid', context);
  const before = context.previous.get(key) ?? null;
  const { applied, findings, blocked } = yield* compileOne(manifest, before, context);
  const own = placeFindings(manifest, findings);
  const diagnostics =
    own.length === 0 ? found.diagnostics : [...found.diagnostics, ...own].sort(compareDiagnostics);
  if (applied !== null) return { ...place, status: 'Ready', diagnostics, applied };
  return yield* fallBack(place, diagnostics, blocked ? 'Blocked' : 'Invalid', context);
}

/** Mistakes that are in a template, an expression or a pattern itself, whatever else the manifest says. */
const BY_THEMSELVES = new Set(['bad-template', 'bad-jsonpath', 'bad-schema', 'bad-pattern']);
/** Those that need no other file. */
const ALONE: ReadonlySet<Kind> = new Set(['ToolWorkflow', 'CliTool', 'SecurityContext', 'Tenant']);

/** What is wrong with a manifest that does not fit its schema, and what would be told after the first mend. */
function* withMore({ part, diagnostics }: Found, context: Context): Generator<void, readonly Diagnostic[]> {
  if (part === undefined || !ALONE.has(part.kind)) return diagnostics;
  const problems = createProblems();
  yield* compileSafely(part, problems, () => ({ absent: true, hint: null }), context);
  const more = problems.findings.filter(
    ({ rule, pointer }) => BY_THEMSELVES.has(rule) && holds(part, pointer),
  );
  return more.length === 0
    ? diagnostics
    : [...diagnostics, ...placeFindings(part, more)].sort(compareDiagnostics);
}

type Place = Omit<Verdict, 'status' | 'diagnostics' | 'applied'>;

function* fallBack(
  place: Place,
  diagnostics: readonly Diagnostic[],
  status: 'Invalid' | 'Blocked',
  context: Context,
): Generator<void, Verdict> {
  const before = context.previous.get(place.key) ?? null;
  if (before === null || RIGHTS.has(place.identity.kind) || isShadow(place.identity, context))
    return { ...place, status, diagnostics, applied: null };
  // The last good version with what it needs as that is now; as it was, when the two no longer fit.
  const { applied: renewed } = yield* compileOne(before.manifest, before, context);
  return { ...place, status: 'Stale', diagnostics, applied: renewed ?? before };
}

/** A tenant's tool gives way to a global one of its name also when it was there first. */
function isShadow({ kind, tenant, name }: Identity, { found }: Context): boolean {
  if (tenant === null || !TOOL_KINDS.includes(kind)) return false;
  return TOOL_KINDS.some((one) => found.has(keyOf({ kind: one, tenant: null, name })));
}

interface Compiled {
  readonly applied: Applied | null;
  readonly findings: readonly Finding[];
  /** It would be sound if those that it needs were. */
  readonly blocked: boolean;
}

function* compileOne(
  manifest: Manifest,
  before: Applied | null,
  context: Context,
): Generator<void, Compiled> {
  if (before !== null && isUntouched(manifest, before, context)) {
    return { applied: before, findings: before.warnings, blocked: false };
  }
  const problems = createProblems();
  if (manifest.kind === 'TokenIssuer')
    checkIssuer(manifest as Manifest<'TokenIssuer'>, problems, context.issuers, contextsOf(context));
  const about = problems.findings;
  const uses = new Map<string, Applied>();
  const find: Find = (kind, name) => lookUp(kind, manifest.tenant, name, context, uses);
  let resource: Resource | null;
  let warnings: readonly Finding[];
  if (before?.manifest.digest === manifest.digest && sameUses(before, find)) {
    ({ resource, warnings } = before);
  } else {
    const own = createProblems();
    resource = yield* compileSafely(manifest, own, find, context);
    if (own.failed) return { applied: null, findings: [...about, ...own.findings], blocked: own.blocked };
    warnings = own.findings;
  }
  const findings = [...about, ...warnings];
  if (resource === null || problems.failed) return { applied: null, findings, blocked: false };
  return { applied: { manifest, resource, uses: [...uses.values()], warnings }, findings, blocked: false };
}

/** The identity of every SecurityContext. */
function contextsOf({ ofKind }: Context): Identity[] {
  return ofKind('SecurityContext').map(({ identity }) => identity);
}

/** The common case at a small change of a large set: neither it nor what it uses is another object than before. */
function isUntouched(manifest: Manifest, before: Applied, { verdicts }: Context): boolean {
  if (manifest !== before.manifest || manifest.kind === 'TokenIssuer') return false;
  return before.uses.every((used) => {
    const { kind, tenant, name, key } = used.manifest;
    const hidden = tenant === null && manifest.tenant !== null;
    if (hidden && verdicts.has(keyOf({ kind, tenant: manifest.tenant, name }))) return false;
    return verdicts.get(key)?.applied === used;
  });
}

type Find = (kind: Kind, name: string) => Applied | Absent | { readonly bad: string };
interface Absent {
  readonly absent: true;
  readonly hint: Hint;
}

/** The tenant's own manifest, else the global one. */
function lookUp(
  kind: Kind,
  tenant: string | null,
  name: string,
  context: Context,
  uses: Map<string, Applied>,
): ReturnType<Find> {
  const own = tenant === null ? undefined : context.verdicts.get(keyOf({ kind, tenant, name }));
  const verdict = own ?? context.verdicts.get(keyOf({ kind, tenant: null, name }));
  if (verdict === undefined) return { absent: true, hint: () => hintFor(kind, tenant, name, context) };
  if (verdict.applied === null)
    return { bad: `${nameOf(verdict.identity)} is not valid (${verdict.file}:${verdict.line})` };
  uses.set(verdict.key, verdict.applied);
  return verdict.applied;
}

function hintFor(kind: Kind, tenant: string | null, name: string, { ofKind }: Context): string | null {
  const owner = ofKind(kind).find(({ identity }) => identity.name === name)?.identity.tenant;
  if (owner !== undefined && owner !== null)
    return `that of tenant ${owner} is for manifests of that tenant alone`;
  const seen = ofKind(kind).filter(({ identity }) => identity.tenant === null || identity.tenant === tenant);
  const near = suggest(
    name,
    seen.map(({ identity }) => identity.name),
  );
  return near === null ? null : `did you mean ${near}?`;
}

/** Whether all that it was compiled with is still what it would be compiled with. */
function sameUses(before: Applied, find: Find): boolean {
  return before.uses.every((used) => {
    const now = find(used.manifest.kind, used.manifest.name);
    return 'resource' in now && now.resource === used.resource;
  });
}

/** A fault of ours in one manifest does not stop the others either. */
function* compileSafely(
  manifest: Manifest,
  problems: Problems,
  find: Find,
  context: Context,
): Generator<void, Resource | null> {
  try {
    return yield* compileResource(manifest, problems, find, context);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    problems.error(
      '',
      'internal',
      `the gateway failed to compile this manifest: ${message}`,
      'please report it',
    );
    return null;
  }
}

function* compileResource(
  manifest: Manifest,
  problems: Problems,
  find: Find,
  { deps }: Context,
): Generator<void, Resource | null> {
  checkCredential(manifest, deps.bindings ?? true, problems);
  switch (manifest.kind) {
    case 'ApiSpec': {
      const compiled = compileApi(manifest as Manifest<'ApiSpec'>, problems, deps.indexFile);
      return compiled && { kind: 'ApiSpec', compiled };
    }
    case 'ToolWorkflow': {
      const tool = yield* compileWorkflow(manifest as Manifest<'ToolWorkflow'>, problems, (name) => {
        const api = find('ApiSpec', name);
        return 'resource' in api ? (api.resource as Extract<Resource, { kind: 'ApiSpec' }>).compiled : api;
      });
      return tool && { kind: 'ToolWorkflow', tool };
    }
    case 'CliTool': {
      const one = manifest as Manifest<'CliTool'>;
      const judge = findJudge(one, problems, find);
      return { kind: 'CliTool', tool: compileCliTool(one, problems, judge) };
    }
    case 'SecurityContext': {
      const context = compileContext(manifest as Manifest<'SecurityContext'>, problems);
      return { kind: 'SecurityContext', context };
    }
    case 'Tenant':
      return { kind: 'Tenant', tenant: compileTenant(manifest as Manifest<'Tenant'>, problems) };
    case 'SemanticJudge':
      return { kind: 'SemanticJudge', judge: compileJudge(manifest as Manifest<'SemanticJudge'>) };
    case 'TokenIssuer': {
      const issuer = compileIssuer(manifest as Manifest<'TokenIssuer'>, problems, deps.remoteKeys);
      return issuer && { kind: 'TokenIssuer', issuer };
    }
  }
}

function findJudge({ spec }: Manifest<'CliTool'>, problems: Problems, find: Find): Judge | null {
  if (spec.semantic_judge === undefined) return null;
  const judge = find('SemanticJudge', spec.semantic_judge);
  if ('resource' in judge) return (judge.resource as Extract<Resource, { kind: 'SemanticJudge' }>).judge;
  const message = `there is no SemanticJudge ${spec.semantic_judge} that this manifest may use`;
  if ('bad' in judge) problems.block('/spec/semantic_judge', judge.bad);
  else problems.error('/spec/semantic_judge', 'unknown-judge', message, judge.hint);
  return null;
}
