/** Files compiled as the reconciler does, one set after the other. */
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { loadManifests } from '../../src/manifest/load.ts';
import { makeTree, treeFile } from '../../src/manifest/tree.ts';
import { assemble } from '../../src/reconcile/assemble.ts';
import {
  type Applied,
  type AppliedSet,
  type CompileDeps,
  compileSet,
  type KnownSet,
  type Verdict,
  type Verdicts,
} from '../../src/reconcile/compile.ts';
import { createDocumentCache } from '../../src/reconcile/document-cache.ts';
import type { Snapshot } from '../../src/snapshot/snapshot.ts';
import type { Files } from '../manifest/directory.ts';

export interface Compiler {
  /** Compiles the next set of files beside the one before. */
  next(files: Files): Promise<Verdicts>;
  /** Of the last set. */
  snapshot(): Snapshot;
  verdict(key: string): Verdict;
  /** `key status`, in order. */
  statuses(): string[];
  /** What is said of a manifest, or of all. */
  said(key?: string): string[];
}

export function createCompiler(deps: Partial<CompileDeps> = {}): Compiler {
  const all: CompileDeps = {
    indexFile: createDocumentCache().indexFile,
    remoteKeys: () => ({ candidates: async () => [] }),
    ...deps,
  };
  let verdicts: Verdicts = new Map();
  const previous = (): AppliedSet =>
    new Map(
      [...verdicts].flatMap(([key, { applied }]): [string, Applied][] =>
        applied === null ? [] : [[key, applied]],
      ),
    );
  return {
    async next(files) {
      const tree = makeTree(
        Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))),
        [],
      );
      const known: KnownSet = verdicts;
      verdicts = compileSet(await loadManifests(tree), previous(), all, known);
      return verdicts;
    },
    snapshot: () => assemble(verdicts.values(), 'revision', 1),
    verdict: (key) => verdicts.get(key)!,
    statuses: () => [...verdicts.values()].map(({ key, status }) => `${key} ${status}`).sort(),
    said: (key) =>
      [...verdicts.values()]
        .filter((verdict) => key === undefined || verdict.key === key)
        .flatMap(({ diagnostics }) => diagnostics.map(formatDiagnostic)),
  };
}
