import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createGit } from '../../src/reconcile/git.ts';
import { directorySource } from '../../src/reconcile/source.ts';
import { directory, put, save } from '../manifest/directory.ts';
import { aContext, GIT_ENV, repository, runGit, scratchDir } from './repository.ts';

const git = createGit({ env: GIT_ENV });
const FILES = { 'a.yaml': aContext('a'), 'sub/b.yaml': aContext('b'), 'README.md': 'text' };
const DIGEST = /^sha256:[0-9a-f]{64}$/;

describe.each(['sha1', 'sha256'] as const)('a checkout with %s', (format) => {
  test('that is clean has the revision of its commit, its author and its subject', async () => {
    const { dir, commit } = repository(FILES, format);
    const id = commit({ 'c.yaml': aContext('c') }, 'Add c\nand more\n\nbody');
    const { revision, author, signer, tree } = await directorySource(dir, git).read();
    expect(revision).toBe(id);
    expect(author).toEqual({ registered_by: 'Ada Lovelace <ada@example.com>', subject: 'Add c and more' });
    expect(signer).toBeNull();
    expect([...tree.files.keys()]).toEqual(['a.yaml', 'c.yaml', 'sub/b.yaml']);
  });

  test('whose sub-directory is watched as well', async () => {
    const { dir, git: run } = repository({ ...FILES, 'deep/er/d.yaml': aContext('d') }, format);
    const source = directorySource(join(dir, 'deep/er'), git);
    expect((await source.read()).revision).toBe(run('rev-parse', 'HEAD'));
    // What is not watched does not count.
    writeFileSync(join(dir, 'a.yaml'), 'changed');
    expect((await source.read()).revision).toBe(run('rev-parse', 'HEAD'));
  });
});

