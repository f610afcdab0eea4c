/**
 * Keeps the snapshot in step with the source of manifests: any hint, and a resync besides, means to
 * read the whole source, to build the whole next snapshot beside the one in force, and to swap one reference.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, isoTime } from '../clock.ts';
import type { Log } from '../log.ts';
import { compareDiagnostics, type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests, type ManifestSet } from '../manifest/load.ts';
import type { Identity } from '../manifest/manifest.ts';
import { createPace } from '../manifest/pace.ts';
import type { Tree } from '../manifest/tree.ts';
import { TreeUnreadable } from '../manifest/tree.ts';
import type { SnapshotHolder } from '../snapshot/holder.ts';
import type { Issuer } from '../snapshot/snapshot.ts';
import { assemble } from './assemble.ts';
import { changesBetween, type Known, knownOf, type Loose, looseChanges, looseOf } from './changes.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileInSlices, type Verdict } from './compile.ts';
import { createRemoteKeySets } from './compile-context.ts';
import { createDocumentCache, type IndexFile } from './document-cache.ts';
import { createEventWriter, type EventSink } from './event-writer.ts';
import { createDocuments, type FetchDocument } from './fetch-documents.ts';
import { atomicProblem, heldVerdicts, pruneProblem, staleVerdicts } from './hold.ts';
import {
  type LastGood,
  type LastGoodRow,
  type LastGoodStore,
  lastGoodChange,
  restoreLastGood,
  revisionOf,
  rowsInForce,
} from './last-good.ts';
import { createReadingCache } from './reading-cache.ts';
import { createReadingThreads } from './reading-threads.ts';
import { remoteDocument } from './remote-documents.ts';
import { readSettled } from './settle.ts';
import type { Effort, Reading, Source } from './source.ts';
import { statesOf } from './states.ts';
import { type ManifestState, NOTHING_YET, notReadyReason, type ReconcileStatus } from './status.ts';
import { createTrigger, LONGEST_MS } from './trigger.ts';
import { CommitRejected } from './verify-commit.ts';
import { type Watcher, watchTree } from './watch.ts';

export interface ReconcilerDeps {
  readonly source: Source;
  /** The directory to watch for hints; null: nothing to watch, the source is asked at every resync. */
  readonly dir: string | null;
  readonly watch: 'auto' | 'poll';
  readonly resync_seconds: number;
  readonly policy: 'keep-last-good' | 'atomic';
  /** The first reconcile may remove as much as it likes. */
  readonly allow_prune: boolean;
  readonly holder: SnapshotHolder;
  /** The issuer of the gateway's own tokens; null: it issues none. */
  readonly own_issuer: Issuer | null;
  readonly store: EventSink & LastGoodStore;
  /** Whether the store keeps credentials that users have bound. */
  readonly bindings?: boolean;
  /** For the documents that ApiSpecs name by URL. */
  readonly fetchDocument: FetchDocument;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

