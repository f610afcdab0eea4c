import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createGit } from '../../src/reconcile/git.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { configMap, directory, type Files, put, save } from '../manifest/directory.ts';
import { apiSpec, context, OPENAPI, tenant, workflow } from '../manifest/texts.ts';
import { type Reconciled, reconcile } from './reconciled.ts';
import { type Repository, repository, runGit, scratchDir } from './repository.ts';

const SET: Files = {
  'crm.yaml': apiSpec(),
  'crm.openapi.yaml': OPENAPI,
  'find.yaml': workflow('find', 'Old.'),
};

/** A change is live in about a second; the machine of a test may be busy. */
const SOON = { timeout: 4_000, interval: 10 };

function becomes(gateway: Reconciled, tools: Record<string, string>): Promise<void> {
  return vi.waitFor(() => expect(gateway.tools()).toEqual(tools), SOON);
}

async function watched(dir: string): Promise<Reconciled> {
  const gateway = await reconcile(dir);
  await gateway.watching();
  expect(gateway.tools()).toEqual({ '/find': 'Old.' });
  return gateway;
}

describe('what people and programs do to a directory is live', () => {
  test.each<[string, (dir: string) => unknown, Record<string, string>]>([
    [
      'a file is written over',
      (dir) => put(dir, { 'find.yaml': workflow('find', 'New.') }),
      { '/find': 'New.' },
    ],
    [
      "an editor's atomic save",
      (dir) => save(dir, 'find.yaml', workflow('find', 'New.')),
      { '/find': 'New.' },
    ],
    [
      'a file is added',
      (dir) => put(dir, { 'get.yaml': workflow('get', 'Added.') }),
      { '/find': 'Old.', '/get': 'Added.' },
    ],
    ['a file is deleted', (dir) => unlinkSync(join(dir, 'find.yaml')), {}],
    [
      'a file is replaced by another name',
      (dir) => {
        unlinkSync(join(dir, 'find.yaml'));
        put(dir, { 'get.yaml': workflow('get', 'New.') });
      },
      { '/get': 'New.' },
    ],
    [
      'a directory is added with files in it',
      (dir) => put(dir, { 'more/and/more/get.yaml': workflow('get', 'Deep.') }),
      { '/find': 'Old.', '/get': 'Deep.' },
    ],
    [
      'a directory is moved in',
      (dir) => {
        const other = directory({ 'more/get.yaml': workflow('get', 'Moved.') });
        renameSync(join(other, 'more'), join(dir, 'more'));
      },
      { '/find': 'Old.', '/get': 'Moved.' },
    ],
    [
      'a directory takes the place of a file',
      (dir) => {
        unlinkSync(join(dir, 'find.yaml'));
        mkdirSync(join(dir, 'find.yaml'));
      },
      {},
    ],
    [
      'a directory takes the place of a link, and gets a file',
      async (dir) => {
        unlinkSync(join(dir, 'out'));
        mkdirSync(join(dir, 'out'));
        await sleep(300);
        put(dir, { 'out/get.yaml': workflow('get', 'Added.') });
      },
      { '/find': 'Old.', '/get': 'Added.' },
    ],
    [
      'a file in a hidden directory that a link leads to',
      (dir) => put(dir, { '.kept/hidden.yaml': workflow('get', 'New.') }),
      { '/find': 'Old.', '/get': 'New.' },
    ],
    [
      'a document that a manifest refers to',
      (dir) => put(dir, { 'crm.openapi.yaml': `${OPENAPI}# more\n`, 'find.yaml': workflow('find', 'New.') }),
      { '/find': 'New.' },
    ],
  ])('%s', async (_what, change, tools) => {
    const dir = directory({
      'top/x/y': '',
      ...Object.fromEntries(Object.entries(SET).map(([path, text]) => [`top/${path}`, text])),
    });
    const root = join(dir, 'top');
    symlinkSync('/usr', join(root, 'out'));
    symlinkSync('.kept/hidden.yaml', join(root, 'hidden.yaml'));
    put(root, { '.kept/hidden.yaml': '' });
    const gateway = await watched(root);
    await change(root);
    await becomes(gateway, tools);
    // And it goes on watching.
    put(root, { 'last.yaml': workflow('last', 'Last.') });
    await becomes(gateway, { ...tools, '/last': 'Last.' });
  });

  test('a rename changes nothing but the place', async () => {
    const dir = directory(SET);
    const gateway = await watched(dir);
    renameSync(join(dir, 'find.yaml'), join(dir, 'renamed.yaml'));
    await vi.waitFor(
      () => expect(gateway.status().manifests.map(({ file }) => file)).toContain('renamed.yaml'),
      SOON,
    );
    mkdirSync(join(dir, 'deep'));
    renameSync(join(dir, 'renamed.yaml'), join(dir, 'deep/find.yaml'));
    await vi.waitFor(
      () => expect(gateway.status().manifests.map(({ file }) => file)).toContain('deep/find.yaml'),
      SOON,
    );
    expect(gateway.tools()).toEqual({ '/find': 'Old.' });
    expect(gateway.store.events.filter(({ event_type }) => event_type === 'ManifestRemoved')).toEqual([]);
  });

  test('a directory is moved out', async () => {
    const dir = directory({ ...SET, 'more/get.yaml': workflow('get', 'Get.') });
    const gateway = await reconcile(dir);
    await gateway.watching();
    renameSync(join(dir, 'more'), join(directory(), 'more'));
    await becomes(gateway, { '/find': 'Old.' });
  });

  test('a half-written file is not taken for a whole one', async () => {
    const dir = directory(SET);
    const gateway = await watched(dir);
    const text = workflow('find', 'New.');
    writeFileSync(join(dir, 'find.yaml'), '');
    for (const character of text.match(/.{1,40}/gs)!) {
      appendFileSync(join(dir, 'find.yaml'), character);
      await sleep(20);
    }
    await becomes(gateway, { '/find': 'New.' });
    expect(gateway.store.events.filter(({ event_type }) => event_type === 'ManifestRejected')).toEqual([]);
  });

  test('a change of two files is met whole, also by a reading that is under way', async () => {
    const dir = directory({ ...SET, 'rights.yaml': context('v0') });
    const inner = directorySource(dir, createGit({ env: process.env }));
    let before = (): void => {};
    const gateway = await reconcile(dir, {
      source: {
        read() {
          before();
          return inner.read();
        },
      },
    });
    await gateway.watching();
    const met = new Set<string>();
    const meet = (): void =>
      void met.add(`${gateway.tools()['/find']} ${[...gateway.snapshot().contexts.keys()]}`);
    const timer = setInterval(meet, 1);
    const half = new Promise<void>((resolve) => {
      before = () => {
        before = () => {};
        put(dir, { 'find.yaml': workflow('find', 'New.') });
        resolve();
      };
    });
    put(dir, { 'other.yaml': tenant('other') });
    await half;
    await sleep(30);
    put(dir, { 'rights.yaml': context('v1') });
    await vi.waitFor(() => expect([...gateway.snapshot().contexts.keys()]).toEqual(['/v1']), SOON);
    clearInterval(timer);
    meet();
    expect([...met]).toEqual(['Old. /v0', 'New. /v1']);
  });

  test('many changes at once are one reconcile', async () => {
    const dir = directory(SET);
    const gateway = await watched(dir);
    const before = gateway.status().generation;
    for (let index = 0; index < 50; index += 1) {
      put(dir, { [`t${index}.yaml`]: tenant(`t${index}`) });
      await sleep(2);
    }
    await vi.waitFor(() => expect(gateway.snapshot().tenants.size).toBe(50), SOON);
    expect(gateway.status().generation - before).toBeLessThanOrEqual(2);
  });

  test('what is hidden, or no manifest, is nothing', async () => {
    const dir = directory(SET);
    const gateway = await watched(dir);
    const before = gateway.status().generation;
    put(dir, { '.find.yaml.swp': 'x', 'README.md': 'x', '.git/index': 'x', 'find.test.yaml': 'x' });
    await sleep(250);
    expect(gateway.status().generation).toBe(before);
  });
});

