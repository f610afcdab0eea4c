/** `seal-gateway plan`: what a change would do, before it is merged. */
import { appendFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { environment, gitEnvironment, loadConfig } from '../config.ts';
import { makeTree, type Tree } from '../manifest/tree.ts';
import { readCommitTree } from '../reconcile/commit-tree.ts';
import { createGit, type Git, GitError } from '../reconcile/git.ts';
import { readCommit } from '../reconcile/git-objects.ts';
import { isEmpty, planBetween, type Side } from '../reconcile/plan.ts';
import { findCheckout } from '../reconcile/source.ts';
import { annotations } from './annotations.ts';
import { readLocal, sideOfTree } from './local-side.ts';
import { CliError, EXIT } from './output.ts';
import { planText } from './plan-text.ts';
import type { CliDeps } from './program.ts';

interface PlanOptions {
  readonly config?: string;
  readonly from: string;
  readonly exitCode?: boolean;
  readonly output: 'text' | 'json' | 'github';
}

export function addPlan(program: Command, { console }: CliDeps): void {
  program
    .command('plan')
    .argument('[to]', 'a directory, or git:<revision>; else the directory of the configuration')
    .description('Show what a change of manifests would do: resources, tools, rights')
    .option(
      '--from <side>',
      'what to compare with: a directory, or git:<revision> of the checkout',
      'git:HEAD',
    )
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option('--exit-code', 'exit with 2 when something would change')
    .addOption(
      new Option('-o, --output <format>', 'what to print')
        .choices(['text', 'json', 'github'])
        .default('text'),
    )
    .action(async (to: string | undefined, options: PlanOptions) => {
      const dir = loadConfig(options.config).config.manifests.dir;
      const git = createGit({ env: gitEnvironment() });
      const target = to ?? dir;
      const plan = planBetween(
        await sideOf(options.from, target, dir, git),
        await sideOf(target, target, dir, git),
      );
      const text = planText(plan, options.from, target);
      if (options.output === 'json') console.out(`${JSON.stringify(plan, null, 2)}\n`);
      else if (options.output === 'text') console.out(text);
      else {
        console.out(annotations(plan.diagnostics, target.startsWith('git:') ? dir : target));
        const summary = environment('GITHUB_STEP_SUMMARY');
        const page = `### Plan\n\n\`\`\`diff\n${text}\`\`\`\n`;
        if (summary === null) console.out(page);
        else appendFileSync(summary, page);
      }
      if (plan.diagnostics.some(({ severity }) => severity === 'error')) throw new CliError('');
      if (options.exitCode === true && !isEmpty(plan)) throw new CliError('', EXIT.changes);
    });
}

/** `git:<revision>` is of the checkout that the other side's directory is in. */
async function sideOf(side: string, target: string, dir: string, git: Git): Promise<Side> {
  try {
    const tree = side.startsWith('git:')
      ? await treeOfRevision(side.slice('git:'.length), target.startsWith('git:') ? dir : target, git)
      : await readLocal(side);
    return await sideOfTree(tree);
  } catch (error) {
    if (error instanceof GitError) throw new CliError(`${side}: ${error.message}`);
    throw error;
  }
}

async function treeOfRevision(revision: string, dir: string, git: Git): Promise<Tree> {
  const place = await findCheckout(dir, git);
  if (place === null)
    throw new CliError(`${dir} is in no git checkout: name a directory to compare with (--from <dir>)`);
  const commit = await git
    .text([
      '--git-dir',
      place.gitDir,
      'rev-parse',
      '--verify',
      '--quiet',
      '--end-of-options',
      `${revision}^{commit}`,
    ])
    .catch(() => {
      throw new CliError(`git knows no revision ${revision}; fetch it first`);
    });
  const tree = await readCommitTree(
    git,
    place.gitDir,
    await readCommit(git, place.gitDir, commit),
    place.path,
  );
  // A directory that is new has nothing to compare with: all of it is added.
  return tree ?? makeTree([], []);
}
