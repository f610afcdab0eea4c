/**
 * `node test/support/with-engines.ts COMMAND...`: runs the command with a Docker Engine, a Podman and a registry of its
 * own, each below one temporary directory, and ends them after it. What the machine does not have is told, loudly;
 * with SEAL_TEST_ENGINES=required it is a failure. As root, for an engine of one's own needs that; others may
 * name engines that run (SEAL_TEST_DOCKER, SEAL_TEST_PODMAN).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** User and password of the registry. */
export const PULLER = { username: 'puller', password: 'correct-horse' } as const;
const HTPASSWD = 'puller:$2y$04$.e7TirnQ2TxeQixZnpV3jufL07TDQlYdEcJU4r3ow2qqamFrb7Y/i';

const READY_MS = 30_000;
const STOP_MS = 5_000;

interface Part {
  readonly variable: string;
  readonly what: string;
  /** Debian's packages. */
  readonly packages: string;
  readonly programs: readonly string[];
  start(
    dir: string,
  ): Promise<{ readonly child: ChildProcess; readonly value: string; readonly probe: Probe }>;
}

type Probe = { readonly socketPath: string } | { readonly host: string; readonly port: number };

const PARTS: readonly Part[] = [
  {
    variable: 'SEAL_TEST_DOCKER',
    what: 'a Docker Engine',
    packages: 'docker.io busybox-static',
    programs: ['dockerd', 'busybox'],
    async start(dir) {
      const socketPath = join(dir, 'docker.sock');
      const child = run(dir, 'dockerd', [
        ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--host', `unix://${socketPath}`],
        ...['--data-root', join(dir, 'docker'), '--exec-root', join(dir, 'docker-run')],
        ...['--pidfile', join(dir, 'docker.pid')],
      ]);
      return { child, value: `unix://${socketPath}`, probe: { socketPath } };
    },
  },
  {
    variable: 'SEAL_TEST_PODMAN',
    what: 'a Podman',
    packages: 'podman runc busybox-static',
    programs: ['podman', 'runc', 'busybox'],
    async start(dir) {
      const socketPath = join(dir, 'podman.sock');
      writeFileSync(
        join(dir, 'containers.conf'),
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n',
      );
      writeFileSync(join(dir, 'registries.conf'), '[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n');
      const child = run(
        dir,
        'podman',
        [
          ...['--root', join(dir, 'podman'), '--runroot', join(dir, 'podman-run')],
          ...['system', 'service', '--time=0', `unix://${socketPath}`],
        ],
        {
          CONTAINERS_CONF: join(dir, 'containers.conf'),
          CONTAINERS_REGISTRIES_CONF: join(dir, 'registries.conf'),
        },
      );
      return { child, value: `unix://${socketPath}`, probe: { socketPath } };
    },
  },
  {
    variable: 'SEAL_TEST_REGISTRY',
    what: 'a registry',
    packages: 'docker-registry',
    programs: ['docker-registry'],
    async start(dir) {
      const port = await freePort();
      writeFileSync(join(dir, 'htpasswd'), `${HTPASSWD}\n`);
      const config = {
        version: '0.1',
        log: { level: 'error' },
        storage: { filesystem: { rootdirectory: join(dir, 'registry') } },
        http: { addr: `127.0.0.1:${port}` },
        auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } },
      };
      writeFileSync(join(dir, 'registry.yml'), JSON.stringify(config));
      const child = run(dir, 'docker-registry', ['serve', join(dir, 'registry.yml')]);
      return { child, value: `127.0.0.1:${port}`, probe: { host: '127.0.0.1', port } };
    },
  },
];

async function main(command: readonly string[]): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-engines-'));
  const required = process.env.SEAL_TEST_ENGINES === 'required';
  const children: ChildProcess[] = [];
  const env: NodeJS.ProcessEnv = { ...process.env };
  const missing: string[] = [];
  try {
    for (const part of PARTS) {
      if (env[part.variable] !== undefined) continue;
      const why = reasonWithout(part);
      if (why !== null) {
        missing.push(`${part.what}: ${why}`);
        continue;
      }
      const { child, value, probe } = await part.start(dir);
      children.push(child);
      if (await answers(probe, child)) env[part.variable] = value;
      else missing.push(`${part.what}: it did not start (${join(dir, `${part.programs[0]}.log`)})`);
    }
    if (missing.length > 0) {
      const verb = required ? 'FAILED' : 'SKIPPED';
      console.error(`\n*** CONTAINER TESTS ${verb}: this machine has not ***`);
      for (const one of missing) console.error(`***   ${one}`);
      console.error('');
      if (required) return 1;
    }
    const child = spawn(command[0]!, command.slice(1), { stdio: 'inherit', env });
    // Whoever ends this process ends the command, and the engines after it.
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    return await finished(child);
  } finally {
    await Promise.all(children.map(stopped));
    // The logs of what did not start are to be read.
    if (!(required && missing.length > 0)) removed(dir);
  }
}

/** Podman leaves its storage mounted on itself. */
function removed(dir: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const below = mounts.map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${dir}/`));
  for (const path of below.reverse()) spawnSync('umount', ['-l', path]);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** null: it can be started. */
function reasonWithout({ programs, packages }: Part): string | null {
  if (process.getuid?.() !== 0) return 'starting one of its own needs root; name a running one instead';
  const absent = programs.filter((program) => !isInstalled(program));
  return absent.length === 0 ? null : `no ${absent.join(', ')} (Debian: apt-get install ${packages})`;
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((dir) => {
    try {
      accessSync(join(dir, program));
      return true;
    } catch {
      return false;
    }
  });
}

function run(
  dir: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  mkdirSync(dir, { recursive: true });
  const script = `exec "$0" "$@" >"${join(dir, `${program}.log`)}" 2>&1`;
  // There, because Podman's monitor leaves a file where it was started when memory runs out.
  const options = { stdio: 'ignore', cwd: dir, env: { ...process.env, ...env } } as const;
  return spawn('sh', ['-c', script, program, ...args], options);
}

async function answers(probe: Probe, child: ChildProcess): Promise<boolean> {
  const end = performance.now() + READY_MS;
  while (performance.now() < end && child.exitCode === null) {
    const ok = await new Promise<boolean>((resolve) => {
      get({ ...probe, path: '/', timeout: 1_000 }, (response) => {
        response.resume();
        resolve(true);
      }).once('error', () => resolve(false));
    });
    if (ok) return true;
    await sleep(50);
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function finished(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      console.error(error.message);
      resolve(127);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = finished(child);
  child.kill('SIGTERM');
  await Promise.race([gone, sleep(STOP_MS).then(() => child.kill('SIGKILL'))]);
}

if (import.meta.main) {
  // Ctrl-C reaches the command as well; this process stays to end the engines.
  process.on('SIGINT', () => {});
  process.exitCode = await main(process.argv.slice(2));
}
