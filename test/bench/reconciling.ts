/**
 * The reconciler, a process of its own: over a real directory and with a real store, as the gateway has it, but without
 * listeners, so that each reconcile can be asked for and timed.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { silentLog } from '../../src/log.ts';
import { createGit } from '../../src/reconcile/git.ts';
import { startReconciler } from '../../src/reconcile/reconcile.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { createHolder } from '../../src/snapshot/holder.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { workflowFile } from './manifests.ts';
import { quantile, rounded } from './report.ts';

export interface ReconcilingOptions {
  readonly dir: string;
  readonly database: string;
  readonly changes: number;
}

/** Milliseconds from the last write of a change, or from the call, until what changed is in force. */
interface Times {
  readonly times: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** How late timers came meanwhile. */
  readonly loop_p99_ms: number;
  readonly loop_max_ms: number;
}

export interface Reconciling {
  readonly manifests: number;
  readonly cold: Times;
  readonly no_change: Times;
  readonly one_change: Times;
  readonly many_changes: Times & { readonly files: number };
  readonly heap_after_cold_mb: number;
  readonly heap_after_changes_mb: number;
  readonly rss_mb: number;
}

/** Workflows that are changed at once, of so many APIs. */
const APIS_AT_ONCE = 10;
const TOOLS_OF_AN_API = 98;

process.send?.(await measure(JSON.parse(process.argv[2]!) as ReconcilingOptions), () => process.exit());

async function measure({ dir, database, changes }: ReconcilingOptions): Promise<Reconciling> {
  const store = await openSqliteStore({ path: database, clock: systemClock, log: silentLog });
  const holder = createHolder();
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const timed = async (run: () => Promise<number>, times: number): Promise<Times> => {
    const taken: number[] = [];
    delays.reset();
    delays.enable();
    for (let time = 0; time < times; time += 1) taken.push(await run());
    delays.disable();
    taken.sort((a, b) => a - b);
    const loop = {
      loop_p99_ms: rounded(delays.percentile(99) / 1e6),
      loop_max_ms: rounded(delays.max / 1e6),
    };
    const [p50_ms, p99_ms, max_ms] = [0.5, 0.99, 1].map((q) => quantile(taken, q)) as [
      number,
      number,
      number,
    ];
    return { times, p50_ms, p99_ms, max_ms, ...loop };
  };

  let reconciler: Awaited<ReturnType<typeof startReconciler>>;
  const cold = await timed(async () => {
    const began = performance.now();
    reconciler = await startReconciler({
      source: directorySource(dir, createGit({ env: {} })),
      ...{ dir, watch: 'auto', resync_seconds: 3_600, policy: 'keep-last-good', allow_prune: false },
      ...{ holder, store, clock: systemClock, log: silentLog, newId, own_issuer: null },
      fetchDocument: () => Promise.reject(new Error('nothing is fetched')),
    });
    return performance.now() - began;
  }, 1);
  const rest = async (): Promise<void> => {
    await reconciler.reconcile();
    await sleep(150);
  };
  // The watcher looks at every file once, and what has just been written is read again until it has been at rest.
  await sleep(4_000);
  await rest();
  const heap_after_cold_mb = heap();

  const no_change = await timed(async () => {
    const began = performance.now();
    await reconciler.reconcile();
    return performance.now() - began;
  }, 20);

  let edition = 0;
  const edit = async (files: readonly (readonly [api: number, tool: number])[]): Promise<number> => {
    edition += 1;
    for (const [api, tool] of files) {
      const { path, text } = workflowFile(`crm${api}`, tool, edition);
      writeFileSync(join(dir, path), text);
    }
    const began = performance.now();
    const [api, tool] = files.at(-1)!;
    const isLive = (): boolean => visibleEdition(`crm${api}.total_${tool}`) === `(edition ${edition})`;
    while (!isLive()) await sleep(1);
    const taken = performance.now() - began;
    await sleep(100 + (edition % 10) * 20);
    return taken;
  };
  const visibleEdition = (name: string): string | undefined => {
    const tool = holder.current()?.tools.get(`/${name}`);
    return tool?.kind === 'workflow' ? /\(edition \d+\)/.exec(tool.description)?.[0] : undefined;
  };

  let turn = 0;
  const one_change = await timed(() => {
    turn += 1;
    return edit([[turn % 90, turn % TOOLS_OF_AN_API]]);
  }, changes);
  const all = Array.from({ length: APIS_AT_ONCE * TOOLS_OF_AN_API }, (_, index): [number, number] => [
    Math.floor(index / TOOLS_OF_AN_API),
    index % TOOLS_OF_AN_API,
  ]);
  const many_changes = { files: all.length, ...(await timed(() => edit(all), 5)) };
  await rest();
  const result = {
    manifests: reconciler!.applied().size,
    ...{ cold, no_change, one_change, many_changes, heap_after_cold_mb },
    heap_after_changes_mb: heap(),
    rss_mb: rounded(process.memoryUsage().rss / 2 ** 20),
  };
  await reconciler!.close();
  await store.close();
  return result;
}

/** MiB after a collection of garbage. */
function heap(): number {
  globalThis.gc?.();
  return rounded(process.memoryUsage().heapUsed / 2 ** 20);
}
