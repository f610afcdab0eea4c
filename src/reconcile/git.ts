/**
 * The system's git, as the reconciler needs it: no shell, and nothing that a repository says of itself runs a program,
 * reaches out to another machine, or puts one object in the place of another.
 */
import { type ChildProcess, spawn } from 'node:child_process';

type Environment = Readonly<Record<string, string | undefined>>;

export interface GitOptions {
  /** The environment of the process; git finds its programs and credentials by it. */
  readonly env: Environment;
  /** Ends what runs and refuses what comes after. */
  readonly signal?: AbortSignal;
}

export interface Git {
  /** Standard output. Rejects with {@link GitError}. `input` goes to its standard input. */
  run(args: readonly string[], options?: RunOptions): Promise<Buffer>;
  /** The same as text without white space at its ends. */
  text(args: readonly string[], options?: RunOptions): Promise<string>;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Use the machine's and the user's configuration, and remotes: where the credentials of a remote are. */
  readonly with_configuration?: boolean;
  readonly timeout_ms?: number;
  /** Variables beside the process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export class GitError extends Error {
  override readonly name = 'GitError';
  /** Exit code; null: it could not be started, or was ended. */
  readonly exit_code: number | null;
  constructor(message: string, exit_code: number | null) {
    super(message);
    this.exit_code = exit_code;
  }
}

const TIMEOUT_MS = 30_000;
/** A git that is asked to end takes its lock files with it; one that does not is killed. */
const GRACE_MS = 2_000;
const MAX_OUTPUT = 256 * 1024 * 1024;
const MAX_MESSAGE = 500;

/** Settings by which a repository could have a program run. The commands in use know no others: see git.test.ts. */
const PINNED = [
  '--no-optional-locks',
  ...[
    'core.fsmonitor=false',
    'core.hooksPath=/dev/null',
    'safe.directory=*',
    'gc.auto=0',
    'maintenance.auto=false',
    'submodule.recurse=false',
  ].flatMap((setting) => ['-c', setting]),
];

/** The same for every command. Content is what was committed, and not what `refs/replace/` puts in its place. */
const FIXED = { GIT_TERMINAL_PROMPT: '0', GIT_NO_REPLACE_OBJECTS: '1', LC_ALL: 'C' };
/** A partial clone fetches what it lacks by a command that its own configuration names; this one may not. */
const LOCAL = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: '',
  GIT_ASKPASS: '',
};
/** `ext::` runs a command. */
const PROTOCOLS = 'file:git:http:https:ssh';
/** Variables of git that say how a remote is reached; others name the repository of whoever started the process. */
const OF_REMOTES = /^GIT_(CONFIG|SSH|SSL|HTTP|PROXY|ASKPASS|ALLOW_PROTOCOL)/;

export function createGit({ env, signal }: GitOptions): Git {
  const run: Git['run'] = async (args, options = {}) => {
    const configured = options.with_configuration ?? false;
    const whole = { ...environment(env, configured), ...options.env };
    const ended = await runProgram([...PINNED, ...args], whole, options, signal);
    if (ended.code === 0 && ended.why === null) return ended.stdout;
    throw explain(args, ended);
  };
  return { run, text: async (args, options) => (await run(args, options)).toString('utf8').trim() };
}

function environment(env: Environment, configured: boolean): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      (!entry[0].startsWith('GIT_') ||
        entry[0] === 'GIT_EXEC_PATH' ||
        (configured && OF_REMOTES.test(entry[0]))),
  );
  const own = configured ? { GIT_ALLOW_PROTOCOL: env.GIT_ALLOW_PROTOCOL ?? PROTOCOLS } : LOCAL;
  return { ...Object.fromEntries(kept), ...FIXED, ...own };
}

interface Ended {
  /** null: it was not started, or a signal ended it. */
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Why it was ended or not started; null: it ended by itself. */
  readonly why: string | null;
}

function runProgram(
  args: readonly string[],
  env: Record<string, string>,
  { input = '', timeout_ms = TIMEOUT_MS }: RunOptions,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  return new Promise((resolve) => {
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    let why: string | null = signal?.aborted === true ? 'was not started: the gateway stops' : null;
    let code: number | null = null;
    let open = 2;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8'), why });
    };
    const ended = (): void => {
      open -= 1;
      if (open === 0) end();
    };
    const giveUp = (reason: string): void => {
      why ??= reason;
      terminate(child);
    };
    const stop = (): void => giveUp('was ended: the gateway stops');
    const timer = setTimeout(() => giveUp('did not end in time'), timeout_ms);
    if (why !== null) return end();
    // A session of its own: no program that git starts finds a terminal to ask on, and all of them end with it.
    const child = spawn('git', args, { env, detached: true });
    signal?.addEventListener('abort', stop);
    child.on('error', (error: NodeJS.ErrnoException) => {
      why ??=
        error.code === 'ENOENT' ? 'is not installed, or not on the PATH' : `did not start (${error.code})`;
      end();
    });
    child.on('exit', (status) => {
      code = status;
      ended();
    });
    // Not the end of standard error: an ssh that stays for the next connection keeps it open.
    child.stdout.on('close', ended);
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_OUTPUT) giveUp(`gave more than ${MAX_OUTPUT / 1024 / 1024} MiB`);
      else stdout.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < 100) stderr.push(chunk);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Git and whatever it started. */
function terminate({ pid }: ChildProcess): void {
  const signalGroup = (name: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(-pid, name);
    } catch {
      // It has ended already.
    }
  };
  signalGroup('SIGTERM');
  setTimeout(() => signalGroup('SIGKILL'), GRACE_MS).unref();
}

/** What git said, on one line. A URL in it may hold a password, which is left out. */
function explain(args: readonly string[], { code, stderr, why }: Ended): GitError {
  const verb = args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? '';
  if (why !== null) return new GitError(`git ${verb} ${why}`, null);
  const said = stderr
    .split('\n')
    .filter((line) => !/^(warning|hint):/i.test(line))
    .join(' ')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(/\/\/[^\s'"]*@/g, '//***@')
    .trim()
    .slice(0, MAX_MESSAGE);
  return new GitError(`git ${verb}: ${said === '' ? `exit code ${code}` : said}`, code);
}
