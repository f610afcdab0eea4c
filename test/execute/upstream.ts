/** A real HTTP server on loopback for the tests of this folder, and APIs that point at it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { createEgress, type Egress, type EgressOptions } from '../../src/execute/egress.ts';
import type { Api } from '../../src/snapshot/snapshot.ts';

export interface Upstream {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  /** Requests so far, in order. */
  readonly requests: IncomingMessage[];
  /** Connections so far. */
  readonly sockets: Socket[];
}

/** Serves until the test ends. */
export async function serveUpstream(listener: RequestListener, host = '127.0.0.1'): Promise<Upstream> {
  const requests: IncomingMessage[] = [];
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  server.on('connection', (socket) => sockets.push(socket));
  server.listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    server,
    requests,
    sockets,
  };
}

/** An egress that is closed when the test ends. */
export function testEgress(options: EgressOptions = {}): Egress {
  const egress = createEgress({ version: '9.9.9', ...options });
  onTestFinished(() => egress.close());
  return egress;
}

export function apiOf(url: string, more: Partial<Api> = {}): Api {
  return {
    name: 'crm',
    tenant: null,
    base_url: new URL(url),
    headers: {},
    timeout_ms: 5_000,
    max_response_bytes: 1_048_576,
    egress: { allow_private: true, allow_addresses: [] },
    credential: { kind: 'none' },
    inject: { kind: 'bearer' },
    allow_slash: () => false,
    retry: null,
    ...more,
  };
}

/** The whole body that a request carried. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

/** The GatewayError that a promise rejects with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GatewayError)) throw error;
  return error;
}
