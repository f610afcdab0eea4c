/** A reconciler over a real directory, and what it has done. */
import { onTestFinished, vi } from 'vitest';
import type { AuditEvent } from '../../src/audit/event.ts';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import type { EventSink } from '../../src/reconcile/event-writer.ts';
import { createGit } from '../../src/reconcile/git.ts';
import type { LastGoodRow, LastGoodStore } from '../../src/reconcile/last-good.ts';
import { type Reconciler, type ReconcilerDeps, startReconciler } from '../../src/reconcile/reconcile.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { createHolder } from '../../src/snapshot/holder.ts';
import type { Snapshot } from '../../src/snapshot/snapshot.ts';
import { capturedLog } from '../store/scratch.ts';

export interface MemoryStore extends EventSink, LastGoodStore {
  readonly events: AuditEvent[];
}

/** The part of a store that the reconciler needs; given again, it is the store of a restart. */
export function memoryStore(): MemoryStore {
  const events: AuditEvent[] = [];
  const rows = new Map<string, LastGoodRow>();
  const contents = new Map<string, string>();
  return {
    events,
    append: async (added) => void events.push(...added),
    loadLastGood: async () => ({ rows: [...rows.values()], contents: new Map(contents) }),
    async saveLastGood({ set, remove, contents: added }) {
      for (const key of remove) rows.delete(key);
      for (const row of set) rows.set(row.key, row);
      for (const [id, text] of added) contents.set(id, text);
    },
  };
}

export interface Reconciled extends Reconciler {
  readonly store: MemoryStore;
  /** `level message`. */
  readonly lines: string[];
  snapshot(): Snapshot;
  /** Descriptions of the tools that can run, by tenant and name. */
  tools(): Record<string, string>;
  /** Readings of the source so far. */
  reads(): number;
  /** Resolves when changes are seen as events. */
  watching(): Promise<void>;
}

/** Closed after the test. */
export async function reconcile(
  dir: string,
  options: Partial<ReconcilerDeps> & { store?: MemoryStore } = {},
): Promise<Reconciled> {
  const { log, lines } = capturedLog();
  const holder = createHolder();
  const store = options.store ?? memoryStore();
  const source = options.source ?? directorySource(dir, createGit({ env: process.env }));
  let reads = 0;
  const reconciler = await startReconciler({
    dir,
    watch: 'auto',
    resync_seconds: 3_600,
    policy: 'keep-last-good',
    allow_prune: false,
    holder,
    fetchDocument: () => Promise.reject(new Error('nothing is fetched here')),
    own_issuer: null,
    clock: systemClock,
    log,
    newId,
    ...options,
    store,
    source: {
      read(effort) {
        reads += 1;
        return source.read(effort);
      },
    },
  });
  onTestFinished(() => reconciler.close());
  return {
    ...reconciler,
    store,
    lines,
    snapshot: () => holder.current()!,
    tools: () =>
      Object.fromEntries(
        [...(holder.current()?.tools.values() ?? [])].flatMap((tool) =>
          tool.kind === 'unavailable' ? [] : [[`${tool.tenant ?? ''}/${tool.name}`, tool.description]],
        ),
      ),
    reads: () => reads,
    // The watcher asks for a scan when it has begun to see.
    watching: () => vi.waitFor(() => expectTrue(reads > 1), { timeout: 5_000, interval: 5 }),
  };
}

function expectTrue(fact: boolean): void {
  if (!fact) throw new Error('not yet');
}
