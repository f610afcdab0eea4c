/** Brings the schema of a database up to date, whoever else does so at the same time. */

import { POSTGRES_MIGRATIONS } from './migrations/postgres.ts';
import { type Connection, type Query, stateOf } from './postgres-connection.ts';
import { StoreOpenError } from './store.ts';

/** "SEAL": one lock for all gateways of a database. */
const LOCK = 0x5345414c;
/** Weeks that are prepared ahead: a gateway that prepares them may be down for as long. */
const WEEKS_AHEAD = 4;

/** Resolves to the version that it had before. Rejects with StoreOpenError for a database that is not ours. */
export async function migrate(client: Connection, place: string): Promise<number> {
  await client.query('BEGIN');
  try {
    // Until the end of the transaction. Another gateway's migration may take longer than a lock is waited for.
    await client.query(`SET LOCAL lock_timeout = '60s'`);
    await client.query(`SET LOCAL statement_timeout = 0`);
    await client.query('SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))', [LOCK]);
    const version = await versionOf(client, place);
    for (const sql of POSTGRES_MIGRATIONS.slice(version)) await client.query(sql);
    if (version < POSTGRES_MIGRATIONS.length) {
      await client.query(
        `INSERT INTO gateway_meta (key, value) VALUES ('schema_version', $1)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        [String(POSTGRES_MIGRATIONS.length)],
      );
    }
    await client.query('COMMIT');
    return version;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Rejects with StoreOpenError unless the schema is of this version. */
export async function checkVersion(client: Query, place: string): Promise<void> {
  const version = await versionOf(client, place);
  if (version === 0)
    throw new StoreOpenError('not_a_database', `${place} is empty: no gateway has used it yet`);
  if (version < POSTGRES_MIGRATIONS.length) {
    const message = `${place} has schema version ${version}, this program reads ${POSTGRES_MIGRATIONS.length}: run \`seal-gateway db migrate\``;
    throw new StoreOpenError('schema', message);
  }
}

/** 0 for a database without our tables. Rejects with StoreOpenError for one with other tables of these names, or newer. */
async function versionOf(client: Query, place: string): Promise<number> {
  const { rows } = await client.query<{ ours: boolean; events: boolean }>(
    `SELECT to_regclass('gateway_meta') IS NOT NULL AS ours, to_regclass('gateway_events') IS NOT NULL AS events`,
  );
  if (!rows[0]!.ours) {
    if (!rows[0]!.events) return 0;
    throw new StoreOpenError('not_a_database', `${place} has tables of another program`);
  }
  const { rows: meta } = await client.query<{ value: string }>(
    `SELECT value FROM gateway_meta WHERE key = 'schema_version'`,
  );
  const version = Number(meta[0]?.value ?? 0);
  if (version > POSTGRES_MIGRATIONS.length) {
    const message = `${place} has schema version ${version}, this program knows ${POSTGRES_MIGRATIONS.length}: a newer gateway has used it; run that one`;
    throw new StoreOpenError('schema', message);
  }
  return version;
}

/** Makes the partitions of this week and the next ones, from `first` on when there are older events to come. */
export async function prepareWeeks(client: Query, first: Date | null = null): Promise<void> {
  await client.query(
    `SELECT gateway_prepare_week(monday::date)
       FROM generate_series(gateway_week(coalesce($1, now()))::timestamp, gateway_week(now()) + 7 * $2::int,
         interval '7 days') AS monday
       WHERE to_regclass('gateway_events_' || to_char(monday, 'YYYYMMDD')) IS NULL`,
    [first, WEEKS_AHEAD],
  );
}

/** Why the database could not be opened, for the operator. */
export function explainOpen(cause: unknown, place: string): StoreOpenError {
  if (cause instanceof StoreOpenError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const state = stateOf(cause);
  const hint = state === null ? '' : ` (SQLSTATE ${state})`;
  return new StoreOpenError('unavailable', `${place} cannot be opened: ${message}${hint}`, { cause });
}
