/** `seal-gateway status`: what is in force in a running gateway, and what is not and why. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { untilStopped } from './audit.ts';
import { askControl, type ControlOptions, controlOptions } from './control.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';
import { type GatewayStatus, statusText } from './status-text.ts';

/** How often `--watch` looks. */
const WATCH_MS = 500;
/** To the top left of a terminal, and all below it gone. */
const CLEAR = '\u001b[H\u001b[J';

interface StatusOptions extends OutputOptions, ControlOptions {
  readonly watch?: boolean;
}

export function addStatus(program: Command, deps: CliDeps): void {
  controlOptions(
    program
      .command('status')
      .description(
        'Show what is in force in a running gateway: each manifest, its revision, and what is wrong',
      ),
  )
    .option('--config <file>', 'gateway.yaml that says where the gateway is')
    .option('--watch', 'show it again at every change, until Ctrl-C')
    .action(async (options: StatusOptions) => {
      if (options.watch === true) return watch(options, deps, untilStopped());
      const { status, now } = await readStatus(options);
      print(deps.console, options, status, statusText(status, now));
      if (status.degraded) throw new CliError('');
    });
}

interface Seen {
  readonly status: GatewayStatus;
  /** The gateway's time, so that two clocks that differ make no false age. */
  readonly now: number;
}

/** Rejects with CliError. */
async function readStatus(options: StatusOptions): Promise<Seen> {
  const { body, headers } = await askControl(options, '/v1/status', isStatus);
  const date = Date.parse(headers.get('date') ?? '');
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

function isStatus(body: unknown): body is GatewayStatus {
  return Array.isArray((body as Partial<GatewayStatus> | null)?.manifests);
}
