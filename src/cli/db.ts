/** `seal-gateway db migrate|check|backup|copy`: care for the store, also beside running gateways. */
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { backupStore, checkStore, migrateStore } from '../store/care.ts';
import { StoreOpenError } from '../store/store.ts';
import { type Transferred, transfer } from '../store/transfer.ts';
import { placeOf } from '../store/url.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

interface DbOptions extends OutputOptions {
  readonly config?: string;
}

interface CopyOptions extends DbOptions {
  readonly to: string;
}

export function addDb(program: Command, { console }: CliDeps): void {
  const db = program.command('db').description('Care for the store: bring it up to date, check it, copy it');

  withConfig(
    db
      .command('migrate')
      .description('Bring the tables up to date, or make them; a gateway that starts does so by itself'),
  ).action(async (options: DbOptions) => {
    const url = urlOf(options);
    const migrated = await explained(migrateStore(url));
    const { from, to } = migrated;
    const text =
      from === to
        ? `${placeOf(url)} is up to date: version ${to}`
        : `${placeOf(url)} was brought from version ${from} to ${to}`;
    print(console, options, migrated, text);
  });

  withConfig(
    db
      .command('check')
      .description('Look whether the database is sound; the chains of events are checked by `audit verify`'),
  ).action(async (options: DbOptions) => {
    const checked = await explained(checkStore(urlOf(options)));
    const { problems, facts } = checked;
    const verdict = problems.length === 0 ? 'no problem was found' : `${problems.length} problems were found`;
    print(
      console,
      options,
      checked,
      [...facts, ...problems.map((one) => `PROBLEM: ${one}`), verdict].join('\n'),
    );
    if (problems.length > 0) throw new CliError('');
  });

  withConfig(
    db
      .command('backup')
      .description('Write the store as it is now into a new SQLite file, beside running gateways')
      .argument('<file>', 'a file that is not there yet'),
  ).action(async (file: string, options: DbOptions) => {
    await explained(backupStore(urlOf(options), file));
    print(console, options, { status: 'success', file }, `${file} holds the store as it was`);
  });

  withConfig(
    db
      .command('copy')
      .description(
        'Copy everything into a new store, such as from SQLite to Postgres; no gateway may write meanwhile',
      )
      .requiredOption('--to <file>', 'gateway.yaml that names the new store, which has no events so far'),
  ).action(async (options: CopyOptions) => {
    const to = urlOf({ ...options, config: options.to });
    const transferred = await explained(transfer(urlOf(options), to));
    print(console, options, transferred, reportOf(transferred, placeOf(to)));
  });
}

function withConfig(command: Command): Command {
  return command.option('--config <file>', 'gateway.yaml that names the database');
}

function urlOf({ config }: DbOptions): string {
  return loadConfig(config).config.database.url;
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreOpenError) throw new CliError(error.message);
    throw error;
  }
}

function reportOf({ chains, ...counts }: Transferred, to: string): string {
  const { events, replay_ids, sessions, manifests, bindings } = counts;
  return [
    `${to} holds ${events} events, ${replay_ids} replay ids, ${sessions} sessions, ${manifests} manifests in force, ${bindings} bindings`,
    ...chains.map(({ writer, seq, hash }) => `writer ${writer}: ${seq} events, head ${hash}`),
    'check it with `audit verify` before it is used',
  ].join('\n');
}
