/**
 * `make bench`: signed calls through a workflow of one step, beside the floor (`floor.ts`), in one run. Both are asked
 * in turn, round by round, so that what disturbs the machine disturbs both. Prints a table, writes bench.json, gates
 * nothing. About a minute; `BENCH_FULL=1` makes the memory test 100,000 calls long.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey, type Key } from './envelopes.ts';
import {
  type LoadGenerator,
  startFloor,
  startGateway,
  startLoadGenerator,
  startUpstream,
  type Target,
} from './processes.ts';
import { printTable, rounded, writeResults } from './report.ts';
import { writeGateway } from './setup.ts';

const FULL = process.env.BENCH_FULL === '1';
const ROUNDS = 4;
/** Calls of one round, by connections. */
const ROUND_CALLS: readonly (readonly [connections: number, calls: number])[] = [
  [1, 1_000],
  [32, 4_000],
  [256, 4_000],
];
/** Until the compiler of V8 has done its work. */
const WARM_UP_CALLS = 8_000;
const MEMORY_CALLS = FULL ? 100_000 : 20_000;
const MEMORY_SAMPLES = 5;

/** Of one target at so many connections, over all rounds. */
interface Speed {
  readonly target: Target['name'];
  readonly connections: number;
  readonly calls: number;
  readonly calls_per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly cpu_us_per_call: number;
}

interface Round {
  readonly calls: number;
  readonly elapsed_ms: number;
  readonly latencies_ms: readonly number[];
  readonly cpu_us: number;
}

interface MemorySample {
  readonly calls: number;
  readonly heap_mb: number;
  readonly external_mb: number;
  readonly rss_mb: number;
}

type Ask = (target: Target, connections: number, calls: number) => Promise<Round>;

function asker(load: LoadGenerator, keys: { issuer: Key; agent: Key }): Ask {
  return async (target, connections, calls) => {
    // Signed before the clock starts; the generator does both, so that the envelopes need not travel.
    const before = await target.cpu();
    const result = await load.run({ urls: [target.url], calls, connections, ...keys });
    return { calls, ...result, cpu_us: (await target.cpu()) - before };
  };
}

async function measureSpeed(targets: readonly Target[], ask: Ask): Promise<Speed[]> {
  const speeds: Speed[] = [];
  for (const [connections, calls] of ROUND_CALLS) {
    const rounds = new Map(targets.map((target) => [target, [] as Round[]]));
    for (let round = 0; round < ROUNDS; round += 1) {
      // Each is first in every other round.
      const order = round % 2 === 0 ? targets : targets.toReversed();
      for (const target of order) rounds.get(target)?.push(await ask(target, connections, calls));
    }
    for (const [target, made] of rounds) speeds.push(speedOf(target.name, connections, made));
  }
  return speeds;
}

function speedOf(target: Target['name'], connections: number, rounds: readonly Round[]): Speed {
  const total = (of: (round: Round) => number) => rounds.reduce((sum, round) => sum + of(round), 0);
  const calls = total((round) => round.calls);
  const latencies = rounds.flatMap((round) => round.latencies_ms).sort((a, b) => a - b);
  const quantile = (q: number) => latencies[Math.floor((latencies.length - 1) * q)] ?? 0;
  return {
    target,
    connections,
    calls,
    calls_per_second: Math.round((calls / total((round) => round.elapsed_ms)) * 1000),
    p50_ms: rounded(quantile(0.5)),
    p99_ms: rounded(quantile(0.99)),
    cpu_us_per_call: Math.round(total((round) => round.cpu_us) / calls),
  };
}

