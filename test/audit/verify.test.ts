import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { GENESIS, hashEvent } from '../../src/audit/chain.ts';
import type { ChainedEvent } from '../../src/audit/event.ts';
import { type Anchor, MAX_PROBLEMS, type Verification, verifyChain } from '../../src/audit/verify.ts';
import { systemClock } from '../../src/clock.ts';
import { openSqliteReader, openSqliteStore } from '../../src/store/sqlite.ts';
import { anEvent, collect } from '../store/events.ts';
import { openScratch, scratchFile, withDatabase } from '../store/scratch.ts';

/** A trail of twenty events, which each test gets a copy of. */
const directory = mkdtempSync(join(tmpdir(), 'seal-verify-'));
const original = join(directory, 'gateway.db');
let path: string;

beforeAll(async () => {
  const store = await openSqliteStore({ path: original, clock: systemClock });
  await store.append(Array.from({ length: 20 }, (_, index) => anEvent({ payload: { index } })));
  await store.close();
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  path = scratchFile();
  mkdirSync(dirname(path));
  copyFileSync(original, path);
});

/** Changes the trail as somebody with the file could. */
function tamper(change: (db: Database) => void): void {
  withDatabase(path, (db) => {
    for (const name of ['no_update', 'no_delete', 'no_replace'])
      db.exec(`DROP TRIGGER gateway_events_${name}`);
    change(db);
  });
}

async function verify(anchors: Anchor[] = []): Promise<Verification> {
  const reader = await openSqliteReader({ path });
  onTestFinished(() => reader.close());
  return verifyChain(reader.scan(), anchors);
}

async function found(anchors: Anchor[] = []): Promise<string[]> {
  return (await verify(anchors)).problems.map(({ seq, kind }) => `${seq} ${kind}`);
}

test('an untouched trail has no problem', async () => {
  expect(await found()).toEqual([]);
});

test.each([
  ['id', `'other'`],
  ['event_type', `'ToolCallRejected'`],
  ['execution_id', `'exec-2'`],
  ['execution_id', 'NULL'],
  ['tenant_id', `'bolt'`],
  ['revision', `''`],
  ['payload', `'{"index":8}'`],
  ['payload', `'{"index": 7}'`],
  ['payload', `'{"index":8,"index":7}'`],
  ['payload', `'not JSON'`],
  ['payload', `'null'`],
  ['created_at', `'2026-02-17T14:32:01.584Z'`],
  ['prev_hash', `'${GENESIS}'`],
])('a changed %s is found (%s)', async (column, value) => {
  tamper((db) => db.exec(`UPDATE gateway_events SET ${column} = ${value} WHERE seq = 8`));
  expect(await found()).toContain('8 hash_mismatch');
});

test('a changed hash is found at both of its ends', async () => {
  tamper((db) => db.exec(`UPDATE gateway_events SET hash = '${'f'.repeat(64)}' WHERE seq = 8`));
  expect(await found()).toEqual(['8 hash_mismatch', '9 broken_link']);
});

test('a row that was changed and hashed again breaks the link of the next', async () => {
  tamper((db) => {
    const event = row(db, 8);
    const forged = { ...event, payload_text: '{"index":70}' };
    db.prepare('UPDATE gateway_events SET payload = ?, hash = ? WHERE seq = 8').run(
      forged.payload_text,
      hashEvent(forged),
    );
  });
  expect(await found()).toEqual(['9 broken_link']);
});

test.each([
  ['in the middle', 'seq = 8', ['9 gap']],
  ['several', 'seq BETWEEN 8 AND 11', ['12 gap']],
  ['the first', 'seq = 1', ['2 gap']],
])('a removed row is found: %s', async (_, where, problems) => {
  tamper((db) => db.exec(`DELETE FROM gateway_events WHERE ${where}`));
  expect(await found()).toEqual(problems);
});

test('a removed row is found although the later ones were numbered anew', async () => {
  tamper((db) => {
    db.exec('DELETE FROM gateway_events WHERE seq = 8');
    for (let seq = 9; seq <= 20; seq++)
      db.exec(`UPDATE gateway_events SET seq = ${seq - 1} WHERE seq = ${seq}`);
  });
  const problems = await found();
  expect(problems).toContain('8 broken_link');
  expect(problems.filter((problem) => problem.endsWith('hash_mismatch'))).toHaveLength(12);
});

test('an inserted row is found', async () => {
  tamper((db) => {
    for (let seq = 20; seq >= 8; seq--)
      db.exec(`UPDATE gateway_events SET seq = ${seq + 1} WHERE seq = ${seq}`);
    const before = row(db, 7);
    const forged = { ...before, id: 'forged', seq: 8, prev_hash: before.hash };
    insert(db, { ...forged, hash: hashEvent(forged) });
  });
  const problems = await found();
  expect(problems).not.toContain('8 hash_mismatch');
  expect(problems).toContain('9 broken_link');
});

