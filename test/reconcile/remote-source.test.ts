import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSource } from '../../src/reconcile/create-source.ts';
import { createGit } from '../../src/reconcile/git.ts';
import { type RemoteOptions, remoteSource } from '../../src/reconcile/remote-source.ts';
import type { Source } from '../../src/reconcile/source.ts';
import { aContext, GIT_ENV, repository, runGit, scratchDir } from './repository.ts';
import { allowedSigners, sshKey } from './signers.ts';

const git = createGit({ env: GIT_ENV });

/** A bare repository, and a clone that pushes to it. */
function setUp(format: 'sha1' | 'sha256' = 'sha1') {
  const work = repository({ 'gateway.d/a.yaml': aContext('a') }, format);
  const url = join(scratchDir(), 'remote.git');
  runGit(['clone', '--quiet', '--bare', work.dir, url]);
  const cache = scratchDir();
  return {
    work,
    url,
    cache,
    push: (...refs: string[]): void => {
      work.git('push', '--quiet', '--force', url, ...refs);
    },
    source: (more: Partial<RemoteOptions> = {}, dir = cache): Source =>
      remoteSource({ url, ref: 'main', path: 'gateway.d', ...more }, dir, git, null),
  };
}

const unreadable = (message: string | RegExp) => ({
  name: 'TreeUnreadable',
  message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
});

describe.each(['sha1', 'sha256'] as const)('a remote (%s)', (format) => {
  test('is followed: pushes, forced pushes, and back', async () => {
    const { work, push, source } = setUp(format);
    const first = work.git('rev-parse', 'HEAD');
    const followed = source();
    const reading = await followed.read();
    expect(reading).toMatchObject({
      revision: first,
      author: { registered_by: 'Ada Lovelace <ada@example.com>', subject: 'first' },
      signer: null,
    });
    expect([...reading.tree.files.keys()]).toEqual(['a.yaml']);

    const second = work.commit({ 'gateway.d/b.yaml': aContext('b') }, 'second');
    expect((await followed.read()).revision).toBe(first);
    push('main');
    expect((await followed.read()).revision).toBe(second);

    work.git('reset', '--quiet', '--hard', first);
    const other = work.commit({ 'gateway.d/c.yaml': aContext('c') }, 'another second');
    push('main');
    const forced = await followed.read();
    expect(forced.revision).toBe(other);
    expect([...forced.tree.files.keys()]).toEqual(['a.yaml', 'c.yaml']);

    work.git('reset', '--quiet', '--hard', first);
    push('main');
    expect((await followed.read()).revision).toBe(first);
  });
});

describe('a ref', () => {
  test('is a branch, a tag, an annotated tag, or a full name', async () => {
    const { work, push, source } = setUp();
    const first = work.git('rev-parse', 'HEAD');
    const second = work.commit({ 'gateway.d/b.yaml': aContext('b') });
    work.git('tag', 'v1', first);
    work.git('tag', '--annotate', '--message', 'two', 'v2', second);
    work.git('branch', 'topic/x', second);
    push('v1', 'v2', 'topic/x', `${second}:refs/deploy/production`);
    for (const [ref, commit] of [
      ['v1', first],
      ['v2', second],
      ['refs/tags/v2', second],
      ['topic/x', second],
      ['refs/heads/main', first],
      ['refs/deploy/production', second],
      ['HEAD', first],
    ] as const)
      expect((await source({ ref }).read()).revision, ref).toBe(commit);
  });

  test('that is a branch is not taken over by a tag of its name', async () => {
    const { work, push, source } = setUp();
    const first = work.git('rev-parse', 'HEAD');
    const evil = work.commit({ 'gateway.d/evil.yaml': aContext('evil') });
    push(`${evil}:refs/tags/main`, `${evil}:refs/heads/x/refs/heads/main`);
    expect((await source().read()).revision).toBe(first);
  });

  test('that vanishes leaves what is in force, and says so', async () => {
    const { work, push, source } = setUp();
    const first = work.git('rev-parse', 'HEAD');
    push('HEAD:refs/heads/topic');
    const followed = source({ ref: 'topic' });
    expect((await followed.read()).revision).toBe(first);
    push(':refs/heads/topic');
    await expect(followed.read()).rejects.toMatchObject(unreadable('the remote has no branch or tag topic'));
    push('HEAD:refs/heads/topic');
    expect((await followed.read()).revision).toBe(first);
  });

  test('that was never there, or is no commit, cannot be read', async () => {
    const { work, push, source } = setUp();
    await expect(source({ ref: 'nothing' }).read()).rejects.toMatchObject(
      unreadable('the remote has no branch or tag nothing'),
    );
    push(`${work.git('rev-parse', 'HEAD^{tree}')}:refs/tags/tree`);
    await expect(source({ ref: 'tree' }).read()).rejects.toMatchObject(unreadable('leads to no commit'));
  });

  test.each(['-x', '--upload-pack=touch MARK', '*', 'ma*', 'a b', '^main', '@{u}'])(
    'that is none, as %j, does nothing',
    async (ref) => {
      await expect(setUp().source({ ref }).read()).rejects.toMatchObject({ name: 'TreeUnreadable' });
    },
  );
});

describe('a path', () => {
  test('that the commit has not is an error, and not an empty set', async () => {
    const { source } = setUp();
    for (const path of ['gone', 'gateway.d/a.yaml', '../gateway.d'])
      await expect(source({ path }).read()).rejects.toMatchObject(unreadable(`has no directory ${path}`));
  });

  test('that is empty is the top', async () => {
    const { source } = setUp();
    expect([...(await source({ path: '' }).read()).tree.files.keys()]).toEqual(['gateway.d/a.yaml']);
  });
});

