import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import type { Found } from '../../src/manifest/manifest.ts';
import { readFiles } from '../../src/manifest/read-file.ts';
import { type TreeFile, treeFile } from '../../src/manifest/tree.ts';
import { createDocumentCache, indexInline } from '../../src/reconcile/document-cache.ts';
import { createReadingThreads, SMALL_FILE } from '../../src/reconcile/reading-threads.ts';
import type { PoolOptions } from '../../src/reconcile/thread-pool.ts';
import { manifestFiles } from '../bench/manifests.ts';
import { apiSpec, context, documents, OPENAPI, tenant, workflow } from '../manifest/texts.ts';
import { capturedLog } from '../store/scratch.ts';

const THREAD = new URL('../../src/reconcile/reading-thread.ts', import.meta.url).href;

/** The thread as it is, but for files of these names. */
const POISONED = `
  const { parentPort } = require('node:worker_threads');
  const on = parentPort.on.bind(parentPort);
  parentPort.on = (name, listen) => on(name, (task) => {
    const paths = (task.files ?? []).map(({ path }) => path);
    if (paths.includes('deadly.yaml')) process.exit(1);
    if (paths.includes('endless.yaml')) for (;;);
    listen(task);
  });
  import(${JSON.stringify(THREAD)});
`;

function threads(options: Partial<PoolOptions> = {}) {
  const { log, lines } = capturedLog();
  let spawned = 0;
  const { spawn = () => new Worker(POISONED, { eval: true }), ...more } = options;
  const made = createReadingThreads(log, {
    spawn() {
      spawned += 1;
      return spawn();
    },
    ...more,
  });
  onTestFinished(() => made.close());
  return { ...made, lines, spawned: () => spawned };
}

const file = (path: string, text: string | Buffer): TreeFile => treeFile(path, Buffer.from(text));
const comment = (bytes: number): string => `# ${'x'.repeat(bytes)}\n`;

/** More than is read on the event loop, and everything that a file can be. */
const FILES = [
  ...manifestFiles(500).map(({ path, text }) => file(path, text)),
  file('good.yaml', documents(tenant('a'), workflow('b', '"quoted: é"'), context('c'))),
  file('large.yaml', `${comment(3 * SMALL_FILE)}${documents(tenant('l'), workflow('m'))}`),
  file('broken.yaml', `${tenant('x')}---\n${tenant('y', '"open')}`),
  file('invalid.yaml', tenant('z', '{}').replace('display_name', 'displayname')),
  file('refers.yaml', apiSpec('crm', './crm.openapi.yaml')),
  file('tenants/acme/t.yaml', context('mine')),
  file('crm.openapi.yaml', OPENAPI),
  file('data.json', '{"keys": []}'),
  file('binary.yaml', Buffer.from([0xff, 0, 1])),
  file('empty.yaml', ''),
  file('too-large.yaml', comment(300 * 1024)),
];

test('what threads read is what the event loop reads, in the same order', async () => {
  const { readFiles: read, spawned } = threads();
  const [there, here] = [await read(FILES), await readFiles(FILES)];
  expect(spawned()).toBeGreaterThan(0);
  expect(there).toEqual(here);
  // Positions follow the order of keys, and values are shared by many.
  const drafts = there.flatMap((reading) => reading.drafts);
  const originals = here.flatMap((reading) => reading.drafts);
  for (const [index, { found }] of drafts.entries()) {
    const { document, spec } = found.manifest ?? {};
    expect(JSON.stringify(document?.value)).toBe(
      JSON.stringify(originals[index]!.found.manifest?.document.value),
    );
    expect(Object.isFrozen(document?.value) && Object.isFrozen(spec)).toBe(true);
    expect(spec).toBe((document?.value as { spec?: unknown } | undefined)?.spec);
  }
});

test('a few small files take no thread; a large one does, unless its looks tell that it is no manifest', async () => {
  const { readFiles: read, spawned } = threads();
  await read(FILES.slice(0, 100));
  await read([
    file('crm.openapi.yaml', `${OPENAPI}${comment(SMALL_FILE)}`),
    file('too-large.yaml', comment(300 * 1024)),
  ]);
  expect(spawned()).toBe(0);
  await read([file('large.yaml', `${comment(SMALL_FILE)}${tenant('l')}`)]);
  expect(spawned()).toBe(1);
});

