/** Preloaded into the gateway and the floor (`node --import`): answers its parent with what the process has used so far. */

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

process.on('message', (message) => {
  if (message === 'cpu') process.send?.(cpu());
  if (message === 'memory') process.send?.(memory());
});
// Nothing is left behind by a run that was killed.
process.on('disconnect', () => process.exit());
// The listener must not keep a process alive that has ended its work.
process.channel?.unref();
