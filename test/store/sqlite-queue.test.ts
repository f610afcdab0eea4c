import { renameSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { type CommitQueue, MAX_WAITING, openQueue } from '../../src/store/sqlite-queue.ts';
import { spawnThread } from '../../src/store/sqlite-thread.ts';
import { encodeAppend } from '../../src/store/sqlite-units.ts';
import { anEvent } from './events.ts';
import { capturedLog, scratchFile } from './scratch.ts';

const unavailable = expect.objectContaining({ name: 'AUDIT_UNAVAILABLE' });
const append = () => encodeAppend([anEvent()]);

/** A queue whose threads the test can reach. */
async function openReachable(path: string) {
  const threads: Worker[] = [];
  const { log, lines } = capturedLog();
  const queue: CommitQueue = await openQueue({
    log,
    spawn: (again) => {
      const thread = spawnThread('sqlite-writer', {
        path,
        must_exist: again,
        max_pages: null,
        busy_timeout_ms: null,
      });
      threads.push(thread);
      return thread;
    },
  });
  onTestFinished(() => queue.close());
  return { queue, threads, lines };
}

test('when the writer thread dies all that waits is refused, and another thread takes over', async () => {
  const path = scratchFile();
  const { queue, threads } = await openReachable(path);
  await queue.submit(append());
  const waiting = Array.from({ length: 50 }, () => queue.submit(append()));
  const settled = Promise.allSettled(waiting);
  await threads[0]?.terminate();
  const results = await settled;
  expect(results.map((result) => result.status)).toEqual(results.map(() => 'rejected'));
  expect(results[0]).toMatchObject({ reason: unavailable });

  await vi.waitUntil(() => threads.length === 2, { timeout: 20_000 });
  expect(await queue.submit(append())).toBe(1);
  await queue.close();
  const reader = await openSqliteReader({ path });
  onTestFinished(() => reader.close());
  expect(await reader.query({})).toHaveLength(2);
});

test('a thread that cannot open the database again is tried again, and refuses meanwhile', async () => {
  const path = scratchFile();
  const { queue, threads, lines } = await openReachable(path);
  renameSync(path, `${path}.aside`);
  await threads[0]?.terminate();
  await vi.waitUntil(() => threads.length >= 3, { timeout: 20_000 });
  await expect(queue.submit(append())).rejects.toEqual(unavailable);
  expect(lines).toContain('error the database could not be opened');
  renameSync(`${path}.aside`, path);
  await vi.waitUntil(() => queue.submit(append()).catch(() => 0), { timeout: 20_000 });
});

test('more than ten thousand that wait are refused at once, and those before them are written', async () => {
  const path = scratchFile();
  const { queue } = await openReachable(path);
  const waiting = Array.from({ length: MAX_WAITING }, () => queue.submit(append()));
  await expect(queue.submit(append())).rejects.toMatchObject({
    name: 'AUDIT_UNAVAILABLE',
    cause: { message: 'too many events wait for the disk' },
  });
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => 1));
  expect(await queue.submit(append())).toBe(1);
});

test('more text than memory should hold is refused at once', async () => {
  const { queue } = await openReachable(scratchFile());
  const unit = encodeAppend([anEvent({ payload: { text: 'x'.repeat(10_000_000) } })]);
  const results = await Promise.allSettled(Array.from({ length: 14 }, () => queue.submit(unit)));
  // The others are one event with one id.
  expect(results[0]?.status).toBe('fulfilled');
  expect(results.at(-1)).toMatchObject({
    reason: { cause: { message: 'too many events wait for the disk' } },
  });
  await queue.submit(append());
});

test('a queue that is closed while its thread is down ends', async () => {
  const { queue, threads } = await openReachable(scratchFile());
  await threads[0]?.terminate();
  await queue.close();
  await expect(queue.submit(append())).rejects.toEqual(unavailable);
});