/** The gateway's memory on the way through so many calls, each sample after a collection of garbage. */
async function measureMemory(gateway: Target, ask: Ask): Promise<MemorySample[]> {
  const samples: MemorySample[] = [];
  const sample = async (calls: number) => {
    const { heap_bytes, external_bytes, rss_bytes } = await gateway.memory();
    const [heap_mb, external_mb, rss_mb] = [heap_bytes, external_bytes, rss_bytes].map((bytes) =>
      rounded(bytes / 2 ** 20),
    ) as [number, number, number];
    samples.push({ calls, heap_mb, external_mb, rss_mb });
  };
  await sample(0);
  for (let part = 1; part <= MEMORY_SAMPLES; part += 1) {
    await ask(gateway, 32, MEMORY_CALLS / MEMORY_SAMPLES);
    await sample((part * MEMORY_CALLS) / MEMORY_SAMPLES);
  }
  return samples;
}

/** What the issue asks to reach, as it came out. */
function summary(speeds: readonly Speed[], memory: readonly MemorySample[]) {
  const find = (target: Target['name'], connections: number) =>
    speeds.find((speed) => speed.target === target && speed.connections === connections)!;
  const heap = memory.map((sample) => sample.heap_mb);
  return {
    throughput_of_floor_at_32: rounded(
      find('gateway', 32).calls_per_second / find('floor', 32).calls_per_second,
    ),
    added_p50_ms_at_1: rounded(find('gateway', 1).p50_ms - find('floor', 1).p50_ms),
    cpu_of_floor_at_32: rounded(find('gateway', 32).cpu_us_per_call / find('floor', 32).cpu_us_per_call),
    heap_growth_mb: rounded(heap.at(-1)! - heap[1]!),
  };
}

function print(
  speeds: readonly Speed[],
  memory: readonly MemorySample[],
  goals: ReturnType<typeof summary>,
): void {
  console.log('\nSigned calls through a workflow of one step\n');
  printTable([
    ['connections', '', 'calls/s', 'p50 ms', 'p99 ms', 'CPU us/call'],
    ...speeds.map((s) => [
      s.connections,
      s.target,
      s.calls_per_second,
      s.p50_ms,
      s.p99_ms,
      s.cpu_us_per_call,
    ]),
  ]);
  console.log(
    `\nMemory of the gateway after calls at 32 connections, MiB${FULL ? '' : ' (BENCH_FULL=1: 100,000 calls)'}\n`,
  );
  printTable([
    ['calls', 'heap', 'external', 'resident'],
    ...memory.map((m) => [m.calls, m.heap_mb, m.external_mb, m.rss_mb]),
  ]);
  console.log('');
  printTable([
    ['', 'here', 'goal'],
    ["of the floor's calls/s at 32 connections", goals.throughput_of_floor_at_32, 'at least 0.6'],
    ['p50 ms added at 1 connection', goals.added_p50_ms_at_1, 'at most 1.5'],
    ['heap MiB grown since the first sample under load', goals.heap_growth_mb, 'flat'],
    ["times the floor's CPU of a call, at 32", goals.cpu_of_floor_at_32, ''],
  ]);
  console.log(`
Load generator, upstream, and gateway or floor share ${availableParallelism()} cores. From 32 connections on these are
full, and calls/s says what all three use together: what generator and upstream use is the same on both sides and
brings the two closer. CPU of a call is the target's alone; p50 at 1 connection has no queue in it.`);
}

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-bench-'));
  const keys = { issuer: createKey(), agent: createKey() };
  const running: { stop(): Promise<void> }[] = [];
  const started = <T extends { stop(): Promise<void> }>(process: T): T => {
    running.push(process);
    return process;
  };
  try {
    const upstream = started(await startUpstream());
    writeGateway(dir, upstream.url, keys.issuer, keys.agent);
    const options = { upstream: upstream.url, database: join(dir, 'floor.db'), ...keys };
    const floor = started(await startFloor(options));
    const gateway = started(await startGateway(dir));
    const ask = asker(started(await startLoadGenerator()), keys);
    for (const target of [floor, gateway]) await ask(target, 32, WARM_UP_CALLS);
    const speeds = await measureSpeed([floor, gateway], ask);
    const memory = await measureMemory(gateway, ask);
    const goals = summary(speeds, memory);
    print(speeds, memory, goals);
    writeResults('bench.json', { speeds, memory, goals });
  } finally {
    for (const process of running.reverse()) await process.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
