/** docs/guides/git.md, as whoever reads it would see it: what is merged, what status says, what is in force. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSource, type SourceOptions } from '../../src/reconcile/create-source.ts';
import { createGit } from '../../src/reconcile/git.ts';
import type { ReconcilerDeps } from '../../src/reconcile/reconcile.ts';
import { memoryStore, reconcile } from './reconciled.ts';
import { aContext, GIT_ENV, type Repository, repository, runGit, scratchDir } from './repository.ts';
import { allowedSigners, sshKey } from './signers.ts';

const git = createGit({ env: GIT_ENV });
const contexts = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`c${n}.yaml`, aContext(`c${n}`)]));

/** Read when it is told to, and not before. */
const start = (source: Partial<SourceOptions>, more: Parameters<typeof reconcile>[1] = {}) => {
  const { dir = '/not/used', git: remote = null, verify = null } = source;
  const deps: Pick<ReconcilerDeps, 'source' | 'dir'> = {
    source: createSource({ dir, git: remote, verify }, git),
    dir: null,
  };
  return reconcile(dir, { ...deps, ...more });
};
const inForce = (gateway: Awaited<ReturnType<typeof start>>): string[] =>
  [...gateway.snapshot().contexts.values()].map(({ name }) => name);

test('a merged change is in force under its commit, and the trail says whose it was', async () => {
  const one = repository({ 'a.yaml': aContext('a') });
  const gateway = await start({ dir: one.dir });
  const commit = one.commit({ 'b.yaml': aContext('b') }, 'Add b');
  await gateway.reconcile();
  expect(inForce(gateway)).toEqual(['a', 'b']);
  expect(gateway.snapshot().revision).toBe(commit);
  expect(gateway.status()).toMatchObject({ revision: commit, generation: 2, degraded: false, signer: null });
  await expect
    .poll(() =>
      gateway.store.events.filter((event) => event.revision === commit).map((event) => event.payload),
    )
    .toMatchObject([
      {
        kind: 'SecurityContext',
        name: 'b',
        revision: commit,
        registered_by: 'Ada Lovelace <ada@example.com>',
        subject: 'Add b',
      },
      { revision: commit, changed: 1 },
    ]);
});

test('a commit that nobody has signed leaves what is in force; status says why, and who signed that', async () => {
  const key = sshKey();
  const one = repository();
  const signed = (files: Record<string, string>): string => {
    one.commit(files);
    one.git(...key.options, 'commit', '--quiet', '--amend', '-S', '--no-edit');
    return one.git('rev-parse', 'HEAD');
  };
  const good = signed({ 'a.yaml': aContext('a') });
  const verify = { allowed_signers_file: allowedSigners(key.line('ada@example.com')), gnupg_home: null };
  const store = memoryStore();
  const gateway = await start({ dir: one.dir, verify }, { store });
  const signer = { signer: 'ada@example.com', fingerprint: key.fingerprint };
  expect(gateway.status()).toMatchObject({ revision: good, signer, degraded: false, error: null });

  const evil = one.commit({ 'a.yaml': aContext('a').replace('a.*', '*') });
  await gateway.reconcile();
  expect(gateway.status()).toMatchObject({
    ...{ revision: good, signer, degraded: true, generation: 1 },
    error: `commit ${evil.slice(0, 12)} is not signed`,
  });
  expect(gateway.snapshot().contexts.get('/a')?.capabilities[0]?.tool_pattern).toBe('a.*');

  // A restart serves the same.
  const restarted = await start({ dir: one.dir, verify }, { store });
  expect(inForce(restarted)).toEqual(['a']);
  expect(restarted.notReady()).toBeNull();
  expect(restarted.status()).toMatchObject({
    degraded: true,
    error: expect.stringContaining('is not signed'),
  });

  const mended = signed({ 'a.yaml': aContext('a', 'mended') });
  await restarted.reconcile();
  expect(restarted.status()).toMatchObject({ revision: mended, signer, degraded: false, error: null });
});

describe('a remote', () => {
  const setUp = (files: Record<string, string>) => {
    const work = repository(files);
    const url = join(scratchDir(), 'remote.git');
    runGit(['clone', '--quiet', '--bare', work.dir, url]);
    const remote = { url, ref: 'main', path: '', cache_dir: scratchDir() };
    const push = (commit: string): string => {
      work.git('push', '--quiet', '--force', url, 'main');
      return commit;
    };
    return { work, url, remote, push };
  };

  test('that goes away and comes back is seen in status, and nowhere else', async () => {
    const { work, url, remote, push } = setUp({ 'a.yaml': aContext('a') });
    const gateway = await start({ git: remote });
    renameSync(url, `${url}.away`);
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({
      degraded: true,
      error: expect.stringMatching(/^git ls-remote: /),
    });
    expect(inForce(gateway)).toEqual(['a']);
    renameSync(`${url}.away`, url);
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({ degraded: false, error: null, generation: 1 });
    const next = push(work.commit({ 'b.yaml': aContext('b') }));
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({ revision: next, generation: 2 });
  });

  test('that was never reached leaves a gateway that is not ready, and says why', async () => {
    const { url, remote } = setUp({ 'a.yaml': aContext('a') });
    rmSync(url, { recursive: true });
    const gateway = await start({ git: remote });
    expect(gateway.notReady()).toMatch(/^git ls-remote: /);
  });

  test('that is emptied by mistake empties nothing; meant, it is confirmed by the revision in force', async () => {
    const { work, remote, push } = setUp(contexts(12));
    const gateway = await start({ git: remote });
    const before = gateway.status().revision!;
    work.git('rm', '--quiet', ...Object.keys(contexts(12)).slice(1));
    const removed = push(work.commit({}, 'oops'));
    await gateway.reconcile();
    expect(inForce(gateway)).toHaveLength(12);
    const { revision, revision_attempted, error, degraded } = gateway.status();
    expect({ revision, revision_attempted, degraded }).toEqual({
      revision: before,
      revision_attempted: removed,
      degraded: true,
    });
    expect(error).toMatch(/^held: 11 of 12 manifests would be removed at once/);

    const named = /seal\.gateway\/allow-prune: "(\w+)"/.exec(error!)![1]!;
    expect(before.startsWith(named)).toBe(true);
    const text = aContext('c0').replace(
      '{name: c0}',
      `{name: c0, annotations: {seal.gateway/allow-prune: "${named}"}}`,
    );
    const meant = push(work.commit({ 'c0.yaml': text }, 'meant'));
    await gateway.reconcile();
    expect(inForce(gateway)).toEqual(['c0']);
    expect(gateway.status()).toMatchObject({ revision: meant, degraded: false, error: null });
  });
});

