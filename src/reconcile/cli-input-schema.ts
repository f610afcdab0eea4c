/** The input schema of a CLI tool, which tells a model all that the manifest will hold it to. */
import type { CliArguments, CliTool, FlagRule, JsonObject } from '../snapshot/snapshot.ts';

type Described = Pick<CliTool, 'allowed_subcommands' | 'arguments' | 'stdin'>;

/** The rules are words, not nested schemas: those that models are given may hold no `oneOf`, and few read one. */
export function cliInputSchema(tool: Described): JsonObject {
  const { allowed_subcommands, stdin } = tool;
  const { max_count } = tool.arguments;
  return {
    type: 'object',
    additionalProperties: false,
    required: ['subcommand'],
    properties: {
      subcommand: {
        type: 'string',
        enum: [...allowed_subcommands],
        description: 'The whole subcommand; its words are separated by one space.',
      },
      args: {
        type: 'array',
        items: { type: 'string' },
        maxItems: max_count,
        default: [],
        description: argumentsText(tool),
      },
      ...(stdin && {
        stdin: { type: 'string', description: 'Text that the command reads from standard input.' },
      }),
    },
  };
}

function argumentsText({ allowed_subcommands, arguments: rules }: Described): string {
  const lines = allowed_subcommands.map((subcommand) => {
    const flags = [...(rules.flags.get(subcommand) ?? [])];
    const list = flags.map(([name, rule]) => flagText(name, rule)).join(', ');
    return `${subcommand}: ${list === '' ? 'no flags' : list}`;
  });
  return [
    'Words after the subcommand, one element each; there is no shell.',
    `Flags by subcommand: ${lines.join('; ')}.`,
    'Flags are written in full, as --name=value; no short or abbreviated ones, and no "--".',
    positionalsText(rules),
    ...(rules.deny.length === 0
      ? []
      : [`Refused wherever they stand: ${rules.deny.map(({ text }) => text).join(', ')}.`]),
  ].join(' ');
}

function flagText(name: string, { type, pattern, enum: values }: FlagRule): string {
  if (type === 'boolean') return name;
  if (values !== null) return `${name}=${values.join('|')}`;
  return pattern === null ? `${name}=<${type}>` : `${name}=<${type} matching ${pattern.text}>`;
}

function positionalsText({ positionals }: CliArguments): string {
  if (positionals === null || positionals.max === 0) return 'No other words.';
  const { max, pattern, type } = positionals;
  const what = type === 'path' ? 'plain paths' : 'other words';
  return `At most ${max} ${what}, each matching ${pattern.text} and not beginning with "-".`;
}
