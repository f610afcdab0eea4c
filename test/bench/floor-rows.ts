/** The floor's table: rows of one turn of the event loop are one commit, on the disk before their callers go on. */
import Database from 'better-sqlite3';
import pg from 'pg';

export interface Rows {
  insert(id: string, payload: string): Promise<void>;
}

interface Waiting {
  readonly id: string;
  readonly payload: string;
  resolve(): void;
  reject(error: unknown): void;
}

/** On the event loop: on these disks faster than a thread, whatever it does to a slow one. */
export function openRows(path: string): Rows {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('wal_autocheckpoint = 4000');
  db.exec('CREATE TABLE calls (id TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID');
  const insert = db.prepare('INSERT INTO calls VALUES (?, ?)');
  let waiting: Waiting[] = [];
  const insertAll = db.transaction((rows: Waiting[]) => {
    for (const { id, payload } of rows) insert.run(id, payload);
  });
  const commit = () => {
    const rows = waiting;
    waiting = [];
    try {
      insertAll(rows);
      for (const row of rows) row.resolve();
    } catch (error) {
      for (const row of rows) row.reject(error);
    }
  };
  return {
    insert: (id, payload) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(commit);
        waiting.push({ id, payload, resolve, reject });
      }),
  };
}

/** In Postgres: one insert of many rows, and while it is under way the next ones gather. */
export async function openPostgresRows(url: string): Promise<Rows> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS floor (id TEXT PRIMARY KEY, payload TEXT NOT NULL)');
  let waiting: Waiting[] = [];
  let busy = false;
  const commit = async (): Promise<void> => {
    busy = true;
    while (waiting.length > 0) {
      const rows = waiting;
      waiting = [];
      const values = [rows.map(({ id }) => id), rows.map(({ payload }) => payload)];
      try {
        await client.query({
          name: 'insert',
          text: 'INSERT INTO floor SELECT * FROM unnest($1::text[], $2::text[])',
          values,
        });
        for (const row of rows) row.resolve();
      } catch (error) {
        for (const row of rows) row.reject(error);
      }
    }
    busy = false;
  };
  return {
    insert: (id, payload) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0 && !busy) setImmediate(commit);
        waiting.push({ id, payload, resolve, reject });
      }),
  };
}
