/**
 * The second part of `make bench`: signed calls on Postgres, which commits to the disk. Beside the floor with one
 * insert of many rows; with one, two and four gateways; and what each limit costs. Prints tables, writes
 * bench-postgres.json, gates nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { createKey, type Key } from './envelopes.ts';
import type { RoundResult } from './load.ts';
import {
  type LoadGenerator,
  startFloor,
  startGateway,
  startLoadGenerator,
  startUpstream,
  type Target,
} from './processes.ts';
import { type GatewaySetup, TENANT, writeGateway } from './setup.ts';
import { table } from './table.ts';

const ROUNDS = 5;
const ROUND_CALLS: readonly (readonly [connections: number, calls: number])[] = [
  [1, 300],
  [32, 1_000],
  [256, 1_000],
];
/** In parts: what is signed has to be sent within half a minute. */
const WARM_UP_CALLS = 1_000;
const WARM_UPS = 4;
const PROCESSES = [1, 2, 4];
const LIMITS: readonly NonNullable<GatewaySetup['limits']>[] = [
  'none',
  'capability',
  'capability and tenant',
];

interface Keys {
  readonly issuer: Key;
  readonly agent: Key;
}

interface Bench {
  readonly postgres: PostgresServer;
  readonly upstream: string;
  readonly load: LoadGenerator;
  readonly keys: Keys;
  readonly dir: string;
  readonly sql: pg.Client;
}

interface Measured {
  readonly what: string;
  readonly connections: number;
  readonly calls_per_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Transactions that the database committed for one call, those of upkeep among them. */
  readonly commits_per_call: number;
}

async function measure(
  bench: Bench,
  what: string,
  targets: readonly Target[],
  options: { readonly tenant?: string } = {},
): Promise<Measured[]> {
  const { load, keys } = bench;
  const urls = targets.map(({ url }) => url);
  const run = (connections: number, calls: number): Promise<RoundResult> =>
    load.run({ urls, connections, calls, ...keys, ...options });
  for (let part = 0; part < WARM_UPS; part += 1) await run(32, WARM_UP_CALLS);
  const measured: Measured[] = [];
  for (const [connections, calls] of ROUND_CALLS) {
    if (connections < urls.length) continue;
    const before = await commits(bench);
    const rounds: RoundResult[] = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await run(connections, calls));
    const made = (await commits(bench)) - before;
    const latencies = rounds.flatMap(({ latencies_ms }) => latencies_ms).sort((a, b) => a - b);
    const elapsed = rounds.reduce((sum, { elapsed_ms }) => sum + elapsed_ms, 0);
    const quantile = (q: number): number => rounded(latencies[Math.floor((latencies.length - 1) * q)] ?? 0);
    measured.push({
      what,
      connections,
      calls_per_second: Math.round((latencies.length / elapsed) * 1000),
      p50_ms: quantile(0.5),
      p99_ms: quantile(0.99),
      commits_per_call: rounded(made / latencies.length),
    });
  }
  return measured;
}

async function commits({ sql }: Bench): Promise<number> {
  // Sessions report what they have done once a second at most.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const { rows } = await sql.query(
    `SELECT sum(xact_commit)::float8 AS commits FROM pg_stat_database WHERE datname LIKE 'bench%'`,
  );
  return rows[0].commits as number;
}

async function withGateways(
  bench: Bench,
  count: number,
  limits: NonNullable<GatewaySetup['limits']>,
  use: (gateways: readonly Target[]) => Promise<Measured[]>,
): Promise<Measured[]> {
  const { postgres, upstream, keys, dir, sql } = bench;
  const name = `bench_${Math.random().toString(36).slice(2)}`;
  await sql.query(`CREATE DATABASE ${name}`);
  const home = mkdtempSync(join(dir, 'gateway-'));
  writeGateway(home, upstream, keys.issuer, keys.agent, { database: postgres.urlOf(name), limits });
  const gateways: Target[] = [];
  try {
    for (let index = 0; index < count; index += 1) gateways.push(await startGateway(home));
    return await use(gateways);
  } finally {
    for (const gateway of gateways) await gateway.stop();
    await sql.query(`DROP DATABASE ${name}`);
  }
}

async function floor(bench: Bench): Promise<Measured[]> {
  const { postgres, upstream, keys, sql } = bench;
  await sql.query('CREATE DATABASE bench_floor');
  const target = await startFloor({ upstream, database: postgres.urlOf('bench_floor'), ...keys });
  try {
    return await measure(bench, 'floor', [target]);
  } finally {
    await target.stop();
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function print(title: string, rows: readonly Measured[]): void {
  console.log(`\n${title}\n`);
  table([
    ['', 'connections', 'calls/s', 'p50 ms', 'p99 ms', 'commits a call'],
    ...rows.map((row) => [
      row.what,
      row.connections,
      row.calls_per_second,
      row.p50_ms,
      row.p99_ms,
      row.commits_per_call,
    ]),
  ]);
}

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-bench-'));
  const keys = { issuer: createKey(), agent: createKey() };
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const postgres = await startPostgres({ durable: true, settings: { shared_buffers: '256MB' } });
    closers.push(() => postgres.close());
    const upstream = await startUpstream();
    closers.push(() => upstream.stop());
    const load = await startLoadGenerator();
    closers.push(() => load.stop());
    const sql = new pg.Client(postgres.url);
    await sql.connect();
    closers.push(() => sql.end());
    const bench: Bench = { postgres, upstream: upstream.url, load, keys, dir, sql };

    const processes = await floor(bench);
    for (const count of PROCESSES) {
      const what = count === 1 ? '1 gateway' : `${count} gateways`;
      const measured = await withGateways(bench, count, 'capability', (gateways) =>
        measure(bench, what, gateways),
      );
      processes.push(...measured);
    }
    print('Signed calls on Postgres', processes);

    const limits: Measured[] = [];
    for (const limit of LIMITS) {
      const tenant = limit === 'capability and tenant' ? { tenant: TENANT } : {};
      const measured = await withGateways(bench, 2, limit, (gateways) =>
        measure(bench, `limits: ${limit}`, gateways, tenant),
      );
      limits.push(...measured);
    }
    print('What a limit costs, two gateways', limits);
    console.log(`
Load generator, upstream, Postgres and gateways share ${availableParallelism()} cores: more gateways are more work for
the same cores here, and show that they do not stand in each other's way.`);
    const machine = { node: process.version, arch: process.arch, cores: availableParallelism() };
    writeFileSync('bench-postgres.json', `${JSON.stringify({ machine, processes, limits }, null, 2)}\n`);
  } finally {
    for (const closer of closers.reverse()) await closer();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
