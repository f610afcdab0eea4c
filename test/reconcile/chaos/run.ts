/** A reconciler over a directory that is edited at random, held against the model after every edit. */
import { deepStrictEqual } from 'node:assert';
import { hash } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.ts';
import { newId } from '../../../src/ids.ts';
import type { Caller } from '../../../src/invoke/authenticate.ts';
import { decide } from '../../../src/invoke/decide.ts';
import { createLimiter } from '../../../src/invoke/limit.ts';
import { createGit } from '../../../src/reconcile/git.ts';
import { revisionOf } from '../../../src/reconcile/last-good.ts';
import { type Reconciler, startReconciler } from '../../../src/reconcile/reconcile.ts';
import { directorySource } from '../../../src/reconcile/source.ts';
import type { SnapshotHolder } from '../../../src/snapshot/holder.ts';
import type { Snapshot } from '../../../src/snapshot/snapshot.ts';
import { capturedLog } from '../../store/scratch.ts';
import { memoryStore } from '../reconciled.ts';
import { createDisk } from './disk.ts';
import { editAt, FIRST, PAIR } from './edits.ts';
import { expectation, keyOf, NOTHING, next, restarted, type State } from './model.ts';
import { randomOf } from './random.ts';
import { bytesOf, type Tree } from './tree.ts';

export interface Chaos {
  readonly seed: number;
  /** Which edits of the seed to make: a run that failed is made again with fewer. */
  readonly steps: readonly number[];
  readonly policy: 'keep-last-good' | 'atomic';
  /** Changes are noticed by events; else the reconciler looks when it is asked. */
  readonly watch: boolean;
}

/** A run in which the gateway was not as the model says. */
export class Differs extends Error {
  /** What was done, one line a step; the last is the one after which it differed. */
  readonly done: readonly string[];
  constructor(message: string, done: readonly string[]) {
    super(message);
    this.done = done;
  }
}

/** How long an edit may take to be live when nobody asks for it. */
const LIVE_MS = 10_000;

/** Rejects with {@link Differs}. Resolves to how often each sort of thing was done. */
export async function runChaos({
  seed,
  steps,
  policy,
  watch,
}: Chaos): Promise<Readonly<Record<string, number>>> {
  const disk = createDisk();
  const store = memoryStore();
  const source = directorySource(disk.root, createGit({ env: process.env }));
  const done: string[] = [];
  const counts: Record<string, number> = {};
  const past: Tree[] = [];
  let running: Process | null = null;
  let state: State = NOTHING;
  /** What the process has read last. */
  let seen: string | null = null;
  let allow_prune = false;

  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };

  const start = async (): Promise<Process> => {
    const holder = recordingHolder();
    const { log, lines } = capturedLog();
    const options = { watch: 'auto', resync_seconds: 3_600, policy, allow_prune } as const;
    const dir = watch ? disk.root : null;
    const fetchDocument = () => Promise.reject(new Error('nothing is fetched'));
    const deps = { source, dir, holder, store, fetchDocument, clock: systemClock, log, newId };
    return { gateway: await startReconciler({ ...options, ...deps }), holder, lines };
  };

  try {
    for (const step of steps) {
      const random = randomOf(hashOf(seed, step));
      const restarts = running === null || random.oneIn(25);
      const vanishes = running !== null && random.oneIn(30);
      const before = past.at(-1);
      const { revision = null, revision_attempted = null } = running?.gateway.status() ?? {};
      const desk = {
        tree: before ?? FIRST,
        random,
        tag: `v${step}`,
        past,
        revision,
        held: state.held !== null,
      };
      const { tree, what } =
        before === undefined
          ? { tree: FIRST, what: 'begin' }
          : vanishes
            ? { tree: before, what: 'vanish' }
            : editAt(desk);
      if (restarts && running !== null) {
        await running.gateway.close();
        [state, seen, running] = [restarted(state), null, null];
        allow_prune = random.oneIn(4);
        count('restart');
      }
      const how = disk.show(vanishes ? null : tree, random);
      past.push(tree);
      done.push(
        `${step}: ${what} (${how})${restarts ? `, restart${allow_prune ? ' --allow-prune' : ''}` : ''}`,
      );
      count(what.split(' ')[0]!);
      count(how);

      const content = JSON.stringify([contentOf(tree), disk.commit()]);
      const changes = !vanishes && content !== seen;
      const generation = running?.gateway.status().generation ?? 0;
      const first = generation === 0;
      const inForce = first ? revisionOf((await store.loadLastGood()).rows) : revision;
      const reading = { policy, revision: inForce, allow_prune, first };
      state = next(state, { ...reading, tree: vanishes ? null : tree });

      if (running === null) {
        running = await start();
      } else {
        const { gateway, holder } = running;
        const judging = judgeCalls(holder);
        if (!watch) await gateway.reconcile();
        else await becomes(() => hasSeen(gateway, vanishes, changes ? revision_attempted : null));
        const fault = await judging.end();
        if (fault !== null) throw new Differs(fault, done);
      }
      // It holds for the first reading, however long the root was away.
      if (!vanishes) [seen, allow_prune] = [content, false];
      compare(running, state, done);
      const applies = changes && state.held === null;
      const swaps = first ? null : applies ? 1 : 0;
      checkSwaps(running, generation, swaps, done);
      if (state.held !== null) count(`held by ${state.held}`);
    }
    return counts;
  } finally {
    await running?.gateway.close();
    disk.remove();
  }
}