export interface Reconciler {
  status(): ReconcileStatus;
  /** Why calls cannot be served; null: they can. */
  notReady(): string | null;
  /** What is in force, by key. */
  applied(): AppliedSet;
  /** Of the documents that are in force, without reading them again. */
  readonly indexFile: IndexFile;
  /** Reads the source now; resolves when what it says is in force, or was rejected. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

/** `--watch=poll` looks at least this often. */
const POLL_SECONDS = 2;
/** Nothing is served before the first reconcile, so that it gives documents some time to come; later ones give none. */
const FIRST_DOCUMENTS_MS = 5_000;
/** Diagnostics in the log of one reconcile; the status has all. */
const MAX_LOGGED = 50;

/** What one reconcile leaves for the next. */
interface State {
  /** Of the reading that was handled last. */
  readonly digest: string | null;
  readonly attempted: string | null;
  /** In force. */
  readonly revision: string | null;
  readonly applied: AppliedSet;
  readonly known: ReadonlyMap<string, Known>;
  readonly loose: Loose;
  readonly states: ReadonlyMap<string, ManifestState>;
  /** What status goes back to when the source can be read again and says the same. */
  readonly settled: Pick<ReconcileStatus, 'error' | 'degraded'>;
  /** What the store holds. */
  readonly rows: ReadonlyMap<string, LastGoodRow>;
}

/** Reads the source once, then keeps watching. Never rejects for what the source holds. */
export async function startReconciler(deps: ReconcilerDeps): Promise<Reconciler> {
  const { source, clock, log, holder, store } = deps;
  const threads = createReadingThreads(log, { helps: () => status.generation === 0 });
  const documents = createDocumentCache(threads.indexFile);
  const compileDeps: CompileDeps = {
    indexFile: documents.indexFile,
    remoteKeys: createRemoteKeySets({ clock, log }),
    bindings: deps.bindings,
  };
  const readFiles = createReadingCache(threads.readFiles);
  const events = createEventWriter(deps);
  const kept = await loadKept(store, log);
  const remote = createDocuments({ fetch: deps.fetchDocument, changed: () => trigger.soon() });
  let restored: Promise<AppliedSet> | null = null;
  let watcher: Watcher | null = null;
  let directories: Tree['directories'] = new Map();
  /** Somebody waits for what this run will find. */
  let asked = false;
  /** When readings began to be put off; null: the last one was not. */
  let putOffSince: number | null = null;
  let told: ReadonlySet<string> = new Set();
  let status: ReconcileStatus = NOTHING_YET;
  let state: State = {
    ...{ digest: null, attempted: null, revision: null, applied: new Map(), states: new Map() },
    settled: { error: null, degraded: false },
    known: new Map(rowsInForce(kept.rows).map((row) => [row.key, knownRow(row)])),
    loose: new Map(),
    rows: new Map(kept.rows.map((row) => [row.key, row])),
  };

  async function reconcile(effort: Effort): Promise<void> {
    let reading: Reading;
    try {
      // The first reading is not put off: what is half-written then is mended by the next.
      const hasEvents = watcher?.seesEvents === true || deps.dir === null || status.generation === 0;
      reading = hasEvents ? await source.read(effort) : await readSettled(source, state.digest);
    } catch (error) {
      if (!(error instanceof TreeUnreadable || error instanceof CommitRejected)) throw error;
      await keepServing(error.message);
      return;
    }
    ({ directories } = reading.tree);
    if (await comesMore()) return;
    const isSame = reading.tree.digest === state.digest && reading.revision === state.attempted;
    if (isSame && !remote.hasNews()) {
      status = { ...status, ...state.settled };
      return;
    }
    const started = clock.monotonic();
    const set = await fillIn(await loadManifests(reading.tree, readFiles));
    await documents.prepare(set.found.values());
    let next = await compileInSlices(set, state.applied, compileDeps, state.known);
    if (needsKept(next, set.broken))
      next = await compileInSlices(set, await restore(), compileDeps, state.known);
    await nextTurn();
    const errors = set.diagnostics.filter(({ severity }) => severity === 'error').length;
    const held = holdReason(next, errors);
    if (held !== null) {
      next = heldVerdicts(next, await inForce(), held);
    }
    await apply(reading, next, set.diagnostics, held, started);
  }

  /** The set with its documents; what an earlier run has kept is not fetched again. */
  async function fillIn(set: ManifestSet): Promise<ManifestSet> {
    if (
      ![...set.found.values()].some(({ manifest }) => manifest !== null && remoteDocument(manifest) !== null)
    )
      return remote.fill(set, new Map());
    const filled = remote.fill(set, await inForce());
    if (status.generation > 0) return filled;
    await remote.settled(FIRST_DOCUMENTS_MS);
    return remote.fill(set, await inForce());
  }

  /**
   * Whether what was read may be half of a change: there was a hint meanwhile, so that another run is due in a moment.
   * Not without end.
   */
  async function comesMore(): Promise<boolean> {
    const isAsked = asked;
    asked = false;
    await nextTurn();
    const now = clock.monotonic();
    putOffSince ??= now;
    if (trigger.hinted && !isAsked && now - putOffSince < LONGEST_MS) return true;
    putOffSince = null;
    return false;
  }

  /** In force, also before the first snapshot: then what the store has kept. */
  async function inForce(): Promise<AppliedSet> {
    return status.generation > 0 ? state.applied : restore();
  }

  function restore(): Promise<AppliedSet> {
    const readers = { readFiles: threads.readFiles, prepare: documents.prepare };
    restored ??= restoreLastGood(kept, compileDeps, readers);
    return restored;
  }

  /** Only the first reconcile may have to fall back on what an earlier process applied. */
  function needsKept(next: ReadonlyMap<string, Verdict>, broken: ReadonlySet<string>): boolean {
    if (status.generation > 0 || kept.rows.length === 0) return false;
    return broken.size > 0 || [...next.values()].some(({ status: one }) => one !== 'Ready');
  }

  function holdReason(next: ReadonlyMap<string, Verdict>, errors: number): string | null {
    const first = status.generation === 0;
    const keys = first ? rowsInForce(state.rows.values()).map(({ key }) => key) : state.applied.keys();
    const revision = state.revision ?? revisionOf(kept.rows);
    // The first reading is the first that there was, however long the directory was away.
    const prune =
      state.digest === null && deps.allow_prune ? null : pruneProblem(new Set(keys), next, revision);
    return prune ?? (deps.policy === 'atomic' ? atomicProblem(next, errors) : null);
  }

  async function apply(
    { tree, revision, author, signer }: Reading,
    next: ReadonlyMap<string, Verdict>,
    diagnostics: readonly Diagnostic[],
    held: string | null,
    started: number,
  ): Promise<void> {
    const now = isoTime(clock.now());
    const breathe = createPace();
    const applied = new Map<string, Applied>();
    for (const [key, one] of next) if (one.applied !== null) applied.set(key, one.applied);
    const nothing = held !== null && applied.size === 0;
    await breathe();
    const serving = held === null ? revision : (state.revision ?? revisionOf(kept.rows));
    const generation = nothing ? status.generation : status.generation + 1;
    if (!nothing && (held === null || status.generation === 0))
      holder.swap(assemble(next.values(), serving, generation, deps.own_issuer));
    await breathe();
    const loose = looseOf(diagnostics, next);
    const changes = [
      ...changesBetween(state.known, next, revision, author),
      ...looseChanges(state.loose, loose, revision, author),
    ];
    await breathe();
    const states = statesOf(next, state.states, revision, now, held === null ? revision : null);
    await breathe();
    const bad = [...states.values()].filter((one) => one.status !== 'Ready').length;
    const degraded = bad > 0 || held !== null || diagnostics.some(({ severity }) => severity === 'error');
    const rows = held === null ? await keep(applied, tree) : state.rows;
    const settled = { error: held === null ? null : `held: ${held}`, degraded };
    await breathe();
    const known = knownOf(next, state.known);
    state = {
      digest: tree.digest,
      attempted: revision,
      revision: serving,
      applied,
      known,
      loose,
      states,
      settled,
      rows,
    };
    status = {
      ...status,
      revision: nothing ? null : serving,
      revision_attempted: revision,
      generation: held === null || status.generation === 0 ? generation : status.generation,
      signer: held === null ? signer : status.signer,
      ...settled,
      ...(held === null ? { last_success_at: now } : { last_error_at: now }),
      ...(degraded && { last_error_at: now }),
      manifests: [...states.values()],
      diagnostics,
    };
    const duration_ms = Math.round(clock.monotonic() - started);
    const summary = {
      revision,
      generation: status.generation,
      manifests: states.size,
      changed: changes.length,
      bad,
      duration_ms,
      held,
    };
    log[degraded ? 'warn' : 'info'](
      summary,
      held !== null
        ? 'configuration held back'
        : degraded
          ? 'configuration applied, with errors'
          : 'configuration applied',
    );
    await breathe();
    tellErrors(next, diagnostics);
    events.write(
      [...changes, { event_type: 'ReconcileCompleted', tenant_id: null, payload: summary }],
      revision,
    );
  }

  /** What a restart over a broken directory would serve. A store that fails is asked again at the next change. */
  async function keep(applied: AppliedSet, tree: Tree): Promise<ReadonlyMap<string, LastGoodRow>> {
    const change = lastGoodChange(state.rows, applied, tree);
    if (change === null) return state.rows;
    try {
      await store.saveLastGood(change);
    } catch (error) {
      log.warn({ err: error }, 'the manifests in force could not be kept for a restart');
      return state.rows;
    }
    const rows = new Map(state.rows);
    for (const key of change.remove) rows.delete(key);
    for (const row of change.set) rows.set(row.key, row);
    return rows;
  }

  /** The source cannot be read, or not be believed: what is in force stays, at the start what the store has kept. */
  async function keepServing(reason: string): Promise<void> {
    const now = isoTime(clock.now());
    if (status.error !== reason)
      log.error({ reason }, 'the manifests cannot be read; what is in force stays so');
    if (status.generation === 0 && kept.rows.length > 0) {
      const applied = await restore();
      const verdicts = staleVerdicts(applied, reason);
      const revision = revisionOf(kept.rows);
      holder.swap(assemble(verdicts.values(), revision, 1, deps.own_issuer));
      const states = statesOf(verdicts, state.states, revision, now);
      state = { ...state, revision, applied, states };
      status = { ...status, revision, generation: 1, manifests: [...states.values()] };
      log.warn(
        { manifests: applied.size, revision },
        'serving the last good configuration of an earlier run',
      );
    }
    status = { ...status, error: reason, degraded: true, last_error_at: now };
  }

  /** What was not said the last time. */
  function tellErrors(verdicts: ReadonlyMap<string, Verdict>, loose: readonly Diagnostic[]): void {
    const all = new Set([...loose, ...[...verdicts.values()].flatMap(({ diagnostics }) => diagnostics)]);
    // A change that is held back has been told as a whole.
    const lines = [...all]
      .filter(({ rule }) => rule !== 'held')
      .sort(compareDiagnostics)
      .map((diagnostic) => ({ diagnostic, text: formatDiagnostic(diagnostic) }));
    const fresh = lines.filter(({ text }) => !told.has(text));
    told = new Set(lines.map(({ text }) => text));
    for (const { diagnostic, text } of fresh.slice(0, MAX_LOGGED)) {
      log[diagnostic.severity === 'error' ? 'warn' : 'info']({ rule: diagnostic.rule }, text);
    }
    if (fresh.length > MAX_LOGGED) log.warn(`${fresh.length - MAX_LOGGED} more: see the status`);
  }

  const trigger = createTrigger(reconcile, (error) => {
    log.error({ err: error }, 'reconcile failed');
    status = {
      ...status,
      error: 'internal error; the log says more',
      degraded: true,
      last_error_at: isoTime(clock.now()),
    };
  });
  await trigger.now();
  if (deps.watch !== 'poll' && deps.dir !== null) watcher = watchTree(deps.dir, trigger.soon, log);
  const follow = (): void => watcher?.follow(directories);
  trigger.after(follow);
  follow();
  let resync: NodeJS.Timeout;
  const wait = (): void => {
    const polls = deps.watch === 'poll' || watcher?.seesEvents === false;
    const seconds = polls ? Math.min(POLL_SECONDS, deps.resync_seconds) : deps.resync_seconds;
    resync = setTimeout(() => {
      trigger.due();
      wait();
    }, seconds * 1000);
  };
  wait();

  return {
    status: () => ({ ...status, watch: watcher?.seesEvents ? 'events' : 'scanning' }),
    notReady: () => notReadyReason(status),
    applied: () => state.applied,
    indexFile: documents.indexFile,
    reconcile() {
      asked = true;
      return trigger.now();
    },
    async close() {
      clearTimeout(resync);
      await remote.close();
      await trigger.close();
      watcher?.close();
      await threads.close();
      await events.close();
    },
  };
}

async function loadKept(store: LastGoodStore, log: Log): Promise<LastGood> {
  try {
    return await store.loadLastGood();
  } catch (error) {
    log.warn({ err: error }, 'the manifests of an earlier run could not be read');
    return { rows: [], contents: new Map() };
  }
}

/** What an earlier run had applied: a restart tells no change that is none. */
function knownRow({ key, file, manifest }: LastGoodRow): Known {
  const [kind, tenant, name] = key.split('/') as [Identity['kind'], string, string];
  return {
    identity: { kind, tenant: tenant === '' ? null : tenant, name },
    file,
    applied_digest: manifest,
    faults: '',
  };
}
