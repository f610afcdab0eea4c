/**
 * Which chain this gateway writes. A chain outlives the gateway that began it: the next one that starts goes on with a
 * chain that was closed, so that there are no more chains than gateways at one time.
 */
import { GENESIS } from '../audit/chain.ts';
import { newId } from '../ids.ts';
import type { Lane } from './postgres-batch.ts';
import type { Query } from './postgres-connection.ts';
import type { Presence, Replica } from './store.ts';

/** Seconds without a sign of life after which a gateway is taken for gone: some missed announcements. */
const SILENT_SECONDS = 30;

export interface Self {
  /** This run of the gateway. */
  readonly instance: string;
  readonly version: string;
}

/**
 * The chain that this gateway is to write from now on, by this connection alone: the one that it wrote before when
 * nobody has closed it, else one that was closed, else a new one. Waits for what an earlier connection is still at.
 */
export async function takeLane(client: Query, self: Self): Promise<Lane> {
  const own = await client.query<Lane>(
    `UPDATE gateway_writers SET epoch = epoch + 1, seen_at = now()
       WHERE instance = $1 AND closed_at IS NULL RETURNING writer, epoch, seq, hash`,
    [self.instance],
  );
  if (own.rows[0] !== undefined) return own.rows[0];
  const { instance, version } = self;
  const adopted = await client.query<Lane>(
    `UPDATE gateway_writers SET epoch = epoch + 1, instance = $1, version = $2, address = NULL, revision = NULL,
         started_at = now(), seen_at = now(), closed_at = NULL
       WHERE writer = (SELECT writer FROM gateway_writers WHERE closed_at IS NOT NULL
         ORDER BY closed_at DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING writer, epoch, seq, hash`,
    [instance, version],
  );
  if (adopted.rows[0] !== undefined) return adopted.rows[0];
  const lane: Lane = { writer: newId(), epoch: 1, seq: 0, hash: GENESIS };
  await client.query(
    `INSERT INTO gateway_writers (writer, epoch, seq, hash, stored_at, instance, version, started_at, seen_at)
       VALUES ($1, $2, $3, $4, now(), $5, $6, now(), now())`,
    [lane.writer, lane.epoch, lane.seq, lane.hash, instance, version],
  );
  return lane;
}

export async function closeLane(client: Query, self: Self): Promise<void> {
  await client.query(
    'UPDATE gateway_writers SET closed_at = now() WHERE instance = $1 AND closed_at IS NULL',
    [self.instance],
  );
}

/** Says that this gateway lives, and closes the chains of those that do not. */
export async function announce(client: Query, self: Self, { address, revision }: Presence): Promise<void> {
  await client.query(
    `UPDATE gateway_writers SET seen_at = now(), address = $2, revision = $3
       WHERE instance = $1 AND closed_at IS NULL`,
    [self.instance, address, revision],
  );
  await closeSilent(client);
}

/** While the database was away nobody could give a sign of life: after its start it waits as long. */
export async function closeSilent(client: Query): Promise<void> {
  await client.query(
    `UPDATE gateway_writers SET closed_at = now()
       WHERE closed_at IS NULL AND greatest(seen_at, pg_postmaster_start_time()) < now() - make_interval(secs => $1)`,
    [SILENT_SECONDS],
  );
}

export async function listReplicas(client: Query): Promise<Replica[]> {
  const { rows } = await client.query<Record<keyof Replica, string>>(
    `SELECT instance, version, address, revision,
         gateway_time(started_at) AS started_at,
         gateway_time(seen_at) AS seen_at
       FROM gateway_writers
       -- A command that writes to the store has no address.
       WHERE closed_at IS NULL AND address IS NOT NULL AND seen_at >= now() - make_interval(secs => $1)
       ORDER BY gateway_writers.started_at, instance`,
    [SILENT_SECONDS],
  );
  return rows;
}
