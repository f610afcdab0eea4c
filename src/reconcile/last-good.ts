/** The manifest versions in force, kept in the store: a restart over a broken directory serves them. */
import { hash } from 'node:crypto';
import type { Found, ManifestSet } from '../manifest/load.ts';
import { loadManifests } from '../manifest/load.ts';
import { keyOf, type Manifest } from '../manifest/manifest.ts';
import type { ReadFiles } from '../manifest/read-file.ts';
import { makeTree, type Tree, type TreeFile, treeFile } from '../manifest/tree.ts';
import { type Applied, type AppliedSet, type CompileDeps, compileInSlices } from './compile.ts';
import type { DocumentCache } from './document-cache.ts';
import { asData, isRemote, NOT_FETCHED, withDocuments } from './remote-documents.ts';

/** A row of the store's last good set: where one manifest in force came from. */
export interface LastGoodRow {
  /** `kind/tenant/name`; or two of them, see {@link USES}. */
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
 * What one manifest was compiled with when that is no longer in force itself: `ToolWorkflow//find uses ApiSpec//crm`.
 * A tool that is broken goes on with the API that it fitted, also after a restart.
 */
const USES = ' uses ';

/** The rows of what is in force, without those of what that was compiled with. */
export function rowsInForce(rows: Iterable<LastGoodRow>): LastGoodRow[] {
  return [...rows].filter(({ key }) => !key.includes(USES));
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
    const local = await loadManifests(
      makeTree(
        files.filter((file) => !isRemote(file)),
        [],
      ),
      readFiles,
    );
    const set = withDocuments(local, (document) => {
      const file = files.find(({ digest }) => digest === document.sha256);
      return file === undefined ? { ...NOT_FETCHED, severity: 'error' } : asData(document, file);
    });
    for (const { key, manifest } of group) {
      const one = set.found.get(key.split(USES).at(-1)!);
      // Never another version than the one that was in force.
      if (one?.manifest?.digest === manifest) found.set(key, one);
    }
  }
  await prepare?.(found.values());
  const [extra, own] = partition([...found], ([key]) => key.includes(USES));
  const applied = await compileFound(new Map(own), deps);
  for (const [user, uses] of Map.groupBy(extra, ([key]) => key.split(USES)[0]!)) {
    const set = new Map(uses.map(([, one]) => [one.key, one]));
    if (found.has(user)) set.set(user, found.get(user)!);
    const one = (await compileFound(set, deps)).get(user);
    if (one !== undefined) applied.set(user, one);
  }
  return applied;
}

async function compileFound(
  found: ReadonlyMap<string, Found>,
  deps: CompileDeps,
): Promise<Map<string, Applied>> {
  const set: ManifestSet = { found, diagnostics: [], broken: new Set() };
  const verdicts = [...(await compileInSlices(set, new Map(), deps)).values()];
  return new Map(
    verdicts.flatMap(({ key, applied }): [string, Applied][] => (applied === null ? [] : [[key, applied]])),
  );
}

/** A revision for what an earlier run left in force, which may be of several commits. */
export function revisionOf(rows: readonly LastGoodRow[]): string {
  const digests = rows.map(({ key, manifest }) => [key, manifest]).sort();
  return `last-good:${hash('sha256', JSON.stringify(digests), 'hex')}`;
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
  const versions = versionsOf(after);
  const isKept = (key: string, { digest, file }: Manifest): boolean => {
    const earlier = rows.get(key);
    return earlier?.manifest === digest && earlier.file === file;
  };
  const fresh = [...versions].filter(([key, manifest]) => !isKept(key, manifest));
  const kept = new Map(fresh.length === 0 ? [] : [...rows.values()].map((row) => [idOf(row), row]));
  for (const [key, manifest] of fresh) {
    // A version that is in force although its file has changed or gone is in the store already.
    const earlier = kept.get(idOf({ file: manifest.file, manifest: manifest.digest }));
    const source = tree.files.get(manifest.file);
    if (earlier !== undefined) {
      set.push({ ...earlier, key });
    } else if (source !== undefined && !key.includes(USES)) {
      keep(source);
      for (const file of manifest.data.values()) keep(file);
      const data = [...manifest.data].map(
        ([reference, file]) => [reference, file.path, file.digest] as const,
      );
      set.push({ key, file: manifest.file, digest: source.digest, data, manifest: manifest.digest });
    }
  }
  const remove = [...rows.keys()].filter((key) => !versions.has(key));
  return set.length + remove.length === 0 ? null : { set, remove, contents };
}

/** Every version that a restart needs, by the key of its row. */
function versionsOf(after: AppliedSet): Map<string, Manifest> {
  const versions = new Map<string, Manifest>();
  for (const [key, { manifest, uses }] of after) {
    versions.set(key, manifest);
    for (const { manifest: used } of uses) {
      const seen =
        after.get(keyOf({ ...used, tenant: manifest.tenant })) ?? after.get(keyOf({ ...used, tenant: null }));
      const isInForce = seen?.manifest.key === used.key && seen.manifest.digest === used.digest;
      if (!isInForce) versions.set(`${key}${USES}${used.key}`, used);
    }
  }
  return versions;
}

function idOf({ file, manifest }: Pick<LastGoodRow, 'file' | 'manifest'>): string {
  return `${manifest} ${file}`;
}

function partition<T>(list: readonly T[], is: (one: T) => boolean): [T[], T[]] {
  return [list.filter(is), list.filter((one) => !is(one))];
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
