import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createThreadPool, type PoolOptions, type ThreadPool } from '../../src/reconcile/thread-pool.ts';

/** Answers with what it is told, or does what it is told. */
const THREAD = `
  const { parentPort, threadId } = require('node:worker_threads');
  parentPort.on('message', ({ what, value }) => {
    if (what === 'die') process.exit(3);
    if (what === 'throw') setImmediate(() => { throw new Error('out of luck'); });
    if (what === 'fail') parentPort.postMessage({ kind: 'failed', message: 'cannot' });
    if (what === 'hang') for (;;);
    if (what === 'slow') setTimeout(() => parentPort.postMessage({ kind: 'done', result: threadId }), 50);
    if (what === 'say') parentPort.postMessage({ kind: 'done', result: value });
    if (what === 'where') parentPort.postMessage({ kind: 'done', result: threadId });
  });
  parentPort.postMessage({ kind: 'ready' });
`;

function pool(options: Partial<PoolOptions> = {}): ThreadPool & { spawned(): Worker[] } {
  const threads: Worker[] = [];
  const made = createThreadPool({
    spawn() {
      threads.push(new Worker(THREAD, { eval: true }));
      return threads.at(-1)!;
    },
    ...{ size: 2, patience_ms: 10_000, idle_ms: 10_000 },
    ...options,
  });
  onTestFinished(() => made.close());
  return { ...made, spawned: () => threads };
}

const task = (what: string, value?: unknown) => () => ({ message: { what, value }, transfer: [] });

test('tasks are answered, each with its own answer, by no more threads than there may be', async () => {
  const { run, spawned } = pool();
  expect(spawned()).toHaveLength(0);
  const values = Array.from({ length: 20 }, (_, index) => index);
  expect(await Promise.all(values.map((value) => run(task('say', value))))).toEqual(values);
  expect(spawned()).toHaveLength(2);
});

test('what waits is made when its turn comes', async () => {
  const { run } = pool({ size: 1 });
  let made = 0;
  const first = run(task('slow'));
  const second = run(() => {
    made += 1;
    return task('where')();
  });
  expect(made).toBe(0);
  await Promise.all([first, second]);
  expect(made).toBe(1);
});

test.each([
  ['die', 'its thread ended'],
  ['throw', 'out of luck'],
])('a thread that comes to its end (%s) costs its task alone', async (what, message) => {
  const { run, spawned } = pool({ size: 1 });
  const results = await Promise.allSettled([run(task('say', 1)), run(task(what)), run(task('say', 2))]);
  expect(results).toMatchObject([
    { value: 1 },
    { reason: { name: 'ThreadLost', message, worked: true } },
    { value: 2 },
  ]);
  expect(spawned()).toHaveLength(2);
});

test('one that does not answer is ended', async () => {
  const { run } = pool({ size: 1, patience_ms: 100 });
  await expect(run(task('hang'))).rejects.toMatchObject({
    name: 'ThreadLost',
    message: 'it takes longer than 100 ms',
  });
  expect(await run(task('say', 'still here'))).toBe('still here');
});

test('one that says it cannot goes on working', async () => {
  const { run, spawned } = pool({ size: 1 });
  await expect(run(task('fail'))).rejects.toThrow('cannot');
  expect(await run(task('say', 1))).toBe(1);
  expect(spawned()).toHaveLength(1);
});

test('threads that never come to work are told apart', async () => {
  const { run } = pool({ spawn: () => new Worker('throw new Error("no module")', { eval: true }) });
  await expect(run(task('say'))).rejects.toMatchObject({ name: 'ThreadLost', worked: false });
  await expect(run(task('say'))).rejects.toMatchObject({ message: 'no module', worked: false });
});

test('also when they cannot be made at all', async () => {
  const { run } = pool({
    spawn() {
      throw new Error('no threads here');
    },
  });
  await expect(run(task('say'))).rejects.toMatchObject({ message: 'no threads here', worked: false });
});

test('without work they end, and are started again', async () => {
  const { run, spawned } = pool({ size: 1, idle_ms: 20 });
  await run(task('say', 1));
  const ended = new Promise((resolve) => spawned()[0]!.once('exit', resolve));
  await ended;
  expect(await run(task('say', 2))).toBe(2);
  expect(spawned()).toHaveLength(2);
});

test('when it is closed, what is under way and what waits is lost, and nothing is started any more', async () => {
  const { run, close, spawned } = pool({ size: 1 });
  const all = Promise.allSettled([run(task('slow')), run(task('say', 1))]);
  await vi.waitFor(() => expect(spawned()).toHaveLength(1));
  await close();
  const lost = {
    status: 'rejected',
    reason: { name: 'ThreadLost', message: 'the gateway is shutting down' },
  };
  expect(await all).toMatchObject([lost, lost]);
  await expect(run(task('say', 1))).rejects.toThrow('shutting down');
  expect(spawned()).toHaveLength(1);
});
