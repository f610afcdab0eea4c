/** A directory of manifests compiled for a command, as the gateway would compile it; nothing is fetched. */
import { systemClock } from '../clock.ts';
import { silentLog } from '../log.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests } from '../manifest/load.ts';
import { readTree, type Tree, TreeUnreadable } from '../manifest/tree.ts';
import { assemble } from '../reconcile/assemble.ts';
import type { CompileDeps } from '../reconcile/compile.ts';
import { createFileIndex } from '../reconcile/compile-api.ts';
import { createRemoteKeySets } from '../reconcile/compile-context.ts';
import { compileSide, type Side } from '../reconcile/plan.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { CliError } from './output.ts';

export function localDeps(): CompileDeps {
  return {
    indexFile: createFileIndex(),
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

export async function sideOfTree(tree: Tree): Promise<Side> {
  return compileSide(await loadManifests(tree), new Map(), localDeps());
}

/** What the gateway would serve from a directory. Throws CliError, with every error, when it is not valid. */
export async function validSide(dir: string): Promise<{ side: Side; snapshot: Snapshot }> {
  const tree = await readLocal(dir);
  const side = await sideOfTree(tree);
  const errors = side.diagnostics.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    throw new CliError(
      `${dir} is not valid:\n${errors.map((one) => `  ${formatDiagnostic(one)}`).join('\n')}`,
    );
  }
  return { side, snapshot: assemble(side.verdicts.values(), tree.digest, 1) };
}
