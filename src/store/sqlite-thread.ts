/** Starts the threads of the SQLite store. */
import { Worker } from 'node:worker_threads';
import type { OpenReply } from './sqlite-units.ts';
import { StoreOpenError } from './store.ts';

/** Runs `./<name>` beside this file: the source under Node's type stripping, the compiled file in dist. */
export function spawnThread(name: 'sqlite-writer' | 'sqlite-reader', workerData: object): Worker {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new Worker(new URL(`./${name}${extension}`, import.meta.url), { name, workerData });
}

/** Resolves when the thread has opened the database; rejects with {@link StoreOpenError}. */
export function opened(thread: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.once('message', (reply: OpenReply) => {
      if (reply.kind === 'ready') resolve();
      else reject(new StoreOpenError(reply.reason, reply.message));
    });
    thread.once('error', (cause) => {
      reject(new StoreOpenError('unavailable', 'the thread of the database could not be started', { cause }));
    });
    thread.once('exit', () => {
      reject(new StoreOpenError('unavailable', 'the thread of the database ended before it was ready'));
    });
  });
}
