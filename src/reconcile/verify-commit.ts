/**
 * Whether a commit is signed by somebody who may configure the gateway. It is verified in a repository of our own that
 * holds nothing but this commit: neither the configuration of the one that it came from, which could name a program
 * that always says yes, nor whoever writes into that one meanwhile has a say. The exit code counts, never the text.
 */
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Git } from './git.ts';
import { GitError } from './git.ts';
import type { Commit } from './git-objects.ts';

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

/**
 * Resolves to who signed. Rejects with {@link CommitRejected}, which says why, and with GitError when it cannot be
 * found out.
 */
export async function verifyCommit(git: Git, commit: Commit, options: VerifyOptions): Promise<Signer> {
  const short = commit.id.slice(0, 12);
  if (!commit.signed) throw new CommitRejected(`commit ${short} is not signed`);
  const { allowed_signers_file, gnupg_home } = options;
  for (const path of [allowed_signers_file, gnupg_home]) if (path !== null) checkReadable(path);
  const scratch = mkdtempSync(join(tmpdir(), 'seal-verify-'));
  try {
    const gitDir = await isolate(git, commit, scratch);
    const call = (...args: string[]): string[] => [...settingsOf(options), '--git-dir', gitDir, ...args];
    const env = { GNUPGHOME: gnupg_home === null ? scratch : copyHome(gnupg_home, scratch) };
    try {
      await git.run(call('verify-commit', '--raw', commit.id), { env });
    } catch (error) {
      if (!(error instanceof GitError) || error.exit_code === null) throw error;
      const missing = /cannot run [\w-]+/.exec(error.message)?.[0];
      const why = missing === undefined ? '' : `: ${missing}`;
      throw new CommitRejected(`commit ${short} is not signed by an allowed signer${why}`, { cause: error });
    }
    // The exit code has decided; this only names who it was.
    const text = await git.text(call('log', '-1', '--format=%GS%x00%GF', commit.id), { env });
    const [signer = '', fingerprint = ''] = text.split('\0');
    return { signer, fingerprint };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** `false` is a program that says no. */
function settingsOf({ allowed_signers_file, gnupg_home }: VerifyOptions): string[] {
  const openpgp = gnupg_home === null ? 'false' : 'gpg';
  const ssh = allowed_signers_file === null ? 'false' : 'ssh-keygen';
  return [
    `gpg.program=${openpgp}`,
    `gpg.openpgp.program=${openpgp}`,
    'gpg.x509.program=false',
    `gpg.ssh.program=${ssh}`,
    `gpg.ssh.allowedSignersFile=${allowed_signers_file ?? '/dev/null'}`,
    // A key that gpg fetched by itself is in the home too, but nobody trusts it.
    'gpg.minTrustLevel=fully',
  ].flatMap((setting) => ['-c', setting]);
}

/** A bare repository with this one object; git holds it against the commit's id as it writes it. */
async function isolate(git: Git, { id, bytes }: Commit, scratch: string): Promise<string> {
  const gitDir = join(scratch, 'commit.git');
  const format = id.length === 64 ? 'sha256' : 'sha1';
  await git.run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, gitDir]);
  const write = ['--git-dir', gitDir, 'hash-object', '-t', 'commit', '-w', '--stdin'];
  const written = await git.text(write, { input: bytes });
  if (written !== id) throw new GitError(`commit ${id} does not hold what its id says`, null);
  // Its parents are not here, and are not to be looked for.
  writeFileSync(join(gitDir, 'shallow'), `${id}\n`);
  return gitDir;
}

/** gpg writes into its home also when it only verifies, and a mounted one may be read-only. No private key is copied. */
function copyHome(home: string, scratch: string): string {
  const copy = join(scratch, 'gnupg');
  mkdirSync(copy, { mode: 0o700 });
  const filter = (path: string): boolean => {
    const status = statSync(path, { throwIfNoEntry: false });
    const skipped = /^(private-keys-v1\.d|openpgp-revocs\.d|.*\.lock|.*~)$/.test(basename(path));
    return path === home || (!skipped && (status?.isFile() === true || status?.isDirectory() === true));
  };
  cpSync(home, copy, { recursive: true, dereference: true, filter });
  return copy;
}

function checkReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new GitError(`${path}, which says who may sign, cannot be read (${code})`, null);
  }
}
