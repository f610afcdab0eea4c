/** What Postgres can do to its gateways, and they to each other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { openPostgresReader, openPostgresStore } from '../../src/store/postgres.ts';
import type { EventFilter, Store } from '../../src/store/store.ts';
import { selfSigned } from '../execute/certificate.ts';
import { expectSound } from './conformance.ts';
import { startCuttingProxy } from './cutting-proxy.ts';
import { createDatabases, type Databases, inDatabase } from './databases.ts';
import { anEvent, collect } from './events.ts';
import { capturedLog } from './scratch.ts';

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

async function open(url: string, log = capturedLog().log): Promise<Store> {
  const store = await openPostgresStore({ url, clock: systemClock, log });
  onTestFinished(() => store.close());
  return store;
}

const unavailable = expect.objectContaining({ name: 'AUDIT_UNAVAILABLE' });
const claim = (id = newId()) => ({ id, expires_at: Date.UTC(2030, 0, 1) });

describe('opening', () => {
  test('ten gateways at once: one makes the tables, each gets a chain', async () => {
    const url = await databases.empty();
    const stores = await Promise.all(Array.from({ length: 10 }, () => open(url)));
    await Promise.all(stores.map((store) => store.append([anEvent()])));
    const { writers, problems } = await verifyChain(stores[0]!.scan());
    expect(problems).toEqual([]);
    expect(writers.map(({ events }) => events)).toEqual(Array(10).fill(1));
  });

  test('a server that is not there is said to be so, without the password', async () => {
    const url = 'postgres://me:hunter2@127.0.0.1:1/x';
    for (const opening of [openPostgresStore({ url, clock: systemClock }), openPostgresReader({ url })]) {
      const error = (await opening.catch((cause: unknown) => cause)) as Error;
      expect(error).toMatchObject({ name: 'StoreOpenError', reason: 'unavailable' });
      expect(error.message).toContain('postgres://127.0.0.1:1/x cannot be opened');
      expect(error.message).not.toContain('hunter2');
    }
  });

  test('a database of another program, an empty one and a newer one are left alone', async () => {
    const [other, empty, newer] = [await databases.empty(), await databases.empty(), await databases.fresh()];
    await inDatabase(other, (client) => client.query('CREATE TABLE gateway_events (id int)'));
    await inDatabase(newer, (client) =>
      client.query(`UPDATE gateway_meta SET value = '99' WHERE key = 'schema_version'`),
    );
    const failure = (reason: string) => expect.objectContaining({ name: 'StoreOpenError', reason });
    await expect(openPostgresStore({ url: other, clock: systemClock })).rejects.toEqual(
      failure('not_a_database'),
    );
    await expect(openPostgresReader({ url: empty })).rejects.toEqual(failure('not_a_database'));
    await expect(openPostgresStore({ url: newer, clock: systemClock })).rejects.toEqual(failure('schema'));
    await expect(openPostgresReader({ url: newer })).rejects.toEqual(failure('schema'));
  });
});

test('TLS as the URL says: the certificate has to be valid, and of this host', async () => {
  const tls = selfSigned('localhost');
  const dir = mkdtempSync(join(tmpdir(), 'seal-tls-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const ca = join(dir, 'ca.pem');
  writeFileSync(ca, tls.cert);
  const own = await startPostgres({ tls });
  onTestFinished(() => own.close());
  const at = (host: string, query: string) => `${own.url.replace('127.0.0.1', host)}?${query}`;

  const store = await open(at('localhost', `sslmode=verify-full&sslrootcert=${ca}`));
  await store.append([anEvent()]);
  const encrypted = await inDatabase(own.url, async (client) => {
    const { rows } = await client.query(
      `SELECT bool_and(ssl) AS all FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'seal-gateway'`,
    );
    return rows[0].all as boolean;
  });
  expect(encrypted).toBe(true);
  await (await open(at('localhost', 'sslmode=no-verify'))).append([anEvent()]);

  const refused = async (url: string) => {
    const error = await openPostgresStore({ url, clock: systemClock }).catch((cause: unknown) => cause);
    return (error as Error).message;
  };
  expect(await refused(at('localhost', 'sslmode=verify-full'))).toMatch(/self-signed/);
  expect(await refused(at('127.0.0.1', `sslmode=verify-full&sslrootcert=${ca}`))).toMatch(
    /altnames|does not match/,
  );
});

describe('a connection that is lost in the midst of a commit', () => {
  test.each(['before', 'after'] as const)('%s the server has it: done once, and answered', async (when) => {
    const url = await databases.fresh();
    const proxy = await startCuttingProxy(url);
    onTestFinished(() => proxy.close());
    const store = await open(proxy.url);
    await store.append([anEvent()]);
    proxy.cutNextCommit(when);
    const [one, event] = [claim(), anEvent()];
    const admitted = store.admit(one, [event]);
    await proxy.cut();
    expect(await admitted).toBe('admitted');
    expect(await store.admit(one, [anEvent()])).toBe('replayed');
    expect((await store.query({})).filter(({ id }) => id === event.id)).toHaveLength(1);
    await store.append([anEvent()]);
    await expectSound(store);
    expect(new Set((await collect(store.scan())).map(({ writer }) => writer)).size).toBe(1);
  });

  test('a session that was saved as the connection went is saved once', async () => {
    const proxy = await startCuttingProxy(await databases.fresh());
    onTestFinished(() => proxy.close());
    const store = await open(proxy.url);
    proxy.cutNextCommit('after');
    const session = {
      execution_id: newId(),
      agent_id: 'agent-7',
      tenant_id: null,
      security_context: 'main',
      public_key: 'x',
      token_digest: 'y',
      allowed_tool_patterns: null,
      created_at: 1,
      expires_at: 9e12,
      revoked_at: null,
    };
    expect(await store.sessions.save(session, 1, [anEvent()])).toBe('created');
    expect(await store.query({})).toHaveLength(1);
    await expectSound(store);
  });

  test('an answer that does not come is not waited for', { timeout: 30_000 }, async () => {
    const proxy = await startCuttingProxy(await databases.fresh());
    onTestFinished(() => proxy.close());
    const store = await open(proxy.url);
    proxy.hold();
    await expect(store.append([anEvent()])).rejects.toEqual(unavailable);
    proxy.release();
    await expect.poll(() => store.append([anEvent()]).then(() => 'written')).toBe('written');
    await expectSound(store);
  });
});

test('a full disk refuses, leaves nothing, and is written to again when there is room', async () => {
  const url = await databases.fresh();
  const { log, lines } = capturedLog();
  const store = await open(url, log);
  await store.append([anEvent()]);
  // As Postgres says it.
  await inDatabase(url, (client) =>
    client.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON gateway_events FOR EACH ROW EXECUTE FUNCTION full_disk()`),
  );
  const [one, two] = [claim(), claim()];
  const refused = await Promise.allSettled([store.admit(one, [anEvent()]), store.append([anEvent()])]);
  for (const result of refused) expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
  expect(await store.query({})).toHaveLength(1);
  await inDatabase(url, (client) => client.query('DROP TRIGGER full_disk ON gateway_events'));
  expect(await store.admit(one, [anEvent()])).toBe('admitted');
  expect(await store.admit(two, [anEvent()])).toBe('admitted');
  expect(lines).toContain('error the audit trail cannot be written; calls are refused');
  expect(lines).toContain('info the audit trail is written again');
  await expectSound(store);
});

test('a server that has become a standby is left for the one that the name leads to then', async () => {
  const url = await databases.fresh();
  const name = new URL(url).pathname.slice(1);
  const store = await open(url);
  const standby = (mode: 'on' | 'off') =>
    inDatabase(server.url, async (client) => {
      await client.query(`ALTER DATABASE ${name} SET default_transaction_read_only = ${mode}`);
      await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    });
  await standby('on');
  const waiting = store.append([anEvent()]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await standby('off');
  await waiting;
  await expectSound(store);
});

test('clocks of gateways that differ change nothing of limits, chains and who is there', async () => {
  const url = await databases.fresh();
  const skewed = (ms: number) => ({ ...systemClock, now: () => systemClock.now() + ms });
  const stores = await Promise.all(
    [-20_000, 20_000].map((ms) => openPostgresStore({ url, clock: skewed(ms) })),
  );
  for (const store of stores) onTestFinished(() => store.close());
  const counts = [{ key: 'a', calls: 3, per_seconds: 10 }];
  const admissions = await Promise.all(
    Array.from({ length: 8 }, (_, index) => stores[index % 2]!.admit(claim(), [anEvent()], counts)),
  );
  expect(admissions.filter((one) => one === 'admitted')).toHaveLength(3);
  for (const store of stores) await store.announce({ address: 'http://a', revision: null });
  expect(await stores[0]!.replicas()).toHaveLength(2);
  await expectSound(stores[0]!);
});

describe('gateways that share a database', () => {
  test('of 200 claims at three gateways at once each is won by one', async () => {
    const url = await databases.fresh();
    const stores = await Promise.all([open(url), open(url), open(url)]);
    const ids = Array.from({ length: 200 }, () => newId());
    const won = await Promise.all(
      stores.map((store) => Promise.all(ids.map((id) => store.admit(claim(id), [anEvent()])))),
    );
    for (const index of ids.keys()) {
      expect(won.map((answers) => answers[index]).sort()).toEqual(['admitted', 'replayed', 'replayed']);
    }
    expect(await stores[0]!.query({ limit: 1_000 })).toHaveLength(200);
    await expectSound(stores[0]!);
  });

  test('a follower of the trail misses nothing, and sees nothing twice', async () => {
    const url = await databases.fresh();
    const stores = await Promise.all([open(url), open(url), open(url)]);
    const reader = await openPostgresReader({ url });
    onTestFinished(() => reader.close());
    let writing = true;
    const written = Promise.all(
      stores.map(async (store) => {
        for (let round = 0; round < 60; round += 1) {
          await Promise.all(Array.from({ length: 3 }, () => store.append([anEvent(), anEvent()])));
        }
      }),
    ).finally(() => {
      writing = false;
    });
    const seen: number[] = [];
    for (let last = false; !last; ) {
      last = !writing;
      const page = await reader.query({ after: seen.at(-1) ?? 0, limit: 500 });
      seen.push(...page.map(({ position }) => position));
    }
    await written;
    expect(seen).toHaveLength(3 * 60 * 6);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('what one gateway revokes, another refuses within a second', async () => {
    const url = await databases.fresh();
    const [one, two] = await Promise.all([open(url), open(url)]);
    const session = {
      execution_id: newId(),
      agent_id: 'agent-7',
      tenant_id: 'acme',
      security_context: 'main',
      public_key: 'x',
      token_digest: 'y',
      allowed_tool_patterns: null,
      created_at: 1,
      expires_at: 9e12,
      revoked_at: null,
    };
    await one.sessions.save(session, 1, []);
    expect((await two.sessions.get(session.execution_id))?.revoked_at).toBeNull();
    await one.sessions.revoke(session.execution_id, 5, []);
    const revoked = async () => (await two.sessions.get(session.execution_id))?.revoked_at;
    await expect.poll(revoked, { timeout: 1_000, interval: 20 }).toBe(5);
    expect((await one.sessions.get(session.execution_id))?.revoked_at).toBe(5);
  });

  test('one that was silent for too long is closed; when it speaks again it goes on with another chain', async () => {
    const url = await databases.fresh();
    const silent = await open(url);
    await silent.append([anEvent()]);
    await inDatabase(url, (client) =>
      client.query(`UPDATE gateway_writers SET seen_at = now() - interval '1 hour'`),
    );
    // The server itself has only just started, so nobody can have been heard yet.
    const other = await open(url);
    await other.announce({ address: 'http://b', revision: 'r' });
    expect(await closedChains(url)).toBe(0);
    await inDatabase(url, (client) =>
      client.query('UPDATE gateway_writers SET closed_at = now() WHERE seq = 1'),
    );
    const third = await open(url);
    await third.append([anEvent()]);
    const event = anEvent();
    expect(await silent.admit(claim(), [event])).toBe('admitted');
    expect((await silent.query({})).filter(({ id }) => id === event.id)).toHaveLength(1);
    const { problems, writers } = await verifyChain(silent.scan());
    expect(problems).toEqual([]);
    // The third went on with the chain of the silent one, which began one of its own.
    expect(writers.map(({ events }) => events).sort()).toEqual([1, 2]);
  });

  const closedChains = (url: string) =>
    inDatabase(url, async (client) => {
      const { rows } = await client.query(
        'SELECT count(*)::int AS n FROM gateway_writers WHERE closed_at IS NOT NULL',
      );
      return rows[0].n as number;
    });
});

describe('limits', () => {
  const limit = (key: string, calls: number, per_seconds = 600) => ({ key, calls, per_seconds });
  const kindOf = (admission: unknown) => (typeof admission === 'string' ? admission : 'limited');

  test('hold for all gateways together; what is refused claims nothing and leaves nothing', async () => {
    const url = await databases.fresh();
    const stores = await Promise.all([open(url), open(url)]);
    const claims = Array.from({ length: 40 }, () => claim());
    const admissions = await Promise.all(
      claims.map((one, index) => stores[index % 2]!.admit(one, [anEvent()], [limit('a', 25)])),
    );
    expect(admissions.filter((one) => one === 'admitted')).toHaveLength(25);
    expect(await stores[0]!.query({ limit: 100 })).toHaveLength(25);
    const at = admissions.findIndex((one) => one !== 'admitted');
    expect(admissions[at]).toEqual({ key: 'a', retry_after_ms: expect.any(Number) });
    expect(await stores[0]!.admit(claims[at]!, [anEvent()])).toBe('admitted');
    await expectSound(stores[0]!);
  });

  test('a call that one limit refuses does not count against another', async () => {
    const store = await open(await databases.fresh());
    const both = [limit('agent', 1), limit('tenant', 3)];
    const admit = async (counts: ReturnType<typeof limit>[]) =>
      kindOf(await store.admit(claim(), [], counts));
    const first = await Promise.all(Array.from({ length: 5 }, () => admit(both)));
    expect(first.sort()).toEqual(['admitted', 'limited', 'limited', 'limited', 'limited']);
    const more = await Promise.all(Array.from({ length: 5 }, () => admit([limit('tenant', 3)])));
    expect(more.filter((one) => one === 'admitted')).toHaveLength(2);
  });

  test('a replay counts against nothing', async () => {
    const store = await open(await databases.fresh());
    const one = claim();
    expect(await store.admit(one, [], [limit('a', 2)])).toBe('admitted');
    for (let i = 0; i < 3; i += 1) expect(await store.admit(one, [], [limit('a', 2)])).toBe('replayed');
    expect(await store.admit(claim(), [], [limit('a', 2)])).toBe('admitted');
  });

  test('a limit of no calls allows none; after its span a limit allows again', async () => {
    const store = await open(await databases.fresh());
    expect(await store.admit(claim(), [], [limit('none', 0)])).toEqual({
      key: 'none',
      retry_after_ms: 600_000,
    });
    const second = limit('one', 1, 1);
    expect(await store.admit(claim(), [], [second])).toBe('admitted');
    const refused = await store.admit(claim(), [], [second]);
    expect(refused).toEqual({ key: 'one', retry_after_ms: expect.any(Number) });
    const { retry_after_ms } = refused as { retry_after_ms: number };
    expect(retry_after_ms).toBeGreaterThan(500);
    expect(retry_after_ms).toBeLessThanOrEqual(1_063);
    await new Promise((resolve) => setTimeout(resolve, retry_after_ms + 20));
    expect(await store.admit(claim(), [], [second])).toBe('admitted');
  });
});

describe('the tables', () => {
  test('refuse changes and removals of events', async () => {
    const url = await databases.fresh();
    const store = await open(url);
    await store.append([anEvent()]);
    await inDatabase(url, async (client) => {
      for (const sql of [
        `UPDATE gateway_events SET tenant_id = 'other'`,
        'DELETE FROM gateway_events',
        'TRUNCATE gateway_events',
      ]) {
        await expect(client.query(sql)).rejects.toThrow('append-only');
      }
    });
  });

  test('are indexed for every filter', async () => {
    const url = await databases.fresh();
    await open(url);
    await inDatabase(url, async (client) => {
      await client.query('SET enable_seqscan = off; SET enable_sort = off');
      for (const term of ['event_type', 'execution_id', 'tenant_id', 'tool_name', 'agent_id']) {
        const { rows } = await client.query(
          `EXPLAIN SELECT * FROM gateway_events WHERE ${term} = 'a' ORDER BY position DESC LIMIT 100`,
        );
        const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
        expect.soft(plan, term).not.toMatch(/-> +(?:Incremental )?Sort|Seq Scan/);
        expect.soft(plan, term).toMatch(/Index Cond: \(\w+ = 'a'/);
      }
    });
  });

  test('times find what was stored long after it happened, and what was not', async () => {
    const store = await open(await databases.fresh());
    const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
    const [past, now, more] = [at(-90), at(0), at(0)];
    await store.append([anEvent({ id: 'now', created_at: now }), anEvent({ id: 'past', created_at: past })]);
    await store.append([
      anEvent({ id: 'more', created_at: more }),
      anEvent({ id: 'ahead', created_at: at(30) }),
    ]);
    const ids = async (filter: EventFilter) => (await store.query(filter)).map(({ id }) => id);
    expect(await ids({ until: at(-60) })).toEqual(['past']);
    expect(await ids({ since: at(-60) })).toEqual(['now', 'more', 'ahead']);
    expect(await ids({ since: at(-60), until: at(20) })).toEqual(['now', 'more']);
    expect(await ids({ since: at(-120), after: 0, limit: 2 })).toEqual(['now', 'past']);
    expect(await ids({ since: at(20), tenant_id: 'acme' })).toEqual(['ahead']);
    expect(await ids({ until: at(60), limit: 3 })).toEqual(['past', 'more', 'ahead']);
  });

  test('a tampered event is found', async () => {
    const url = await databases.fresh();
    const store = await open(url);
    await store.append([anEvent(), anEvent(), anEvent()]);
    await inDatabase(url, async (client) => {
      await client.query('SET session_replication_role = replica');
      await client.query(`UPDATE gateway_events SET agent_id = NULL, payload = '{}' WHERE seq = 2`);
    });
    expect((await verifyChain(store.scan())).problems).toMatchObject([{ seq: 2, kind: 'hash_mismatch' }]);
  });
});

test('bindings: one active for an owner and a provider, granted to agents and contexts', async () => {
  const { bindings } = await open(await databases.fresh());
  const binding = (part: object = {}, id = newId()) => ({
    id,
    tenant_id: 'acme',
    owner: 'user-1',
    provider: 'github',
    secret_path: 'users/user-1/github',
    status: 'active' as const,
    created_at: '2026-02-17T14:32:01.583Z',
    grants: [
      { id: `${id}-1`, grantee: { kind: 'agent' as const, name: 'agent-7' }, expires_at: null },
      { id: `${id}-2`, grantee: { kind: 'context' as const, name: 'main' }, expires_at: 5_000 },
    ],
    ...part,
  });
  const one = binding();
  await bindings!.add(one);
  await expect(bindings!.add(binding())).rejects.toMatchObject({ name: 'INVALID_ARGUMENTS' });
  const other = binding({ tenant_id: null, grants: [] });
  await bindings!.add(other);

  expect(await bindings!.list({ tenant_id: 'acme' })).toEqual([one]);
  expect(await bindings!.list({ tenant_id: null })).toEqual([other]);
  expect(await bindings!.list({ owner: 'user-2' })).toEqual([]);
  const query = { tenant_id: 'acme', provider: 'github', owner: null, agent: 'x', context: 'x', now: 1_000 };
  expect(await bindings!.granted(query)).toEqual([]);
  expect(await bindings!.granted({ ...query, agent: 'agent-7' })).toEqual([one]);
  expect(await bindings!.granted({ ...query, context: 'main' })).toEqual([one]);
  expect(await bindings!.granted({ ...query, context: 'main', now: 5_000 })).toEqual([]);
  expect(await bindings!.granted({ ...query, agent: 'agent-7', tenant_id: 'bolt' })).toEqual([]);
  expect(await bindings!.granted({ ...query, agent: 'agent-7', owner: 'user-2' })).toEqual([]);
  expect(await bindings!.revoke(one.id)).toBe(true);
  expect(await bindings!.revoke(one.id)).toBe(false);
  expect(await bindings!.granted({ ...query, agent: 'agent-7' })).toEqual([]);
  await bindings!.add(binding());
  expect((await bindings!.list({ tenant_id: 'acme' })).map(({ status }) => status).sort()).toEqual([
    'active',
    'revoked',
  ]);
});
