/** The event loop's side of the writer thread: collects units, awaits their commit, keeps a thread running. */
import type { Worker } from 'node:worker_threads';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import { opened } from './sqlite-thread.ts';
import { CLOSE, type Message, type WriterReply } from './sqlite-units.ts';

/** Units that may wait for their commit; at some 10,000 commits a second that is one second of work. */
export const MAX_WAITING = 10_000;
/** Their text in UTF-16 units: the other bound on memory while the disk is slow. */
const MAX_WAITING_TEXT = 128 * 1024 * 1024;
const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 5_000;

export interface CommitQueue {
  /** Resolves to the outcome of the unit once it is durable; rejects with AUDIT_UNAVAILABLE. */
  submit(unit: Message): Promise<number>;
  /** Commits what waits, closes the database and ends the thread. */
  close(): Promise<void>;
}

export interface QueueDeps {
  /** Starts a writer thread; `again` when one has run before. */
  readonly spawn: (again: boolean) => Worker;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
}

interface Waiting {
  readonly text: number;
  resolve(outcome: number): void;
  reject(error: GatewayError): void;
}

/** Resolves when the database is open; rejects with StoreOpenError. */
export async function openQueue(deps: QueueDeps): Promise<CommitQueue> {
  const { log } = deps;
  /** Units without an answer, oldest first; the last of them may still be in the outbox. */
  const waiting: Waiting[] = [];
  let waitingText = 0;
  let outbox: Message = [];
  let flushing = false;
  let worker: Worker | null = null;
  let failures = 0;
  let healthy = true;
  let retry: NodeJS.Timeout | undefined;
  /** Set while a thread that ends is not to be replaced: before the first one is open, and at the end. */
  let final = true;
  let closing: Promise<void> | null = null;

  const settle = (count: number): Waiting[] => {
    const settled = waiting.splice(0, count);
    for (const unit of settled) waitingText -= unit.text;
    return settled;
  };

  const refuse = (count: number, reason: string): void => {
    for (const unit of settle(count)) unit.reject(unavailable(reason));
    if (healthy) log.error({ reason }, 'the audit trail cannot be written; calls are refused');
    healthy = false;
  };

  const receive = (reply: WriterReply): void => {
    if (reply.kind === 'refused') {
      refuse(reply.count, reply.message);
    } else if (reply.kind === 'done') {
      if (!healthy) log.info('the audit trail is written again');
      healthy = true;
      failures = 0;
      for (const [index, unit] of settle(reply.outcomes.length).entries()) {
        const outcome = reply.outcomes[index] ?? 'no outcome';
        if (typeof outcome === 'number') unit.resolve(outcome);
        else unit.reject(unavailable(outcome));
      }
    } else if (reply.kind === 'ready') {
      for (const warning of reply.warnings) log.warn(warning);
    } else if (reply.kind === 'failed') {
      log.error({ reason: reply.message }, 'the database could not be opened');
    } else if (reply.message !== null) {
      log.warn({ reason: reply.message }, 'the database was not closed cleanly');
    }
  };

  const flush = (): void => {
    flushing = false;
    if (outbox.length > 0) worker?.postMessage(outbox);
    outbox = [];
  };

  const start = (again: boolean): Worker => {
    const started = deps.spawn(again);
    let cause = 'it ended';
    started.on('message', receive);
    started.on('error', (error) => {
      cause = error instanceof Error ? error.message : String(error);
    });
    started.on('exit', () => {
      worker = null;
      outbox = [];
      if (waiting.length > 0) refuse(waiting.length, `the writer thread is gone: ${cause}`);
      if (!final) restart();
    });
    worker = started;
    return started;
  };

  const restart = (): void => {
    const delay = failures === 0 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), LAST_BACKOFF_MS);
    failures += 1;
    log.warn({ delay_ms: delay }, 'the writer thread of the store is gone and will be started again');
    retry = setTimeout(() => start(true), delay);
  };

  const close = async (): Promise<void> => {
    final = true;
    clearTimeout(retry);
    const last = worker;
    if (last === null) return;
    flush();
    const exited = new Promise<void>((resolve) => last.once('exit', () => resolve()));
    last.postMessage(CLOSE);
    await exited;
  };

  await opened(start(false));
  final = false;

  return {
    submit(unit) {
      if (closing !== null) return Promise.reject(unavailable('the store is closed'));
      if (worker === null) return Promise.reject(unavailable('the writer thread is being restarted'));
      const text = textOf(unit);
      if (waiting.length >= MAX_WAITING || waitingText + text > MAX_WAITING_TEXT) {
        return Promise.reject(unavailable('too many events wait for the disk'));
      }
      for (const slot of unit) outbox.push(slot);
      waitingText += text;
      if (!flushing) {
        flushing = true;
        setImmediate(flush);
      }
      return new Promise((resolve, reject) => waiting.push({ text, resolve, reject }));
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function textOf(unit: Message): number {
  let text = 0;
  for (const slot of unit) if (typeof slot === 'string') text += slot.length;
  return text;
}

function unavailable(reason: string): GatewayError {
  return new GatewayError('AUDIT_UNAVAILABLE', 'the audit trail could not be written; try again', {
    cause: new Error(reason),
  });
}
