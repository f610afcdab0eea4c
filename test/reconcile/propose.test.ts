import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createGit } from '../../src/reconcile/git.ts';
import { createProposals, type Proposal } from '../../src/reconcile/propose.ts';

const git = createGit({ env: process.env });

/** A bare repository with one commit on main. */
function setUp() {
  const dir = mkdtempSync(join(tmpdir(), 'seal-propose-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const repo = join(dir, 'remote.git');
  const work = join(dir, 'work');
  const run = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  run('init', '-q', '--bare', '-b', 'main', repo);
  run('init', '-q', '-b', 'main', work);
  writeFileSync(join(work, 'README.md'), 'configuration\n');
  run('-C', work, 'add', '.');
  run('-C', work, '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '-m', 'first');
  run('-C', work, 'push', '-q', repo, 'main');
  const target = {
    repo,
    branch_prefix: 'seal/',
    base: 'main',
    path: 'gateway.d',
    cache_dir: join(dir, 'cache'),
  };
  return {
    run: (...args: string[]) => run('--git-dir', repo, ...args),
    propose: createProposals(target, git),
    link(path: string, to: string) {
      run('-C', work, 'pull', '-q', repo, 'main');
      mkdirSync(dirname(join(work, path)), { recursive: true });
      symlinkSync(to, join(work, path));
      run('-C', work, 'add', '.');
      run('-C', work, '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '-m', 'link');
      run('-C', work, 'push', '-q', repo, 'main');
    },
  };
}

function aProposal(id: string, more: Partial<Proposal> = {}): Proposal {
  const author = { name: 'Olga Operator', email: 'olga@example.com' };
  return {
    file: 'crm.yaml',
    edit: () => 'kind: ApiSpec\n',
    author,
    message: 'Add ApiSpec crm',
    id,
    announce: async () => {},
    ...more,
  };
}

test('a change is a commit on a branch of its own, by its operator; main stays as it was', async () => {
  const { run, propose } = setUp();
  const main = run('rev-parse', 'main');
  const { branch, commit } = await propose(aProposal('1'));
  expect(branch).toBe('seal/1');
  expect(run('rev-parse', 'refs/heads/seal/1')).toBe(commit);
  expect(run('show', `${commit}:gateway.d/crm.yaml`)).toBe('kind: ApiSpec');
  expect(run('log', '-1', '--format=%an <%ae>|%s|%P', commit)).toBe(
    `Olga Operator <olga@example.com>|Add ApiSpec crm|${main}`,
  );
  expect(run('show', `${commit}:README.md`)).toBe('configuration');
  expect(run('rev-parse', 'main')).toBe(main);
});

test('proposals made at the same time do not lose each other', async () => {
  const { run, propose } = setUp();
  const ids = Array.from({ length: 8 }, (_, index) => `p${index}`);
  const made = await Promise.all(
    ids.map((id) => propose(aProposal(id, { file: `workflows/${id}.yaml`, edit: () => `${id}\n` }))),
  );
  for (const [index, { commit }] of made.entries()) {
    expect(run('show', `${commit}:gateway.d/workflows/${ids[index]}.yaml`)).toBe(ids[index]);
  }
  expect(run('branch', '--list', 'seal/*').split('\n')).toHaveLength(8);
});

test('a deletion, and a change that changes nothing', async () => {
  const { run, propose } = setUp();
  const { commit } = await propose(aProposal('1'));
  run('update-ref', 'refs/heads/main', commit);
  const removed = await propose(aProposal('2', { edit: () => null }));
  expect(run('ls-tree', '-r', '--name-only', removed.commit)).toBe('README.md');
  await expect(propose(aProposal('3'))).rejects.toThrow('says this already');
});

test('a branch that is there is not overwritten', async () => {
  const { run, propose } = setUp();
  const { commit } = await propose(aProposal('1'));
  await expect(propose(aProposal('1', { edit: () => 'other\n' }))).rejects.toThrow(/git push/);
  expect(run('rev-parse', 'refs/heads/seal/1')).toBe(commit);
});

test('the edit sees the file to the last blank, and its commit is announced before it is pushed', async () => {
  const { run, propose } = setUp();
  const text = '\n# first\nkind: ApiSpec\n\n';
  const { commit } = await propose(aProposal('1', { edit: () => text }));
  run('update-ref', 'refs/heads/main', commit);
  const seen: unknown[] = [];
  const announce: Proposal['announce'] = async ({ branch }) => {
    seen.push(run('branch', '--list', branch));
    throw new Error('no audit');
  };
  const edit = (current: string | null): string => {
    seen.push(current);
    return 'other\n';
  };
  await expect(propose(aProposal('2', { edit, announce }))).rejects.toThrow('no audit');
  expect(seen).toEqual([text, '']);
  expect(run('branch', '--list', 'seal/2')).toBe('');
});

test('what is no plain file is not written over', async () => {
  const { run, propose, link } = setUp();
  link('gateway.d/crm.yaml', '/etc/passwd');
  await expect(propose(aProposal('1'))).rejects.toThrow('no plain file');
  expect(run('branch', '--list', 'seal/*')).toBe('');
});

test('a queue that git does not keep up with is not joined', async () => {
  const { propose } = setUp();
  const all = Array.from({ length: 12 }, (_, n) => propose(aProposal(`${n}`, { file: `${n}.yaml` })));
  const settled = await Promise.allSettled(all);
  const refused = settled.filter((one) => one.status === 'rejected').map(({ reason }) => reason.name);
  expect(refused).toEqual(['OVERLOADED', 'OVERLOADED', 'OVERLOADED']);
});

test.each(['../x.yaml', '.git/config', 'a/../../x.yaml', 'x\n.yaml'])(
  'the file %j is refused',
  async (file) => {
    const { propose } = setUp();
    await expect(propose(aProposal('1', { file }))).rejects.toThrow('leaves the directory');
  },
);

test("an operator's name cannot forge a header", async () => {
  const { run, propose } = setUp();
  const { commit } = await propose(aProposal('1', { author: { name: 'a\ncommitter x <y>', email: '<>' } }));
  expect(run('log', '-1', '--format=%an|%ae|%cn', commit)).toBe(
    'a committer x  y|operator@localhost|seal-gateway',
  );
});
