/** `seal-gateway explore`: signs and sends one call of the explorer, and prints the slices of the reply. */
import type { Command } from 'commander';
import { argumentsOf, clientOf, explain, type GatewayOptions, gatewayOptions } from './call.ts';
import type { CliDeps } from './program.ts';

interface ExploreOptions extends GatewayOptions {
  readonly apiSpec: string;
  readonly operation: string;
  readonly param?: string[];
  readonly paramsJson?: string;
  readonly field: string[];
  readonly hints?: boolean;
}

const NAMES = { arg: '--param', argsJson: '--params-json' };

export function addExplore(program: Command, { console }: CliDeps): void {
  gatewayOptions(
    program
      .command('explore')
      .description('Call one operation of an API and print only the parts of its reply that are asked for')
      .requiredOption('--api-spec <name>', 'ApiSpec of the API')
      .requiredOption('--operation <id>', 'operation of its document')
      .requiredOption('--field <jsonpath...>', "what to print of the reply, such as '$.data[*].id'")
      .option('--param <key=value...>', 'a parameter of the operation, or body; values as of call')
      .option('--params-json <json>', 'all parameters as one JSON object, or @FILE')
      .option('--hints', 'also print how to get the next page, and related operations'),
  ).action(async (options: ExploreOptions) => {
    const { apiSpec: api_spec_id, operation: operation_id, param: arg, paramsJson: argsJson } = options;
    const given = { ...(arg !== undefined && { arg }), ...(argsJson !== undefined && { argsJson }) };
    const parameters = argumentsOf(given, NAMES);
    const { client, address } = await clientOf(options);
    const include_hints = options.hints === true ? { include_hints: true } : {};
    try {
      const reply = await client.explore({
        api_spec_id,
        operation_id,
        parameters,
        fields: options.field,
        ...include_hints,
      });
      console.out(`${JSON.stringify(options.output === 'json' ? reply : reply.result, null, 2)}\n`);
    } catch (error) {
      throw explain(error, address, options, console);
    }
  });
}
