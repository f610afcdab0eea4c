/**
 * The shared store: Postgres, for any number of gateways. Each writes a chain of events of its own, in one statement for
 * all that waits; what they have to agree on (replay ids, limits, sessions) is one row for all of them.
 * Decision and measurements: docs/decisions/0015-postgres.md.
 */
import type { AuditEvent } from '../audit/event.ts';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { newId } from '../ids.ts';
import { type Log, silentLog } from '../log.ts';
import { packageVersion } from '../version.ts';
import { callFacts } from './call-facts.ts';
import { rowOf } from './event-row.ts';
import type { LaneRow } from './postgres-batch.ts';
import { bindingsIn } from './postgres-bindings.ts';
import { connect, createPool, type Pool } from './postgres-connection.ts';
import { leasesIn, loadLastGood, purgeReplay, saveLastGood } from './postgres-kept.ts';
import { announce, closeLane, closeSilent, listReplicas, type Self, takeLane } from './postgres-lane.ts';
import { queryEvents, scanEvents } from './postgres-pages.ts';
import { type Outcome, openQueue, type Unit } from './postgres-queue.ts';
import { dropWeeks, startsAt, weeksBefore } from './postgres-retention.ts';
import { checkVersion, explainOpen, migrate, prepareWeeks } from './postgres-schema.ts';
import { listSessions, readSession, revokeSession, saveSession } from './postgres-sessions.ts';
import { kept } from './postgres-text.ts';
import { createSessionCache } from './session-cache.ts';
import type { EventReader, Saved, Store } from './store.ts';
import { trimmed } from './trim.ts';
import { placeOf } from './url.ts';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with `sslmode` and its like. */
  readonly url: string;
  readonly clock: Clock;
  readonly log?: Log;
}

/** Milliseconds between two looks whether the next weeks have their tables. */
const UPKEEP_MS = 3_600_000;

/** Opens the store for writing; rejects with StoreOpenError. */
export async function openPostgresStore({ url, clock, log = silentLog }: PostgresOptions): Promise<Store> {
  const place = placeOf(url);
  const self: Self = { instance: newId(), version: packageVersion() };
  const started = clock.monotonic();
  const pool = createPool(url);
  try {
    await bringUpToDate(url, place, log);
    await prepareWeeks(pool);
    await closeSilent(pool);
  } catch (error) {
    await pool.end();
    throw explainOpen(error, place);
  }
  const queue = await openQueue({
    connect: (onEnd) => connect(url, onEnd),
    takeLane: (client) => takeLane(client, self),
    closeLane: (client) => closeLane(client, self),
    clock,
    log,
  }).catch(async (error: unknown) => {
    await pool.end();
    throw explainOpen(error, place);
  });
  log.info({ place, duration_ms: Math.round(clock.monotonic() - started) }, 'the audit store is open');

  const upkeep = setInterval(() => {
    prepareWeeks(pool).catch((error: unknown) =>
      log.warn({ err: error }, 'the next weeks have no tables yet'),
    );
  }, UPKEEP_MS);
  upkeep.unref();

  let closed: Promise<void> | null = null;
  const { reading, writing } = guards(() => closed !== null);
  const cache = createSessionCache(clock, (execution_id) => readSession(pool, execution_id));
  const submit = (part: Partial<Unit>): Promise<Outcome> => {
    const unit = { claim: null, rows: [], counts: [], also: null, ...part };
    return queue.submit({ ...unit, text: textOf(unit) });
  };

  return {
    ...readerOf(pool, reading),
    async append(events) {
      if (events.length > 0) await submit({ rows: rowsOf(events) });
    },
    async admit(claim, events, counts = []) {
      const outcome = await submit({
        claim: { ...claim, id: kept(claim.id) },
        rows: rowsOf(events),
        counts: counts.map((count) => ({ ...count, key: kept(count.key) })),
      });
      if (outcome.kind === 'limited') return outcome.exhausted;
      return outcome.kind === 'taken' ? 'replayed' : 'admitted';
    },
    purgeReplay: (now) => writing(() => purgeReplay(pool, now)),
    trim: (before) =>
      writing(async () => {
        const weeks = await weeksBefore(pool, before);
        if (weeks === null) return 0;
        await submit({ rows: rowsOf([trimmed(clock.now(), before, await startsAt(pool, weeks.monday))]) });
        await dropWeeks(pool, weeks.tables);
        return weeks.events;
      }),
    announce: (presence) => writing(() => announce(pool, self, presence)),
    replicas: () => reading(() => listReplicas(pool)),
    sessions: {
      async save(session, now, events) {
        const outcome = await submit({
          rows: rowsOf(events),
          also: async (client) => {
            const result = await saveSession(client, session, now);
            return { result, write: result === 'created' || result === 'replaced' };
          },
        });
        cache.forget(session.execution_id);
        return resultOf(outcome) as Saved;
      },
      get: (execution_id) => reading(() => cache.get(execution_id)),
      list: (filter) => reading(() => listSessions(pool, filter)),
      async revoke(execution_id, now, events) {
        const outcome = await submit({
          rows: rowsOf(events),
          also: async (client) => {
            const result = await revokeSession(client, execution_id, now);
            return { result, write: result };
          },
        });
        cache.forget(execution_id);
        return resultOf(outcome) as boolean;
      },
    },
    leases: guarded(leasesIn(pool), writing),
    bindings: guarded(bindingsIn(pool), writing),
    loadLastGood: () => reading(() => loadLastGood(pool)),
    saveLastGood: (change) => writing(() => saveLastGood(pool, change)),
    close() {
      closed ??= (async () => {
        clearInterval(upkeep);
        await queue.close();
        await pool.end();
      })();
      return closed;
    },
  };
}

