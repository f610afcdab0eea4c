/**
 * `make bench`: three fields out of replies of 200 KB to 10 MB, beside a bare JSON.parse and the path engine in the same
 * run, in turn; and whole explorations from an upstream in a thread of its own, with what they take of the event loop.
 * Prints a table, writes bench.explorer.json, gates nothing.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { systemClock } from '../../src/clock.ts';
import { createEgress } from '../../src/execute/egress.ts';
import { type Exploration, explore } from '../../src/execute/explorer.ts';
import { compileFields } from '../../src/execute/fields.ts';
import { compileQuery } from '../../src/execute/jsonpath.ts';
import { MOST } from '../../src/execute/slice.ts';
import { createSlicer, IN_PLACE_BYTES } from '../../src/execute/slicer.ts';
import { literalOperation } from '../../src/openapi/request.ts';
import type { Api } from '../../src/snapshot/snapshot.ts';

const FIELDS = ['$.data[*].id', '$.data[0].name', '$.next'];
const SIZES: readonly (readonly [name: string, bytes: number, rounds: number])[] = [
  ['50 KB', 50_000, 1_000],
  ['200 KB', 200_000, 500],
  ['300 KB', 300_000, 300],
  ['1 MB', 1_000_000, 100],
  ['10 MB', 10_000_000, 21],
];
const WARM_UP = 5;
const never = new AbortController().signal;

interface Row {
  readonly size: string;
  readonly bytes: number;
  readonly where: 'in place' | 'in a thread';
  /** JSON.parse of the decoded text, and the paths. */
  readonly floor_ms: number;
  readonly slicing_ms: number;
  readonly of_floor: number;
  /** Of the event loop's thread, for one slicing. */
  readonly loop_cpu_ms: number;
  /** A whole exploration: request, reply, slices. */
  readonly exploration_ms: number;
  /** Of the event loop's thread, for all of it: more than that no turn of it can take. */
  readonly exploration_cpu_ms: number;
  readonly loop_delay_p50_ms: number;
  readonly loop_delay_max_ms: number;
}

/** Records as APIs answer them, some 190 bytes each. */
function reply(bytes: number): Buffer {
  const record = (i: number) => ({
    id: `c-${i}`,
    name: `Customer number ${i}`,
    email: `customer-${i}@example.com`,
    amount: i * 1.5,
    active: i % 2 === 0,
    address: { street: 'Long Street 12', city: 'Berlin', zip: '10115' },
    tags: ['a', 'b'],
  });
  const data = Array.from({ length: Math.floor(bytes / 190) }, (_, i) => record(i));
  return Buffer.from(JSON.stringify({ data, next: '/customers?page=2' }));
}

/** Another thread's: what it does is not the gateway's. */
function serve(): void {
  const replies = new Map(SIZES.map(([, bytes]) => [`/${bytes}`, reply(bytes)]));
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(replies.get(request.url ?? ''));
  });
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

