/** What an operator does with a store beside running gateways: bring it up to date, look whether it is sound, keep a copy. */

import { checkPostgres, migratePostgres } from './postgres-care.ts';
import { backupSqlite, checkSqlite, migrateSqlite } from './sqlite-care.ts';
import { transfer } from './transfer.ts';
import { sqlitePath } from './url.ts';

export interface Migrated {
  /** Version of the schema before and after; 0: there were no tables. */
  readonly from: number;
  readonly to: number;
}

export interface Checked {
  /** What has to be mended; empty: the store is sound. */
  readonly problems: readonly string[];
  /** What an operator may want to know. */
  readonly facts: readonly string[];
}

/** Rejects with StoreOpenError. */
export function migrateStore(url: string): Promise<Migrated> {
  const path = sqlitePath(url);
  return path === null ? migratePostgres(url) : migrateSqlite(path);
}

/** Looks at the store itself, not at the chains (`audit verify`). Rejects with StoreOpenError when it cannot be looked at. */
export function checkStore(url: string): Promise<Checked> {
  const path = sqlitePath(url);
  return path === null ? checkPostgres(url) : checkSqlite(path);
}

/** Writes the store as it is now into a new SQLite file. Rejects with StoreOpenError. */
export async function backupStore(url: string, file: string): Promise<void> {
  const path = sqlitePath(url);
  if (path === null) await transfer(url, `sqlite://${file}`);
  else await backupSqlite(path, file);
}
