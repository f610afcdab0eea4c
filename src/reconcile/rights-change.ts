/** One right that a change of configuration grants or takes. What cannot be told apart is called a widening. */
import type { RateLimit } from '../snapshot/snapshot.ts';

export interface RightsChange {
  readonly direction: 'widened' | 'narrowed';
  /** A tool, or the rule: `deny_list`, `customer.* path_allowlist`. */
  readonly what: string;
  readonly detail: string;
}

export function widened(what: string, detail: string): RightsChange {
  return { direction: 'widened', what, detail };
}

export function narrowed(what: string, detail: string): RightsChange {
  return { direction: 'narrowed', what, detail };
}

/** A list that constrains when it is there: its entries widen, its absence allows all. */
export function diffAllowlist(
  what: string,
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
): RightsChange[] {
  if (before === undefined)
    return after === undefined ? [] : [narrowed(what, `added: ${after.join(', ') || 'nothing'}`)];
  if (after === undefined)
    return [widened(what, `removed: no longer constrains (was ${before.join(', ') || 'nothing'})`)];
  return [
    ...missing([...new Set(after)], before).map((entry) => widened(what, `gains ${entry}`)),
    ...missing([...new Set(before)], after).map((entry) => narrowed(what, `loses ${entry}`)),
  ];
}

/** undefined: no limit. */
export function diffLimit(
  what: string,
  before: number | undefined,
  after: number | undefined,
): RightsChange[] {
  if (before === after) return [];
  const change =
    (after ?? Number.POSITIVE_INFINITY) > (before ?? Number.POSITIVE_INFINITY) ? widened : narrowed;
  return [change(what, `${before ?? 'no limit'} -> ${after ?? 'no limit'}`)];
}

/** undefined: no limit. */
export function diffRate(
  what: string,
  before: RateLimit | undefined,
  after: RateLimit | undefined,
): RightsChange[] {
  if (shown(before) === shown(after)) return [];
  return [(isWithin(after, before) ? narrowed : widened)(what, `${shown(before)} -> ${shown(after)}`)];
}

/** Whether whoever keeps to the one keeps to the other: also to its number of calls at once. */
function isWithin(limit: RateLimit | undefined, other: RateLimit | undefined): boolean {
  if (limit === undefined || other === undefined) return other === undefined;
  return limit.calls * Math.ceil(other.per_seconds / limit.per_seconds) <= other.calls;
}

function shown(limit: RateLimit | undefined): string {
  if (limit === undefined) return 'no limit';
  return `${limit.calls} ${limit.calls === 1 ? 'call' : 'calls'} in ${limit.per_seconds} s`;
}

/** The entries of `all` that `of` lacks; of equal ones, as many as there are more. */
export function missing(all: readonly string[], of: readonly string[]): string[] {
  const rest = [...of];
  return all.filter((entry) => {
    const at = rest.indexOf(entry);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** As JSON, whatever the order of keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
