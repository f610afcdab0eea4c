/**
 * Keeps the snapshot in step with the directory (design section 5): any hint, and a resync besides, means to read the
 * whole directory, to build the whole next snapshot beside the one in force, and to swap one reference.
 */
import { type Clock, isoTime } from '../clock.ts';
import type { Log } from '../log.ts';
import { compareDiagnostics, formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests } from '../manifest/load.ts';
import { readTree, type Tree, TreeUnreadable } from '../manifest/tree.ts';
import type { SnapshotHolder } from '../snapshot/holder.ts';
import { assemble } from './assemble.ts';
import { type Author, changesBetween } from './changes.ts';
import { type Applied, type CompileDeps, compileSet, type Verdict } from './compile.ts';
import { createFileIndex } from './compile-api.ts';
import { createRemoteKeySets } from './compile-context.ts';
import { createEventWriter, type EventSink } from './event-writer.ts';
import { type ManifestState, NOTHING_YET, notReadyReason, type ReconcileStatus } from './status.ts';
import { createTrigger } from './trigger.ts';
import { watchTree } from './watch.ts';

export interface ReconcilerDeps {
  readonly dir: string;
  readonly watch: 'auto' | 'poll';
  readonly resync_seconds: number;
  readonly holder: SnapshotHolder;
  readonly store: EventSink;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

export interface Reconciler {
  status(): ReconcileStatus;
  /** Why calls cannot be served; null: they can. */
  notReady(): string | null;
  /** Reads the directory now; resolves when what it says is in force, or was rejected. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

/** `--watch=poll` looks at least this often. */
const POLL_SECONDS = 2;
/** A directory that changes while it is read is read again, this often at once. */
const READS = 5;
const UNKNOWN_AUTHOR: Author = { registered_by: null, subject: null };

/** Reads the directory once, then keeps watching. Never rejects for what the directory holds. */
export async function startReconciler(deps: ReconcilerDeps): Promise<Reconciler> {
  const { clock, log, holder } = deps;
  const compileDeps: CompileDeps = {
    indexFile: createFileIndex(),
    remoteKeys: createRemoteKeySets({ clock, log }),
  };
  const events = createEventWriter(deps);
  let status: ReconcileStatus = NOTHING_YET;
  let verdicts: ReadonlyMap<string, Verdict> = new Map();
  let digest: string | null = null;

  async function reconcile(): Promise<void> {
    let tree: Tree;
    try {
      tree = await readSteadily(deps.dir);
    } catch (error) {
      if (!(error instanceof TreeUnreadable)) throw error;
      fail(error.message);
      return;
    }
    if (tree.digest === digest) {
      if (status.error !== null) status = { ...status, error: null };
      return;
    }
    const started = clock.monotonic();
    const set = await loadManifests(tree);
    const previous = new Map<string, Applied>(
      [...verdicts].flatMap(([key, { applied }]) => (applied === null ? [] : [[key, applied]])),
    );
    const next = compileSet(set, previous, compileDeps);
    const revision = tree.digest;
    const generation = status.generation + 1;
    holder.swap(assemble(next.values(), revision, generation));
    const changes = changesBetween(verdicts, next, revision, UNKNOWN_AUTHOR);
    const before = verdicts;
    verdicts = next;
    digest = tree.digest;
    const now = isoTime(clock.now());
    const manifests = statesOf(next, before, status.manifests, revision, now);
    const bad = manifests.filter((state) => state.status !== 'Ready').length;
    const degraded = bad > 0 || set.broken.size > 0;
    status = {
      ...status,
      revision,
      revision_attempted: revision,
      generation,
      degraded,
      error: null,
      last_success_at: now,
      ...(degraded && { last_error_at: now }),
      manifests,
      diagnostics: set.diagnostics,
    };
    const duration_ms = Math.round(clock.monotonic() - started);
    const summary = {
      revision,
      generation,
      manifests: manifests.length,
      changed: changes.length,
      bad,
      duration_ms,
    };
    log[degraded ? 'warn' : 'info'](
      summary,
      degraded ? 'configuration applied, with errors' : 'configuration applied',
    );
    tellErrors();
    events.write(
      [...changes, { event_type: 'ReconcileCompleted', tenant_id: null, payload: summary }],
      revision,
    );
  }

  function fail(reason: string): void {
    if (status.error !== reason)
      log.error({ reason }, 'the directory of manifests cannot be read; what was in force stays so');
    status = { ...status, error: reason, degraded: true, last_error_at: isoTime(clock.now()) };
  }

  function tellErrors(): void {
    const all = [...status.diagnostics, ...[...verdicts.values()].flatMap(({ diagnostics }) => diagnostics)];
    for (const diagnostic of all.sort(compareDiagnostics).slice(0, 50)) {
      log[diagnostic.severity === 'error' ? 'warn' : 'info'](
        { rule: diagnostic.rule },
        formatDiagnostic(diagnostic),
      );
    }
  }

  const trigger = createTrigger(reconcile, (error) => {
    log.error({ err: error }, 'reconcile failed');
    fail('internal error; the log says more');
  });
  await trigger.now();
  const period_ms =
    (deps.watch === 'poll' ? Math.min(POLL_SECONDS, deps.resync_seconds) : deps.resync_seconds) * 1000;
  const watcher = deps.watch === 'poll' ? null : watchTree(deps.dir, trigger.soon, log);
  const resync = setInterval(() => trigger.soon(), period_ms);
  trigger.after(() => watcher?.follow());
  // What changed between the first reading and the watcher's first look would else wait for the resync.
  trigger.soon();

  return {
    status: () => ({ ...status, watch: watcher?.seesEvents ? 'events' : 'scanning' }),
    notReady: () => notReadyReason(status),
    reconcile: trigger.now,
    async close() {
      clearInterval(resync);
      await watcher?.close();
      await trigger.close();
      await events.close();
    },
  };
}

async function readSteadily(dir: string): Promise<Tree> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readTree(dir);
    } catch (error) {
      if (!(error instanceof TreeUnreadable) || attempt === READS) throw error;
    }
  }
}

function statesOf(
  next: ReadonlyMap<string, Verdict>,
  before: ReadonlyMap<string, Verdict>,
  states: readonly ManifestState[],
  revision: string,
  now: string,
): ManifestState[] {
  const known = new Map(states.map((state, index) => [[...before.keys()][index], state]));
  return [...next.values()].map((verdict) => {
    const { identity, status, diagnostics, file, digest, applied } = verdict;
    const told = diagnostics.find(({ severity }) => severity === 'error') ?? diagnostics[0];
    const earlier = known.get(verdict.key);
    const same = earlier?.digest === digest && earlier.status === status;
    const kept =
      applied !== null && applied.manifest.digest === before.get(verdict.key)?.applied?.manifest.digest;
    return {
      ...identity,
      status,
      reason: told?.message ?? null,
      file: told?.file ?? file,
      line: told?.line ?? verdict.line,
      column: told?.column ?? verdict.column,
      digest,
      revision_attempted: same ? earlier.revision_attempted : revision,
      revision_applied: kept ? (earlier?.revision_applied ?? revision) : applied === null ? null : revision,
      changed_at: same ? earlier.changed_at : now,
    };
  });
}
