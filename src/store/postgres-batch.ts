/** Units of work as one call of gateway_commit: linked into the chain, counted, in the parameters' order. */
import { type EventRow, hashRow } from './event-row.ts';
import { numberArray, textArray } from './postgres-array.ts';
import { asGiven, kept } from './postgres-text.ts';
import type { Count, Exhausted, ReplayClaim } from './store.ts';

/** The end of a chain, and who may add to it. */
export interface Lane {
  readonly writer: string;
  readonly epoch: number;
  readonly seq: number;
  readonly hash: string;
}

/** An event with what filters look for in its payload. */
export interface LaneRow {
  readonly row: EventRow;
  readonly tool_name: string | null;
  readonly agent_id: string | null;
}

/** What is done as a whole or not at all. Its keys are as Postgres keeps them. */
export interface Unit {
  readonly claim: ReplayClaim | null;
  readonly rows: readonly LaneRow[];
  readonly counts: readonly Count[];
}

export interface Batch {
  /** Parameters of gateway_commit. */
  readonly values: readonly unknown[];
  /** The lane when it is committed. */
  readonly lane: Lane;
}

/** The units' replay ids are all different. */
export function batchOf(units: readonly Unit[], from: Lane): Batch {
  const columns: (string | null)[][] = Array.from({ length: 11 }, () => []);
  const claims: string[] = [];
  const expiries: number[] = [];
  const counted = new Map<string, { count: Count; calls: number }>();
  let { seq, hash } = from;
  for (const unit of units) {
    if (unit.claim !== null) {
      claims.push(unit.claim.id);
      expiries.push(Math.ceil(unit.claim.expires_at));
    }
    for (const { row, tool_name, agent_id } of unit.rows) {
      const prev_hash = hash;
      seq += 1;
      hash = hashRow(row, from.writer, seq, prev_hash);
      const [id, event_type, execution_id, tenant_id, revision, payload, created_at] = row;
      const texts = [id, event_type, execution_id, tenant_id, revision].map(kept);
      const all = [...texts, payload, kept(created_at), prev_hash, hash, kept(tool_name), kept(agent_id)];
      for (const [column, value] of all.entries()) columns[column]!.push(value);
    }
    for (const count of unit.counts) {
      const id = countId(count);
      counted.set(id, { count, calls: (counted.get(id)?.calls ?? 0) + 1 });
    }
  }
  const counts = [...counted.values()];
  const values = [
    from.writer,
    from.epoch,
    from.seq,
    from.hash,
    seq,
    hash,
    textArray(claims),
    numberArray(expiries),
    ...columns.map(textArray),
    textArray(counts.map(({ count }) => count.key)),
    numberArray(counts.map(({ count }) => count.per_seconds)),
    numberArray(counts.map(({ count }) => Math.min(count.calls, MAX_INT))),
    numberArray(counts.map(({ calls }) => calls)),
  ];
  return { values, lane: { ...from, seq, hash } };
}

const MAX_INT = 2 ** 31 - 1;

/** A counter that the batch would have taken past its limit, as SG003 tells it. */
export interface OverLimit {
  readonly key: string;
  readonly per_seconds: number;
  /** Calls by sixteenths of the span before this batch, the newest first: one more than the span has. */
  readonly before: readonly number[];
  /** How much of the newest sixteenth has passed. */
  readonly into: number;
}

/** Of the units, in order, those that do not fit in the limits any more, each with the limit that says so. */
export function beyondLimits<U extends Unit>(
  units: readonly U[],
  over: readonly OverLimit[],
): Map<U, Exhausted> {
  const told = new Map(over.map((one) => [countId(one), one]));
  const used = new Map<string, number>();
  const beyond = new Map<U, Exhausted>();
  for (const unit of units) {
    const concerned = unit.counts.filter((count) => told.has(countId(count)));
    const full = concerned.find((count) => {
      const id = countId(count);
      return sum(told.get(id)!.before) + (used.get(id) ?? 0) >= count.calls;
    });
    if (full === undefined) {
      for (const count of concerned) used.set(countId(count), (used.get(countId(count)) ?? 0) + 1);
    } else {
      const retry_after_ms = waitMs(told.get(countId(full))!, full);
      beyond.set(unit, { key: asGiven(full.key), retry_after_ms });
    }
  }
  return beyond;
}

/** Slots that a span is counted in; gateway_commit has the same number. */
const SLOTS = 16;

/** Milliseconds until enough of the oldest slots have left the span for one more call. */
export function waitMs({ before, into }: OverLimit, limit: Count): number {
  const slotMs = (limit.per_seconds * 1000) / SLOTS;
  let calls = sum(before);
  for (let slot = before.length - 1; slot >= 0; slot -= 1) {
    calls -= before[slot]!;
    if (calls < limit.calls) return Math.max(1, Math.ceil((SLOTS + 1 - slot - into) * slotMs));
  }
  return limit.per_seconds * 1000;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function countId({ key, per_seconds }: { readonly key: string; readonly per_seconds: number }): string {
  return `${per_seconds} ${key}`;
}
