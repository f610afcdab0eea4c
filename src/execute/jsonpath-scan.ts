/** Characters of a JSONPath expression: a cursor, and what RFC 9535 builds from characters alone. */
import { GatewayError } from '../errors.ts';

export interface Cursor {
  readonly text: string;
  /** Offset of the next character, in UTF-16 units. */
  at: number;
}

/** RFC 9535, 2.1: integers are those that every JSON implementation represents exactly. */
const MAX_INTEGER = 2 ** 53 - 1;

const BLANK = /[ \t\n\r]*/y;
const SHORTHAND = /[A-Za-z_\u0080-\uffff][0-9A-Za-z_\u0080-\uffff]*/y;
const WORD = /[a-z][a-z0-9_]*/y;
const INTEGER = /-?[0-9]+/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  '/': '/',
  '\\': '\\',
};

/** INVALID_ARGUMENTS with where in the expression it is wrong, and how to mend it. */
export function problemAt(cursor: Cursor, offset: number, message: string): GatewayError {
  const text = `JSONPath ${JSON.stringify(cursor.text)} at offset ${offset}: ${message}`;
  return new GatewayError('INVALID_ARGUMENTS', text, { details: { offset } });
}

/** The next character; empty at the end. */
export function peek(cursor: Cursor): string {
  return cursor.text.charAt(cursor.at);
}

/** Takes this text if it comes next. */
export function take(cursor: Cursor, expected: string): boolean {
  if (!cursor.text.startsWith(expected, cursor.at)) return false;
  cursor.at += expected.length;
  return true;
}

export function skipBlank(cursor: Cursor): void {
  match(cursor, BLANK);
}

/** A member name that may be written without quotes, or null. */
export function shorthandName(cursor: Cursor): string | null {
  const start = cursor.at;
  const name = match(cursor, SHORTHAND);
  if (name !== null && !name.isWellFormed()) {
    throw problemAt(cursor, start, 'the name holds half of a surrogate pair');
  }
  return name;
}

/** A lower-case word, as functions and `true`, `false` and `null` are, or null. */
export function word(cursor: Cursor): string | null {
  return match(cursor, WORD);
}

/** An index or a bound of a slice, or null. */
export function integer(cursor: Cursor): number | null {
  const start = cursor.at;
  const digits = match(cursor, INTEGER);
  if (digits === null) return null;
  if (/^-?0./.test(digits) || digits === '-0') {
    throw problemAt(cursor, start, `${digits} is not an index; write it without the zero in front`);
  }
  const value = Number(digits);
  if (Math.abs(value) > MAX_INTEGER) {
    throw problemAt(cursor, start, `${digits} is not an index; they reach from -(2^53 - 1) to 2^53 - 1`);
  }
  return value;
}

/** A number that values are compared with, or null. */
export function number(cursor: Cursor): number | null {
  const start = cursor.at;
  const digits = match(cursor, NUMBER);
  if (digits === null) return null;
  if (/[0-9.]/.test(peek(cursor))) {
    throw problemAt(cursor, start, 'this is not a number as JSON writes them, such as 0, -1.5 or 1e3');
  }
  return Number(digits);
}

/** A text in single or double quotes, or null. */
export function quotedText(cursor: Cursor): string | null {
  const start = cursor.at;
  const quote = peek(cursor);
  if (quote !== "'" && quote !== '"') return null;
  cursor.at += 1;
  let value = '';
  while (!take(cursor, quote)) {
    const character = peek(cursor);
    if (character === '') throw problemAt(cursor, start, `the text that begins here has no closing ${quote}`);
    if (character < ' ')
      throw problemAt(cursor, cursor.at, 'a control character is written as \\u and digits');
    cursor.at += 1;
    value += character === '\\' ? escaped(cursor, quote) : character;
  }
  if (!value.isWellFormed()) throw problemAt(cursor, start, 'the text holds half of a surrogate pair');
  return value;
}

/** What the escape after a backslash stands for. */
function escaped(cursor: Cursor, quote: string): string {
  const character = peek(cursor);
  cursor.at += 1;
  if (character === quote) return quote;
  if (character === 'u') return String.fromCharCode(hexadecimal(cursor));
  const meant = Object.hasOwn(ESCAPES, character) ? ESCAPES[character] : undefined;
  if (meant !== undefined) return meant;
  const known = `\\${quote} \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four digits`;
  throw problemAt(cursor, cursor.at - 2, `there is no escape \\${character}; there are ${known}`);
}

function hexadecimal(cursor: Cursor): number {
  const digits = cursor.text.slice(cursor.at, cursor.at + 4);
  if (!/^[0-9A-Fa-f]{4}$/.test(digits)) {
    throw problemAt(cursor, cursor.at - 2, '\\u takes four hexadecimal digits');
  }
  cursor.at += 4;
  return Number.parseInt(digits, 16);
}

function match(cursor: Cursor, pattern: RegExp): string | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found === null) return null;
  cursor.at = pattern.lastIndex;
  return found[0];
}
