/** The manifests of a commit, read from git's objects: no checkout, no filter, no work tree that somebody may change. */
import { compareText, type Diagnostic, errorAt } from '../manifest/diagnostic.ts';
import { createPace } from '../manifest/pace.ts';
import {
  isManifestFile,
  MAX_DATA_BYTES,
  makeTree,
  type Tree,
  type TreeFile,
  treeFile,
} from '../manifest/tree.ts';
import { type Git, GitError } from './git.ts';
import { type Commit, parseTree, readObjects, sizesOf, type TreeEntry } from './git-objects.ts';

/** A file, link or submodule of a commit. */
export interface CommitEntry extends Pick<TreeEntry, 'mode' | 'id'> {
  /** Below the directory of the manifests, with forward slashes. */
  readonly path: string;
}

/** As for a directory: more is most likely the wrong one. Trees can name themselves over and over at no cost. */
const MAX_ENTRIES = 100_000;
const MAX_TOTAL_BYTES = 512 * 1024 * 1024;
const MAX_DEPTH = 32;
/** Bytes that are read at one time. */
const BATCH_BYTES = 32 * 1024 * 1024;
const START = { line: 1, column: 1 };

/**
 * What a directory of the same content would give, save that links are not followed. null: the commit has no directory
 * `path` (empty: the top). Rejects with {@link GitError}.
 */
export async function readCommitTree(
  git: Git,
  gitDir: string,
  commit: Commit,
  path: string,
): Promise<Tree | null> {
  const entries = await listCommit(git, gitDir, commit, path);
  if (entries === null) return null;
  const regular = entries.filter(isRegular);
  const diagnostics = entries.flatMap((entry) => refusalOf(entry) ?? []);
  const sizes = await sizesOf(
    git,
    gitDir,
    regular.map(({ id }) => id),
  );
  const wanted: Sized[] = [];
  for (const [index, entry] of regular.entries()) {
    const size = sizes[index] ?? null;
    if (size === null)
      throw new GitError(`${entry.path} of commit ${commit.id} is not in the repository`, null);
    if (size <= MAX_DATA_BYTES) wanted.push({ ...entry, size });
    else diagnostics.push(tooLarge(entry.path, size));
  }
  if (wanted.reduce((sum, { size }) => sum + size, 0) > MAX_TOTAL_BYTES)
    throw new GitError(
      `commit ${commit.id} has more than ${MAX_TOTAL_BYTES / 1024 / 1024} MiB of manifests`,
      null,
    );
  const files: TreeFile[] = [];
  for (const batch of batchesOf(wanted)) {
    const blobs = await readObjects(
      git,
      gitDir,
      batch.map(({ id }) => id),
    );
    for (const [index, { path: file }] of batch.entries()) {
      const { id, type, bytes } = blobs[index]!;
      if (type !== 'blob') throw new GitError(`object ${id} is no file`, null);
      files.push(treeFile(file, bytes));
    }
  }
  return makeTree(files, diagnostics);
}

/**
 * The manifests of a commit below `path`, and the links and submodules that may hold some, in order of path. null: there
 * is no such directory.
 */
export async function listCommit(
  git: Git,
  gitDir: string,
  commit: Commit,
  path: string,
): Promise<CommitEntry[] | null> {
  const top = await findDirectory(git, gitDir, commit, path);
  if (top === null) return null;
  const found: CommitEntry[] = [];
  const breathe = createPace();
  let level = [{ path: '', id: top }];
  for (let depth = 0, seen = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH)
      throw new GitError(`commit ${commit.id} nests directories more than ${MAX_DEPTH} deep`, null);
    const ids = [...new Set(level.map(({ id }) => id))];
    const trees = new Map((await readObjects(git, gitDir, ids)).map((tree) => [tree.id, parseTree(tree)]));
    const next: typeof level = [];
    for (const directory of level) {
      const entries = trees.get(directory.id)!;
      seen += entries.length;
      if (seen > MAX_ENTRIES)
        throw new GitError(
          `commit ${commit.id} has more than ${MAX_ENTRIES} entries below ${path || 'its top'}`,
          null,
        );
      for (const { mode, name, id } of entries) {
        const below = directory.path === '' ? name : `${directory.path}/${name}`;
        if (isDirectory(mode)) {
          if (!name.startsWith('.')) next.push({ path: below, id });
        } else if (mayCount(mode, below)) {
          found.push({ mode, id, path: below });
        }
      }
      await breathe();
    }
    level = next;
  }
  return found.sort((a, b) => compareText(a.path, b.path));
}

export function isRegular({ mode, path }: CommitEntry): boolean {
  return mode.startsWith('100') && !path.includes('\uFFFD');
}

async function findDirectory(git: Git, gitDir: string, commit: Commit, path: string): Promise<string | null> {
  let id = commit.tree;
  for (const part of path.split('/').filter((one) => one !== '' && one !== '.')) {
    const [tree] = await readObjects(git, gitDir, [id]);
    const entry = parseTree(tree!).find(({ name }) => name === part);
    if (entry === undefined || !isDirectory(entry.mode)) return null;
    id = entry.id;
  }
  return id;
}

/** A link or a submodule without an ending may stand for a directory of manifests. */
function mayCount(mode: string, path: string): boolean {
  if (isManifestFile(path)) return true;
  return !mode.startsWith('100') && !/\.[^/]+$/.test(path) && isManifestFile(`${path}/a.yaml`);
}

function isDirectory(mode: string): boolean {
  return mode === '40000' || mode === '040000';
}

/** null: it is read. */
function refusalOf(entry: CommitEntry): Diagnostic | null {
  const { mode, path } = entry;
  const refuse = (rule: string, message: string, hint: string): Diagnostic =>
    errorAt(path, START, rule, message, hint);
  if (path.includes('\uFFFD'))
    return refuse('bad-file-name', 'the name of this entry is not UTF-8', 'rename it');
  if (isRegular(entry)) return null;
  if (mode === '120000')
    return refuse('not-a-file', 'links are not followed in a commit', 'put the file itself here');
  if (mode === '160000')
    return refuse('not-a-file', 'submodules are not read', 'move it out of the directory of the manifests');
  return refuse('not-a-file', 'this is no regular file', 'remove it');
}

function tooLarge(path: string, size: number): Diagnostic {
  const most = `${MAX_DATA_BYTES / 1024 / 1024} MiB`;
  return errorAt(path, START, 'file-too-large', `the file has ${size} bytes; at most ${most} are read`);
}

interface Sized extends CommitEntry {
  readonly size: number;
}

function batchesOf(entries: readonly Sized[]): Sized[][] {
  const batches: Sized[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    if (bytes + entry.size > BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(entry);
    bytes += entry.size;
  }
  return batches;
}
