/** A real Keycloak on a free port, from the distribution that `make keycloak` fetched; its data lies beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = new URL('../../../', import.meta.url).pathname;

export interface Keycloak {
  /** Of the realm of realm.json. */
  readonly issuer: string;
  /** The access token of the user olga, whose password is `pw`. */
  userToken(): Promise<string>;
  close(): Promise<void>;
}

/** Where the distribution is; null: it was not fetched. */
export function keycloakHome(): string | null {
  const dir = join(ROOT, 'node_modules/.cache/keycloak');
  if (!existsSync(dir)) return null;
  const name = readdirSync(dir).find((one) => /^keycloak-\d/.test(one) && !one.endsWith('.zip'));
  return name === undefined ? null : join(dir, name);
}

export async function startKeycloak(home: string): Promise<Keycloak> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-keycloak-'));
  // What it writes is apart, what it reads is shared.
  for (const name of readdirSync(home)) {
    if (name === 'lib' || name === 'bin' || name === 'conf')
      cpSync(join(home, name), join(dir, name), { recursive: true });
    else if (name !== 'data') symlinkSync(join(home, name), join(dir, name));
  }
  mkdirSync(join(dir, 'data/import'), { recursive: true });
  cpSync(new URL('realm.json', import.meta.url).pathname, join(dir, 'data/import/realm.json'));
  const [port, management] = [await freePort(), await freePort()];
  const child = spawn(
    join(dir, 'bin/kc.sh'),
    [
      ...['start-dev', '--import-realm', '--http-host=127.0.0.1', `--http-port=${port}`],
      `--http-management-port=${management}`,
    ],
    // A group of its own: the shell script starts Java and waits for it.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const issuer = `http://127.0.0.1:${port}/realms/seal`;
  const close = async (): Promise<void> => {
    await end(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await untilReady(issuer, child);
  } catch (error) {
    await close();
    throw new Error(`${(error as Error).message}\n${log.slice(-4_000)}`);
  }
  return {
    issuer,
    async userToken() {
      const form = {
        grant_type: 'password',
        client_id: 'app',
        username: 'olga',
        password: 'pw',
        scope: 'openid',
      };
      const reply = await fetch(`${issuer}/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams(form),
      });
      const { access_token } = (await reply.json()) as { access_token?: string };
      if (access_token === undefined) throw new Error(`Keycloak gave no token (${reply.status})`);
      return access_token;
    },
    close,
  };
}

async function untilReady(issuer: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 420_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`Keycloak ended with ${child.exitCode}`);
    const reply = await fetch(issuer).catch(() => null);
    if (reply?.ok) return;
    await sleep(500);
  }
  throw new Error('Keycloak did not start in time');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
