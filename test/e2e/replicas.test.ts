/** What gateways that share a Postgres agree on: replay ids, limits, who is there. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import type { EventReader, Replica } from '../../src/store/store.ts';
import { createDatabases, type Databases } from '../store/databases.ts';
import { type Caller, draftCall, newKey, seal } from '../support/caller.ts';
import { PATIENTLY, startTestGateway, type TestGateway, type WrittenManifest } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

let server: PostgresServer;
let databases: Databases;
beforeAll(async () => {
  server = await startPostgres();
  databases = await createDatabases(server);
});
afterAll(async () => {
  await databases?.close();
  await server?.close();
});

const caller: Caller = { iss: 'https://issuer.invalid', issuer_key: newKey(), agent_key: newKey() };

interface Replicas {
  readonly gateways: readonly TestGateway[];
  readonly upstream: Upstream;
  readonly trail: EventReader;
}

async function startReplicas(count: number, url: string, ...more: WrittenManifest[]): Promise<Replicas> {
  const upstream = await startUpstream((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  });
  onTestFinished(() => upstream.close());
  const manifests = [...manifestsOf(upstream.url), ...more];
  const spec = { database: { url }, auth: { development: true } };
  const gateways = await Promise.all(
    Array.from({ length: count }, () => startTestGateway({ manifests, spec })),
  );
  for (const gateway of gateways) onTestFinished(() => gateway.close());
  return { gateways, upstream, trail: gateways[0]!.trail };
}

function manifestsOf(url: string): WrittenManifest[] {
  const jwk = (key: Caller['issuer_key'], kid: string) => ({ ...key.jwk, kid });
  return [
    {
      kind: 'TokenIssuer',
      name: 'main',
      spec: {
        issuer: caller.iss,
        audience: 'seal-gateway',
        algorithms: ['EdDSA'],
        jwks: { inline: { keys: [jwk(caller.issuer_key, 't1')] } },
        envelope_keys: { inline: { keys: [jwk(caller.agent_key, 'e1')] } },
        allowed_security_contexts: ['*'],
      },
    },
    {
      kind: 'SecurityContext',
      name: 'main',
      spec: {
        description: 'All.',
        capabilities: [
          { tool_pattern: 'free.*' },
          { tool_pattern: 'few.*', rate_limit: { calls: 5, per_seconds: 600 } },
        ],
      },
    },
    {
      kind: 'ApiSpec',
      name: 'upstream',
      spec: {
        source: {
          inline: {
            openapi: '3.0.3',
            info: { title: 'Upstream', version: '1' },
            paths: { '/ok': { get: { operationId: 'ok', responses: { 200: { description: 'Fine.' } } } } },
          },
        },
        base_url: url,
        egress: { allow_private: true },
      },
    },
    ...['free.ok', 'few.ok'].map((name) => ({
      kind: 'ToolWorkflow',
      name,
      spec: {
        description: 'One request.',
        api_spec: 'upstream',
        input_schema: { type: 'object' },
        steps: [{ name: 'ask', operation_id: 'ok' }],
      },
    })),
  ];
}

test('one envelope at three gateways at the same instant is executed once', async () => {
  const { gateways, upstream, trail } = await startReplicas(3, await databases.fresh());
  const envelopes = Array.from({ length: 30 }, () => seal(draftCall(caller, 'free.ok')));
  const answers = await Promise.all(
    envelopes.map((envelope) => Promise.all(gateways.map((gateway) => gateway.post(envelope)))),
  );
  for (const three of answers) {
    expect(three.map(({ body }) => body.error?.code ?? 'executed').sort()).toEqual([1007, 1007, 'executed']);
  }
  expect(upstream.requests).toHaveLength(30);
  const { problems, writers } = await verifyChain(trail.scan());
  expect(problems).toEqual([]);
  expect(writers).toHaveLength(3);
});

test('a rate limit holds for all gateways together, leaves no intent of what it refuses, and is told once', async () => {
  const { gateways, upstream, trail } = await startReplicas(3, await databases.fresh());
  const calls = Array.from({ length: 15 }, (_, index) =>
    gateways[index % 3]!.post(seal(draftCall(caller, 'few.ok'))),
  );
  const answers = await Promise.all(calls);
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(refused).toHaveLength(10);
  for (const { headers, body } of refused) {
    expect(body.error).toMatchObject({ code: 2005, name: 'POLICY_RATE_LIMIT_EXCEEDED' });
    const seconds = Number(headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(500);
    expect(seconds).toBeLessThanOrEqual(640);
  }
  expect(upstream.requests).toHaveLength(5);
  expect(await trail.query({ event_type: 'ToolCallAuthorized' })).toHaveLength(5);
  expect(await trail.query({ event_type: 'ToolCallRejected' })).toHaveLength(1);
  // Another agent has a limit of its own.
  const other = draftCall(caller, 'few.ok');
  other.claims.sub = 'agent-8';
  expect((await gateways[0]!.post(seal(other))).status).toBe(200);
  // Each counts what it did not tell, and says so at its end.
  for (const gateway of gateways) await gateway.restart();
  const counted = await trail.query({ event_type: 'RejectionsCounted' });
  expect(counted.reduce((sum, { payload }) => sum + Number(payload.count), 0)).toBe(9);
});

test('the status of each gateway lists all of them with their revisions', async () => {
  const { gateways } = await startReplicas(2, await databases.fresh());
  const replicasOf = async (gateway: TestGateway): Promise<Replica[]> => {
    const response = await fetch(`${gateway.controlUrl()}/v1/status`);
    return ((await response.json()) as { replicas: Replica[] }).replicas;
  };
  for (const gateway of gateways) {
    const addresses = async () => (await replicasOf(gateway))?.map(({ address }) => address).sort();
    await expect.poll(addresses, PATIENTLY).toEqual(gateways.map(({ url }) => url()).sort());
    for (const { revision } of await replicasOf(gateway)) expect(revision).toMatch(/^sha256:/);
  }
});

test('while Postgres is away nothing is executed; then it goes on by itself', async () => {
  const own = await startPostgres();
  onTestFinished(() => own.close());
  const { gateways, upstream, trail } = await startReplicas(1, own.url);
  const [gateway] = gateways;
  expect((await gateway!.post(seal(draftCall(caller, 'free.ok')))).status).toBe(200);
  const [failed, envelope] = [seal(draftCall(caller, 'free.ok')), seal(draftCall(caller, 'free.ok'))];
  await own.kill();
  const refused = await gateway!.post(failed);
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 4501 } } });
  // By now it is known to be away, and nobody waits.
  const before = performance.now();
  expect(await gateway!.post(envelope)).toMatchObject({ status: 503, body: { error: { code: 4501 } } });
  expect(performance.now() - before).toBeLessThan(2_000);
  expect(upstream.requests).toHaveLength(1);
  await own.start();
  await expect
    .poll(async () => (await gateway!.post(seal(draftCall(caller, 'free.ok')))).status, PATIENTLY)
    .toBe(200);
  expect((await gateway!.post(envelope)).status).toBe(200);
  expect((await verifyChain(trail.scan())).problems).toEqual([]);
});

test('a restart of Postgres in between is waited for, and nothing is refused', async () => {
  const own = await startPostgres();
  onTestFinished(() => own.close());
  const { gateways, trail } = await startReplicas(1, own.url);
  await own.halt();
  const call = gateways[0]!.post(seal(draftCall(caller, 'free.ok')));
  await own.start();
  expect((await call).status).toBe(200);
  expect((await verifyChain(trail.scan())).problems).toEqual([]);
});
