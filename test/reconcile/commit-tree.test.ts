import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readTree } from '../../src/manifest/tree.ts';
import { listCommit, readCommitTree } from '../../src/reconcile/commit-tree.ts';
import { createGit } from '../../src/reconcile/git.ts';
import { objectId, parseTree, readCommit } from '../../src/reconcile/git-objects.ts';
import { aContext, GIT_ENV, type Repository, repository, runGit } from './repository.ts';

const git = createGit({ env: GIT_ENV });
const gitDirOf = ({ dir }: Repository): string => join(dir, '.git');

async function treeOf(one: Repository, path = '', revision = 'HEAD') {
  const commit = await readCommit(git, gitDirOf(one), one.git('rev-parse', revision));
  return (await readCommitTree(git, gitDirOf(one), commit, path))!;
}

describe('the tree of a commit', () => {
  test.each(['sha1', 'sha256'] as const)('is that of a checkout (%s)', async (format) => {
    const one = repository(
      {
        'a.yaml': aContext('a'),
        'deep/er/b.yml': aContext('b'),
        'c.json': '{}',
        'README.md': 'no',
        'x.test.yaml': 'no',
        '.hidden/d.yaml': 'no',
        'deep/.e.yaml': 'no',
        'ä ö\t"\'.yaml': aContext('odd'),
        'empty.yaml': '',
        'crlf.yaml': 'a: b\r\n',
      },
      format,
    );
    const [ours, theirs] = [await treeOf(one), await readTree(one.dir)];
    expect([...ours.files.keys()]).toEqual([...theirs.files.keys()]);
    expect(ours.digest).toBe(theirs.digest);
  });

  test('below a directory has names relative to it', async () => {
    const one = repository({ 'a.yaml': 'x', 'deep/er/b.yaml': 'y', 'deep/er/more/c.yaml': 'z' });
    for (const path of ['deep/er', './deep/er/', '/deep//er'])
      expect([...(await treeOf(one, path)).files.keys()], path).toEqual(['b.yaml', 'more/c.yaml']);
    for (const path of ['gone', 'deep/er/b.yaml', 'deep/..', '../deep'])
      expect(await treeOf(one, path), path).toBeNull();
  });

  test('is what was committed, and not what stands there', async () => {
    const one = repository({ 'a.yaml': aContext('a') });
    writeFileSync(join(one.dir, 'a.yaml'), 'other');
    one.git('add', '.');
    expect((await treeOf(one)).files.get('a.yaml')?.bytes.toString()).toBe(aContext('a'));
  });

  test('names links, submodules and names that are no UTF-8, and reads none of them', async () => {
    const one = repository({ 'a.yaml': aContext('a'), 'dir/b.yaml': aContext('b') });
    symlinkSync('a.yaml', join(one.dir, 'link.yaml'));
    symlinkSync('/etc/passwd', join(one.dir, 'out.json'));
    symlinkSync('dir', join(one.dir, 'directory'));
    symlinkSync('a.yaml', join(one.dir, 'notes.txt'));
    writeFileSync(Buffer.from(`${one.dir}/b\xff.yaml`, 'latin1'), 'x');
    one.commit({});
    one.git('update-index', '--add', '--cacheinfo', `160000,${one.git('rev-parse', 'HEAD')},module`);
    one.git('commit', '--quiet', '--message', 'submodule');
    const { files, diagnostics } = await treeOf(one);
    expect([...files.keys()]).toEqual(['a.yaml', 'dir/b.yaml']);
    expect(diagnostics.map(({ file, rule, message }) => [file, rule, message])).toEqual([
      ['b\uFFFD.yaml', 'bad-file-name', 'the name of this entry is not UTF-8'],
      ['directory', 'not-a-file', 'links are not followed in a commit'],
      ['link.yaml', 'not-a-file', 'links are not followed in a commit'],
      ['module', 'not-a-file', 'submodules are not read'],
      ['out.json', 'not-a-file', 'links are not followed in a commit'],
    ]);
  });

  test('leaves a file out that is too large, by its size alone', async () => {
    const one = repository({ 'a.yaml': aContext('a') });
    writeFileSync(join(one.dir, 'big.json'), Buffer.alloc(32 * 1024 * 1024 + 1));
    one.commit({});
    const { files, diagnostics } = await treeOf(one);
    expect([...files.keys()]).toEqual(['a.yaml']);
    expect(diagnostics.map(({ file, rule }) => [file, rule])).toEqual([['big.json', 'file-too-large']]);
  });

  test('that names itself over and over is given up at once', async () => {
    const one = repository({ 'a.yaml': aContext('a') });
    let tree = one.git('rev-parse', 'HEAD^{tree}');
    const make = (rows: string[]): string =>
      runGit(['-C', one.dir, 'mktree', '-z'], rows.map((row) => `${row}\0`).join(''));
    for (let level = 0; level < 8; level += 1)
      tree = make(Array.from({ length: 10 }, (_, i) => `040000 tree ${tree}\td${i}`));
    const wide = one.git('commit-tree', tree, '-m', 'wide');
    await expect(treeOf(one, '', wide)).rejects.toThrow('more than 100000 entries');
    for (let level = 0; level < 40; level += 1) tree = make([`040000 tree ${tree}\td`]);
    const deep = one.git('commit-tree', tree, '-m', 'deep');
    await expect(treeOf(one, '', deep)).rejects.toThrow('nests directories more than 32 deep');
  });
});