describe('the root', () => {
  test('is replaced by another directory', async () => {
    const top = directory();
    put(join(top, 'root'), SET);
    const gateway = await watched(join(top, 'root'));
    for (const text of ['One.', 'Two.', 'Three.']) {
      put(join(top, 'next'), { ...SET, 'find.yaml': workflow('find', text) });
      renameSync(join(top, 'root'), join(top, 'before'));
      renameSync(join(top, 'next'), join(top, 'root'));
      await becomes(gateway, { '/find': text });
      rmSync(join(top, 'before'), { recursive: true });
    }
    put(join(top, 'root'), { 'find.yaml': workflow('find', 'In place.') });
    await becomes(gateway, { '/find': 'In place.' });
  });

  test('is removed and made anew at once', async () => {
    const top = directory();
    put(join(top, 'root'), SET);
    const gateway = await watched(join(top, 'root'));
    for (const text of ['One.', 'Two.']) {
      rmSync(join(top, 'root'), { recursive: true });
      put(join(top, 'root'), { ...SET, 'find.yaml': workflow('find', text) });
      await becomes(gateway, { '/find': text });
    }
    put(join(top, 'root'), { 'find.yaml': workflow('find', 'In place.') });
    await becomes(gateway, { '/find': 'In place.' });
  });

  test('vanishes and returns: what was in force stays so meanwhile', async () => {
    const top = directory();
    put(join(top, 'root'), { ...SET, 'rights.yaml': context('all') });
    const gateway = await reconcile(join(top, 'root'));
    await gateway.watching();
    rmSync(join(top, 'root'), { recursive: true });
    await vi.waitFor(() => expect(gateway.status().error).toMatch(/root is not there$/), SOON);
    expect(gateway.status().degraded).toBe(true);
    expect(gateway.tools()).toEqual({ '/find': 'Old.' });
    expect(gateway.snapshot().contexts.size).toBe(1);
    expect(gateway.notReady()).toBeNull();
    put(join(top, 'root'), { ...SET, 'rights.yaml': context('all'), 'find.yaml': workflow('find', 'Back.') });
    await becomes(gateway, { '/find': 'Back.' });
    // The snapshot is swapped first, and status tells of it when the reconcile ends.
    await vi.waitFor(() => expect(gateway.status()).toMatchObject({ error: null, degraded: false }), SOON);
  });

  test('is not there at first, nor what it is in', async () => {
    const top = directory();
    const gateway = await reconcile(join(top, 'some/where/root'));
    expect(gateway.notReady()).toMatch(/root is not there$/);
    put(join(top, 'some/where/root'), SET);
    await becomes(gateway, { '/find': 'Old.' });
    await vi.waitFor(() => expect(gateway.notReady()).toBeNull(), SOON);
    await sleep(150);
    put(join(top, 'some/where/root'), { 'find.yaml': workflow('find', 'New.') });
    await becomes(gateway, { '/find': 'New.' });
  });
});

