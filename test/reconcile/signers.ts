/** Keys that sign commits, made for the test: SSH keys, and OpenPGP keys in homes of their own. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { scratchDir } from './repository.ts';

export interface SshKey {
  /** Options of git with which a commit is signed by this key. */
  readonly options: readonly string[];
  /** A line of allowed_signers for this principal. */
  line(principal: string, options?: string): string;
  readonly fingerprint: string;
}

export function sshKey(type = 'ed25519', dir = scratchDir()): SshKey {
  const file = join(dir, `key-${type}`);
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test', '-f', file]);
  const [algorithm = '', key = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  const shown = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' });
  return {
    options: ['-c', 'gpg.format=ssh', '-c', 'gpg.ssh.program=ssh-keygen', '-c', `user.signingKey=${file}`],
    line: (principal, options = 'namespaces="git"') => `${principal} ${options} ${algorithm} ${key}\n`,
    fingerprint: shown.split(' ')[1]!,
  };
}

export function allowedSigners(...lines: readonly string[]): string {
  const file = join(scratchDir(), 'allowed_signers');
  writeFileSync(file, lines.join(''));
  return file;
}

export interface GpgHome {
  readonly dir: string;
  gpg(args: readonly string[], input?: string): string;
}

/** A home whose agent ends with the test. */
export function gpgHome(): GpgHome {
  const dir = scratchDir();
  chmodSync(dir, 0o700);
  const env = { ...process.env, GNUPGHOME: dir };
  const gpg: GpgHome['gpg'] = (args, input = '') =>
    execFileSync('gpg', ['--batch', '--quiet', '--pinentry-mode', 'loopback', ...args], {
      input,
      encoding: 'utf8',
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  onTestFinished(() => {
    execFileSync('gpgconf', ['--kill', 'all'], { env, stdio: 'ignore' });
  });
  return { dir, gpg };
}

export interface GpgKey {
  readonly options: readonly string[];
  readonly fingerprint: string;
  /** The public key, for another home. */
  exported(): string;
}

/** A key that signs; `expire` as gpg takes it. */
export function gpgKey(home: GpgHome, uid: string, ...more: readonly string[]): GpgKey {
  home.gpg([...more, '--passphrase', '', '--quick-generate-key', uid, 'ed25519', 'sign', '1d']);
  const fingerprint = fingerprintOf(home, uid);
  const program = join(scratchDir(), 'sign');
  const late = more.join(' ');
  writeFileSync(program, `#!/bin/sh\nGNUPGHOME='${home.dir}' exec gpg ${late} --batch "$@"\n`, {
    mode: 0o755,
  });
  return {
    options: [
      '-c',
      'gpg.format=openpgp',
      '-c',
      `gpg.program=${program}`,
      '-c',
      `user.signingKey=${fingerprint}`,
    ],
    fingerprint,
    exported: () => home.gpg(['--armor', '--export', fingerprint]),
  };
}

/** The home of a gateway: public keys alone, each with the trust that is given to it. */
export function keyring(...keys: readonly (readonly [key: string, trust: 'full' | 'none'])[]): GpgHome {
  const home = gpgHome();
  for (const [key, trust] of keys) {
    home.gpg(['--import'], key);
    const [id = ''] = home
      .gpg(['--with-colons', '--show-keys'], key)
      .split('\n')
      .filter((line) => line.startsWith('fpr'));
    if (trust === 'full') home.gpg(['--import-ownertrust'], `${id.split(':')[9]}:6:\n`);
  }
  return home;
}

function fingerprintOf(home: GpgHome, uid: string): string {
  const rows = home.gpg(['--with-colons', '--list-keys', uid]).split('\n');
  return rows.find((row) => row.startsWith('fpr'))!.split(':')[9]!;
}
