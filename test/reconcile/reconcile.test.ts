import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Log } from '../../src/log.ts';
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { readTree, TreeUnreadable } from '../../src/manifest/tree.ts';
import type { Source } from '../../src/reconcile/source.ts';
import { directory, put } from '../manifest/directory.ts';
import { apiSpec, context, issuer, OPENAPI, tenant, workflow } from '../manifest/texts.ts';
import { openScratch, scratchFile } from '../store/scratch.ts';
import { type MemoryStore, reconcile } from './reconciled.ts';

const SET = { 'crm.yaml': apiSpec(), 'crm.openapi.yaml': OPENAPI, 'find.yaml': workflow('find', 'Old.') };

/** Watches nothing, and looks only when it is asked. */
const ASKED = { dir: null } as const;

describe('a reconcile', () => {
  test('swaps one whole snapshot; a call keeps the one that it began with', async () => {
    const dir = directory(SET);
    const gateway = await reconcile(dir, ASKED);
    const before = gateway.snapshot();
    put(dir, { 'find.yaml': workflow('find', 'New.'), 'get.yaml': workflow('get') });
    await gateway.reconcile();
    const after = gateway.snapshot();
    expect(after).not.toBe(before);
    expect([before.tools.size, after.tools.size]).toEqual([1, 2]);
    expect(before.tools.get('/find')).toMatchObject({ description: 'Old.' });
    expect([before.generation, after.generation]).toEqual([1, 2]);
    expect(Object.isFrozen(after)).toBe(true);
  });

  test('of the same content does nothing', async () => {
    const dir = directory(SET);
    const gateway = await reconcile(dir, ASKED);
    const before = gateway.snapshot();
    const events = gateway.store.events.length;
    put(dir, SET);
    put(dir, { 'README.md': 'x' });
    await gateway.reconcile();
    expect(gateway.snapshot()).toBe(before);
    expect(gateway.store.events).toHaveLength(events);
  });

  test('is told in the audit trail, in order, with the revision', async () => {
    const dir = directory(SET);
    const gateway = await reconcile(dir, ASKED);
    put(dir, { 'find.yaml': workflow('find', '3'), 'broken.yaml': 'a: [\n' });
    await gateway.reconcile();
    unlinkSync(join(dir, 'find.yaml'));
    unlinkSync(join(dir, 'broken.yaml'));
    await gateway.reconcile();
    await gateway.close();
    const { events } = gateway.store;
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'ManifestApplied',
      'ApiSpecRegistered',
      'ManifestApplied',
      'WorkflowRegistered',
      'ReconcileCompleted',
      'ManifestRejected',
      'ManifestRejected',
      'ReconcileCompleted',
      'ManifestRemoved',
      'ReconcileCompleted',
    ]);
    expect(new Set(events.map(({ revision }) => revision)).size).toBe(3);
    for (const { revision, payload } of events) expect(payload.revision ?? revision).toBe(revision);
    expect(events.at(-1)).toMatchObject({
      execution_id: null,
      payload: { manifests: 1, changed: 1, bad: 0, generation: 3 },
    });
  });

  test('is told in the log once, not again with every other change', async () => {
    const dir = directory({ ...SET, 'bad.yaml': workflow('bad', '3') });
    const gateway = await reconcile(dir, ASKED);
    const said = (): string[] => gateway.lines.filter((line) => line.includes('bad.yaml'));
    expect(said()).toEqual([
      'warn bad.yaml:5:16: spec.description must be text, not a whole number (put quotes around it)',
    ]);
    put(dir, { 'more.yaml': tenant('more') });
    await gateway.reconcile();
    expect(said()).toHaveLength(1);
    put(dir, { 'bad.yaml': workflow('bad', '[]') });
    await gateway.reconcile();
    expect(said()).toHaveLength(2);
  });

  test('is one line of the log, with the revision', async () => {
    const dir = directory(SET);
    const facts: unknown[] = [];
    const note = (fact: unknown, message?: string): void => void facts.push(message && [message, fact]);
    const log = { debug() {}, info: note, warn: note, error: note } as unknown as Log;
    const gateway = await reconcile(dir, { ...ASKED, log });
    put(dir, { 'find.yaml': workflow('find', 'New.') });
    await gateway.reconcile();
    await gateway.reconcile();
    expect(facts).toEqual([
      [
        'configuration applied',
        expect.objectContaining({ revision: expect.any(String), generation: 1, changed: 4 }),
      ],
      [
        'configuration applied',
        expect.objectContaining({ revision: gateway.status().revision, generation: 2, changed: 2, bad: 0 }),
      ],
    ]);
  });

  test('of a whole directory lets others have their turn', async () => {
    const dir = directory(
      Object.fromEntries(
        Array.from({ length: 600 }, (_, index) => [
          `t${index}.yaml`,
          workflow(`t${index}`, `Number ${index}.`),
        ]),
      ),
    );
    put(dir, { 'crm.yaml': apiSpec(), 'crm.openapi.yaml': OPENAPI });
    const starting = reconcile(dir, ASKED);
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const gateway = await starting;
    clearInterval(timer);
    expect(gateway.status().manifests).toHaveLength(601);
    // Half a second of work in slices of ten milliseconds.
    expect(turns).toBeGreaterThan(10);
  });
});