interface Process {
  readonly gateway: Reconciler;
  readonly holder: RecordingHolder;
  readonly lines: readonly string[];
}

interface RecordingHolder extends SnapshotHolder {
  /** Snapshots so far. */
  swaps(): number;
}

function recordingHolder(): RecordingHolder {
  let snapshot: Snapshot | null = null;
  let swaps = 0;
  return {
    current: () => snapshot,
    swap(next_) {
      snapshot = Object.freeze(next_);
      swaps += 1;
    },
    swaps: () => swaps,
  };
}

/** Asks again and again, as calls that come meanwhile do. What is changed together must be met together. */
function judgeCalls(holder: SnapshotHolder): { end(): Promise<string | null> } {
  const limiter = createLimiter();
  let fault: string | null = null;
  let over = false;
  const judging = (async () => {
    while (!over && fault === null) {
      fault = faultOfPair(holder.current(), limiter);
      await nextTurn();
    }
  })();
  return {
    async end() {
      over = true;
      await judging;
      return fault ?? faultOfPair(holder.current(), limiter);
    },
  };
}

function faultOfPair(snapshot: Snapshot | null, limiter: ReturnType<typeof createLimiter>): string | null {
  const issuer = snapshot?.issuers.get(PAIR.iss);
  const context = snapshot?.contexts.get(`/${PAIR.name}`);
  const tool = snapshot?.tools.get(`/${PAIR.tool}`);
  if (!snapshot || !issuer || !context || tool?.kind !== 'workflow') return null;
  const tag = tool.description;
  const caller: Caller = {
    issuer,
    identity: {
      ...{ issuer: PAIR.iss, subject: 'agent', jti: '1', expires_at: 0, tenant_id: null, execution_id: null },
      ...{ workload_id: null, security_context: PAIR.name, tool_patterns: null, cnf_key: null },
    },
  };
  try {
    // The context of this version allows the argument of this version alone.
    decide(snapshot, caller, { tool: PAIR.tool, arguments: { id: tag }, inexact: null }, limiter);
  } catch (error) {
    return `a call met halves of two sets: tool ${tag}, context ${context.deny[0]?.text}: ${(error as Error).message}`;
  }
  return issuer.audience[0] === tag ? null : `a call met tool ${tag} and issuer ${issuer.audience[0]}`;
}

function hasSeen(gateway: Reconciler, vanishes: boolean, attempted: string | null): boolean {
  const { error, revision_attempted } = gateway.status();
  const away = error?.endsWith('is not there') ?? false;
  return vanishes ? away : !away && revision_attempted !== attempted;
}

async function becomes(so: () => boolean): Promise<void> {
  for (const end = Date.now() + LIVE_MS; !so() && Date.now() < end; ) await sleep(5);
}

