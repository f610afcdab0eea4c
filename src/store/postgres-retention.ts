/** Forgets the oldest weeks of the trail, each with its table. */
import { type Pool, transaction } from './postgres-connection.ts';
import type { ChainStart } from './trim.ts';

/** Partitions of weeks that ended before `before` (milliseconds since the Unix epoch), and how many events they hold. */
export async function weeksBefore(
  pool: Pool,
  before: number,
): Promise<{ tables: string[]; monday: string; events: number } | null> {
  const { rows } = await pool.query<{ name: string; monday: string }>(
    `SELECT c.relname AS name, limits.monday::text
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
         -- This week is never old, whatever the clock of the gateway says.
         LATERAL (SELECT least(gateway_week(to_timestamp($1::float8 / 1000)), gateway_week(now())) AS monday) AS limits
       WHERE i.inhparent = 'gateway_events'::regclass AND c.relname ~ '^gateway_events_[0-9]{8}$'
         AND to_date(right(c.relname, 8), 'YYYYMMDD') < limits.monday
       ORDER BY 1`,
    [before],
  );
  if (rows[0] === undefined) return null;
  const { monday } = rows[0];
  const { rows: counted } = await pool.query<{ count: number }>(
    'SELECT count(*) AS count FROM gateway_events WHERE week < $1::date',
    [monday],
  );
  return { tables: rows.map(({ name }) => name), monday, events: counted[0]!.count };
}

/** Where each chain begins when all before the week of `monday` is gone. */
export async function startsAt(pool: Pool, monday: string): Promise<ChainStart[]> {
  const { rows } = await pool.query<ChainStart>(
    `SELECT w.writer, coalesce(first.seq - 1, w.seq) AS seq, coalesce(first.prev_hash, w.hash) AS hash
       FROM gateway_writers w LEFT JOIN LATERAL (
         SELECT seq, prev_hash FROM gateway_events e WHERE e.writer = w.writer AND e.week >= $1::date ORDER BY seq LIMIT 1
       ) AS first ON true
       WHERE coalesce(first.seq - 1, w.seq) > 0 ORDER BY w.writer`,
    [monday],
  );
  return rows;
}

export async function dropWeeks(pool: Pool, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    // The table is locked for a moment: not at all rather than behind a long query, with all calls behind it.
    await transaction(pool, async (client) => {
      await client.query(`SET LOCAL lock_timeout = '1s'`);
      await client.query(`DROP TABLE IF EXISTS ${table}`);
    });
  }
}
