import { expect, test } from 'vitest';
import { createQueue } from '../../src/execute/container-queue.ts';

const never = new AbortController().signal;

test('as many run as may, the rest in the order of asking', async () => {
  const queue = createQueue(2, 10);
  const order: number[] = [];
  const leave = [await queue.enter(never), await queue.enter(never)];
  const waiting = [1, 2, 3].map(async (n) => {
    const done = await queue.enter(never);
    order.push(n);
    return done;
  });
  expect(queue.running).toBe(2);
  leave[0]!();
  (await waiting[0]!)();
  (await waiting[1]!)();
  (await waiting[2]!)();
  leave[1]!();
  expect(order).toEqual([1, 2, 3]);
  expect(queue.running).toBe(0);
});

test('a place is given back once', async () => {
  const queue = createQueue(1, 1);
  const leave = await queue.enter(never);
  leave();
  leave();
  expect(queue.running).toBe(0);
  await queue.enter(never);
  expect(queue.running).toBe(1);
});

test('who gives up waits no more, and takes nobody else’s place', async () => {
  const queue = createQueue(1, 1);
  const leave = await queue.enter(never);
  const caller = new AbortController();
  const waiting = queue.enter(caller.signal);
  await expect(queue.enter(never)).rejects.toMatchObject({ name: 'OVERLOADED' });
  caller.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  const next = queue.enter(never);
  leave();
  (await next)();
  expect(queue.running).toBe(0);
});

test('who is gone already does not enter', async () => {
  const queue = createQueue(1, 1);
  await expect(queue.enter(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  expect(queue.running).toBe(0);
});
