/** `seal-gateway validate [dir]`: what the gateway would say of a directory, offline and all at once. */
import { type Command, Option } from 'commander';
import { loadConfig } from '../config.ts';
import { randomToken } from '../ids.ts';
import { type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';
import type { CompileDeps } from '../reconcile/compile.ts';
import { packageVersion } from '../version.ts';
import { annotationOf, annotations, asLog, junit, repositoryPath, sarif } from './annotations.ts';
import { FETCH, localDeps, readLocal, type SideOptions, sideOfTree } from './local-side.ts';
import { CliError } from './output.ts';
import type { CliDeps } from './program.ts';
import { addToStepSummary } from './step-summary.ts';

export interface Validation {
  readonly manifests: number;
  readonly errors: number;
  readonly warnings: number;
  /** In order of file and line. */
  readonly diagnostics: readonly Diagnostic[];
}

type Format = 'text' | 'json' | 'github' | 'sarif' | 'junit';

interface ValidateOptions {
  readonly output: Format;
  readonly config?: string;
  readonly fetch?: boolean;
}

export function addValidate(program: Command, { console }: CliDeps): void {
  program
    .command('validate')
    .argument('[dir]', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option('--fetch', FETCH)
    .addOption(
      new Option('-o, --output <format>', 'what to print')
        .choices(['text', 'json', 'github', 'sarif', 'junit'])
        .default('text'),
    )
    .description('Check a directory of manifests with the very code that the gateway runs')
    .action(async (dir: string | undefined, options: ValidateOptions) => {
      // A directory alone says nothing of the store that its gateway will have.
      const configured = dir === undefined || options.config !== undefined;
      const config = configured ? loadConfig(options.config).config : null;
      const path = dir ?? config!.manifests.dir;
      const bindings = config === null ? undefined : !config.database.url.startsWith('sqlite:');
      const validation = await validateDirectory(path, { bindings, fetch: options.fetch });
      console.out(FORMATS[options.output](path, validation));
      if (options.output === 'github') addToStepSummary('Validate', textOf(path, validation));
      if (validation.errors > 0) throw new CliError('');
    });
}

/**
 * Reads, checks and compiles a directory; nothing is fetched but, when asked for, documents that ApiSpecs name by URL.
 * Throws CliError when it cannot be read.
 */
export async function validateDirectory(
  path: string,
  { fetch, ...more }: Pick<SideOptions, 'fetch'> & Pick<CompileDeps, 'bindings'> = {},
): Promise<Validation> {
  const deps = { ...localDeps(), ...more };
  const { verdicts, diagnostics } = await sideOfTree(await readLocal(path), { deps, fetch });
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return { manifests: verdicts.size, errors, warnings: diagnostics.length - errors, diagnostics };
}

const FORMATS: { readonly [F in Format]: (path: string, validation: Validation) => string } = {
  text: textOf,
  json: (path, validation) => `${JSON.stringify({ dir: path, ...validation }, null, 2)}\n`,
  github: (path, validation) =>
    annotations(validation.diagnostics.map(annotationOf), repositoryPath(path)) +
    asLog(textOf(path, validation), randomToken()),
  sarif: (path, { diagnostics }) => sarif(diagnostics, repositoryPath(path), packageVersion()),
  junit: (path, { diagnostics }) => junit(diagnostics, path),
};

function textOf(path: string, { diagnostics, manifests, errors, warnings }: Validation): string {
  const counts = [plural(manifests, 'manifest'), plural(errors, 'error'), plural(warnings, 'warning')];
  return `${[...diagnostics.map(formatDiagnostic), `${path}: ${counts.join(', ')}`].join('\n')}\n`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
