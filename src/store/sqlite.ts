/**
 * The embedded store: SQLite with write-ahead log, every commit on the disk before its callers go on
 * (`synchronous=FULL`). One thread writes, another reads; the event loop only hands over and awaits.
 * Decision and measurements: docs/decisions/0003-audit-store.md.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { createPageReader } from './sqlite-pages.ts';
import { openQueue } from './sqlite-queue.ts';
import { spawnThread } from './sqlite-thread.ts';
import {
  encodeAdmit,
  encodeAppend,
  encodeForgetLease,
  encodeKeep,
  encodeNoteLease,
  encodePurge,
  encodePurgeSessions,
  encodePutSession,
  encodeRevokeSession,
  type Message,
} from './sqlite-units.ts';
import type { WriterData } from './sqlite-writer.ts';
import type { EventReader, Store } from './store.ts';

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

/** Rows forgotten in one transaction, so that calls need not wait long behind it. */
const PURGE_UNIT = 2_000;

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
  log.info({ duration_ms: Math.round(options.clock.monotonic() - started) }, 'the audit store is open');

  return {
    query: reader.query,
    scan: reader.scan,
    async append(events) {
      if (events.length > 0) await queue.submit(encoded(() => encodeAppend(events)));
    },
    async admit(claim, events) {
      const free = await queue.submit(encoded(() => encodeAdmit(claim, events)));
      return free === 1;
    },
    purgeReplay: (now) => inUnits((limit) => queue.submit(encodePurge(now, limit))),
    sessions: {
      async put(session, events) {
        return (await queue.submit(encoded(() => encodePutSession(session, events)))) === 1;
      },
      async get(execution_id) {
        const [found] = await reader.sessions({ execution_id });
        return found ?? null;
      },
      async revoke(execution_id, revoked_at, events) {
        return (
          (await queue.submit(encoded(() => encodeRevokeSession(execution_id, revoked_at, events)))) === 1
        );
      },
      list: reader.sessions,
      purge: (time) => inUnits((limit) => queue.submit(encodePurgeSessions(time, limit))),
    },
    leases: {
      async note(lease) {
        await queue.submit(encodeNoteLease(lease));
      },
      async forget(lease_id) {
        await queue.submit(encodeForgetLease(lease_id));
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

/** Forgets unit by unit, until one is not full; how many in all. */
async function inUnits(forget: (limit: number) => Promise<number>): Promise<number> {
  let forgotten = 0;
  while (true) {
    const some = await forget(PURGE_UNIT);
    forgotten += some;
    if (some < PURGE_UNIT) return forgotten;
  }
}

function encoded(encode: () => Message): Message {
  try {
    return encode();
  } catch (cause) {
    throw new GatewayError('AUDIT_UNAVAILABLE', 'the event cannot be written as JSON', { cause });
  }
}
