/** Preloaded into the gateway and the floor (`node --import`): answers its parent with what the process has used so far. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface Memory {
  readonly heap_bytes: number;
  /** Memory of buffers, and other memory outside of the heap that it knows of. */
  readonly external_bytes: number;
  readonly rss_bytes: number;
}

/** After a collection of garbage. */
function memory(): Memory {
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap_bytes: heapUsed, external_bytes: external, rss_bytes: rss };
}

/** CPU of all threads, user and system, in microseconds. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** How late timers come, in milliseconds. */
export interface Delay {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
}

const histogram = monitorEventLoopDelay({ resolution: 1 });

/** Since it was last asked. The millisecond between two looks counts as delay too. */
function delay(): Delay {
  const [p50_ms, p99_ms, max_ms] = [histogram.percentile(50), histogram.percentile(99), histogram.max].map(
    (ns) => ns / 1e6,
  ) as [number, number, number];
  histogram.reset();
  histogram.enable();
  return { p50_ms, p99_ms, max_ms };
}

process.on('message', (message) => {
  if (message === 'delay') process.send?.(delay());
  if (message === 'cpu') process.send?.(cpu());
  if (message === 'memory') process.send?.(memory());
});
// Nothing is left behind by a run that was killed.
process.on('disconnect', () => process.exit());
// The listener must not keep a process alive that has ended its work.
process.channel?.unref();
