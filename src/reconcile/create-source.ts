/** The source of manifests that the process configuration names. */
import type { Git } from './git.ts';
import { type RemoteOptions, remoteSource } from './remote-source.ts';
import { directorySource, type Source, signedSource } from './source.ts';
import type { VerifyOptions } from './verify-commit.ts';

export interface SourceOptions {
  /** The watched directory. */
  readonly dir: string;
  /** A remote to follow instead; null: none. */
  readonly git: (RemoteOptions & { readonly cache_dir: string }) | null;
  /** Whose signatures are believed; null: none are asked for. */
  readonly verify: VerifyOptions | null;
}

export function createSource({ dir, git: remote, verify }: SourceOptions, git: Git): Source {
  if (remote !== null) return remoteSource(remote, remote.cache_dir, git, verify);
  return verify === null ? directorySource(dir, git) : signedSource(dir, git, verify);
}
