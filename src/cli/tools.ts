/** `seal-gateway tools`: what a token may call. */
import type { Command } from 'commander';
import { clientOf, explain, type GatewayOptions, gatewayOptions } from './call.ts';
import { print, table } from './output.ts';
import type { CliDeps } from './program.ts';

export function addTools(program: Command, { console }: CliDeps): void {
  gatewayOptions(program.command('tools').description('List the tools that a token may call')).action(
    async (options: GatewayOptions) => {
      const { client, address } = await clientOf(options);
      try {
        const tools = await client.listTools();
        const rows = tools.map((tool) => [
          tool.name,
          tool.kind,
          argumentList(tool.input_schema) + (tool.allow_fields === true ? ' (+ fields)' : ''),
          tool.description,
        ]);
        const text =
          rows.length === 0
            ? 'this token may call no tool'
            : table([['NAME', 'KIND', 'ARGUMENTS', 'DESCRIPTION'], ...rows]);
        print(console, options, tools, text);
      } catch (error) {
        throw explain(error, address, options, console);
      }
    },
  );
}

/** `email, limit?`: the names of the arguments, the optional ones marked. */
function argumentList(schema: Record<string, unknown>): string {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const names = Object.keys((schema.properties as Record<string, unknown> | undefined) ?? {});
  return names.map((name) => (required.has(name) ? name : `${name}?`)).join(', ') || '-';
}
