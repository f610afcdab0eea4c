/** Follows a branch or tag of a remote repository by itself, for teams without a sidecar (`reconcile.git`). */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TreeUnreadable } from '../manifest/tree.ts';
import { type Git, GitError } from './git.ts';
import { readSigned, type Source } from './source.ts';
import type { VerifyOptions } from './verify-commit.ts';

export interface RemoteOptions {
  /** What `git fetch` takes. Credentials come from the environment's git configuration, never from here. */
  readonly url: string;
  /** Branch, tag or full ref name. */
  readonly ref: string;
  /** Directory of the manifests below the top of the repository; empty: the top. */
  readonly path: string;
}

const FOLLOWED = 'refs/seal/followed';
const FETCH_MS = 120_000;

/** `cacheDir` keeps a bare repository, so that a restart need not fetch everything, and can do without the remote. */
export function remoteSource(
  options: RemoteOptions,
  cacheDir: string,
  git: Git,
  verify: VerifyOptions | null,
): Source {
  const gitDir = join(cacheDir, 'repository.git');
  let initialised = false;
  let reachable: boolean | null = null;

  async function fetch(): Promise<void> {
    if (!initialised) {
      mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
      await git.run(['init', '--quiet', '--bare', gitDir]);
      initialised = true;
    }
    const refspec = `+${options.ref}:${FOLLOWED}`;
    await git.run(
      [
        '--git-dir',
        gitDir,
        'fetch',
        '--quiet',
        '--no-tags',
        '--depth',
        '1',
        '--no-recurse-submodules',
        '--end-of-options',
        options.url,
        refspec,
      ],
      {
        with_configuration: true,
        timeout_ms: FETCH_MS,
      },
    );
  }

  return {
    async read() {
      try {
        await fetch();
        reachable = true;
      } catch (error) {
        if (!(error instanceof GitError)) throw error;
        // Once something has been read, being out of reach changes nothing; the first time, what the cache has must do.
        if (reachable !== null) throw new TreeUnreadable(error.message, { cause: error });
        reachable = false;
      }
      let commit: string;
      try {
        commit = await git.text([
          '--git-dir',
          gitDir,
          'rev-parse',
          '--verify',
          '--quiet',
          `${FOLLOWED}^{commit}`,
        ]);
      } catch (error) {
        throw new TreeUnreadable(`nothing could be fetched from the remote, and nothing is kept of it`, {
          cause: error,
        });
      }
      return readSigned(git, gitDir, commit, options.path, verify);
    },
  };
}