describe('nothing but the id of a commit decides what is read', () => {
  const KINDS = [
    ['file', 'HEAD:dir/a.yaml'],
    ['directory', 'HEAD:dir'],
    ['top', 'HEAD^{tree}'],
    ['commit', 'HEAD'],
  ] as const;
  /** A repository, and another of the same shape whose context grants more. */
  const twoOfThem = () =>
    ['a.*', '*'].map((pattern) => repository({ 'dir/a.yaml': aContext('a').replace('a.*', pattern) })) as [
      Repository,
      Repository,
    ];

  test.each(KINDS)('a %s that refs/replace puts in its place is not read', async (_, revision) => {
    const [one, other] = twoOfThem();
    one.git('fetch', '--quiet', other.dir, 'HEAD');
    one.git('replace', '--force', one.git('rev-parse', revision), other.git('rev-parse', revision));
    const text = (await treeOf(one)).files.get('dir/a.yaml')?.bytes.toString();
    expect(text).toContain('a.*');
  });

  test.each(KINDS)('a %s whose object file was exchanged is not read', async (_, revision) => {
    const [one, other] = twoOfThem();
    const id = one.git('rev-parse', revision);
    const path = (repo: Repository, object: string): string =>
      join(gitDirOf(repo), 'objects', object.slice(0, 2), object.slice(2));
    const forged = readFileSync(path(other, other.git('rev-parse', revision)));
    runGit(['-C', one.dir, 'prune-packed']);
    expect(existsSync(path(one, id))).toBe(true);
    const head = one.git('rev-parse', 'HEAD');
    writeForced(path(one, id), forged);
    const read = readCommit(git, gitDirOf(one), head).then((commit) =>
      readCommitTree(git, gitDirOf(one), commit, ''),
    );
    await expect(read).rejects.toThrow(`object ${id} does not hold what its id says`);
  });

  test('an object that is not there, is of another type, or is no sound tree is an error', async () => {
    const one = repository({ 'a.yaml': aContext('a') });
    const blob = one.git('rev-parse', 'HEAD:a.yaml');
    await expect(readCommit(git, gitDirOf(one), blob)).rejects.toThrow(`${blob} is no commit`);
    await expect(readCommit(git, gitDirOf(one), '0'.repeat(40))).rejects.toThrow('is not there');
    const write = (bytes: Buffer): string => {
      const id = objectId('tree', bytes, 40);
      const path = join(gitDirOf(one), 'objects', id.slice(0, 2));
      mkdirSync(path, { recursive: true });
      writeFileSync(
        join(path, id.slice(2)),
        deflateSync(Buffer.concat([Buffer.from(`tree ${bytes.length}\0`), bytes])),
      );
      return id;
    };
    const entry = (name: string): Buffer =>
      Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]);
    for (const bytes of [
      entry('../out.yaml'),
      entry('..'),
      entry(''),
      Buffer.concat([entry('a.yaml'), entry('a.yaml')]),
      entry('a.yaml').subarray(0, -1),
      Buffer.from('100644'),
    ]) {
      const id = one.git('commit-tree', write(bytes), '-m', 'x');
      await expect(treeOf(one, '', id)).rejects.toThrow('is no sound tree');
    }
    expect(parseTree({ id: '0'.repeat(40), type: 'tree', bytes: Buffer.alloc(0) })).toEqual([]);
  });
});

