/** Events as the rows of `gateway_events`, and back: the same for every database. */
import { hashEvent } from '../audit/chain.ts';
import type { AuditEvent, ChainedEvent, EventType } from '../audit/event.ts';
import type { PositionedEvent } from './store.ts';

/** An event before it is linked: id, event_type, execution_id, tenant_id, revision, payload, created_at. */
export type EventRow = [string, string, string | null, string | null, string | null, string, string];

/** position, then the columns that the hash covers, then the hash. */
export type PageRow = [
  position: number,
  id: string,
  event_type: string,
  execution_id: string | null,
  tenant_id: string | null,
  revision: string | null,
  payload: string,
  created_at: string,
  writer: string,
  seq: number,
  prev_hash: string,
  hash: string,
];

/** Throws a TypeError for a payload that JSON cannot hold. */
export function rowOf(event: AuditEvent): EventRow {
  const payload = JSON.stringify(event.payload);
  if (payload === undefined) throw new TypeError('the payload of an event is not JSON');
  return [
    wellFormed(event.id),
    wellFormed(event.event_type),
    wellFormed(event.execution_id),
    wellFormed(event.tenant_id),
    wellFormed(event.revision),
    payload,
    wellFormed(event.created_at),
  ];
}

/** The hash by which a row is the one at `seq` of its writer's chain, after the one whose hash is `prev_hash`. */
export function hashRow(row: EventRow, writer: string, seq: number, prev_hash: string): string {
  const [id, event_type, execution_id, tenant_id, revision, payload_text, created_at] = row;
  return hashEvent({
    id,
    event_type: event_type as EventType,
    execution_id,
    tenant_id,
    revision,
    payload_text,
    created_at,
    writer,
    seq,
    prev_hash,
  });
}

/** A lone surrogate has no UTF-8: what is hashed must be what the database gives back. */
function wellFormed<T extends string | null>(text: T): T | string {
  return text === null ? text : text.toWellFormed();
}

export function chained(row: PageRow): ChainedEvent {
  const [, id, event_type, execution_id, tenant_id, revision, payload_text, created_at, ...link] = row;
  const [writer, seq, prev_hash, hash] = link;
  return {
    id,
    event_type: event_type as EventType,
    execution_id,
    tenant_id,
    revision,
    payload: parsePayload(payload_text),
    payload_text,
    created_at,
    writer,
    seq,
    prev_hash,
    hash,
  };
}

export function positioned(row: PageRow): PositionedEvent {
  const { payload_text: _, ...event } = chained(row);
  return { position: row[0], ...event };
}

/** A row that was tampered with may hold anything; it is shown as it is, and `verifyChain` reports it. */
function parsePayload(text: string): AuditEvent['payload'] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as AuditEvent['payload'];
  } catch {
    // Not JSON.
  }
  return { unreadable: text };
}
