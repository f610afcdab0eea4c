/** The manifest versions in force, kept in the store: a restart over a broken directory serves them (design section 5). */
import type { Found, ManifestSet } from '../manifest/load.ts';
import { loadManifests } from '../manifest/load.ts';
import { makeTree, type TreeFile, treeFile } from '../manifest/tree.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileSet } from './compile.ts';

/** A row of the store's last good set: where one manifest in force came from. */
export interface LastGoodRow {
  readonly key: string;
  readonly file: string;
  readonly digest: string;
  readonly data: readonly (readonly [reference: string, path: string, digest: string])[];
}

/** The part of the store port that this needs. */
export interface LastGoodStore {
  loadLastGood(): Promise<{ readonly rows: readonly LastGoodRow[]; readonly contents: ReadonlyMap<string, string> }>;
  saveLastGood(change: {
    readonly set: readonly LastGoodRow[];
    readonly remove: readonly string[];
    readonly contents: ReadonlyMap<string, string>;
  }): Promise<void>;
}

/**
 * Compiles what the store has kept. A version that this program can no longer compile is left out. Empty when the
 * store holds none; rejects when it cannot be read.
 */
export async function restoreLastGood(store: LastGoodStore, deps: CompileDeps): Promise<AppliedSet> {
  const { rows, contents } = await store.loadLastGood();
  const found = new Map<string, Found>();
  for (const group of groupByFiles(rows).values()) {
    const files = filesOf(group[0]!, contents);
    if (files === null) continue;
    const set = await loadManifests(makeTree(files, []));
    for (const { key } of group) {
      const one = set.found.get(key);
      if (one !== undefined) found.set(key, one);
    }
  }
  const set: ManifestSet = { found, diagnostics: [], broken: new Set() };
  const applied = new Map<string, Applied>();
  for (const verdict of compileSet(set, new Map(), deps).values()) {
    if (verdict.applied !== null) applied.set(verdict.key, verdict.applied);
  }
  return applied;
}

/** What the store must be told so that it holds `after`, when it holds `before`. null: nothing. */
export function lastGoodChange(before: AppliedSet, after: AppliedSet, contents: ReadonlyMap<string, TreeFile>) {
  const set: LastGoodRow[] = [];
  const kept = new Map<string, string>();
  const keep = (file: TreeFile): void => {
    kept.set(file.digest, file.bytes.toString('utf8'));
  };
  for (const [key, { manifest }] of after) {
    const earlier = before.get(key)?.manifest;
    if (earlier?.digest === manifest.digest && earlier.file === manifest.file) continue;
    const source = contents.get(manifest.file);
    // A version that is in force although its file has changed is in the store already.
    if (source === undefined) continue;
    keep(source);
    for (const file of manifest.data.values()) keep(file);
    const data = [...manifest.data].map(([reference, file]) => [reference, file.path, file.digest] as const);
    set.push({ key, file: manifest.file, digest: source.digest, data });
  }
  const remove = [...before.keys()].filter((key) => !after.has(key));
  return set.length + remove.length === 0 ? null : { set, remove, contents: kept };
}

/** Manifests that were read from the same files at the same time are read again together. */
function groupByFiles(rows: readonly LastGoodRow[]): Map<string, LastGoodRow[]> {
  const groups = new Map<string, LastGoodRow[]>();
  for (const row of rows) {
    const id = JSON.stringify([row.file, row.digest, row.data]);
    groups.set(id, [...(groups.get(id) ?? []), row]);
  }
  return groups;
}

function filesOf({ file, digest, data }: LastGoodRow, contents: ReadonlyMap<string, string>): TreeFile[] | null {
  const wanted: [string, string][] = [[file, digest], ...data.map(([, path, id]): [string, string] => [path, id])];
  const files = wanted.map(([path, id]) => {
    const content = contents.get(id);
    return content === undefined ? null : treeFile(path, Buffer.from(content));
  });
  return files.some((one) => one === null) ? null : (files as TreeFile[]);
}
