import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Burst, MAX_BURSTS, recent, waitMs, withCall } from '../../src/invoke/sliding-window.ts';
import type { RateLimit } from '../../src/snapshot/snapshot.ts';

/** One attempt: `kept` is what was counted before it. Gives the wait and what is counted after it. */
function attempt(kept: readonly Burst[], now: number, limit: RateLimit) {
  const bursts = recent(kept, now, limit);
  const wait = waitMs(bursts, now, limit);
  return { wait, kept: wait === 0 ? withCall(bursts, now, limit) : bursts };
}

/** Attempts after these pauses, each beside the times of the calls that passed before it. */
function* attempts(pauses: readonly number[], limit: RateLimit) {
  const passed: number[] = [];
  let kept: readonly Burst[] = [];
  let now = 5000;
  for (const pause of pauses) {
    now += pause;
    const made = attempt(kept, now, limit);
    yield { ...made, now, passed };
    kept = made.kept;
    if (made.wait === 0) passed.push(now);
  }
}

const pausesUpTo = (ms: number): fc.Arbitrary<number[]> =>
  fc.array(fc.oneof(fc.constant(0), fc.nat(50), fc.nat(ms)), { minLength: 1, maxLength: 300 });

const RUNS = { numRuns: 200 };

test('a small limit waits exactly as a list of all calls would', () => {
  const limits = fc.record({
    calls: fc.integer({ min: 1, max: 40 }),
    per_seconds: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(limits, pausesUpTo(3000), (limit, pauses) => {
      const span = limit.per_seconds * 1000;
      for (const { wait, now, passed } of attempts(pauses, limit)) {
        // A call fits when the one that it makes room for, `calls` before it, has left the span.
        const oldest = passed.at(-limit.calls);
        const exact = oldest === undefined ? 0 : Math.max(0, oldest + span - now);
        expect(wait).toBe(exact);
      }
    }),
    RUNS,
  );
});

describe('a large limit', () => {
  const limits = fc.record({
    calls: fc.integer({ min: MAX_BURSTS + 1, max: MAX_BURSTS + 60 }),
    per_seconds: fc.integer({ min: 1, max: 20 }),
  });
  /** So close together that the limit is met, and the span is left, within a run. */
  const pauses = fc.array(fc.oneof(fc.constant(0), fc.nat(30), fc.nat(150)), {
    minLength: 400,
    maxLength: 600,
  });

  test('never lets more through in any span', () => {
    let refused = 0;
    fc.assert(
      fc.property(limits, pauses, (limit, steps) => {
        for (const { wait, now, passed } of attempts(steps, limit)) {
          const oldest = passed.at(-limit.calls);
          if (oldest !== undefined && now - oldest < limit.per_seconds * 1000) {
            expect(wait).toBeGreaterThan(0);
            refused += 1;
          }
        }
      }),
      { numRuns: 50 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  test('makes a call wait too long by one burst at most', () => {
    fc.assert(
      fc.property(limits, pauses, (limit, steps) => {
        const span = limit.per_seconds * 1000;
        for (const { wait, now, passed } of attempts(steps, limit)) {
          const oldest = passed.at(-limit.calls);
          const exact = oldest === undefined ? 0 : Math.max(0, oldest + span - now);
          expect(wait).toBeLessThanOrEqual(exact + span / MAX_BURSTS);
        }
      }),
      { numRuns: 50 },
    );
  });
});

test('the wait that is told is enough, and no shorter one is', () => {
  const limit = { calls: 5, per_seconds: 2 };
  fc.assert(
    fc.property(pausesUpTo(700), (pauses) => {
      for (const { wait, now, kept } of attempts(pauses, limit)) {
        if (wait === 0) continue;
        expect(attempt(kept, now + wait, limit).wait).toBe(0);
        expect(attempt(kept, now + wait - 1, limit).wait).toBe(1);
      }
    }),
    RUNS,
  );
});

test.each([1, 100, MAX_BURSTS, MAX_BURSTS + 1, 1_000_000_000])(
  'of %i calls a key keeps no more than its bursts',
  (calls) => {
    const limit = { calls, per_seconds: 60 };
    let most = 0;
    for (const { kept } of attempts(Array(20_000).fill(7), limit)) most = Math.max(most, kept.length);
    expect(most).toBeLessThanOrEqual(MAX_BURSTS + 1);
    expect(most).toBeGreaterThan(0);
  },
);
