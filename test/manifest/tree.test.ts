import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import {
  isManifestFile,
  MAX_DATA_BYTES,
  makeTree,
  readTree,
  type Tree,
  TreeUnreadable,
  treeFile,
} from '../../src/manifest/tree.ts';
import { configMap, directory, put, save } from './directory.ts';

/** Paths and what is said. */
async function read(root: string) {
  const { files, diagnostics } = await readTree(root);
  return { files: [...files.keys()], said: diagnostics.map(formatDiagnostic) };
}

function makePipe(path: string): void {
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
}

describe('which files are read', () => {
  test('YAML and JSON at any depth, in order of path, with their content', async () => {
    const top = directory({
      'b.yaml': 'b',
      'a/z.yml': 'z',
      'a/y.json': 'y',
      'B.YAML': 'B',
      'a-b.yaml': 'ab',
      'README.md': 'x',
      'script.sh': 'x',
      yaml: 'x',
    });
    const { files, diagnostics } = await readTree(top);
    expect([...files].map(([path, file]) => [path, file.path, file.bytes.toString()])).toEqual([
      ['B.YAML', 'B.YAML', 'B'],
      ['a-b.yaml', 'a-b.yaml', 'ab'],
      ['a/y.json', 'a/y.json', 'y'],
      ['a/z.yml', 'a/z.yml', 'z'],
      ['b.yaml', 'b.yaml', 'b'],
    ]);
    expect(diagnostics).toEqual([]);
  });

  test('not those that are hidden, nor tests', async () => {
    const top = directory({
      '.a.yaml': 'x',
      '.git/config.yaml': 'x',
      'a/.b/c.yaml': 'x',
      '.#a.yaml': 'x',
      'policy.test.yaml': 'x',
      'a/b.test.yml': 'x',
      'a.test.json': 'x',
    });
    expect(await read(top)).toEqual({ files: ['a.test.json'], said: [] });
    expect(isManifestFile('a/b.yaml')).toBe(true);
    expect(['a/.b/c.yaml', 'a.test.yaml', 'a.txt', '.yaml'].some(isManifestFile)).toBe(false);
  });

  test('an empty directory has nothing, and a digest', async () => {
    const tree = await readTree(directory());
    expect(tree).toMatchObject({
      files: new Map(),
      diagnostics: [],
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });
});

describe('the digest', () => {
  test('is that of paths and contents, and of nothing else', async () => {
    const first = await readTree(directory({ 'a.yaml': '1', 'b/c.yaml': '2' }));
    const same = await readTree(directory({ 'b/c.yaml': '2', 'a.yaml': '1', 'README.md': 'x' }));
    expect(same.digest).toBe(first.digest);
    for (const files of [
      { 'a.yaml': '1', 'b/c.yaml': '3' },
      { 'a.yaml': '1', 'b/d.yaml': '2' },
      { 'a.yaml': '1' },
    ])
      expect((await readTree(directory(files as Record<string, string>))).digest).not.toBe(first.digest);
  });

  test('is another one when something cannot be read', async () => {
    const top = directory({ 'a.yaml': '1' });
    const before = await readTree(top);
    symlinkSync('/etc/hostname', join(top, 'b.yaml'));
    const after = await readTree(top);
    expect(after.files).toEqual(before.files);
    expect(after.digest).not.toBe(before.digest);
  });
});

describe('links', () => {
  test('inside are followed, to files and directories', async () => {
    const top = directory({ 'a/b.yaml': 'x' });
    symlinkSync('a/b.yaml', join(top, 'c.yaml'));
    symlinkSync('a', join(top, 'd'));
    symlinkSync(join(top, 'a'), join(top, 'e'));
    expect(await read(top)).toEqual({ files: ['a/b.yaml', 'c.yaml', 'd/b.yaml', 'e/b.yaml'], said: [] });
  });

  test('that leave are refused, whatever they lead to', async () => {
    const top = directory({
      'root/a.yaml': 'x',
      'secret.yaml': 'x',
      'outside/b.yaml': 'x',
      'rootx/c.yaml': 'x',
    });
    const root = join(top, 'root');
    symlinkSync('/etc/passwd', join(root, 'passwd.yaml'));
    symlinkSync('../secret.yaml', join(root, 'secret.yaml'));
    symlinkSync('../outside', join(root, 'outside'));
    symlinkSync('..', join(root, 'up'));
    // A name that begins like the root's.
    symlinkSync('../rootx/c.yaml', join(root, 'c.yaml'));
    symlinkSync('/etc', join(root, 'etc'));
    symlinkSync('/dev/zero', join(root, 'zero.yaml'));
    // Nobody would read these.
    symlinkSync('/etc/passwd', join(root, 'passwd.txt'));
    symlinkSync('/etc/passwd', join(root, 'passwd'));
    const said = 'the link leaves the directory (put the file itself here)';
    expect(await read(root)).toEqual({
      files: ['a.yaml'],
      said: ['c.yaml', 'etc', 'outside', 'passwd.yaml', 'secret.yaml', 'up', 'zero.yaml'].map(
        (name) => `${name}:1:1: ${said}`,
      ),
    });
  });

  test('that lead nowhere are told where manifests may have been', async () => {
    const top = directory({ 'a.yaml': 'x' });
    symlinkSync('gone.yaml', join(top, 'b.yaml'));
    symlinkSync('gone', join(top, 'workflows'));
    symlinkSync('gone.png', join(top, 'logo.png'));
    symlinkSync('self.yaml', join(top, 'self.yaml'));
    symlinkSync('a.yaml/x', join(top, 'through.yaml'));
    expect((await read(top)).said).toEqual(
      ['b.yaml', 'self.yaml', 'through.yaml', 'workflows'].map(
        (name) => `${name}:1:1: the link leads nowhere`,
      ),
    );
  });

  test('that lead back are seen', async () => {
    const top = directory({ 'a/b/c.yaml': 'x' });
    symlinkSync('..', join(top, 'a/b/up'));
    symlinkSync('.', join(top, 'a/self'));
    expect(await read(top)).toEqual({
      files: ['a/b/c.yaml'],
      said: ['a/b/up', 'a/self'].map((name) => `${name}:1:1: the link leads back to a directory above it`),
    });
  });

  test('to a pipe is no file', async () => {
    const top = directory();
    makePipe(join(top, 'pipe'));
    symlinkSync('pipe', join(top, 'a.yaml'));
    expect(await read(top)).toEqual({ files: [], said: ['a.yaml:1:1: this is no regular file'] });
  });

  test("into another tenant's directory are refused", async () => {
    const top = directory({ 'tenants/acme/a.yaml': 'x', 'tenants/bolt/b.yaml': 'x', 'common.yaml': 'x' });
    symlinkSync('../acme/a.yaml', join(top, 'tenants/bolt/stolen.yaml'));
    symlinkSync('../acme', join(top, 'tenants/bolt/all'));
    symlinkSync('tenants/acme/a.yaml', join(top, 'global.yaml'));
    symlinkSync('../../common.yaml', join(top, 'tenants/bolt/common.yaml'));
    symlinkSync('b.yaml', join(top, 'tenants/bolt/c.yaml'));
    const said = 'the link leads to a file of tenant acme (copy the file)';
    expect(await read(top)).toEqual({
      files: [
        'common.yaml',
        'tenants/acme/a.yaml',
        'tenants/bolt/b.yaml',
        'tenants/bolt/c.yaml',
        'tenants/bolt/common.yaml',
      ],
      said: ['global.yaml', 'tenants/bolt/all', 'tenants/bolt/stolen.yaml'].map(
        (name) => `${name}:1:1: ${said}`,
      ),
    });
  });

  test('the root may be one', async () => {
    const top = directory({ 'real/a.yaml': 'x' });
    symlinkSync('real', join(top, 'link'));
    expect(await read(join(top, 'link'))).toEqual({ files: ['a.yaml'], said: [] });
  });
});

describe('a ConfigMap', () => {
  test('is read through its links, once', async () => {
    const top = directory();
    configMap(top, '2026_01', { 'a.yaml': '1', 'b.yaml': '2' });
    expect(await read(top)).toEqual({ files: ['a.yaml', 'b.yaml'], said: [] });
    const before = await readTree(top);
    configMap(top, '2026_02', { 'a.yaml': '1', 'b.yaml': '3' });
    const after = await readTree(top);
    expect(after.files.get('b.yaml')!.bytes.toString()).toBe('3');
    expect(after.digest).not.toBe(before.digest);
  });

  test('with projected sub-directories, also those of tenants', async () => {
    const top = directory();
    configMap(top, '2026_01', {
      'a.yaml': '1',
      'workflows/b.yaml': '2',
      'tenants/acme/c.yaml': '3',
      'tenants/bolt/d/e.yaml': '4',
    });
    expect(await read(top)).toEqual({
      files: ['a.yaml', 'tenants/acme/c.yaml', 'tenants/bolt/d/e.yaml', 'workflows/b.yaml'],
      said: [],
    });
  });
});

describe('what is no file', () => {
  test('pipes, sockets, and directories with the name of a file', async () => {
    const top = directory({ 'dir.yaml/a.yaml': 'x' });
    makePipe(join(top, 'pipe.yaml'));
    makePipe(join(top, 'pipe'));
    const server = createServer().listen(join(top, 'socket.yaml'));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { files, said } = await read(top);
    expect(files).toEqual(['dir.yaml/a.yaml']);
    expect(said).toEqual([
      'pipe.yaml:1:1: this is no regular file',
      'socket.yaml:1:1: this is no regular file',
    ]);
  });

  test('a file that is too large is told, and not read', async () => {
    const top = directory({ 'a.yaml': '', 'b.json': '' });
    truncateSync(join(top, 'a.yaml'), MAX_DATA_BYTES + 1);
    truncateSync(join(top, 'b.json'), MAX_DATA_BYTES);
    const { files, said } = await read(top);
    expect(files).toEqual(['b.json']);
    expect(said).toEqual([`a.yaml:1:1: the file has ${MAX_DATA_BYTES + 1} bytes; at most 32 MiB are read`]);
  });

  test('directories without end are told', async () => {
    const top = directory({ [`${'d/'.repeat(40)}lost.yaml`]: 'x', [`${'e/'.repeat(31)}found.yaml`]: 'x' });
    const { files, said } = await read(top);
    expect(files).toEqual([`${'e/'.repeat(31)}found.yaml`]);
    expect(said).toEqual([expect.stringMatching(/^d(\/d)+:1:1: directories are nested more than 32 deep$/)]);
  });

  test('what may not be read is told, the others are read', () => {
    const top = directory({ 'a.yaml': 'x', 'b.yaml': 'x', 'c/d.yaml': 'x', 'e/f/g.yaml': 'x' });
    chmodSync(top, 0o755);
    chmodSync(join(top, 'b.yaml'), 0);
    chmodSync(join(top, 'c'), 0);
    chmodSync(join(top, 'e'), 0o666);
    // Modes do not stop root, so somebody else looks.
    const script = `import { readTree } from ${JSON.stringify(new URL('../../src/manifest/tree.ts', import.meta.url))};
      const { files, diagnostics } = await readTree(${JSON.stringify(top)});
      console.log(JSON.stringify([[...files.keys()], diagnostics.map(({ file, message }) => file + ' ' + message)]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      ...(process.getuid?.() === 0 && { uid: 65534 }),
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([
      ['a.yaml'],
      [
        'b.yaml the file cannot be read (EACCES)',
        'c the directory cannot be read (EACCES)',
        'e/f the directory cannot be read (EACCES)',
      ],
    ]);
  });

  test('names that are no UTF-8', async () => {
    const top = directory({ 'a.yaml': 'x' });
    for (const name of ['b\xff.yaml', 'c\xff.txt'])
      writeFileSync(Buffer.concat([Buffer.from(`${top}/`), Buffer.from(name, 'latin1')]), 'x');
    mkdirSync(Buffer.concat([Buffer.from(`${top}/`), Buffer.from('d\xff', 'latin1')]));
    expect(await read(top)).toEqual({
      files: ['a.yaml'],
      said: ['b\uFFFD.yaml', 'd\uFFFD'].map(
        (name) => `${name}:1:1: the name of this entry is not UTF-8 (rename it)`,
      ),
    });
  });

  test('names with line ends stay on one line', async () => {
    const top = directory({ 'a\nb.yaml': 'x' });
    makePipe(join(top, 'c\nd.yaml'));
    expect(await read(top)).toEqual({
      files: ['a\nb.yaml'],
      said: ['c\\u000Ad.yaml:1:1: this is no regular file'],
    });
  });
});

describe('a directory that cannot be read', () => {
  test.each([
    ['is not there', (top: string) => join(top, 'gone'), /gone is not there$/],
    ['is a file', (top: string) => join(top, 'a.yaml'), /a\.yaml is not a directory$/],
    ['is a link to nowhere', (top: string) => join(top, 'link'), /link is not there$/],
  ])('%s', async (_what, rootOf, message) => {
    const top = directory({ 'a.yaml': 'x' });
    symlinkSync('nowhere', join(top, 'link'));
    await expect(readTree(rootOf(top))).rejects.toThrow(message);
    await expect(readTree(rootOf(top))).rejects.toBeInstanceOf(TreeUnreadable);
  });
});

describe('a directory that does not hold still', () => {
  /** Calls `change` whenever the reading gives way to others. */
  async function readWhile(
    root: string,
    change: () => void,
    earlier: Tree | null = null,
    restless = false,
  ): Promise<unknown> {
    const timer = setInterval(change, 0);
    try {
      return await readTree(root, { earlier, restless });
    } catch (error) {
      return error;
    } finally {
      clearInterval(timer);
    }
  }
  const many = Object.fromEntries(
    Array.from({ length: 2_000 }, (_, index) => [`f${index}.yaml`, 'x'.repeat(2_000)]),
  );

  test('a link that is swapped in the middle is no half of two revisions', async () => {
    const top = directory();
    put(top, Object.fromEntries(Object.entries(many).map(([path, text]) => [`one/${path}`, text])));
    put(top, Object.fromEntries(Object.entries(many).map(([path]) => [`two/${path}`, 'y'])));
    symlinkSync('one', join(top, 'link'));
    let swapped = false;
    const outcome = await readWhile(join(top, 'link'), () => {
      if (swapped) return;
      swapped = true;
      symlinkSync('two', join(top, 'next'));
      renameSync(join(top, 'next'), join(top, 'link'));
    });
    expect(swapped).toBe(true);
    expect(outcome).toBeInstanceOf(TreeUnreadable);
    expect((await readTree(join(top, 'link'))).files.get('f0.yaml')!.bytes.toString()).toBe('y');
  });

  test.each<[string, (top: string) => void]>([
    ['written over', (top) => put(top, { 'f0.yaml': 'new', 'f1999.yaml': 'new' })],
    ['saved, the first alone', (top) => save(top, 'f0.yaml', 'new')],
    ['added and removed', (top) => put(top, { 'a.yaml': 'new' })],
  ])('files that are %s in the middle are not read as half of a change', async (_what, write) => {
    const top = directory(many);
    const earlier = await readTree(top);
    put(top, { 'f1000.yaml': 'changed' });
    let written = false;
    const change = (): void => {
      if (!written) write(top);
      written = true;
    };
    expect(await readWhile(top, change, earlier)).toMatchObject({
      name: 'TreeUnreadable',
      message: expect.stringMatching(/changed while it was read$/),
    });
    expect(written).toBe(true);
    // Who writes without end is read all the same, in the end.
    written = false;
    const tree = await readWhile(top, change, earlier, true);
    expect((tree as Tree).files.size).toBeGreaterThan(1_999);
  });

  test('a file that goes in the middle means to look again', async () => {
    const top = directory(many);
    let removed = false;
    const outcome = await readWhile(top, () => {
      if (removed) return;
      removed = true;
      rmSync(join(top, 'f999.yaml'));
    });
    expect(removed).toBe(true);
    expect(outcome).toBeInstanceOf(TreeUnreadable);
    expect((await readTree(top)).files.size).toBe(1_999);
  });

  test('a file that grows without end is read once, up to some length', async () => {
    const top = directory({ ...many, 'z.yaml': '' });
    const handle = openSync(join(top, 'z.yaml'), 'r+');
    onTestFinished(() => closeSync(handle));
    let length = 0;
    await readWhile(top, () => {
      length += 1_000;
      ftruncateSync(handle, length);
    });
    expect(length).toBeGreaterThan(0);
    expect((await readTree(top)).files.get('z.yaml')!.bytes.length).toBe(length);
  });

  test('others have their turn meanwhile', async () => {
    const top = directory(many);
    let turns = 0;
    await readWhile(top, () => {
      turns += 1;
    });
    expect(turns).toBeGreaterThan(1);
  });
});

test('a large file is read in portions, with what it has when it is opened', async () => {
  const text = 'x'.repeat(2_500_000);
  const top = directory({
    'a.yaml': text,
    'b.yaml': 'y'.repeat(64 * 1024 + 1),
    'c.yaml': 'z'.repeat(64 * 1024),
  });
  const { files } = await readTree(top);
  for (const [path, { bytes, digest }] of files) {
    const written = readFileSync(join(top, path));
    expect([path, bytes.equals(written), digest]).toEqual([path, true, treeFile(path, written).digest]);
  }
  expect(files.get('a.yaml')!.bytes).toHaveLength(text.length);
});

describe('what the system says of a file', () => {
  /** As if it were some time later: a change that has just been made has no stamp that could be trusted. */
  const later = (): number => Date.now() + 10_000;
  const textOf = (tree: Tree): string => tree.files.get('a.yaml')!.bytes.toString();

  test('is trusted where it is asked for, and only there', async () => {
    const top = directory({ 'a.yaml': '1', 'b.yaml': '2' });
    const { stamps } = await readTree(top, { now: later() });
    expect([...stamps.keys()]).toEqual(['a.yaml', 'b.yaml']);
    const remembered = makeTree([treeFile('a.yaml', Buffer.from('0'))], [], new Map(), stamps);
    expect(textOf(await readTree(top, { earlier: remembered, trust: true }))).toBe('0');
    expect(textOf(await readTree(top, { earlier: remembered }))).toBe('1');
    // It keeps its stamp for the next time; b.yaml, which was not there, is read.
    const again = await readTree(top, { earlier: remembered, trust: true });
    expect([[...again.files.keys()], [...again.stamps.keys()]]).toEqual([['a.yaml', 'b.yaml'], ['a.yaml']]);
  });

  test('is not kept of a file that has just been changed', async () => {
    expect((await readTree(directory({ 'a.yaml': '1' }))).stamps.size).toBe(0);
  });

  test.each<[string, (path: string) => void]>([
    ['written anew with the same size', (path) => writeFileSync(path, '2')],
    [
      'with its old time put back',
      (path) => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, '2');
        utimesSync(path, atime, mtime);
      },
    ],
    [
      'replaced by another file',
      (path) => {
        writeFileSync(`${path}.new`, '2');
        utimesSync(`${path}.new`, statSync(path).atime, statSync(path).mtime);
        renameSync(`${path}.new`, path);
      },
    ],
    [
      'replaced by a link',
      (path) => {
        rmSync(path);
        writeFileSync(`${path}.txt`, '2');
        symlinkSync(`${path}.txt`, path);
      },
    ],
  ])('tells of one that is %s', async (_how, change) => {
    const top = directory({ 'a.yaml': '1' });
    const earlier = await readTree(top, { now: later() });
    // The clock of the file system ticks every few milliseconds.
    await sleep(20);
    change(join(top, 'a.yaml'));
    const after = await readTree(top, { earlier, trust: true, now: later() });
    expect(textOf(after)).toBe('2');
  });
});