describe('a ConfigMap', () => {
  test('is swapped by its ..data, with files and sub-directories', async () => {
    const dir = directory();
    configMap(dir, '2026_1', { ...SET, 'more/get.yaml': workflow('get', 'Old.') });
    const gateway = await reconcile(dir);
    await gateway.watching();
    expect(gateway.tools()).toEqual({ '/find': 'Old.', '/get': 'Old.' });
    for (const text of ['One.', 'Two.', 'Three.']) {
      configMap(dir, `2026_${text}`, {
        ...SET,
        'find.yaml': workflow('find', text),
        'more/get.yaml': workflow('get', text),
      });
      await becomes(gateway, { '/find': text, '/get': text });
    }
    configMap(dir, '2026_9', {
      ...SET,
      'more/get.yaml': workflow('get', 'Last.'),
      'added/new.yaml': workflow('new', 'Added.'),
    });
    await becomes(gateway, { '/find': 'Old.', '/get': 'Last.', '/new': 'Added.' });
    configMap(dir, '2026_10', SET);
    await becomes(gateway, { '/find': 'Old.' });
  });

  test('of which the root is a sub-directory', async () => {
    const dir = directory();
    const of = (text: string): Files =>
      Object.fromEntries(
        Object.entries({ ...SET, 'find.yaml': workflow('find', text) }).map(([path, one]) => [
          `gateway.d/${path}`,
          one,
        ]),
      );
    configMap(dir, '2026_1', of('Old.'));
    const gateway = await watched(join(dir, 'gateway.d'));
    for (const text of ['One.', 'Two.']) {
      configMap(dir, `2026_${text}`, of(text));
      await becomes(gateway, { '/find': text });
    }
  });
});

