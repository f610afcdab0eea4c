/** What filters look for in the events that say who called what. */
import type { AuditEvent } from '../audit/event.ts';

export interface CallFacts {
  readonly tool_name: string | null;
  readonly agent_id: string | null;
}

const NONE: CallFacts = { tool_name: null, agent_id: null };

export function callFacts({ event_type, payload }: Pick<AuditEvent, 'event_type' | 'payload'>): CallFacts {
  if (event_type !== 'ToolCallAuthorized' && event_type !== 'ToolCallRejected') return NONE;
  return { tool_name: textOrNull(payload.tool_name), agent_id: textOrNull(payload.agent_id) };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value.toWellFormed() : null;
}
