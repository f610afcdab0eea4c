/**
 * Copies a whole store into another one, of either kind: the trail with its positions and chains, replay ids, sessions,
 * the last good set, users' bindings. What was proven there can be proven here.
 */
import type { PageRow } from './event-row.ts';
import { openPostgresSource, openPostgresTarget } from './postgres-transfer.ts';
import { openSqliteSource, openSqliteTarget } from './sqlite-transfer.ts';
import type { CredentialBinding, LastGood, LeaseNote, ReplayClaim, Session } from './store.ts';
import { sqlitePath } from './url.ts';

/** All that a store keeps beside the trail; small enough to be held in memory, replay ids apart. */
export interface Kept {
  readonly sessions: readonly Session[];
  readonly last_good: LastGood;
  readonly leases: readonly LeaseNote[];
  readonly bindings: readonly CredentialBinding[];
}

/** A store as it is at one moment. */
export interface TransferSource {
  /** In order of position, some at a time. */
  events(): AsyncIterable<readonly PageRow[]>;
  replayIds(): AsyncIterable<readonly ReplayClaim[]>;
  kept(): Promise<Kept>;
  close(): Promise<void>;
}

/** A new store, as one transaction. */
export interface TransferTarget {
  events(rows: readonly PageRow[]): Promise<void>;
  replayIds(claims: readonly ReplayClaim[]): Promise<void>;
  kept(kept: Kept): Promise<void>;
  /** Makes it durable. `heads`: the last event of each chain. */
  finish(heads: readonly ChainHead[]): Promise<void>;
  /** Without {@link TransferTarget.finish} nothing is left of it. */
  close(): Promise<void>;
}

export interface ChainHead {
  readonly writer: string;
  readonly seq: number;
  readonly hash: string;
}

export interface Transferred {
  readonly events: number;
  readonly replay_ids: number;
  readonly sessions: number;
  readonly manifests: number;
  readonly bindings: number;
  readonly chains: readonly ChainHead[];
}

/** `from` and `to`: URLs. The target has to be without events. Rejects with StoreOpenError. */
export async function transfer(from: string, to: string): Promise<Transferred> {
  const source = await openSource(from);
  try {
    const target = await openTarget(to);
    try {
      return await copy(source, target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copy(source: TransferSource, target: TransferTarget): Promise<Transferred> {
  const heads = new Map<string, ChainHead>();
  let events = 0;
  for await (const rows of source.events()) {
    await target.events(rows);
    events += rows.length;
    for (const row of rows) {
      const [, , , , , , , , writer, seq, , hash] = row;
      if (seq > (heads.get(writer)?.seq ?? 0)) heads.set(writer, { writer, seq, hash });
    }
  }
  let replay_ids = 0;
  for await (const claims of source.replayIds()) {
    await target.replayIds(claims);
    replay_ids += claims.length;
  }
  const kept = await source.kept();
  await target.kept(kept);
  const chains = [...heads.values()];
  await target.finish(chains);
  const { sessions, last_good, bindings } = kept;
  return {
    events,
    replay_ids,
    sessions: sessions.length,
    manifests: last_good.rows.length,
    bindings: bindings.length,
    chains,
  };
}

function openSource(url: string): Promise<TransferSource> {
  const path = sqlitePath(url);
  return path === null ? openPostgresSource(url) : openSqliteSource(path);
}

function openTarget(url: string): Promise<TransferTarget> {
  const path = sqlitePath(url);
  return path === null ? openPostgresTarget(url) : openSqliteTarget(path);
}
