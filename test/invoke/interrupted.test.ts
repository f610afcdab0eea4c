import { expect, test } from 'vitest';
import type { AuditEvent, EventType } from '../../src/audit/event.ts';
import { newId } from '../../src/ids.ts';
import { closeInterrupted } from '../../src/invoke/interrupted.ts';
import { openScratch, scratchFile } from '../store/scratch.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const clock = { now: () => NOW, monotonic: () => 0 };
const isDead = (instance: string) => instance === 'dead';

function event(event_type: EventType, payload: Record<string, unknown>, seconds_ago = 1): AuditEvent {
  const created_at = new Date(NOW - seconds_ago * 1000).toISOString();
  return {
    id: newId(),
    event_type,
    execution_id: 'e-1',
    tenant_id: 'acme',
    revision: 'r-1',
    payload,
    created_at,
  };
}

const intent = (call_id: string, instance: string, seconds_ago?: number) =>
  event(
    'ToolCallAuthorized',
    { call_id, instance, tool_name: 'kubectl', agent_id: 'a', rule: 'capabilities[0]' },
    seconds_ago,
  );

async function closed(events: AuditEvent[]) {
  const store = await openScratch(scratchFile());
  if (events.length > 0) await store.append(events);
  const close = () => closeInterrupted({ store, clock, newId, isDead, call_timeout_ms: 60_000 });
  const count = await close();
  expect(await close(), 'a second look finds nothing').toBe(0);
  const found = await store.query({ event_type: 'ToolCallInterrupted' });
  expect(found).toHaveLength(count);
  return found;
}

test('of gateways that look at the same moment one writes the outcome', async () => {
  const store = await openScratch(scratchFile());
  await store.append(['c-1', 'c-2', 'c-3'].map((call_id) => intent(call_id, 'dead')));
  const looks = Array.from({ length: 4 }, () =>
    closeInterrupted({ store, clock, newId, isDead, call_timeout_ms: 60_000 }),
  );
  const counts = await Promise.all(looks);
  expect(counts.reduce((sum, count) => sum + count)).toBe(3);
  expect(await store.query({ event_type: 'ToolCallInterrupted' })).toHaveLength(3);
});

test('an empty trail has no interrupted calls', async () => {
  expect(await closed([])).toEqual([]);
});

test('an intent of a dead gateway without an outcome gets one', async () => {
  const open = intent('c-1', 'dead');
  const [found] = await closed([open, event('CliToolInvocationStarted', { call_id: 'c-1' })]);
  expect(found).toMatchObject({
    execution_id: 'e-1',
    tenant_id: 'acme',
    revision: 'r-1',
    payload: {
      call_id: 'c-1',
      tool_name: 'kubectl',
      agent_id: 'a',
      intent_id: open.id,
      instance: 'dead',
      reason: 'interrupted',
    },
  });
});

test.each<EventType>([
  'WorkflowInvocationCompleted',
  'WorkflowInvocationFailed',
  'CliToolInvocationCompleted',
  'CliToolInvocationFailed',
  'CliToolSemanticRejected',
  'ToolCallRejected',
])('one that ended with %s does not', async (outcome) => {
  expect(await closed([intent('c-1', 'dead'), event(outcome, { call_id: 'c-1' })])).toEqual([]);
});

test('of two calls of one execution only the open one does', async () => {
  const events = [
    intent('c-1', 'dead'),
    intent('c-2', 'dead'),
    event('CliToolInvocationCompleted', { call_id: 'c-1' }),
  ];
  expect((await closed(events)).map(({ payload }) => payload.call_id)).toEqual(['c-2']);
});

test('a listing has no outcome to wait for', async () => {
  expect(await closed([event('ToolCallAuthorized', { call_id: 'c-1', instance: 'dead' })])).toEqual([]);
});

test('one of a living gateway is left alone, and so is one of a gateway that cannot be seen, until its time is up', async () => {
  expect(await closed([intent('c-1', 'elsewhere', 60)])).toEqual([]);
  expect((await closed([intent('c-1', 'elsewhere', 121)])).map(({ payload }) => payload.call_id)).toEqual([
    'c-1',
  ]);
});
