/** Where manifests come from: a directory as it stands, or the signed commit of a checkout. */

import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPace } from '../manifest/pace.ts';
import { type ReadOptions, readTree, type Tree, type TreeFile, TreeUnreadable } from '../manifest/tree.ts';
import type { Author } from './changes.ts';
import { type CommitEntry, isRegular, listCommit, readCommitTree } from './commit-tree.ts';
import { type Git, GitError } from './git.ts';
import { objectId, readCommit } from './git-objects.ts';
import { type Signer, type VerifyOptions, verifyCommit } from './verify-commit.ts';

/** What a source holds at one moment. */
export interface Reading {
  readonly tree: Tree;
  /** A git commit, else `sha256:` and the digest of the tree. */
  readonly revision: string;
  readonly author: Author;
  /** Who signed the commit; null: signatures are not asked for. */
  readonly signer: Signer | null;
}

/**
 * `quick`: a file is taken for unchanged when its size, times and inode are; that is what an event is worth. `whole`:
 * everything is read, so that a resync finds also what no file system tells.
 */
export type Effort = 'quick' | 'whole';

export interface Source {
  /** Rejects with TreeUnreadable when it cannot be read now, with CommitRejected when it must not be believed. */
  read(effort?: Effort): Promise<Reading>;
}

const NOBODY: Author = { registered_by: null, subject: null };
const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
/** A directory that changes while it is read is read again, so often, with so many milliseconds more each time. */
const READS = 5;
const PAUSE_MS = 20;

/** The directory as it stands; its revision is the commit when it is a clean checkout, or one that git-sync made. */
export function directorySource(dir: string, git: Git): Source {
  let known: { readonly digest: string; readonly commit: string; readonly author: Author | null } | null =
    null;
  let tree: Tree | null = null;
  return {
    async read(effort = 'whole') {
      const linked = commitOfLink(dir);
      tree = await readSteadily(dir, { earlier: tree, trust: effort === 'quick' });
      const place = await asUnreadable(() => findCheckout(dir, git));
      if (place === null) {
        // A link that was swapped meanwhile names another commit than the one that was read.
        const revision = linked !== null && commitOfLink(dir) === linked ? linked : tree.digest;
        return { tree, revision, author: NOBODY, signer: null };
      }
      const { commit } = place;
      if (known?.digest !== tree.digest || known.commit !== commit)
        known = { digest: tree.digest, commit, author: await authorWhenClean(dir, tree, place, git) };
      const { author } = known;
      return author === null
        ? { tree, revision: tree.digest, author: NOBODY, signer: null }
        : { tree, revision: commit, author, signer: null };
    },
  };
}

/** The commit that a checkout is at, when it is signed; read from git's objects, not from the work tree. */
export function signedSource(dir: string, git: Git, options: VerifyOptions): Source {
  return {
    read: () =>
      asUnreadable(async () => {
        const place = await findCheckout(dir, git);
        if (place === null)
          throw new TreeUnreadable(
            `${dir} is in no git checkout that has a commit, so no signature can be verified`,
          );
        for (const path of [options.allowed_signers_file, options.gnupg_home])
          if (path !== null) checkOutside(path, place.top);
        return readSigned(git, place.gitDir, place.commit, place.path, options);
      }),
  };
}

/** One commit, verified when `options` say how. Rejects as {@link Source.read} does. */
export function readSigned(
  git: Git,
  gitDir: string,
  id: string,
  path: string,
  options: VerifyOptions | null,
): Promise<Reading> {
  return asUnreadable(async () => {
    const commit = await readCommit(git, gitDir, id);
    const signer = options === null ? null : await verifyCommit(git, commit, options);
    const tree = await readCommitTree(git, gitDir, commit, path);
    if (tree === null) throw new TreeUnreadable(`commit ${id.slice(0, 12)} has no directory ${path}`);
    return { tree, revision: id, author: authorOf(commit), signer };
  });
}

export interface Checkout {
  /** Where `.git` is. */
  readonly top: string;
  readonly gitDir: string;
  readonly commit: string;
  /** The directory below the top of the checkout; empty: the top itself. */
  readonly path: string;
}

