import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { systemClock } from '../../src/clock.ts';
import { openReader, openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { createDatabases, type Databases, inDatabase } from '../store/databases.ts';
import { anEvent, collect } from '../store/events.ts';
import { withDatabase } from '../store/scratch.ts';
import { runCli, scratch } from './run.ts';

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

/** A gateway.yaml that names this database. */
function configOf(url: string): string {
  const file = join(scratch(), 'gateway.yaml');
  writeFileSync(
    file,
    `apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {database: {url: "${url}"}}\n`,
  );
  return file;
}

const sqliteUrl = (): string => `sqlite://${join(scratch(), 'gateway.db')}`;
const db = (...argv: string[]) => runCli(['db', ...argv]);

async function filled(url: string): Promise<void> {
  const store = await openStore({ url, clock: systemClock });
  await fill(store);
  await store.close();
}

const SESSION = {
  execution_id: 'exec-1',
  agent_id: 'agent-7',
  tenant_id: 'acme',
  security_context: 'main',
  public_key: 'x',
  token_digest: 'y',
  allowed_tool_patterns: ['a.*'],
  created_at: 1,
  expires_at: 9e12,
  revoked_at: null,
};

async function fill(store: Store): Promise<void> {
  await store.append(
    Array.from({ length: 1_500 }, (_, index) =>
      anEvent({ created_at: new Date(Date.UTC(2026, 0, 1) + index * 3_600_000).toISOString() }),
    ),
  );
  await store.append([anEvent({ execution_id: 'a\0b\u001ac', payload: { text: 'käse\0🧀' } })]);
  await store.admit({ id: 'used', expires_at: 9e12 }, []);
  await store.sessions.save(SESSION, 1, []);
  await store.sessions.save({ ...SESSION, execution_id: 'exec-2' }, 1, []);
  await store.sessions.revoke('exec-2', 2, []);
  const row = { key: 'A', file: 'a.yaml', digest: 'd', data: [], manifest: 'm' } as const;
  await store.saveLastGood({ set: [row], remove: [], contents: new Map([['d', 'text']]) });
  await store.leases.note({ lease_id: 'l', namespace: null, holder: 'h', in_use_until: 5 });
}

/** All that a store holds, as its port tells it. */
async function contentsOf(url: string) {
  const reader = await openReader({ url });
  const events = await reader.query({ limit: 10_000 });
  const verification = await verifyChain(reader.scan());
  const tools = await reader.query({ tool_name: 'customer.invoice_total', limit: 3 });
  await reader.close();
  return { events, verification, tools };
}

describe.each(['sqlite', 'postgres'])('db migrate, check and backup with %s', (kind) => {
  const fresh = () => (kind === 'sqlite' ? Promise.resolve(sqliteUrl()) : databases.empty());

  test('migrate makes the tables, and leaves alone what is up to date', async () => {
    const config = configOf(await fresh());
    const first = await db('migrate', '--config', config);
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toMatch(/was brought from version 0 to \d/);
    const again = await db('migrate', '--config', config, '--output', 'json');
    const { from, to } = JSON.parse(again.out);
    expect(from).toBe(to);
  });

  test('check tells of a sound store what it holds', async () => {
    const url = await fresh();
    await filled(url);
    const { code, out } = await db('check', '--config', configOf(url));
    expect(out).toMatch(/1501 events, 1 replay ids, 2 sessions/);
    // Test servers do without fsync, and check says so.
    const problems = out
      .split('\n')
      .filter((line) => line.startsWith('PROBLEM') && !/fsync|full_page/.test(line));
    expect(problems).toEqual([]);
    expect(code).toBe(kind === 'sqlite' ? 0 : 1);
  });

  test('backup writes a store of its own, with all that was there', async () => {
    const url = await fresh();
    await filled(url);
    const file = join(scratch(), 'backup.db');
    const before = await contentsOf(url);
    expect(await db('backup', file, '--config', configOf(url))).toMatchObject({ code: 0, err: '' });
    expect(await contentsOf(`sqlite://${file}`)).toEqual(before);
    const again = await db('backup', file, '--config', configOf(url));
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('is there already') });
  });

  test('a store that is not there is said to be so', async () => {
    const url = kind === 'sqlite' ? sqliteUrl() : 'postgres://127.0.0.1:1/none';
    for (const argv of [['check'], ['backup', join(scratch(), 'x.db')]]) {
      const { code, err } = await db(...argv, '--config', configOf(url));
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringMatching(/there is no database|cannot be opened/),
      });
    }
  });
});