describe('a checkout', () => {
  test.each<[string, (one: Repository) => string]>([
    ['a commit of what was edited by hand', (one) => one.commit({ 'find.yaml': workflow('find', 'New.') })],
    ['a commit that changes no file', (one) => one.commit({})],
    [
      'git pull',
      (one) => {
        const other = join(scratchDir(), 'clone');
        runGit(['clone', '--quiet', one.dir, other]);
        put(other, { 'find.yaml': workflow('find', 'New.') });
        const who = ['-c', 'user.name=x', '-c', 'user.email=x@example.com'];
        runGit(['-C', other, ...who, 'commit', '--quiet', '--all', '--message', 'More']);
        one.git('pull', '--quiet', '--ff-only', other, 'main');
        return one.git('rev-parse', 'HEAD');
      },
    ],
    [
      'files that are there long before the commit is',
      (one) => {
        put(one.dir, { 'find.yaml': workflow('find', 'New.') });
        one.git('add', '--all');
        execFileSync('sleep', ['0.4']);
        one.git('commit', '--quiet', '--message', 'More');
        return one.git('rev-parse', 'HEAD');
      },
    ],
  ])('shows the new commit within a moment: %s', async (_what, change) => {
    const one = repository(SET);
    const gateway = await watched(one.dir);
    expect(gateway.status().revision).toBe(one.git('rev-parse', 'HEAD'));
    const commit = change(one);
    await vi.waitFor(() => expect(gateway.status().revision).toBe(commit), SOON);
    expect(gateway.snapshot().revision).toBe(commit);
  });

  test('of which a worktree is watched, below its top', async () => {
    const one = repository({ 'deploy/crm.yaml': apiSpec(), 'deploy/crm.openapi.yaml': OPENAPI });
    const tree = join(scratchDir(), 'tree');
    one.git('worktree', 'add', '--quiet', '-b', 'other', tree);
    const gateway = await reconcile(join(tree, 'deploy'));
    await gateway.watching();
    await sleep(150);
    runGit([
      '-C',
      tree,
      '-c',
      'user.name=x',
      '-c',
      'user.email=x@example.com',
      'commit',
      '-qm',
      'x',
      '--allow-empty',
    ]);
    const commit = runGit(['-C', tree, 'rev-parse', 'HEAD']);
    await vi.waitFor(() => expect(gateway.status().revision).toBe(commit), SOON);
  });
});

describe('git-sync', () => {
  const commit = (character: string): string => character.repeat(40);

  /** Puts a work tree beside the others and swaps the link, as git-sync does. */
  function sync(top: string, id: string, files: Files): void {
    put(join(top, '.worktrees', id), files);
    symlinkSync(join('.worktrees', id), join(top, 'next'));
    renameSync(join(top, 'next'), join(top, 'current'));
  }

  test('swaps a link, and new files are seen too', async () => {
    const top = directory();
    sync(top, commit('a'), SET);
    const gateway = await watched(join(top, 'current'));
    expect(gateway.status().revision).toBe(commit('a'));
    sync(top, commit('b'), { ...SET, 'get.yaml': workflow('get', 'Added.') });
    await becomes(gateway, { '/find': 'Old.', '/get': 'Added.' });
    await vi.waitFor(() => expect(gateway.status().revision).toBe(commit('b')), SOON);
    rmSync(join(top, '.worktrees', commit('a')), { recursive: true });
    sync(top, commit('c'), { ...SET, 'find.yaml': workflow('find', 'New.') });
    await becomes(gateway, { '/find': 'New.' });
  });

  test('below which the manifests are in a sub-directory', async () => {
    const top = directory();
    const below = (files: Files): Files =>
      Object.fromEntries(Object.entries(files).map(([path, text]) => [`deploy/gateway.d/${path}`, text]));
    sync(top, commit('a'), below(SET));
    const gateway = await watched(join(top, 'current/deploy/gateway.d'));
    sync(top, commit('b'), below({ ...SET, 'get.yaml': workflow('get', 'Added.') }));
    await becomes(gateway, { '/find': 'Old.', '/get': 'Added.' });
  });

  test('through two links', async () => {
    const top = directory();
    sync(top, commit('a'), SET);
    symlinkSync('current', join(top, 'root'));
    const gateway = await watched(join(top, 'root'));
    sync(top, commit('b'), { ...SET, 'find.yaml': workflow('find', 'New.') });
    await becomes(gateway, { '/find': 'New.' });
    put(top, {
      'other/find.yaml': workflow('find', 'Other.'),
      'other/crm.yaml': apiSpec(),
      'other/crm.openapi.yaml': OPENAPI,
    });
    symlinkSync('other', join(top, 'next'));
    renameSync(join(top, 'next'), join(top, 'root'));
    await becomes(gateway, { '/find': 'Other.' });
  });
});

