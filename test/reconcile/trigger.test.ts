import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createTrigger } from '../../src/reconcile/trigger.ts';

/** A trigger of runs that each take some milliseconds. */
function triggered(takes = 0) {
  const runs: { effort: string; began: number; ended: number }[] = [];
  const errors: unknown[] = [];
  let fails = 0;
  const trigger = createTrigger(
    async (effort) => {
      const run = { effort, began: performance.now(), ended: Number.POSITIVE_INFINITY };
      runs.push(run);
      await sleep(takes);
      run.ended = performance.now();
      if (fails-- > 0) throw new Error('failed');
    },
    (error) => errors.push(error),
  );
  onTestFinished(() => trigger.close());
  return {
    trigger,
    runs,
    errors,
    failNext(count: number) {
      fails = count;
    },
  };
}

describe('soon', () => {
  test('runs once when it has been quiet', async () => {
    const { trigger, runs } = triggered();
    const began = performance.now();
    for (let hint = 0; hint < 10; hint += 1) {
      trigger.soon();
      await sleep(10);
    }
    await vi.waitFor(() => expect(runs).toHaveLength(1));
    expect(runs[0]!.began - began).toBeGreaterThanOrEqual(180);
    await sleep(150);
    expect(runs).toHaveLength(1);
  });

  test('is not put off for ever', async () => {
    const { trigger, runs } = triggered();
    const began = performance.now();
    const timer = setInterval(trigger.soon, 20);
    await vi.waitFor(() => expect(runs).toHaveLength(1), { timeout: 4_000 });
    clearInterval(timer);
    expect(runs[0]!.began - began).toBeGreaterThan(1_900);
  });
});

describe('now', () => {
  test('runs at once, and resolves when the run has ended', async () => {
    const { trigger, runs } = triggered(20);
    const done = trigger.now();
    await sleep(0);
    expect(runs).toHaveLength(1);
    await done;
    expect(runs[0]!.ended).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('what comes during a run is one more run, however often', async () => {
    const { trigger, runs } = triggered(30);
    const first = trigger.now();
    await sleep(10);
    const more = Array.from({ length: 20 }, () => trigger.now());
    expect(runs).toHaveLength(1);
    await Promise.all([first, ...more]);
    expect(runs).toHaveLength(2);
    expect(runs[1]!.began).toBeGreaterThanOrEqual(runs[0]!.ended);
  });

  test('makes good a hint that was waiting', async () => {
    const { trigger, runs } = triggered();
    trigger.soon();
    await trigger.now();
    await sleep(150);
    expect(runs).toHaveLength(1);
  });
});

describe('due', () => {
  test('runs at once', async () => {
    const { trigger, runs } = triggered();
    trigger.due();
    await vi.waitFor(() => expect(runs).toHaveLength(1), { timeout: 80, interval: 5 });
  });

  test('leaves a change that is under way to be complete', async () => {
    const { trigger, runs } = triggered();
    trigger.soon();
    trigger.due();
    await sleep(20);
    expect(runs).toHaveLength(0);
    await vi.waitFor(() => expect(runs).toHaveLength(1));
  });
});

test('a run that fails is told, and the next runs all the same', async () => {
  const { trigger, runs, errors, failNext } = triggered();
  failNext(1);
  await trigger.now();
  await trigger.now();
  expect(runs).toHaveLength(2);
  expect(errors).toEqual([new Error('failed')]);
});

test('the listener hears of every run, good or bad', async () => {
  const { trigger, failNext } = triggered();
  let heard = 0;
  trigger.after(() => {
    heard += 1;
  });
  failNext(1);
  await trigger.now();
  await trigger.now();
  expect(heard).toBe(2);
});

test('closed, it ends the run under way and begins no other', async () => {
  const { trigger, runs } = triggered(30);
  const first = trigger.now();
  const second = trigger.now();
  await sleep(10);
  trigger.soon();
  await trigger.close();
  expect(runs).toHaveLength(1);
  expect(runs[0]!.ended).toBeLessThan(Number.POSITIVE_INFINITY);
  await Promise.all([first, second]);
  trigger.soon();
  trigger.due();
  await trigger.now();
  await sleep(120);
  expect(runs).toHaveLength(1);
});

test('a hint is worth a quick run; what is due, or asked for, a whole one, also when a hint comes with it', async () => {
  const { trigger, runs } = triggered(10);
  const efforts = (): string[] => runs.map(({ effort }) => effort);
  trigger.soon();
  await vi.waitFor(() => expect(efforts()).toEqual(['quick']));
  await trigger.now();
  expect(efforts()).toEqual(['quick', 'whole']);
  trigger.soon();
  trigger.due();
  await vi.waitFor(() => expect(efforts()).toEqual(['quick', 'whole', 'whole']));
  await trigger.now();
  trigger.soon();
  await vi.waitFor(() => expect(efforts()).toEqual(['quick', 'whole', 'whole', 'whole', 'quick']));
});
