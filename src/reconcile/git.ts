/** The system's git, as the reconciler needs it: no shell, nothing of a repository's own configuration runs a program. */
import { execFile } from 'node:child_process';

export interface GitOptions {
  /** The environment of the process; git finds its programs and credentials by it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Git {
  /** Standard output. Rejects with {@link GitError}. `input` goes to its standard input. */
  run(args: readonly string[], options?: RunOptions): Promise<Buffer>;
  /** The same as text without white space at its ends. */
  text(args: readonly string[], options?: RunOptions): Promise<string>;
}

export interface RunOptions {
  readonly input?: string;
  /** Use the machine's and the user's configuration: where the credentials of a remote are. */
  readonly with_configuration?: boolean;
  readonly timeout_ms?: number;
  /** Variables beside the process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export class GitError extends Error {
  override readonly name = 'GitError';
  /** Exit code; null: it could not be started, or was killed. */
  readonly exit_code: number | null;
  constructor(message: string, exit_code: number | null) {
    super(message);
    this.exit_code = exit_code;
  }
}

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT = 256 * 1024 * 1024;

/** Settings by which a repository could have a program run, or a remote reach for other protocols. */
const PINNED = [
  '--no-optional-locks',
  ...[
    'core.fsmonitor=false',
    'core.hooksPath=/dev/null',
    'safe.directory=*',
    'protocol.ext.allow=never',
    'gc.auto=0',
    'submodule.recurse=false',
  ].flatMap((setting) => ['-c', setting]),
];

export function createGit({ env }: GitOptions): Git {
  const run: Git['run'] = (args, options = {}) =>
    new Promise((resolve, reject) => {
      const child = execFile(
        'git',
        [...PINNED, ...args],
        {
          encoding: 'buffer',
          maxBuffer: MAX_OUTPUT,
          timeout: options.timeout_ms ?? TIMEOUT_MS,
          killSignal: 'SIGKILL',
          env: { ...environment(env, options.with_configuration ?? false), ...options.env },
        },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(explain(args, error, stderr.toString('utf8')));
        },
      );
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.input ?? '');
    });
  return { run, text: async (args, options) => (await run(args, options)).toString('utf8').trim() };
}

function environment(env: GitOptions['env'], configured: boolean): Record<string, string> {
  const kept = Object.entries(env).filter(([name, value]) => value !== undefined && !name.startsWith('GIT_'));
  const own = Object.entries(env).filter(([name, value]) => value !== undefined && name.startsWith('GIT_'));
  return {
    ...Object.fromEntries(kept as [string, string][]),
    ...(configured
      ? Object.fromEntries(own as [string, string][])
      : { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }),
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: env.GIT_ASKPASS ?? '',
    LC_ALL: 'C',
  };
}

/** The first lines that git said; a URL in it may hold a password, which is left out. */
function explain(
  args: readonly string[],
  error: Error & { code?: unknown; killed?: boolean },
  stderr: string,
): GitError {
  if (error.code === 'ENOENT') return new GitError('git is not installed, or not on the PATH', null);
  const verb = args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? '';
  const said = stderr
    .trim()
    .split('\n')
    .slice(0, 3)
    .join(' ')
    .replace(/\/\/[^@/\s]+@/g, '//***@');
  if (error.killed === true) return new GitError(`git ${verb} did not end in time`, null);
  const code = typeof error.code === 'number' ? error.code : null;
  return new GitError(`git ${verb}: ${said === '' ? `exit code ${String(error.code)}` : said}`, code);
}

/** The contents of many objects, by one process. Rejects with {@link GitError} when one is missing. */
export async function readObjects(git: Git, gitDir: string, ids: readonly string[]): Promise<Buffer[]> {
  if (ids.length === 0) return [];
  const output = await git.run(['--git-dir', gitDir, 'cat-file', '--batch'], {
    input: `${ids.join('\n')}\n`,
  });
  const contents: Buffer[] = [];
  let at = 0;
  for (const id of ids) {
    const end = output.indexOf(0x0a, at);
    const [, type, size] = output.toString('latin1', at, end).split(' ');
    if (type !== 'blob') throw new GitError(`object ${id} is not there`, null);
    const start = end + 1;
    contents.push(output.subarray(start, start + Number(size)));
    at = start + Number(size) + 1;
  }
  return contents;
}
