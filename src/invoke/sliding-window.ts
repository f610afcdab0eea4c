/**
 * How many calls passed in the last span, without a boundary at which twice the limit could pass. Small limits keep
 * the time of every call and are exact; large ones keep calls that are close together as one burst, so that a key's
 * memory does not grow with its limit.
 */
import type { RateLimit } from '../snapshot/snapshot.ts';

/** Bursts that one span holds at most, one more where it ends within a burst. */
export const MAX_BURSTS = 128;

/** Calls close together; the youngest dates them all, so that none is forgotten too early. */
export interface Burst {
  readonly first: number;
  readonly last: number;
  readonly calls: number;
}

/** The bursts that the span before `now` (monotonic milliseconds) has not left behind, the oldest first. */
export function recent(bursts: readonly Burst[], now: number, limit: RateLimit): readonly Burst[] {
  const start = bursts.findIndex((burst) => now - burst.last < spanMs(limit));
  if (start === 0) return bursts;
  return start < 0 ? [] : bursts.slice(start);
}

/** Milliseconds until one more call fits in the limit; 0: it fits now. `bursts` are the {@link recent} ones. */
export function waitMs(bursts: readonly Burst[], now: number, limit: RateLimit): number {
  let calls = bursts.reduce((sum, burst) => sum + burst.calls, 0);
  if (calls < limit.calls) return 0;
  for (const burst of bursts) {
    calls -= burst.calls;
    if (calls < limit.calls) return spanMs(limit) - (now - burst.last);
  }
  // A limit of no calls: there is nothing to wait for.
  return spanMs(limit);
}

/** The bursts with a call at `now` added. */
export function withCall(bursts: readonly Burst[], now: number, limit: RateLimit): readonly Burst[] {
  const newest = bursts.at(-1);
  // Calls of one instant leave the span together, so that even an exact window may keep them as one.
  const together = limit.calls <= MAX_BURSTS ? 0 : spanMs(limit) / MAX_BURSTS;
  if (newest === undefined || now - newest.first > together) {
    return [...bursts, { first: now, last: now, calls: 1 }];
  }
  return [...bursts.slice(0, -1), { first: newest.first, last: now, calls: newest.calls + 1 }];
}

function spanMs(limit: RateLimit): number {
  return limit.per_seconds * 1000;
}
