import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditEvent } from '../../../../src/audit/event.ts';
import { systemClock } from '../../../../src/clock.ts';
import { openSqliteStore } from '../../../../src/store/sqlite.ts';
import type { PositionedEvent, Store } from '../../../../src/store/store.ts';
import { anEvent } from '../../../store/events.ts';
import { getJson, serveControl } from './served.ts';

const TYPES = ['ToolCallAuthorized', 'ToolCallRejected', 'WorkflowStepExecuted'] as const;
const minute = (index: number): string => new Date(Date.UTC(2026, 0, 1, 12, index)).toISOString();

/** Every combination of what a filter may ask for occurs. */
const EVENTS: readonly AuditEvent[] = Array.from({ length: 240 }, (_, index) =>
  anEvent({
    id: `e${index}`,
    event_type: TYPES[index % 3]!,
    tenant_id: [null, 'acme', 'bolt', 'acme'][index % 4]!,
    execution_id: `x-${index % 5}`,
    payload: { tool_name: `tool-${index % 2}`, agent_id: `agent-${index % 7}` },
    created_at: minute(index),
  }),
);

let store: Store;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'seal-events-'));
  store = await openSqliteStore({ path: join(dir, 'gateway.db'), clock: systemClock });
  await store.append(EVENTS);
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true });
});

async function pages(url: string, path: string) {
  const all: { readonly events: readonly PositionedEvent[] }[] = [];
  for (let next: string | null = path; next !== null; ) {
    const { status, body } = await getJson(url + next);
    expect(status, next).toBe(200);
    all.push(body);
    next = body.next;
  }
  return all;
}

test('an event has all that the trail has', async () => {
  const { body } = await getJson(`${await serveControl({ events: store })}/v1/events?limit=1`);
  expect(body.events).toEqual([
    {
      ...EVENTS.at(-1),
      position: 240,
      seq: 240,
      writer: expect.any(String),
      prev_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    },
  ]);
  expect(body.next).toBe('/v1/events?limit=1&before=240');
});

test('the newest hundred come first, unless told', async () => {
  const { body } = await getJson(`${await serveControl({ events: store })}/v1/events`);
  expect(body.events.map(({ id }: AuditEvent) => id)).toEqual(
    EVENTS.slice(-100)
      .map(({ id }) => id)
      .reverse(),
  );
});

test('pages give each event that fits once, in order, in either direction, whatever is asked', async () => {
  const url = await serveControl({ events: store });
  const maybe = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const filters = fc.record({
    type: maybe(TYPES),
    tool: maybe(['tool-0', 'tool-1', 'tool-2']),
    tenant: maybe(['acme', 'bolt']),
    agent: maybe(['agent-0', 'agent-6']),
    execution_id: maybe(['x-0', 'x-4']),
    since: maybe([minute(10), minute(200)]),
    until: maybe([minute(100), minute(230)]),
  });
  type Filter = typeof filters extends fc.Arbitrary<infer T> ? T : never;
  const fits = (
    event: AuditEvent,
    { type, tool, tenant, agent, execution_id, since, until }: Filter,
  ): boolean => {
    const isCall = event.event_type !== 'WorkflowStepExecuted';
    return (
      (type === undefined || event.event_type === type) &&
      (tenant === undefined || event.tenant_id === tenant) &&
      (execution_id === undefined || event.execution_id === execution_id) &&
      (tool === undefined || (isCall && event.payload.tool_name === tool)) &&
      (agent === undefined || (isCall && event.payload.agent_id === agent)) &&
      (since === undefined || event.created_at >= since) &&
      (until === undefined || event.created_at < until)
    );
  };
  await fc.assert(
    fc.asyncProperty(
      filters,
      fc.integer({ min: 1, max: 90 }),
      fc.boolean(),
      async (filter, limit, forward) => {
        const given = Object.entries({ ...filter, limit: String(limit), ...(forward && { after: '0' }) });
        const query = new URLSearchParams(
          given.filter((entry): entry is [string, string] => entry[1] !== undefined),
        );
        const all = await pages(url, `/v1/events?${query}`);
        const expected = EVENTS.filter((event) => fits(event, filter)).map(({ id }) => id);
        expect(all.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(
          forward ? expected : expected.reverse(),
        );
        // Every page but the last is full, and the last is not empty for nothing.
        for (const { events } of all.slice(0, -1)) expect(events).toHaveLength(limit);
        if (all.length > 1) expect(all.at(-1)?.events).not.toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

test('what comes while pages are read does not move them', async () => {
  const path = join(dir, 'growing.db');
  const growing = await openSqliteStore({ path, clock: systemClock });
  try {
    await growing.append(EVENTS.slice(0, 25));
    const url = await serveControl({ events: growing });
    const seen: string[] = [];
    for (let next: string | null = '/v1/events?limit=4'; next !== null; ) {
      const { body } = await getJson(url + next);
      seen.push(...body.events.map(({ id }) => id));
      next = body.next;
      await growing.append([anEvent()]);
    }
    expect(seen).toEqual(
      EVENTS.slice(0, 25)
        .map(({ id }) => id)
        .reverse(),
    );
  } finally {
    await growing.close();
  }
});

test.each([
  ['typ=x', /^there is no parameter typ; these are: type, tool, tenant/],
  ['type=a&type=b', 'type is given twice'],
  ['tenant=', 'tenant is empty; leave it out'],
  ['limit=0', 'limit must be from 1 to 1000'],
  ['limit=1001', 'limit must be from 1 to 1000'],
  ['limit=1e2', 'limit must be a whole number'],
  ['after=-1', 'after must be a whole number'],
  ['before=x', 'before must be a whole number'],
  ['before=99999999999999999999', 'before must be a whole number'],
  ['since=yesterday', 'since must be a time such as 2026-01-31T12:00:00Z'],
  ['until=tomorrow', 'until must be a time such as 2026-01-31T12:00:00Z'],
])('?%s is refused', async (query, message) => {
  const { status, body } = await getJson(`${await serveControl({ events: store })}/v1/events?${query}`);
  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: 4000,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });
});

test('a filter is a value, never a part of the question', async () => {
  const url = await serveControl({ events: store });
  for (const name of ['type', 'tool', 'tenant', 'agent', 'execution_id']) {
    const { status, body } = await getJson(`${url}/v1/events?${name}=${encodeURIComponent("' OR 1=1 --")}`);
    expect([status, body]).toEqual([200, { events: [], next: null }]);
  }
});

test('a trail that cannot be read is said so', async () => {
  const path = join(dir, 'closed.db');
  const closed = await openSqliteStore({ path, clock: systemClock });
  await closed.close();
  const { status, body } = await getJson(`${await serveControl({ events: closed })}/v1/events`);
  expect([status, body.error.name]).toEqual([503, 'AUDIT_UNAVAILABLE']);
});
