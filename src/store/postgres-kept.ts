/** What the Postgres store keeps beside the trail: replay ids, the last good set, leases. */
import { type Pool, type Query, transaction } from './postgres-connection.ts';
import { asGiven, kept } from './postgres-text.ts';
import type { LastGood, LastGoodChange, LastGoodRow, LeaseNote, Leases } from './store.ts';

/** Replay ids forgotten in one transaction. */
const PURGE_ROWS = 10_000;

export async function purgeReplay(pool: Pool, now: number): Promise<number> {
  let forgotten = 0;
  for (let rows = PURGE_ROWS; rows === PURGE_ROWS; forgotten += rows) {
    // Rows that another gateway forgets at this moment are skipped, not waited for.
    const { rowCount } = await pool.query(
      `DELETE FROM replay_ids WHERE id IN
         (SELECT id FROM replay_ids WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
      [Math.floor(now), PURGE_ROWS],
    );
    rows = rowCount ?? 0;
  }
  await pool.query('DELETE FROM rate_counters WHERE expires_at < now()');
  return forgotten;
}

/** Rows and contents in one statement, so that they fit together. */
export async function loadLastGood(pool: Query): Promise<LastGood> {
  const { rows } = await pool.query<(string | null)[]>({
    text: `SELECT key, file, digest, data, manifest FROM last_good
      UNION ALL SELECT NULL, NULL, digest, content, NULL FROM last_good_contents ORDER BY key`,
    rowMode: 'array',
  });
  const set: LastGoodRow[] = [];
  const contents = new Map<string, string>();
  for (const row of rows) {
    const [key, file, digest, text, manifest] = row.map(asGiven);
    if (key === null) contents.set(digest!, text!);
    else set.push({ key: key!, file: file!, digest: digest!, data: JSON.parse(text!), manifest: manifest! });
  }
  return { rows: set, contents };
}

export function saveLastGood(pool: Pool, change: LastGoodChange): Promise<void> {
  return transaction(pool, (client) => writeLastGood(client, change));
}

/** Within a transaction. */
export async function writeLastGood(client: Query, { set, remove, contents }: LastGoodChange): Promise<void> {
  // One at a time: else one gateway might forget the contents that another one's row is about to name.
  await client.query(`SELECT pg_advisory_xact_lock(1397047628, hashtext('last_good'))`);
  const [digests, texts] = columns(
    [...contents].map((pair) => pair.map(kept)),
    2,
  );
  await client.query(
    'INSERT INTO last_good_contents (digest, content) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING',
    [digests, texts],
  );
  const rows = set.map(({ key, file, digest, data, manifest }) =>
    [key, file, digest, JSON.stringify(data), manifest].map(kept),
  );
  await client.query(
    `INSERT INTO last_good (key, file, digest, data, manifest)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
         ON CONFLICT (key) DO UPDATE SET file = excluded.file, digest = excluded.digest, data = excluded.data,
           manifest = excluded.manifest`,
    columns(rows, 5),
  );
  await client.query('DELETE FROM last_good WHERE key = ANY ($1::text[])', [remove.map(kept)]);
  await client.query(
    `DELETE FROM last_good_contents c WHERE NOT EXISTS (SELECT FROM last_good WHERE digest = c.digest)
         AND NOT EXISTS (SELECT FROM last_good, json_array_elements(last_good.data::json) AS d WHERE d ->> 2 = c.digest)`,
  );
}

/** Rows as one list a column. */
function columns(rows: readonly (readonly string[])[], width: number): string[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column]!));
}

export function leasesIn(pool: Query): Leases {
  return {
    async note({ lease_id, namespace, holder, in_use_until }) {
      await pool.query(
        `INSERT INTO credential_leases (lease_id, namespace, holder, in_use_until) VALUES ($1, $2, $3, $4)
           ON CONFLICT (lease_id) DO UPDATE SET holder = excluded.holder, in_use_until = excluded.in_use_until`,
        [lease_id, namespace, holder, Math.ceil(in_use_until)],
      );
    },
    async forget(lease_ids) {
      await pool.query('DELETE FROM credential_leases WHERE lease_id = ANY($1)', [lease_ids]);
    },
    async abandoned(_, now) {
      const { rows } = await pool.query<LeaseNote>(
        'SELECT lease_id, namespace, holder, in_use_until FROM credential_leases WHERE in_use_until < $1',
        [Math.floor(now)],
      );
      return rows;
    },
  };
}
