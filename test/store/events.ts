/** Events for the tests of the store and the trail. */
import type { AuditEvent } from '../../src/audit/event.ts';
import { newId } from '../../src/ids.ts';

export function anEvent(part: Partial<AuditEvent> = {}): AuditEvent {
  return {
    id: newId(),
    event_type: 'ToolCallAuthorized',
    execution_id: 'exec-1',
    tenant_id: 'acme',
    revision: '3f2a',
    payload: { agent_id: 'agent-7', tool_name: 'customer.invoice_total', security_context: 'billing-read' },
    created_at: '2026-02-17T14:32:01.583Z',
    ...part,
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
