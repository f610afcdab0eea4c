/**
 * The third part of `make bench`: the queries that inspection makes, in a trail of 1,000,000 events of a hundred tenants
 * and a thousand agents (BENCH_FULL=1; else 100,000), in Postgres. Each is asked as the control listener asks it.
 */
import { writeFileSync } from 'node:fs';
import pg from 'pg';
import { startPostgres } from '../../examples/cluster/postgres.ts';
import { isoTime, systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import type { PageRow } from '../../src/store/event-row.ts';
import { openPostgresStore } from '../../src/store/postgres.ts';
import { openPostgresTarget } from '../../src/store/postgres-transfer.ts';
import type { EventFilter } from '../../src/store/store.ts';
import { table } from './table.ts';

const EVENTS = process.env.BENCH_FULL === '1' ? 1_000_000 : 100_000;
const BATCH = 1_000;
const TIMES = 9;
const DAYS = 30;
const DAY_MS = 86_400_000;

/** A call is four events; one in a thousand is refused. */
function rowAt(index: number, start: number): PageRow {
  const call = Math.floor(index / 4);
  const payload = {
    call_id: `call-${call}`,
    tool_name: `tool.${call % 997}`,
    agent_id: `agent-${call % 1_000}`,
    signature: 'x'.repeat(88),
    envelope_digest: 'y'.repeat(64),
  };
  const types = [
    call % 1_000 === 7 ? 'ToolCallRejected' : 'ToolCallAuthorized',
    'WorkflowInvocationStarted',
    'WorkflowStepExecuted',
    'WorkflowInvocationCompleted',
  ];
  return [
    index + 1,
    newId(),
    types[index % 4]!,
    `exec-${call}`,
    `tenant-${call % 100}`,
    'sha256:0123456789abcdef',
    JSON.stringify(payload),
    isoTime(start + Math.floor((index / EVENTS) * DAYS * DAY_MS)),
    'writer-1',
    index + 1,
    // Nobody verifies it here.
    '0'.repeat(64),
    '0'.repeat(64),
  ];
}

async function fill(url: string, start: number): Promise<void> {
  const began = performance.now();
  const target = await openPostgresTarget(url);
  for (let index = 0; index < EVENTS; index += BATCH) {
    await target.events(Array.from({ length: BATCH }, (_, offset) => rowAt(index + offset, start)));
  }
  await target.finish([{ writer: 'writer-1', seq: EVENTS, hash: '0'.repeat(64) }]);
  await target.close();
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `\n${EVENTS} events were copied in ${seconds.toFixed(1)} s, ${Math.round(EVENTS / seconds)} a second`,
  );
}

function filters(start: number, middle: number): [string, EventFilter][] {
  const at = (day: number): string => isoTime(start + day * DAY_MS);
  return [
    ['the newest', {}],
    ['the newest before the middle', { before: middle }],
    ['after the middle', { after: middle }],
    ['of an execution', { execution_id: `exec-${Math.floor(EVENTS / 8)}` }],
    ['of a tenant', { tenant_id: 'tenant-42' }],
    ['of a tenant that does not exist', { tenant_id: 'nobody' }],
    ['refused calls', { event_type: 'ToolCallRejected' }],
    ['refused calls of a tenant', { event_type: 'ToolCallRejected', tenant_id: 'tenant-7' }],
    ['of a type that never occurred', { event_type: 'ManifestRejected' }],
    ['of a tool', { tool_name: 'tool.500' }],
    ['of a tool that does not exist', { tool_name: 'tool.none' }],
    ['of an agent', { agent_id: 'agent-77' }],
    ['of an agent and a tool', { agent_id: 'agent-77', tool_name: 'tool.77' }],
    ['of one day', { since: at(10), until: at(11) }],
    ['of a tenant on one day', { tenant_id: 'tenant-42', since: at(10), until: at(11) }],
    ['until the tenth day', { until: at(10) }],
    ['from the last day on', { since: at(29) }],
  ];
}

async function main(): Promise<void> {
  const postgres = await startPostgres({ settings: { shared_buffers: '512MB' } });
  const start = Date.now() - DAYS * DAY_MS;
  await fill(postgres.url, start);
  const store = await openPostgresStore({ url: postgres.url, clock: systemClock });
  try {
    const sql = new pg.Client(postgres.url);
    await sql.connect();
    // What autovacuum does in time.
    await sql.query('VACUUM ANALYZE gateway_events');
    await sql.end();
    const middle = (await store.query({ limit: 1 }))[0]!.position - Math.floor(EVENTS / 2);
    const measured = [];
    for (const [what, filter] of filters(start, middle)) {
      const times: number[] = [];
      let found = 0;
      for (let time = 0; time < TIMES; time += 1) {
        const began = performance.now();
        // As `GET /v1/events` with its default.
        found = (await store.query({ ...filter, limit: 101 })).length;
        times.push(performance.now() - began);
      }
      times.sort((a, b) => a - b);
      measured.push({
        what,
        found,
        median_ms: rounded(times[Math.floor(TIMES / 2)]!),
        worst_ms: rounded(times.at(-1)!),
      });
    }
    console.log(`\nQueries in a trail of ${EVENTS} events\n`);
    table([
      ['', 'found', 'median ms', 'worst ms'],
      ...measured.map(({ what, found, median_ms, worst_ms }) => [what, found, median_ms, worst_ms]),
    ]);
    writeFileSync('bench-inspection.json', `${JSON.stringify({ events: EVENTS, measured }, null, 2)}\n`);
  } finally {
    await store.close();
    await postgres.close();
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

await main();
