/**
 * Rate limits and concurrency slots of one gateway, in memory (code 2005; step 10 of docs/concepts.md). Where gateways
 * share a store they count together in it, with the intent of each call (docs/decisions/0015-postgres.md); what is here
 * then spares the store the calls that are too many anyway. Not rate-limiter-flexible: its memory store reads the wall
 * clock itself, sets a timer for every key and has no bound on keys; and its fixed window lets twice the limit through
 * around a boundary.
 */
import { type Clock, systemClock } from '../clock.ts';
import type { RateLimit } from '../snapshot/snapshot.ts';
import { type Burst, recent, waitMs, withCall } from './sliding-window.ts';

const MAX_KEYS = 100_000;

export interface RateVerdict {
  readonly allowed: boolean;
  /** Whole seconds until a call is allowed again, 1 at least; 0 when it is allowed now. */
  readonly retry_after_seconds: number;
}

export interface Limiter {
  /** Counts a call when the limit allows it; a refused call does not count. */
  take(key: string, limit: RateLimit): RateVerdict;
  /** What {@link Limiter.take} would answer, without counting. */
  own(key: string, limit: RateLimit): RateVerdict;
  /** The same, unless others have used up the limit: what can be known before the store is asked. */
  peek(key: string, limit: RateLimit): RateVerdict;
  /** Other gateways have used up the limit: nothing is allowed for so many milliseconds. */
  exhaust(key: string, limit: RateLimit, ms: number): RateVerdict;
  /** Takes one of `max` slots. The slot is free again when the function is called (once; more do nothing). */
  acquire(key: string, max: number): (() => void) | null;
}

const ALLOWED: RateVerdict = { allowed: true, retry_after_seconds: 0 };

/** Joins the parts of a key so that no two lists give one key. */
export function limitKey(...parts: readonly (string | null)[]): string {
  return JSON.stringify(parts);
}

/**
 * A sliding window: never more than `limit.calls` calls in any span of `limit.per_seconds`. Calls count for a key
 * and a span, so a changed `calls` applies to what was already counted. Past `maxKeys` keys the one that was
 * longest unused is forgotten.
 */
export function createLimiter(clock: Clock = systemClock, maxKeys: number = MAX_KEYS): Limiter {
  /** In order of use, the longest unused first. */
  const windows = new Map<string, readonly Burst[]>();
  /** Until when (monotonic milliseconds) others have used up a limit. */
  const exhausted = new Map<string, number>();
  const slots = new Map<string, number>();

  const windowKey = (key: string, limit: RateLimit): string => `${limit.per_seconds} ${key}`;
  const wait = (id: string, now: number, limit: RateLimit): number =>
    waitMs(recent(windows.get(id) ?? [], now, limit), now, limit);

  return {
    take(key, limit) {
      const now = clock.monotonic();
      const id = windowKey(key, limit);
      const bursts = recent(windows.get(id) ?? [], now, limit);
      const verdict = verdictOf(waitMs(bursts, now, limit));
      windows.delete(id);
      windows.set(id, verdict.allowed ? withCall(bursts, now, limit) : bursts);
      if (windows.size > maxKeys) windows.delete(windows.keys().next().value!);
      return verdict;
    },

    own: (key, limit) => verdictOf(wait(windowKey(key, limit), clock.monotonic(), limit)),

    peek(key, limit) {
      const now = clock.monotonic();
      const id = windowKey(key, limit);
      return verdictOf(Math.max(wait(id, now, limit), (exhausted.get(id) ?? 0) - now));
    },

    exhaust(key, limit, ms) {
      const id = windowKey(key, limit);
      exhausted.delete(id);
      exhausted.set(id, clock.monotonic() + ms);
      if (exhausted.size > maxKeys) exhausted.delete(exhausted.keys().next().value!);
      return verdictOf(ms);
    },

    acquire(key, max) {
      const held = slots.get(key) ?? 0;
      if (held >= max) return null;
      slots.set(key, held + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = slots.get(key)! - 1;
        if (left === 0) slots.delete(key);
        else slots.set(key, left);
      };
    },
  };
}

function verdictOf(wait_ms: number): RateVerdict {
  if (wait_ms <= 0) return ALLOWED;
  return { allowed: false, retry_after_seconds: Math.max(1, Math.ceil(wait_ms / 1000)) };
}
