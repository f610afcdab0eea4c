/** `node test/store/postgres-commits.bench.ts`: what commits to Postgres cost, without a gateway around them. */
import { performance } from 'node:perf_hooks';
import { startPostgres } from '../../examples/cluster/postgres.ts';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { openPostgresStore } from '../../src/store/postgres.ts';
import type { Store } from '../../src/store/store.ts';
import { table } from '../bench/table.ts';
import { anEvent } from './events.ts';

const SECONDS = 3;

async function measure(stores: readonly Store[], callers: number, work: (store: Store) => Promise<unknown>) {
  const until = performance.now() + SECONDS * 1_000;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: callers }, async (_, index) => {
      while (performance.now() < until) {
        const began = performance.now();
        await work(stores[index % stores.length]!);
        latencies.push(performance.now() - began);
      }
    }),
  );
  latencies.sort((a, b) => a - b);
  const quantile = (q: number): string => latencies[Math.floor((latencies.length - 1) * q)]!.toFixed(2);
  return [Math.round(latencies.length / SECONDS), quantile(0.5), quantile(0.99)];
}

const postgres = await startPostgres({ durable: true });
const stores = await Promise.all(
  Array.from({ length: 4 }, () => openPostgresStore({ url: postgres.url, clock: systemClock })),
);
const claim = () => ({ id: newId(), expires_at: 4e12 });
const hot = [{ key: 'tenant', calls: 1e9, per_seconds: 60 }];
const own = (store: Store) => [{ key: `agent-${stores.indexOf(store)}`, calls: 1e9, per_seconds: 60 }];
const works = {
  append: (store: Store) => store.append([anEvent()]),
  admit: (store: Store) => store.admit(claim(), [anEvent(), anEvent()]),
  'admit, a limit of its own': (store: Store) => store.admit(claim(), [anEvent(), anEvent()], own(store)),
  'admit, a limit of all': (store: Store) => store.admit(claim(), [anEvent(), anEvent()], hot),
};
const rows: (string | number)[][] = [['', 'gateways', 'callers', 'a second', 'p50 ms', 'p99 ms']];
for (const [name, work] of Object.entries(works)) {
  for (const [gateways, callers] of [
    [1, 1],
    [1, 32],
    [1, 256],
    [4, 32],
    [4, 256],
  ] as const) {
    rows.push([name, gateways, callers, ...(await measure(stores.slice(0, gateways), callers, work))]);
  }
}
table(rows);
await Promise.all(stores.map((store) => store.close()));
await postgres.close();