describe('a remote that is away', () => {
  test('leaves what is in force, and is followed again when it is back', async () => {
    const { work, url, push, source } = setUp();
    const followed = source();
    await followed.read();
    renameSync(url, `${url}.away`);
    await expect(followed.read()).rejects.toMatchObject(unreadable(/^git ls-remote: /));
    renameSync(`${url}.away`, url);
    const second = work.commit({ 'gateway.d/b.yaml': aContext('b') });
    push('main');
    expect((await followed.read()).revision).toBe(second);
  });

  test('at a restart is made up for by what was kept; the next reading says that it is away', async () => {
    const { work, url, source } = setUp();
    const first = work.git('rev-parse', 'HEAD');
    await source().read();
    rmSync(url, { recursive: true });
    const restarted = source();
    const reading = await restarted.read();
    expect(reading.revision).toBe(first);
    expect([...reading.tree.files.keys()]).toEqual(['a.yaml']);
    await expect(restarted.read()).rejects.toMatchObject(unreadable(/^git ls-remote: /));
  });

  test('when nothing was kept says why nothing can be read', async () => {
    const { url, source } = setUp();
    rmSync(url, { recursive: true });
    await expect(source().read()).rejects.toMatchObject(unreadable('does not appear to be a git repository'));
  });

  test('is not made up for by what was kept of another one, or of another ref', async () => {
    const { work, url, push, source } = setUp();
    push('HEAD:refs/heads/other');
    await source().read();
    rmSync(url, { recursive: true });
    for (const more of [{ url: `${url}.other` }, { ref: 'other' }])
      await expect(source(more).read()).rejects.toMatchObject(unreadable('git ls-remote'));
    expect((await source().read()).revision).toBe(work.git('rev-parse', 'HEAD'));
  });
});

describe('the copy that is kept', () => {
  test('is followed in spite of what a git that was killed has left', async () => {
    const { work, cache, push, source } = setUp();
    await source().read();
    const [kept = ''] = readdirSync(cache);
    for (const name of ['shallow.lock', 'packed-refs.lock', 'HEAD.lock'])
      writeFileSync(join(cache, kept, name), '');
    const second = work.commit({ 'gateway.d/b.yaml': aContext('b') });
    push('main');
    expect((await source().read()).revision).toBe(second);
  });

  test('does not grow with every push', async () => {
    const { work, cache, push, source } = setUp();
    const followed = source();
    const objects = (): number => {
      const [kept = ''] = readdirSync(cache);
      const text = runGit(['--git-dir', join(cache, kept), 'count-objects', '-v']);
      return Number(/^count: (\d+)/m.exec(text)![1]) + Number(/^in-pack: (\d+)/m.exec(text)![1]);
    };
    // More objects than git would keep as files of their own.
    const FILES = 150;
    for (let round = 0; round < 11; round += 1) {
      const texts = Array.from({ length: FILES }, (_, i) => [`gateway.d/f${i}.yaml`, `# ${round} ${i}`]);
      work.commit(Object.fromEntries(texts));
      push('main');
      await followed.read();
    }
    expect(objects()).toBeLessThan(5 * FILES);
    expect((await followed.read()).tree.files.size).toBe(FILES + 1);
  });

  test('cannot be made where nobody may write', async () => {
    const { source } = setUp();
    const file = join(scratchDir(), 'file');
    writeFileSync(file, '');
    await expect(source({}, join(file, 'cache')).read()).rejects.toMatchObject({ name: 'TreeUnreadable' });
  });

  test('is kept where nobody else looks', async () => {
    const { source } = setUp();
    const dir = join(scratchDir(), 'cache');
    await source({}, dir).read();
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });
});

test('a signature is asked for as of a checkout', async () => {
  const { work, url, cache, push } = setUp();
  const key = sshKey();
  const remote = { url, ref: 'main', path: 'gateway.d', cache_dir: cache };
  const verify = { allowed_signers_file: allowedSigners(key.line('ada')), gnupg_home: null };
  const source = createSource({ dir: '/not/used', git: remote, verify }, git);
  await expect(source.read()).rejects.toMatchObject({ name: 'CommitRejected' });
  work.git(...key.options, 'commit', '--quiet', '--allow-empty', '-S', '--message', 'signed');
  push('main');
  expect(await source.read()).toMatchObject({
    revision: work.git('rev-parse', 'HEAD'),
    signer: { signer: 'ada', fingerprint: key.fingerprint },
  });
});

describe('credentials', () => {
  test('come from the git configuration of the environment', async () => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/config.git`;
    const config = join(scratchDir(), 'gitconfig');
    writeFileSync(
      config,
      `[credential]\n\thelper = "!f() { echo username=bot; echo password=hunter2; }; f"\n`,
    );
    const configured = createGit({ env: { ...GIT_ENV, GIT_CONFIG_GLOBAL: config } });
    const source = remoteSource({ url, ref: 'main', path: '' }, scratchDir(), configured, null);
    const failure = await source.read().catch((error) => error);
    expect(asked).toContain(`Basic ${Buffer.from('bot:hunter2').toString('base64')}`);
    expect(failure).toMatchObject(unreadable(/Authentication failed/));
    expect(failure.message).not.toContain('hunter2');
  });

  test('in a URL are in no message', async () => {
    const { source } = setUp();
    for (const url of ['http://bot:hunter2@127.0.0.1:1/x', 'https://hunter2@127.0.0.1:1/x'])
      await expect(source({ url }).read()).rejects.toMatchObject({
        message: expect.not.stringContaining('hunter2'),
      });
  });
});
