/** `seal-gateway test [dir]`: runs the GatewayTest files (`*.test.yaml`) below a directory. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { compareDiagnostics, type Diagnostic, errorAt, formatDiagnostic } from '../manifest/diagnostic.ts';
import { parseFile } from '../manifest/parse.ts';
import { locate } from '../manifest/position.ts';
import { validateTest } from '../manifest/validate.ts';
import { type PolicyCase, runPolicyCase, runWorkflowCase, type WorkflowCase } from './gateway-test.ts';
import { FETCH, readSet, type SideOptions } from './local-side.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

interface TestFile {
  readonly file: string;
  readonly group: string;
  readonly policy: readonly PolicyCase[];
  readonly workflows: readonly WorkflowCase[];
}

interface Result {
  readonly file: string;
  readonly group: string;
  readonly name: string;
  readonly failure: string | null;
}

interface TestOptions extends OutputOptions {
  readonly config?: string;
  readonly fetch?: boolean;
}

export function addTest(program: Command, { console }: CliDeps): void {
  program
    .command('test')
    .argument('[dir]', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option('--fetch', FETCH)
    .description('Run the policy and workflow tests (*.test.yaml) beside the manifests')
    .action(async (dir: string | undefined, options: TestOptions) => {
      const path = dir ?? loadConfig(options.config).config.manifests.dir;
      const { files, diagnostics } = readTests(path);
      if (diagnostics.length > 0) throw notValid(path, diagnostics.map(formatDiagnostic));
      if (files.every(({ policy, workflows }) => policy.length + workflows.length === 0))
        throw new CliError(`${path} holds no tests (GatewayTest, in files *.test.yaml)`);
      const results = await runTests(path, files, options);
      const failed = results.filter(({ failure }) => failure !== null).length;
      const summary = { passed: results.length - failed, failed, results };
      print(console, options, summary, textOf(results, failed));
      if (failed > 0) throw new CliError('');
    });
}

/** Rejects with CliError when the manifests are not valid. */
async function runTests(
  dir: string,
  files: readonly TestFile[],
  options: Pick<SideOptions, 'fetch'>,
): Promise<Result[]> {
  const set = await readSet(dir, options);
  if (set.errors.length > 0) throw notValid(dir, set.errors);
  const results: Result[] = [];
  for (const { file, group, policy, workflows } of files) {
    for (const one of policy) results.push({ file, group, ...runPolicyCase(set, one) });
    for (const one of workflows) results.push({ file, group, ...(await runWorkflowCase(set, one)) });
  }
  return results;
}

function notValid(dir: string, lines: readonly string[]): CliError {
  return new CliError(`${dir} is not valid:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

/** Every test file below the directory, hidden names apart. Throws CliError when it cannot be read. */
export function readTests(dir: string): { files: TestFile[]; diagnostics: Diagnostic[] } {
  const files: TestFile[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const file of testFiles(dir)) {
    const parsed = parseFile(file, contentOf(join(dir, file)));
    diagnostics.push(...parsed.diagnostics);
    for (const document of parsed.documents) {
      // What could not be read is told already.
      if (!document.valid || document.value === null) continue;
      const violations = validateTest(document.value);
      diagnostics.push(
        ...violations.map(({ pointer, at, rule, message, hint }) =>
          errorAt(file, locate(document, pointer, at), rule, message, hint),
        ),
      );
      if (violations.length > 0) continue;
      const { metadata, spec } = document.value as {
        metadata: { name: string };
        spec: { policy?: PolicyCase[]; workflows?: WorkflowCase[] };
      };
      files.push({ file, group: metadata.name, policy: spec.policy ?? [], workflows: spec.workflows ?? [] });
    }
  }
  return { files, diagnostics: diagnostics.sort(compareDiagnostics) };
}

function testFiles(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .map((path) => path.split(sep).join('/'))
      .filter((path) => /\.test\.ya?ml$/i.test(path) && !/(^|\/)\./.test(path))
      .sort();
  } catch (error) {
    throw new CliError(`${dir} cannot be read: ${(error as Error).message}`);
  }
}

/** A pipe would be waited for without an end. */
function contentOf(path: string): Buffer {
  try {
    if (!statSync(path).isFile()) throw new Error('this is no regular file');
    return readFileSync(path);
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function textOf(results: readonly Result[], failed: number): string {
  const lines = results.map(
    ({ file, group, name, failure }) =>
      `${failure === null ? 'ok  ' : 'FAIL'} ${file} ${group}: ${name}${failure === null ? '' : `\n     ${failure}`}`,
  );
  return [...lines, `${results.length - failed} passed, ${failed} failed`].join('\n');
}
