/** Values and places of a manifest in the words of a message. */
import { pointerSegments } from './position.ts';
import { secretIn } from './secret-scan.ts';

const MAX_QUOTED = 60;

/** `/spec/steps/0/name` as `spec.steps[0].name`; the manifest itself is "the manifest". */
export function fieldPath(pointer: string): string {
  if (pointer === '') return 'the manifest';
  let path = '';
  for (const segment of pointerSegments(pointer)) {
    const plain = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(segment) && secretIn(segment) === null;
    if (/^[0-9]{1,9}$/.test(segment)) path += `[${segment}]`;
    else if (plain) path += path === '' ? segment : `.${segment}`;
    else path += `[${quoted(segment)}]`;
  }
  return path;
}

/** A value of the manifest in quotes: shortened, on one line, and never a likely secret. */
export function quoted(text: string): string {
  if (secretIn(text) !== null) return '"…"';
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

/** What a value is, as in "must be a list, not text". */
export function nounOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'number':
      return Number.isInteger(value) ? 'a whole number' : 'a number with a fraction';
    case 'boolean':
      return String(value);
    default:
      return 'a mapping';
  }
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  null: 'empty',
};

/** A JSON Schema `type`, as in "must be text or a list". */
export function nounsOfType(type: string | readonly string[]): string {
  return orList([type].flat().map((name) => NOUNS[name] ?? name));
}

/** `a, b or c`. */
export function orList(words: readonly string[]): string {
  return joined(words, 'or');
}

/** `a, b and c`. */
export function andList(words: readonly string[]): string {
  return joined(words, 'and');
}

function joined(words: readonly string[], last: string): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${last} ${words[words.length - 1]}`;
}
