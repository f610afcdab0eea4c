/** A whole Postgres store, read at one moment or filled for the first time. */
import { callFacts } from './call-facts.ts';
import { chained, type PageRow } from './event-row.ts';
import { textArray } from './postgres-array.ts';
import { insertBinding, readBindings } from './postgres-bindings.ts';
import { type Connection, connect } from './postgres-connection.ts';
import { leasesIn, loadLastGood, writeLastGood } from './postgres-kept.ts';
import { COLUMNS, pageOf } from './postgres-pages.ts';
import { checkVersion, explainOpen, migrate, prepareWeeks } from './postgres-schema.ts';
import { listSessions, saveSession } from './postgres-sessions.ts';
import { asGiven, kept as keptText } from './postgres-text.ts';
import { type ReplayClaim, type Session, StoreOpenError } from './store.ts';
import type { TransferSource, TransferTarget } from './transfer.ts';
import { placeOf } from './url.ts';

const PAGE = 1_000;

export async function openPostgresSource(url: string): Promise<TransferSource> {
  const client = await begin(url, async (opened) => {
    await checkVersion(opened, placeOf(url));
    // One view of all tables, whatever the gateways write meanwhile.
    await opened.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  });
  return {
    async *events() {
      const sql = `SELECT ${COLUMNS} FROM gateway_events WHERE position > $1 ORDER BY position LIMIT $2`;
      for (let after = 0; ; ) {
        const rows = await pageOf(client, sql, [after, PAGE]);
        if (rows.length === 0) return;
        yield rows;
        after = rows.at(-1)![0];
      }
    },
    async *replayIds() {
      for (let after = ''; ; ) {
        const { rows } = await client.query<ReplayClaim>(
          'SELECT id, expires_at FROM replay_ids WHERE id > $1 ORDER BY id LIMIT $2',
          [after, PAGE],
        );
        if (rows.length === 0) return;
        yield rows.map(({ id, expires_at }) => ({ id: asGiven(id), expires_at }));
        after = rows.at(-1)!.id;
      }
    },
    async kept() {
      const sessions: Session[] = [];
      for (let page = await listSessions(client, { limit: PAGE }); page.length > 0; ) {
        sessions.push(...page);
        page = await listSessions(client, { limit: PAGE, after: page.at(-1) });
      }
      return {
        sessions,
        last_good: await loadLastGood(client),
        leases: await leasesIn(client).abandoned('', Number.MAX_SAFE_INTEGER),
        bindings: await readBindings(client, 'true ORDER BY created_at, id', []),
      };
    },
    close: () => client.end(),
  };
}

/** A database without events; its tables are made when they are not there. */
export async function openPostgresTarget(url: string): Promise<TransferTarget> {
  const client = await begin(url, async (opened) => {
    await migrate(opened, placeOf(url));
    await opened.query('BEGIN');
    const { rows } = await opened.query('SELECT 1 FROM gateway_events LIMIT 1');
    if (rows.length > 0) {
      throw new StoreOpenError(
        'unavailable',
        `${placeOf(url)} has events already; name a database that has none`,
      );
    }
  });
  /** The newest time so far: what is stored later is of no earlier week. */
  let newest = '';
  let last = 0;
  return {
    async events(rows) {
      if (newest === '') await prepareWeeks(client, new Date(rows[0]![7]));
      const weeks: string[] = [];
      for (const [, , , , , , , created_at] of rows) {
        if (created_at > newest) newest = created_at;
        weeks.push(newest);
      }
      await insertEvents(client, rows, weeks);
      last = rows.at(-1)![0];
    },
    async replayIds(claims) {
      await client.query(
        'INSERT INTO replay_ids (id, expires_at) SELECT * FROM unnest($1::text[], $2::bigint[])',
        [textArray(claims.map(({ id }) => keptText(id))), claims.map(({ expires_at }) => expires_at)],
      );
    },
    async kept({ sessions, last_good, leases, bindings }) {
      for (const session of sessions) await saveSession(client, session, 0);
      await writeLastGood(client, { set: last_good.rows, remove: [], contents: last_good.contents });
      for (const lease of leases) await leasesIn(client).note(lease);
      for (const binding of bindings) await insertBinding(client, binding);
    },
    async finish(heads) {
      for (const { writer, seq, hash } of heads) {
        // Closed: the next gateway that starts goes on with it.
        await client.query(
          `INSERT INTO gateway_writers (writer, epoch, seq, hash, stored_at, instance, version, started_at, seen_at,
             closed_at) VALUES ($1, 1, $2, $3, now(), '', '', now(), now(), now())`,
          [writer, seq, hash],
        );
      }
      await client.query(`SELECT setval('gateway_events_position', $1)`, [Math.max(last, 1)]);
      await client.query('COMMIT');
    },
    close: () => client.end(),
  };
}

async function begin(url: string, prepare: (client: Connection) => Promise<void>): Promise<Connection> {
  try {
    const client = await connect(url, () => {});
    try {
      // A copy takes as long as it takes.
      await client.query('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0');
      await prepare(client);
      return client;
    } catch (error) {
      await client.end();
      throw error;
    }
  } catch (error) {
    throw explainOpen(error, placeOf(url));
  }
}

async function insertEvents(
  client: Connection,
  rows: readonly PageRow[],
  weeks: readonly string[],
): Promise<void> {
  const facts = rows.map((row) => callFacts(chained(row)));
  const column = (index: number): Buffer =>
    textArray(rows.map((row) => keptText(row[index] as string | null)));
  await client.query(
    `INSERT INTO gateway_events (position, seq, id, event_type, execution_id, tenant_id, revision, payload, created_at,
         writer, prev_hash, hash, tool_name, agent_id, week, skewed)
       SELECT e.position, e.seq, e.id, e.event_type, e.execution_id, e.tenant_id, e.revision, e.payload, e.created_at,
         e.writer, e.prev_hash, e.hash, e.tool_name, e.agent_id, gateway_week(e.stored_at::timestamptz),
         -- Of what was stored when, only the order is known.
         e.created_at < gateway_time(e.stored_at::timestamptz - interval '2 minutes') COLLATE "C"
       FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
         $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
         AS e (position, seq, id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, prev_hash,
           hash, tool_name, agent_id, stored_at)`,
    [
      rows.map(([position]) => position),
      rows.map((row) => row[9]),
      ...[1, 2, 3, 4, 5, 6, 7, 8, 10, 11].map(column),
      textArray(facts.map(({ tool_name }) => keptText(tool_name))),
      textArray(facts.map(({ agent_id }) => keptText(agent_id))),
      textArray(weeks),
    ],
  );
}