describe('without events', () => {
  test('changes are seen by looking', async () => {
    const dir = directory(SET);
    const gateway = await reconcile(dir, { watch: 'poll', resync_seconds: 0.1 });
    expect(gateway.status().watch).toBe('scanning');
    put(dir, { 'find.yaml': workflow('find', 'New.') });
    await becomes(gateway, { '/find': 'New.' });
    rmSync(dir, { recursive: true });
    await vi.waitFor(() => expect(gateway.status().error).toMatch(/is not there$/), SOON);
    put(dir, SET);
    await becomes(gateway, { '/find': 'Old.' });
  });

  test('a half-written file is not taken for a whole one', async () => {
    const dir = directory(SET);
    const gateway = await reconcile(dir, { watch: 'poll', resync_seconds: 0.1 });
    writeFileSync(join(dir, 'find.yaml'), '');
    for (const piece of workflow('find', 'New.').match(/.{1,40}/gs)!) {
      appendFileSync(join(dir, 'find.yaml'), piece);
      await sleep(40);
    }
    await becomes(gateway, { '/find': 'New.' });
    expect(gateway.store.events.filter(({ event_type }) => event_type === 'ManifestRejected')).toEqual([]);
  });

  test('a resync makes good what no event told', async () => {
    const dir = directory(SET);
    const other = directory({ 'get.yaml': workflow('get', 'Old.') });
    linkSync(join(other, 'get.yaml'), join(dir, 'get.yaml'));
    const gateway = await reconcile(dir, { resync_seconds: 0.3 });
    await gateway.watching();
    // The same file by its other name, in a directory that nobody watches.
    put(other, { 'get.yaml': workflow('get', 'New.') });
    await becomes(gateway, { '/find': 'Old.', '/get': 'New.' });
  });
});

/** A process that may watch next to nothing: the limits are those of a user namespace of its own. */
function limited(limit: string, command: readonly string[]) {
  const script = `echo ${limit} && exec "$@"`;
  return spawnSync('unshare', ['--user', '--map-root-user', 'sh', '-c', script, 'sh', ...command], {
    encoding: 'utf8',
  });
}

const canLimit =
  limited('3 > /proc/sys/user/max_inotify_watches', ['true']).status === 0 || process.env.CI !== undefined;

describe.skipIf(!canLimit)('where the system gives no events (SKIPPED without user namespaces)', () => {
  test.each([
    ['watches', '3 > /proc/sys/user/max_inotify_watches'],
    ['instances', '0 > /proc/sys/user/max_inotify_instances'],
  ])('for want of %s: it scans, and says so once', (_what, limit) => {
    const dir = directory({ ...SET, 'a/b/c/d.yaml': context('a'), 'e/f/g/h.yaml': context('b') });
    const program = new URL('limited.ts', import.meta.url).pathname;
    const { stdout, stderr } = limited(limit, [process.execPath, program, dir, tenant('acme')]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      watch: 'scanning',
      lines: ['file events are not to be had here; the directory is scanned instead'],
      live: 1,
    });
  });
});

test('nothing is watched once it is closed', async () => {
  const top = directory();
  put(join(top, 'root'), SET);
  const gateway = await watched(join(top, 'root'));
  const reads = gateway.reads();
  await gateway.close();
  put(join(top, 'root'), { 'find.yaml': workflow('find', 'New.') });
  renameSync(join(top, 'root'), join(top, 'gone'));
  await sleep(300);
  expect(gateway.reads()).toBe(reads);
});
