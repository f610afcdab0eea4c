/**
 * The third part of `make bench`: the queries that inspection makes, in a trail of 1,000,000 events of a hundred tenants
 * and a thousand agents (BENCH_FULL=1; else 100,000), in SQLite and in Postgres. Each is asked as the control listener
 * asks it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../examples/cluster/postgres.ts';
import { isoTime, systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import type { PageRow } from '../../src/store/event-row.ts';
import { openStore } from '../../src/store/open.ts';
import { openPostgresTarget } from '../../src/store/postgres-transfer.ts';
import { openSqliteTarget } from '../../src/store/sqlite-transfer.ts';
import type { EventFilter } from '../../src/store/store.ts';
import type { TransferTarget } from '../../src/store/transfer.ts';
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

async function fill(target: TransferTarget, start: number): Promise<void> {
  const began = performance.now();
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

const START = Date.now() - DAYS * DAY_MS;

async function measure(name: string, url: string): Promise<object> {
  const store = await openStore({ url, clock: systemClock });
  try {
    const middle = (await store.query({ limit: 1 }))[0]!.position - Math.floor(EVENTS / 2);
    const measured = [];
    for (const [what, filter] of filters(START, middle)) {
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
    console.log(`\nQueries in a trail of ${EVENTS} events, ${name}\n`);
    table([
      ['', 'found', 'median ms', 'worst ms'],
      ...measured.map(({ what, found, median_ms, worst_ms }) => [what, found, median_ms, worst_ms]),
    ]);
    return { store: name, events: EVENTS, measured };
  } finally {
    await store.close();
  }
}

async function inSqlite(): Promise<object> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-inspection-'));
  try {
    const path = join(dir, 'gateway.db');
    await fill(await openSqliteTarget(path), START);
    return await measure('SQLite', `sqlite://${path}`);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function inPostgres(): Promise<object> {
  const postgres = await startPostgres({ settings: { shared_buffers: '512MB' } });
  try {
    await fill(await openPostgresTarget(postgres.url), START);
    const sql = new pg.Client(postgres.url);
    await sql.connect();
    // What autovacuum does in time.
    await sql.query('VACUUM ANALYZE gateway_events');
    await sql.end();
    return await measure('Postgres', postgres.url);
  } finally {
    await postgres.close();
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

const results = [await inSqlite(), await inPostgres()];
writeFileSync('bench-inspection.json', `${JSON.stringify(results, null, 2)}\n`);
