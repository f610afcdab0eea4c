/** Asks the control listener of a running gateway, for the commands that show what is in force. */
import type { Command } from 'commander';
import { environment } from '../config.ts';
import { addressOf, unreached } from './address.ts';
import { CliError } from './output.ts';

const TIMEOUT_MS = 10_000;

export interface ControlOptions {
  readonly control?: string;
  /** Of gateway.yaml, which says where the listener is. */
  readonly config?: string;
  readonly token?: string;
}

/** `--control` and `--token`. */
export function controlOptions(command: Command): Command {
  return command
    .option(
      '--control <url>',
      'control listener of the gateway; else SEAL_GATEWAY_CONTROL_URL, else network.control_bind_addr of the configuration',
    )
    .option('--token <jwt>', "an operator's token (or SEAL_GATEWAY_OPERATOR_TOKEN)");
}

export interface ControlAnswer<T> {
  readonly body: T;
  readonly headers: Headers;
}

/** `isAnswer`: whether a body is what this path answers. Rejects with CliError. */
export async function askControl<T>(
  { control: given, config, token }: ControlOptions,
  path: string,
  isAnswer: (body: unknown) => body is T,
): Promise<ControlAnswer<T>> {
  const address = addressOf('control', { given, config });
  const control = address.url;
  const url = new URL(`${control.replace(/\/$/, '')}${path}`);
  const bearer = token ?? environment('SEAL_GATEWAY_OPERATOR_TOKEN');
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, {
      headers: bearer === null ? {} : { authorization: `Bearer ${bearer}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    body = await response.json();
  } catch (error) {
    throw unreached(address, reasonOf(error), '--control');
  }
  if (response.status !== 200 || !isAnswer(body))
    throw new CliError(`${control}: ${messageOf(body, response.status)}`);
  return { body, headers: response.headers };
}

/** fetch hides what happened in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : (error as Error).message;
}

function messageOf(body: unknown, status: number): string {
  const error = (body as { readonly error?: { readonly message?: unknown } } | null)?.error;
  return typeof error?.message === 'string'
    ? error.message
    : `HTTP ${status}, and no answer of a control listener`;
}
