import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openSqliteReader, openSqliteStore } from '../../src/store/sqlite.ts';
import type { EventFilter } from '../../src/store/store.ts';
import { expectSound, storeConformance } from './conformance.ts';
import { anEvent, collect } from './events.ts';
import { capturedLog, openScratch, scratchFile, withDatabase } from './scratch.ts';

storeConformance('sqlite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'seal-store-'));
  const open = () => openSqliteStore({ path: join(directory, 'gateway.db'), clock: systemClock });
  let store = await open();
  return {
    store,
    async reopen() {
      await store.close();
      store = await open();
      return store;
    },
    // An event is as old as it says.
    async age() {},
    async dispose() {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

describe('the database file', () => {
  test('is made with its directories, for its owner alone', async () => {
    const path = scratchFile();
    await openScratch(path);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  });

  test('is one file after a clean end', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    await store.append([anEvent()]);
    await store.query({});
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
    withDatabase(path, (db) => {
      expect(db.prepare('SELECT count(*) FROM gateway_events').pluck().get()).toBe(1);
      expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    });
  });

  test('that others can use is warned of', async () => {
    const path = scratchFile();
    await (await openScratch(path)).close();
    chmodSync(path, 0o644);
    const { log, lines } = capturedLog();
    await openScratch(path, { log });
    expect(lines).toContain('warn the database can be used by every user of this machine (mode 644)');
  });

  test('whose name looks like a URI is a file all the same', async () => {
    const path = join(dirname(scratchFile()), 'a?mode=memory&b#c%20.db');
    const store = await openScratch(path);
    await store.append([anEvent()]);
    expect(existsSync(path)).toBe(true);
    expect(await store.query({})).toHaveLength(1);
  });

  test('refuses changes and removals of events', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    await store.append([anEvent()]);
    withDatabase(path, (db) => {
      expect(() => db.exec(`UPDATE gateway_events SET tenant_id = 'other'`)).toThrow('append-only');
      expect(() => db.exec('DELETE FROM gateway_events')).toThrow('append-only');
      const replace = `INSERT OR REPLACE INTO gateway_events SELECT * FROM gateway_events`;
      expect(() => db.exec(replace)).toThrow('append-only');
    });
  });

  test('is indexed for every filter and for the scan', async () => {
    const path = scratchFile();
    await openScratch(path);
    const plan = (terms: string, order = 'position') =>
      withDatabase(path, (db) =>
        db
          .prepare<[], { detail: string }>(
            `EXPLAIN QUERY PLAN SELECT * FROM gateway_events WHERE ${terms} ORDER BY ${order} LIMIT 500`,
          )
          .all()
          .map((step) => step.detail)
          .join('; '),
      );
    expect(plan(`event_type = 'a'`)).toContain('gateway_events_type');
    expect(plan(`execution_id = 'a'`)).toContain('gateway_events_execution');
    expect(plan(`tenant_id = 'a'`)).toContain('gateway_events_tenant');
    for (const terms of [`event_type = 'a'`, `execution_id = 'a'`, `tenant_id = 'a'`, 'position > 7']) {
      expect(plan(terms)).toMatch(/^SEARCH/);
      expect(plan(terms)).not.toContain('TEMP B-TREE');
    }
    const link = plan(`(writer, seq, position) > ('w', 1, 1)`, 'writer, seq, position');
    expect(link).toMatch(/^SEARCH .* USING INDEX sqlite_autoindex_gateway_events_2/);
    expect(link).not.toContain('TEMP B-TREE');
  });
});

describe('opening', () => {
  const failsWith = (reason: string, message: RegExp | string) =>
    expect.objectContaining({
      name: 'StoreOpenError',
      reason,
      message:
        typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    });
  const open = (path: string) => openSqliteStore({ path, clock: systemClock });

  test('a reader wants a database that is there', async () => {
    const path = scratchFile();
    await expect(openSqliteReader({ path })).rejects.toEqual(failsWith('missing', `no database ${path}`));
    expect(existsSync(dirname(path))).toBe(false);
  });

  test('a file that is no database is left alone', async () => {
    const path = scratchFile();
    mkdirSync(dirname(path));
    writeFileSync(path, 'apiVersion: seal.gateway/v1\n'.repeat(100));
    const expected = failsWith('not_a_database', 'is not a SQLite database');
    await expect(open(path)).rejects.toEqual(expected);
    await expect(openSqliteReader({ path })).rejects.toEqual(expected);
  });

  test('a database of another program is left alone', async () => {
    const path = scratchFile();
    mkdirSync(dirname(path));
    const other = new Database(path);
    other.exec('CREATE TABLE meta (key TEXT, value TEXT)');
    other.close();
    const expected = failsWith('not_a_database', 'another program');
    await expect(open(path)).rejects.toEqual(expected);
    await expect(openSqliteReader({ path })).rejects.toEqual(expected);
    withDatabase(path, (db) => expect(db.pragma('journal_mode', { simple: true })).toBe('delete'));
  });

  test('a reader says that an empty file has no trail', async () => {
    const path = scratchFile();
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    await expect(openSqliteReader({ path })).rejects.toEqual(failsWith('not_a_database', 'is empty'));
    await (await open(path)).close();
    await (await openSqliteReader({ path })).close();
  });

  test('the database of a newer gateway is refused', async () => {
    const path = scratchFile();
    await (await open(path)).close();
    withDatabase(path, (db) => db.exec(`UPDATE meta SET value = '99' WHERE key = 'schema_version'`));
    const expected = failsWith('schema', /schema version 99, this program knows \d+/);
    await expect(open(path)).rejects.toEqual(expected);
    await expect(openSqliteReader({ path })).rejects.toEqual(expected);
  });

  test('a damaged header is said to be one', async () => {
    const path = scratchFile();
    await (await open(path)).close();
    overwrite(path, 0, 'not a header at all');
    const expected = failsWith('not_a_database', 'is not a SQLite database');
    await expect(open(path)).rejects.toEqual(expected);
    await expect(openSqliteReader({ path })).rejects.toEqual(expected);
  });

  test('after a run that did not end cleanly the database is checked', async () => {
    const path = scratchFile();
    const store = await open(path);
    await Promise.all(Array.from({ length: 500 }, () => store.append([anEvent()])));
    await store.close();
    const crashed = () =>
      withDatabase(path, (db) => db.exec(`UPDATE meta SET value = '0' WHERE key = 'clean_shutdown'`));

    crashed();
    const { log, lines } = capturedLog();
    await (await openSqliteStore({ path, clock: systemClock, log })).close();
    const checked =
      'warn the last run did not end cleanly, or another gateway uses this database (then over the same manifests, and each counts rate limits by itself); it was checked and is sound';
    expect(lines).toContain(checked);
    lines.length = 0;
    await (await openSqliteStore({ path, clock: systemClock, log })).close();
    expect(lines).not.toContain(checked);

    crashed();
    overwrite(path, 20 * 4096, 'garbage '.repeat(1024));
    await expect(open(path)).rejects.toEqual(failsWith('corrupt', 'is damaged'));
  });

  test('a path that cannot be one', async () => {
    const path = scratchFile();
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    await expect(open(join(path, 'gateway.db'))).rejects.toEqual(
      failsWith('unavailable', 'cannot be opened'),
    );
  });

  test('a directory is not a database', async () => {
    const path = scratchFile();
    mkdirSync(path, { recursive: true });
    await expect(open(path)).rejects.toEqual(failsWith('unavailable', 'cannot be opened'));
  });
});

describe('a reader', () => {
  test('sees what a running gateway writes, and does not stop it', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    const reader = await openSqliteReader({ path });
    expect(await reader.query({})).toEqual([]);
    await store.append([anEvent({ id: 'one' })]);
    const [one] = await reader.query({});
    expect(one?.id).toBe('one');
    await store.append([anEvent({ id: 'two' })]);
    expect((await reader.query({ after: one?.position })).map((event) => event.id)).toEqual(['two']);
    await expectSound(reader);
    await reader.close();
    await expect(reader.query({})).rejects.toMatchObject({ name: 'AUDIT_UNAVAILABLE' });
    await store.append([anEvent()]);
  });

  test('reads the trail of a gateway that has stopped', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    await store.append([anEvent(), anEvent()]);
    await store.close();
    const reader = await openSqliteReader({ path });
    expect(await collect(reader.scan())).toHaveLength(2);
    await reader.close();
  });
});

