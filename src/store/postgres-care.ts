/** Care for a Postgres database, beside the gateways that use it. */
import type { Checked, Migrated } from './care.ts';
import { POSTGRES_MIGRATIONS } from './migrations/postgres.ts';
import { type Connection, connect } from './postgres-connection.ts';
import { checkVersion, explainOpen, migrate, prepareWeeks } from './postgres-schema.ts';
import { placeOf } from './url.ts';

export function migratePostgres(url: string): Promise<Migrated> {
  return connected(url, async (client) => {
    const from = await migrate(client, placeOf(url));
    await prepareWeeks(client);
    return { from, to: POSTGRES_MIGRATIONS.length };
  });
}

export function checkPostgres(url: string): Promise<Checked> {
  return connected(url, async (client) => {
    await checkVersion(client, placeOf(url));
    await client.query('SET statement_timeout = 0');
    const problems: string[] = [];
    const ask = async <T>(sql: string): Promise<T[]> => (await client.query(sql)).rows as T[];

    // A head that is not there, though its week was not trimmed: the newest events were removed.
    const cut = await ask<{ writer: string; seq: number }>(
      `SELECT w.writer, w.seq FROM gateway_writers w
         WHERE w.seq > 0 AND gateway_week(w.stored_at) >= (SELECT min(week) FROM gateway_events)
           AND NOT EXISTS
             (SELECT FROM gateway_events e WHERE e.writer = w.writer AND e.seq = w.seq AND e.hash = w.hash)`,
    );
    for (const { writer, seq } of cut)
      problems.push(`the chain ${writer} ended with event ${seq}, which is not there`);
    const invalid = await ask<{ name: string }>(
      `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE NOT i.indisvalid AND c.relname LIKE 'gateway%'`,
    );
    for (const { name } of invalid) problems.push(`the index ${name} is not valid; REINDEX it`);
    const disabled = await ask<{ name: string }>(
      `SELECT DISTINCT tgname AS name FROM pg_trigger WHERE tgrelid = 'gateway_events'::regclass AND tgenabled = 'D'`,
    );
    for (const { name } of disabled)
      problems.push(`the trigger ${name}, which keeps events from being changed, is off`);
    const [week] = await ask<{ ready: boolean }>(
      `SELECT to_regclass('gateway_events_' || to_char(gateway_week(now()), 'YYYYMMDD')) IS NOT NULL AS ready`,
    );
    if (week?.ready !== true) problems.push('this week has no table of its own; no gateway has prepared it');
    for (const name of ['fsync', 'full_page_writes']) {
      const [setting] = await ask<{ value: string }>(`SELECT current_setting('${name}') AS value`);
      if (setting?.value === 'off')
        problems.push(`the server has ${name} off: a power cut may lose what was answered`);
    }
    return { problems, facts: await factsOf(ask) };
  });
}

async function factsOf(ask: <T>(sql: string) => Promise<T[]>): Promise<string[]> {
  const [counts] = await ask<Record<'events' | 'other' | 'replay_ids' | 'sessions' | 'mib', number>>(
    `SELECT (SELECT count(*) FROM gateway_events) AS events, (SELECT count(*) FROM gateway_events_other) AS other,
       (SELECT count(*) FROM replay_ids) AS replay_ids, (SELECT count(*) FROM sessions) AS sessions,
       ceil(pg_database_size(current_database()) / 1048576.0)::bigint AS mib`,
  );
  const chains = await ask<{ open: boolean }>('SELECT closed_at IS NULL AS open FROM gateway_writers');
  const [server] = await ask<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  const facts = [
    `PostgreSQL ${server?.version}, schema version ${POSTGRES_MIGRATIONS.length}`,
    `${counts!.events} events, ${counts!.replay_ids} replay ids, ${counts!.sessions} sessions`,
    `${chains.length} chains, ${chains.filter(({ open }) => open).length} of them in use`,
    `${counts!.mib} MiB`,
  ];
  if (counts!.other > 0) facts.push(`${counts!.other} events are of weeks without a table of their own`);
  return facts;
}

async function connected<T>(url: string, use: (client: Connection) => Promise<T>): Promise<T> {
  let client: Connection;
  try {
    client = await connect(url, () => {});
  } catch (error) {
    throw explainOpen(error, placeOf(url));
  }
  try {
    return await use(client);
  } catch (error) {
    throw explainOpen(error, placeOf(url));
  } finally {
    await client.end();
  }
}
