/**
 * Judges the words of a call by the rules of its CliTool, and builds the argv. Pure. What is not declared is
 * refused: the known ways to make a harmless program run something else (`git -c alias.x='!sh'`,
 * `--upload-pack`, `tar --checkpoint-action=exec=`, `kubectl --kubeconfig`) all are words that a manifest never
 * listed, or other spellings of words that it did.
 */
import type { CliTool, FlagRule } from '../snapshot/snapshot.ts';

/** Bytes of one word; a kernel takes 128 KiB. */
export const MAX_WORD_BYTES = 8_192;
/** Bytes of all words. */
export const MAX_WORDS_BYTES = 131_072;
/** Bytes of standard input. */
export const MAX_STDIN_BYTES = 1_048_576;

export interface CliInvocation {
  readonly subcommand: string;
  /** Words after the subcommand, as they are handed over: a flag and its value are one word. */
  readonly words: readonly string[];
  /** The whole command line. */
  readonly argv: readonly string[];
  /** Values of flags and positionals of the type `path`. */
  readonly paths: readonly string[];
  /** null: none is given. */
  readonly stdin: string | null;
}

export interface CliProblem {
  /** The rule that refuses, such as `args.flags`; a field of the manifest's spec where there is one. */
  readonly rule: string;
  /** Names the word by its place, and never its value. */
  readonly message: string;
}

export type JudgedCli = { readonly invocation: CliInvocation } | { readonly problem: CliProblem };

type Tool = Pick<CliTool, 'command' | 'allowed_subcommands' | 'arguments' | 'stdin' | 'workdir'>;

/** Never throws. */
export function judgeCliArguments(tool: Tool, args: Readonly<Record<string, unknown>>): JudgedCli {
  try {
    return { invocation: readInvocation(tool, args) };
  } catch (error) {
    if (error instanceof Refusal) return { problem: { rule: error.rule, message: error.message } };
    throw error;
  }
}

/** The subcommand that a call names, as `subcommand` or as the wire's `command`; null: none. */
export function subcommandOf(args: Readonly<Record<string, unknown>>): string | null {
  const given = args.subcommand ?? args.command;
  return typeof given === 'string' ? given : null;
}

class Refusal extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(message);
    this.rule = rule;
  }
}

function readInvocation(tool: Tool, args: Readonly<Record<string, unknown>>): CliInvocation {
  for (const name of Object.keys(args)) {
    if (!['subcommand', 'command', 'args', 'stdin'].includes(name)) {
      throw new Refusal('input', 'expected subcommand, args and stdin alone');
    }
  }
  const subcommand = readSubcommand(tool, args);
  const { words, paths } = readWords(tool, subcommand, wordsOf(args.args, tool.arguments.max_count));
  const argv = [...tool.command, ...subcommand.split(' '), ...words];
  return { subcommand, words, argv, paths, stdin: readStdin(tool, args.stdin) };
}

function readSubcommand(tool: Tool, args: Readonly<Record<string, unknown>>): string {
  if (args.subcommand !== undefined && args.command !== undefined && args.subcommand !== args.command) {
    throw new Refusal('input', 'subcommand and command are two names of one thing, and differ');
  }
  const subcommand = subcommandOf(args);
  if (subcommand === null) throw new Refusal('input', 'subcommand must be a text');
  if (!tool.allowed_subcommands.includes(subcommand)) {
    throw new Refusal('allowed_subcommands', 'allowed_subcommands does not list this subcommand');
  }
  return subcommand;
}

function wordsOf(given: unknown, max_count: number): readonly string[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given)) throw new Refusal('input', 'args must be a list of texts');
  if (given.length > max_count) {
    throw new Refusal('args.max_count', `args has ${given.length} words; ${max_count} are allowed`);
  }
  let bytes = 0;
  for (const [index, word] of given.entries()) {
    if (typeof word !== 'string') throw new Refusal('input', `${at(index)} must be a text`);
    const size = Buffer.byteLength(word);
    bytes += size;
    if (size > MAX_WORD_BYTES) {
      throw new Refusal('length', `${at(index)} has ${size} bytes; ${MAX_WORD_BYTES} are allowed`);
    }
    // NUL ends a word of an argv, a line end may begin another command, and half a surrogate is no character.
    if (/\p{Cc}/u.test(word) || !word.isWellFormed()) {
      throw new Refusal('characters', `${at(index)} holds a control character or is no Unicode text`);
    }
  }
  if (bytes > MAX_WORDS_BYTES) {
    throw new Refusal('length', `args has ${bytes} bytes; ${MAX_WORDS_BYTES} are allowed`);
  }
  return given as readonly string[];
}

