/**
 * Threads that work for the event loop. They are started when there is work and ended when there has been none for a
 * while; one that dies or does not answer costs its task alone.
 */
import type { Transferable, Worker } from 'node:worker_threads';

export interface ThreadPool {
  /** The answer to a task. Rejects with {@link ThreadLost}, or with what the thread could not do. */
  run(task: Task): Promise<unknown>;
  /** Ends all threads; what waits for them is lost. */
  close(): Promise<void>;
}

/** Makes the message when a thread is free for it: what waits takes no memory of its own. */
export type Task = () => { readonly message: object; readonly transfer: readonly Transferable[] };

/** A thread ended, or did not answer in time, while it had the task. */
export class ThreadLost extends Error {
  override readonly name = 'ThreadLost';
  /** False: it never came to work, so that others will not either. */
  readonly worked: boolean;

  constructor(reason: string, worked: boolean) {
    super(reason);
    this.worked = worked;
  }
}

/** What a thread says: first that it is there, then one answer to each task. */
export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly message: string };

export interface PoolOptions {
  readonly spawn: () => Worker;
  /** Threads at once. */
  readonly size: number;
  /** How long a task may take. */
  readonly patience_ms: number;
  /** How long a thread without work is kept. */
  readonly idle_ms: number;
}

/** To start a thread takes a tenth of a second. */
const START_MS = 30_000;

interface Job {
  readonly task: Task;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
  /** Ends it: while it works when it takes too long, else when nobody needs it. */
  timer: NodeJS.Timeout | undefined;
  worked: boolean;
}

export function createThreadPool({ spawn, size, patience_ms, idle_ms }: PoolOptions): ThreadPool {
  const threads = new Set<Thread>();
  const waiting: Job[] = [];
  let closed = false;

  const lose = (thread: Thread, reason: string): void => {
    if (!threads.delete(thread)) return;
    clearTimeout(thread.timer);
    void thread.worker.terminate();
    thread.job?.reject(new ThreadLost(reason, thread.worked));
    thread.job = null;
    pump();
  };

  const start = (): Thread => {
    const worker = spawn();
    const thread: Thread = { worker, job: null, timer: undefined, worked: false };
    worker.on('message', (answer: Answer) => {
      if (answer.kind === 'ready') {
        thread.worked = true;
        if (thread.job !== null) hurry(thread, patience_ms);
        return;
      }
      const { job } = thread;
      thread.job = null;
      rest(thread);
      if (answer.kind === 'done') job?.resolve(answer.result);
      else job?.reject(new Error(answer.message));
      pump();
    });
    worker.on('messageerror', (error) => lose(thread, error.message));
    worker.on('error', (error) => lose(thread, error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => lose(thread, 'its thread ended'));
    threads.add(thread);
    return thread;
  };

  const hurry = (thread: Thread, within_ms: number): void => {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => lose(thread, `it takes longer than ${within_ms} ms`), within_ms);
  };

  /** A thread without work does not keep the process alive. */
  const rest = (thread: Thread): void => {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => lose(thread, 'there was no work'), idle_ms).unref();
    thread.worker.unref();
  };

  const give = (free: Thread | undefined, job: Job): void => {
    try {
      const { message, transfer } = job.task();
      const thread = free ?? start();
      thread.worker.postMessage(message, transfer);
      thread.worker.ref();
      thread.job = job;
      // The start of a thread is not counted to its first task.
      hurry(thread, thread.worked ? patience_ms : START_MS);
    } catch (error) {
      job.reject(new ThreadLost(error instanceof Error ? error.message : String(error), false));
    }
  };

  const pump = (): void => {
    while (waiting.length > 0 && !closed) {
      const free = [...threads].find(({ job }) => job === null);
      if (free === undefined && threads.size >= size) return;
      give(free, waiting.shift()!);
    }
  };

  return {
    run(task) {
      if (closed) return Promise.reject(new ThreadLost('the gateway is shutting down', true));
      return new Promise((resolve, reject) => {
        waiting.push({ task, resolve, reject });
        pump();
      });
    },
    async close() {
      closed = true;
      const lost = new ThreadLost('the gateway is shutting down', true);
      for (const job of waiting.splice(0)) job.reject(lost);
      await Promise.all(
        [...threads].map((thread) => {
          lose(thread, lost.message);
          return thread.worker.terminate();
        }),
      );
    },
  };
}