test('swapped rows are found: their payloads, and their places', async () => {
  tamper((db) => {
    db.exec(`UPDATE gateway_events SET payload = CASE seq WHEN 4 THEN '{"index":4}' ELSE '{"index":3}' END
      WHERE seq IN (4, 5)`);
  });
  expect(await found()).toEqual(['4 hash_mismatch', '5 hash_mismatch']);

  tamperAgain((db) => {
    db.exec(`UPDATE gateway_events SET seq = 99 WHERE seq = 10;
      UPDATE gateway_events SET seq = 10 WHERE seq = 11;
      UPDATE gateway_events SET seq = 11 WHERE seq = 99;`);
  });
  expect(await found()).toEqual(
    expect.arrayContaining(['10 hash_mismatch', '10 broken_link', '11 hash_mismatch']),
  );
});

test('an end that was cut off is found with the head noted earlier', async () => {
  const [head] = (await verify()).writers;
  const anchor = { writer: head?.writer ?? '', seq: 20, hash: head?.head_hash ?? '' };
  expect(await found([anchor])).toEqual([]);
  tamper((db) => db.exec('DELETE FROM gateway_events WHERE seq > 18'));
  expect(await found()).toEqual([]);
  expect(await found([anchor])).toEqual(['20 anchor_missing']);

  // As well when the store has written on since.
  const store = await openScratch(path);
  await store.append([anEvent(), anEvent(), anEvent()]);
  await store.close();
  expect(await found()).toEqual([]);
  expect(await found([anchor])).toEqual(['20 anchor_missing']);
});

test('a second row of the same number cannot hide, not even at the edge of a page', async () => {
  const store = await openScratch(path);
  await store.append(Array.from({ length: 580 }, () => anEvent()));
  await store.close();
  tamper((db) => {
    const event = row(db, 500);
    // Only a table without its constraint can hold it.
    db.exec(`CREATE TABLE loose AS SELECT * FROM gateway_events; DROP TABLE gateway_events;
      ALTER TABLE loose RENAME TO gateway_events`);
    insert(db, { ...event, id: 'twin' });
    db.exec(`UPDATE gateway_events SET position = 9000 WHERE id = 'twin'`);
  });
  expect(await found()).toEqual(['500 hash_mismatch', '500 out_of_order']);
});

test('each writer has its own chain', async () => {
  const link = (writer: string, seq: number, prev_hash: string): ChainedEvent => {
    const event = { ...anEvent(), writer, seq, prev_hash, payload_text: '{}' };
    return { ...event, hash: hashEvent(event) };
  };
  const a1 = link('a', 1, GENESIS);
  const a2 = link('a', 2, a1.hash);
  const b1 = link('b', 1, GENESIS);
  const b2 = link('b', 2, a2.hash);
  const result = await verifyChain(stream([a1, b1, a2, b2]));
  expect(result.problems).toEqual([
    expect.objectContaining({ writer: 'b', seq: 2, kind: 'broken_link', message: expect.any(String) }),
  ]);
  expect(result.writers).toEqual([
    { writer: 'a', events: 2, head_hash: a2.hash, first_seq: 1, last_seq: 2 },
    { writer: 'b', events: 2, head_hash: b2.hash, first_seq: 1, last_seq: 2 },
  ]);
});

test('problems are listed up to a limit and counted beyond', async () => {
  async function* broken(): AsyncIterable<ChainedEvent> {
    for (let seq = 2; seq < 2 * MAX_PROBLEMS; seq += 2) {
      const event = { ...anEvent(), writer: 'a', seq, prev_hash: GENESIS, payload_text: '{}' };
      yield { ...event, hash: hashEvent(event) };
    }
  }
  const result = await verifyChain(broken(), [
    { writer: 'c', seq: 1, hash: 'x' },
    { writer: 'c', seq: 2, hash: 'x' },
  ]);
  expect(result.problems).toHaveLength(MAX_PROBLEMS);
  expect(result.problems_left_out).toBe(1);
  expect((await verifyChain(broken())).problems[0]).toMatchObject({ seq: 2, message: 'event 1 is missing' });
});

/** As {@link tamper}, in a trail without triggers. */
function tamperAgain(change: (db: Database) => void): void {
  withDatabase(path, change);
}

type Row = Omit<ChainedEvent, 'payload'>;

function row(db: Database, seq: number): Row {
  const { payload, ...event } = db
    .prepare<[number], Omit<Row, 'payload_text'> & { payload: string }>(
      `SELECT id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, seq, prev_hash, hash
       FROM gateway_events WHERE seq = ?`,
    )
    .get(seq) as Omit<Row, 'payload_text'> & { payload: string };
  return { ...event, payload_text: payload };
}

function insert(db: Database, event: Row): void {
  db.prepare(
    `INSERT INTO gateway_events (id, event_type, execution_id, tenant_id, revision, payload, created_at, writer,
       seq, prev_hash, hash)
     VALUES (@id, @event_type, @execution_id, @tenant_id, @revision, @payload_text, @created_at, @writer, @seq,
       @prev_hash, @hash)`,
  ).run(event);
}

async function* stream<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

test('the scan itself does not stop at what it cannot read', async () => {
  tamper((db) => db.exec(`UPDATE gateway_events SET payload = '[1' WHERE seq = 8`));
  const reader = await openSqliteReader({ path });
  onTestFinished(() => reader.close());
  expect((await collect(reader.scan()))[7]?.payload).toEqual({ unreadable: '[1' });
  expect(await reader.query({ limit: 20 })).toHaveLength(20);
});
