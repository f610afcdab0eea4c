/** `seal-gateway plan`: what a change would do, before it is merged. */
import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { gitEnvironment, loadConfig } from '../config.ts';
import { randomToken } from '../ids.ts';
import { makeTree, TreeUnreadable } from '../manifest/tree.ts';
import { readCommitTree } from '../reconcile/commit-tree.ts';
import type { CompileDeps } from '../reconcile/compile.ts';
import { createGit, type Git, GitError } from '../reconcile/git.ts';
import { readCommit } from '../reconcile/git-objects.ts';
import { type ManifestsInForce, sideInForce } from '../reconcile/in-force.ts';
import { appliedOf, isEmpty, type Plan, planBetween, type Side } from '../reconcile/plan.ts';
import { findCheckout } from '../reconcile/source.ts';
import { packageVersion } from '../version.ts';
import {
  type Annotation,
  annotationOf,
  annotations,
  asLog,
  junit,
  repositoryPath,
  sarif,
} from './annotations.ts';
import { askControl, type ControlOptions, controlOptions } from './control.ts';
import { FETCH, localDeps, readLocal, type SideOptions, sideOfTree } from './local-side.ts';
import { CliError, EXIT } from './output.ts';
import { planText } from './plan-text.ts';
import type { CliDeps } from './program.ts';
import { addToStepSummary } from './step-summary.ts';

interface PlanOptions extends ControlOptions {
  readonly config?: string;
  readonly from: string;
  readonly exitCode?: boolean;
  readonly fetch?: boolean;
  readonly output: 'text' | 'json' | 'github' | 'sarif' | 'junit';
}

const SIDES = 'a directory, git:<revision>, or gateway: the running one, or the URL of its control listener';

export function addPlan(program: Command, { console }: CliDeps): void {
  controlOptions(
    program
      .command('plan')
      .argument('[to]', `${SIDES}; else the directory of the configuration`)
      .description('Show what a change of manifests would do: resources, tools, rights')
      .option('--from <side>', `what to compare with: ${SIDES}`, 'git:HEAD')
      .option('--config <file>', 'gateway.yaml that names the directory')
      .option('--fetch', FETCH)
      .option('--exit-code', 'exit with 2 when something would change'),
  )
    .addOption(
      new Option('-o, --output <format>', 'what to print')
        .choices(['text', 'json', 'github', 'sarif', 'junit'])
        .default('text'),
    )
    .action(async (given: string | undefined, options: PlanOptions) => {
      const { dir } = loadConfig(options.config).config.manifests;
      const [from, to] = [options.from, given ?? dir];
      const plan = await makePlan(from, to, { ...options, dir });
      // Where the files of diagnostics stand.
      const place = isDirectory(to) ? to : dir;
      console.out(write(plan, { from, to, place, format: options.output }));
      if (plan.diagnostics.some(({ severity }) => severity === 'error')) throw new CliError('');
      if (plan.held !== null) throw new CliError('', EXIT.held);
      if (options.exitCode === true && !isEmpty(plan)) throw new CliError('', EXIT.changes);
    });
}

interface Places extends ControlOptions, Pick<SideOptions, 'fetch'> {
  /** Directory of manifests of the configuration. */
  readonly dir: string;
}

/** Rejects with CliError when a side cannot be read. */
async function makePlan(from: string, to: string, places: Places): Promise<Plan> {
  const deps = localDeps();
  const git = createGit({ env: gitEnvironment() });
  // A revision is of the checkout that the directory of the other side is in.
  const checkout = [to, from].find(isDirectory) ?? places.dir;
  const read = (side: string, options: SideOptions): Promise<Side> => {
    const revision = /^git:(.*)$/s.exec(side)?.[1];
    if (revision !== undefined) return sideOfRevision(revision, checkout, git, { ...options, deps });
    if (isDirectory(side)) return readLocal(side).then((tree) => sideOfTree(tree, { ...options, deps }));
    return sideOfGateway(side === 'gateway' ? places : { ...places, control: side }, deps);
  };
  try {
    const { fetch } = places;
    const before = await read(from, { fetch });
    return planBetween(before, await read(to, { fetch, previous: appliedOf(before) }));
  } catch (error) {
    if (error instanceof GitError || error instanceof TreeUnreadable) throw new CliError(error.message);
    throw error;
  }
}

function isDirectory(side: string): boolean {
  return side !== 'gateway' && !/^(git:|https?:\/\/)/.test(side);
}

async function sideOfRevision(revision: string, dir: string, git: Git, options: SideOptions): Promise<Side> {
  if (!existsSync(dir)) throw new CliError(`${dir} is not there`);
  const place = await findCheckout(dir, git);
  if (place === null)
    throw new CliError(`${dir} is in no git checkout: name a directory to compare with (--from <dir>)`);
  const { gitDir, path } = place;
  const find = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
  const id = await git.text(['--git-dir', gitDir, ...find]).catch(() => {
    throw new CliError(`git knows no revision ${revision}; fetch it first`);
  });
  const tree = await readCommitTree(git, gitDir, await readCommit(git, gitDir, id), path);
  // A directory that is new has nothing to compare with: all of it is added.
  return sideOfTree(tree ?? makeTree([], []), { ...options, revision: id });
}

async function sideOfGateway(options: ControlOptions, deps: CompileDeps): Promise<Side> {
  const { body } = await askControl(options, '/v1/manifests', isInForce);
  return sideInForce(body, deps);
}

function isInForce(body: unknown): body is ManifestsInForce {
  const { rows, contents } = (body ?? {}) as Partial<ManifestsInForce>;
  return Array.isArray(rows) && typeof contents === 'object' && contents !== null;
}

interface Page {
  readonly from: string;
  readonly to: string;
  readonly place: string;
  readonly format: PlanOptions['output'];
}

function write(plan: Plan, { from, to, place, format }: Page): string {
  const text = planText(plan, from, to);
  switch (format) {
    case 'text':
      return text;
    case 'json':
      return `${JSON.stringify({ from, to, ...plan }, null, 2)}\n`;
    case 'sarif':
      return sarif(plan.diagnostics, repositoryPath(place), packageVersion());
    case 'junit':
      return junit(plan.diagnostics, place);
    case 'github': {
      addToStepSummary('Plan', text, 'diff');
      const list = [...plan.diagnostics.map(annotationOf), ...widenings(plan)];
      return `${annotations(list, repositoryPath(place))}${asLog(text, randomToken())}`;
    }
  }
}

/** One for each manifest that grants more than before. */
function widenings({ rights }: Plan): Annotation[] {
  return rights.flatMap(({ kind, name, file, line, changes }) => {
    const widened = changes.filter(({ direction }) => direction === 'widened');
    if (widened.length === 0) return [];
    const message = `${kind} ${name} grants more than before:\n${widened.map(({ what, detail }) => `${what}: ${detail}`).join('\n')}`;
    return [{ level: 'notice' as const, title: 'widened rights', file, line, column: 1, message }];
  });
}
