/** A directory for one test, and SQLite stores in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Log } from '../../src/log.ts';
import { openSqliteStore, type SqliteOptions } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';

/** Path of a database file that is not there yet; its directory is removed after the test. */
export function scratchFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'seal-store-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'data', 'gateway.db');
}

/** A store that is closed after the test. */
export async function openScratch(path: string, options: Partial<SqliteOptions> = {}): Promise<Store> {
  const store = await openSqliteStore({ path, clock: systemClock, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Works on the file with plain SQL, as somebody with a shell would. */
export function withDatabase<T>(path: string, use: (db: Database.Database) => T): T {
  const db = new Database(path, { fileMustExist: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** Collects the messages of a log by level. */
export function capturedLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (first: unknown, message?: string): void => {
      lines.push(`${level} ${typeof first === 'string' ? first : message}`);
    };
  return {
    lines,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } as Log,
  };
}
