/** `seal-gateway validate [dir]`: what the gateway would say of a directory, offline and all at once. */
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { silentLog } from '../log.ts';
import { compareDiagnostics, type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';
import { loadManifests } from '../manifest/load.ts';
import { readTree, TreeUnreadable } from '../manifest/tree.ts';
import { compileSet } from '../reconcile/compile.ts';
import { createFileIndex } from '../reconcile/compile-api.ts';
import { createRemoteKeySets } from '../reconcile/compile-context.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

export interface Validation {
  readonly manifests: number;
  readonly errors: number;
  readonly warnings: number;
  readonly diagnostics: readonly Diagnostic[];
}

export function addValidate(program: Command, { console }: CliDeps): void {
  program
    .command('validate')
    .argument('[dir]', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .description('Check a directory of manifests with the very code that the gateway runs')
    .action(async (dir: string | undefined, options: OutputOptions & { config?: string }) => {
      const path = dir ?? loadConfig(options.config).config.manifests.dir;
      const validation = await validateDirectory(path);
      const { manifests, errors, warnings, diagnostics } = validation;
      const count = `${path}: ${plural(manifests, 'manifest')}, ${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
      print(
        console,
        options,
        { dir: path, ...validation },
        [...diagnostics.map(formatDiagnostic), count].join('\n'),
      );
      if (errors > 0) throw new CliError('');
    });
}

/** Reads, checks and compiles a directory; nothing is fetched. Throws CliError when it cannot be read. */
export async function validateDirectory(path: string): Promise<Validation> {
  const deps = {
    indexFile: createFileIndex(),
    remoteKeys: createRemoteKeySets({ clock: systemClock, log: silentLog }),
  };
  try {
    const set = await loadManifests(await readTree(path));
    const verdicts = [...compileSet(set, new Map(), deps).values()];
    const diagnostics = [...set.diagnostics, ...verdicts.flatMap((one) => one.diagnostics)].sort(
      compareDiagnostics,
    );
    const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
    return { manifests: verdicts.length, errors, warnings: diagnostics.length - errors, diagnostics };
  } catch (error) {
    if (error instanceof TreeUnreadable) throw new CliError(error.message);
    throw error;
  }
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
