/**
 * What a gateway must serve, told by the rules of the design alone: which manifest version is in force, and what status
 * says of each. It knows nothing of how the reconciler goes about it: every step looks at the whole tree anew.
 */
import { posix } from 'node:path';
import { type Doc, type Entry, type Kind, type Tree, textOf } from './tree.ts';

export type Status = 'Ready' | 'Stale' | 'Invalid' | 'Blocked';

/** A version that is in force. */
export interface InForce {
  readonly doc: Doc;
  readonly tenant: string | null;
  readonly file: string;
  /** Of an ApiSpec: its document. */
  readonly document: Extract<Entry, { is: 'document' }> | null;
  /** What it was compiled with: an ApiSpec or a SemanticJudge. */
  readonly uses: InForce | null;
}

export interface State {
  readonly in_force: ReadonlyMap<string, InForce>;
  readonly statuses: ReadonlyMap<string, Status>;
  /** Every manifest that status knows of, and where it was seen last. */
  readonly known: ReadonlyMap<string, { readonly file: string; readonly found: Found }>;
  /** Tools that the snapshot names although no version of them is in force, as "tool <tenant>/<name>". */
  readonly missing: readonly string[];
  readonly held: 'prune' | 'atomic' | null;
  /** The directory cannot be read. */
  readonly away: boolean;
  readonly degraded: boolean;
}

export interface Reading {
  /** null: the directory cannot be read. */
  readonly tree: Tree | null;
  readonly policy: 'keep-last-good' | 'atomic';
  /** The revision that is in force, which an annotation must name to confirm a removal. */
  readonly revision: string | null;
  /** The first reading of a process that was started with --allow-prune. */
  readonly allow_prune: boolean;
  /** This process serves nothing yet. */
  readonly first: boolean;
}

export const NOTHING: State = {
  ...{ in_force: new Map(), statuses: new Map(), known: new Map() },
  ...{ missing: [], held: null, away: false, degraded: false },
};

const RIGHTS: readonly Kind[] = ['SecurityContext', 'TokenIssuer', 'Tenant'];
const TOOLS: readonly Kind[] = ['ToolWorkflow', 'CliTool'];
/** What is needed comes before what needs it. */
const ORDER: readonly Kind[] = ['ApiSpec', 'SemanticJudge', ...RIGHTS, ...TOOLS];

/** A manifest that the tree holds, good or bad. */
interface Found {
  readonly kind: Kind;
  readonly tenant: string | null;
  readonly name: string;
  readonly file: string;
  /** null: no version of it can be used, whatever the others are. */
  readonly doc: Doc | null;
  readonly document: InForce['document'];
}

/** The process has ended and another one has started: what was in force still is, and nothing else is remembered. */
export function restarted({ in_force }: State): State {
  const known = [...in_force].map(([key, one]) => {
    const { kind, name } = one.doc;
    const found: Found = { ...{ kind, tenant: one.tenant, name, file: one.file }, doc: null, document: null };
    return [key, { file: one.file, found }] as const;
  });
  const statuses = new Map([...in_force.keys()].map((key): [string, Status] => [key, 'Stale']));
  return { ...NOTHING, in_force, known: new Map(known), statuses };
}

/** The state after one more look at the directory. */
export function next(before: State, reading: Reading): State {
  const { tree, policy } = reading;
  if (tree === null) return { ...before, away: true, degraded: true };
  const { found, loose } = look(tree, before);
  const { in_force, statuses } = judge(found, before.in_force);
  const bad = [...statuses.values()].filter((status) => status !== 'Ready').length + loose;
  const known = new Map([...found].map(([key, one]) => [key, { file: one.file, found: one }] as const));
  const held: State['held'] = removesTooMuch(before, found, in_force, reading)
    ? 'prune'
    : policy === 'atomic' && bad > 0
      ? 'atomic'
      : null;
  const whole = { held, away: false, degraded: held !== null || bad > 0 };
  if (held === null) return { ...whole, in_force, statuses, known, missing: missingOf(in_force, statuses) };
  const kept = hold(before, { in_force, statuses, known, found });
  const missing = reading.first ? missingOf(kept.in_force, kept.statuses) : before.missing;
  return { ...whole, ...kept, missing };
}

function removesTooMuch(
  { in_force: before }: State,
  found: ReadonlyMap<string, Found>,
  after: ReadonlyMap<string, InForce>,
  { allow_prune, revision }: Reading,
): boolean {
  const lost = [...before.keys()].filter((key) => !found.has(key)).length;
  const empties = before.size > 0 && found.size === 0;
  if (allow_prune || !(empties || (before.size >= 10 && lost > before.size / 2))) return false;
  const confirmed = [...after.values()].some(({ doc: { allow_prune: named } }) => {
    return named !== null && named.length >= 12 && revision?.startsWith(named) === true;
  });
  return !confirmed;
}

