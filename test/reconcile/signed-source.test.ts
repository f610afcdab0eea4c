import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createGit } from '../../src/reconcile/git.ts';
import { type Reading, signedSource } from '../../src/reconcile/source.ts';
import type { VerifyOptions } from '../../src/reconcile/verify-commit.ts';
import { put } from '../manifest/directory.ts';
import { aContext, GIT_ENV, type Repository, repository, runGit, scratchDir, trap } from './repository.ts';
import { allowedSigners, gpgHome, gpgKey, keyring, sshKey } from './signers.ts';

const git = createGit({ env: GIT_ENV });
const FILES = { 'a.yaml': aContext('a') };

/** Commits what is there, signed. */
function sign({ dir, git: run }: Repository, options: readonly string[], ...more: string[]): string {
  run('add', '--all');
  runGit([
    ...['-C', dir, '-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...options],
    ...['commit', '--quiet', '--allow-empty', '-S', '-m', 'signed', ...more],
  ]);
  return run('rev-parse', 'HEAD');
}

function read(one: Repository, options: Partial<VerifyOptions>): Promise<Reading> {
  return signedSource(one.dir, git, { allowed_signers_file: null, gnupg_home: null, ...options }).read();
}

const made = mkdtempSync(join(tmpdir(), 'seal-keys-'));
afterAll(() => rmSync(made, { recursive: true, force: true }));
/** Of the one who may sign, and of one who may not. */
const key = sshKey('ed25519', made);
const foreign = sshKey('ecdsa', made);

const REJECTED = { name: 'CommitRejected' };

describe('an SSH signature', () => {
  test.each([
    ['Ed25519', key],
    ['ECDSA', foreign],
  ])('of an allowed signer is accepted (%s)', async (_, key) => {
    const one = repository(FILES);
    const commit = sign(one, key.options);
    const allowed_signers_file = allowedSigners(
      sshKey().line('eve@example.com'),
      key.line('ada@example.com'),
    );
    const reading = await read(one, { allowed_signers_file });
    expect(reading).toMatchObject({
      revision: commit,
      author: { registered_by: 'Ada <ada@example.com>', subject: 'signed' },
      signer: { signer: 'ada@example.com', fingerprint: key.fingerprint },
    });
    expect([...reading.tree.files.keys()]).toEqual(['a.yaml']);
  });

  test('in a sha256 repository, and of a sub-directory', async () => {
    const one = repository({ 'gateway.d/a.yaml': aContext('a'), 'b.yaml': aContext('b') }, 'sha256');
    const commit = sign(one, key.options);
    const options = { allowed_signers_file: allowedSigners(key.line('ada')), gnupg_home: null };
    const { revision, tree } = await signedSource(join(one.dir, 'gateway.d'), git, options).read();
    expect(revision).toBe(commit);
    expect([...tree.files.keys()]).toEqual(['a.yaml']);
  });

  test.each<[string, () => string]>([
    ['of somebody else', () => foreign.line('ada@example.com')],
    ['when nobody is allowed', () => ''],
    ['for another purpose', () => key.line('ada@example.com', 'namespaces="file"')],
    ['that was not good yet', () => key.line('ada', 'namespaces="git",valid-after="20990101"')],
    ['that was no longer good', () => key.line('ada', 'namespaces="git",valid-before="20200101"')],
    ['by a key that is only an authority', () => key.line('ada', 'cert-authority')],
  ])('%s is rejected', async (_, line) => {
    const one = repository(FILES);
    const commit = sign(one, key.options);
    await expect(read(one, { allowed_signers_file: allowedSigners(line()) })).rejects.toMatchObject({
      ...REJECTED,
      message: `commit ${commit.slice(0, 12)} is not signed by an allowed signer`,
    });
  });

  test('is not asked for where only OpenPGP keys are allowed', async () => {
    const one = repository(FILES);
    sign(one, key.options);
    await expect(read(one, { gnupg_home: gpgHome().dir })).rejects.toMatchObject(REJECTED);
  });
});

describe('an OpenPGP signature', () => {
  test('of a trusted key is accepted, with its user id and fingerprint', async () => {
    const key = gpgKey(gpgHome(), 'Ada Lovelace <ada@example.com>');
    const one = repository(FILES);
    const commit = sign(one, key.options);
    const home = keyring([key.exported(), 'full']);
    expect(await read(one, { gnupg_home: home.dir })).toMatchObject({
      revision: commit,
      signer: { signer: 'Ada Lovelace <ada@example.com>', fingerprint: key.fingerprint },
    });
    // Beside SSH keys too.
    await read(one, { gnupg_home: home.dir, allowed_signers_file: allowedSigners() });
  });

  test('is verified without a change to the home of the keys, which may be read-only', async () => {
    const key = gpgKey(gpgHome(), 'Ada <ada@example.com>');
    const one = repository(FILES);
    sign(one, key.options);
    const { dir } = keyring([key.exported(), 'full']);
    // As Kubernetes mounts a secret: each file is a link.
    const mount = scratchDir();
    for (const name of ['pubring.kbx', 'trustdb.gpg']) {
      renameSync(join(dir, name), join(mount, `..${name}`));
      symlinkSync(`..${name}`, join(mount, name));
    }
    const before = readdirSync(mount).map((name) => [name, statSync(join(mount, name)).mtimeMs]);
    await read(one, { gnupg_home: mount });
    expect(readdirSync(mount).map((name) => [name, statSync(join(mount, name)).mtimeMs])).toEqual(before);
  });

  test('of a key that nobody trusts, or that is not there, is rejected', async () => {
    const key = gpgKey(gpgHome(), 'Eve <eve@example.com>');
    const one = repository(FILES);
    sign(one, key.options);
    const untrusted = keyring([key.exported(), 'none']).dir;
    await expect(read(one, { gnupg_home: untrusted })).rejects.toMatchObject(REJECTED);
    await expect(read(one, { gnupg_home: gpgHome().dir })).rejects.toMatchObject(REJECTED);
    await expect(read(one, { allowed_signers_file: allowedSigners() })).rejects.toMatchObject(REJECTED);
  });

  test('of a key that has expired is rejected', async () => {
    const key = gpgKey(gpgHome(), 'Ada <ada@example.com>', '--faked-system-time', '20200101T000000');
    const one = repository(FILES);
    sign(one, key.options);
    const home = keyring([key.exported(), 'full']);
    await expect(read(one, { gnupg_home: home.dir })).rejects.toMatchObject(REJECTED);
  });

  test('of a key that was revoked is rejected', async () => {
    const signing = gpgHome();
    const key = gpgKey(signing, 'Ada <ada@example.com>');
    const one = repository(FILES);
    sign(one, key.options);
    const home = keyring([key.exported(), 'full']);
    await read(one, { gnupg_home: home.dir });
    const file = join(signing.dir, 'openpgp-revocs.d', `${key.fingerprint}.rev`);
    home.gpg(['--import'], readFileSync(file, 'utf8').replace(':-----BEGIN', '-----BEGIN'));
    await expect(read(one, { gnupg_home: home.dir })).rejects.toMatchObject(REJECTED);
  });
});

describe('a commit', () => {
  test('that is not signed is rejected, and said to be so', async () => {
    const one = repository(FILES);
    const id = one.git('rev-parse', 'HEAD').slice(0, 12);
    const options = { allowed_signers_file: allowedSigners(key.line('ada')) };
    await expect(read(one, options)).rejects.toMatchObject({
      ...REJECTED,
      message: `commit ${id} is not signed`,
    });
  });

  test.each<[string, (text: string) => string]>([
    ['its tree', (text) => text.replace(/^tree \w{8}/, 'tree 00000000')],
    ['its message', (text) => text.replace(/signed\n$/, 'signed by Ada\n')],
    ['its author', (text) => text.replace('author Ada', 'author Eve')],
    ['its signature', (text) => text.replace(/\n U1N\w{8}/, '\n U1NAAAAAAAA')],
    ['its parents', (text) => text.replace(/\nparent \w+/, '')],
  ])('of which somebody has changed %s is rejected', async (_, change) => {
    const one = repository(FILES);
    sign(one, key.options);
    const text = `${one.git('cat-file', 'commit', 'HEAD')}\n`;
    const changed = change(text);
    expect(changed).not.toBe(text);
    const id = runGit(['-C', one.dir, 'hash-object', '-t', 'commit', '-w', '--stdin'], changed);
    writeFileSync(join(one.dir, '.git/refs/heads/main'), `${id}\n`);
    const options = { allowed_signers_file: allowedSigners(key.line('ada')) };
    await expect(read(one, options)).rejects.toMatchObject(REJECTED);
  });

  test('is read as it was signed, whatever stands in the work tree or is staged', async () => {
    const one = repository(FILES);
    const commit = sign(one, key.options);
    put(one.dir, { 'a.yaml': aContext('a', 'changed'), 'new.yaml': aContext('evil') });
    one.git('add', '--all');
    const { revision, tree } = await read(one, { allowed_signers_file: allowedSigners(key.line('ada')) });
    expect(revision).toBe(commit);
    expect([...tree.files].map(([path, { bytes }]) => [path, bytes.toString()])).toEqual([
      ['a.yaml', aContext('a')],
    ]);
  });

  test('that is signed after one that was not is followed', async () => {
    const one = repository(FILES);
    const options = { allowed_signers_file: allowedSigners(key.line('ada')) };
    await expect(read(one, options)).rejects.toMatchObject(REJECTED);
    const commit = sign(one, key.options);
    expect((await read(one, options)).revision).toBe(commit);
    one.commit({ 'b.yaml': aContext('b') }, 'not signed');
    await expect(read(one, options)).rejects.toMatchObject(REJECTED);
  });

  test('is not believed because the repository says so', async () => {
    const { program, mark } = trap(scratchDir());
    const one = repository(FILES);
    const commit = sign(one, foreign.options);
    for (const [name, value] of Object.entries({
      'gpg.ssh.program': program,
      'gpg.program': program,
      'gpg.openpgp.program': program,
      'gpg.ssh.allowedSignersFile': allowedSigners(foreign.line('ada')),
      'gpg.minTrustLevel': 'never',
    }))
      one.git('config', name, value);
    const options = { allowed_signers_file: allowedSigners(key.line('ada')) };
    await expect(read(one, options)).rejects.toMatchObject(REJECTED);
    expect(existsSync(mark)).toBe(false);
    // Nor because another one, which is signed, is put in its place.
    const good = sign(one, key.options);
    one.git('replace', commit, good);
    one.git('reset', '--quiet', '--soft', commit);
    await expect(read(one, options)).rejects.toMatchObject(REJECTED);
  });
});

describe('who may sign', () => {
  test('is not for the checkout itself to say', async () => {
    const one = repository({ ...FILES, allowed_signers: key.line('ada') });
    sign(one, key.options);
    const inside = join(one.dir, 'allowed_signers');
    await expect(read(one, { allowed_signers_file: inside })).rejects.toMatchObject({
      name: 'TreeUnreadable',
      message: `${inside}, which says who may sign, is in the checkout itself; put it elsewhere`,
    });
    await expect(read(one, { gnupg_home: one.dir })).rejects.toMatchObject({ name: 'TreeUnreadable' });
  });

  test('that cannot be read says nothing about the commit', async () => {
    const one = repository(FILES);
    sign(one, key.options);
    const gone = join(scratchDir(), 'gone');
    await expect(read(one, { allowed_signers_file: gone })).rejects.toMatchObject({
      name: 'TreeUnreadable',
      message: expect.stringContaining(gone),
    });
  });

  test('is asked of programs that may be missing, which is told', async () => {
    const one = repository(FILES);
    sign(one, key.options);
    const bin = scratchDir();
    const path = runGit(['--exec-path']);
    writeFileSync(join(bin, 'git'), `#!/bin/sh\nexec '${path}/git' "$@"\n`);
    chmodSync(join(bin, 'git'), 0o755);
    const poor = createGit({ env: { ...GIT_ENV, PATH: bin } });
    const options = { allowed_signers_file: allowedSigners(key.line('ada')), gnupg_home: null };
    const failure = await signedSource(one.dir, poor, options)
      .read()
      .catch((error) => error);
    expect(failure.message).toMatch(/cannot run ssh-keygen/);
  });
});

test('a directory that is in no checkout has no signature', async () => {
  const dir = scratchDir();
  put(dir, FILES);
  const options = { allowed_signers_file: '/dev/null', gnupg_home: null };
  await expect(signedSource(dir, git, options).read()).rejects.toMatchObject({ name: 'TreeUnreadable' });
  rmSync(dir, { recursive: true });
  await expect(signedSource(dir, git, options).read()).rejects.toMatchObject({ name: 'TreeUnreadable' });
});
