/**
 * The writer of one chain: collects units, commits all that arrived while the last commit was under way, keeps a
 * connection. When one is lost with the answer still out, the database is asked what became of the batch; so nothing
 * is written twice, and nothing that was acknowledged can be missing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  type Batch,
  batchOf,
  beyondLimits,
  type Lane,
  type OverLimit,
  type Unit as PlainUnit,
} from './postgres-batch.ts';
import { type Connection, detailOf, failureOf, giveUp, type Query } from './postgres-connection.ts';
import type { Exhausted } from './store.ts';

/** Units that may wait for their commit. */
export const MAX_WAITING = 10_000;
/** Their text in UTF-16 units: the other bound on memory while the database is slow. */
const MAX_WAITING_TEXT = 128 * 1024 * 1024;
/** Bounds of one commit, so that none keeps the others waiting for long. */
const MAX_UNITS = 1_000;
const MAX_TEXT = 8 * 1024 * 1024;
/** Milliseconds that a unit may wait: a restart or a change of the database's server is bridged, a call not held up. */
const WAIT_MS = 5_000;
const SWEEP_MS = 100;
const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 1_000;
const MAX_ATTEMPTS = 5;

export interface Unit extends PlainUnit {
  /** Characters of its rows. */
  readonly text: number;
  /** Work on other tables in the same transaction; its result is the unit's. Its rows are written when it is `true`. */
  readonly also: ((client: Query) => Promise<{ readonly result: unknown; readonly write: boolean }>) | null;
}

/** What became of a unit: `taken`, its replay id was used before; or what its `also` gave. */
export type Outcome =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'taken' }
  | { readonly kind: 'limited'; readonly exhausted: Exhausted };

export interface CommitQueue {
  /** Resolves once it is durable; rejects with AUDIT_UNAVAILABLE. */
  submit(unit: Unit): Promise<Outcome>;
  /** Commits what waits, closes the chain and the connection. */
  close(): Promise<void>;
}

export interface QueueDeps {
  /** Rejects when the database cannot be reached. */
  connect(onEnd: (error: Error) => void): Promise<Connection>;
  takeLane(client: Query): Promise<Lane>;
  closeLane(client: Query): Promise<void>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
}

interface Waiting extends Unit {
  readonly since: number;
  settled: boolean;
  /** Its replay id is in the store, by this unit or by another one. */
  claimed: boolean;
  /** Units with the same replay id that came after it. */
  readonly followers: Waiting[];
  resolve(outcome: Outcome): void;
  reject(error: GatewayError): void;
}

interface Link {
  readonly client: Connection;
  lane: Lane;
}

const COMMIT = {
  name: 'gateway_commit',
  text: `SELECT gateway_commit(${Array.from({ length: 23 }, (_, i) => `$${i + 1}`).join(', ')})`,
};

