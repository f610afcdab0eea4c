/** docs/reference/cli.md, from what commander knows of the commands. */
import type { Argument, Command, Option } from 'commander';
import { leaves } from '../../src/cli/program.ts';
import { code, markdownTable } from './page.ts';

export function renderCli(program: Command): string {
  const commands = leaves(program);
  const list = commands.map((command) => {
    const path = pathOf(command);
    return [`[\`${path}\`](#${path.replaceAll(' ', '-')})`, command.description()];
  });
  return [INTRODUCTION, markdownTable(['command', 'does'], list), ...commands.map(renderCommand)]
    .join('\n\n')
    .concat('\n');
}

/** `audit list` of `seal-gateway audit list`. */
export function pathOf(command: Command): string {
  const path: string[] = [];
  for (let one: Command | null = command; one?.parent; one = one.parent) path.unshift(one.name());
  return path.join(' ');
}

function renderCommand(command: Command): string {
  const path = pathOf(command);
  const rows = [
    ...command.registeredArguments.map((argument) => [
      code(nameOf(argument)),
      argument.description,
      defaultOf(argument),
    ]),
    ...command.options.map((option) => [code(option.flags), withChoices(option), defaultOf(option)]),
  ];
  return [
    `## ${path}`,
    `${command.description()}.`,
    `    seal-gateway ${path} ${command.usage()}`,
    markdownTable(['argument or option', 'meaning', 'default'], rows),
  ].join('\n\n');
}

function nameOf(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? '...' : '');
  return argument.required ? `<${name}>` : `[${name}]`;
}

function withChoices({ description, argChoices }: Option): string {
  return argChoices === undefined ? description : `${description}: ${argChoices.map(code).join(', ')}`;
}

function defaultOf({ defaultValue }: { readonly defaultValue?: unknown }): string {
  return code(defaultValue);
}

const INTRODUCTION = `# Command line

<!-- Made from the commands' own help by \`make generate\`; do not edit. -->

    seal-gateway <command> [options]

\`seal-gateway --help\` lists the commands, \`seal-gateway <command> --help\` what one of them takes. Results go to
standard output, messages and the log to standard error.

| exit code | means |
|---|---|
| 0 | done, and nothing is wrong |
| 1 | invalid or failed; the message says what, where and how to mend it |
| 2 | \`plan --exit-code\`: something would change |
| 3 | \`plan\`: the gateway would hold the change back, as it removes too much at once |
| 70 | a fault of the program itself, with its stack |
| 141 | whoever read the output has gone, as \`head\` does when it has enough |`;