describe('a checkout', () => {
  test.each([
    ['a changed file', (dir: string) => writeFileSync(join(dir, 'a.yaml'), aContext('a', 'changed'))],
    ['a file that is not tracked', (dir: string) => put(dir, { 'new.yaml': aContext('n') })],
    ['one that is ignored', (dir: string) => put(dir, { 'ignored.yaml': aContext('n') })],
    ['a deleted file', (dir: string) => rmSync(join(dir, 'a.yaml'))],
    ['a file that was moved', (dir: string) => renameSync(join(dir, 'a.yaml'), join(dir, 'z.yaml'))],
    ['a link in the place of a file', (dir: string) => link(dir, 'a.yaml', 'sub/b.yaml')],
    ['a link that leads elsewhere', (dir: string) => link(dir, 'link.yaml', 'sub/b.yaml')],
    ['a link that is gone', (dir: string) => rmSync(join(dir, 'link.yaml'))],
    ['a change that is staged', (dir: string) => stage(dir)],
  ])('with %s has the revision of its tree', async (_, change) => {
    const { dir, commit } = repository({ ...FILES, '.gitignore': 'ignored.yaml\n' });
    symlinkSync('a.yaml', join(dir, 'link.yaml'));
    const id = commit({}, 'with a link');
    const source = directorySource(dir, git);
    expect((await source.read()).revision).toBe(id);
    change(dir);
    const { revision, tree, author } = await source.read();
    expect(revision).toBe(tree.digest);
    expect(revision).toMatch(DIGEST);
    expect(author).toEqual({ registered_by: null, subject: null });
  });

  test('with links within it is clean, also to a directory', async () => {
    const { dir, commit } = repository({ ...FILES, 'real/r.yaml': aContext('r') });
    symlinkSync('real', join(dir, 'again'));
    symlinkSync('../a.yaml', join(dir, 'sub/a.yaml'));
    const id = commit({}, 'links');
    const { revision, tree } = await directorySource(dir, git).read();
    expect([...tree.files.keys()]).toContain('again/r.yaml');
    expect(revision).toBe(id);
  });

  test('with other files than manifests changed is clean: nothing else is read', async () => {
    const { dir, git: run } = repository(FILES);
    put(dir, { 'README.md': 'changed', 'notes.txt': 'new', 'x.test.yaml': 'new', '.hidden/h.yaml': 'new' });
    expect((await directorySource(dir, git).read()).revision).toBe(run('rev-parse', 'HEAD'));
  });

  test('follows commits, resets and branches', async () => {
    const { dir, commit, git: run } = repository(FILES);
    const first = run('rev-parse', 'HEAD');
    const source = directorySource(dir, git);
    const second = commit({ 'a.yaml': aContext('a', 'two') });
    expect((await source.read()).revision).toBe(second);
    run('reset', '--quiet', '--hard', first);
    expect((await source.read()).revision).toBe(first);
    run('checkout', '--quiet', '--detach', second);
    expect((await source.read()).revision).toBe(second);
    // The same files, another commit.
    run('commit', '--quiet', '--allow-empty', '--message', 'third');
    expect((await source.read()).revision).toBe(run('rev-parse', 'HEAD'));
  });

  test('in a worktree of its own is one', async () => {
    const { dir, git: run } = repository(FILES);
    const tree = join(scratchDir(), 'tree');
    run('worktree', 'add', '--quiet', '--detach', tree);
    expect((await directorySource(tree, git).read()).revision).toBe(run('rev-parse', 'HEAD'));
    expect((await directorySource(dir, git).read()).revision).toBe(run('rev-parse', 'HEAD'));
  });

  test('without a commit is a directory', async () => {
    const { dir } = repository();
    put(dir, FILES);
    expect((await directorySource(dir, git).read()).revision).toMatch(DIGEST);
  });

  test('that says its top is elsewhere does not get its way', async () => {
    const { dir, git: run } = repository({ ...FILES, 'sub/sub/b.yaml': aContext('evil') });
    run('config', 'core.worktree', join(dir, '..'));
    const { revision, tree } = await directorySource(join(dir, 'sub'), git).read();
    expect(tree.files.get('b.yaml')?.bytes.toString()).toBe(FILES['sub/b.yaml']);
    expect([run('rev-parse', 'HEAD'), tree.digest]).toContain(revision);
  });

  test('of somebody else is one too: nothing in it runs', async () => {
    const { dir, git: run } = repository(FILES);
    const foreign = (args: readonly string[], options = {}): Promise<Buffer> =>
      git.run(args, { ...options, env: { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' } });
    const text = async (...args: Parameters<typeof foreign>) => (await foreign(...args)).toString().trim();
    const { revision } = await directorySource(dir, { run: foreign, text }).read();
    expect(revision).toBe(run('rev-parse', 'HEAD'));
  });

  test('whose repository is damaged is a directory', async () => {
    const { dir, git: run } = repository(FILES);
    const id = run('rev-parse', 'HEAD^{tree}');
    rmSync(join(dir, '.git/objects', id.slice(0, 2), id.slice(2)));
    expect((await directorySource(dir, git).read()).revision).toMatch(DIGEST);
  });

  test('is a directory where there is no git', async () => {
    const { dir } = repository(FILES);
    const nowhere = createGit({ env: { PATH: scratchDir() } });
    expect((await directorySource(dir, nowhere).read()).revision).toMatch(DIGEST);
  });
});

describe('a directory', () => {
  test('has the digest of its tree, which files alone decide', async () => {
    const [one, two] = [directory(FILES), directory({ ...FILES, 'README.md': 'other' })];
    const first = await directorySource(one, git).read();
    expect(first.revision).toBe(first.tree.digest);
    expect((await directorySource(two, git).read()).revision).toBe(first.revision);
    save(one, 'a.yaml', aContext('a', 'changed'));
    expect((await directorySource(one, git).read()).revision).not.toBe(first.revision);
  });

  test('that is not there cannot be read', async () => {
    const dir = join(scratchDir(), 'gone');
    await expect(directorySource(dir, git).read()).rejects.toMatchObject({
      name: 'TreeUnreadable',
      message: `${dir} is not there`,
    });
  });
});

describe('a git-sync link', () => {
  const COMMITS = ['a'.repeat(40), 'b'.repeat(64)];

  test.each(COMMITS)('names the commit %s, also where the repository cannot be seen', async (commit) => {
    const top = directory(Object.fromEntries(COMMITS.map((id) => [`.worktrees/${id}/a.yaml`, aContext(id)])));
    symlinkSync(join('.worktrees', commit), join(top, 'current'));
    expect((await directorySource(join(top, 'current'), git).read()).revision).toBe(commit);
    // As in a container that mounts the worktree alone.
    put(top, { [`.worktrees/${commit}/.git`]: 'gitdir: /not/here/worktrees/x\n' });
    expect((await directorySource(join(top, 'current'), git).read()).revision).toBe(commit);
  });

  test('names it for a directory below it', async () => {
    const commit = 'c'.repeat(40);
    const top = directory({ [`${commit}/gateway.d/a.yaml`]: aContext('a') });
    symlinkSync(commit, join(top, 'current'));
    expect((await directorySource(join(top, 'current/gateway.d'), git).read()).revision).toBe(commit);
  });

  test('a directory that merely has such a name is none', async () => {
    const top = directory({ [`${'d'.repeat(64)}/merged/a.yaml`]: aContext('a') });
    expect((await directorySource(join(top, 'd'.repeat(64), 'merged'), git).read()).revision).toMatch(DIGEST);
  });

  test('to a checkout that was changed by hand does not name it', async () => {
    const { git: run } = repository(FILES);
    const top = scratchDir();
    const id = run('rev-parse', 'HEAD');
    run('worktree', 'add', '--quiet', '--detach', join(top, id));
    symlinkSync(id, join(top, 'current'));
    const source = directorySource(join(top, 'current'), git);
    expect(await source.read()).toMatchObject({
      revision: id,
      author: { registered_by: 'Ada Lovelace <ada@example.com>' },
    });
    mkdirSync(join(top, 'current/more'));
    put(join(top, 'current'), { 'more/c.yaml': aContext('c') });
    expect((await source.read()).revision).toMatch(DIGEST);
  });
});

function link(dir: string, path: string, target: string): void {
  rmSync(join(dir, path), { force: true });
  symlinkSync(target, join(dir, path));
}

function stage(dir: string): void {
  writeFileSync(join(dir, 'a.yaml'), aContext('a', 'staged'));
  runGit(['-C', dir, 'add', '--all']);
}
