/** `seal-gateway status`: what is in force in a running gateway, and what is not and why. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { environment } from '../config.ts';
import type { ReconcileStatus } from '../reconcile/status.ts';
import { untilStopped } from './audit.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';
import { statusText } from './status-text.ts';

const DEFAULT_URL = 'http://127.0.0.1:8090';
/** How often `--watch` looks, and how long one look may take. */
const WATCH_MS = 500;
const TIMEOUT_MS = 10_000;
/** To the top left of a terminal, and all below it gone. */
const CLEAR = '\u001b[H\u001b[J';

interface StatusOptions extends OutputOptions {
  readonly control: string;
  readonly token?: string;
  readonly watch?: boolean;
}

export function addStatus(program: Command, deps: CliDeps): void {
  program
    .command('status')
    .description('Show what is in force in a running gateway: each manifest, its revision, and what is wrong')
    .option(
      '--control <url>',
      'control listener of the gateway (or SEAL_GATEWAY_CONTROL_URL)',
      environment('SEAL_GATEWAY_CONTROL_URL') ?? DEFAULT_URL,
    )
    .option('--token <jwt>', "an operator's token (or SEAL_GATEWAY_OPERATOR_TOKEN)")
    .option('--watch', 'show it again at every change, until Ctrl-C')
    .action(async (options: StatusOptions) => {
      if (options.watch === true) return watch(options, deps, untilStopped());
      const { status, now } = await readStatus(options);
      print(deps.console, options, status, statusText(status, now));
      if (status.degraded) throw new CliError('');
    });
}

interface Seen {
  readonly status: ReconcileStatus;
  /** The gateway's time, so that two clocks that differ make no false age. */
  readonly now: number;
}

/** Rejects with CliError. */
async function readStatus({ control, token }: StatusOptions): Promise<Seen> {
  const url = URL.parse(`${control.replace(/\/$/, '')}/v1/status`);
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
  if (response.status !== 200 || !isStatus(body))
    throw new CliError(`${control}: ${messageOf(body, response.status)}`);
  const date = Date.parse(response.headers.get('date') ?? '');
  return { status: body, now: Number.isNaN(date) ? systemClock.now() : date };
}

/** Shows every change. A gateway that goes away is waited for: it may only be restarting. */
async function watch(options: StatusOptions, { console }: CliDeps, stopped: AbortSignal): Promise<void> {
  const terminal = process.stdout.isTTY === true;
  let shown = '';
  const show = (key: string, text: string): void => {
    if (key === shown) return;
    shown = key;
    console.out(terminal ? `${CLEAR}${text}\n` : `${text}\n${options.output === 'json' ? '' : '\n'}`);
  };
  let first = true;
  while (!stopped.aborted) {
    try {
      const { status, now } = await readStatus(options);
      const json = JSON.stringify(status);
      show(json, options.output === 'json' ? json : statusText(status, now));
    } catch (error) {
      if (first || !(error instanceof CliError)) throw error;
      if (options.output === 'text') show(error.message, `${error.message} Waiting for it.`);
    }
    first = false;
    await sleep(WATCH_MS, undefined, { signal: stopped }).catch(() => {});
  }
}

/** fetch hides what happened in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : (error as Error).message;
}

function isStatus(body: unknown): body is ReconcileStatus {
  return Array.isArray((body as Partial<ReconcileStatus> | null)?.manifests);
}

function messageOf(body: unknown, status: number): string {
  const error = (body as { readonly error?: { readonly message?: unknown } } | null)?.error;
  return typeof error?.message === 'string'
    ? error.message
    : `HTTP ${status}, and no answer of a control listener`;
}
