import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { createLimiter, limitKey } from '../../src/invoke/limit.ts';

/** A clock that stands until it is moved; the wall clock runs astray, since no limit may depend on it. */
function standingClock(): Clock & { ms: number } {
  return {
    ms: 5000,
    now: () => Math.random() * 1e12,
    monotonic() {
      return this.ms;
    },
  };
}

const LIMIT = { calls: 3, per_seconds: 60 };
const OK = { allowed: true, retry_after_seconds: 0 };

describe('a rate limit', () => {
  test('lets its calls through and no more', () => {
    const limiter = createLimiter(standingClock());
    const takes = [1, 2, 3, 4, 5].map(() => limiter.take('a', LIMIT).allowed);
    expect(takes).toEqual([true, true, true, false, false]);
  });

  test('lets calls through again when the span is over, not before', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock);
    for (let i = 0; i < 3; i += 1) limiter.take('a', LIMIT);
    clock.ms += 59_999;
    expect(limiter.take('a', LIMIT)).toEqual({ allowed: false, retry_after_seconds: 1 });
    clock.ms += 1;
    expect(limiter.take('a', LIMIT)).toEqual(OK);
  });

  test('says how many whole seconds to wait', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock);
    limiter.take('a', LIMIT);
    clock.ms += 10_000;
    limiter.take('a', LIMIT);
    limiter.take('a', LIMIT);
    clock.ms += 500;
    expect(limiter.take('a', LIMIT)).toEqual({ allowed: false, retry_after_seconds: 50 });
    clock.ms += 49_500;
    expect(limiter.take('a', LIMIT)).toEqual(OK);
    expect(limiter.take('a', LIMIT)).toEqual({ allowed: false, retry_after_seconds: 10 });
  });

  test('does not count what it refused', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock);
    for (let i = 0; i < 60; i += 1) {
      limiter.take('a', LIMIT);
      clock.ms += 1000;
    }
    expect(limiter.take('a', LIMIT)).toEqual(OK);
  });

  test('has no boundary at which twice the calls pass', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock);
    limiter.take('a', LIMIT);
    clock.ms += 59_000;
    limiter.take('a', LIMIT);
    limiter.take('a', LIMIT);
    clock.ms += 1000;
    expect([1, 2, 3].map(() => limiter.take('a', LIMIT).allowed)).toEqual([true, false, false]);
  });

  test('counts each key apart', () => {
    const limiter = createLimiter(standingClock());
    for (let i = 0; i < 4; i += 1) limiter.take('a', LIMIT);
    expect(limiter.take('b', LIMIT)).toEqual(OK);
  });

  test('counts each span apart, and a changed number of calls applies at once', () => {
    const limiter = createLimiter(standingClock());
    for (let i = 0; i < 3; i += 1) limiter.take('a', LIMIT);
    expect(limiter.peek('a', { calls: 3, per_seconds: 3600 })).toEqual(OK);
    expect(limiter.peek('a', { calls: 4, per_seconds: 60 })).toEqual(OK);
    expect(limiter.peek('a', { calls: 2, per_seconds: 60 }).allowed).toBe(false);
  });

  test('of a lowered limit is free when enough calls have passed out of the span', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock);
    for (let i = 0; i < 3; i += 1) {
      limiter.take('a', LIMIT);
      clock.ms += 10_000;
    }
    expect(limiter.peek('a', { calls: 1, per_seconds: 60 })).toEqual({
      allowed: false,
      retry_after_seconds: 50,
    });
  });

  test('of no calls allows none', () => {
    const limiter = createLimiter(standingClock());
    expect(limiter.take('a', { calls: 0, per_seconds: 60 })).toEqual({
      allowed: false,
      retry_after_seconds: 60,
    });
  });

  test('of less than a second still says one second', () => {
    const limiter = createLimiter(standingClock());
    const brief = { calls: 1, per_seconds: 0.1 };
    limiter.take('a', brief);
    expect(limiter.take('a', brief)).toEqual({ allowed: false, retry_after_seconds: 1 });
  });

  test('can be looked at without counting', () => {
    const limiter = createLimiter(standingClock());
    for (let i = 0; i < 10; i += 1) expect(limiter.peek('a', LIMIT)).toEqual(OK);
    for (let i = 0; i < 3; i += 1) expect(limiter.take('a', LIMIT)).toEqual(OK);
    expect(limiter.peek('a', LIMIT)).toEqual(limiter.take('a', LIMIT));
  });
});

describe('keys', () => {
  test('past the bound the longest unused is forgotten', () => {
    const clock = standingClock();
    const limiter = createLimiter(clock, 2);
    const once = { calls: 1, per_seconds: 60 };
    limiter.take('a', once);
    limiter.take('b', once);
    expect(limiter.take('a', once).allowed).toBe(false);
    limiter.take('c', once);
    expect(limiter.peek('a', once).allowed).toBe(false);
    expect(limiter.peek('c', once).allowed).toBe(false);
    expect(limiter.peek('b', once).allowed).toBe(true);
  });

  test('are not confused by their parts', () => {
    expect(limitKey('a', 'b')).not.toBe(limitKey('a,b'));
    expect(limitKey('a","b')).not.toBe(limitKey('a', 'b'));
    expect(limitKey(null)).not.toBe(limitKey('null'));
    expect(limitKey('', null)).not.toBe(limitKey(null, ''));
  });
});

describe('slots', () => {
  test('are given up to the maximum', () => {
    const limiter = createLimiter(standingClock());
    const release = limiter.acquire('a', 2);
    expect(release).not.toBeNull();
    expect(limiter.acquire('a', 2)).not.toBeNull();
    expect(limiter.acquire('a', 2)).toBeNull();
    expect(limiter.acquire('b', 2)).not.toBeNull();
    release?.();
    expect(limiter.acquire('a', 2)).not.toBeNull();
    expect(limiter.acquire('a', 2)).toBeNull();
  });

  test('are given back once', () => {
    const limiter = createLimiter(standingClock());
    const first = limiter.acquire('a', 2);
    limiter.acquire('a', 2);
    first?.();
    first?.();
    expect(limiter.acquire('a', 2)).not.toBeNull();
    expect(limiter.acquire('a', 2)).toBeNull();
  });

  test('of none are never given', () => {
    expect(createLimiter(standingClock()).acquire('a', 0)).toBeNull();
  });
});

describe('a limit that others have used up', () => {
  test('is closed for as long as they say, and what was admitted is counted all the same', () => {
    let now = 0;
    const limiter = createLimiter({ now: () => now, monotonic: () => now });
    const limit = { calls: 2, per_seconds: 10 };
    expect(limiter.peek('a', limit).allowed).toBe(true);
    expect(limiter.exhaust('a', limit, 2_500)).toEqual({ allowed: false, retry_after_seconds: 3 });
    expect(limiter.peek('a', limit)).toEqual({ allowed: false, retry_after_seconds: 3 });
    expect(limiter.peek('b', limit).allowed).toBe(true);
    // Admitted by the store before the others took the last one.
    expect(limiter.own('a', limit).allowed).toBe(true);
    expect(limiter.take('a', limit).allowed).toBe(true);
    now = 2_500;
    expect(limiter.peek('a', limit).allowed).toBe(true);
    limiter.take('a', limit);
    expect(limiter.peek('a', limit)).toEqual({ allowed: false, retry_after_seconds: 8 });
  });
});