describe('status', () => {
  test('tells of each manifest what is tried and what is in force', async () => {
    const dir = directory({ ...SET, 'rights.yaml': context('all') });
    const gateway = await reconcile(dir, ASKED);
    const first = gateway.status();
    expect(first).toMatchObject({ generation: 1, degraded: false, error: null, last_error_at: null });
    expect(first.manifests).toHaveLength(3);
    const find = () => gateway.status().manifests.find(({ name }) => name === 'find')!;
    expect(find()).toMatchObject({
      kind: 'ToolWorkflow',
      tenant: null,
      status: 'Ready',
      reason: null,
      file: 'find.yaml',
      line: 1,
      revision_attempted: first.revision,
      revision_applied: first.revision,
    });
    const good = find();

    put(dir, { 'find.yaml': workflow('find', '3') });
    await gateway.reconcile();
    const second = gateway.status();
    expect(second).toMatchObject({ generation: 2, degraded: true, error: null });
    expect(find()).toMatchObject({
      status: 'Stale',
      reason: expect.stringMatching(/^spec\.description must be text, not a whole number/),
      line: 5,
      column: 16,
      revision_attempted: second.revision,
      revision_applied: first.revision,
      digest: null,
      applied_digest: good.digest,
    });
    const stale = find();

    put(dir, { 'more.yaml': tenant('more') });
    await gateway.reconcile();
    expect(find()).toEqual(stale);

    put(dir, { 'find.yaml': workflow('find', 'Mended.') });
    await gateway.reconcile();
    expect(find()).toMatchObject({
      status: 'Ready',
      reason: null,
      revision_applied: gateway.status().revision,
    });
    expect(gateway.status().degraded).toBe(false);
  });

  test('tells of a directory that cannot be read, and forgets it when it can be again', async () => {
    const top = directory();
    put(join(top, 'root'), SET);
    const gateway = await reconcile(join(top, 'root'), ASKED);
    renameSync(join(top, 'root'), join(top, 'away'));
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({
      error: expect.stringMatching(/root is not there$/),
      degraded: true,
      last_error_at: expect.any(String),
    });
    expect(gateway.tools()).toEqual({ '/find': 'Old.' });
    renameSync(join(top, 'away'), join(top, 'root'));
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({ error: null, degraded: false, generation: 1 });
  });
});

describe('whether calls can be served', () => {
  test.each<[string, Record<string, string>, string | null]>([
    ['something is valid', { ...SET, 'bad.yaml': 'a: [\n' }, null],
    [
      'nothing is valid',
      { 'a.yaml': context('a', 'a b'), 'b.yaml': workflow('b') },
      'no manifest is valid; the status says why',
    ],
    ['nothing can be read', { 'a.yaml': 'a: [\n' }, 'no manifest is valid; the status says why'],
    ['there is nothing', {}, null],
  ])('%s', async (_what, files, reason) => {
    const dir = directory(files);
    const gateway = await reconcile(dir, ASKED);
    expect(gateway.notReady()).toBe(reason);
    put(dir, SET);
    await gateway.reconcile();
    expect(gateway.notReady()).toBeNull();
  });
});

