/**
 * Rate limits and concurrency slots of one gateway, in memory (design section 4, code 2005; protocol section 3,
 * step 10). Not rate-limiter-flexible: its memory store reads the wall clock itself, sets a timer for every key
 * and has no bound on keys; and its fixed window lets twice the limit through around a boundary.
 */
import { type Clock, systemClock } from '../clock.ts';
import type { RateLimit } from '../snapshot/snapshot.ts';

const MAX_KEYS = 100_000;
/** Calls closer together than this part of the window are kept as one entry, which bounds a key's memory. */
const RESOLUTION = 16;

export interface RateVerdict {
  readonly allowed: boolean;
  /** Whole seconds until a call is allowed again, 1 at least; 0 when it is allowed now. */
  readonly retry_after_seconds: number;
}

export interface Limiter {
  /** Counts a call when the limit allows it; a refused call does not count. */
  take(key: string, limit: RateLimit): RateVerdict;
  /** What {@link Limiter.take} would answer, without counting. */
  peek(key: string, limit: RateLimit): RateVerdict;
  /** Takes one of `max` slots. The slot is free again when the function is called (once; more do nothing). */
  acquire(key: string, max: number): (() => void) | null;
}

/** Some calls close together; the youngest dates them all, so that no call is forgotten too early. */
interface Burst {
  readonly first: number;
  last: number;
  calls: number;
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
  const windows = new Map<string, Burst[]>();
  const slots = new Map<string, number>();

  const windowKey = (key: string, limit: RateLimit): string => `${limit.per_seconds} ${key}`;

  return {
    take(key, limit) {
      const now = clock.monotonic();
      const id = windowKey(key, limit);
      const bursts = recent(windows.get(id), now, limit);
      const verdict = judge(bursts, now, limit);
      if (verdict.allowed) count(bursts, now, limit);
      windows.delete(id);
      if (bursts.length > 0) windows.set(id, bursts);
      if (windows.size > maxKeys) windows.delete(windows.keys().next().value!);
      return verdict;
    },

    peek(key, limit) {
      const now = clock.monotonic();
      return judge(recent(windows.get(windowKey(key, limit)), now, limit), now, limit);
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

function spanMs(limit: RateLimit): number {
  return limit.per_seconds * 1000;
}

function recent(bursts: readonly Burst[] | undefined, now: number, limit: RateLimit): Burst[] {
  return (bursts ?? []).filter((burst) => now - burst.last < spanMs(limit));
}

function judge(bursts: readonly Burst[], now: number, limit: RateLimit): RateVerdict {
  let calls = bursts.reduce((sum, burst) => sum + burst.calls, 0);
  if (calls < limit.calls) return ALLOWED;
  let freeAt = now + spanMs(limit);
  for (const burst of bursts) {
    if (calls < limit.calls) break;
    calls -= burst.calls;
    freeAt = burst.last + spanMs(limit);
  }
  return { allowed: false, retry_after_seconds: Math.max(1, Math.ceil((freeAt - now) / 1000)) };
}

function count(bursts: Burst[], now: number, limit: RateLimit): void {
  const newest = bursts.at(-1);
  if (newest !== undefined && now - newest.first < spanMs(limit) / RESOLUTION) {
    newest.last = now;
    newest.calls += 1;
  } else {
    bursts.push({ first: now, last: now, calls: 1 });
  }
}
