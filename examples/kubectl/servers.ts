/** Stand-ins on loopback: as much of the Kubernetes API as `kubectl get pods` asks for, and a judge with one rule. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandIn {
  readonly url: string;
  /** `METHOD /path` of each request, in order. */
  readonly requests: readonly string[];
  close(): void;
}

const PODS = ['web-5d9c', 'web-7f21'].map((name) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'staging', uid: name, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [{ name: 'web', image: 'web:1' }] },
  status: { phase: 'Running' },
}));

const API: Readonly<Record<string, unknown>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      {
        name: 'pods',
        singularName: 'pod',
        namespaced: true,
        kind: 'Pod',
        verbs: ['get', 'list', 'delete'],
        shortNames: ['po'],
      },
    ],
  },
  '/api/v1/namespaces/staging/pods': { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: PODS },
};

export function startApiServer(): Promise<StandIn> {
  return serve((_, path) => {
    const found = API[path];
    return found === undefined
      ? [404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }]
      : [200, found];
  });
}

/** Allows what names the namespace `staging`. */
export function startJudge(): Promise<StandIn> {
  return serve((_, __, body) => {
    const { args } = JSON.parse(body) as { args: string[] };
    const allowed = args.includes('--namespace=staging');
    return [200, { allowed, reason: allowed ? 'it is staging' : 'only pods in staging may be deleted' }];
  });
}

type Answer = (method: string, path: string, body: string) => readonly [status: number, body: unknown];

async function serve(answer: Answer): Promise<StandIn> {
  const requests: string[] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '' } = request;
    const path = url.replace(/\?.*/, '');
    requests.push(`${method} ${path}`);
    const body = Buffer.concat(await request.toArray()).toString('utf8');
    const [status, value] = answer(method, path, body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
