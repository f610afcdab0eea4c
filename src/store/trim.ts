/** The event that says where the chains begin, after their oldest events were forgotten. */
import type { AuditEvent } from '../audit/event.ts';
import { isoTime } from '../clock.ts';
import { newId } from '../ids.ts';

/** The last event of a chain that is forgotten: the next one follows it. */
export interface ChainStart {
  readonly writer: string;
  readonly seq: number;
  readonly hash: string;
}

export function trimmed(now: number, before: number, starts: readonly ChainStart[]): AuditEvent {
  return {
    id: newId(),
    event_type: 'AuditTrimmed',
    execution_id: null,
    tenant_id: null,
    revision: null,
    payload: { stored_before: isoTime(before), chains: starts },
    created_at: isoTime(now),
  };
}
