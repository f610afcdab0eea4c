/** A whole gateway over the tool `plain.echo`, with operators and sessions: its listeners, its trail, its files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Gateway } from '../../src/cli/serve.ts';
import { loadConfig } from '../../src/config.ts';
import { silentLog } from '../../src/log.ts';
import { startGateway } from '../../src/main.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { PositionedEvent } from '../../src/store/store.ts';
import { scratchDir } from '../reconcile/repository.ts';
import { type WrittenManifest, writeManifest } from '../support/gateway.ts';
import { newOperatorKey, OPERATOR_ISSUER, operatorClaims, operatorToken } from '../support/operator.ts';
import { startUpstream } from '../support/upstream.ts';

export interface Served {
  readonly dir: string;
  readonly data: string;
  /** Asks the control listener, as an operator. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }>;
  /** Posts JSON to the data plane. */
  post(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; headers: Headers; body: Body }>;
  events(type?: string): Promise<PositionedEvent[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: what a reply holds is what the tests are about
export type Body = any;

const API = 'https://api.example';

export async function serve(
  options: {
    readonly spec?: (dir: string) => Record<string, unknown>;
    readonly manifests?: readonly WrittenManifest[];
    readonly files?: Record<string, string>;
  } = {},
): Promise<Served> {
  const dir = scratchDir();
  const upstream = await startUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url }));
  });
  onTestFinished(() => upstream.close());
  const key = newOperatorKey();
  writeFileSync(join(dir, 'operators.json'), JSON.stringify(key.jwks));
  for (const [name, text] of Object.entries(options.files ?? {}))
    writeFileSync(join(dir, name), text, { mode: 0o600 });
  mkdirSync(join(dir, 'gateway.d'));
  for (const manifest of [...manifestsOf(upstream.url), ...(options.manifests ?? [])])
    writeManifest(join(dir, 'gateway.d'), manifest);
  const database = join(dir, 'gateway.db');
  const names = ['bind_addr', 'control_bind_addr', 'metrics_bind_addr'];
  const spec = {
    manifests: { dir: join(dir, 'gateway.d') },
    network: Object.fromEntries(names.map((name) => [name, '127.0.0.1:0'])),
    database: { url: `sqlite://${database}` },
    auth: {
      operator_jwks_uri: pathToFileURL(join(dir, 'operators.json')).href,
      operator_jwt_issuer: OPERATOR_ISSUER,
    },
    ...options.spec?.(dir),
  };
  const config = join(dir, 'gateway.yaml');
  writeFileSync(config, JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig', spec }));
  const gateway: Gateway = await startGateway(loadConfig(config, {}).config, silentLog);
  onTestFinished(() => gateway.close());
  const { data, control } = gateway.addresses as { data: string; control: string };
  const token = operatorToken(key, operatorClaims());
  const send = async (url: string, init: RequestInit) => {
    const response = await fetch(url, init);
    return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
  };
  return {
    dir,
    data,
    ask: (method, path, body) =>
      send(control + path, {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    post: (path, body, headers = {}) =>
      send(data + path, { method: 'POST', headers, body: JSON.stringify(body) }),
    async events(type) {
      const trail = await openSqliteReader({ path: database });
      try {
        return await trail.query({ event_type: type as 'SessionCreated', limit: 1_000 });
      } finally {
        await trail.close();
      }
    },
  };
}

function manifestsOf(url: string): WrittenManifest[] {
  const document = { openapi: '3.0.3', info: { title: 'x', version: '1' }, paths: {} };
  return [
    {
      kind: 'ApiSpec',
      name: 'plain',
      spec: { source: { inline: document }, base_url: url, egress: { allow_private: true } },
    },
    ...['plain.echo', 'plain.other'].map((name) => ({
      kind: 'ToolWorkflow',
      name,
      spec: {
        description: API,
        api_spec: 'plain',
        input_schema: { type: 'object' },
        steps: [{ name: 'one', method: 'GET', path: '/echo' }],
      },
    })),
    { kind: 'SecurityContext', name: 'plain', spec: { capabilities: [{ tool_pattern: 'plain.*' }] } },
    { kind: 'SecurityContext', name: 'none', spec: { capabilities: [{ tool_pattern: 'nothing.*' }] } },
    {
      kind: 'Tenant',
      name: 'acme',
      spec: { display_name: 'Acme', allowed_security_contexts: ['plain'] },
    },
  ];
}