/** Nothing changes; what would have changed is shown as not in force yet. */
function hold(
  before: State,
  wanted: Pick<State, 'in_force' | 'statuses' | 'known'> & { readonly found: ReadonlyMap<string, Found> },
): Pick<State, 'in_force' | 'statuses' | 'known'> {
  const { in_force } = before;
  const statuses = new Map<string, Status>();
  const known = new Map(wanted.known);
  for (const [key, status] of wanted.statuses) {
    const [now, then] = [in_force.get(key), wanted.in_force.get(key)];
    const same = status === 'Ready' && now !== undefined && versionOf(now) === versionOf(then!);
    if (same) statuses.set(key, 'Ready');
    else if (now !== undefined) statuses.set(key, 'Stale');
    else statuses.set(key, status === 'Ready' || status === 'Blocked' ? 'Blocked' : 'Invalid');
  }
  for (const [key, one] of in_force) {
    if (statuses.has(key)) continue;
    statuses.set(key, 'Stale');
    const { kind, name } = one.doc;
    const found: Found = { ...{ kind, tenant: one.tenant, name, file: one.file }, doc: null, document: null };
    known.set(key, { file: one.file, found });
  }
  return { in_force, statuses, known };
}

/** Whose manifests the tree holds. */
function look(tree: Tree, before: State): { found: ReadonlyMap<string, Found>; loose: number } {
  const all = new Map<string, Found[]>();
  const broken = new Set<string>();
  let loose = 0;
  for (const [file, entry] of sorted(tree)) {
    if (entry.is === 'garbage' || entry.is === 'refused') {
      broken.add(file);
      loose += 1;
    }
    // It may be half-written; only a warning tells of it.
    if (entry.is === 'manifests' && entry.docs.length === 0) broken.add(file);
    for (const one of entry.is === 'manifests' ? entry.docs : []) {
      const owner = /^tenants\/([^/]+)\/./.exec(file)?.[1] ?? null;
      if (one.kind === 'Tenant' && owner !== null) {
        // No tenant makes tenants: it says who it is in vain.
        broken.add(file);
        loose += 1;
        continue;
      }
      const tenant = one.kind === 'Tenant' ? null : (owner ?? one.tenant);
      const stranger =
        one.tenant !== null && (one.kind === 'Tenant' || (owner !== null && one.tenant !== owner));
      const document =
        one.kind === 'ApiSpec' ? tree.get(posix.join(posix.dirname(file), one.document)) : null;
      const isMissing = document !== null && document?.is !== 'document';
      const bad = one.fault === 'schema' || isSchemaFault(one) || stranger || isMissing;
      const key = keyOf(one.kind, tenant, one.name);
      const found: Found = {
        ...{ kind: one.kind, tenant, name: one.name, file },
        doc: bad ? null : one,
        document: document?.is === 'document' ? document : null,
      };
      all.set(key, [...(all.get(key) ?? []), found]);
    }
  }
  const found = new Map([...all].map(([key, copies]) => [key, unite(copies)] as const));
  for (const [key, { file, found: one }] of before.known) {
    if (!found.has(key) && isBelow(file, broken)) found.set(key, { ...one, file, doc: null });
  }
  return { found: withoutClashes(found), loose };
}

/** A judge has nothing that is compiled. */
function isSchemaFault({ kind, fault }: Doc): boolean {
  return kind === 'SemanticJudge' && fault !== null;
}

/** Copies are one; of two that differ neither counts. */
function unite(copies: readonly Found[]): Found {
  const contents = new Set(copies.map(({ doc, document }) => doc && textOf(doc) + JSON.stringify(document)));
  return contents.size === 1 ? copies[0]! : { ...copies[0]!, doc: null };
}

function isBelow(file: string, broken: ReadonlySet<string>): boolean {
  return [...broken].some((path) => file === path || file.startsWith(`${path}/`));
}

/** Workflows and CLI tools share their names, and a tenant may not shadow a global tool. */
function withoutClashes(found: ReadonlyMap<string, Found>): ReadonlyMap<string, Found> {
  const clashes = ({ kind, tenant, name }: Found): boolean =>
    TOOLS.includes(kind) &&
    TOOLS.some(
      (other) =>
        (other !== kind && found.has(keyOf(other, tenant, name))) ||
        (tenant !== null && found.has(keyOf(other, null, name))),
    );
  return new Map([...found].map(([key, one]) => [key, clashes(one) ? { ...one, doc: null } : one]));
}

function judge(
  found: ReadonlyMap<string, Found>,
  before: ReadonlyMap<string, InForce>,
): Pick<State, 'in_force' | 'statuses'> {
  const in_force = new Map<string, InForce>();
  const statuses = new Map<string, Status>();
  const issuers = Map.groupBy(
    [...found.values()].filter(({ kind, doc }) => kind === 'TokenIssuer' && doc !== null),
    ({ doc }) => doc!.iss,
  );
  for (const kind of ORDER) {
    for (const [key, one] of found) {
      if (one.kind !== kind) continue;
      const wanted = one.doc === null ? 'bad' : compile(one as Sound, found, in_force, issuers);
      if (typeof wanted !== 'string') {
        in_force.set(key, wanted);
        statuses.set(key, 'Ready');
        continue;
      }
      const last = RIGHTS.includes(kind) || isShadow(one, found) ? undefined : before.get(key);
      if (last === undefined) {
        statuses.set(key, wanted === 'blocked' ? 'Blocked' : 'Invalid');
        continue;
      }
      // It goes on with what it needs as that is now; as that was, when the two no longer fit.
      const again = compile({ ...one, ...last }, found, in_force, issuers);
      in_force.set(key, typeof again === 'string' ? last : again);
      statuses.set(key, 'Stale');
    }
  }
  return { in_force, statuses };
}