async function measure(): Promise<void> {
  const upstream = new Worker(new URL(import.meta.url));
  const port = await new Promise<number>((resolve) => upstream.once('message', resolve));
  const slicer = createSlicer();
  const egress = createEgress({ version: 'bench' });
  const deps = { slicer, egress, credentials: async () => null, clock: systemClock };
  const rows: Row[] = [];
  try {
    for (const [size, bytes, rounds] of SIZES) {
      const whole = exploration(port, bytes);
      const slicing = await sliceRounds(slicer, reply(bytes), rounds);
      const delays = await explorationRounds(() => explore(deps, whole, options), Math.min(rounds, 50));
      rows.push({ size, ...slicing, ...delays });
    }
  } finally {
    await Promise.all([slicer.close(), egress.close(), upstream.terminate()]);
  }
  print(rows);
  writeFileSync('bench.explorer.json', `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);
}

const options = { signal: never, timeout_ms: 30_000, max_bytes: MOST.bytes };

async function sliceRounds(slicer: ReturnType<typeof createSlicer>, body: Buffer, rounds: number) {
  const queries = FIELDS.map(compileQuery);
  const floor = async (): Promise<number> => {
    const started = performance.now();
    const value = JSON.parse(body.toString('utf8'));
    for (const query of queries) query.select(value);
    return performance.now() - started;
  };
  const slicing = async (): Promise<number> => {
    // Slicing gives the bytes away.
    const bytes = Buffer.from(body);
    const started = performance.now();
    const sent = { bytes, content_type: 'application/json' };
    const request = { body: sent, mask: null, fields: compileFields(FIELDS) };
    await slicer.slice({ ...request, probes: [], max_bytes: MOST.bytes }, never);
    return performance.now() - started;
  };
  const pairs: { readonly floor: number; readonly slicing: number }[] = [];
  for (let round = -WARM_UP; round < rounds; round += 1) {
    // Each is first in every other round, so that neither always pays for the garbage of the other.
    const first = round % 2 === 0 ? await floor() : null;
    const pair = { slicing: await slicing(), floor: first ?? (await floor()) };
    if (round >= 0) pairs.push(pair);
  }
  const before = process.threadCpuUsage();
  for (let round = 0; round < 20; round += 1) await slicing();
  const { user, system } = process.threadCpuUsage(before);
  return {
    bytes: body.length,
    where: body.length <= IN_PLACE_BYTES ? ('in place' as const) : ('in a thread' as const),
    floor_ms: median(pairs.map((pair) => pair.floor)),
    slicing_ms: median(pairs.map((pair) => pair.slicing)),
    of_floor: median(pairs.map((pair) => pair.slicing / pair.floor)),
    loop_cpu_ms: rounded((user + system) / 20_000),
  };
}

async function explorationRounds(run: () => Promise<unknown>, rounds: number) {
  await run();
  const before = process.threadCpuUsage();
  for (let round = 0; round < 10; round += 1) await run();
  const { user, system } = process.threadCpuUsage(before);
  const times: number[] = [];
  const delays: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
    // A delay is seen when it is over.
    await sleep(3);
    delay.disable();
    delays.push(delay.max / 1e6);
  }
  return {
    exploration_ms: median(times),
    exploration_cpu_ms: rounded((user + system) / 10_000),
    loop_delay_p50_ms: median(delays),
    loop_delay_max_ms: rounded(Math.max(...delays)),
  };
}

function exploration(port: number, bytes: number): Exploration {
  const api: Api = {
    name: 'bench',
    tenant: null,
    base_url: new URL(`http://127.0.0.1:${port}`),
    headers: {},
    timeout_ms: 30_000,
    max_response_bytes: 20_000_000,
    egress: { allow_private: true, allow_addresses: [] },
    credential: { kind: 'none' },
    inject: { kind: 'bearer' },
    allow_slash: () => false,
    retry: null,
  };
  return {
    api,
    operation: literalOperation('GET', `/${bytes}`),
    parameters: {},
    request: { target: `/${bytes}`, headers: {}, body: null },
    fields: compileFields(FIELDS),
    related: [],
  };
}

function median(values: number[]): number {
  return rounded(values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function print(rows: readonly Row[]): void {
  const table = [
    [
      'reply',
      'sliced',
      'floor ms',
      'slicing ms',
      'of floor',
      'loop CPU ms',
      'exploration ms',
      'its CPU',
      'delay p50',
      'max',
    ],
    ...rows.map((row) => [
      ...[row.size, row.where, row.floor_ms, row.slicing_ms, row.of_floor, row.loop_cpu_ms],
      ...[row.exploration_ms, row.exploration_cpu_ms, row.loop_delay_p50_ms, row.loop_delay_max_ms],
    ]),
  ].map((cells) => cells.map(String));
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => cells[column]!.length)));
  console.log('\nThree fields of a reply\n');
  for (const cells of table)
    console.log(`  ${cells.map((cell, i) => cell.padStart(widths[i]!)).join('   ')}`);
  console.log(`
Floor: JSON.parse of the same bytes and the same paths, in turn with the slicing. Goals: at most 1.3 of it at 200 KB,
a delay of the event loop below 50 ms at 10 MB. The delay is that of this process, so whatever else the machine does
adds to it; the CPU of the loop's own thread does not lie.`);
}

if (isMainThread) await measure();
else serve();