test.each([
  ['deadly.yaml', 'its thread ended'],
  ['endless.yaml', 'it takes longer than 2000 ms'],
])('a file that ends its thread (%s) is told, and the others are read', async (path, reason) => {
  const { readFiles: read } = threads({ size: 1, patience_ms: 2_000 });
  const poisoned = file(path, `${comment(SMALL_FILE)}${tenant('p')}`);
  const readings = await read([poisoned, ...FILES]);
  const [first, ...others] = readings;
  expect(first).toMatchObject({ file: path, drafts: [], broken: true });
  expect(first!.loose.map(({ message }) => message)).toEqual([
    `the gateway failed to read this file: ${reason}`,
  ]);
  expect(others).toEqual(await readFiles(FILES));
});

test('where no thread can be started, the event loop reads', async () => {
  const { readFiles: read, lines } = threads({ spawn: () => new Worker('process.exit(1)', { eval: true }) });
  expect(await read(FILES)).toEqual(await readFiles(FILES));
  expect(lines).toEqual(['warn threads cannot be started here; large changes are read between calls']);
});

test('a large OpenAPI document is indexed in a thread, once', async () => {
  const { indexFile, spawned } = threads();
  const large = file('crm.openapi.yaml', `${OPENAPI}${comment(4 * SMALL_FILE)}`);
  const cache = createDocumentCache(indexFile);
  const found = foundWith(large);
  await cache.prepare([found, found]);
  const here = createDocumentCache().indexFile(large);
  const there = cache.indexFile(large);
  expect(there).toEqual(here);
  expect(Object.isFrozen(there.operations.get('getThing')!.parameters[0])).toBe(true);
  await cache.prepare([found]);
  expect(cache.indexFile(large)).toBe(there);
  expect(spawned()).toBe(1);
});

test('and what is wrong with it is told as if it had been read here', async () => {
  const { indexFile } = threads();
  const faults = ['openapi: 3.0.3\npaths: [\n', 'swagger: "2.0"\n', '"open'].map((text, index) =>
    file(`${index}.yaml`, `${comment(4 * SMALL_FILE)}${text}`),
  );
  const cache = createDocumentCache(indexFile);
  await cache.prepare(faults.map((one) => foundWith(one)));
  const said = (read: (file: TreeFile) => unknown) =>
    faults.map((one) => {
      try {
        return read(one);
      } catch (error) {
        const { message, line, column } = error as Error & { line: number; column: number };
        return { message, line, column };
      }
    });
  expect(said(cache.indexFile)).toEqual(said(createDocumentCache().indexFile));
});

test('a document whose thread is lost is tried again at the next change', async () => {
  let lives = false;
  const { indexFile } = threads({
    spawn: () =>
      new Worker(
        lives
          ? POISONED
          : `const { parentPort } = require('node:worker_threads');
             parentPort.postMessage({ kind: 'ready' });
             parentPort.on('message', () => process.exit(1));`,
        { eval: true },
      ),
  });
  const large = file('crm.openapi.yaml', `${OPENAPI}${comment(4 * SMALL_FILE)}`);
  const cache = createDocumentCache(indexFile);
  await cache.prepare([foundWith(large)]);
  expect(() => cache.indexFile(large)).toThrow('its thread ended');
  lives = true;
  await cache.prepare([foundWith(large)]);
  expect(cache.indexFile(large).operations.size).toBe(1);
});

test('a document within a manifest is indexed before it is asked for', async () => {
  const cache = createDocumentCache();
  const inline = { openapi: '3.0.3', paths: { '/a': { get: { operationId: 'getA' } }, '/b': 1 } };
  await cache.prepare([foundWith(null, inline), foundWith(null, { openapi: '2' })]);
  expect([...indexInline(inline).operations.keys()]).toEqual(['getA']);
  expect(indexInline(inline)).toBe(indexInline(inline));
  expect(indexInline(inline)).toEqual(indexInline(structuredClone(inline)));
  expect(() => indexInline({ openapi: '2' })).toThrow('only 3.0 and 3.1');
});

/** An ApiSpec as it is found, as far as its document goes. */
function foundWith(data: TreeFile | null, inline?: object): Found {
  const files = data === null ? [] : [[data.path, data] as const];
  const manifest = { kind: 'ApiSpec', spec: { source: { inline } }, data: new Map(files) };
  return { manifest } as unknown as Found;
}
