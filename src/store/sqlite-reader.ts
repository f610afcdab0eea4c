/** The reading thread of the SQLite store: answers one page of events at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Database, Statement } from 'better-sqlite3';
import type { PageRow } from './event-row.ts';
import { openForReading } from './sqlite-file.ts';
import { LAST_WITHIN_TIMES, type Order, pageSql, type Term, WITHIN_TIMES } from './sqlite-page-sql.ts';
import { readSession, readSessions } from './sqlite-sessions.ts';
import { endOf, restOf, type Span, stepOf } from './sqlite-span.ts';
import { CLOSE, type OpenReply } from './sqlite-units.ts';
import { type LeaseNote, type Session, type SessionFilter, StoreOpenError } from './store.ts';

export interface ReaderData {
  readonly path: string;
}

/** The next page: rows for which every term of `where` holds, in the given order. */
export type PageRequest = {
  readonly id: number;
  readonly where: readonly Term[];
  readonly limit: number;
  /** No step of this question was asked before. */
  readonly first?: boolean;
} & (
  | { readonly order: 'chain' }
  /** Of the rows within a span of positions. */
  | { readonly order: Exclude<Order, 'chain'>; readonly span: Span }
);

/** Asks for the whole last good set. */
export interface LastGoodRequest {
  readonly id: number;
  readonly last_good: true;
}

/** Asks for the leases that `holder` does not use: all of others, and its own that are over. */
export interface AbandonedRequest {
  readonly id: number;
  readonly abandoned: { readonly holder: string; readonly now: number };
}

/** Asks for one session, or for those that a filter takes. */
export interface SessionsRequest {
  readonly id: number;
  readonly sessions: SessionFilter | { readonly execution_id: string };
}

export type LastGoodTuple = [key: string, file: string, digest: string, data: string, manifest: string];
export type PageReply =
  | {
      readonly kind: 'last_good';
      readonly id: number;
      readonly rows: LastGoodTuple[];
      readonly contents: [digest: string, content: string][];
    }
  | { readonly kind: 'abandoned'; readonly id: number; readonly leases: LeaseNote[] }
  | { readonly kind: 'sessions'; readonly id: number; readonly sessions: Session[] }
  | {
      readonly kind: 'page';
      readonly id: number;
      readonly rows: PageRow[];
      /** The page is full: there may be more behind its last row. */
      readonly full: boolean;
      /** What of the span was not looked through; null: nothing, or there was no span. */
      readonly rest: Span | null;
    }
  | { readonly kind: 'error'; readonly id: number; readonly message: string };

/** Bounds one page, so that neither thread is long at it. */
const MAX_ROWS = 500;
const MAX_TEXT = 4 * 1024 * 1024;
const MAX_WALK = 50_000;
const PAYLOAD = 6;
const EVERYWHERE: Span = [0, Number.MAX_SAFE_INTEGER];
/** Texts of times begin with a digit. */
const AFTER_ALL_TIMES = '~';

if (parentPort !== null) serve(parentPort, workerData as ReaderData);

type Port = NonNullable<typeof parentPort>;
type Request = PageRequest | LastGoodRequest | AbandonedRequest | SessionsRequest;

function serve(port: Port, data: ReaderData): void {
  const reply = (message: OpenReply | PageReply): void => port.postMessage(message);
  let db: Database;
  try {
    db = openForReading(data.path);
  } catch (error) {
    const reason = error instanceof StoreOpenError ? error.reason : 'unavailable';
    reply({ kind: 'failed', reason, message: messageOf(error) });
    return;
  }
  const statements = new Map<string, Statement<unknown[], PageRow>>();
  port.on('message', (request: Request | typeof CLOSE) => {
    if (request === CLOSE) {
      db.close();
      port.close();
      return;
    }
    try {
      if ('last_good' in request) reply({ kind: 'last_good', id: request.id, ...readLastGood(db) });
      else if ('abandoned' in request) {
        reply({ kind: 'abandoned', id: request.id, leases: readAbandoned(db, request.abandoned) });
      } else if ('sessions' in request) {
        const { sessions: asked } = request;
        const sessions =
          'execution_id' in asked ? readSession(db, asked.execution_id) : readSessions(db, asked);
        reply({ kind: 'sessions', id: request.id, sessions });
      } else reply({ kind: 'page', id: request.id, ...readPage(db, statements, request) });
    } catch (error) {
      reply({ kind: 'error', id: request.id, message: messageOf(error) });
    }
  });
  reply({ kind: 'ready', warnings: [] });
}

