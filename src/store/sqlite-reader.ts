/** The reading thread of the SQLite store: answers one page of events at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Database, Statement } from 'better-sqlite3';
import { openForReading } from './sqlite-file.ts';
import { CLOSE, type OpenReply } from './sqlite-units.ts';
import { StoreOpenError } from './store.ts';

export interface ReaderData {
  readonly path: string;
}

/** position, then the columns that the hash covers, then the hash. */
export type PageRow = [
  position: number,
  id: string,
  event_type: string,
  execution_id: string | null,
  tenant_id: string | null,
  revision: string | null,
  payload: string,
  created_at: string,
  writer: string,
  seq: number,
  prev_hash: string,
  hash: string,
];

/** The next page: rows for which every term of `where` holds, in the given order. */
export interface PageRequest {
  readonly id: number;
  readonly where: readonly Term[];
  readonly order: Order;
  readonly limit: number;
}

export type Order = 'oldest' | 'newest' | 'chain';
export type Term = readonly [keyof typeof TERMS, ...(string | number)[]];
/** Asks for the whole last good set. */
export interface LastGoodRequest {
  readonly id: number;
  readonly last_good: true;
}

export type LastGoodTuple = [key: string, file: string, digest: string, data: string, manifest: string];
export type PageReply =
  | {
      readonly kind: 'last_good';
      readonly id: number;
      readonly rows: LastGoodTuple[];
      readonly contents: [digest: string, content: string][];
    }
  | { readonly kind: 'page'; readonly id: number; readonly rows: PageRow[]; readonly more: boolean }
  | { readonly kind: 'error'; readonly id: number; readonly message: string };

/** Bounds one page, so that neither thread is long at it. */
const MAX_ROWS = 500;
const MAX_TEXT = 4 * 1024 * 1024;
const PAYLOAD = 6;

const TERMS = {
  event_type: 'event_type = ?',
  execution_id: 'execution_id = ?',
  tenant_id: 'tenant_id = ?',
  since: 'created_at >= ?',
  after: 'position > ?',
  before: 'position < ?',
  // With the position, so that not even a row forged with a number that exists already is skipped.
  after_link: '(writer, seq, position) > (?, ?, ?)',
};

const ORDERS: Record<Order, string> = {
  oldest: 'position',
  newest: 'position DESC',
  chain: 'writer, seq, position',
};

if (parentPort !== null) serve(parentPort, workerData as ReaderData);

type Port = NonNullable<typeof parentPort>;

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
  port.on('message', (request: PageRequest | LastGoodRequest | typeof CLOSE) => {
    if (request === CLOSE) {
      db.close();
      port.close();
      return;
    }
    try {
      if ('last_good' in request) reply({ kind: 'last_good', id: request.id, ...readLastGood(db) });
      else reply({ kind: 'page', id: request.id, ...readPage(db, statements, request) });
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

function readPage(
  db: Database,
  statements: Map<string, Statement<unknown[], PageRow>>,
  request: PageRequest,
): { rows: PageRow[]; more: boolean } {
  const sql = pageSql(request);
  let statement = statements.get(sql);
  if (statement === undefined) {
    statement = db.prepare<unknown[], PageRow>(sql).raw();
    statements.set(sql, statement);
  }
  const rows: PageRow[] = [];
  let text = 0;
  const values = request.where.flatMap(([, ...operands]) => operands);
  const limit = Math.min(request.limit, MAX_ROWS);
  for (const row of statement.iterate(...values, limit)) {
    rows.push(row);
    text += row[PAYLOAD].length;
    if (text >= MAX_TEXT) break;
  }
  return { rows, more: rows.length === limit || text >= MAX_TEXT };
}

function pageSql({ where, order }: PageRequest): string {
  const terms = where.map(([name]) => TERMS[name]);
  return `SELECT position, id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, seq,
      prev_hash, hash
    FROM gateway_events ${terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''}
    ORDER BY ${ORDERS[order]} LIMIT ?`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
