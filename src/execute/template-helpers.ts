/**
 * The helpers of templates. Nothing in, nothing out: where a value is missing, its sum is missing too, and only
 * `default` puts something in its place.
 */
import { DATE_FORMATS, type DateFormat, formatTime, timeOf } from './template-date.ts';
import { isDecimal, sumDecimals } from './template-decimal.ts';
import { type Frame, fail, spend } from './template-frame.ts';

export interface Helper {
  /** How it is written, for messages. */
  readonly usage: string;
  /** How many arguments it takes. */
  readonly least: number;
  readonly most: number;
  run(frame: Frame, args: readonly unknown[]): unknown;
}

const HELPERS: ReadonlyMap<string, Helper> = new Map([
  ['json', { usage: 'json value', least: 1, most: 1, run: json }],
  ['sum', { usage: 'sum list', least: 1, most: 16, run: sum }],
  ['count', { usage: 'count list', least: 1, most: 1, run: count }],
  ['first', { usage: 'first list', least: 1, most: 1, run: first }],
  ['join', { usage: 'join list ", "', least: 1, most: 2, run: join }],
  ['default', { usage: 'default value "instead"', least: 2, most: 16, run: fallback }],
  ['date', { usage: 'date time "date"', least: 1, most: 2, run: date }],
]);

export const HELPER_NAMES: readonly string[] = [...HELPERS.keys()];

export function helperNamed(name: string): Helper | undefined {
  return HELPERS.get(name);
}

/** A value within text: nothing and null as no text, structure as JSON. */
export function asText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? (JSON.stringify(value) ?? '') : String(value);
}

/** What `if` and `when` take for true: all but nothing, null, false, 0 and the empty text or list. */
export function holds(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function isNothing(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** The value as JSON text; `null` for nothing. */
function json(frame: Frame, [value]: readonly unknown[]): string {
  const text = JSON.stringify(value) ?? 'null';
  spend(frame, text.length);
  return text;
}

/** The exact sum of numbers, and of the elements of lists among the arguments. */
function sum(frame: Frame, args: readonly unknown[]): number | undefined {
  if (args.some(isNothing)) return undefined;
  const terms = args.flat();
  spend(frame, terms.length);
  const wrong = terms.findIndex((term) => !isDecimal(term));
  if (wrong >= 0) fail(frame, `sums numbers, but value ${wrong + 1} is ${kindOf(terms[wrong])}`);
  const total = sumDecimals(terms as (number | string)[]);
  return Number.isFinite(total) ? total : fail(frame, 'gives a sum that is too large');
}

/** How many elements a list has, or members an object. */
function count(frame: Frame, [list]: readonly unknown[]): number | undefined {
  if (isNothing(list)) return undefined;
  if (Array.isArray(list)) return list.length;
  if (typeof list !== 'object') noList(frame, 'counts', list);
  const members = Object.keys(list).length;
  spend(frame, members);
  return members;
}

/** The first element of a list. */
function first(frame: Frame, [list]: readonly unknown[]): unknown {
  if (isNothing(list)) return undefined;
  return Array.isArray(list) ? list[0] : noList(frame, 'takes the first of', list);
}

/** The elements of a list as one text, with `,` or the given text between them. */
function join(frame: Frame, [list, separator = ',']: readonly unknown[]): string | undefined {
  if (isNothing(list)) return undefined;
  if (!Array.isArray(list)) noList(frame, 'joins', list);
  if (typeof separator !== 'string') fail(frame, `joins with a text, not with ${kindOf(separator)}`);
  spend(frame, list.length * (1 + separator.length));
  let text = '';
  for (const [i, element] of list.entries()) {
    const part = asText(element);
    spend(frame, part.length);
    text += i === 0 ? part : separator + part;
  }
  return text;
}

/** The first argument that is neither missing nor null. */
function fallback(_frame: Frame, args: readonly unknown[]): unknown {
  return args.find((value) => !isNothing(value));
}

/** A time in another form; see `template-date.ts`. */
function date(frame: Frame, [value, format = 'iso']: readonly unknown[]): string | number | undefined {
  if (isNothing(value)) return undefined;
  if (!isDateFormat(format)) fail(frame, `formats times as ${DATE_FORMATS.join(', ')}`);
  const time = timeOf(value);
  if (time === null) fail(frame, 'formats a time: ISO 8601 text, or a number of seconds or milliseconds');
  return formatTime(time, format);
}

function isDateFormat(format: unknown): format is DateFormat {
  return DATE_FORMATS.some((known) => known === format);
}

function noList(frame: Frame, does: string, value: unknown): never {
  fail(frame, `${does} a list, not ${kindOf(value)}`);
}

/** What a value is; the value itself has no place in a message. */
function kindOf(value: unknown): string {
  if (isNothing(value)) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'number' ? 'a number' : 'true or false';
}