function readLastGood(db: Database): { rows: LastGoodTuple[]; contents: [string, string][] } {
  const all = <T>(sql: string): T[] => db.prepare<unknown[], T>(sql).raw().all();
  return {
    rows: all('SELECT key, file, digest, data, manifest FROM last_good ORDER BY key'),
    contents: all('SELECT digest, content FROM last_good_contents'),
  };
}

function readAbandoned(db: Database, { holder, now }: AbandonedRequest['abandoned']): LeaseNote[] {
  return db
    .prepare<[string, number], LeaseNote>(
      'SELECT lease_id, namespace, holder, in_use_until FROM credential_leases WHERE holder <> ? OR in_use_until < ?',
    )
    .all(holder, now);
}

type Statements = Map<string, Statement<unknown[], PageRow>>;

function readPage(db: Database, statements: Statements, request: PageRequest) {
  const { where, order, limit } = request;
  if (order === 'chain') return { ...readRows(db, statements, where, order, limit), rest: null };
  const [after, before] = request.span;
  const head = db.prepare<[], number | null>('SELECT max(position) FROM gateway_events').pluck().get() ?? 0;
  const [first, last] = request.first === true ? spanOfTimes(db, where) : EVERYWHERE;
  const span: Span = [Math.max(after, first), Math.min(before, last, head + 1)];
  const step = stepOf(span, order, MAX_WALK);
  const page = readRows(db, statements, [...where, ['within', ...step]], order, limit);
  const reached = page.full ? page.rows.at(-1)![0] : endOf(step, order);
  return { ...page, rest: restOf(span, order, reached) };
}

/**
 * The span of positions in which all events of the times that are asked for are. Walked to from the end of the trail, a
 * day of last month would take long; looked for by the other terms, so would a day of which there are few.
 */
function spanOfTimes(db: Database, where: readonly Term[]): Span {
  const of = (name: Term[0]) => where.find((term) => term[0] === name)?.[1];
  const [since, until] = [of('since'), of('until')];
  const times = [since ?? '', until ?? AFTER_ALL_TIMES] as const;
  if (since !== undefined) {
    const found = db.prepare<unknown[], [number, number, number]>(WITHIN_TIMES).raw();
    const [first, last, count] = found.get(...times, MAX_WALK)!;
    if (count === 0) return [0, 1];
    if (count < MAX_WALK) return [first - 1, last + 1];
  }
  if (until === undefined) return EVERYWHERE;
  return [
    0,
    (db
      .prepare<unknown[], number | null>(LAST_WITHIN_TIMES)
      .pluck()
      .get(...times) ?? 0) + 1,
  ];
}

function readRows(
  db: Database,
  statements: Statements,
  where: readonly Term[],
  order: Order,
  limit: number,
): { rows: PageRow[]; full: boolean } {
  const sql = pageSql(where, order);
  let statement = statements.get(sql);
  if (statement === undefined) {
    statement = db.prepare<unknown[], PageRow>(sql).raw();
    statements.set(sql, statement);
  }
  const rows: PageRow[] = [];
  let text = 0;
  const values = where.flatMap(([, ...operands]) => operands);
  const most = Math.min(limit, MAX_ROWS);
  for (const row of statement.iterate(...values, most)) {
    rows.push(row);
    text += row[PAYLOAD].length;
    if (text >= MAX_TEXT) break;
  }
  return { rows, full: rows.length === most || text >= MAX_TEXT };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
