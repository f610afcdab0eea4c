/** The event loop's side of the reading thread. Queries run there: a filter may have to walk a long trail. */
import type { Worker } from 'node:worker_threads';
import { GatewayError } from '../errors.ts';
import { translate } from './event-filter.ts';
import { chained, type PageRow, positioned } from './event-row.ts';
import type { Term } from './sqlite-page-sql.ts';
import type {
  AbandonedRequest,
  LastGoodRequest,
  PageReply,
  PageRequest,
  SessionsRequest,
} from './sqlite-reader.ts';
import type { Span } from './sqlite-span.ts';
import { opened } from './sqlite-thread.ts';
import { CLOSE, type OpenReply } from './sqlite-units.ts';
import type { EventReader, LastGood, LeaseNote, Session } from './store.ts';

const SCAN_PAGE = 500;

export interface PageReader extends EventReader {
  /** Starts the thread, which otherwise the first query does; rejects with StoreOpenError. */
  open(): Promise<void>;
  lastGood(): Promise<LastGood>;
  abandoned(holder: string, now: number): Promise<LeaseNote[]>;
  sessions(asked: SessionsRequest['sessions']): Promise<Session[]>;
}

type Answer = Exclude<PageReply, { kind: 'error' }>;
type Page = Extract<Answer, { kind: 'page' }>;
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type Question = WithoutId<PageRequest | LastGoodRequest | AbandonedRequest | SessionsRequest>;

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

interface Thread {
  ask(question: Question): Promise<Answer>;
  close(): Promise<void>;
}

/** A reader that starts its thread at the first use, and again should it die. */
export function createPageReader(spawn: () => Worker): PageReader {
  let thread: Promise<Thread> | null = null;
  let closed = false;

  const current = (): Promise<Thread> => {
    if (closed) return Promise.reject(new Error('the store is closed'));
    if (thread === null) {
      const forget = (): void => {
        thread = null;
      };
      thread = startThread(spawn(), forget);
      thread.catch(forget);
    }
    return thread;
  };

  const ask = async (question: Question): Promise<Answer> => {
    try {
      return await (await current()).ask(question);
    } catch (cause) {
      throw new GatewayError('AUDIT_UNAVAILABLE', 'the audit trail could not be read', { cause });
    }
  };
  const page = async (question: WithoutId<PageRequest>): Promise<Page> => (await ask(question)) as Page;

  return {
    async open() {
      await current();
    },
    async query(filter) {
      const { where, order, limit, ...asked } = translate(filter);
      const rows: PageRow[] = [];
      let span: Span | null = asked.span;
      for (let first = true; span !== null && rows.length < limit; first = false) {
        const next: Page = await page({ where, order, span, first, limit: limit - rows.length });
        rows.push(...next.rows);
        span = next.rest;
      }
      if (order === 'newest') rows.reverse();
      return rows.map(positioned);
    },
    async *scan() {
      let cursor: Term | null = null;
      while (true) {
        const where: Term[] = cursor === null ? [] : [cursor];
        const next = await page({ where, order: 'chain', limit: SCAN_PAGE });
        for (const row of next.rows) yield chained(row);
        const last = next.rows.at(-1);
        if (!next.full || last === undefined) return;
        const [position, , , , , , , , writer, seq] = last;
        cursor = ['after_link', writer, seq, position];
      }
    },
    async lastGood() {
      const { rows, contents } = (await ask({ last_good: true })) as Extract<Answer, { kind: 'last_good' }>;
      const parsed = rows.map(([key, file, digest, data, manifest]) => {
        return { key, file, digest, data: JSON.parse(data), manifest };
      });
      return { rows: parsed, contents: new Map(contents) };
    },
    async abandoned(holder, now) {
      const answer = await ask({ abandoned: { holder, now } });
      return (answer as Extract<Answer, { kind: 'abandoned' }>).leases;
    },
    async sessions(asked) {
      return ((await ask({ sessions: asked })) as Extract<Answer, { kind: 'sessions' }>).sessions;
    },
    async close() {
      closed = true;
      const last = thread;
      thread = null;
      // A thread that could not open the database has ended already.
      await last?.then((started) => started.close()).catch(() => {});
    },
  };
}

async function startThread(worker: Worker, onEnd: () => void): Promise<Thread> {
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.on('message', (reply: OpenReply | PageReply) => {
    if (reply.kind === 'ready' || reply.kind === 'failed') return;
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.kind === 'error') asked?.reject(new Error(reply.message));
    else asked?.resolve(reply);
  });
  worker.on('exit', () => {
    onEnd();
    for (const asked of waiting.values()) asked.reject(new Error('the reading thread is gone'));
    waiting.clear();
  });
  await opened(worker);
  // The exit that follows rejects what waits.
  worker.on('error', () => {});
  return {
    ask(question) {
      const id = nextId++;
      const request = { ...question, id };
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker.postMessage(request);
      });
    },
    async close() {
      worker.postMessage(CLOSE);
      await exited;
    },
  };
}
