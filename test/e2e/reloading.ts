/** The program of reloads.test.ts: changes manifests in every way, again and again, and tells what memory that takes. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import { silentLog } from '../../src/log.ts';
import { createGit } from '../../src/reconcile/git.ts';
import { SMALL_FILE } from '../../src/reconcile/reading-threads.ts';
import { startReconciler } from '../../src/reconcile/reconcile.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { createHolder } from '../../src/snapshot/holder.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { manifestFiles, workflowFile, writeFiles } from '../bench/manifests.ts';

const [dir = '', reloads = '', samples = ''] = process.argv.slice(2);
const root = join(dir, 'gateway.d');
writeFiles(root, manifestFiles(100));
const store = await openSqliteStore({ path: join(dir, 'gateway.db'), clock: systemClock, log: silentLog });
const holder = createHolder();
const reconciler = await startReconciler({
  source: directorySource(root, createGit({ env: {} })),
  ...{ dir: root, watch: 'auto', resync_seconds: 3_600, policy: 'keep-last-good', allow_prune: false },
  ...{ holder, store, clock: systemClock, log: silentLog, newId, own_issuer: null },
  fetchDocument: () => Promise.reject(new Error('nothing is fetched')),
});

/** One of: a tool with a schema and templates of its own, a broken file, a document, a large file, a file that goes. */
function change(turn: number): unknown {
  const { path, text } = workflowFile('crm0', turn % 7, turn);
  const comment = `# ${'x'.repeat(SMALL_FILE)}\n`;
  const properties = `email_${turn}: {type: string}`;
  switch (turn % 6) {
    case 0:
      return writeFileSync(join(root, path), text.replaceAll(`email_${turn % 7}`, `email_${turn}`));
    case 1:
      return writeFileSync(join(root, path), text.replace('steps:', `stepz_${turn}:`));
    case 2: {
      const document = { openapi: '3.0.3', info: { title: `${turn}`, version: '1' }, paths: {}, x: comment };
      return writeFileSync(join(root, 'apis/crm0.openapi.json'), JSON.stringify({ ...document, ...PATHS }));
    }
    case 3:
      return writeFileSync(
        join(root, path),
        text.replace('steps:', `annotations_: {${properties}}\n  steps:`),
      );
    case 4:
      // Threads are started for it, now and then.
      return turn % 60 === 4
        ? writeFileSync(join(root, path), `${comment}${text}`)
        : writeFileSync(
            join(root, `more-${turn % 3}.yaml`),
            text.replaceAll('crm0.total', `more${turn}.total`),
          );
    default:
      return rmSync(join(root, `more-${turn % 3}.yaml`), { force: true });
  }
}

const PATHS = JSON.parse(
  manifestFiles(1).find(({ path }) => path.endsWith('.openapi.json'))!.text,
) as Readonly<Record<string, unknown>>;

const every = Number(reloads) / Number(samples);
for (let turn = 1; turn <= Number(reloads); turn += 1) {
  change(turn);
  await reconciler.reconcile();
  // A call, so that what is compiled at the first one is compiled.
  for (const tool of [...(holder.current()?.tools.values() ?? [])].slice(0, 3))
    if (tool.kind === 'workflow') tool.validate({});
  if (turn % every !== 0) continue;
  await sleep(50);
  for (let time = 0; time < 3; time += 1) {
    globalThis.gc?.();
    await sleep(5);
  }
  const { heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const threads = resources.filter((one) => one === 'MessagePort').length;
  const watches = resources.filter((one) => one === 'FSEventWrap').length;
  process.stdout.write(
    `${JSON.stringify({ reloads: turn, heap_bytes: heapUsed, external_bytes: external, threads, watches })}\n`,
  );
}
await reconciler.close();
await store.close();