/** Opens the trail for reading; rejects with StoreOpenError. */
export async function openPostgresReader({ url }: { readonly url: string }): Promise<EventReader> {
  const pool = createPool(url);
  try {
    await checkVersion(pool, placeOf(url));
  } catch (error) {
    await pool.end();
    throw explainOpen(error, placeOf(url));
  }
  let closed = false;
  return {
    ...readerOf(pool, guards(() => closed).reading),
    async close() {
      if (closed) return;
      closed = true;
      await pool.end();
    },
  };
}

async function bringUpToDate(url: string, place: string, log: Log): Promise<void> {
  const client = await connect(url, () => {});
  try {
    const version = await migrate(client, place);
    const { rows } = await client.query<{ fsync: string }>(`SELECT current_setting('fsync') AS fsync`);
    if (rows[0]?.fsync === 'off')
      log.warn({ place }, 'this server has fsync off: a power cut may lose what was answered');
    if (version === 0) log.info({ place }, 'the tables of the audit store have been made');
  } finally {
    await client.end();
  }
}

type Guard = <T>(work: () => Promise<T>) => Promise<T>;

/** Errors of the driver as those of the port. */
function guards(isClosed: () => boolean): { reading: Guard; writing: Guard } {
  const guard =
    (message: string): Guard =>
    async (work) => {
      try {
        if (isClosed()) throw new Error('the store is closed');
        return await work();
      } catch (cause) {
        if (cause instanceof GatewayError) throw cause;
        throw new GatewayError('AUDIT_UNAVAILABLE', message, { cause });
      }
    };
  return {
    reading: guard('the audit trail could not be read'),
    writing: guard('the store could not be written; try again'),
  };
}

function readerOf(pool: Pool, reading: Guard): Pick<EventReader, 'query' | 'scan'> {
  return {
    query: (filter) => reading(() => queryEvents(pool, filter)),
    async *scan() {
      const events = scanEvents(pool);
      for (;;) {
        const next = await reading(() => events.next());
        if (next.done === true) return;
        yield next.value;
      }
    },
  };
}

/** The same methods, with the port's errors. */
function guarded<T extends object>(methods: T, guard: Guard): T {
  const wrapped = Object.entries(methods).map(([name, method]) => [
    name,
    (...args: unknown[]) => guard(() => method(...args)),
  ]);
  return Object.fromEntries(wrapped) as T;
}

function resultOf(outcome: Outcome): unknown {
  return outcome.kind === 'done' ? outcome.result : undefined;
}

function rowsOf(events: readonly AuditEvent[]): LaneRow[] {
  try {
    return events.map((event) => ({ row: rowOf(event), ...callFacts(event) }));
  } catch (cause) {
    throw new GatewayError('AUDIT_UNAVAILABLE', 'the event cannot be written as JSON', { cause });
  }
}

function textOf({ rows }: Pick<Unit, 'rows'>): number {
  let text = 0;
  for (const { row } of rows) for (const cell of row) text += cell?.length ?? 0;
  return text;
}
