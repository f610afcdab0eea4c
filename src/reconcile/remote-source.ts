/** Follows a branch or tag of a remote repository by itself, for teams without a sidecar (`reconcile.git`). */
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TreeUnreadable } from '../manifest/tree.ts';
import { type Git, GitError } from './git.ts';
import { asUnreadable, readSigned, type Source } from './source.ts';
import type { VerifyOptions } from './verify-commit.ts';

export interface RemoteOptions {
  /** What `git fetch` takes. Credentials come from the environment's git configuration, never from here. */
  readonly url: string;
  /** Branch, tag or full ref name; of a branch and a tag of one name, the branch. */
  readonly ref: string;
  /** Directory of the manifests below the top of the repository; empty: the top. */
  readonly path: string;
}

const REMOTE = { with_configuration: true, timeout_ms: 120_000 };
/** What a git that was killed may have left, and no other process can be using. */
const STALE = ['shallow.lock', 'packed-refs.lock', 'config.lock', 'HEAD.lock', 'gc.pid', 'gc.pid.lock'];
const FORMATS = ['sha1', 'sha256'] as const;
type Format = (typeof FORMATS)[number];

/**
 * `cacheDir` keeps a bare repository, so that a restart need not fetch everything, and can do without the remote. No
 * other process may use it.
 */
export function remoteSource(
  options: RemoteOptions,
  cacheDir: string,
  git: Git,
  verify: VerifyOptions | null,
): Source {
  // What is kept of one remote or ref must not be taken for that of another, which the configuration names now.
  const kept = `refs/seal/${digest(options.ref)}`;
  const repositoryOf = (format: Format): string => join(cacheDir, `${digest(options.url)}-${format}.git`);
  const prepared = new Set<Format>();
  let readBefore = false;

  async function prepare(format: Format): Promise<string> {
    const gitDir = repositoryOf(format);
    if (prepared.has(format)) return gitDir;
    mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
    for (const name of [...STALE, `${kept}.lock`]) rmSync(join(gitDir, name), { force: true });
    await git.run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, gitDir]);
    prepared.add(format);
    return gitDir;
  }

  /** Brings the copy up to date and resolves to where it is. */
  async function follow(): Promise<string> {
    const { name, id } = await lookUp(git, await prepare('sha1'), options);
    const gitDir = await prepare(id.length === 64 ? 'sha256' : 'sha1');
    if ((await resolveRef(git, gitDir, kept)) === id) return gitDir;
    const fetch = ['fetch', '--quiet', '--no-tags', '--depth', '1', '--no-recurse-submodules'];
    const refs = ['--end-of-options', options.url, `+${name}:${kept}`];
    await git.run(['--git-dir', gitDir, ...fetch, '--no-write-fetch-head', ...refs], REMOTE);
    await tidy(gitDir);
    return gitDir;
  }

  /** What is not the newest is never read again, and would be kept for good. */
  async function tidy(gitDir: string): Promise<void> {
    const often = ['gc.auto=500', 'gc.autoPackLimit=8', 'gc.autoDetach=false'].flatMap((one) => ['-c', one]);
    const collect = [...often, '--git-dir', gitDir, 'gc', '--auto', '--quiet', '--prune=now'];
    // Only a matter of space: what cannot be tidied now is tidied after another fetch.
    await git.run(collect, { timeout_ms: REMOTE.timeout_ms }).catch(() => {});
  }

  /** Where an earlier run has kept what it read. */
  async function findKept(): Promise<string | null> {
    for (const gitDir of FORMATS.map(repositoryOf)) {
      if (existsSync(gitDir) && (await resolveRef(git, gitDir, kept)) !== null) return gitDir;
    }
    return null;
  }

  async function locate(): Promise<string> {
    try {
      return await follow();
    } catch (error) {
      // Once something has been read, being out of reach changes nothing. The first time, what is kept must do.
      const gitDir = readBefore || !(error instanceof GitError) ? null : await findKept();
      if (gitDir === null) throw error;
      return gitDir;
    }
  }

  return {
    read: () =>
      asUnreadable(async () => {
        const gitDir = await locate();
        const commit = await resolveRef(git, gitDir, `${kept}^{commit}`);
        if (commit === null) throw new TreeUnreadable(`${options.ref} of the remote leads to no commit`);
        const reading = await readSigned(git, gitDir, commit, options.path, verify);
        readBefore = true;
        return reading;
      }),
  };
}

interface Advertised {
  /** Full ref name. */
  readonly name: string;
  readonly id: string;
}

/** By the names that the ref may stand for: git itself would take a tag before the branch of that name. */
async function lookUp(git: Git, gitDir: string, { url, ref }: RemoteOptions): Promise<Advertised> {
  const names = [`refs/heads/${ref}`, `refs/tags/${ref}`, ref];
  const list = ['--git-dir', gitDir, 'ls-remote', '--quiet', '--end-of-options', url, ...names];
  const text = await git.text(list, REMOTE);
  const found = new Map(
    text.split('\n').map((line): [string, string] => [line.split('\t')[1] ?? '', line.split('\t')[0]!]),
  );
  const name = names.find((one) => found.has(one));
  if (name === undefined) throw new GitError(`the remote has no branch or tag ${ref}`, null);
  return { name, id: found.get(name)! };
}

/** null: there is no such ref. */
async function resolveRef(git: Git, gitDir: string, ref: string): Promise<string | null> {
  try {
    return await git.text(['--git-dir', gitDir, 'rev-parse', '--verify', '--quiet', ref]);
  } catch (error) {
    if (error instanceof GitError && error.exit_code !== null) return null;
    throw error;
  }
}

function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 16);
}
