/** Applies units to the database, one transaction a batch. Runs in the writer thread. */
import { statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { GENESIS } from '../audit/chain.ts';
import { type EventRow, hashRow, rowOf } from './event-row.ts';
import { prepareSessions } from './sqlite-sessions.ts';
import { prepareTrim } from './sqlite-trim.ts';
import type { Outcome, Unit } from './sqlite-units.ts';
import { trimmed } from './trim.ts';

interface Head {
  seq: number;
  hash: string;
}

export interface Ledger {
  /**
   * Commits the units in order and answers with one outcome each; a unit that cannot be done leaves no trace
   * and does not disturb the others. Throws when nothing of it could be committed.
   */
  commit(units: readonly Unit[]): Outcome[];
}

export function createLedger(db: Database, writer: string): Ledger {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT unit');
  const undo = db.prepare('ROLLBACK TO unit');
  const release = db.prepare('RELEASE unit');
  const readHead = db.prepare<[string], Head>(
    'SELECT seq, hash FROM gateway_events WHERE writer = ? ORDER BY seq DESC LIMIT 1',
  );
  const claim = db.prepare<[string, number]>(
    'INSERT INTO replay_ids (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const purge = db.prepare<[number, number]>(
    'DELETE FROM replay_ids WHERE id IN (SELECT id FROM replay_ids WHERE expires_at < ? LIMIT ?)',
  );
  // For one row FAIL is ABORT without a journal of the statement; all of its triggers have to be so too.
  const insert = db.prepare<unknown[]>(
    `INSERT OR FAIL INTO gateway_events (id, event_type, execution_id, tenant_id, revision, payload, created_at,
       writer, seq, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const keep = prepareKeep(db);
  // OpenBao's ids are unique; the same one again is the same lease, used longer.
  const noteLease = db.prepare<[string, string | null, string, number]>(
    `INSERT INTO credential_leases (lease_id, namespace, holder, in_use_until) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET holder = excluded.holder, in_use_until = excluded.in_use_until`,
  );
  const forgetLease = db.prepare<[string]>('DELETE FROM credential_leases WHERE lease_id = ?');
  const sessions = prepareSessions(db);
  const trimmer = prepareTrim(db);
  const unmoved = watchFile(db.name);

  const write = (rows: readonly EventRow[], head: Head): number => {
    for (const row of rows) {
      const seq = head.seq + 1;
      const prev_hash = head.hash;
      const hash = hashRow(row, writer, seq, prev_hash);
      insert.run(...row, writer, seq, prev_hash, hash);
      head.seq = seq;
      head.hash = hash;
    }
    return rows.length;
  };

  const apply = (unit: Unit, head: Head): number => {
    switch (unit.kind) {
      case 'append':
        return write(unit.events, head);
      case 'admit': {
        const free = claim.run(unit.id, unit.expires_at).changes;
        if (free === 1) write(unit.events, head);
        return free;
      }
      case 'purge':
        return purge.run(unit.before, unit.limit).changes;
      case 'keep':
        return keep(unit);
      case 'note_lease': {
        const { lease_id, namespace, holder, in_use_until } = unit.lease;
        return noteLease.run(lease_id, namespace, holder, in_use_until).changes;
      }
      case 'forget_lease':
        return forgetLease.run(unit.lease_id).changes;
      case 'save_session': {
        const saved = sessions.save(unit.session, unit.now);
        if (saved < 2) write(unit.events, head);
        return saved;
      }
      case 'revoke_session': {
        const revoked = sessions.revoke(unit.execution_id, unit.now);
        if (revoked === 1) write(unit.events, head);
        return revoked;
      }
      case 'mark_trim': {
        const starts = trimmer.mark(unit.before);
        return starts === null ? 0 : write([rowOf(trimmed(unit.now, unit.before, starts))], head);
      }
      case 'trim':
        return trimmer.forget(unit.limit);
    }
  };

  const applyAlone = (unit: Unit, head: Head): Outcome => {
    const before = { ...head };
    savepoint.run();
    try {
      const outcome = apply(unit, head);
      release.run();
      return outcome;
    } catch (error) {
      if (!isFaultOfUnit(error)) throw error;
      undo.run();
      release.run();
      Object.assign(head, before);
      return error instanceof Error ? error.message : String(error);
    }
  };

  const transaction = (units: readonly Unit[], one: (unit: Unit, head: Head) => Outcome): Outcome[] => {
    // Only when an earlier rollback failed with the disk.
    if (db.inTransaction) rollback.run();
    begin.run();
    try {
      // Read here each time: another process may write to the same file, and one chain must not fork.
      const head = { ...(readHead.get(writer) ?? { seq: 0, hash: GENESIS }) };
      const outcomes = units.map((unit) => one(unit, head));
      commit.run();
      return outcomes;
    } catch (error) {
      if (db.inTransaction) rollback.run();
      throw error;
    }
  };

  return {
    commit(units) {
      unmoved();
      try {
        return transaction(units, apply);
      } catch (error) {
        if (!isFaultOfUnit(error)) throw error;
        // Rare, so savepoints are paid for only then.
        return transaction(units, applyAlone);
      }
    },
  };
}

/** Rows and contents of the last good set; contents without a row go in the same transaction. */
function prepareKeep(db: Database): (unit: Extract<Unit, { kind: 'keep' }>) => number {
  const set = db.prepare<[string, string, string, string, string]>(
    `INSERT INTO last_good (key, file, digest, data, manifest) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET file = excluded.file, digest = excluded.digest, data = excluded.data,
         manifest = excluded.manifest`,
  );
  const remove = db.prepare<[string]>('DELETE FROM last_good WHERE key = ?');
  const store = db.prepare<[string, string]>(
    'INSERT INTO last_good_contents (digest, content) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const forget = db.prepare(
    `DELETE FROM last_good_contents WHERE digest NOT IN (SELECT digest FROM last_good)
       AND digest NOT IN (SELECT json_extract(d.value, '$[2]') FROM last_good, json_each(last_good.data) AS d)`,
  );
  return (unit) => {
    for (const [digest, content] of unit.contents) store.run(digest, content);
    for (const row of unit.set) set.run(...row);
    for (const key of unit.remove) remove.run(key);
    forget.run();
    return unit.set.length + unit.remove.length;
  };
}

/** A constraint, or a value that the database does not take; all else is about the database itself. */
function isFaultOfUnit(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('SQLITE_CONSTRAINT') || code === 'SQLITE_TOOBIG' || code === 'SQLITE_MISMATCH';
}

/** SQLite would go on writing to a file that was deleted: each acknowledged event would be lost. */
function watchFile(path: string): () => void {
  const opened = statSync(path);
  return () => {
    const now = statSync(path, { throwIfNoEntry: false });
    if (now === undefined || now.ino !== opened.ino || now.dev !== opened.dev) {
      throw new Error('the database file was moved, replaced or deleted while in use; restart the gateway');
    }
  };
}
