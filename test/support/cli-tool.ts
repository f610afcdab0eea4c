/** CLI tools as a manifest makes them. */
import type { Manifest } from '../../src/manifest/manifest.ts';
import { compileCliTool } from '../../src/reconcile/compile-cli.ts';
import { createProblems } from '../../src/reconcile/problems.ts';
import type { CliTool, Judge } from '../../src/snapshot/snapshot.ts';

type Spec = Manifest<'CliTool'>['spec'];

export interface WrittenCliTool extends Partial<Spec> {
  readonly name?: string;
  readonly tenant?: string | null;
}

/** A tool of these fields over a small default; throws when they have errors. */
export function cliTool(written: WrittenCliTool = {}, judge: Judge | null = null): CliTool {
  const { name = 'kubectl', tenant = null, ...spec } = written;
  const problems = createProblems();
  const whole = {
    description: 'A command.',
    image: 'tools/cli:1',
    command: ['kubectl'],
    allowed_subcommands: ['get'],
    ...spec,
  } as Spec;
  const tool = compileCliTool({ spec: whole, name, tenant } as Manifest<'CliTool'>, problems, judge);
  if (problems.failed) throw new Error(JSON.stringify(problems.findings));
  return tool;
}