/** Resolves when the database is open for writing; rejects with the driver's error. */
export async function openQueue(deps: QueueDeps): Promise<CommitQueue> {
  const { log, clock } = deps;
  /** Units without an answer, oldest first. */
  let waiting: Waiting[] = [];
  let waitingText = 0;
  /** Units of the commit under way. */
  let underWay: readonly Waiting[] = [];
  let link: Link | null = null;
  /** Monotonic milliseconds since when there is no connection; null: there is one. */
  let awaySince: number | null = null;
  let healthy = true;
  let closing: Promise<void> | null = null;
  let awake: (() => void) | null = null;
  let recovering: Promise<void> = Promise.resolve();

  const settle = (unit: Waiting): boolean => {
    if (unit.settled) return false;
    unit.settled = true;
    waitingText -= unit.text;
    return true;
  };
  const succeed = (unit: Waiting, outcome: Outcome): void => {
    if (settle(unit)) unit.resolve(outcome);
  };
  const refuse = (units: readonly Waiting[], reason: unknown): void => {
    const refused = units.filter(settle);
    for (const unit of refused) unit.reject(unavailable(reason));
    if (refused.length > 0 && healthy) {
      log.error(
        { err: reason, units: refused.length },
        'the audit trail cannot be written; calls are refused',
      );
      healthy = false;
    }
  };

  const connectOnce = async (): Promise<void> => {
    // It may end before it is ours: then the attempt fails.
    let ours: Connection | null = null;
    const client = await deps.connect(() => {
      if (ours !== null) lose(ours);
    });
    ours = client;
    try {
      link = { client, lane: await deps.takeLane(client) };
    } catch (error) {
      giveUp(client);
      throw error;
    }
    awaySince = null;
  };

  const recover = async (): Promise<void> => {
    for (let delay = FIRST_BACKOFF_MS; link === null; delay = Math.min(delay * 2, LAST_BACKOFF_MS)) {
      try {
        await connectOnce();
      } catch (error) {
        if (closing !== null) return;
        log.warn({ err: error, delay_ms: delay }, 'the database cannot be reached');
        await sleep(delay);
      }
    }
  };
  const lose = (client: Connection): void => {
    if (link?.client !== client) return;
    giveUp(client);
    link = null;
    awaySince = clock.monotonic();
    recovering = recover();
  };

  /** The next units for one commit. Of claims of one id the first goes, and the others follow it. */
  const take = (): Waiting[] => {
    const units: Waiting[] = [];
    const claims = new Map<string, Waiting>();
    let text = 0;
    let at = 0;
    for (; at < waiting.length && units.length < MAX_UNITS; at += 1) {
      const unit = waiting[at]!;
      if (unit.settled) continue;
      const full = units[0]?.also != null || unit.also !== null || text + unit.text > MAX_TEXT;
      if (units.length > 0 && full) break;
      const first = unit.claim === null ? undefined : claims.get(unit.claim.id);
      if (first !== undefined) {
        first.followers.push(unit);
        continue;
      }
      if (unit.claim !== null) claims.set(unit.claim.id, unit);
      units.push(unit);
      text += unit.text;
    }
    waiting = waiting.slice(at);
    return units;
  };

  /** Claims of the same ids: too late when the first one's is in the store, else their turn. */
  const follow = (units: readonly Waiting[]): void => {
    const next: Waiting[] = [];
    for (const { followers, claimed } of units) {
      if (!claimed) next.push(...followers.splice(0));
      for (const unit of followers) succeed(unit, { kind: 'taken' });
    }
    if (next.length > 0) waiting = [...next, ...waiting];
  };

  /** Commits the units, however often the connection is lost on the way. */
  const deliver = async (units: readonly Waiting[]): Promise<void> => {
    let left = units;
    /** What was on its way when a connection was lost. */
    let uncertain: { readonly batch: Batch; readonly result: unknown } | null = null;
    for (let attempt = 1; ; attempt += 1) {
      if (link === null) await recovering;
      const open: Link | null = link;
      if (open === null) return refuse(left, new Error('the database cannot be reached'));
      if (uncertain !== null) {
        const arrived = await isThere(open, uncertain.batch).catch(() => 'lost' as const);
        if (arrived === 'lost') {
          lose(open.client);
          continue;
        }
        if (arrived === 'yes') return done(left, uncertain.result);
        // Without events there is nothing to find it by.
        if (arrived === 'unknown')
          return refuse(left, new Error('the connection was lost in the midst of a commit'));
        uncertain = null;
      }
      // Those that were refused in the meantime are not to be done any more.
      left = left.filter((unit) => !unit.settled);
      if (left.length === 0) return;
      const batch = batchOf(left, open.lane);
      const sent = { batch, result: undefined as unknown };
      try {
        open.lane = await commit(open, left, sent);
        return done(left, sent.result);
      } catch (error) {
        const failure = failureOf(error);
        if (failure === 'lost') {
          uncertain = sent;
          lose(open.client);
        } else if (failure === 'fenced') {
          log.warn({ writer: open.lane.writer }, 'another gateway has closed this chain of events');
          lose(open.client);
        } else if (failure === 'taken') {
          left = withoutTaken(left, new Set(JSON.parse(detailOf(error)) as string[]));
        } else if (failure === 'limited') {
          left = withoutLimited(left, JSON.parse(detailOf(error)) as OverLimit[]);
        } else if (failure === 'again' && attempt < MAX_ATTEMPTS) {
          log.warn({ err: error }, 'a commit has to be tried again');
        } else if (failure === 'unit' && left.length > 1) {
          for (const unit of left) await deliver([unit]);
          return;
        } else {
          return refuse(left, error);
        }
      }
    }
  };

  const withoutTaken = (units: readonly Waiting[], taken: ReadonlySet<string>): readonly Waiting[] =>
    units.filter((unit) => {
      if (unit.claim === null || !taken.has(unit.claim.id)) return true;
      unit.claimed = true;
      succeed(unit, { kind: 'taken' });
      return false;
    });

  const withoutLimited = (units: readonly Waiting[], over: readonly OverLimit[]): readonly Waiting[] => {
    const beyond = beyondLimits(units, over);
    for (const [unit, exhausted] of beyond) succeed(unit, { kind: 'limited', exhausted });
    return units.filter((unit) => !beyond.has(unit));
  };

  const done = (units: readonly Waiting[], result: unknown): void => {
    for (const unit of units) {
      unit.claimed = true;
      succeed(unit, { kind: 'done', result });
    }
    if (!healthy) log.info('the audit trail is written again');
    healthy = true;
  };

  const loop = async (): Promise<void> => {
    for (;;) {
      underWay = take();
      if (underWay.length > 0) {
        await deliver(underWay);
        follow(underWay);
      } else if (closing === null) {
        await new Promise<void>((resolve) => {
          awake = resolve;
        });
        awake = null;
        // All that this turn of the event loop has to say goes together.
        await new Promise((resolve) => setImmediate(resolve));
      } else {
        return;
      }
    }
  };

  const sweep = setInterval(() => {
    const now = clock.monotonic();
    const overdue = [...underWay, ...waiting].filter((unit) => !unit.settled && now - unit.since > WAIT_MS);
    if (overdue.length > 0) refuse(overdue, new Error('the database did not answer in time'));
  }, SWEEP_MS);
  sweep.unref();

  await connectOnce();
  const running = loop();

  const close = async (): Promise<void> => {
    awake?.();
    await running;
    clearInterval(sweep);
    // A connection that is being made is not left behind.
    await recovering;
    if (link === null) return;
    const { client } = link;
    await deps.closeLane(client).catch((error: unknown) => {
      log.warn({ err: error }, 'the chain of events could not be closed; another gateway will do so');
    });
    link = null;
    await client.end().catch(() => {});
  };

  return {
    submit(unit) {
      if (closing !== null) return Promise.reject(unavailable(new Error('the store is closed')));
      if (awaySince !== null && clock.monotonic() - awaySince > WAIT_MS) {
        awake?.();
        return Promise.reject(unavailable(new Error('the database cannot be reached')));
      }
      if (waiting.length >= MAX_WAITING || waitingText + unit.text > MAX_WAITING_TEXT) {
        return Promise.reject(unavailable(new Error('too many events wait for the database')));
      }
      waitingText += unit.text;
      awake?.();
      return new Promise((resolve, reject) => {
        waiting.push({
          ...unit,
          since: clock.monotonic(),
          settled: false,
          claimed: false,
          followers: [],
          resolve,
          reject,
        });
      });
    },
    close() {
      closing ??= Promise.resolve().then(close);
      return closing;
    },
  };
}

