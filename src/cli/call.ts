/** `seal-gateway call TOOL`: builds an envelope, signs it, sends it, prints the result. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SealClient, SealError } from '../client.ts';
import { environment } from '../config.ts';
import { AGENT_KEY, readKey } from './keys.ts';
import { CliError, type OutputOptions } from './output.ts';
import type { CliDeps } from './program.ts';
import { mint, type TokenOptions, tokenOptions } from './token.ts';

const DEFAULT_URL = 'http://127.0.0.1:8089';

interface CallOptions extends TokenOptions, OutputOptions {
  readonly arg?: string[];
  readonly argsJson?: string;
  readonly gateway: string;
  readonly key: string;
  readonly token?: string;
}

/** The gateway to talk to and the token to show it, for `call` and `tools`. */
export function gatewayOptions(command: Command): Command {
  return tokenOptions(command)
    .option(
      '--gateway <url>',
      'data plane (or SEAL_GATEWAY_URL)',
      environment('SEAL_GATEWAY_URL') ?? DEFAULT_URL,
    )
    .option('--key <file>', 'private key that signs the envelope', AGENT_KEY)
    .option('--token <jwt>', 'security token; without it one is minted with the development issuer key');
}

/** A client for one command. */
export async function clientOf(options: CallOptions): Promise<SealClient> {
  return new SealClient({
    gateway_url: options.gateway,
    private_key: readKey(options.key, 'agent key').d,
    security_token: options.token ?? (await mint(options)),
  });
}

export function addCall(program: Command, { console }: CliDeps): void {
  gatewayOptions(
    program
      .command('call')
      .argument('<tool>', 'name of the tool')
      .description('Sign and send one tool call, and print its result')
      .option(
        '--arg <key=value...>',
        'an argument; a value that is JSON is taken as JSON, else as text; k:=text forces text',
      )
      .option('--args-json <json>', 'all arguments as one JSON object, or @FILE'),
  ).action(async (tool: string, options: CallOptions) => {
    const args = argumentsOf(options);
    const client = await clientOf(options);
    try {
      const reply = await client.call(tool, args);
      console.out(`${JSON.stringify(options.output === 'json' ? reply : reply.result, null, 2)}\n`);
    } catch (error) {
      throw explain(error, options, console);
    }
  });
}

/** A refused or failed call as a message for a person, or the whole error for a program. */
export function explain(
  error: unknown,
  options: OutputOptions & { gateway: string },
  console: CliDeps['console'],
): Error {
  if (!(error instanceof SealError)) return error as Error;
  if (options.output === 'json' && error.code !== null) {
    const { code, name, message, status, details, request_id } = error;
    console.out(
      `${JSON.stringify({ status: 'error', error: { code, name, message, http_status: status, request_id, details } }, null, 2)}\n`,
    );
    return new CliError('');
  }
  if (error.code === null)
    return new CliError(`${options.gateway}: ${error.message}. Is the gateway running? See --gateway.`);
  const problems = Array.isArray(error.details.problems)
    ? error.details.problems.map((p) => `\n  ${String(p)}`).join('')
    : '';
  return new CliError(`${error.code} ${error.name}: ${error.message}${problems}`);
}

function argumentsOf(options: CallOptions): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  if (options.argsJson !== undefined) {
    const text = options.argsJson.startsWith('@')
      ? readFileSync(options.argsJson.slice(1), 'utf8')
      : options.argsJson;
    const value = parseJson(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CliError('--args-json: expected a JSON object, such as {"email": "a@b.example"}');
    }
    Object.assign(args, value);
  }
  for (const pair of options.arg ?? []) {
    const match = /^([^=:]+)(:?=)(.*)$/s.exec(pair);
    if (match === null) throw new CliError(`--arg ${pair}: expected key=value`);
    const [, key = '', operator, text = ''] = match;
    args[key] = operator === ':=' ? text : (parseJson(text) ?? text);
  }
  return args;
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // A number that would lose digits stays the text it was.
    return typeof value === 'number' && String(value) !== text ? undefined : value;
  } catch {
    return undefined;
  }
}
