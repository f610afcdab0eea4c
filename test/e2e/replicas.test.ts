/** What gateways that share a Postgres agree on: replay ids, limits, who is there. */
import { spawnSync } from 'node:child_process';
import type { RequestListener, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres, withDisk } from '../../examples/cluster/postgres.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import type { EventReader, Replica } from '../../src/store/store.ts';
import { createDatabases, type Databases, inDatabase } from '../store/databases.ts';
import { type Caller, draftCall, newKey, seal, unixNow } from '../support/caller.ts';
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

/** `clocks`: one gateway each, so many milliseconds ahead. */
async function startReplicas(
  clocks: number | readonly number[],
  url: string,
  answer: RequestListener = (_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'),
): Promise<Replicas> {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  const manifests = manifestsOf(upstream.url);
  const spec = { database: { url }, auth: { development: true } };
  const gateways = await Promise.all(
    (typeof clocks === 'number' ? Array<number>(clocks).fill(0) : clocks).map((clock_ahead_ms) =>
      startTestGateway({ manifests, spec, clock_ahead_ms }),
    ),
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

test('clocks that differ by 20 s: what is fresh and good at both is done once, what is not at one says so there', async () => {
  const { gateways, upstream, trail } = await startReplicas([-10_000, 10_000], await databases.fresh());
  const [behind, ahead] = gateways as [TestGateway, TestGateway];
  const code = async (gateway: TestGateway, envelope: unknown) => {
    const { status, body } = await gateway.post(envelope);
    return body.error?.code ?? status;
  };
  for (const [first, second] of [
    [behind, ahead],
    [ahead, behind],
  ] as const) {
    const envelope = seal(draftCall(caller, 'free.ok'));
    expect([await code(first, envelope), await code(second, envelope)]).toEqual([200, 1007]);
  }
  // 25 s old: 35 s for the one, 15 s for the other.
  const old = seal({ ...draftCall(caller, 'free.ok'), timestamp: unixNow() - 25 });
  const refused = await ahead.post(old);
  expect(refused).toMatchObject({ status: 401, body: { error: { code: 1003, name: 'TOKEN_EXPIRED' } } });
  expect(refused.body.error?.message).toMatch(/s behind the gateway's clock/);
  // It has used nothing up.
  expect([await code(behind, old), await code(behind, old)]).toEqual([200, 1007]);
  const short = draftCall(caller, 'free.ok');
  short.claims.exp = unixNow() + 5;
  const expiring = seal(short);
  expect([await code(ahead, expiring), await code(behind, expiring), await code(behind, expiring)]).toEqual([
    1003, 200, 1007,
  ]);
  expect(upstream.requests).toHaveLength(4);
  // Of a limit there is no more for all of them together, whatever they take for the time.
  const few = await Promise.all(
    Array.from({ length: 12 }, (_, index) => code(gateways[index % 2]!, seal(draftCall(caller, 'few.ok')))),
  );
  expect(few.filter((one) => one === 200)).toHaveLength(5);
  const { problems, writers } = await verifyChain(trail.scan());
  expect(problems).toEqual([]);
  expect(writers).toHaveLength(2);
});

test('a Postgres whose disk is full: nothing is executed, nothing that was not recorded is answered as done', async ({
  skip,
}) => {
  const { program, args } = withDisk(tmpdir(), 1_048_576, ['true']);
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  skip(
    status !== 0 && process.env.CI !== 'true',
    `SKIPPED: no disk can be made here to be filled: ${stderr}`,
  );
  const small = await startPostgres({ small_disk: 24 * 1024 * 1024 });
  onTestFinished(() => small.close());
  await inDatabase(small.url, async (client) => {
    await client.query(`CREATE TABLESPACE small LOCATION '${small.small_disk}'`);
    await client.query('CREATE DATABASE audit TABLESPACE small');
  });
  const url = small.urlOf('audit');
  const held: ServerResponse[] = [];
  let holds = false;
  const { gateways, upstream, trail } = await startReplicas(1, url, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    if (holds) held.push(response);
    else response.end('{"ok":true}');
  });
  const [gateway] = gateways as [TestGateway];
  const call = () => gateway.post(seal(draftCall(caller, 'free.ok')));
  const unavailable = { status: 503, body: { error: { code: 4501, name: 'AUDIT_UNAVAILABLE' } } };
  expect((await call()).status).toBe(200);
  holds = true;
  const under_way = call();
  await expect.poll(() => held.length, PATIENTLY).toBe(1);
  holds = false;

  const code = await inDatabase(url, (client) => fill(client));
  expect(code).toBe('53100');
  // Pages that were begun have room for some more.
  await expect.poll(async () => (await call()).status, { ...PATIENTLY, timeout: 20_000 }).toBe(503);
  const before = upstream.requests.length;
  const refused = seal(draftCall(caller, 'free.ok'));
  expect(await gateway.post(refused)).toMatchObject(unavailable);
  expect(await gateway.post('{')).toMatchObject(unavailable);
  expect(upstream.requests).toHaveLength(before);
  held[0]!.end('{"ok":true}');
  expect(await under_way).toMatchObject(unavailable);

  await inDatabase(url, (client) => client.query('DROP TABLE filler'));
  expect((await gateway.post(refused)).status).toBe(200);
  expect((await call()).status).toBe(200);
  expect((await verifyChain(trail.scan())).problems).toEqual([]);
}, 60_000);

test('a Postgres that is slow is waited for', async () => {
  const url = await databases.fresh();
  const { gateways } = await startReplicas(1, url);
  await inDatabase(url, (client) =>
    client.query(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
      CREATE TRIGGER slow AFTER INSERT ON gateway_events FOR EACH STATEMENT EXECUTE FUNCTION slow()`),
  );
  const calls = Array.from({ length: 20 }, () => gateways[0]!.post(seal(draftCall(caller, 'free.ok'))));
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(20).fill(200));
});

describe.skipIf(process.env.SEAL_TEST_FULL !== '1')('(SKIPPED without SEAL_TEST_FULL=1: make ci)', () => {
  test('a Postgres that does not get on is not waited for, and then it goes on by itself', async () => {
    const url = await databases.fresh();
    const { gateways, upstream, trail } = await startReplicas(1, url);
    const call = (envelope = seal(draftCall(caller, 'free.ok'))) => gateways[0]!.post(envelope);
    const envelope = seal(draftCall(caller, 'free.ok'));
    await inDatabase(url, async (client) => {
      await client.query('BEGIN; LOCK TABLE gateway_events IN ACCESS EXCLUSIVE MODE');
      expect(await call(envelope)).toMatchObject({ status: 503, body: { error: { code: 4501 } } });
      expect(upstream.requests).toEqual([]);
      await client.query('COMMIT');
    });
    await expect.poll(async () => (await call()).status, PATIENTLY).toBe(200);
    // Nothing of what was refused was kept, so it may be sent again; and then it is used up.
    expect([(await call(envelope)).status, (await call(envelope)).body.error?.code]).toEqual([200, 1007]);
    expect((await verifyChain(trail.scan())).problems).toEqual([]);
  });
});

/** Fills the disk of this database; the SQLSTATE that ends it. */
async function fill(client: pg.Client): Promise<string> {
  await client.query('CREATE TABLE filler (text text)');
  await client.query('ALTER TABLE filler ALTER COLUMN text SET STORAGE PLAIN');
  let code = '';
  for (const rows of [200, 1]) {
    for (code = ''; code === ''; )
      code = await client
        .query(`INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1, ${rows})`)
        .then(
          () => '',
          (error: { code: string }) => error.code,
        );
  }
  return code;
}
