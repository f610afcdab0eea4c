import { afterEach, expect, test, vi } from 'vitest';
import { silentLog } from '../../src/log.ts';
import { startUpkeep } from '../../src/store/upkeep.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');

afterEach(() => vi.useRealTimers());

test('a replay id is kept a minute longer than its token is good, for gateways whose clocks are behind', () => {
  vi.useFakeTimers();
  const purged: number[] = [];
  const end = startUpkeep({
    store: {
      purgeReplay: async (before) => purged.push(before),
      trim: async () => 0,
    },
    clock: { now: () => NOW, monotonic: () => 0 },
    log: silentLog,
    retention_days: 90,
  });
  vi.advanceTimersByTime(120_000);
  expect(purged).toEqual([NOW - 60_000, NOW - 60_000]);
  end();
  vi.advanceTimersByTime(120_000);
  expect(purged).toHaveLength(2);
});
