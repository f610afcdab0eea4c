/** `seal-gateway serve`: runs the gateway until it is told to stop. */
import { renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Clock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import type { Config } from '../config-shape.ts';
import { createLog, type Log } from '../log.ts';
import { ListenError } from '../serve/http/listener.ts';
import { StoreOpenError } from '../store/store.ts';
import { CliError } from './output.ts';
import type { CliDeps } from './program.ts';

/** What `main.ts` builds. */
export interface Gateway {
  /** Bound addresses by listener, such as {data: "http://127.0.0.1:41234"}. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Stops accepting, drains, flushes the audit, closes. */
  close(): Promise<void>;
}

export interface StartOptions {
  /** The first reconcile may remove as many manifests as it likes. */
  readonly allow_prune?: boolean;
  /** The system's unless told. */
  readonly clock?: Clock;
}

export type StartGateway = (config: Config, log: Log, options?: StartOptions) => Promise<Gateway>;

interface ServeOptions {
  readonly config?: string;
  readonly readyFile?: string;
  readonly watch?: 'auto' | 'poll';
  readonly allowPrune?: boolean;
}

export function addServe(program: Command, { startGateway, console }: CliDeps): void {
  program
    .command('serve')
    .description('Run the gateway over a directory of manifests')
    .option(
      '--config <file>',
      'gateway.yaml; else SEAL_GATEWAY_CONFIG_PATH, ./gateway.yaml, /etc/seal-gateway/gateway.yaml',
    )
    .option('--ready-file <file>', 'write the bound addresses there, as JSON, once the gateway serves')
    .option('--watch <how>', 'auto: file events and resync; poll: the resync alone')
    .option(
      '--allow-prune',
      'the first reading may remove more than half of the manifests that were in force',
    )
    .action(async (options: ServeOptions) => {
      if (options.watch !== undefined && options.watch !== 'auto' && options.watch !== 'poll') {
        throw new CliError(`--watch ${String(options.watch)}: expected auto or poll`);
      }
      const { config, file, warnings } = loadConfig(options.config);
      const log = createLog(config.log.level);
      for (const warning of warnings) log.warn(warning);
      const reconcile = { ...config.reconcile, ...(options.watch !== undefined && { watch: options.watch }) };
      log.info({ config: file ?? 'defaults' }, 'starting');
      const stopped = whenToldToStop(log);
      const gateway = await startGateway({ ...config, reconcile }, log, {
        allow_prune: options.allowPrune ?? false,
      }).catch(explain);
      try {
        const addresses = JSON.stringify(gateway.addresses);
        if (options.readyFile !== undefined) writeWhole(options.readyFile, `${addresses}\n`);
        console.err(`seal-gateway: serving ${addresses}; Ctrl-C stops it\n`);
        await stopped;
      } finally {
        await gateway.close();
      }
      log.info('stopped');
    });
}

/** What the operator can mend, said without a stack: the store, an address that is taken, a file that is not there. */
function explain(error: unknown): never {
  const system = error instanceof Error && 'syscall' in error;
  if (error instanceof StoreOpenError || error instanceof ListenError || system)
    throw new CliError(error.message);
  throw error;
}

/** The first signal begins a shutdown; a second one ends the process at once. */
function whenToldToStop(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1);
        asked = true;
        log.info({ signal }, 'shutting down: no new calls, waiting for those in flight');
        resolve();
      });
    }
  });
}

/** A reader never sees half of the file. */
function writeWhole(file: string, text: string): void {
  try {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new CliError(`--ready-file ${file} cannot be written: ${(error as Error).message}`);
  }
}