/** Resolves to the lane as it is then. A unit with work of its own goes alone: several statements, one transaction. */
async function commit(
  { client, lane }: Link,
  [first]: readonly Unit[],
  sent: { readonly batch: Batch; result: unknown },
): Promise<Lane> {
  const call = { ...COMMIT, values: [...sent.batch.values] };
  if (first?.also == null) {
    await client.query(call);
    return sent.batch.lane;
  }
  await client.query('BEGIN');
  try {
    const { result, write } = await first.also(client);
    sent.result = result;
    if (write) await client.query(call);
    await client.query('COMMIT');
    return write ? sent.batch.lane : lane;
  } catch (error) {
    if (failureOf(error) !== 'lost') await client.query('ROLLBACK');
    throw error;
  }
}

/** Whether the batch is in the trail, once no earlier connection is at it any more. */
async function isThere({ client }: Link, { lane, values }: Batch): Promise<'yes' | 'no' | 'unknown'> {
  if (lane.seq === values[FROM_SEQ]) return 'unknown';
  const { rows } = await client.query(
    'SELECT 1 FROM gateway_events WHERE writer = $1 AND seq = $2 AND hash = $3',
    [lane.writer, lane.seq, lane.hash],
  );
  return rows.length > 0 ? 'yes' : 'no';
}

const FROM_SEQ = 2;

function unavailable(cause: unknown): GatewayError {
  return new GatewayError('AUDIT_UNAVAILABLE', 'the audit trail could not be written; try again', { cause });
}
