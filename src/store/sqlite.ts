/**
 * The embedded store: SQLite with write-ahead log, every commit on the disk before its callers go on
 * (`synchronous=FULL`). One thread writes, another reads; the event loop only hands over and awaits.
 * Decision and measurements: docs/decisions/0003-audit-store.md.
 */
import { type Clock, isoTime } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { newId } from '../ids.ts';
import { type Log, silentLog } from '../log.ts';
import { packageVersion } from '../version.ts';
import { createPageReader } from './sqlite-pages.ts';
import { openQueue } from './sqlite-queue.ts';
import { SAVED } from './sqlite-sessions.ts';
import { spawnThread } from './sqlite-thread.ts';
import {
  encodeAdmit,
  encodeAppend,
  encodeForgetLease,
  encodeKeep,
  encodeMarkTrim,
  encodeNoteLease,
  encodePurge,
  encodeRevokeSession,
  encodeSaveSession,
  encodeTrim,
  type Message,
} from './sqlite-units.ts';
import type { WriterData } from './sqlite-writer.ts';
import type { EventReader, Presence, Store } from './store.ts';

export interface SqliteOptions {
  /** The database file; made, with its directory, when it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly log?: Log;
  /** Largest size of the database in pages of 4 KiB, after which it refuses writes; no limit unless told. */
  readonly max_pages?: number;
  /** Milliseconds that a write waits for a lock of another process; 5,000 unless told. */
  readonly busy_timeout_ms?: number;
}

/** Replay ids forgotten in one transaction, so that calls need not wait long behind it. */
const PURGE_UNIT = 2_000;
/** Events forgotten in one transaction: each is a row of several indexes. */
const TRIM_UNIT = 500;

/** Opens the store for writing; rejects with StoreOpenError. */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const log = options.log ?? silentLog;
  const { path, max_pages = null, busy_timeout_ms = null } = options;
  const started = options.clock.monotonic();
  const queue = await openQueue({
    log,
    spawn: (again) => {
      const data: WriterData = { path, max_pages, busy_timeout_ms, must_exist: again };
      return spawnThread('sqlite-writer', data);
    },
  });
  const reader = createPageReader(() => spawnThread('sqlite-reader', { path }));
  const self = {
    instance: newId(),
    version: packageVersion(),
    started_at: isoTime(options.clock.now()),
  };
  let presence: Presence | null = null;
  log.info({ duration_ms: Math.round(options.clock.monotonic() - started) }, 'the audit store is open');

  return {
    query: reader.query,
    scan: reader.scan,
    async append(events) {
      if (events.length > 0) await queue.submit(encoded(() => encodeAppend(events)));
    },
    async admit(claim, events) {
      const free = await queue.submit(encoded(() => encodeAdmit(claim, events)));
      return free === 1 ? 'admitted' : 'replayed';
    },
    async purgeReplay(now) {
      let forgotten = 0;
      while (true) {
        const purged = await queue.submit(encodePurge(now, PURGE_UNIT));
        forgotten += purged;
        if (purged < PURGE_UNIT) return forgotten;
      }
    },
    async trim(before) {
      if ((await queue.submit(encodeMarkTrim(before, options.clock.now()))) === 0) return 0;
      let forgotten = 0;
      while (true) {
        const trimmed = await queue.submit(encodeTrim(TRIM_UNIT));
        forgotten += trimmed;
        if (trimmed < TRIM_UNIT) return forgotten;
      }
    },
    async announce(said) {
      presence = said;
    },
    // One gateway's own file: there are no others.
    async replicas() {
      return presence === null ? [] : [{ ...self, ...presence, seen_at: isoTime(options.clock.now()) }];
    },
    sessions: {
      async save(session, now, events) {
        const saved = await queue.submit(encoded(() => encodeSaveSession(session, now, events)));
        return SAVED[saved]!;
      },
      async get(execution_id) {
        return (await reader.sessions({ execution_id }))[0] ?? null;
      },
      list: reader.sessions,
      async revoke(execution_id, now, events) {
        return (await queue.submit(encoded(() => encodeRevokeSession(execution_id, now, events)))) === 1;
      },
    },
    leases: {
      async note(lease) {
        await queue.submit(encodeNoteLease(lease));
      },
      async forget(lease_ids) {
        await Promise.all(lease_ids.map((lease_id) => queue.submit(encodeForgetLease(lease_id))));
      },
      abandoned: reader.abandoned,
    },
    bindings: null,
    loadLastGood: reader.lastGood,
    async saveLastGood(change) {
      await queue.submit(encodeKeep(change));
    },
    async close() {
      await reader.close();
      await queue.close();
    },
  };
}

/** Opens the trail for reading, also beside a running gateway; rejects with StoreOpenError. */
export async function openSqliteReader(options: { readonly path: string }): Promise<EventReader> {
  const reader = createPageReader(() => spawnThread('sqlite-reader', { path: options.path }));
  await reader.open();
  return { query: reader.query, scan: reader.scan, close: reader.close };
}

function encoded(encode: () => Message): Message {
  try {
    return encode();
  } catch (cause) {
    throw new GatewayError('AUDIT_UNAVAILABLE', 'the event cannot be written as JSON', { cause });
  }
}
