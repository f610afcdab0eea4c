/** `seal-gateway validate [dir]`: what the gateway would say of a directory, offline and all at once. */
import { type Command, Option } from 'commander';
import { loadConfig } from '../config.ts';
import { compareDiagnostics, type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';
import { packageVersion } from '../version.ts';
import { annotations, junit, sarif } from './annotations.ts';
import { readLocal, sideOfTree } from './local-side.ts';
import { CliError } from './output.ts';
import type { CliDeps } from './program.ts';

export interface Validation {
  readonly manifests: number;
  readonly errors: number;
  readonly warnings: number;
  readonly diagnostics: readonly Diagnostic[];
}

type Format = 'text' | 'json' | 'github' | 'sarif' | 'junit';

export function addValidate(program: Command, { console }: CliDeps): void {
  program
    .command('validate')
    .argument('[dir]', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .addOption(
      new Option('-o, --output <format>', 'what to print')
        .choices(['text', 'json', 'github', 'sarif', 'junit'])
        .default('text'),
    )
    .description('Check a directory of manifests with the very code that the gateway runs')
    .action(async (dir: string | undefined, options: { output: Format; config?: string }) => {
      const path = dir ?? loadConfig(options.config).config.manifests.dir;
      const validation = await validateDirectory(path);
      console.out(FORMATS[options.output](path, validation));
      if (validation.errors > 0) throw new CliError('');
    });
}

/** Reads, checks and compiles a directory; nothing is fetched. Throws CliError when it cannot be read. */
export async function validateDirectory(path: string): Promise<Validation> {
  const { verdicts, diagnostics: found } = await sideOfTree(await readLocal(path));
  const diagnostics = [...found].sort(compareDiagnostics);
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return { manifests: verdicts.size, errors, warnings: diagnostics.length - errors, diagnostics };
}

const FORMATS: { readonly [F in Format]: (path: string, validation: Validation) => string } = {
  text: (path, { diagnostics, ...counts }) =>
    `${[...diagnostics.map(formatDiagnostic), summary(path, counts)].join('\n')}\n`,
  json: (path, validation) => `${JSON.stringify({ dir: path, ...validation }, null, 2)}\n`,
  github: (path, { diagnostics, ...counts }) => `${annotations(diagnostics, path)}${summary(path, counts)}\n`,
  sarif: (path, { diagnostics }) => sarif(diagnostics, path, packageVersion()),
  junit: (path, { diagnostics }) => junit(diagnostics, path),
};

function summary(path: string, { manifests, errors, warnings }: Omit<Validation, 'diagnostics'>): string {
  return `${path}: ${plural(manifests, 'manifest')}, ${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
