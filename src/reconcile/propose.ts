/**
 * The write API's way back to git (`control.git`): a change becomes a commit on a branch of its own, for somebody to
 * review and merge. The runtime is not touched; what is merged comes back like any other change.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '../errors.ts';
import { type Git, GitError } from './git.ts';
import { ProposalConflict, type Proposed } from './status.ts';

export interface ProposalTarget {
  /** What git fetches from and pushes to: a path or a URL. Credentials come from the environment's git configuration. */
  readonly repo: string;
  /** Begins the name of every proposal's branch, such as `seal/`. */
  readonly branch_prefix: string;
  /** Branch that proposals start from. */
  readonly base: string;
  /** Directory of the manifests below the top of the repository; empty: the top. */
  readonly path: string;
  /** Where the gateway keeps its copy of the repository. */
  readonly cache_dir: string;
}

export interface Proposal {
  /** Below the directory of manifests. */
  readonly file: string;
  /** The file's text from what it is on the base branch, null where it is not there; giving null deletes it. */
  readonly edit: (current: string | null) => string | null;
  /** The operator, as the author of the commit. */
  readonly author: { readonly name: string; readonly email: string };
  /** The commit's message: its first line is the subject. */
  readonly message: string;
  /** Ends the name of the branch; unique. */
  readonly id: string;
  /** Hears of the commit before it leaves this machine. What it throws ends the proposal. */
  readonly announce: (proposed: Proposed) => Promise<void>;
}

const PUSH_MS = 120_000;
/** Proposals that wait for the one that is being made. */
const MAX_WAITING = 8;
/** Bytes of a file that a proposal edits: what the gateway would read. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const COMMITTER = { GIT_COMMITTER_NAME: 'seal-gateway', GIT_COMMITTER_EMAIL: 'seal-gateway@localhost' };

/**
 * Makes proposals, one after the other. Rejects with GitError, {@link ProposalConflict} or OVERLOADED; nothing is pushed
 * then. Each has a branch of its own, so that proposals made at the same time never lose each other's.
 */
export function createProposals(target: ProposalTarget, git: Git): (proposal: Proposal) => Promise<Proposed> {
  const gitDir = join(target.cache_dir, 'proposals.git');
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return async (proposal) => {
    if (waiting > MAX_WAITING) {
      const message = `${MAX_WAITING} proposals wait for git already; try again`;
      throw new GatewayError('OVERLOADED', message, { retry_after_seconds: 5 });
    }
    waiting += 1;
    const next = last
      .then(() => propose(target, gitDir, proposal, git))
      .finally(() => {
        waiting -= 1;
      });
    last = next.catch(() => {});
    return next;
  };
}

async function propose(
  target: ProposalTarget,
  gitDir: string,
  proposal: Proposal,
  git: Git,
): Promise<Proposed> {
  const { file, edit, author, message, id, announce } = proposal;
  const path = pathOf(target.path, file);
  const base = await fetchBase(target, gitDir, git);
  // Where a crash leaves it to whoever empties that directory: the cache is kept for years.
  const scratch = mkdtempSync(join(tmpdir(), 'seal-proposal-'));
  const env = { GIT_INDEX_FILE: join(scratch, 'index') };
  const run = (args: string[], input?: string): Promise<string> =>
    git.text(['--git-dir', gitDir, ...args], {
      env: { ...env, ...COMMITTER, ...authorOf(author) },
      ...(input !== undefined && { input }),
    });
  try {
    const current = await readText(git, gitDir, base, path);
    const content = edit(current);
    if (content === current) throw new ProposalConflict('the base branch says this already');
    await run(['read-tree', base]);
    // An entry of mode 0 removes the file.
    const blob =
      content === null ? '0'.repeat(base.length) : await run(['hash-object', '-w', '--stdin'], content);
    await run(['update-index', '--index-info'], `${content === null ? 0 : 100644} ${blob}\t${path}\n`);
    const tree = await run(['write-tree']);
    const commit = await run(['commit-tree', tree, '-p', base], `${message}\n`);
    const branch = `${target.branch_prefix}${id}`;
    await announce({ branch, commit });
    // An empty expected value: the branch must not be there yet.
    await git.run(
      [
        '--git-dir',
        gitDir,
        'push',
        '--quiet',
        `--force-with-lease=refs/heads/${branch}:`,
        '--end-of-options',
        target.repo,
        `${commit}:refs/heads/${branch}`,
      ],
      {
        with_configuration: true,
        timeout_ms: PUSH_MS,
      },
    );
    return { branch, commit };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The text of a file in a commit; null: it is not there. */
async function readText(git: Git, gitDir: string, commit: string, path: string): Promise<string | null> {
  const entry = await git.text(['--git-dir', gitDir, 'ls-tree', '-z', '-l', commit, '--', path]);
  if (entry === '') return null;
  const [mode = '', type = '', id = '', size = ''] = entry.split(/\s+/, 4);
  if (type !== 'blob' || mode === '120000')
    throw new GitError(`${path} is no plain file in the repository`, null);
  if (Number(size) > MAX_FILE_BYTES) throw new GitError(`${path} is too large to be edited`, null);
  return (await git.run(['--git-dir', gitDir, 'cat-file', 'blob', id])).toString('utf8');
}

async function fetchBase(
  { repo, base, cache_dir }: ProposalTarget,
  gitDir: string,
  git: Git,
): Promise<string> {
  mkdirSync(cache_dir, { recursive: true, mode: 0o700 });
  await git.run(['init', '--quiet', '--bare', gitDir]);
  const refspec = `+refs/heads/${base}:refs/seal/base`;
  await git.run(['--git-dir', gitDir, 'fetch', '--quiet', '--no-tags', '--end-of-options', repo, refspec], {
    with_configuration: true,
    timeout_ms: PUSH_MS,
  });
  return git.text(['--git-dir', gitDir, 'rev-parse', '--verify', 'refs/seal/base^{commit}']);
}

/** A name of a manifest's file; what would leave the directory, or be git's own, is refused. */
function pathOf(directory: string, file: string): string {
  const parts = [...directory.split('/'), ...file.split('/')].filter((part) => part !== '' && part !== '.');
  if (parts.some((part) => part === '..' || part.toLowerCase() === '.git' || /[\0\n]/.test(part))) {
    throw new GitError('the file leaves the directory of the manifests', null);
  }
  return parts.join('/');
}

/** Names are an operator's, from a token: no line ends and no angle brackets get into a commit. */
function authorOf({ name, email }: Proposal['author']): Record<string, string> {
  const plain = (text: string): string =>
    text
      .replace(/[\p{Cc}<>]/gu, ' ')
      .trim()
      .slice(0, 200);
  return {
    GIT_AUTHOR_NAME: plain(name) || 'operator',
    GIT_AUTHOR_EMAIL: plain(email) || 'operator@localhost',
  };
}
