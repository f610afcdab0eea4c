/** Care for a SQLite file, also beside a running gateway. */
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Checked, Migrated } from './care.ts';
import { SQLITE_MIGRATIONS } from './migrations/sqlite.ts';
import { closeCleanly, openForReading, openForWriting, versionOf } from './sqlite-file.ts';
import { StoreOpenError } from './store.ts';

export async function migrateSqlite(path: string): Promise<Migrated> {
  const to = SQLITE_MIGRATIONS.length;
  const from = versionOf(path);
  // One that is up to date is left alone: a gateway may have it open.
  if (from < to) {
    closeCleanly(openForWriting(path, { must_exist: false, max_pages: null, busy_timeout_ms: null }).db);
  }
  return { from, to };
}

export async function checkSqlite(path: string): Promise<Checked> {
  const db = openForReading(path);
  try {
    const found = db.pragma('integrity_check(20)') as { integrity_check: string }[];
    const problems = found.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    const count = (table: string): unknown => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
    const bytes =
      Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
    const facts = [
      `schema version ${SQLITE_MIGRATIONS.length}`,
      `${count('gateway_events')} events, ${count('replay_ids')} replay ids, ${count('sessions')} sessions`,
      `${Math.ceil(bytes / 1024 / 1024)} MiB`,
    ];
    return { problems, facts };
  } finally {
    db.close();
  }
}

export async function backupSqlite(path: string, file: string): Promise<void> {
  const target = resolve(file);
  if (existsSync(target)) {
    throw new StoreOpenError('unavailable', `${target} is there already; name a file that is not`);
  }
  const db = openForReading(path);
  try {
    await db.backup(target);
    chmodSync(target, 0o600);
  } catch (cause) {
    rmSync(target, { force: true });
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StoreOpenError('unavailable', `${target} cannot be written: ${message}`, { cause });
  } finally {
    db.close();
  }
}
