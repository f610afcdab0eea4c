import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createGit, type GitError } from '../../src/reconcile/git.ts';
import { readObjects, sizesOf } from '../../src/reconcile/git-objects.ts';
import { directorySource, signedSource } from '../../src/reconcile/source.ts';
import { aContext, GIT_ENV, repository, runGit, scratchDir, trap } from './repository.ts';

const git = createGit({ env: GIT_ENV });
const failureOf = (promise: Promise<unknown>): Promise<GitError> =>
  promise.then(
    () => expect.fail('it did not fail'),
    (error) => error,
  );

describe('an error', () => {
  test('says what git said, on one line, with the exit code', async () => {
    const { dir } = repository({ 'a.yaml': 'x' });
    const error = await failureOf(git.run(['--git-dir', join(dir, '.git'), 'cat-file', 'blob', 'nothing']));
    expect(error).toMatchObject({ name: 'GitError', exit_code: 128 });
    expect(error.message).toBe('git cat-file: fatal: Not a valid object name nothing');
  });

  test.each([
    'https://ada:pa$$@127.0.0.1:1/repo.git',
    'https://ada:p@ss@127.0.0.1:1/repo.git',
    'https://ghp_token@127.0.0.1:1/repo.git',
    'ssh://ada:pa$$@127.0.0.1:1/repo.git',
    'http://ada:pa%2F$$@127.0.0.1:1/repo.git',
  ])('holds no password of %s', async (url) => {
    const error = await failureOf(git.run(['ls-remote', url], { with_configuration: true }));
    expect(error.message).toMatch(/^git ls-remote: /);
    expect(error.message).not.toMatch(/pa|ss@|ghp_/);
  });

  test('names a git that is not there', async () => {
    const nowhere = createGit({ env: { PATH: scratchDir() } });
    const error = await failureOf(nowhere.run(['version']));
    expect(error).toMatchObject({
      message: 'git version is not installed, or not on the PATH',
      exit_code: null,
    });
  });

  test('a git that hangs is ended, with all that it has started', async () => {
    const dir = scratchDir();
    const gitDir = join(dir, 'r.git');
    runGit(['init', '--quiet', '--bare', gitDir]);
    const mark = join(dir, 'ended');
    const script = `trap 'touch "${mark}"; exit' TERM; sleep 60 & wait #`;
    const env = { ...GIT_ENV, GIT_SSH_COMMAND: script };
    const asked = createGit({ env }).run(['--git-dir', gitDir, 'ls-remote', 'ssh://localhost/x'], {
      with_configuration: true,
      timeout_ms: 500,
    });
    const error = await failureOf(asked);
    expect(error).toMatchObject({ message: 'git ls-remote did not end in time', exit_code: null });
    await expect.poll(() => existsSync(mark)).toBe(true);
  });

  test('a gateway that stops waits for no git', async () => {
    const stop = new AbortController();
    const stopping = createGit({
      env: { ...GIT_ENV, GIT_SSH_COMMAND: 'sleep 60 #' },
      signal: stop.signal,
    });
    const asked = stopping.run(['ls-remote', 'ssh://localhost/x'], { with_configuration: true });
    setTimeout(() => stop.abort(), 50);
    expect((await failureOf(asked)).message).toBe('git ls-remote was ended: the gateway stops');
    expect((await failureOf(stopping.run(['version']))).message).toContain('was not started');
  });
});

describe('the environment', () => {
  test('whose repository the process was started in, as by a hook, does not matter', async () => {
    const mine = repository({ 'a.yaml': aContext('a') });
    const other = repository({ 'b.yaml': aContext('b') });
    const env = {
      ...GIT_ENV,
      GIT_DIR: join(other.dir, '.git'),
      GIT_WORK_TREE: other.dir,
      GIT_INDEX_FILE: '/x',
    };
    const { revision } = await directorySource(mine.dir, createGit({ env })).read();
    expect(revision).toBe(mine.git('rev-parse', 'HEAD'));
  });

  test('only a command for a remote has the configuration of user and environment', async () => {
    const env = { ...GIT_ENV, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'yes' };
    const read = ['config', '--get', 'a.b'];
    expect(await createGit({ env }).text(read, { with_configuration: true })).toBe('yes');
    await expect(createGit({ env }).text(read)).rejects.toThrow('exit code 1');
  });
});

