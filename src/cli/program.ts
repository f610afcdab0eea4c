/** The command line (docs/reference/cli.md): one file a command, text by default, `--output json` everywhere. */
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../config.ts';
import { GatewayError } from '../errors.ts';
import { packageVersion } from '../version.ts';
import { addAudit } from './audit.ts';
import { addBindings } from './bindings.ts';
import { addCall } from './call.ts';
import { addCanI } from './can-i.ts';
import { addDb } from './db.ts';
import { addDoctor } from './doctor.ts';
import { addExplore } from './explore.ts';
import { addImport } from './import.ts';
import { addInit } from './init.ts';
import { addKeygen } from './keygen.ts';
import { CliError, type Console, EXIT } from './output.ts';
import { addPlan } from './plan.ts';
import { addSchema } from './schema.ts';
import { addServe, type StartGateway } from './serve.ts';
import { addStatus } from './status.ts';
import { addTest } from './test.ts';
import { addToken } from './token.ts';
import { addTools } from './tools.ts';
import { addValidate } from './validate.ts';

export interface CliDeps {
  readonly startGateway: StartGateway;
  readonly console: Console;
}

/** The program with all its commands; also read by the test that holds docs/reference/cli.md. */
export function createProgram(deps: CliDeps): Command {
  const program = new Command('seal-gateway')
    .description(
      'A declarative tool gateway: signed envelopes, policy, credentials and audit before every tool call.',
    )
    .version(packageVersion())
    .showHelpAfterError('(--help lists what this command takes)')
    .exitOverride()
    .configureOutput({ writeOut: deps.console.out, writeErr: deps.console.err });
  for (const add of [
    addServe,
    addValidate,
    addPlan,
    addCanI,
    addTest,
    addStatus,
    addCall,
    addTools,
    addExplore,
    addKeygen,
    addToken,
    addAudit,
    addDb,
    addBindings,
    addDoctor,
    addInit,
    addImport,
    addSchema,
  ]) {
    add(program, deps);
  }
  for (const command of leaves(program)) {
    command.exitOverride().configureOutput({ writeOut: deps.console.out, writeErr: deps.console.err });
    // Some commands print more formats than these and say so themselves.
    if (command.options.some(({ long }) => long === '--output')) continue;
    command.addOption(
      new Option('-o, --output <format>', 'what to print').choices(['text', 'json']).default('text'),
    );
  }
  return program;
}

/** Runs one command line; resolves to the exit code. */
export async function run(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    await createProgram(deps).parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return report(error, argv, deps.console);
  }
}

/** Every error leaves here: what, where and how to mend it; a stack only for a fault of ours. */
function report(error: unknown, argv: readonly string[], console: Console): number {
  // Commander has printed its own message already; help and version end well.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.failed;
  const json = argv.some(
    (arg, i) => arg === '--output=json' || (/^(-o|--output)$/.test(arg) && argv[i + 1] === 'json'),
  );
  const code = error instanceof CliError ? error.exit_code : EXIT.failed;
  if (error instanceof CliError && error.message === '') return code;
  if (error instanceof CliError || error instanceof ConfigError || error instanceof GatewayError) {
    const details = error instanceof GatewayError ? { code: error.row.code, name: error.name } : {};
    if (json)
      console.out(`${JSON.stringify({ status: 'error', error: { message: error.message, ...details } })}\n`);
    else console.err(`seal-gateway: ${error.message}\n`);
    return code;
  }
  console.err(
    `seal-gateway: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return EXIT.internal;
}

/** The commands that do something: a command with subcommands only groups them. */
export function leaves(command: Command): Command[] {
  return command.commands.flatMap((inner) => (inner.commands.length > 0 ? leaves(inner) : [inner]));
}