function compare({ gateway, holder, lines }: Process, state: State, done: readonly string[]): void {
  const expected = expectation(state);
  const snapshot = holder.current();
  const { manifests, error, degraded } = gateway.status();
  const held = /^held: .*(atomic|removed at once)/.exec(error ?? '')?.[1];
  const observed = {
    seen: snapshot === null ? {} : inForce(snapshot, gateway),
    statuses: Object.fromEntries(manifests.map((one) => [keyOf(one.kind, one.tenant, one.name), one.status])),
    held: held === undefined ? null : held === 'atomic' ? 'atomic' : 'prune',
    away: error?.endsWith('is not there') ?? false,
    degraded,
  };
  const nothing = snapshot === null && state.in_force.size === 0;
  try {
    deepStrictEqual(observed, nothing ? { ...expected, seen: {} } : expected);
    deepStrictEqual(
      lines.filter((line) => /^error(?!.*cannot be read)|internal|the gateway failed/.test(line)),
      [],
    );
  } catch (difference) {
    throw new Differs((difference as Error).message, done);
  }
}

/** What a snapshot holds, in the words of the model. */
function inForce(
  { tools, contexts, tenants, issuers }: Snapshot,
  gateway: Reconciler,
): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, tool] of tools) {
    if (tool.kind === 'workflow') {
      const { api, operation } = tool.steps[0]!;
      seen[`tool ${name}`] = `workflow ${tool.description} by ${api.headers['x-tag']} ${operation.path}`;
    } else {
      seen[`tool ${name}`] = tool.kind === 'cli' ? `cli ${tool.description}` : 'unavailable';
    }
  }
  for (const [name, { deny }] of contexts) seen[`context ${name}`] = deny[0]!.text.replace('tag.', '');
  for (const [name, one] of tenants) seen[`tenant ${name}`] = `${one.display_name} ${one.suspended}`;
  for (const [iss, one] of issuers)
    seen[`issuer ${iss}`] = `${one.tenant ?? ''}/${one.name} ${one.audience[0]}`;
  for (const { manifest } of gateway.applied().values()) {
    const { kind, tenant, name } = manifest;
    const spec = manifest.spec as { headers?: { 'x-tag': string }; instructions?: string };
    const tag = spec.headers?.['x-tag'] ?? spec.instructions;
    if (kind === 'ApiSpec' || kind === 'SemanticJudge') seen[`${kind} ${tenant ?? ''}/${name}`] = tag!;
  }
  return seen;
}

/** `expected` null: the process begins, and what it begins with is held against the model. */
function checkSwaps(
  { gateway, holder }: Process,
  before: number,
  expected: number | null,
  done: readonly string[],
): void {
  const { generation } = gateway.status();
  if (generation !== holder.swaps())
    throw new Differs(`generation ${generation}, ${holder.swaps()} swaps`, done);
  if (expected !== null && generation - before !== expected)
    throw new Differs(`${generation - before} snapshots of one edit, not ${expected}`, done);
}

/** What is read of a tree. */
function contentOf(tree: Tree): unknown {
  return [...tree]
    .filter(([, entry]) => entry.is !== 'directory')
    .map(([path, entry]) => [path, bytesOf(entry)?.toString('hex') ?? entry])
    .sort();
}

function hashOf(seed: number, step: number): number {
  return hash('sha256', `${seed} ${step}`, 'buffer').readUInt32LE();
}

/**
 * A run that failed, with as few of its steps as still fail: parts are left out for as long as it takes no longer than
 * `limit_ms`.
 */
export async function shrink(chaos: Chaos, failed: Differs, limit_ms: number): Promise<Differs> {
  const end = Date.now() + limit_ms;
  let { steps } = chaos;
  let least = failed;
  steps = steps.slice(0, failed.done.length);
  for (let size = Math.ceil(steps.length / 2); size >= 1 && Date.now() < end; size = Math.floor(size / 2)) {
    for (let at = 0; at < steps.length - 1 && Date.now() < end; ) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      const outcome = await runChaos({ ...chaos, steps: fewer }).catch((error: unknown) => error);
      if (outcome instanceof Differs) [steps, least] = [fewer.slice(0, outcome.done.length), outcome];
      else at += size;
    }
  }
  return least;
}