type Sound = Found & { readonly doc: Doc };

/** `blocked`: it would be good if what it needs were. */
function compile(
  { doc, tenant, file, document }: Sound,
  found: ReadonlyMap<string, Found>,
  in_force: ReadonlyMap<string, InForce>,
  issuers: ReadonlyMap<string, readonly Found[]>,
): InForce | 'bad' | 'blocked' {
  const whole = { doc, tenant, file, document: doc.kind === 'ApiSpec' ? document : null };
  if (doc.fault !== null || (document !== null && document.operations === null)) return 'bad';
  if (doc.kind === 'TokenIssuer') {
    // One iss leads to one issuer; no tenant takes the global one from all.
    const others = issuers
      .get(doc.iss)!
      .filter((other) => other.name !== doc.name || other.tenant !== tenant);
    if (others.some((other) => tenant !== null || other.tenant === null)) return 'bad';
  }
  if (doc.needs === null) return { ...whole, uses: null };
  const needed: Kind = doc.kind === 'ToolWorkflow' ? 'ApiSpec' : 'SemanticJudge';
  const own = keyOf(needed, tenant, doc.needs);
  const key = found.has(own) ? own : keyOf(needed, null, doc.needs);
  if (!found.has(key)) return 'bad';
  const uses = in_force.get(key);
  if (uses === undefined) return 'blocked';
  if (doc.kind === 'ToolWorkflow' && !uses.document!.operations!.includes(doc.operation)) return 'bad';
  return { ...whole, uses };
}

/** A tenant's tool gives way to a global one also when it was there first. */
function isShadow({ kind, tenant, name }: Found, found: ReadonlyMap<string, Found>): boolean {
  return TOOLS.includes(kind) && tenant !== null && TOOLS.some((one) => found.has(keyOf(one, null, name)));
}

export function keyOf(kind: Kind, tenant: string | null, name: string): string {
  return `${kind}/${tenant ?? ''}/${name}`;
}

/** Two are the same version when nobody could tell them apart. */
export function versionOf({ doc, document }: InForce): string {
  return JSON.stringify([textOf(doc), document]);
}

function sorted(tree: Tree): [string, Entry][] {
  return [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What a snapshot holds, and what status says, in words that can be compared. */
export function expectation(state: State): Readonly<Record<string, unknown>> {
  const { in_force, statuses, missing, held, away, degraded } = state;
  const seen: Record<string, string> = {};
  for (const { doc, tenant, uses } of in_force.values()) {
    const name = `${tenant ?? ''}/${doc.name}`;
    if (doc.kind === 'ToolWorkflow')
      seen[`tool ${name}`] =
        `workflow ${doc.tag} by ${uses!.doc.tag} /${uses!.document!.tag}/${doc.operation}/{id}`;
    else if (doc.kind === 'CliTool') seen[`tool ${name}`] = `cli ${doc.tag}`;
    else if (doc.kind === 'SecurityContext') seen[`context ${name}`] = doc.tag;
    else if (doc.kind === 'Tenant') seen[`tenant ${doc.name}`] = `${doc.tag} ${doc.suspended}`;
    else if (doc.kind === 'TokenIssuer') seen[`issuer ${doc.iss}`] = `${name} ${doc.tag}`;
    else seen[`${doc.kind} ${name}`] = doc.tag;
  }
  for (const name of missing) seen[name] = 'unavailable';
  return { seen, statuses: Object.fromEntries(statuses), held: away ? null : held, away, degraded };
}

/** A tool that cannot run is there by name, unless another one has the name. */
function missingOf(
  in_force: ReadonlyMap<string, InForce>,
  statuses: ReadonlyMap<string, Status>,
): readonly string[] {
  const tools = (keys: Iterable<string>): { tenant: string; name: string }[] =>
    [...keys].flatMap((key) => {
      const [kind, tenant = '', name = ''] = key.split('/');
      return kind === 'ToolWorkflow' || kind === 'CliTool' ? [{ tenant, name }] : [];
    });
  const there = new Set(tools(in_force.keys()).map(({ tenant, name }) => `tool ${tenant}/${name}`));
  const missing = new Set<string>();
  const all = tools([...statuses.keys()].filter((key) => !in_force.has(key)));
  for (const { tenant, name } of [...all.filter((one) => one.tenant === ''), ...all]) {
    const [own, global] = [`tool ${tenant}/${name}`, `tool /${name}`];
    if (![own, global].some((one) => there.has(one) || missing.has(one))) missing.add(own);
  }
  return [...missing];
}
