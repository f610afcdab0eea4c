/** The example as its users run it: the history can be read, and the known ways out of a read are refused. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../test/cli/run.ts';
import { describeOnEngines } from '../../test/support/engines.ts';
import { type CliExample, setUpCli } from '../cli-setup.ts';
import { haveImage } from '../images.ts';

test('the manifests are valid, and their own tests pass', async () => {
  const manifests = new URL('gateway.d', import.meta.url).pathname;
  expect(await runCli(['validate', manifests])).toMatchObject({ code: 0, err: '' });
  expect(await runCli(['test', manifests])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/[1-9]\d* passed, 0 failed\n$/),
  });
});

describeOnEngines('examples/git', ({ address }) => {
  const root = mkdtempSync(join(tmpdir(), 'seal-repositories-'));
  const repository = join(root, 'repository');
  let example: CliExample;
  beforeAll(async () => {
    chmodSync(root, 0o755);
    makeRepository(repository);
    await haveImage('git', address);
    example = await setUpCli({
      name: 'git',
      address,
      replace: { '/srv/repository': repository },
      mount_roots: [root],
    });
  }, 120_000);
  afterAll(async () => {
    await example?.close();
    rmSync(root, { recursive: true });
  });

  const call = async (subcommand: string, ...args: string[]) =>
    (await example.client('reader').call('git', { subcommand, args })).result;

  test('the history can be read', async () => {
    expect(await call('log', '--oneline', '--max-count', '1')).toMatchObject({
      exit_code: 0,
      stdout: expect.stringMatching(/^[0-9a-f]{7} Second\n$/),
      stderr: '',
    });
    expect(await call('show', 'HEAD~1:file')).toMatchObject({ exit_code: 0, stdout: 'first\n' });
  });

  test('what the repository itself configures to be run is not run', async () => {
    const shown = await call('show', '--no-ext-diff', '--no-textconv', 'HEAD');
    expect(shown).toMatchObject({ exit_code: 0, stdout: expect.stringContaining('+second') });
    expect(JSON.stringify(shown)).not.toContain('escaped');
  });

  test.each<[string, ...string[]]>([
    ['-c', 'alias.x=!id'],
    ['log', '-c', 'alias.x=!id'],
    ['log', '--output=/repository/x'],
    ['log', '--outp', '/repository/x'],
    ['log', '--ext-diff'],
    ['log', '-p', '-S', 'x'],
    ['log', '--exec-path=/tmp'],
    ['log', '--git-dir=/tmp'],
    ['log', '--', 'file'],
    ['show', '--textconv'],
    ['show', '../../etc/passwd'],
    ['show', 'HEAD..HEAD~1'],
    ['show', 'HEAD\nlog'],
    ['ls-files', '--exclude-from=/etc/passwd'],
  ])('refused: git %s %s', async (...words) => {
    await expect(call(words[0], ...words.slice(1))).rejects.toMatchObject({
      code: expect.toSatisfy((code) => code === 4000 || code === 2003),
    });
  });

  test.each(['push', 'clone', 'config', 'upload-pack', 'grep', 'blame'])(
    'refused: git %s',
    async (subcommand) => {
      await expect(call(subcommand)).rejects.toMatchObject({ code: 2003 });
    },
  );
});

/** Two commits, and a configuration that would have programs run. */
function makeRepository(dir: string): void {
  mkdirSync(dir);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args], {
      cwd: dir,
      env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    });
  git('init', '-q', '-b', 'main');
  for (const name of ['first', 'second']) {
    writeFileSync(join(dir, 'file'), `${name}\n`);
    git('add', 'file');
    git('commit', '-q', '-m', name === 'first' ? 'First' : 'Second');
  }
  git('config', 'alias.log', '!echo escaped');
  git('config', 'core.pager', 'echo escaped');
  git('config', 'diff.external', 'echo escaped');
  git('config', 'core.fsmonitor', 'echo escaped');
}