/**
 * The checkout that a directory is in, and the commit that it is at; null: it is in none that git can read. Its own
 * configuration could say that its top is elsewhere, so it is not asked.
 */
export async function findCheckout(dir: string, git: Git): Promise<Checkout | null> {
  const real = realpathSync(dir);
  const top = topOf(real);
  // A process is only started where there may be something to find.
  if (top === null) return null;
  try {
    const text = await git.text(['--git-dir', join(top, '.git'), 'rev-parse', '--absolute-git-dir', 'HEAD']);
    const [gitDir = '', commit = ''] = text.split('\n');
    const path = relative(top, real).split(sep).join('/');
    return COMMIT.test(commit) ? { top, gitDir, commit, path } : null;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

function topOf(dir: string): string | null {
  if (existsSync(join(dir, '.git'))) return dir;
  return dirname(dir) === dir ? null : topOf(dirname(dir));
}

/** The author of the commit that a checkout is at, when the files are exactly those of the commit; else null. */
async function authorWhenClean(dir: string, tree: Tree, place: Checkout, git: Git): Promise<Author | null> {
  try {
    const commit = await readCommit(git, place.gitDir, place.commit);
    const entries = await listCommit(git, place.gitDir, commit, place.path);
    return entries !== null && (await isClean(realpathSync(dir), tree, entries)) ? authorOf(commit) : null;
  } catch (error) {
    if (error instanceof GitError || isSystemError(error)) return null;
    throw error;
  }
}

/** Whether every file that was read is one of the commit, maybe through a link, and none of the commit is missing. */
async function isClean(root: string, tree: Tree, entries: readonly CommitEntry[]): Promise<boolean> {
  const regular = new Map(entries.filter(isRegular).map(({ path, id }) => [path, id]));
  const breathe = createPace();
  for (const file of tree.files.values()) {
    const { path } = file;
    const id = regular.get(path) ?? regular.get(relative(root, realpathSync(join(root, path))));
    if (id === undefined || blobId(file, id.length) !== id) return false;
    await breathe();
  }
  return entries.every((entry) => {
    if (isRegular(entry)) return tree.files.has(entry.path);
    if (entry.mode !== '120000') return true;
    const target = Buffer.from(readlinkSync(join(root, entry.path)));
    return objectId('blob', target, entry.id.length) === entry.id;
  });
}

const blobIds = new WeakMap<TreeFile, string>();

/** Of the content of a file, which is hashed once: most stay the same from commit to commit. */
function blobId(file: TreeFile, length: number): string {
  const known = blobIds.get(file);
  if (known?.length === length) return known;
  const id = objectId('blob', file.bytes, length);
  blobIds.set(file, id);
  return id;
}

/** git-sync names the directory that its link leads to by the commit. */
function commitOfLink(dir: string): string | null {
  try {
    for (let path = resolve(dir); path !== dirname(path); path = dirname(path)) {
      if (!lstatSync(path).isSymbolicLink()) continue;
      const target = basename(readlinkSync(path));
      if (COMMIT.test(target)) return target;
    }
  } catch (error) {
    // Gone meanwhile; the next scan tells.
    if (!isSystemError(error)) throw error;
  }
  return null;
}

/** Who may sign is not for those to say whose signatures are asked for. */
function checkOutside(path: string, top: string): void {
  const inside = relative(realpathSync(top), realpathSync(path));
  if (inside === '..' || inside.startsWith(`..${sep}`)) return;
  throw new TreeUnreadable(`${path}, which says who may sign, is in the checkout itself; put it elsewhere`);
}

async function readSteadily(dir: string, options: ReadOptions): Promise<Tree> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // One file that somebody writes to without end must not keep all others from being read.
      return await readTree(dir, { ...options, restless: attempt === READS });
    } catch (error) {
      if (!(error instanceof TreeUnreadable) || attempt === READS) throw error;
      await sleep(attempt * PAUSE_MS);
    }
  }
}

function authorOf({ author, subject }: { readonly author: string; readonly subject: string }): Author {
  return { registered_by: author, subject };
}

/** What git or the system did not do is no fault of ours. */
export async function asUnreadable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof GitError || isSystemError(error))) throw error;
    throw new TreeUnreadable(error.message, { cause: error });
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}
