/**
 * Which rejections are events of their own. Being refused costs a caller nothing, so it must cost the disk a bounded
 * amount: a violation of a limit is told once in the limit's window, other rejections so many times a minute and a day
 * for each caller, or each remote address where nobody has proven who calls. What is not told is counted, and the counts
 * are events once a minute (docs/concepts.md, Audit).
 */
import type { EventBody } from '../audit/event.ts';
import { type Clock, isoTime } from '../clock.ts';
import type { GatewayError, Violation } from '../errors.ts';
import type { RateLimit } from '../snapshot/snapshot.ts';
import { type Limiter, limitKey } from './limit.ts';
import { networkOf } from './remote-address.ts';

export interface Refusal {
  readonly error: GatewayError;
  /** Who was refused; null: nobody has proven who calls. */
  readonly caller: RefusedCaller | null;
  /** null: the connection has gone. */
  readonly remote_addr: string | null;
}

export interface RefusedCaller {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant_id: string | null;
}

/** An event about rejections that were counted. */
export interface CountedEvent extends EventBody {
  readonly tenant_id: string | null;
}

export interface Rejections {
  /** Whether this one is an event of its own; else it is to be counted. */
  tells(refusal: Refusal): boolean;
  count(refusal: Refusal): void;
  /** Writes what was counted since the last time; what cannot be written is counted on. Rejects as `write` does. */
  flush(write: (event: EventBody, tenant_id: string | null) => Promise<void>): Promise<void>;
}

export interface RejectionsOptions {
  readonly clock: Clock;
  /** A limiter of its own: who is not known must not push out the counts of those who are. */
  readonly limiter: Limiter;
  /** Rejections of one caller or address, with one error, that are events of their own. */
  readonly per_minute: number;
}

/** Seconds within which a violation is told once, where the limit's own window is shorter. */
const SHORTEST_WINDOW = 60;
/** Addresses are cheap: all those who are not known have together, in a minute, what so many of them have. */
const ALL_UNKNOWN = 10;
/** A burst is worth its events; what goes on for days is the same again. Minutes' worth in a day: of a caller... */
const MINUTES_OF_CALLER = 240;
/** ...of all who are not known together... */
const MINUTES_OF_UNKNOWN = 240;
/** ...and of one address among them, so that it does not use up what is for all. */
const MINUTES_OF_ADDRESS = 12;
/** Lines of counts that are kept apart, and that one event holds; what is beyond is one number. */
const MAX_COUNTED = 1_000;
const MAX_LINES = 50;

interface Counted {
  readonly tenant_id: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
  count: number;
}

export function createRejections({ clock, limiter, per_minute }: RejectionsOptions): Rejections {
  let counted = new Map<string, Counted>();
  let since = clock.now();
  const measure = (in_minute: number, minutes_in_day: number): readonly RateLimit[] => [
    { calls: in_minute, per_seconds: 60 },
    { calls: per_minute * minutes_in_day, per_seconds: 86_400 },
  ];
  const ofCaller = measure(per_minute, MINUTES_OF_CALLER);
  const ofAddress = measure(per_minute, MINUTES_OF_ADDRESS);
  const ofUnknown = measure(per_minute * ALL_UNKNOWN, MINUTES_OF_UNKNOWN);
  const fits = (key: string, limits: readonly RateLimit[]): boolean =>
    limits.every((limit) => limiter.own(key, limit).allowed);
  const take = (key: string, limits: readonly RateLimit[]): boolean =>
    fits(key, limits) && limits.every((limit) => limiter.take(key, limit).allowed);

  const once = (violation: Violation): boolean =>
    limiter.take(limitKey('violation', violation.key), onceIn(violation)).allowed;

  const isTold = ({ error, caller, remote_addr }: Refusal): boolean => {
    const { name, violation } = error;
    if (caller === null) {
      const everybody = limitKey('unknown');
      const key = limitKey('address', remote_addr && networkOf(remote_addr), name);
      return (
        // First, so that addresses beyond what all may have leave nothing that would have to be remembered.
        fits(everybody, ofUnknown) &&
        take(key, ofAddress) &&
        (violation === null || once(violation)) &&
        take(everybody, ofUnknown)
      );
    }
    if (violation !== null) return once(violation);
    const { issuer, tenant_id, subject } = caller;
    return take(limitKey('caller', issuer, tenant_id, subject, name), ofCaller);
  };

  const add = ({ tenant_id, facts, count }: Counted): void => {
    const key = JSON.stringify([tenant_id, facts]);
    const there = counted.get(key);
    if (there !== undefined) there.count += count;
    else if (counted.size < MAX_COUNTED) counted.set(key, { tenant_id, facts, count });
    else
      counted.set(OTHERS, { tenant_id: null, facts: {}, count: count + (counted.get(OTHERS)?.count ?? 0) });
  };

  const count = ({ error, caller, remote_addr }: Refusal): void => {
    const { code } = error.row;
    const who =
      caller === null
        ? { remote_addr: remote_addr && networkOf(remote_addr) }
        : { issuer: caller.issuer, agent_id: caller.subject };
    add({ tenant_id: caller?.tenant_id ?? null, facts: { code, name: error.name, ...who }, count: 1 });
  };

  return {
    tells: isTold,

    count,

    async flush(write) {
      const lines = [...counted.values()];
      const [from, until] = [since, clock.now()];
      since = until;
      counted = new Map();
      const unwritten = new Set(lines);
      try {
        for (const tenant_id of new Set(lines.map((line) => line.tenant_id))) {
          const own = lines.filter((line) => line.tenant_id === tenant_id);
          await write(eventOf(own, from, until), tenant_id);
          for (const line of own) unwritten.delete(line);
        }
      } catch (error) {
        if (unwritten.size > 0) since = from;
        for (const line of unwritten) add(line);
        throw error;
      }
    },
  };
}

const OTHERS = 'others';

/** How often a violation is told, as a limit: every gateway of a store counts by it. */
export function onceIn({ per_seconds }: Violation): RateLimit {
  return { calls: 1, per_seconds: Math.max(per_seconds, SHORTEST_WINDOW) };
}

function eventOf(lines: readonly Counted[], from: number, until: number): EventBody {
  const most = lines.toSorted((a, b) => b.count - a.count).slice(0, MAX_LINES);
  const sum = (of: readonly Counted[]): number => of.reduce((total, { count }) => total + count, 0);
  return {
    event_type: 'RejectionsCounted',
    payload: {
      count: sum(lines),
      since: isoTime(from),
      until: isoTime(until),
      rejections: most.filter(({ facts }) => facts.name).map(({ facts, count }) => ({ ...facts, count })),
    },
  };
}
