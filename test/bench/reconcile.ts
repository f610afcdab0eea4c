/**
 * `make bench`: a directory of 10,000 manifests, beside a floor that reads and parses the same files in the same
 * run, before and after; then the event loop of a whole gateway that answers signed calls while files change. Prints a
 * table, writes bench.reconcile.json, gates nothing. About two minutes.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from './envelopes.ts';
import { manifestFiles, workflowFile, writeFiles } from './manifests.ts';
import type { Delay } from './probe.ts';
import { runProgram, startGateway, startLoadGenerator, startUpstream } from './processes.ts';
import type { Reconciling } from './reconciling.ts';
import { printTable, quantile, rounded, writeResults } from './report.ts';
import { writeGateway } from './setup.ts';
import type { YamlFloor } from './yaml-floor.ts';

const MANIFESTS = 10_000;
const CHANGES = 100;
/** Calls at once: enough to see what a reconcile does to them, and not so many that they fill the machine. */
const CONNECTIONS = 2;
const CALLS = 1_000;

interface CallsMeanwhile {
  readonly what: string;
  readonly calls_per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly loop: Delay;
}

/** Signed calls while nothing changes, while one file changes after the other, and while many change at once. */
async function callWhile(dir: string): Promise<CallsMeanwhile[]> {
  const keys = { issuer: createKey(), agent: createKey() };
  const running: { stop(): Promise<void> }[] = [];
  const started = <T extends { stop(): Promise<void> }>(process: T): T => {
    running.push(process);
    return process;
  };
  try {
    const upstream = started(await startUpstream());
    writeGateway(dir, upstream.url, keys.issuer, keys.agent);
    const root = join(dir, 'gateway.d');
    writeFiles(root, manifestFiles(MANIFESTS));
    const gateway = started(await startGateway(dir));
    const load = started(await startLoadGenerator());
    const call = (calls: number) =>
      load.run({ urls: [gateway.url], calls, connections: CONNECTIONS, ...keys });
    await call(CALLS);
    // Until the watcher has seen all files, and they have been at rest.
    await sleep(5_000);

    let edition = 0;
    const edit = (apis: number, tools: number): void => {
      edition += 1;
      for (let api = 0; api < apis; api += 1)
        for (let tool = 0; tool < tools; tool += 1) {
          const { path, text } = workflowFile(`crm${api}`, tool, edition);
          writeFileSync(join(root, path), text);
        }
    };
    const measure = async (what: string, change: () => void, pause_ms: number): Promise<CallsMeanwhile> => {
      let over = false;
      const changing = (async () => {
        while (!over) {
          change();
          await sleep(pause_ms);
        }
      })();
      await sleep(pause_ms / 2);
      await gateway.delay();
      const { elapsed_ms, latencies_ms } = await call(CALLS);
      const loop = await gateway.delay();
      over = true;
      await changing;
      const sorted = [...latencies_ms].sort((a, b) => a - b);
      return {
        what,
        calls_per_second: Math.round((CALLS / elapsed_ms) * 1_000),
        p50_ms: quantile(sorted, 0.5),
        p99_ms: quantile(sorted, 0.99),
        loop: { p50_ms: rounded(loop.p50_ms), p99_ms: rounded(loop.p99_ms), max_ms: rounded(loop.max_ms) },
      };
    };
    return [
      await measure('no change', () => {}, 400),
      await measure('one file at a time', () => edit(1, 1), 400),
      await measure('980 files at a time', () => edit(10, 98), 1_500),
    ];
  } finally {
    for (const process of running.reverse()) await process.stop();
  }
}

function printReconciles(floors: readonly YamlFloor[], made: Reconciling): void {
  const floor = floorOf(floors);
  const ms = (value: number): number => Math.round(value);
  const row = (what: string, key: 'cold' | 'no_change' | 'one_change' | 'many_changes', goal: string) => {
    const { p50_ms, p99_ms, max_ms, loop_p99_ms, loop_max_ms } = made[key];
    const of = rounded(p50_ms / floor);
    return [what, ms(p50_ms), ms(p99_ms), ms(max_ms), of, loop_p99_ms, loop_max_ms, goal];
  };
  const size = rounded(floors[0]!.bytes / 2 ** 20);
  console.log(`\nA directory of ${made.manifests} manifests (${size} MiB of YAML)\n`);
  printTable([
    ['', 'p50 ms', 'p99 ms', 'max ms', 'of the floor', 'loop p99 ms', 'loop max ms', 'goal'],
    ['floor: read and parse, one thread', ms(floor), '', '', 1, '', '', ''],
    row('first reading', 'cold', '3000 ms'),
    row('nothing changed', 'no_change', '250 ms'),
    row('one file changed, until it is live', 'one_change', 'p99 300 ms'),
    row(`${made.many_changes.files} files changed at once, until live`, 'many_changes', '1000 ms'),
  ]);
  console.log(`
Heap ${made.heap_after_cold_mb} MiB after the first reading, ${made.heap_after_changes_mb} MiB after all changes; resident ${made.rss_mb} MiB.
Times until live hold the 100 ms that the gateway waits for more. The floor is the library alone (yaml, one thread), the
mean of a run before and one after. "loop" is how late a timer of one millisecond comes.`);
}

function printCalls(calls: readonly CallsMeanwhile[]): void {
  console.log(`\nSigned calls of a gateway over as many manifests, at ${CONNECTIONS} connections\n`);
  printTable([
    ['', 'calls/s', 'p50 ms', 'p99 ms', 'loop p50 ms', 'loop p99 ms', 'loop max ms', 'goal'],
    ...calls.map(({ what, calls_per_second, p50_ms, p99_ms, loop }) => [
      ...[what, calls_per_second, p50_ms, p99_ms, loop.p50_ms, loop.p99_ms, loop.max_ms],
      'loop p99 20 ms',
    ]),
  ]);
}

function floorOf(floors: readonly YamlFloor[]): number {
  return floors.reduce((sum, { read_ms, parse_ms }) => sum + read_ms + parse_ms, 0) / floors.length;
}

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-bench-'));
  try {
    const root = join(dir, 'manifests');
    writeFiles(root, manifestFiles(MANIFESTS));
    const floors = [await runProgram<YamlFloor>('yaml-floor.ts', [root])];
    const options = { dir: root, database: join(dir, 'reconcile.db'), changes: CHANGES };
    const made = await runProgram<Reconciling>('reconciling.ts', [JSON.stringify(options)]);
    floors.push(await runProgram<YamlFloor>('yaml-floor.ts', [root]));
    printReconciles(floors, made);
    mkdirSync(join(dir, 'gateway'));
    const calls = await callWhile(join(dir, 'gateway'));
    printCalls(calls);
    writeResults('bench.reconcile.json', { floor_ms: rounded(floorOf(floors)), floors, ...made, calls });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
