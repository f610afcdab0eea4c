/**
 * What a change of configuration grants and takes: for each security context the tools it gains or loses, and how
 * each of its rules changed. What cannot be told apart is called a widening: a reviewer looks once too often.
 */
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import { permitsName } from '../policy/evaluate.ts';
import type { SecurityContext } from '../snapshot/snapshot.ts';

type Spec = SpecOf<'SecurityContext'>;
type WrittenCapability = Spec['capabilities'][number];

export interface RightsChange {
  readonly direction: 'widened' | 'narrowed';
  /** A tool, or the rule: `deny_list`, `customer.* path_allowlist`. */
  readonly what: string;
  readonly detail: string;
}

export interface RightsDiff {
  readonly tenant: string | null;
  readonly name: string;
  readonly changes: readonly RightsChange[];
}

/** A context on one side; null: it grants nothing there. */
export interface ContextSide {
  readonly manifest: Manifest<'SecurityContext'>;
  readonly context: SecurityContext;
  /** Names of the tools that its bearers see. */
  readonly tools: readonly string[];
}

export function diffRights(before: ContextSide | null, after: ContextSide | null): RightsChange[] {
  return [
    ...diffTools(before, after),
    ...diffRules(before?.manifest.spec ?? null, after?.manifest.spec ?? null),
  ];
}

function diffTools(before: ContextSide | null, after: ContextSide | null): RightsChange[] {
  const allowed = (side: ContextSide | null): Set<string> =>
    new Set(side?.tools.filter((tool) => permitsName(side.context, tool, null)) ?? []);
  const [old, now] = [allowed(before), allowed(after)];
  const gained = [...now].filter((tool) => !old.has(tool)).sort();
  const lost = [...old].filter((tool) => !now.has(tool)).sort();
  return [
    ...gained.map((tool) => ({ direction: 'widened' as const, what: tool, detail: 'may be called' })),
    ...lost.map((tool) => ({
      direction: 'narrowed' as const,
      what: tool,
      detail: 'may no longer be called',
    })),
  ];
}

function diffRules(before: Spec | null, after: Spec | null): RightsChange[] {
  const changes: RightsChange[] = [];
  const [denied, denies] = [before?.deny_list ?? [], after?.deny_list ?? []];
  if (after !== null)
    for (const entry of missing(denied, denies))
      changes.push(widened('deny_list', `no longer denies ${entry}`));
  if (before !== null)
    for (const entry of missing(denies, denied)) changes.push(narrowed('deny_list', `denies ${entry}`));
  const [old, now] = [byPattern(before), byPattern(after)];
  for (const pattern of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    changes.push(...diffCapabilities(pattern, old.get(pattern) ?? [], now.get(pattern) ?? []));
  }
  return changes;
}

function byPattern(spec: Spec | null): Map<string, WrittenCapability[]> {
  const groups = new Map<string, WrittenCapability[]>();
  for (const capability of spec?.capabilities ?? []) {
    groups.set(capability.tool_pattern, [...(groups.get(capability.tool_pattern) ?? []), capability]);
  }
  return groups;
}

/** One capability each side is compared field by field; several of one pattern as wholes. */
function diffCapabilities(
  pattern: string,
  before: readonly WrittenCapability[],
  after: readonly WrittenCapability[],
): RightsChange[] {
  const [old] = before;
  const [now] = after;
  if (before.length === 1 && after.length === 1) return diffCapability(pattern, old!, now!);
  const [had, has] = [before.map(texts), after.map(texts)];
  return [
    ...missing(has, had).map((text) => widened(pattern, `capability added: ${text}`)),
    ...missing(had, has).map((text) => narrowed(pattern, `capability removed: ${text}`)),
  ];
}

const LISTS = ['path_allowlist', 'command_allowlist', 'subcommand_allowlist', 'domain_allowlist'] as const;

function diffCapability(
  pattern: string,
  before: WrittenCapability,
  after: WrittenCapability,
): RightsChange[] {
  const changes: RightsChange[] = [];
  for (const field of LISTS) {
    const what = `${pattern} ${field}`;
    const [old, now] = [before[field], after[field]];
    if (now === undefined && old !== undefined)
      changes.push(widened(what, `removed: no longer constrains (was ${old.join(', ')})`));
    else if (old === undefined && now !== undefined) changes.push(narrowed(what, `added: ${now.join(', ')}`));
    for (const entry of old === undefined ? [] : missing(now ?? [], old))
      changes.push(widened(what, `gains ${entry}`));
    for (const entry of now === undefined ? [] : missing(old ?? [], now))
      changes.push(narrowed(what, `loses ${entry}`));
  }
  const rate = ({ rate_limit: limit }: WrittenCapability): number =>
    limit === undefined ? Number.POSITIVE_INFINITY : limit.calls / limit.per_seconds;
  const limit = ({ rate_limit: written }: WrittenCapability): string =>
    written === undefined ? 'no limit' : `${written.calls} calls in ${written.per_seconds} s`;
  compare(changes, `${pattern} rate_limit`, rate(before), rate(after), limit(before), limit(after));
  const size = ({ max_response_size: bytes }: WrittenCapability): number => bytes ?? Number.POSITIVE_INFINITY;
  compare(
    changes,
    `${pattern} max_response_size`,
    size(before),
    size(after),
    String(size(before)),
    String(size(after)),
  );
  if (before.allow_human_delegated !== after.allow_human_delegated) {
    const allows = after.allow_human_delegated === true;
    changes.push(
      (allows ? widened : narrowed)(
        `${pattern} allow_human_delegated`,
        allows ? 'allowed' : 'no longer allowed',
      ),
    );
  }
  for (const field of ['arguments', 'path_arguments', 'url_arguments'] as const) {
    if (JSON.stringify(before[field]) === JSON.stringify(after[field])) continue;
    const only = before[field] === undefined && field === 'arguments';
    changes.push(
      (only ? narrowed : widened)(`${pattern} ${field}`, only ? 'added' : 'changed: look at it closely'),
    );
  }
  return changes;
}

function compare(
  changes: RightsChange[],
  what: string,
  before: number,
  after: number,
  was: string,
  is: string,
): void {
  if (was === is) return;
  changes.push((after >= before ? widened : narrowed)(what, `${was} -> ${is}`));
}

function texts(capability: WrittenCapability): string {
  const { tool_pattern: _, ...rest } = capability;
  return Object.keys(rest).length === 0 ? 'without constraints' : JSON.stringify(rest);
}

/** The entries of `all` that `of` lacks. */
function missing(all: readonly string[], of: readonly string[]): string[] {
  return all.filter((entry) => !of.includes(entry));
}

function widened(what: string, detail: string): RightsChange {
  return { direction: 'widened', what, detail };
}

function narrowed(what: string, detail: string): RightsChange {
  return { direction: 'narrowed', what, detail };
}
