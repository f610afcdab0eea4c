/** Real repositories of the system's git in directories that are removed after the test. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Files, put } from '../manifest/directory.ts';

/** Nothing of the machine's or the user's git configuration counts. */
export const GIT_ENV: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))),
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};

export interface Repository {
  /** Top of the checkout. */
  readonly dir: string;
  git(...args: string[]): string;
  /** Writes the files, commits all that there is, and returns the commit. */
  commit(files: Files, subject?: string, ...options: string[]): string;
}

export function scratchDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'seal-git-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function runGit(args: readonly string[], input?: string): string {
  return execFileSync('git', args, {
    encoding: 'utf8',
    env: GIT_ENV,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(input !== undefined && { input }),
  }).trim();
}

export function repository(files: Files = {}, format: 'sha1' | 'sha256' = 'sha1'): Repository {
  const dir = scratchDir();
  runGit(['init', '--quiet', '--initial-branch=main', `--object-format=${format}`, dir]);
  const git = (...args: string[]): string =>
    runGit(['-C', dir, '-c', 'user.name=Ada Lovelace', '-c', 'user.email=ada@example.com', ...args]);
  const commit: Repository['commit'] = (more, subject = 'change', ...options) => {
    put(dir, more);
    git('add', '--all');
    git('commit', '--quiet', '--allow-empty', '--message', subject, ...options);
    return git('rev-parse', 'HEAD');
  };
  if (Object.keys(files).length > 0) commit(files, 'first');
  return { dir, git, commit };
}

export function aContext(name: string, description = 'x'): string {
  return `apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: ${name}}
spec: {description: "${description}", capabilities: [{tool_pattern: "a.*"}]}
`;
}

/** A program that leaves a mark when it runs, and says yes to everything. */
export function trap(dir: string): { readonly program: string; readonly mark: string } {
  const mark = join(dir, 'MARK');
  const program = join(dir, 'trap.sh');
  writeFileSync(program, `#!/bin/sh\necho "$0 $*" >> '${mark}'\nexit 0\n`, { mode: 0o755 });
  return { program, mark };
}
