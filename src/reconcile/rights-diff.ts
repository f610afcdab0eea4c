/**
 * What a change of a security context grants and takes: the tools and subcommands that its bearers gain or lose, and
 * how each of its rules changed. When nothing here is a widening, no call is allowed that was denied before.
 */
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import { permitsCommand, permitsName, permitsSubcommand } from '../policy/evaluate.ts';
import { EXPLORE, type SecurityContext } from '../snapshot/snapshot.ts';
import {
  canonical,
  diffAllowlist,
  diffLimit,
  diffRate,
  missing,
  narrowed,
  type RightsChange,
  widened,
} from './rights-change.ts';

type Spec = SpecOf<'SecurityContext'>;
type WrittenCapability = Spec['capabilities'][number];

/** A tool that bearers of a context see. */
export interface SeenTool {
  readonly name: string;
  /** Of a CLI tool; null: it has none. */
  readonly subcommands: readonly string[] | null;
  /** What decides what it does and which arguments it takes: by manifest, its own and those that it uses. */
  readonly definition?: ReadonlyMap<string, string>;
}

/** An API whose operations bearers of a context may explore, as far as the API is concerned. */
export interface SeenApi {
  /** null: every tenant sees it. */
  readonly tenant: string | null;
  readonly name: string;
  /** Ids. */
  readonly operations: readonly string[];
}

/** A context on one side; null: it grants nothing there. */
export interface ContextSide {
  readonly manifest: Pick<Manifest<'SecurityContext'>, 'spec'>;
  readonly context: SecurityContext;
  readonly tools: readonly SeenTool[];
  readonly apis?: readonly SeenApi[];
}

/** Operations of one API that a change names; the rest is counted. */
const MAX_NAMED = 10;

export function diffRights(before: ContextSide | null, after: ContextSide | null): RightsChange[] {
  const [old, now] = [permitted(before), permitted(after)];
  return [
    ...missing(now, old).map((call) => widened(call, 'may be called')),
    ...missing(old, now).map((call) => narrowed(call, 'may no longer be called')),
    ...diffDefinitions(before, after),
    ...diffExplorable(explorable(before), explorable(after)),
    ...diffRules(before?.manifest.spec ?? null, after?.manifest.spec ?? null),
  ];
}

/** The names of tools that may be called, and `kubectl get` for each subcommand. */
function permitted(side: ContextSide | null): string[] {
  if (side === null) return [];
  const { context, tools } = side;
  const names = tools.flatMap(({ name, subcommands }) => {
    if (!permitsName(context, name, null)) return [];
    const words = (subcommands ?? []).filter((word) => permitsSubcommand(context, name, word));
    return [name, ...words.map((word) => `${name} ${word}`)];
  });
  return [...new Set(names)].sort();
}

/** Tools that may be called before and after, and are not what they were: what they do now cannot be told from here. */
function diffDefinitions(before: ContextSide | null, after: ContextSide | null): RightsChange[] {
  const [old, now] = [definitions(before), definitions(after)];
  return [...now].flatMap(([name, parts]) => {
    const earlier = old.get(name);
    if (earlier === undefined) return [];
    const all = [...new Set([...earlier.keys(), ...parts.keys()])].sort();
    const changed = all.filter((part) => earlier.get(part) !== parts.get(part));
    if (changed.length === 0) return [];
    return [widened(name, `may do something else, or take other arguments: ${changed.join(', ')} changed`)];
  });
}

/** By name of a tool that may be called; of several tenants, all that have one of this name. */
function definitions(side: ContextSide | null): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const found = new Map<string, Map<string, string>>();
  for (const { name, definition } of side?.tools ?? []) {
    if (definition === undefined || !permitsName(side!.context, name, null)) continue;
    found.set(name, new Map([...(found.get(name) ?? []), ...definition]));
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The operations that may be explored, by API. An API has many, so it is one change for all of them. */
function explorable(side: ContextSide | null): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  if (side === null || !permitsName(side.context, EXPLORE, null)) return found;
  for (const { tenant, name, operations } of side.apis ?? []) {
    const what = `${EXPLORE} ${name}${tenant === null ? '' : ` of tenant ${tenant}`}`;
    found.set(
      what,
      operations.filter((id) => permitsCommand(side.context, EXPLORE, `${name}:${id}`)),
    );
  }
  return found;
}

function diffExplorable(
  before: ReadonlyMap<string, readonly string[]>,
  after: ReadonlyMap<string, readonly string[]>,
): RightsChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((what) => {
    const [old, now] = [new Set(before.get(what)), new Set(after.get(what))];
    const come = [...now].filter((id) => !old.has(id));
    const gone = [...old].filter((id) => !now.has(id));
    return [
      ...(come.length > 0 ? [widened(what, `${named(come)} may be explored`)] : []),
      ...(gone.length > 0 ? [narrowed(what, `${named(gone)} may no longer be explored`)] : []),
    ];
  });
}

