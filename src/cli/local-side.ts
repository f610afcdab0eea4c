/** A set of manifests compiled for a command, as the gateway would compile it; nothing is fetched unless asked for. */
import { systemClock } from '../clock.ts';
import { download } from '../execute/download.ts';
import { createEgress } from '../execute/egress.ts';
import { silentLog } from '../log.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests, type ManifestSet } from '../manifest/load.ts';
import { readTree, type Tree, type TreeFile, TreeUnreadable } from '../manifest/tree.ts';
import { assemble } from '../reconcile/assemble.ts';
import type { AppliedSet, CompileDeps } from '../reconcile/compile.ts';
import { createRemoteKeySets } from '../reconcile/compile-context.ts';
import { createDocumentCache } from '../reconcile/document-cache.ts';
import { fetchChecked } from '../reconcile/fetch-documents.ts';
import { compileSide, type Side } from '../reconcile/plan.ts';
import {
  type Absent,
  asData,
  documentsIn,
  NOT_FETCHED,
  type RemoteDocument,
  remoteDocument,
  withDocuments,
} from '../reconcile/remote-documents.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { packageVersion } from '../version.ts';
import { CliError } from './output.ts';

/** What the option --fetch of several commands does. */
export const FETCH = 'fetch the OpenAPI documents that ApiSpecs name by URL, to check their operations too';

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
  /** Documents that ApiSpecs name by URL are fetched; else their operations are not checked, which is a warning. */
  readonly fetch?: boolean | undefined;
  /** Documents that need not be fetched, by digest. */
  readonly documents?: ReadonlyMap<string, TreeFile>;
}

export async function sideOfTree(tree: Tree, options: SideOptions = {}): Promise<Side> {
  const { deps = localDeps(), previous = new Map(), revision = tree.digest, fetch = false } = options;
  const set = await loadManifests(tree);
  const known = new Map([...documentsIn(previous), ...(options.documents ?? [])]);
  const fetched = fetch ? await fetchAll(set, known) : new Map<string, Absent | TreeFile>();
  const whole = withDocuments(set, (document) => {
    const file = known.get(document.sha256) ?? fetched.get(fetchKey(document));
    if (file === undefined) return NOT_FETCHED;
    return 'bytes' in file ? asData(document, file) : file;
  });
  return compileSide(whole, previous, deps, revision);
}

/** The documents that a set names and that are not known, or why they cannot be had. */
async function fetchAll(
  set: ManifestSet,
  known: ReadonlyMap<string, TreeFile>,
): Promise<Map<string, Absent | TreeFile>> {
  const wanted = new Map<string, RemoteDocument>();
  for (const { manifest } of set.found.values()) {
    const document = manifest === null ? null : remoteDocument(manifest);
    if (document !== null && !known.has(document.sha256)) wanted.set(fetchKey(document), document);
  }
  const egress = createEgress({ version: packageVersion() });
  const { signal } = new AbortController();
  try {
    const fetched = await Promise.all(
      [...wanted].map(async ([key, document]) => {
        const got = await fetchChecked(
          document,
          ({ url, egress: allowed }, limits) => download(egress, url, { ...limits, egress: allowed }),
          signal,
        );
        // Nobody tries again here.
        const isOver = 'message' in got && got.field === 'url';
        return [key, isOver ? { ...got, hint: null } : got] as const;
      }),
    );
    return new Map(fetched);
  } finally {
    await egress.close();
  }
}

function fetchKey({ url, sha256, egress }: RemoteDocument): string {
  return JSON.stringify([url, sha256, egress]);
}

/** What the gateway would serve from a directory, with nothing of before in the place of what is not valid. */
export interface LocalSet {
  readonly side: Side;
  readonly snapshot: Snapshot;
  /** Each on a line of its own. */
  readonly errors: readonly string[];
}

export async function readSet(dir: string, options: SideOptions = {}): Promise<LocalSet> {
  const side = await sideOfTree(await readLocal(dir), options);
  const errors = side.diagnostics.filter(({ severity }) => severity === 'error').map(formatDiagnostic);
  return { side, snapshot: assemble(side.verdicts.values(), side.revision, 1), errors };
}
