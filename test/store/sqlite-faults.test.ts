import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { expectSound } from './conformance.ts';
import { anEvent, collect } from './events.ts';
import { capturedLog, openScratch, scratchFile, withDatabase } from './scratch.ts';

const unavailable = expect.objectContaining({ name: 'AUDIT_UNAVAILABLE' });
const large = () => anEvent({ payload: { text: 'x'.repeat(60_000) } });

test('kill -9 in the midst of writing, twenty times: what was acknowledged is there, and the chain holds', async () => {
  const path = scratchFile();
  const acknowledged: string[] = [];
  for (let round = 0; round < 20; round++) {
    acknowledged.push(...(await runUntilKilled(path, 40 + 17 * round)));
  }
  const reader = await openSqliteReader({ path });
  const events = await collect(reader.scan());
  await expectSound(reader);
  await reader.close();

  const present = new Set(events.map((event) => `event ${event.id}`));
  withDatabase(path, (db) => {
    for (const id of db.prepare<[], string>('SELECT id FROM replay_ids').pluck().all())
      present.add(`claim ${id}`);
  });
  expect(acknowledged.length).toBeGreaterThan(20 * 40);
  expect(acknowledged.filter((line) => !present.has(line))).toEqual([]);
}, 120_000);

test('a full database refuses, and recovers by itself when there is room', async () => {
  const path = scratchFile();
  const { log, lines } = capturedLog();
  const store = await openScratch(path, { max_pages: 200, log });
  const written = await fill(store);
  await expect(store.append([large()])).rejects.toEqual(unavailable);
  await expect(store.admit({ id: 'a', expires_at: 1e13 }, [large()])).rejects.toEqual(unavailable);
  expect(await store.query({ limit: 1_000 })).toHaveLength(written);
  expect(lines.filter((line) => line.startsWith('error'))).toEqual([
    'error the audit trail cannot be written; calls are refused',
  ]);

  withDatabase(path, (db) => {
    db.exec('DROP TRIGGER gateway_events_no_delete; DELETE FROM gateway_events WHERE seq < 5');
  });
  expect(await store.admit({ id: 'a', expires_at: 1e13 }, [large()])).toBe('admitted');
  expect(lines).toContain('info the audit trail is written again');
});

test('a full disk refuses, and recovers by itself when there is room', async ({ skip }) => {
  const path = scratchFile();
  mkdirSync(dirname(path));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', dirname(path)]).status === 0;
  skip(!mounted, 'SKIPPED: a full disk cannot be had here, for mount needs root');
  onTestFinished(() => {
    spawnSync('umount', ['-l', dirname(path)]);
  });
  const store = await openScratch(path);
  onTestFinished(() => store.close());
  const ballast = join(dirname(path), 'ballast');
  writeFileSync(ballast, Buffer.alloc(2 * 1024 * 1024, 1));
  const written = await fill(store);
  expect(written).toBeGreaterThan(0);
  expect(await store.query({ limit: 1_000 })).toHaveLength(written);
  await expectSound(store);

  rmSync(ballast);
  await store.append([large()]);
  await expectSound(store);
});

test('a database that is deleted under the gateway is not written to, and not begun anew', async () => {
  const path = scratchFile();
  const store = await openScratch(path);
  await store.append([anEvent({ id: 'first' })]);
  const aside = `${path}.aside`;
  renameSync(path, aside);
  const refused = store.append([anEvent()]);
  await expect(refused).rejects.toEqual(unavailable);
  await expect(refused).rejects.toMatchObject({ cause: { message: expect.stringContaining('deleted') } });
  writeFileSync(path, '');
  await expect(store.append([anEvent()])).rejects.toEqual(unavailable);
  renameSync(aside, path);
  await store.append([anEvent({ id: 'second' })]);
  expect((await store.query({})).map((event) => event.id)).toEqual(['first', 'second']);
});

test('a lock that another process holds for too long refuses, then all is well', async () => {
  const path = scratchFile();
  const store = await openScratch(path, { busy_timeout_ms: 200 });
  const other = new Database(path);
  onTestFinished(() => {
    other.close();
  });
  other.exec('BEGIN IMMEDIATE');
  await expect(store.append([anEvent()])).rejects.toEqual(unavailable);
  other.exec('COMMIT');
  await store.append([anEvent({ id: 'later' })]);
  expect((await store.query({})).map((event) => event.id)).toEqual(['later']);
});

/** Appends until the store refuses; how many were taken. */
async function fill(store: Store): Promise<number> {
  for (let taken = 0; taken < 1_000; taken++) {
    try {
      await store.append([large()]);
    } catch (error) {
      expect(error).toEqual(unavailable);
      return taken;
    }
  }
  throw new Error('it never was full');
}

/** Starts the loop, kills it after `count` lines, and returns all the lines it got out. */
async function runUntilKilled(path: string, count: number): Promise<string[]> {
  const script = new URL('./append-loop.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === count) child.kill('SIGKILL');
  }
  // The last line may be cut off in the middle.
  const whole = /^(event|claim) [0-9a-f-]{36}$/;
  return lines.filter((line) => whole.test(line));
}