test('a trail too long for one look is looked through to its end, in either direction', async () => {
  const path = scratchFile();
  const store = await openScratch(path);
  const places = [1, 49_999, 50_000, 50_001, 120_000, 300_000];
  await store.append(places.map((place) => anEvent({ id: `e${place}` })));
  await store.append([anEvent({ tenant_id: 'bolt', payload: { tool_name: 'rare' }, id: 'first' })]);
  withDatabase(path, (db) => {
    db.exec('DROP TRIGGER gateway_events_no_update');
    const move = db.prepare('UPDATE gateway_events SET position = ? WHERE id = ?');
    // From the last on, so that no place is taken twice.
    for (const place of [...places].reverse()) move.run(place + 1, `e${place}`);
    move.run(1, 'first');
  });
  const all = ['first', ...places.map((place) => `e${place}`)];
  const answers = async (filter: EventFilter) => (await store.query(filter)).map(({ id }) => id);
  expect(await answers({})).toEqual(all);
  expect(await answers({ after: 0 })).toEqual(all);
  expect(await answers({ limit: 2 })).toEqual(all.slice(-2));
  expect(await answers({ after: 1, limit: 2 })).toEqual(all.slice(1, 3));
  expect(await answers({ before: 120_001, after: 50_000 })).toEqual(['e50000', 'e50001']);
  expect(await answers({ tool_name: 'rare' })).toEqual(['first']);
  expect(await answers({ tenant_id: 'bolt' })).toEqual(['first']);
  expect(await answers({ execution_id: 'exec-1', limit: 7 })).toEqual(all);
});

test('a row whose payload is no JSON does not stop a query that looks into payloads', async () => {
  const path = scratchFile();
  const store = await openScratch(path);
  await store.append([anEvent({ id: 'bad' }), anEvent({ id: 'good' })]);
  withDatabase(path, (db) => {
    db.exec(
      "DROP TRIGGER gateway_events_no_update; UPDATE gateway_events SET payload = '{' WHERE id = 'bad'",
    );
  });
  const found = await store.query({ tool_name: 'customer.invoice_total' });
  expect(found.map(({ id }) => id)).toEqual(['good']);
});

test('two stores on one file write one chain and share the claims', async () => {
  const path = scratchFile();
  const [one, two] = await Promise.all([openScratch(path), openScratch(path)]);
  const claims = Array.from({ length: 100 }, (_, index) => ({ id: `id-${index}`, expires_at: 1e13 }));
  const admit = (store: typeof one) => Promise.all(claims.map((claim) => store.admit(claim, [anEvent()])));
  const [first, second] = await Promise.all([admit(one), admit(two)]);
  for (const index of claims.keys())
    expect([first[index], second[index]].sort()).toEqual(['admitted', 'replayed']);
  const events = await collect(one.scan());
  expect(new Set(events.map((event) => event.writer)).size).toBe(1);
  expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  await expectSound(two);
});

function overwrite(path: string, position: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from(text), 0, undefined, position);
  closeSync(file);
}
