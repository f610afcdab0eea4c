/** Forgets the oldest events of a SQLite trail. Runs in the writing thread. */
import type { Database } from 'better-sqlite3';
import { isoTime } from '../clock.ts';
import type { ChainStart } from './trim.ts';

export interface Trimmer {
  /**
   * Marks the events that were created before `before` as those to be forgotten, as far as they are the oldest. Resolves to
   * where the chains begin then; null: there is nothing to forget.
   */
  mark(before: number): ChainStart[] | null;
  /** Forgets so many of the marked events at most, and says how many it were. */
  forget(most: number): number;
}

export function prepareTrim(db: Database): Trimmer {
  const firstKept = db
    .prepare<[string], number>(
      'SELECT position FROM gateway_events WHERE created_at >= ? ORDER BY position LIMIT 1',
    )
    .pluck();
  const last = db.prepare<[], number | null>('SELECT max(position) FROM gateway_events').pluck();
  const first = db.prepare<[], number | null>('SELECT min(position) FROM gateway_events').pluck();
  const writers = db.prepare<[], string>('SELECT DISTINCT writer FROM gateway_events').pluck();
  const next = db.prepare<[string, number], { seq: number; hash: string }>(
    `SELECT seq - 1 AS seq, prev_hash AS hash FROM gateway_events WHERE writer = ? AND position > ? ORDER BY seq LIMIT 1`,
  );
  const head = db.prepare<[string], { seq: number; hash: string }>(
    'SELECT seq, hash FROM gateway_events WHERE writer = ? ORDER BY seq DESC LIMIT 1',
  );
  const mark = db.prepare<[string]>(
    `INSERT INTO meta (key, value) VALUES ('trimmed_through', ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
  );
  const forget = db.prepare<[number]>(
    `DELETE FROM gateway_events WHERE position IN (SELECT position FROM gateway_events
       WHERE position <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'trimmed_through') ORDER BY position LIMIT ?)`,
  );
  return {
    mark(before) {
      const through = (firstKept.get(isoTime(before)) ?? (last.get() ?? 0) + 1) - 1;
      if (through < (first.get() ?? Number.POSITIVE_INFINITY)) return null;
      mark.run(String(through));
      const starts = writers.all().map((writer) => ({
        writer,
        ...(next.get(writer, through) ?? head.get(writer)!),
      }));
      return starts.filter(({ seq }) => seq > 0);
    },
    forget: (most) => forget.run(most).changes,
  };
}
