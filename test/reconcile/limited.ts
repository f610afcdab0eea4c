/** Run by watch.test.ts where next to nothing may be watched: prints how a change becomes live all the same. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import type { Log } from '../../src/log.ts';
import { createGit } from '../../src/reconcile/git.ts';
import { startReconciler } from '../../src/reconcile/reconcile.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { createHolder } from '../../src/snapshot/holder.ts';

const [dir = '', text = ''] = process.argv.slice(2);
const lines: string[] = [];
const log = { debug() {}, info() {}, error() {}, warn: (_facts: unknown, line: string) => lines.push(line) };
const holder = createHolder();
const reconciler = await startReconciler({
  source: directorySource(dir, createGit({ env: process.env })),
  dir,
  watch: 'auto',
  resync_seconds: 3_600,
  policy: 'keep-last-good',
  allow_prune: false,
  holder,
  store: {
    append: async () => {},
    loadLastGood: async () => ({ rows: [], contents: new Map() }),
    saveLastGood: async () => {},
  },
  fetchDocument: () => Promise.reject(new Error('nothing is fetched here')),
  clock: systemClock,
  log: log as unknown as Log,
  newId,
});
await sleep(200);
const { watch } = reconciler.status();
writeFileSync(join(dir, 'more.yaml'), text);
const began = performance.now();
while (holder.current()?.tenants.size === 0 && performance.now() - began < 10_000) await sleep(10);
const live = holder.current()?.tenants.size;
await reconciler.close();
console.log(JSON.stringify({ watch, lines, live }));
