/** `seal-gateway call TOOL`: builds an envelope, signs it, sends it, prints the result. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SealClient, SealError } from '../client.ts';
import { parseTokens } from '../envelope/canonical.ts';
import { firstInexact } from '../envelope/exact.ts';
import { type Address, addressOf, unreached } from './address.ts';
import { AGENT_KEY, readKey } from './keys.ts';
import { CliError, type OutputOptions } from './output.ts';
import type { CliDeps } from './program.ts';
import { mint, type TokenOptions, tokenOptions } from './token.ts';

/** What {@link gatewayOptions} adds. */
export interface GatewayOptions extends TokenOptions, OutputOptions {
  readonly gateway?: string;
  readonly config?: string;
  readonly key: string;
  readonly token?: string;
}

interface CallOptions extends GatewayOptions {
  readonly arg?: string[];
  readonly argsJson?: string;
  readonly userToken?: string;
  readonly field?: string[];
}

/** The gateway to talk to and the token to show it, for `call`, `tools` and `explore`. */
export function gatewayOptions(command: Command): Command {
  return tokenOptions(command)
    .option(
      '--gateway <url>',
      'data plane; else SEAL_GATEWAY_URL, else network.bind_addr of the configuration',
    )
    .option('--config <file>', 'gateway.yaml that says where the gateway is')
    .option('--key <file>', 'private key that signs the envelope', AGENT_KEY)
    .option('--token <jwt>', 'security token; without it one is minted with the development issuer key');
}

/** A client for one command, and where it sends to. */
export async function clientOf(options: GatewayOptions): Promise<{ client: SealClient; address: Address }> {
  const address = addressOf('data', { given: options.gateway, config: options.config });
  const client = new SealClient({
    gateway_url: address.url,
    private_key: readKey(options.key, 'agent key').d,
    security_token: options.token ?? (await mint(options)),
  });
  return { client, address };
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
      .option('--args-json <json>', 'all arguments as one JSON object, or @FILE')
      .option('--user-token <jwt>', 'token of the user for whom the agent acts, or @FILE')
      .option('--field <jsonpath...>', 'only these slices of the result, of a tool that allows it'),
  ).action(async (tool: string, options: CallOptions) => {
    const args = argumentsOf(options);
    const { client, address } = await clientOf(options);
    try {
      const user_token =
        options.userToken === undefined ? undefined : textOf(options.userToken, '--user-token').trim();
      const reply = await client.call(tool, args, { user_token, fields: options.field });
      console.out(`${JSON.stringify(options.output === 'json' ? reply : reply.result, null, 2)}\n`);
    } catch (error) {
      throw explain(error, address, options, console);
    }
  });
}

/** A refused or failed call as a message for a person, or the whole error for a program. */
export function explain(
  error: unknown,
  address: Address,
  options: OutputOptions,
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
  if (error.code === null) return unreached(address, error.message, '--gateway');
  const all = Array.isArray(error.details.problems) ? error.details.problems.map(String) : [];
  // One alone is the message already.
  const problems =
    all.length === 1 && error.message.includes(all[0]!) ? '' : all.map((p) => `\n  ${p}`).join('');
  // What the upstream said, without its secrets.
  const { excerpt } = error.details;
  const said = typeof excerpt === 'string' ? `\n  ${excerpt}` : '';
  return new CliError(`${error.code} ${error.name}: ${error.message}${problems}${said}`);
}

/** `names`: what the two options are called. */
export function argumentsOf(
  options: Pick<CallOptions, 'arg' | 'argsJson'>,
  names: { readonly arg: string; readonly argsJson: string } = { arg: '--arg', argsJson: '--args-json' },
): Record<string, unknown> {
  // A list until the end: a key may be `__proto__`.
  const entries: [string, unknown][] = [];
  if (options.argsJson !== undefined) {
    const value = parseJson(textOf(options.argsJson, names.argsJson), names.argsJson);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CliError(`${names.argsJson}: expected a JSON object, such as {"email": "a@b.example"}`);
    }
    entries.push(...Object.entries(value));
  }
  for (const pair of options.arg ?? []) {
    const match = /^([^=:]+)(:?=)(.*)$/s.exec(pair);
    if (match === null) throw new CliError(`${names.arg} ${pair}: expected key=value`);
    const [, key = '', operator, text = ''] = match;
    const value = operator === ':=' ? text : parseJson(text, `${names.arg} ${key}`);
    entries.push([key, value === undefined ? text : value]);
  }
  return Object.fromEntries(entries);
}

/** The text itself, or of the file that `@FILE` names. */
function textOf(given: string, option: string): string {
  if (!given.startsWith('@')) return given;
  const file = given.slice(1);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`${option}: ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** undefined: it is no JSON, or a number that would lose digits, which stays the text it was. */
function parseJson(text: string, option: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const lost = firstInexact(parseTokens(text).root);
  if (lost === null) return value;
  if (lost === '') return undefined;
  throw new CliError(`${option}: the number at ${lost} would lose digits; write it as a string`);
}
