/** The hash that links an event to the one before it. The recipe is public: docs/reference/audit.md. */
import { hash } from 'node:crypto';
import type { ChainedEvent } from './event.ts';

/** `prev_hash` of a writer's first event. */
export const GENESIS = '0'.repeat(64);

/** What the hash covers: every column but `position` and `hash`, the payload as its stored text. */
export type HashedEvent = Omit<ChainedEvent, 'payload' | 'hash'>;

/**
 * Lower-case hex SHA-256 of the UTF-8 JSON array of the event's fields in this order, without white space.
 * JSON makes it unambiguous: no two different rows give the same bytes.
 */
export function hashEvent(event: HashedEvent): string {
  const fields = [
    event.id,
    event.event_type,
    event.execution_id,
    event.tenant_id,
    event.revision,
    event.payload_text,
    event.created_at,
    event.writer,
    event.seq,
    event.prev_hash,
  ];
  return hash('sha256', JSON.stringify(fields), 'hex');
}
