/** Real container engines for tests, and an image in them that was made here (`with-engines.ts` starts them). */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { describe } from 'vitest';

export interface TestEngine {
  readonly name: 'docker' | 'podman';
  /** As `cli.container_host` has it. */
  readonly address: string;
  readonly api: Docker;
}

/** Busybox, one link for each of its programs, and nothing else. */
export const BUSYBOX = 'localhost/seal-test/busybox:1';

const VARIABLES = [
  ['docker', 'SEAL_TEST_DOCKER', 'unix:///var/run/docker.sock'],
  ['podman', 'SEAL_TEST_PODMAN', 'unix:///run/podman/podman.sock'],
] as const;

/** Those that `make test` has started, or that run on this machine. */
export const ENGINES: readonly TestEngine[] = VARIABLES.flatMap(([name, variable, usual]) => {
  const named = process.env[variable];
  const address = named ?? (existsSync(usual.slice('unix://'.length)) ? usual : null);
  return address === null ? [] : [{ name, address, api: new Docker({ socketPath: socketOf(address) }) }];
});

/** The same tests on each engine. Without one they are skipped aloud; where that is forbidden they fail. */
export function describeOnEngines(title: string, body: (engine: TestEngine) => void): void {
  if (ENGINES.length === 0) {
    if (process.env.SEAL_TEST_ENGINES === 'required')
      throw new Error('there is no container engine to test on');
    console.warn(`*** SKIPPED: ${title}: there is no container engine (make test starts one) ***`);
  }
  for (const engine of ENGINES) describe(`${title}, on ${engine.name}`, () => body(engine));
  if (ENGINES.length === 0) describe.skip(title);
}

export function socketOf(address: string): string {
  return address.slice('unix://'.length);
}

/** Makes {@link BUSYBOX} known to the engine, once. */
export async function haveBusybox(engine: TestEngine): Promise<void> {
  if (
    await engine.api
      .getImage(BUSYBOX)
      .inspect()
      .then(
        () => true,
        () => false,
      )
  )
    return;
  const tar = busyboxTar();
  const [repo, tag] = [BUSYBOX.slice(0, BUSYBOX.lastIndexOf(':')), '1'];
  const body = await post(
    engine,
    `/images/create?fromSrc=-&repo=${encodeURIComponent(repo)}&tag=${tag}`,
    tar,
  );
  // Podman names it `latest`, whatever it is asked.
  const id = /sha256:[0-9a-f]{64}/.exec(body)?.[0];
  if (id === undefined) throw new Error(`the image could not be imported: ${body}`);
  await engine.api.getImage(id).tag({ repo, tag });
}

/** A root file system of Debian's busybox-static, as a tar. */
export function busyboxTar(): Buffer {
  const binary = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (binary === undefined) throw new Error('no busybox (Debian: apt-get install busybox-static)');
  const root = mkdtempSync(join(tmpdir(), 'seal-busybox-'));
  try {
    for (const dir of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(root, dir));
    chmodSync(join(root, 'tmp'), 0o1777);
    copyFileSync(binary, join(root, 'bin/busybox'));
    const list = spawnSync(binary, ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n');
    for (const name of list) if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
    return spawnSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 64 * 1024 * 1024 }).stdout;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Containers of ours that the engine still has. */
export async function containersLeft(
  { api }: TestEngine,
  label = 'seal-gateway.instance',
): Promise<string[]> {
  const found = await api.listContainers({ all: true, filters: { label: [label] } });
  return found.map(({ Names, State }) => `${Names[0]} ${State}`);
}

function post({ address }: TestEngine, path: string, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-tar', 'content-length': body.length };
    request({ socketPath: socketOf(address), path, method: 'POST', headers }, async (response) => {
      resolve(Buffer.concat(await response.toArray()).toString('utf8'));
    })
      .once('error', reject)
      .end(body);
  });
}
