/** Where manifests come from: a directory as it stands, the signed commit of a checkout, or a remote that is followed. */

import { hash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { isManifestFile, readTree, type Tree, TreeUnreadable } from '../manifest/tree.ts';
import type { Author } from './changes.ts';
import { describeCommit, listCommit, readCommitTree } from './commit-tree.ts';
import { type Git, GitError } from './git.ts';
import { CommitRejected, type Signer, type VerifyOptions, verifyCommit } from './verify-commit.ts';

/** What a source holds at one moment. */
export interface Reading {
  readonly tree: Tree;
  /** A git commit, else `sha256:` and the digest of the tree. */
  readonly revision: string;
  readonly author: Author;
  /** Who signed the commit; null: signatures are not asked for. */
  readonly signer: Signer | null;
}

export interface Source {
  /** Rejects with TreeUnreadable when it cannot be read now, with CommitRejected when it must not be believed. */
  read(): Promise<Reading>;
}

const NOBODY: Author = { registered_by: null, subject: null };
const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
/** A directory that changes while it is read is read again, this often at once. */
const READS = 5;

/** The directory as it stands; its revision is the commit when it is a clean checkout, or one that git-sync made. */
export function directorySource(dir: string, git: Git): Source {
  return {
    async read() {
      const tree = await readSteadily(dir);
      const found = (await commitOfCheckout(dir, tree, git)) ?? null;
      if (found !== null) return { tree, ...found, signer: null };
      const linked = commitOfLink(dir);
      return { tree, revision: linked ?? tree.digest, author: NOBODY, signer: null };
    },
  };
}

/** The commit that a checkout is at, when it is signed; read from git's objects, not from the work tree. */
export function signedSource(dir: string, git: Git, options: VerifyOptions): Source {
  return {
    async read() {
      const place = await asUnreadable(() => findCheckout(dir, git));
      if (place === null)
        throw new TreeUnreadable(`${dir} is not in a git checkout, so no signature can be verified`);
      return readSigned(git, place.gitDir, place.commit, place.path, options);
    },
  };
}

/** One commit, verified when `options` say how. */
export async function readSigned(
  git: Git,
  gitDir: string,
  commit: string,
  path: string,
  options: VerifyOptions | null,
): Promise<Reading> {
  return asUnreadable(async () => {
    const signer = options === null ? null : await verifyCommit(git, gitDir, commit, options);
    const { author, subject } = await describeCommit(git, gitDir, commit);
    const tree = await readCommitTree(git, gitDir, commit, path);
    return { tree, revision: commit, author: { registered_by: author, subject }, signer };
  });
}

interface Checkout {
  readonly gitDir: string;
  readonly commit: string;
  /** The directory below the top of the checkout; empty: the top itself. */
  readonly path: string;
}

/** The checkout that a directory is in; null: it is in none. */
export async function findCheckout(dir: string, git: Git): Promise<Checkout | null> {
  const real = realpathSync(dir);
  if (!aboveHasGit(real)) return null;
  try {
    const text = await git.text(['-C', real, 'rev-parse', '--absolute-git-dir', '--show-toplevel', 'HEAD']);
    const [gitDir = '', top = '', commit = ''] = text.split('\n');
    return COMMIT.test(commit) ? { gitDir, commit, path: relative(top, real) } : null;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

/** A process is only started where there may be something to find. */
function aboveHasGit(dir: string): boolean {
  if (statSync(join(dir, '.git'), { throwIfNoEntry: false }) !== undefined) return true;
  return dirname(dir) !== dir && aboveHasGit(dirname(dir));
}

/** The commit of a checkout whose files are exactly those of the commit. */
async function commitOfCheckout(
  dir: string,
  tree: Tree,
  git: Git,
): Promise<{ revision: string; author: Author } | null> {
  try {
    const place = await findCheckout(dir, git);
    if (place === null) return null;
    const entries = (await listCommit(git, place.gitDir, place.commit, place.path)).filter(
      ({ path, mode }) => isManifestFile(path) && mode !== '120000',
    );
    const clean =
      entries.length === tree.files.size &&
      entries.every(({ path, id }) => blobId(tree, path, id.length) === id);
    if (!clean) return null;
    const { commit, author, subject } = await describeCommit(git, place.gitDir, place.commit);
    return { revision: commit, author: { registered_by: author, subject } };
  } catch (error) {
    if (error instanceof GitError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** The id that git gives to a file of this content; its length tells which hash the repository uses. */
function blobId(tree: Tree, path: string, length: number): string | null {
  const file = tree.files.get(path);
  if (file === undefined) return null;
  const blob = Buffer.concat([Buffer.from(`blob ${file.bytes.length}\0`), file.bytes]);
  return hash(length === 40 ? 'sha1' : 'sha256', blob, 'hex');
}

/** git-sync names the directory that its link leads to by the commit. */
function commitOfLink(dir: string): string | null {
  try {
    for (let path = realpathSync(dir); path !== dirname(path); path = dirname(path)) {
      if (COMMIT.test(basename(path))) return basename(path);
    }
  } catch {
    // Gone meanwhile; the next scan tells.
  }
  return null;
}

async function readSteadily(dir: string): Promise<Tree> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readTree(dir);
    } catch (error) {
      if (!(error instanceof TreeUnreadable) || attempt === READS) throw error;
    }
  }
}

async function asUnreadable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof TreeUnreadable || error instanceof CommitRejected) throw error;
    throw new TreeUnreadable(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
