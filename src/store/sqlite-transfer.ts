/** A whole SQLite store, read or made anew. Synchronous: these run in a program of their own, not beside calls. */
import { existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PageRow } from './event-row.ts';
import { closeCleanly, openForReading, openForWriting } from './sqlite-file.ts';
import { readSessions, sessionRow } from './sqlite-sessions.ts';
import { type LeaseNote, type ReplayClaim, type Session, StoreOpenError } from './store.ts';
import type { Kept, TransferSource, TransferTarget } from './transfer.ts';

const PAGE = 1_000;

export async function openSqliteSource(path: string): Promise<TransferSource> {
  const db = openForReading(path);
  // One view of all tables, whatever a gateway writes meanwhile.
  db.exec('BEGIN');
  return {
    async *events() {
      const page = db
        .prepare<[number, number], PageRow>(
          `SELECT position, id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, seq,
             prev_hash, hash FROM gateway_events WHERE position > ? ORDER BY position LIMIT ?`,
        )
        .raw();
      for (let rows = page.all(0, PAGE); rows.length > 0; rows = page.all(rows.at(-1)![0], PAGE)) yield rows;
    },
    async *replayIds() {
      const page = db.prepare<[string, number], ReplayClaim>(
        'SELECT id, expires_at FROM replay_ids WHERE id > ? ORDER BY id LIMIT ?',
      );
      for (let claims = page.all('', PAGE); claims.length > 0; claims = page.all(claims.at(-1)!.id, PAGE)) {
        yield claims;
      }
    },
    async kept(): Promise<Kept> {
      const all = <T>(sql: string): T[] => db.prepare<unknown[], T>(sql).all();
      const rows = all<{ key: string; file: string; digest: string; data: string; manifest: string }>(
        'SELECT key, file, digest, data, manifest FROM last_good ORDER BY key',
      );
      const contents = all<{ digest: string; content: string }>(
        'SELECT digest, content FROM last_good_contents',
      );
      const sessions: Session[] = [];
      for (let page = readSessions(db, { limit: PAGE }); page.length > 0; ) {
        sessions.push(...page);
        page = readSessions(db, { limit: PAGE, after: page.at(-1) });
      }
      return {
        sessions,
        last_good: {
          rows: rows.map((row) => ({ ...row, data: JSON.parse(row.data) })),
          contents: new Map(contents.map(({ digest, content }) => [digest, content])),
        },
        leases: all<LeaseNote>('SELECT lease_id, namespace, holder, in_use_until FROM credential_leases'),
        bindings: [],
      };
    },
    async close() {
      db.close();
    },
  };
}

/** A file that is not there yet. */
export async function openSqliteTarget(path: string): Promise<TransferTarget> {
  if (existsSync(resolve(path))) {
    throw new StoreOpenError('unavailable', `${resolve(path)} is there already; name a file that is not`);
  }
  const { db } = openForWriting(path, { must_exist: false, max_pages: null, busy_timeout_ms: null });
  db.exec('BEGIN IMMEDIATE');
  const event = db.prepare<unknown[]>(
    `INSERT INTO gateway_events (position, id, event_type, execution_id, tenant_id, revision, payload, created_at,
       writer, seq, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const replay = db.prepare<[string, number]>('INSERT INTO replay_ids (id, expires_at) VALUES (?, ?)');
  let finished = false;
  return {
    async events(rows) {
      for (const row of rows) event.run(...row);
    },
    async replayIds(claims) {
      for (const { id, expires_at } of claims) replay.run(id, expires_at);
    },
    async kept({ sessions, last_good, leases }) {
      const rows = (table: string, values: readonly (readonly unknown[])[]): void => {
        if (values.length === 0) return;
        const insert = db.prepare(`INSERT INTO ${table} VALUES (${values[0]!.map(() => '?').join(', ')})`);
        for (const one of values) insert.run(...one);
      };
      rows('sessions', sessions.map(sessionRow));
      rows(
        'last_good',
        last_good.rows.map(({ key, file, digest, data, manifest }) => [
          key,
          file,
          digest,
          JSON.stringify(data),
          manifest,
        ]),
      );
      rows('last_good_contents', [...last_good.contents]);
      rows(
        'credential_leases',
        leases.map(({ lease_id, namespace, holder, in_use_until }) => [
          lease_id,
          namespace,
          holder,
          in_use_until,
        ]),
      );
    },
    async finish(heads) {
      // A gateway that uses the file goes on with the chain, where there is one.
      const [only, ...more] = heads;
      if (only !== undefined && more.length === 0) {
        db.prepare(`UPDATE meta SET value = ? WHERE key = 'writer'`).run(only.writer);
      }
      db.exec('COMMIT');
      finished = true;
    },
    async close() {
      if (finished) return closeCleanly(db);
      db.close();
      for (const suffix of ['', '-wal', '-shm']) rmSync(resolve(path) + suffix, { force: true });
    },
  };
}