describe('no program runs', () => {
  test('that a repository names: monitors, hooks, filters, aliases, pagers, signature checkers', async () => {
    const dir = scratchDir();
    const { program, mark } = trap(dir);
    const hostile = repository({
      'a.yaml': aContext('a'),
      '.gitattributes': '*.yaml filter=evil diff=evil\n',
    });
    for (const [key, value] of Object.entries({
      'core.fsmonitor': program,
      'core.hooksPath': dir,
      'core.pager': program,
      'core.sshCommand': program,
      'core.gitProxy': program,
      'core.alternateRefsCommand': program,
      'core.askPass': program,
      'core.editor': program,
      'credential.helper': `!${program}`,
      'gpg.program': program,
      'gpg.openpgp.program': program,
      'gpg.x509.program': program,
      'gpg.ssh.program': program,
      'gpg.ssh.defaultKeyCommand': program,
      'log.showSignature': 'true',
      'pager.show': program,
      'diff.external': program,
      'diff.evil.textconv': program,
      'diff.evil.command': program,
      'filter.evil.clean': program,
      'filter.evil.smudge': program,
      'filter.evil.process': program,
      'filter.evil.required': 'true',
      'alias.rev-parse': `!${program}`,
      'alias.cat-file': `!${program}`,
      'alias.show': `!${program}`,
      'alias.verify-commit': `!${program}`,
    }))
      runGit(['-C', hostile.dir, 'config', key, value]);
    for (const hook of ['post-index-change', 'reference-transaction', 'post-checkout', 'fsmonitor-watchman'])
      writeFileSync(join(hostile.dir, '.git/hooks', hook), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
    // Not even one that says it is signed, and is then asked about.
    const text = runGit(['-C', hostile.dir, 'cat-file', 'commit', 'HEAD']);
    const signature = 'gpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----';
    const forged = runGit(
      ['-C', hostile.dir, 'hash-object', '-t', 'commit', '-w', '--stdin'],
      text.replace('\n\n', `\n${signature}\n\n`),
    );
    writeFileSync(join(hostile.dir, '.git/refs/heads/main'), `${forged}\n`);
    rmSync(mark, { force: true });

    const { revision } = await directorySource(hostile.dir, git).read();
    expect(revision).toBe(forged);
    const options = { allowed_signers_file: '/dev/null', gnupg_home: null };
    await expect(signedSource(hostile.dir, git, options).read()).rejects.toThrow(
      'is not signed by an allowed signer',
    );
    expect(existsSync(mark)).toBe(false);
  });

  test('to fetch what a partial clone lacks', async () => {
    const { program, mark } = trap(scratchDir());
    const partial = repository({ 'a.yaml': aContext('a') });
    const id = partial.git('rev-parse', 'HEAD:a.yaml');
    rmSync(join(partial.dir, '.git/objects', id.slice(0, 2), id.slice(2)));
    for (const [key, value] of Object.entries({
      'core.repositoryFormatVersion': '1',
      'extensions.partialClone': 'origin',
      'remote.origin.promisor': 'true',
      'remote.origin.url': partial.dir,
      'remote.origin.uploadpack': program,
      'protocol.allow': 'always',
      'protocol.file.allow': 'always',
    }))
      partial.git('config', key, value);
    rmSync(mark, { force: true });
    const gitDir = join(partial.dir, '.git');
    await expect(readObjects(git, gitDir, [id])).rejects.toThrow(`object ${id} is not there`);
    expect(await sizesOf(git, gitDir, [id])).toEqual([null]);
    expect(existsSync(mark)).toBe(false);
  });

  test.each([
    'ext::sh -c "touch MARK"',
    '--upload-pack=touch MARK',
    'ssh://-oProxyCommand=touch MARK/x',
    'fd::7',
    'unknown::x',
  ])('for the remote %s', async (url) => {
    const dir = scratchDir();
    const mark = join(dir, 'MARK');
    const remote = url.replaceAll('MARK', mark);
    const asked = git.run(['ls-remote', '--end-of-options', remote], { with_configuration: true });
    await expect(asked).rejects.toThrow('git ls-remote: fatal: ');
    expect(existsSync(mark)).toBe(false);
  });
});
