/** `seal-gateway schema`: the JSON Schema of a kind, for editors and pipelines. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

const SCHEMAS = new URL('../../schemas/', import.meta.url);

export function addSchema(program: Command, { console }: CliDeps): void {
  program
    .command('schema')
    .argument('[kind]', 'a manifest kind or GatewayConfig; without it the kinds are listed')
    .description('Print the JSON Schema (draft-07) of a kind')
    .action((kind: string | undefined, options: OutputOptions) => {
      const kinds = readdirSync(SCHEMAS)
        .flatMap((file) => /^(.+)\.schema\.json$/.exec(file)?.[1] ?? [])
        .sort();
      if (kind === undefined) return print(console, options, kinds, kinds.join('\n'));
      const found = kinds.find((known) => known.toLowerCase() === kind.toLowerCase());
      if (found === undefined) throw new CliError(`no kind ${kind}; there are ${kinds.join(', ')}`);
      console.out(readFileSync(new URL(`${found}.schema.json`, SCHEMAS), 'utf8'));
    });
}
