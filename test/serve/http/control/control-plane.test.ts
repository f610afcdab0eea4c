import { describe, expect, test } from 'vitest';
import { NOTHING_YET, type ReconcileStatus } from '../../../../src/reconcile/status.ts';
import { aState, CREDENTIALS, getJson, NO_ENGINE, REPLICAS, serveControl } from './served.ts';

const COLLECTIONS = [
  ['specs', 'ApiSpec'],
  ['workflows', 'ToolWorkflow'],
  ['cli-tools', 'CliTool'],
  ['security-contexts', 'SecurityContext'],
] as const;

/** What `serveControl` says beside the reconciler. */
const ASIDES = { credentials: CREDENTIALS, replicas: REPLICAS, container_engine: NO_ENGINE };

test('the status is what the reconciler says, and the container engine', async () => {
  const status: ReconcileStatus = { ...NOTHING_YET, revision: 'rev-1', manifests: [aState()] };
  const response = await fetch(`${await serveControl({ status: () => status })}/v1/status`);
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  expect(await response.json()).toEqual({ ...status, ...ASIDES });
});

test('the status is always the newest', async () => {
  const manifests = [aState()];
  let status: ReconcileStatus = { ...NOTHING_YET, manifests };
  const url = `${await serveControl({ status: () => status })}/v1/status`;
  const get = async () => (await fetch(url)).json();
  expect(await get()).toEqual({ ...status, ...ASIDES });
  status = { ...status, error: 'held', watch: 'scanning' };
  expect(await get()).toEqual({ ...status, ...ASIDES });
  status = { ...status, manifests: [aState({ status: 'Stale' })] };
  expect(await get()).toEqual({ ...status, ...ASIDES });
  status = { ...status, manifests: [] };
  expect(await get()).toEqual({ ...status, ...ASIDES });
});

describe.each(COLLECTIONS)('/v1/%s', (collection, kind) => {
  const spec = { description: 'Reads.', source: { inline: { openapi: '3.0.3' } } };
  const resources = [
    { state: aState({ kind, name: 'a.b' }), spec },
    { state: aState({ kind, name: 'a.b', tenant: 'acme', status: 'Stale', reason: 'why' }), spec: { x: 1 } },
    {
      state: aState({ kind, name: 'own', tenant: 'bolt', status: 'Invalid', applied_digest: null }),
      spec: null,
    },
    // Of other kinds, under the same name.
    ...['ApiSpec', 'ToolWorkflow', 'CliTool', 'SecurityContext', 'Tenant', 'TokenIssuer']
      .filter((other) => other !== kind)
      .map((other) => ({
        state: aState({ kind: other as typeof kind, name: 'a.b' }),
        spec: { other: true },
      })),
  ];
  const get = async (path: string) => {
    const status = () => ({ ...NOTHING_YET, revision: 'rev-1' });
    return getJson((await serveControl({ resources: () => resources, status })) + path);
  };

  test('lists what there is, without the specs', async () => {
    expect(await get(`/v1/${collection}`)).toEqual({
      status: 200,
      body: {
        revision: 'rev-1',
        items: [
          { ...resources[0]?.state, description: 'Reads.' },
          { ...resources[1]?.state, description: null },
          { ...resources[2]?.state, description: null },
        ],
      },
    });
  });

  test('lists those of a tenant', async () => {
    const { body } = await get(`/v1/${collection}?tenant=acme`);
    expect(body.items).toEqual([{ ...resources[1]?.state, description: null }]);
    expect((await get(`/v1/${collection}?tenant=nobody`)).body.items).toEqual([]);
  });

  test('shows one with its spec as applied', async () => {
    expect(await get(`/v1/${collection}/a.b`)).toEqual({
      status: 200,
      body: { ...resources[0]?.state, spec },
    });
    expect(await get(`/v1/${collection}/a%2Eb?tenant=acme`)).toEqual({
      status: 200,
      body: { ...resources[1]?.state, spec: { x: 1 } },
    });
    expect((await get(`/v1/${collection}/own?tenant=bolt`)).body).toMatchObject({
      status: 'Invalid',
      spec: null,
    });
  });

  test.each([
    ['/own', `there is no global ${kind} own; there is one of: bolt (?tenant=)`],
    ['/own?tenant=acme', `tenant acme has no ${kind} own; there is one of: bolt (?tenant=)`],
    ['/no', `there is no global ${kind} no`],
    ['/%E0%A4%A', `there is no global ${kind} %E0%A4%A`],
  ])('says what is not there: %s', async (path, message) => {
    expect(await get(`/v1/${collection}${path}`)).toMatchObject({
      status: 404,
      body: { protocol: 'seal/v1', status: 'error', error: { code: 404, name: 'NOT_FOUND', message } },
    });
  });

  test.each([
    ['?tenent=acme', 'there is no parameter tenent; these are: tenant'],
    ['?tenant=a&tenant=b', 'tenant is given twice'],
    ['?tenant=', 'tenant is empty; leave it out'],
    ['/a.b?kind=x', 'there is no parameter kind; these are: tenant'],
  ])('ignores no parameter: %s', async (query, message) => {
    expect(await get(`/v1/${collection}${query}`)).toMatchObject({
      status: 400,
      body: { error: { code: 4000, name: 'INVALID_ARGUMENTS', message } },
    });
  });
});

describe('what is no route', () => {
  test.each([
    ['GET', '/', 404, null],
    ['GET', '/v1/specs/', 404, null],
    ['GET', '/v1/Specs', 404, null],
    ['GET', '/v1/specs/a/b', 404, null],
    ['POST', '/v1/invoke', 404, null],
    ['POST', '/v1/tenants', 404, null],
    ['POST', '/v1/status', 405, 'HEAD, GET'],
    ['DELETE', '/v1/events', 405, 'HEAD, GET'],
    ['OPTIONS', '/v1/specs', 405, 'HEAD, GET'],
  ])('%s %s', async (method, path, status, allow) => {
    const response = await fetch((await serveControl()) + path, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([status, allow]);
    const name = status === 404 ? 'NOT_FOUND' : 'METHOD_NOT_ALLOWED';
    expect(await response.json()).toMatchObject({
      ...{ protocol: 'seal/v1', status: 'error' },
      error: { code: status, name, message: expect.any(String), request_id: expect.any(String) },
    });
  });

  test('HEAD is GET without the body', async () => {
    const response = await fetch(`${await serveControl()}/v1/status`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

test('health is for everybody', async () => {
  const response = await fetch(`${await serveControl({ development: false })}/healthz`);
  expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
});

test('no more than sixteen requests are in flight, and health is not one of them', async () => {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  const query = async () => {
    waiting += 1;
    await gate.promise;
    return [];
  };
  const url = await serveControl({ events: { query } });
  const ask = () => fetch(`${url}/v1/events`);
  const first = Array.from({ length: 16 }, ask);
  while (waiting < 16) await new Promise((resolve) => setImmediate(resolve));
  const refused = await ask();
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await refused.json()).toMatchObject({ error: { code: 4400, name: 'OVERLOADED' } });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  gate.resolve();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual(Array(16).fill(200));
  expect((await ask()).status).toBe(200);
});

test('a fault is blank, and its place is free again', async () => {
  const status = () => {
    throw new Error('a secret of ours');
  };
  const url = await serveControl({ status });
  for (let i = 0; i < 20; i += 1) {
    const response = await fetch(`${url}/v1/status`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
  }
});
