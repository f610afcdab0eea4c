/** The manifest versions in force, kept in the store: a restart over a broken directory serves them (design section 5). */
import type { Found, ManifestSet } from '../manifest/load.ts';
import { loadManifests } from '../manifest/load.ts';
import type { ReadFiles } from '../manifest/read-file.ts';
import { makeTree, type Tree, type TreeFile, treeFile } from '../manifest/tree.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileInSlices } from './compile.ts';
import type { DocumentCache } from './document-cache.ts';

/** A row of the store's last good set: where one manifest in force came from. */
export interface LastGoodRow {
  readonly key: string;
  readonly file: string;
  readonly digest: string;
  readonly data: readonly (readonly [reference: string, path: string, digest: string])[];
  /** Digest of the manifest. */
  readonly manifest: string;
}

export interface LastGood {
  readonly rows: readonly LastGoodRow[];
  /** Content of files by SHA-256. */
  readonly contents: ReadonlyMap<string, string>;
}

/** The part of the store port that this needs. */
export interface LastGoodStore {
  loadLastGood(): Promise<LastGood>;
  saveLastGood(change: LastGoodChange): Promise<void>;
}

export interface LastGoodChange {
  readonly set: readonly LastGoodRow[];
  readonly remove: readonly string[];
  readonly contents: ReadonlyMap<string, string>;
}

/** How files are read where calls must not wait for it. */
interface Readers {
  readonly readFiles?: ReadFiles;
  readonly prepare?: DocumentCache['prepare'];
}

/**
 * Compiles what the store has kept. A version that this program can no longer compile is left out. Empty when the
 * store holds none.
 */
export async function restoreLastGood(
  { rows, contents }: LastGood,
  deps: CompileDeps,
  { readFiles, prepare }: Readers = {},
): Promise<AppliedSet> {
  const found = new Map<string, Found>();
  for (const group of groupByFiles(rows).values()) {
    const files = filesOf(group[0]!, contents);
    if (files === null) continue;
    const set = await loadManifests(makeTree(files, []), readFiles);
    for (const { key, manifest } of group) {
      const one = set.found.get(key);
      // Never another version than the one that was in force.
      if (one?.manifest?.digest === manifest) found.set(key, one);
    }
  }
  await prepare?.(found.values());
  const set: ManifestSet = { found, diagnostics: [], broken: new Set() };
  const applied = new Map<string, Applied>();
  for (const verdict of (await compileInSlices(set, new Map(), deps)).values()) {
    if (verdict.applied !== null) applied.set(verdict.key, verdict.applied);
  }
  return applied;
}

/** What the store must be told so that it holds `after`, when it holds `rows`. null: nothing. */
export function lastGoodChange(
  rows: ReadonlyMap<string, LastGoodRow>,
  after: AppliedSet,
  tree: Tree,
): LastGoodChange | null {
  const set: LastGoodRow[] = [];
  const contents = new Map<string, string>();
  const keep = (file: TreeFile): void => {
    // Many manifests may stand in one file.
    if (!contents.has(file.digest)) contents.set(file.digest, file.bytes.toString('utf8'));
  };
  for (const [key, { manifest }] of after) {
    const earlier = rows.get(key);
    if (earlier?.manifest === manifest.digest && earlier.file === manifest.file) continue;
    const source = tree.files.get(manifest.file);
    // A version that is in force although its file has changed or gone is in the store already.
    if (source === undefined) continue;
    keep(source);
    for (const file of manifest.data.values()) keep(file);
    const data = [...manifest.data].map(([reference, file]) => [reference, file.path, file.digest] as const);
    set.push({ key, file: manifest.file, digest: source.digest, data, manifest: manifest.digest });
  }
  const remove = [...rows.keys()].filter((key) => !after.has(key));
  return set.length + remove.length === 0 ? null : { set, remove, contents };
}

/** Manifests that were read from the same files at the same time are read again together. */
function groupByFiles(rows: readonly LastGoodRow[]): Map<string, LastGoodRow[]> {
  return Map.groupBy(rows, (row) => JSON.stringify([row.file, row.digest, row.data]));
}

function filesOf(
  { file, digest, data }: LastGoodRow,
  contents: ReadonlyMap<string, string>,
): TreeFile[] | null {
  const wanted: [string, string][] = [
    [file, digest],
    ...data.map(([, path, id]): [string, string] => [path, id]),
  ];
  const files = wanted.map(([path, id]) => {
    const content = contents.get(id);
    return content === undefined ? null : treeFile(path, Buffer.from(content));
  });
  return files.some((one) => one === null) ? null : (files as TreeFile[]);
}