test('mass removal over a restart is held too, and confirmed by what the hold names', async () => {
  const one = repository(contexts(12));
  const store = memoryStore();
  await start({ dir: one.dir }, { store });
  one.git('rm', '--quiet', ...Object.keys(contexts(12)).slice(1));
  one.commit({}, 'oops');
  const restarted = await start({ dir: one.dir }, { store });
  expect(inForce(restarted)).toHaveLength(12);
  const { error, revision } = restarted.status();
  const named = /seal\.gateway\/allow-prune: "([^"]+)"/.exec(error!)![1]!;
  expect(revision!.startsWith(named)).toBe(true);
  const annotated = `{name: c0, annotations: {seal.gateway/allow-prune: "${named}"}}`;
  one.commit({ 'c0.yaml': aContext('c0').replace('{name: c0}', annotated) }, 'meant');
  // By this process, or by one that starts with it.
  const third = await start({ dir: one.dir }, { store });
  expect(inForce(third)).toEqual(['c0']);
  await restarted.reconcile();
  expect(inForce(restarted)).toEqual(['c0']);
});

test.each([
  ['there at once', false],
  ['away at first', true],
])('--allow-prune is for the first reading, with the directory %s', async (_what, away) => {
  const one = repository(contexts(12));
  const store = memoryStore();
  await start({ dir: one.dir }, { store });
  one.git('rm', '--quiet', ...Object.keys(contexts(12)).slice(1));
  one.commit({}, 'meant');
  if (away) renameSync(one.dir, `${one.dir}.away`);
  const restarted = await start({ dir: one.dir }, { store, allow_prune: true });
  if (away) renameSync(`${one.dir}.away`, one.dir);
  await restarted.reconcile();
  expect(inForce(restarted)).toEqual(['c0']);
});

describe('one bad manifest', () => {
  const bad = (name: string): string => aContext(name).replace('a.*', 'a b');
  const change = (one: Repository): string =>
    one.commit({ 'a.yaml': aContext('a', 'changed'), 'b.yaml': bad('b') });

  test('does not stop the others; a right that is not valid grants nothing', async () => {
    const one = repository({ 'a.yaml': aContext('a'), 'b.yaml': aContext('b') });
    const gateway = await start({ dir: one.dir });
    const commit = change(one);
    await gateway.reconcile();
    expect(inForce(gateway)).toEqual(['a']);
    expect(gateway.status()).toMatchObject({ revision: commit, degraded: true, error: null });
  });

  test('stops all where the policy is atomic, until it is mended', async () => {
    const one = repository({ 'a.yaml': aContext('a'), 'b.yaml': aContext('b') });
    const gateway = await start({ dir: one.dir }, { policy: 'atomic' });
    const before = gateway.snapshot();
    change(one);
    await gateway.reconcile();
    expect(gateway.snapshot()).toBe(before);
    expect(gateway.status()).toMatchObject({
      revision: before.revision,
      error: 'held: 1 error, and reconcile.policy is atomic: nothing is changed',
      manifests: [
        { name: 'a', status: 'Stale' },
        { name: 'b', status: 'Stale' },
      ],
    });
    const mended = one.commit({ 'b.yaml': aContext('b', 'mended') });
    await gateway.reconcile();
    expect(gateway.status()).toMatchObject({ revision: mended, degraded: false, error: null });
    expect(inForce(gateway)).toEqual(['a', 'b']);
  });
});

test('a restart without a directory serves what was in force, and goes on when it is back', async () => {
  const one = repository({ 'a.yaml': aContext('a') });
  const store = memoryStore();
  await start({ dir: one.dir }, { store });
  renameSync(one.dir, `${one.dir}.away`);
  const restarted = await start({ dir: one.dir }, { store });
  expect(inForce(restarted)).toEqual(['a']);
  expect(restarted.notReady()).toBeNull();
  expect(restarted.status()).toMatchObject({
    degraded: true,
    error: `${one.dir} is not there`,
    revision: expect.stringMatching(/^last-good:/),
  });
  renameSync(`${one.dir}.away`, one.dir);
  await restarted.reconcile();
  expect(restarted.status()).toMatchObject({ degraded: false, revision: one.git('rev-parse', 'HEAD') });
});
