/** `seal-gateway test [dir]`: runs the GatewayTest files (`*.test.yaml`) below a directory. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { type Diagnostic, errorAt, formatDiagnostic } from '../manifest/diagnostic.ts';
import { parseFile } from '../manifest/parse.ts';
import { locate } from '../manifest/position.ts';
import { validateTest } from '../manifest/validate.ts';
import { type PolicyCase, runPolicyCase, runWorkflowCase, type WorkflowCase } from './gateway-test.ts';
import { validSide } from './local-side.ts';
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

export function addTest(program: Command, { console }: CliDeps): void {
  program
    .command('test')
    .argument('[dir]', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .description('Run the policy and workflow tests (*.test.yaml) beside the manifests')
    .action(async (dir: string | undefined, options: OutputOptions & { config?: string }) => {
      const path = dir ?? loadConfig(options.config).config.manifests.dir;
      const { files, diagnostics } = readTests(path);
      if (diagnostics.length > 0)
        throw new CliError(`${path}:\n${diagnostics.map((one) => `  ${formatDiagnostic(one)}`).join('\n')}`);
      if (files.length === 0) throw new CliError(`${path} holds no *.test.yaml file`);
      const results = await runTests(path, files);
      const failed = results.filter(({ failure }) => failure !== null).length;
      const summary = { passed: results.length - failed, failed, results };
      print(console, options, summary, textOf(results, failed));
      if (failed > 0) throw new CliError('');
    });
}

async function runTests(dir: string, files: readonly TestFile[]): Promise<Result[]> {
  const { side, snapshot } = await validSide(dir);
  const results: Result[] = [];
  for (const { file, group, policy, workflows } of files) {
    for (const one of policy) results.push({ file, group, ...runPolicyCase(side, snapshot, one) });
    for (const one of workflows) results.push({ file, group, ...(await runWorkflowCase(snapshot, one)) });
  }
  return results;
}

/** Every test file below the directory, hidden names apart. */
export function readTests(dir: string): { files: TestFile[]; diagnostics: Diagnostic[] } {
  const names = listing(dir).filter(
    (name) => /\.test\.ya?ml$/.test(name) && !name.split('/').some((part) => part.startsWith('.')),
  );
  const files: TestFile[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const file of names.sort()) {
    const parsed = parseFile(file, readFileSync(join(dir, file)));
    diagnostics.push(...parsed.diagnostics);
    for (const document of parsed.documents) {
      if (document.value === null) continue;
      const violations = validateTest(document.value);
      diagnostics.push(
        ...violations.map(({ pointer, at, rule, message, hint }) =>
          errorAt(file, locate(document, pointer, at), rule, message, hint),
        ),
      );
      if (!document.valid || violations.length > 0) continue;
      const { metadata, spec } = document.value as {
        metadata: { name: string };
        spec: { policy?: PolicyCase[]; workflows?: WorkflowCase[] };
      };
      files.push({ file, group: metadata.name, policy: spec.policy ?? [], workflows: spec.workflows ?? [] });
    }
  }
  return { files, diagnostics };
}

function listing(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw new CliError(`${dir} cannot be read: ${(error as Error).message}`);
  }
}

function textOf(results: readonly Result[], failed: number): string {
  const lines = results.map(
    ({ file, group, name, failure }) =>
      `${failure === null ? 'ok  ' : 'FAIL'} ${file} ${group}: ${name}${failure === null ? '' : `\n     ${failure}`}`,
  );
  return [...lines, `${results.length - failed} passed, ${failed} failed`].join('\n');
}
