/** A whole gateway in this process: real manifests on disk, a real store, a real listener on a free port. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Gateway } from '../../src/cli/serve.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { type Log, silentLog } from '../../src/log.ts';
import { startGateway } from '../../src/main.ts';
import { openReader } from '../../src/store/open.ts';
import type { EventReader, PositionedEvent } from '../../src/store/store.ts';

export interface WrittenManifest {
  readonly kind: string;
  readonly name: string;
  readonly tenant?: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface GatewayOptions {
  readonly manifests: readonly WrittenManifest[];
  /** Groups of gateway.yaml over those that the test needs. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly log?: Log;
  /** Milliseconds that its clock is ahead of the machine's. */
  readonly clock_ahead_ms?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly status: string;
    readonly result?: unknown;
    readonly meta?: { readonly execution_id: string; readonly event_id: string };
    readonly error?: {
      readonly code: number;
      readonly name: string;
      readonly message: string;
      readonly timestamp: string;
      readonly request_id: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
  };
}

export interface TestGateway {
  url(): string;
  controlUrl(): string;
  metricsUrl(): string;
  /** The directory of its manifests. */
  readonly manifests: string;
  readonly database: string;
  readonly trail: EventReader;
  /** Sends a call; anything but text is sent as JSON. */
  post(body: unknown): Promise<Answer>;
  /** The events of the call that was answered so, in order. */
  eventsOf(answer: Answer): Promise<PositionedEvent[]>;
  /** Ends the gateway and starts it again over the same directory. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** For `expect.poll`: a busy machine takes its time. */
export const PATIENTLY = { timeout: 10_000, interval: 10 };

/** Each on a free port: tests run beside one another. */
const LISTENERS = ['bind_addr', 'control_bind_addr', 'grpc_bind_addr', 'metrics_bind_addr'];

export async function startTestGateway(options: GatewayOptions): Promise<TestGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-e2e-'));
  const database = join(dir, 'data', 'gateway.db');
  const config = join(dir, 'gateway.yaml');
  const log = options.log ?? silentLog;
  mkdirSync(join(dir, 'gateway.d'));
  for (const manifest of options.manifests) writeManifest(join(dir, 'gateway.d'), manifest);
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'seal.gateway/v1',
      kind: 'GatewayConfig',
      spec: {
        manifests: { dir: join(dir, 'gateway.d') },
        network: Object.fromEntries(LISTENERS.map((name) => [name, '127.0.0.1:0'])),
        database: { url: `sqlite://${database}` },
        // An engine that this machine may have is nothing to tests of other things.
        cli: { container_host: `unix://${join(dir, 'no-engine.sock')}` },
        ...options.spec,
      },
    }),
  );
  const { clock_ahead_ms = 0 } = options;
  const clock = { ...systemClock, now: () => systemClock.now() + clock_ahead_ms };
  const start = (): Promise<Gateway> => startGateway(loadConfig(config, {}).config, log, { clock });
  let gateway = await start();
  const trail = await openReader(loadConfig(config, {}).config.database);
  const url = (): string => gateway.addresses.data!;

  return {
    url,
    controlUrl: () => gateway.addresses.control!,
    metricsUrl: () => gateway.addresses.metrics!,
    manifests: join(dir, 'gateway.d'),
    database,
    trail,
    post: (body) => postTo(url(), body),
    async eventsOf({ body }) {
      const execution_id = body.meta?.execution_id ?? body.error?.details.execution_id;
      expect(execution_id, 'a reply names its execution').toBeTypeOf('string');
      return trail.query({ execution_id: execution_id as string, limit: 1_000 });
    },
    async restart() {
      await gateway.close();
      gateway = await start();
    },
    async close() {
      await gateway.close();
      await trail.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** JSON is YAML. */
export function writeManifest(dir: string, { kind, name, tenant, spec }: WrittenManifest): void {
  const metadata = { name, ...(tenant !== undefined && { tenant }) };
  writeFileSync(
    join(dir, `${kind}-${tenant ?? ''}-${name}.yaml`),
    JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata, spec }),
  );
}

/** Posts to the data plane at `url`; anything but text is sent as JSON. */
export async function postTo(
  url: string,
  body: unknown,
  path = '/v1/invoke',
  more_headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...more_headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const { status, headers } = response;
  return { status, headers, body: (await response.json()) as Answer['body'] };
}