function named(operations: readonly string[]): string {
  const more = operations.length - MAX_NAMED;
  return `${operations.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function diffRules(before: Spec | null, after: Spec | null): RightsChange[] {
  const changes: RightsChange[] = [];
  const [denied, denies] = [before?.deny_list ?? [], after?.deny_list ?? []].map((list) => [
    ...new Set(list),
  ]);
  if (after !== null)
    changes.push(
      ...missing(denied!, denies!).map((entry) => widened('deny_list', `no longer denies ${entry}`)),
    );
  if (before !== null)
    changes.push(...missing(denies!, denied!).map((entry) => narrowed('deny_list', `denies ${entry}`)));
  const [old, now] = [byPattern(before), byPattern(after)];
  for (const pattern of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [had, has] = [old.get(pattern) ?? [], now.get(pattern) ?? []];
    changes.push(...diffCapabilities(pattern, had, has));
    if (after !== null && denies!.some((entry) => entry.includes(':')))
      changes.push(...diffDeniedArguments(pattern, had, has));
  }
  return changes;
}

function byPattern(spec: Spec | null): Map<string, WrittenCapability[]> {
  return Map.groupBy(spec?.capabilities ?? [], ({ tool_pattern }) => tool_pattern);
}

/**
 * A deny entry with a value is held against the arguments that the capabilities of the tool name as paths: to take
 * such a capability away denies less.
 */
function diffDeniedArguments(
  pattern: string,
  before: readonly WrittenCapability[],
  after: readonly WrittenCapability[],
): RightsChange[] {
  const named = (list: readonly WrittenCapability[]): string[] =>
    list.flatMap((capability) => capability.path_arguments ?? []);
  const held = new Set(['path', ...named(after)]);
  const lost = new Set(named(before).filter((name) => !held.has(name)));
  return [...lost].map((name) => widened(pattern, `deny_list no longer sees the argument ${name}`));
}

/** Those that are on both sides are left out; one that is left on each is compared field by field, more as wholes. */
function diffCapabilities(
  pattern: string,
  before: readonly WrittenCapability[],
  after: readonly WrittenCapability[],
): RightsChange[] {
  const [had, has] = [before.map(textOf), after.map(textOf)];
  const [gone, come] = [missing(had, has), missing(has, had)];
  if (gone.length === 1 && come.length === 1) {
    const old = before[had.indexOf(gone[0]!)]!;
    const now = after[has.indexOf(come[0]!)]!;
    return diffCapability(pattern, old, now);
  }
  return [
    ...come.map((text) => widened(pattern, `capability added: ${text}`)),
    ...gone.map((text) => narrowed(pattern, `capability removed: ${text}`)),
  ];
}

const LISTS = ['path_allowlist', 'command_allowlist', 'subcommand_allowlist', 'domain_allowlist'] as const;

function diffCapability(
  pattern: string,
  before: WrittenCapability,
  after: WrittenCapability,
): RightsChange[] {
  const changes = LISTS.flatMap((field) => diffAllowlist(`${pattern} ${field}`, before[field], after[field]));
  changes.push(
    ...diffRate(`${pattern} rate_limit`, before.rate_limit, after.rate_limit),
    ...diffLimit(`${pattern} max_response_size`, before.max_response_size, after.max_response_size),
  );
  const [delegated, delegates] = [before, after].map((one) => one.allow_human_delegated ?? false);
  if (delegated !== delegates) {
    const what = `${pattern} allow_human_delegated`;
    changes.push(delegates ? widened(what, 'allowed') : narrowed(what, 'no longer allowed'));
  }
  changes.push(...diffSchema(`${pattern} arguments`, before.arguments, after.arguments));
  for (const [field, fallback] of [
    ['path_arguments', ['path']],
    ['url_arguments', ['url']],
  ] as const) {
    const [old, now] = [before[field] ?? fallback, after[field] ?? fallback];
    // To look at other arguments is to look no longer at those.
    if (canonical(old) !== canonical(now))
      changes.push(
        widened(`${pattern} ${field}`, `${old.join(', ')} -> ${now.join(', ')}: look at it closely`),
      );
  }
  return changes;
}

/** Which of two schemas allows more is not for a program to say. */
function diffSchema(what: string, before: object | undefined, after: object | undefined): RightsChange[] {
  if (canonical(before ?? null) === canonical(after ?? null)) return [];
  if (before === undefined) return [narrowed(what, 'added')];
  return [
    widened(what, after === undefined ? 'removed: no longer constrains' : 'changed: look at it closely'),
  ];
}

function textOf(capability: WrittenCapability): string {
  const { tool_pattern: _, ...rest } = capability;
  return Object.keys(rest).length === 0 ? 'without constraints' : canonical(rest);
}
