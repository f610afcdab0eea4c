/** The event loop's side of the reading thread. Queries run there: a filter may have to walk a long trail. */
import type { Worker } from 'node:worker_threads';
import type { AuditEvent, ChainedEvent, EventType } from '../audit/event.ts';
import { isoTime } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Term } from './sqlite-page-sql.ts';
import type {
  AbandonedRequest,
  LastGoodRequest,
  PageReply,
  PageRequest,
  PageRow,
  SessionsRequest,
} from './sqlite-reader.ts';
import type { Span } from './sqlite-span.ts';
import { opened } from './sqlite-thread.ts';
import { CLOSE, type OpenReply } from './sqlite-units.ts';
import {
  type EventFilter,
  type EventReader,
  type LastGood,
  type LeaseNote,
  MAX_QUERY_LIMIT,
  type PositionedEvent,
  type PositionedSession,
} from './store.ts';

const DEFAULT_LIMIT = 100;
const SCAN_PAGE = 500;

export interface PageReader extends EventReader {
  /** Starts the thread, which otherwise the first query does; rejects with StoreOpenError. */
  open(): Promise<void>;
  lastGood(): Promise<LastGood>;
  abandoned(holder: string, now: number): Promise<LeaseNote[]>;
  sessions(asked: SessionsRequest['sessions']): Promise<PositionedSession[]>;
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
      while (span !== null && rows.length < limit) {
        const next: Page = await page({ where, order, span, limit: limit - rows.length });
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
      if ('limit' in asked) checkLimit(asked.limit);
      const answer = await ask({ sessions: asked });
      return (answer as Extract<Answer, { kind: 'sessions' }>).sessions;
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

function translate(filter: EventFilter) {
  const limit = filter.limit ?? DEFAULT_LIMIT;
  checkLimit(limit);
  const where: Term[] = [];
  for (const name of ['event_type', 'execution_id', 'tenant_id', 'tool_name', 'agent_id'] as const) {
    if (filter[name] !== undefined) where.push([name, filter[name]]);
  }
  for (const name of ['since', 'until'] as const) {
    if (filter[name] !== undefined) where.push([name, canonicalTime(name, filter[name])]);
  }
  const { after = 0, before = Number.MAX_SAFE_INTEGER } = filter;
  for (const [name, position] of Object.entries({ after, before })) {
    if (!Number.isSafeInteger(position))
      throw invalid(`${name} must be the position of an event, a whole number`);
  }
  const order = filter.after === undefined ? ('newest' as const) : ('oldest' as const);
  return { where, order, limit, span: [after, before] as const };
}

function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_QUERY_LIMIT) {
    throw invalid(`limit must be a whole number from 1 to ${MAX_QUERY_LIMIT}`);
  }
}

/** As the events have it, so that the texts compare as the times do (2026-01-01T00:00:00Z has no `.000`). */
function canonicalTime(name: string, text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalid(`${name} must be a time such as 2026-01-31T12:00:00Z`);
  return isoTime(ms);
}

function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}

function chained(row: PageRow): ChainedEvent {
  const [, id, event_type, execution_id, tenant_id, revision, payload_text, created_at, ...link] = row;
  const [writer, seq, prev_hash, hash] = link;
  return {
    id,
    event_type: event_type as EventType,
    execution_id,
    tenant_id,
    revision,
    payload: parsePayload(payload_text),
    payload_text,
    created_at,
    writer,
    seq,
    prev_hash,
    hash,
  };
}

function positioned(row: PageRow): PositionedEvent {
  const { payload_text: _, ...event } = chained(row);
  return { position: row[0], ...event };
}

/** A row that was tampered with may hold anything; it is shown as it is, and `verifyChain` reports it. */
function parsePayload(text: string): AuditEvent['payload'] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as AuditEvent['payload'];
  } catch {
    // Not JSON.
  }
  return { unreadable: text };
}
