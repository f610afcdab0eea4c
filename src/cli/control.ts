/** Asks the control listener of a running gateway, for the commands that show what is in force. */
import type { Command } from 'commander';
import { environment } from '../config.ts';
import { CliError } from './output.ts';

const DEFAULT_URL = 'http://127.0.0.1:8090';
const TIMEOUT_MS = 10_000;

export interface ControlOptions {
  readonly control: string;
  readonly token?: string;
}

/** `--control` and `--token`. */
export function controlOptions(command: Command): Command {
  return command
    .option(
      '--control <url>',
      'control listener of the gateway (or SEAL_GATEWAY_CONTROL_URL)',
      environment('SEAL_GATEWAY_CONTROL_URL') ?? DEFAULT_URL,
    )
    .option('--token <jwt>', "an operator's token (or SEAL_GATEWAY_OPERATOR_TOKEN)");
}

export interface ControlAnswer<T> {
  readonly body: T;
  readonly headers: Headers;
}

/** `isAnswer`: whether a body is what this path answers. Rejects with CliError. */
export async function askControl<T>(
  { control, token }: ControlOptions,
  path: string,
  isAnswer: (body: unknown) => body is T,
): Promise<ControlAnswer<T>> {
  const url = URL.parse(`${control.replace(/\/$/, '')}${path}`);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CliError(`--control ${control}: expected a URL, such as ${DEFAULT_URL}`);
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
    throw new CliError(
      `${control}: ${reasonOf(error)}. Is the gateway running? --control names its control listener.`,
    );
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