function readWords(
  tool: Tool,
  subcommand: string,
  given: readonly string[],
): { words: string[]; paths: string[] } {
  const { positionals } = tool.arguments;
  const flags = tool.arguments.flags.get(subcommand) ?? new Map<string, FlagRule>();
  const words: string[] = [];
  const paths: string[] = [];
  let plain = 0;
  for (let index = 0; index < given.length; index += 1) {
    const word = given[index]!;
    refuseDenied(tool, word, index);
    if (!word.startsWith('-')) {
      plain += 1;
      checkPositional(tool, word, index, plain);
      if (positionals?.type === 'path') paths.push(readPath(tool, word, index));
      words.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const rule = flags.get(name);
    if (rule === undefined) throw undeclared(name, index, subcommand, flags);
    refuseDenied(tool, name, index);
    if (rule.type === 'boolean') {
      if (equals >= 0)
        throw new Refusal('args.flags', `${at(index)}: ${name} is given or not; it takes no value`);
      words.push(name);
      continue;
    }
    if (equals < 0) index += 1;
    const value = equals < 0 ? separateValue(given[index], name, index) : word.slice(equals + 1);
    refuseDenied(tool, value, index);
    checkValue(rule, name, value, index);
    if (rule.type === 'path') paths.push(readPath(tool, value, index));
    // One word, so that no value can be taken for a flag of its own.
    words.push(`${name}=${value}`);
  }
  return { words, paths };
}

function separateValue(value: string | undefined, name: string, index: number): string {
  if (value === undefined) throw new Refusal('args.flags', `${name} needs a value`);
  if (value.startsWith('-')) {
    throw new Refusal('args.flags', `${at(index)}: a value that begins with "-" is written ${name}=value`);
  }
  return value;
}

function checkPositional(
  { arguments: { positionals } }: Tool,
  word: string,
  index: number,
  count: number,
): void {
  const rule = 'args.positionals';
  if (positionals === null) throw new Refusal(rule, `${at(index)}: only flags are allowed`);
  if (count > positionals.max) {
    throw new Refusal(rule, `${at(index)}: at most ${positionals.max} words that are no flags are allowed`);
  }
  if (!positionals.pattern.fits(word)) {
    throw new Refusal(rule, `${at(index)} does not match ${positionals.pattern.text}`);
  }
}

function checkValue(
  { type, pattern, enum: values }: FlagRule,
  name: string,
  value: string,
  index: number,
): void {
  const refuse = (what: string) => new Refusal('args.flags', `${at(index)}: the value of ${name} ${what}`);
  if (value === '') throw refuse('is empty');
  if (type === 'integer' && !/^-?\d{1,15}$/.test(value)) throw refuse('is no integer');
  if (type === 'number' && !/^-?\d{1,15}(\.\d{1,15})?$/.test(value)) throw refuse('is no number');
  if (values !== null && !values.includes(value)) throw refuse(`must be one of ${values.join(', ')}`);
  if (pattern !== null && !pattern.fits(value)) throw refuse(`does not match ${pattern.text}`);
}

/** A path as the command will read it, taken from the working directory of the manifest. */
function readPath({ workdir }: Tool, value: string, index: number): string {
  // Policy reads paths generously, decoding and turning backslashes. A command does neither, so one that differs
  // under that reading could be judged as another path than the one that is opened.
  if (/%[0-9a-f]{2}|\\|(^|\/)\.\.(\/|$)/i.test(value)) {
    throw new Refusal(
      'path',
      `${at(index)} is no plain path: write it without "..", "%" codes and backslashes`,
    );
  }
  return value.startsWith('/') || workdir === null ? value : `${workdir}/${value}`;
}

function refuseDenied({ arguments: { deny } }: Tool, word: string, index: number): void {
  const entry = deny.find(({ matches }) => matches(word));
  if (entry !== undefined)
    throw new Refusal('args.deny', `${at(index)} is refused by ${JSON.stringify(entry.text)}`);
}

function undeclared(
  name: string,
  index: number,
  subcommand: string,
  flags: ReadonlyMap<string, FlagRule>,
): Refusal {
  const rule = 'args.flags';
  if (name === '--') return new Refusal(rule, `${at(index)}: "--" is not needed and not accepted`);
  if (!name.startsWith('--')) {
    return new Refusal(rule, `${at(index)}: short flags are not accepted; write the full name`);
  }
  const full = [...flags.keys()];
  const meant = name.length > 2 ? full.filter((one) => one.startsWith(name)) : [];
  if (meant.length > 0) {
    return new Refusal(rule, `${at(index)}: flags are written in full; did you mean ${meant.join(' or ')}?`);
  }
  const known = full.length === 0 ? 'has no flags' : `has ${full.join(', ')}`;
  return new Refusal(rule, `${at(index)}: this flag is not declared; ${subcommand} ${known}`);
}

function readStdin({ stdin }: Tool, given: unknown): string | null {
  if (given === undefined || given === null) return null;
  if (!stdin) throw new Refusal('stdin', 'this tool reads no standard input');
  if (typeof given !== 'string') throw new Refusal('input', 'stdin must be a text');
  const bytes = Buffer.byteLength(given);
  if (bytes > MAX_STDIN_BYTES) {
    throw new Refusal('length', `stdin has ${bytes} bytes; ${MAX_STDIN_BYTES} are allowed`);
  }
  return given;
}

function at(index: number): string {
  return `args/${index}`;
}