describe('nothing that the directory holds makes it fail', () => {
  test('everything that is no manifest at once', async () => {
    const dir = directory(SET);
    const bytes: Record<string, Buffer> = {
      'binary.yaml': Buffer.from(Array.from({ length: 1_000 }, (_, index) => (index * 7) % 256)),
      'latin1.yaml': Buffer.from('name: M\xfcller\n', 'latin1'),
      'utf16.yaml': Buffer.from('\ufeffa: b\n', 'utf16le'),
      'large.yaml': Buffer.alloc(10 * 1024 * 1024, 'a: b\n'),
      'bomb.yaml': Buffer.from(
        Array.from(
          { length: 20 },
          (_, index) =>
            `l${index}: &l${index} [${Array.from({ length: 9 }, () => (index === 0 ? 'x' : `*l${index - 1}`)).join(',')}]`,
        ).join('\n'),
      ),
      'deep.yaml': Buffer.from(`a: ${'['.repeat(50_000)}`),
      'keys.yaml': Buffer.from(Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n')),
      'nothing.yaml': Buffer.alloc(0),
      'null.yaml': Buffer.from('null\n'),
      'Find.yaml': Buffer.from(tenant('one')),
      'FIND.yaml': Buffer.from(tenant('two')),
      'kind.yaml': Buffer.from(tenant('three').replace('Tenant', 'Tenants')),
      'version.yaml': Buffer.from(tenant('four').replace('/v1', '/v9')),
      'source.yaml': Buffer.from(apiSpec('five').replace(/source: .*?,/, 'source:,')),
    };
    for (const [path, content] of Object.entries(bytes)) writeFileSync(join(dir, path), content);
    spawnSync('mkfifo', [join(dir, 'pipe.yaml')]);
    const socket = createServer().listen(join(dir, 'socket.yaml'));
    onTestFinished(() => void socket.close());
    await once(socket, 'listening');
    symlinkSync('/etc/passwd', join(dir, 'passwd.yaml'));
    symlinkSync('..', join(dir, 'up'));
    symlinkSync('loop.yaml', join(dir, 'loop.yaml'));
    mkdirSync(join(dir, 'dir.yaml'));
    const gateway = await reconcile(dir, ASKED);
    expect(gateway.tools()).toEqual({ '/find': 'Old.' });
    expect([...gateway.snapshot().tenants.keys()].sort()).toEqual(['one', 'two']);
    const { diagnostics, manifests } = gateway.status();
    const bad = manifests.filter(({ status }) => status !== 'Ready');
    const said = [
      ...diagnostics.map(formatDiagnostic),
      ...bad.map(({ file, line, column, reason }) => `${file}:${line}:${column}: ${reason}`),
    ];
    // The first of each, with its place and how to mend it.
    const first = new Map(
      said
        .sort()
        .reverse()
        .map((line) => [line.split(':', 1)[0], line]),
    );
    expect([...first.values()].sort()).toEqual([
      'binary.yaml:1:1: the file is not UTF-8 text (save it as UTF-8)',
      'bomb.yaml:2:10: aliases are not allowed (write the value out)',
      'deep.yaml:1:69: collections are nested more than 64 deep',
      'keys.yaml:1:1: this is no manifest: apiVersion and kind are missing (no manifest refers to this file either)',
      'kind.yaml:2:7: there is no kind "Tenants" (did you mean Tenant?)',
      'large.yaml:1:1: the file has 10240 KiB; manifests may have 256 KiB, inline OpenAPI documents apart (split the file; a large OpenAPI document stands better in a file of its own (source.file))',
      'latin1.yaml:1:1: the file is not UTF-8 text (save it as UTF-8)',
      'loop.yaml:1:1: the link leads nowhere',
      'nothing.yaml:1:1: warning: the file is empty (delete the file to remove what was in it)',
      'passwd.yaml:1:1: the link leaves the directory (put the file itself here)',
      'pipe.yaml:1:1: this is no regular file',
      'socket.yaml:1:1: this is no regular file',
      'source.yaml:4:8: spec.source must be a mapping, not empty (nothing is written after the colon, or only null)',
      'up:1:1: the link leaves the directory (put the file itself here)',
      'utf16.yaml:1:1: the file is not UTF-8 text (save it as UTF-8)',
      'version.yaml:1:13: apiVersion must be seal.gateway/v1, not "seal.gateway/v9"',
    ]);
    // However many there are of one sort.
    expect(said.length).toBeLessThan(first.size + 25);
    expect(gateway.lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(gateway.status().diagnostics.map(({ rule }) => rule)).not.toContain('internal');
  });

  test('any sequence of edits ends in what a fresh start over the same files would serve', async () => {
    const texts = fc.constantFrom(
      ...[
        workflow('find', 'A'),
        workflow('find', 'B'),
        workflow('find', '3'),
        workflow('get', 'C', undefined, 'gone'),
        apiSpec(),
        apiSpec().replace('1000', '0'),
        context('all'),
        context('all', 'a b'),
        tenant('acme'),
        issuer('ci'),
        'a: [\n',
        '',
        'hello\n',
        OPENAPI,
      ],
    );
    const paths = fc.constantFrom('a.yaml', 'b.yaml', 'c/d.yaml', 'crm.openapi.yaml', 'tenants/acme/e.yaml');
    const edit = fc.record({ path: paths, text: fc.option(texts, { nil: null, freq: 4 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), async (edits) => {
        const dir = directory(SET);
        const gateway = await reconcile(dir, ASKED);
        for (const { path, text } of edits) {
          if (text === null) rmSync(join(dir, path), { force: true });
          else put(dir, { [path]: text });
          await gateway.reconcile();
          expect(gateway.status().error ?? '').not.toContain('internal');
        }
        const fresh = await reconcile(dir, ASKED);
        // Rights are never those of before; tools may be.
        const rights = ({ contexts, tenants, issuers }: ReturnType<typeof gateway.snapshot>) => [
          [...contexts.keys()],
          [...tenants.keys()],
          [...issuers.keys()],
        ];
        if (gateway.status().error === null)
          expect(rights(gateway.snapshot())).toEqual(rights(fresh.snapshot()));
        for (const [name, description] of Object.entries(fresh.tools()))
          expect(gateway.tools()[name]).toBe(description);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a source that fails', () => {
  test('with what nobody expected is told, and asked again', async () => {
    const dir = directory(SET);
    let fails = false;
    const source: Source = {
      async read() {
        if (fails) throw new TypeError('a fault of ours');
        const tree = await readTree(dir);
        return { tree, revision: tree.digest, author: { registered_by: null, subject: null }, signer: null };
      },
    };
    const gateway = await reconcile(dir, { ...ASKED, source });
    fails = true;
    put(dir, { 'find.yaml': workflow('find', 'New.') });
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({ error: 'internal error; the log says more', degraded: true });
    expect(gateway.lines).toContain('error reconcile failed');
    expect(gateway.tools()).toEqual({ '/find': 'Old.' });
    fails = false;
    await gateway.reconcile();
    expect(gateway.tools()).toEqual({ '/find': 'New.' });
    expect(gateway.status()).toMatchObject({ error: null, degraded: false });
  });

  test('at the start leaves a gateway that is not ready, and says why', async () => {
    const source: Source = { read: () => Promise.reject(new TreeUnreadable('there is no directory yet')) };
    const gateway = await reconcile(directory(), { ...ASKED, source });
    expect(gateway.notReady()).toBe('there is no directory yet');
    expect(gateway.snapshot()).toBeNull();
    expect(gateway.status()).toMatchObject({ generation: 0, revision: null, degraded: true });
  });
});

test('events and last good versions go to a real store', async () => {
  const store = await openScratch(scratchFile());
  const dir = directory(SET);
  const gateway = await reconcile(dir, { ...ASKED, store: store as unknown as MemoryStore });
  put(dir, { 'find.yaml': workflow('find', 'New.') });
  await gateway.reconcile();
  await gateway.close();
  const events = await store.query({ event_type: 'ManifestApplied' });
  expect(events.map(({ payload }) => payload.name)).toEqual(['crm', 'find', 'find']);
  expect((await store.loadLastGood()).rows.map(({ key }) => key).sort()).toEqual([
    'ApiSpec//crm',
    'ToolWorkflow//find',
  ]);
});
