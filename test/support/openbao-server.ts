/** A real OpenBao on a free port, from the program that `make openbao` fetched: all in memory, unsealed, for one test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAM = new URL('../../node_modules/.cache/openbao/bao', import.meta.url).pathname;

export interface OpenBaoServer {
  readonly url: string;
  readonly root_token: string;
  /** Asks as root; resolves to the answer, null for one without a body. Rejects for a failure. */
  admin(method: string, path: string, body?: object, namespace?: string): Promise<AdminReply | null>;
  close(): Promise<void>;
}

export interface AdminReply {
  readonly data: Record<string, unknown>;
  readonly auth: { readonly client_token: string };
}

/** Where the program is; null: it was not fetched. */
export function openBaoProgram(): string | null {
  return existsSync(PROGRAM) ? PROGRAM : null;
}

export async function startOpenBaoServer(program: string): Promise<OpenBaoServer> {
  const home = mkdtempSync(join(tmpdir(), 'seal-openbao-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const root_token = `root-${crypto.randomUUID()}`;
  const child = spawn(
    program,
    [
      ...['server', '-dev', '-dev-no-store-token', `-dev-root-token-id=${root_token}`],
      `-dev-listen-address=${url.slice('http://'.length)}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { HOME: home, PATH: '/usr/bin:/bin' } },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    rmSync(home, { recursive: true, force: true });
  };
  const admin: OpenBaoServer['admin'] = async (method, path, body, namespace) => {
    const reply = await fetch(`${url}/v1/${path}`, {
      method,
      headers: {
        'x-vault-token': root_token,
        ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    return text === '' ? null : (JSON.parse(text) as AdminReply);
  };
  try {
    await untilReady(url, child);
    // The engine that a development server begins with takes its time to become one of versions.
    await until(() => admin('GET', 'secret/config'));
  } catch (error) {
    await close();
    throw new Error(`${(error as Error).message}\n${log.slice(-4_000)}`);
  }
  return { url, root_token, admin, close };
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`OpenBao ended with ${child.exitCode}`);
    const reply = await fetch(`${url}/v1/sys/health`);
    if (reply.status !== 200) throw new Error(`OpenBao is not well (${reply.status})`);
  });
}

async function until(work: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (true) {
    try {
      await work();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
