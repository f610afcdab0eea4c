/** A set of manifests compiled for a command, as the gateway would compile it; nothing is fetched. */
import { systemClock } from '../clock.ts';
import { silentLog } from '../log.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests } from '../manifest/load.ts';
import { readTree, type Tree, TreeUnreadable } from '../manifest/tree.ts';
import { assemble } from '../reconcile/assemble.ts';
import type { AppliedSet, CompileDeps } from '../reconcile/compile.ts';
import { createRemoteKeySets } from '../reconcile/compile-context.ts';
import { createDocumentCache } from '../reconcile/document-cache.ts';
import { compileSide, type Side } from '../reconcile/plan.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { CliError } from './output.ts';

export function localDeps(): CompileDeps {
  return {
    indexFile: createDocumentCache().indexFile,
    remoteKeys: createRemoteKeySets({ clock: systemClock, log: silentLog }),
  };
}

/** Throws CliError when the directory cannot be read. */
export async function readLocal(dir: string): Promise<Tree> {
  try {
    return await readTree(dir);
  } catch (error) {
    if (error instanceof TreeUnreadable) throw new CliError(error.message);
    throw error;
  }
}

export interface SideOptions {
  readonly deps?: CompileDeps;
  /** What is in force before: it stays in the place of what is not valid. */
  readonly previous?: AppliedSet;
  /** Absent: the digest of the tree. */
  readonly revision?: string;
}

export async function sideOfTree(tree: Tree, options: SideOptions = {}): Promise<Side> {
  const { deps = localDeps(), previous = new Map(), revision = tree.digest } = options;
  return compileSide(await loadManifests(tree), previous, deps, revision);
}

/** What the gateway would serve from a directory, with nothing of before in the place of what is not valid. */
export interface LocalSet {
  readonly side: Side;
  readonly snapshot: Snapshot;
  /** Each on a line of its own. */
  readonly errors: readonly string[];
}

export async function readSet(dir: string): Promise<LocalSet> {
  const side = await sideOfTree(await readLocal(dir));
  const errors = side.diagnostics.filter(({ severity }) => severity === 'error').map(formatDiagnostic);
  return { side, snapshot: assemble(side.verdicts.values(), side.revision, 1), errors };
}