describe('a commit says who made it and why', () => {
  test.each([
    ['one line', 'one line'],
    ['two\nlines\n\nand a body', 'two lines'],
    ['  indented  ', 'indented'],
    ['\n\nafter empty lines', 'after empty lines'],
    ['x'.repeat(1000), 'x'.repeat(256)],
    ['', ''],
  ])('%j', async (message, subject) => {
    const one = repository();
    const tree = one.git('mktree', '--missing');
    const id = runGit(
      ['-C', one.dir, 'hash-object', '-t', 'commit', '-w', '--stdin'],
      `tree ${tree}\nauthor Ada <ada@example.com> 1700000000 +0100\ncommitter C <c@d> 1700000001 +0000\n\n${message}`,
    );
    expect(await readCommit(git, gitDirOf(one), id)).toMatchObject({
      id,
      subject,
      author: 'Ada <ada@example.com>',
      signed: false,
    });
  });

  test('also in another encoding, and with headers of more lines', async () => {
    const one = repository({ 'a.yaml': 'x' });
    one.git('-c', 'i18n.commitEncoding=ISO-8859-1', 'commit', '--quiet', '--allow-empty', '-m', 'x');
    const text = one.git('cat-file', 'commit', 'HEAD');
    const made = Buffer.from(
      text
        .replace('author Ada', 'author \xc4da')
        .replace('\n\n', '\nmergetag object 1\n author Nobody <n@b> 1 +0000\n tree 0\n\n')
        .replace(/x$/, 'f\xfcr'),
      'latin1',
    );
    const id = await git.text(['--git-dir', gitDirOf(one), 'hash-object', '-t', 'commit', '-w', '--stdin'], {
      input: made,
    });
    expect(await readCommit(git, gitDirOf(one), id)).toMatchObject({
      author: 'Äda Lovelace <ada@example.com>',
      subject: 'für',
      tree: one.git('rev-parse', 'HEAD^{tree}'),
    });
  });
});

test('10,000 files in 100 directories are listed without a process for each', async () => {
  const one = repository();
  const blob = runGit(['-C', one.dir, 'hash-object', '-w', '--stdin'], 'x');
  const rows = Array.from({ length: 10_000 }, (_, i) => `100644 ${blob}\td${i % 100}/f${i}.yaml`);
  runGit(['-C', one.dir, 'update-index', '--index-info'], `${rows.join('\n')}\n`);
  const commit = await readCommit(
    git,
    gitDirOf(one),
    one.git('commit-tree', one.git('write-tree'), '-m', 'x'),
  );
  let processes = 0;
  const run: typeof git.run = (...args) => {
    processes += 1;
    return git.run(...args);
  };
  expect(await listCommit({ ...git, run }, gitDirOf(one), commit, '')).toHaveLength(10_000);
  expect(processes).toBe(2);
});

/** Git makes its objects read-only. */
function writeForced(path: string, bytes: Buffer): void {
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}
