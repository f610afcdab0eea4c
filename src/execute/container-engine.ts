/**
 * The container engine, Docker or Podman, through the Docker API. It may be absent when the gateway starts, come
 * later, and go away at any time: every use asks for it anew, and a lost one is looked for again.
 */
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import Docker from 'dockerode';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';

export interface Engine {
  readonly name: 'docker' | 'podman';
  readonly version: string;
  readonly address: string;
  readonly api: Docker;
  /**
   * A stream of a container that is not started yet: frames of stdout and stderr to read, or stdin to write. One
   * connection for each, because Podman ends the one whose stdin is read by nobody, and what it carries is lost. By
   * hand, because dockerode sends its options as a body, which Podman delivers to the container's stdin.
   */
  attach(id: string, stream: 'output' | 'input'): Promise<Socket>;
}

/** For the status. */
export interface EngineState {
  readonly name: string | null;
  readonly version: string | null;
  readonly address: string | null;
  /** Why there is none; null: there is one. */
  readonly error: string | null;
}

export interface Engines {
  /** Rejects with TOOL_UNAVAILABLE, which says what was tried. */
  use(): Promise<Engine>;
  /** A use of the engine failed so; if that means that it is gone, the next use looks for one again. */
  failed(engine: Engine, error: unknown): void;
  state(): EngineState;
  /** Called with each engine that is found, before the first use of it is answered. */
  onFound(listener: (engine: Engine) => void): void;
}

export interface EnginesOptions {
  /** `unix://` and a path, or `tcp://` and a loopback address; the first that answers is used. */
  readonly addresses: readonly string[];
  readonly log: Log;
}

/** The newest version of the API that we were written to; engines speak older ones, and Engine 29 none older. */
const API = [1, 44] as const;
const PROBE_MS = 5_000;
/** A connection for each request: one that is kept would outlive an engine that was started anew. */
const agent = new Agent({ keepAlive: false });

export function createEngines({ addresses, log }: EnginesOptions): Engines {
  let current: Engine | null = null;
  let looking: Promise<Engine> | null = null;
  let error = 'it has not been looked for yet';
  const listeners: ((engine: Engine) => void)[] = [];

  async function look(): Promise<Engine> {
    const reasons: string[] = [];
    for (const address of addresses) {
      try {
        const engine = await connect(address);
        log.info({ engine: engine.name, version: engine.version, address }, 'found a container engine');
        current = engine;
        for (const listener of listeners) listener(engine);
        return engine;
      } catch (failure) {
        reasons.push(`${address}: ${reasonOf(failure)}`);
      }
    }
    error = reasons.length === 0 ? 'no address is known' : reasons.join('; ');
    throw new GatewayError('TOOL_UNAVAILABLE', 'there is no container engine to run this tool', {
      layer: 'container',
      details: { reason: 'no_engine' },
      cause: new Error(error),
    });
  }

  return {
    use() {
      if (current !== null) return Promise.resolve(current);
      looking ??= look().finally(() => {
        looking = null;
      });
      return looking;
    },
    failed(engine, thrown) {
      const failure = thrown instanceof GatewayError ? thrown.cause : thrown;
      if (current !== engine || !isUnreachable(failure)) return;
      current = null;
      error = `${engine.address}: ${reasonOf(failure)}`;
      log.warn({ address: engine.address, reason: reasonOf(failure) }, 'the container engine is gone');
    },
    state() {
      if (current === null) return { name: null, version: null, address: null, error };
      const { name, version, address } = current;
      return { name, version, address, error: null };
    },
    onFound: (listener) => void listeners.push(listener),
  };
}

/** What an engine, or the way to it, says of a failure. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { json, code } = error as { readonly json?: { readonly message?: unknown }; readonly code?: unknown };
  if (typeof json?.message === 'string') return json.message;
  return typeof code === 'string' && !error.message.includes(code)
    ? `${error.message} (${code})`
    : error.message;
}

/** The HTTP status of an engine's refusal; null: it did not answer. */
export function statusOf(error: unknown): number | null {
  const { statusCode } = (error ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : null;
}

function isUnreachable(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' && /^(ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|EACCES|ETIMEDOUT)$/.test(code);
}

type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number };

function targetOf(address: string): Target {
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length) };
  const { hostname, port } = new URL(address.replace(/^tcp:/, 'http:'));
  return { host: hostname, port: Number(port || 2375) };
}

async function connect(address: string): Promise<Engine> {
  const target = targetOf(address);
  const probe = client(target, { timeout: PROBE_MS });
  const about = await probe.version();
  const parts = (about.Components ?? []).map(({ Name }: { Name: string }) => Name);
  const version = negotiate(about.ApiVersion, about.MinAPIVersion ?? '1.12');
  return {
    name: parts.some((part: string) => part.startsWith('Podman')) ? 'podman' : 'docker',
    version: about.Version,
    address,
    api: client(target, { version: `v${version}` }),
    attach: (id, stream) => attach(target, version, id, stream),
  };
}

/** Its types do not know the option. */
function client(target: Target, options: { readonly timeout?: number; readonly version?: string }): Docker {
  const all = { ...target, ...options, protocol: 'http', agent } as const;
  return new Docker(all);
}

/** The version of {@link API}, as far as the engine reaches. */
function negotiate(newest: string, oldest: string): string {
  if (compare(partsOf(newest), API) < 0) return newest;
  return compare(partsOf(oldest), API) > 0 ? oldest : API.join('.');
}

function partsOf(version: string): readonly [number, number] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
}

function compare(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0] || a[1] - b[1];
}

const STREAMS = { output: 'stdout=1&stderr=1', input: 'stdin=1' } as const;

function attach(target: Target, version: string, id: string, stream: keyof typeof STREAMS): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = request({
      ...target,
      agent,
      method: 'POST',
      path: `/v${version}/containers/${id}/attach?stream=1&${STREAMS[stream]}`,
      headers: { connection: 'Upgrade', upgrade: 'tcp', 'content-length': '0' },
      timeout: PROBE_MS * 6,
    });
    asked.once('upgrade', (_, socket, head) => {
      socket.setTimeout(0);
      // Broken before anybody reads it: that is seen then, and must not end the process now.
      socket.on('error', () => {});
      if (head.length > 0) socket.unshift(head);
      resolve(socket as Socket);
    });
    asked.once('response', async (response) => {
      const { statusCode = 0 } = response;
      const body = await response.toArray().catch(() => []);
      reject(refusal(statusCode, Buffer.concat(body).toString('utf8')));
    });
    asked.once('timeout', () =>
      asked.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
    );
    asked.once('error', reject);
    asked.end();
  });
}

/** As dockerode has it. */
function refusal(statusCode: number, body: string): Error {
  let json: unknown = {};
  try {
    json = JSON.parse(body);
  } catch {
    // Then the status alone has to do.
  }
  return Object.assign(new Error(`the engine answered ${statusCode}`), { statusCode, json });
}
