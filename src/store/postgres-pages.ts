/** Reads the trail in Postgres, page by page. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChainedEvent } from '../audit/event.ts';
import { isoTime } from '../clock.ts';
import type { FilterTerm } from './event-filter.ts';
import { translate } from './event-filter.ts';
import { chained, type PageRow, positioned } from './event-row.ts';
import type { Pool, Query } from './postgres-connection.ts';
import { asGiven, kept } from './postgres-text.ts';
import type { EventFilter, PositionedEvent } from './store.ts';

const SCAN_PAGE = 1_000;
/** Rows of one page of a large answer: its text is in memory several times over. */
const MAX_ROWS = 1_000;
const SETTLE_POLL_MS = 2;
const SETTLE_MS = 5_000;

export const COLUMNS = `position, id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, seq,
  prev_hash, hash`;
const TERMS: Readonly<Record<FilterTerm[0], string>> = {
  event_type: 'event_type =',
  execution_id: 'execution_id =',
  tenant_id: 'tenant_id =',
  tool_name: 'tool_name =',
  agent_id: 'agent_id =',
  since: 'created_at >=',
  until: 'created_at <',
};

export async function queryEvents(pool: Pool, filter: EventFilter): Promise<PositionedEvent[]> {
  const { where, order, limit, span } = translate(filter);
  const settled = await settledPosition(pool);
  let [after, before] = [Math.max(span[0], 0), Math.min(span[1], settled + 1)];
  const values = where.map(([, value]) => kept(value));
  const sql = pageSql(where, order);
  const timed = where.some(([name]) => name === 'since' || name === 'until');
  const [first, last] = timed ? await spanOf(pool, where) : [0, Number.MAX_SAFE_INTEGER];
  const rows: PageRow[] = [];
  while (rows.length < limit) {
    const most = Math.min(limit - rows.length, MAX_ROWS);
    const bounds = timed ? [Math.max(after, first), Math.min(before, last)] : [];
    const page = await pageOf(pool, sql, [...values, after, before, most, ...bounds]);
    rows.push(...page);
    if (page.length < most) break;
    if (order === 'newest') before = page.at(-1)![0];
    else after = page.at(-1)![0];
  }
  if (order === 'newest') rows.reverse();
  return rows.map(positioned);
}

/** Its parameters: values of the terms, positions after and before, most rows; with times the positions they stand for. */
function pageSql(where: readonly FilterTerm[], order: 'oldest' | 'newest'): string {
  const terms = where.map(([name], index) => `${TERMS[name]} $${index + 1}`);
  const n = where.length;
  const page = (...more: string[]): string =>
    `SELECT ${COLUMNS} FROM gateway_events WHERE ${[...terms, ...more].join(' AND ')}
       ORDER BY position ${order === 'newest' ? 'DESC' : ''} LIMIT $${n + 3}`;
  const within = (from: number): string => `position > $${from} AND position < $${from + 1}`;
  if (!where.some(([name]) => name === 'since' || name === 'until')) return page(within(n + 1));
  return `(${page(within(n + 4), 'NOT skewed')}) UNION ALL (${page(within(n + 1), 'skewed')})
    ORDER BY position ${order === 'newest' ? 'DESC' : ''} LIMIT $${n + 3}`;
}

/**
 * Where in the trail events of these times are, but for those that are skewed: their place says nothing of their time.
 * The minutes are those that others may be off, twice, and what a commit takes.
 */
async function spanOf(client: Query, where: readonly FilterTerm[]): Promise<[number, number]> {
  const time = (name: 'since' | 'until', minutes: number): string | null => {
    const text = where.find((term) => term[0] === name)?.[1];
    return text === undefined ? null : isoTime(Date.parse(text) + minutes * 60_000);
  };
  const { rows } = await client.query<{ first: number | null; last: number | null }>(
    `SELECT (SELECT position FROM gateway_events WHERE created_at < $1 AND NOT skewed
         ORDER BY created_at DESC LIMIT 1) AS first,
       (SELECT position FROM gateway_events WHERE created_at >= $2 AND NOT skewed ORDER BY created_at LIMIT 1) AS last`,
    [time('since', -5), time('until', 5)],
  );
  return [rows[0]!.first ?? 0, rows[0]!.last ?? Number.MAX_SAFE_INTEGER];
}

/** Every event, ordered by writer and seq. */
export async function* scanEvents(pool: Pool): AsyncGenerator<ChainedEvent> {
  let from: (string | number)[] = [];
  for (;;) {
    // With the position, so that not even a row forged with a number that exists already is skipped.
    const where = from.length === 0 ? '' : 'WHERE (writer, seq, position) > ($2, $3, $4)';
    const sql = `SELECT ${COLUMNS} FROM gateway_events ${where} ORDER BY writer, seq, position LIMIT $1`;
    const page = await pageOf(pool, sql, [SCAN_PAGE, ...from]);
    for (const row of page) yield chained(row);
    const last = page.at(-1);
    if (page.length < SCAN_PAGE || last === undefined) return;
    const [position, , , , , , , , writer, seq] = last;
    from = [kept(writer), seq, position];
  }
}

export async function pageOf(client: Query, text: string, values: readonly unknown[]): Promise<PageRow[]> {
  const { rows } = await client.query<PageRow>({ text, values: [...values], rowMode: 'array' });
  return rows.map((row) => row.map((cell) => (typeof cell === 'string' ? asGiven(cell) : cell)) as PageRow);
}

/**
 * The position up to which nothing more will appear. Positions are given out before their commits are done, by several
 * gateways at one time: whoever follows the trail must not pass one by that is still on its way. So this waits for the
 * commits that are under way now, which takes a moment.
 */
async function settledPosition(client: Query): Promise<number> {
  // The position first, then who may still be at one before it.
  const { rows: head } = await client.query<{ last: number }>(
    'SELECT last_value AS last FROM gateway_events_position',
  );
  const underWay = await writersUnderWay(client);
  for (let waited = 0; underWay.size > 0; waited += SETTLE_POLL_MS) {
    if (waited > SETTLE_MS)
      throw new Error('a commit is taking too long; what came after it cannot be told yet');
    await sleep(SETTLE_POLL_MS);
    const now = await writersUnderWay(client);
    for (const one of underWay) if (!now.has(one)) underWay.delete(one);
  }
  return head[0]!.last;
}

/** Transactions that insert events hold this lock on the table from before their first position to their end. */
async function writersUnderWay(client: Query): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT virtualtransaction AS id FROM pg_locks
       WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'gateway_events'::regclass
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return new Set(rows.map(({ id }) => id));
}
