/** Reads a template text with Handlebars' own parser, within limits. Nothing of it is ever compiled to code. */
import Handlebars from 'handlebars';
import { readPlain } from './template-plain.ts';
import { readTags, type Unreadable } from './template-tags.ts';

export type Program = hbs.AST.Program;
export type Statement = hbs.AST.Statement;
export type Expression = hbs.AST.Expression;

export interface Parsed {
  /** Without comments and empty text. */
  readonly statements: readonly Statement[];
  /** Where a node begins in the text, in UTF-16 units. */
  offsetOf(node: hbs.AST.Node): number;
}

/** The parsed text, or why there is none. */
export function parseText(text: string): Parsed | Unreadable {
  const plain = readPlain(text);
  if (plain !== null) return plain;
  const tagged = readTags(text);
  if ('problem' in tagged) return tagged;
  try {
    const { body } = Handlebars.parse(tagged.text);
    const lines = lineStarts(tagged.text);
    return {
      statements: body.filter(isShown),
      offsetOf: ({ loc }) => tagged.writtenAt((lines[loc.start.line - 1] ?? 0) + loc.start.column),
    };
  } catch (error) {
    return { problem: unreadable(text, error as Error), offset: 0 };
  }
}

function lineStarts(text: string): number[] {
  return [0, ...Array.from(text.matchAll(/\r\n?|\n/g), (line) => line.index + line[0].length)];
}

function isShown(statement: Statement): boolean {
  if (statement.type === 'CommentStatement') return false;
  return statement.type !== 'ContentStatement' || (statement as hbs.AST.ContentStatement).value !== '';
}

/** Handlebars' message without its list of token names; the second of its lines shows the place. */
function unreadable(text: string, { message }: Error): string {
  const [first = '', place] = message.split('\n');
  if (place === undefined) return `this is not a template: ${first}`;
  const advice = ['each block needs its end'];
  if (/\.[0-9]/.test(text)) advice.push('an index is written in brackets, as in list.[0]');
  return `this is not a template, near ${JSON.stringify(place)}: ${advice.join(', ')}`;
}
