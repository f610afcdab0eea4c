/** Opens the database file of the SQLite store: makes it, checks that it is one, brings its schema up to date. */
import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { newId } from '../ids.ts';
import { SQLITE_MIGRATIONS } from './migrations/sqlite.ts';
import { type OpenFailure, StoreOpenError } from './store.ts';

/** "SEAL" in the file's header: tells our databases from others. */
const APPLICATION_ID = 0x5345414c;
const BUSY_TIMEOUT_MS = 5_000;
/** Pages in the log before it is moved into the database: 16 MiB; a sixth more commits than with the default 1,000. */
const CHECKPOINT_PAGES = 4_000;
/** The log is cut back to this after a checkpoint, so that one burst does not keep the disk for good. */
const JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024;

export interface OpenedFile {
  readonly db: Database.Database;
  /** The database's own id, which its chain of events carries. */
  readonly writer: string;
  /** For the operator's log. */
  readonly warnings: string[];
}

export interface FileOptions {
  /** Do not make the file when it is not there: a trail that vanished must not be begun anew in silence. */
  readonly must_exist: boolean;
  /** Largest size of the database in pages of 4 KiB. */
  readonly max_pages: number | null;
  /** Milliseconds to wait for a lock of another process; null: five seconds. */
  readonly busy_timeout_ms: number | null;
}

/** For writing: one connection per process. Throws {@link StoreOpenError}. */
export function openForWriting(file: string, options: FileOptions): OpenedFile {
  return opening(file, (path) => {
    if (options.must_exist) mustExist(path);
    else createFile(path);
    const db = new Database(path, {
      fileMustExist: true,
      timeout: options.busy_timeout_ms ?? BUSY_TIMEOUT_MS,
    });
    return closingOnError(db, () => {
      const version = checkIdentity(db, path);
      if (db.pragma('journal_mode = WAL', { simple: true }) !== 'wal') {
        throw new StoreOpenError('unavailable', `${path} is on a file system without write-ahead logging`);
      }
      db.pragma('synchronous = FULL');
      db.pragma('foreign_keys = ON');
      db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      db.pragma(`journal_size_limit = ${JOURNAL_SIZE_LIMIT}`);
      const warnings = permissionWarnings(path);
      if (version > 0) warnings.push(...checkAfterCrash(db, path));
      const writer = migrate(db, path);
      if (options.max_pages !== null) db.pragma(`max_page_count = ${options.max_pages}`);
      return { db, writer, warnings };
    });
  });
}

/** For reading only, also beside a running gateway. Throws {@link StoreOpenError}. */
export function openForReading(file: string): Database.Database {
  return opening(file, (path) => {
    mustExist(path);
    const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    return closingOnError(db, () => {
      const version = checkIdentity(db, path);
      if (version === 0)
        throw new StoreOpenError('not_a_database', `${path} is empty: no gateway has used it yet`);
      if (version < SQLITE_MIGRATIONS.length) {
        const message = `${path} has schema version ${version}, this program reads ${SQLITE_MIGRATIONS.length}: start the gateway once to bring it up to date`;
        throw new StoreOpenError('schema', message);
      }
      return db;
    });
  });
}

/** The version of the schema of a file; 0 when it is empty or not there. Throws {@link StoreOpenError}. */
export function versionOf(file: string): number {
  return opening(file, (path) => {
    if (!existsSync(path)) return 0;
    const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    try {
      return checkIdentity(db, path);
    } finally {
      db.close();
    }
  });
}

/** Marks the end of a clean run, moves the log into the database and closes it. */
export function closeCleanly(db: Database.Database): void {
  setMeta(db, 'clean_shutdown', '1');
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

function mustExist(path: string): void {
  if (!existsSync(path)) throw new StoreOpenError('missing', `there is no database ${path}`);
}

function createFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Never open and close one that is there: that would drop the locks this process holds on it (POSIX).
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
}

/** The schema's version, 0 for an empty file. Reads only, so that a foreign database stays as it was. */
function checkIdentity(db: Database.Database, path: string): number {
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (tables === 0) return 0;
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new StoreOpenError('not_a_database', `${path} is a database of another program`);
  }
  const version = Number(getMeta(db, 'schema_version'));
  if (version > SQLITE_MIGRATIONS.length) {
    const message = `${path} has schema version ${version}, this program knows ${SQLITE_MIGRATIONS.length}: a newer gateway has used it; run that one or restore an older backup`;
    throw new StoreOpenError('schema', message);
  }
  return version;
}

/** Brings the schema up to date; returns the database's writer id. */
function migrate(db: Database.Database, path: string): string {
  const run = db.transaction(() => {
    // Again, under the lock: another process may have been faster.
    const version = checkIdentity(db, path);
    for (const sql of SQLITE_MIGRATIONS.slice(version)) db.exec(sql);
    if (version === 0) {
      db.pragma(`application_id = ${APPLICATION_ID}`);
      setMeta(db, 'writer', newId());
    }
    setMeta(db, 'schema_version', String(SQLITE_MIGRATIONS.length));
    setMeta(db, 'clean_shutdown', '0');
  });
  run.immediate();
  return getMeta(db, 'writer');
}

function checkAfterCrash(db: Database.Database, path: string): string[] {
  if (getMeta(db, 'clean_shutdown') === '1') return [];
  const result = db.pragma('quick_check(1)', { simple: true });
  if (result !== 'ok') {
    const message = `${path} is damaged (${String(result)}): restore a backup, or move it aside to begin a new trail`;
    throw new StoreOpenError('corrupt', message);
  }
  return [
    'the last run did not end cleanly, or another gateway uses this database (then over the same manifests, and each counts rate limits by itself); it was checked and is sound',
  ];
}

function permissionWarnings(path: string): string[] {
  const mode = statSync(path).mode & 0o777;
  return mode & 0o007
    ? [`the database can be used by every user of this machine (mode ${mode.toString(8)})`]
    : [];
}

function getMeta(db: Database.Database, key: string): string {
  return String(db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(key));
}

function setMeta(db: Database.Database, key: string, value: string): void {
  db.prepare(
    'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  ).run(key, value);
}

function closingOnError<T>(db: Database.Database, use: () => T): T {
  try {
    return use();
  } catch (error) {
    db.close();
    throw error;
  }
}

function opening<T>(file: string, open: (path: string) => T): T {
  // Absolute, so that no name is taken for a URI.
  const path = resolve(file);
  try {
    return open(path);
  } catch (error) {
    throw error instanceof StoreOpenError ? error : explain(error, path);
  }
}

function explain(cause: unknown, path: string): StoreOpenError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const [reason, text]: [OpenFailure, string] =
    code === 'SQLITE_NOTADB'
      ? ['not_a_database', 'is not a SQLite database']
      : code.startsWith('SQLITE_CORRUPT')
        ? ['corrupt', 'is damaged: restore a backup, or move it aside to begin a new trail']
        : ['unavailable', `cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`];
  return new StoreOpenError(reason, `${path} ${text}`, { cause });
}