test('check finds a damaged file', async () => {
  const url = sqliteUrl();
  await filled(url);
  const path = url.slice('sqlite://'.length);
  withDatabase(path, (open) => {
    open.unsafeMode();
    open.pragma('writable_schema = ON');
    open.exec(`UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'replay_ids_expires')
      WHERE name = 'gateway_events_type'`);
  });
  const { code, out } = await db('check', '--config', configOf(url));
  expect(code).toBe(1);
  expect(out).toMatch(/PROBLEM: /);
});

test('check finds a chain in Postgres whose end was cut off, and triggers that are off', async () => {
  const url = await databases.empty();
  await filled(url);
  await inDatabase(url, async (client) => {
    await client.query('ALTER TABLE gateway_events DISABLE TRIGGER gateway_events_no_change');
    await client.query('DELETE FROM gateway_events WHERE seq > 1490');
  });
  const { out } = await db('check', '--config', configOf(url));
  expect(out).toMatch(/PROBLEM: the chain \S+ ended with event 1501, which is not there/);
  expect(out).toMatch(/PROBLEM: the trigger gateway_events_no_change/);
});

describe('db copy', () => {
  test('moves a store from SQLite to Postgres: the trail is the same, and its chain goes on', async () => {
    const [from, to] = [sqliteUrl(), await databases.empty()];
    await filled(from);
    const before = await contentsOf(from);
    const { code, out, err } = await db('copy', '--config', configOf(from), '--to', configOf(to));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/holds 1501 events, 1 replay ids, 2 sessions, 1 manifests in force/);
    expect(await contentsOf(to)).toEqual(before);

    const store = await openStore({ url: to, clock: systemClock });
    onTestFinished(() => store.close());
    expect(await store.admit({ id: 'used', expires_at: 9e12 }, [])).toBe('replayed');
    expect(await store.sessions.get('exec-1')).toEqual(SESSION);
    expect((await store.sessions.get('exec-2'))?.revoked_at).toBe(2);
    expect((await store.loadLastGood()).contents.get('d')).toBe('text');
    expect(await store.leases.abandoned('h', 6)).toHaveLength(1);
    await store.append([anEvent()]);
    const [newest] = await store.query({ limit: 1 });
    expect(newest).toMatchObject({ seq: 1_502, prev_hash: before.events.at(-1)!.hash });
    expect(newest!.position).toBeGreaterThan(before.events.at(-1)!.position);
    // Old weeks have tables of their own, so that they can be forgotten.
    const old = await store.trim(Date.UTC(2026, 0, 20));
    expect(old).toBeGreaterThan(300);
    expect((await verifyChain(store.scan())).problems).toEqual([]);
    expect((await collect(store.scan()))[0]!.seq).toBe(old + 1);
  });

  test('and back', async () => {
    const [from, to] = [await databases.empty(), sqliteUrl()];
    await filled(from);
    const before = await contentsOf(from);
    expect(await db('copy', '--config', configOf(from), '--to', configOf(to))).toMatchObject({ code: 0 });
    expect(await contentsOf(to)).toEqual(before);
    const store = await openStore({ url: to, clock: systemClock });
    onTestFinished(() => store.close());
    await store.append([anEvent()]);
    const { writers, problems } = await verifyChain(store.scan());
    expect({ chains: writers.length, problems }).toEqual({ chains: 1, problems: [] });
  });

  test('refuses a target that has events, and leaves nothing of what it could not do', async () => {
    const [from, to] = [sqliteUrl(), await databases.empty()];
    await filled(from);
    await filled(to);
    const { code, err } = await db('copy', '--config', configOf(from), '--to', configOf(to));
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('has events already') });
    const [missing, target] = [sqliteUrl(), sqliteUrl()];
    expect(await db('copy', '--config', configOf(missing), '--to', configOf(target))).toMatchObject({
      code: 1,
    });
    expect(existsSync(target.slice('sqlite://'.length))).toBe(false);
  });
});
