/**
 * Commits a second of the SQLite store beside a floor measured in the same run: bare better-sqlite3 in a loop.
 * `node test/store/commits.bench.ts [directory]` prints a table; it gates nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import Database from 'better-sqlite3';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { anEvent } from './events.ts';

const SECONDS = 3;
const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'seal-bench-'));

interface Result {
  readonly what: string;
  readonly per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly loop_p99_ms: number;
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

async function measure(
  what: string,
  callers: number,
  one: () => Promise<unknown> | unknown,
): Promise<Result> {
  const latencies: number[] = [];
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const start = performance.now();
  const end = start + SECONDS * 1000;
  loop.enable();
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      const from = performance.now();
      await one();
      latencies.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  loop.disable();
  const elapsed = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  const round = (ms: number): number => Math.round(ms * 1000) / 1000;
  return {
    what,
    per_second: Math.round(latencies.length / elapsed),
    p50_ms: round(quantile(latencies, 0.5)),
    p99_ms: round(quantile(latencies, 0.99)),
    loop_p99_ms: round(loop.percentile(99) / 1e6),
  };
}

function bareLoop(): () => void {
  const db = new Database(join(directory, 'bare.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE events (id TEXT PRIMARY KEY, payload TEXT)');
  const insert = db.prepare('INSERT INTO events VALUES (?, ?)');
  return () => {
    const event = anEvent();
    insert.run(event.id, JSON.stringify(event.payload));
  };
}

const results: Result[] = [await measure('bare better-sqlite3, one row a commit', 1, bareLoop())];
const store = await openSqliteStore({ path: join(directory, 'store.db'), clock: systemClock });
for (const callers of [1, 32, 256]) {
  results.push(await measure(`append, ${callers} callers`, callers, () => store.append([anEvent()])));
}
for (const callers of [1, 32, 256]) {
  const admit = () => store.admit({ id: newId(), expires_at: 4e12 }, [anEvent()]);
  results.push(await measure(`admit, ${callers} callers`, callers, admit));
}
await store.close();
rmSync(directory, { recursive: true });
console.table(results);
