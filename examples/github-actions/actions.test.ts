/** The workflow's commands, run as they stand on a repository with a pull request's change. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');
const workflow = parse(readFileSync(join(import.meta.dirname, '.github/workflows/gateway.yaml'), 'utf8'));
const commands: string[] = workflow.jobs.manifests.steps.flatMap(({ run }: { run?: string }) =>
  run?.startsWith('seal-gateway ') ? [run] : [],
);

test('every command works on a pull request, and the summary tells the rights that it grants', () => {
  const dir = mkdtempSync(join(tmpdir(), 'seal-actions-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const git = (...args: string[]): void => {
    execFileSync('git', ['-C', dir, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { stdio: 'pipe' });
  };
  cpSync(join(ROOT, 'gateway.d'), join(dir, 'gateway.d'), { recursive: true });
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-qm', 'before');
  git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  const context = join(dir, 'gateway.d/contexts/billing-read.yaml');
  writeFileSync(context, readFileSync(context, 'utf8').replace('calls: 100', 'calls: 1000'));
  const summary = join(dir, 'summary.md');

  const gateway = `${process.execPath} ${join(ROOT, 'src/main.ts')} `;
  for (const command of commands) {
    const line = command.replace(/^seal-gateway /, gateway).replace(/\$\{\{ github\.base_ref \}\}/, 'main');
    execFileSync('bash', ['-c', line], {
      cwd: dir,
      env: { ...process.env, GITHUB_STEP_SUMMARY: summary },
      stdio: 'pipe',
    });
  }
  expect(commands).toHaveLength(3);
  expect(readFileSync(summary, 'utf8')).toContain(
    'widened customer.* rate_limit: 100 calls in 60 s -> 1000 calls in 60 s',
  );
});
