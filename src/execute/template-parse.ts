/** Reads a template text with Handlebars' own parser, within limits. Nothing of it is ever compiled to code. */
import Handlebars from 'handlebars';
import { separateBraces } from './template-braces.ts';

export type Program = hbs.AST.Program;
export type Statement = hbs.AST.Statement;
export type Expression = hbs.AST.Expression;

const MAX_LENGTH = 65_536;
/** Blocks within blocks (`else if` counts as one) and expressions within expressions. */
const MAX_DEPTH = 32;

export interface Parsed {
  /** Without comments and empty text. */
  readonly statements: readonly Statement[];
  /** Where a node begins in the text, in UTF-16 units. */
  offsetOf(node: hbs.AST.Node): number;
}

/** The parsed text, or why there is none. */
export function parseText(text: string): Parsed | { readonly problem: string } {
  if (text.length > MAX_LENGTH) return { problem: `a template may have ${MAX_LENGTH} characters` };
  const separated = separateBraces(text);
  try {
    const program = Handlebars.parseWithoutProcessing(separated.text);
    if (isDeeper(program.body, MAX_DEPTH)) {
      return { problem: `blocks and expressions nest ${MAX_DEPTH} deep at most` };
    }
    // The second pass (white space around blocks) takes the program of the first, though its type says text.
    const { body } = Handlebars.parse(program as unknown as string);
    const lines = lineStarts(separated.text);
    return {
      statements: body.filter(isShown),
      offsetOf: ({ loc }) => separated.writtenAt((lines[loc.start.line - 1] ?? 0) + loc.start.column),
    };
  } catch (error) {
    return { problem: unreadable(text, error as Error) };
  }
}

function lineStarts(text: string): number[] {
  return [0, ...Array.from(text.matchAll(/\r\n?|\n/g), (line) => line.index + line[0].length)];
}

function isDeeper(nodes: readonly hbs.AST.Node[], limit: number): boolean {
  if (limit === 0) return nodes.length > 0;
  return nodes.some((node) => {
    const { params = [], program, inverse } = node as Partial<hbs.AST.BlockStatement>;
    return [params, program?.body ?? [], inverse?.body ?? []].some((inner) => isDeeper(inner, limit - 1));
  });
}

function isShown(statement: Statement): boolean {
  if (statement.type === 'CommentStatement') return false;
  return statement.type !== 'ContentStatement' || (statement as hbs.AST.ContentStatement).value !== '';
}

/** Handlebars' message without its list of token names; the second of its lines shows the place. */
function unreadable(text: string, { message }: Error): string {
  const [first = '', place] = message.split('\n');
  if (place === undefined) return `this is not a template: ${first}`;
  const advice = ['each {{ needs its }}', 'each block its end'];
  if (/\.[0-9]/.test(text)) advice.push('an index is written in brackets, as in list.[0].id');
  if (text.includes('{{{')) advice.push('a { before {{ is kept apart by a space');
  return `this is not a template, near ${JSON.stringify(place)}: ${advice.join(', ')}`;
}
