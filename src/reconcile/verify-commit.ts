/**
 * Whether a commit is signed by somebody who may configure the gateway. Every program is pinned, because a
 * repository's own configuration could name one that always says yes; the exit code counts, never the text.
 */
import type { Git } from './git.ts';
import { GitError } from './git.ts';

export interface VerifyOptions {
  /** An OpenSSH allowed_signers file (ssh-keygen(1)), outside of the watched tree; null: no SSH signatures. */
  readonly allowed_signers_file: string | null;
  /** A GnuPG home with the public keys that are trusted; null: no OpenPGP signatures. */
  readonly gnupg_home: string | null;
}

export interface Signer {
  /** The principal, or the user id of the key. */
  readonly signer: string;
  readonly fingerprint: string;
}

export class CommitRejected extends Error {
  override readonly name = 'CommitRejected';
}

const PROGRAMS = [
  'gpg.program=gpg',
  'gpg.openpgp.program=gpg',
  'gpg.x509.program=false',
  'gpg.ssh.program=ssh-keygen',
  'gpg.minTrustLevel=fully',
];

/** Resolves to who signed. Rejects with {@link CommitRejected}, which says why. */
export async function verifyCommit(
  git: Git,
  gitDir: string,
  commit: string,
  options: VerifyOptions,
): Promise<Signer> {
  const signers = options.allowed_signers_file ?? '/dev/null';
  const settings = [...PROGRAMS, `gpg.ssh.allowedSignersFile=${signers}`, 'gpg.ssh.revocationFile='].flatMap(
    (setting) => ['-c', setting],
  );
  const env = { GNUPGHOME: options.gnupg_home ?? '/nonexistent' };
  try {
    await git.run([...settings, '--git-dir', gitDir, 'verify-commit', '--raw', commit], { env });
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new CommitRejected(`commit ${commit.slice(0, 12)} is not signed by an allowed signer`, {
      cause: error,
    });
  }
  // The exit code has decided; this only names who it was.
  const format = '--format=%GS%x00%GF';
  const text = await git.text([...settings, '--git-dir', gitDir, 'log', '-1', format, commit, '--'], { env });
  const [signer = '', fingerprint = ''] = text.split('\0');
  return { signer, fingerprint };
}
