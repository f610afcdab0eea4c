/**
 * Reads a JSONPath expression: the grammar of RFC 9535 (appendix A) and its types (2.4.3), without `match` and
 * `search`, which take regular expressions. Every expression that is read can be evaluated without an error of
 * its own; only limits remain.
 */
import {
  type Cursor,
  integer,
  number,
  peek,
  problemAt,
  quotedText,
  shorthandName,
  skipBlank,
  take,
  word,
} from './jsonpath-scan.ts';

export interface PathQuery {
  /** `$`, the whole value, or `@`, the element that a filter looks at. */
  readonly from: '$' | '@';
  readonly segments: readonly Segment[];
  /** RFC 9535, 2.3.5.1: names and indexes alone, so that one node is matched at most. */
  readonly singular: boolean;
}

export interface Segment {
  /** Written with two dots: the node and everything below it. */
  readonly descendants: boolean;
  readonly selectors: readonly Selector[];
}

export type Selector =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'wildcard' }
  | {
      readonly kind: 'slice';
      readonly start: number | null;
      readonly end: number | null;
      readonly step: number;
    }
  | { readonly kind: 'filter'; readonly test: Test };

export type Test =
  | { readonly kind: 'or' | 'and'; readonly tests: readonly Test[] }
  | { readonly kind: 'not'; readonly test: Test }
  | { readonly kind: 'exists'; readonly query: PathQuery }
  | {
      readonly kind: 'compare';
      readonly operator: Operator;
      readonly left: Operand;
      readonly right: Operand;
    };

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** What gives a value, or nothing. */
export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'query'; readonly query: PathQuery }
  | { readonly kind: 'length'; readonly of: Operand }
  | { readonly kind: 'count' | 'value'; readonly of: PathQuery };

/** Longest first, so that `<=` is not read as `<`. */
const OPERATORS: readonly Operator[] = ['==', '!=', '<=', '>=', '<', '>'];

const MAX_LENGTH = 1024;
/** Of the whole expression; each costs time on every node. */
const MAX_SELECTORS = 64;
/** Filters within filters, parentheses and functions. */
const MAX_DEPTH = 8;

interface Reader extends Cursor {
  selectors: number;
  depth: number;
}

/** Throws GatewayError INVALID_ARGUMENTS, whose `details.offset` says where the expression is wrong. */
export function parseQuery(text: string): PathQuery {
  if (text.length > MAX_LENGTH) {
    const start: Cursor = { text: `${text.slice(0, 32)}...`, at: 0 };
    throw problemAt(start, MAX_LENGTH, `an expression may have ${MAX_LENGTH} characters`);
  }
  const reader: Reader = { text, at: 0, selectors: 0, depth: 0 };
  if (!take(reader, '$')) throw problemAt(reader, 0, 'a path begins with $, as in $.data[0].id');
  const query = readSegments(reader, '$');
  if (reader.at < text.length) throw problemAt(reader, reader.at, `${found(reader)} cannot stand here`);
  return query;
}

function readSegments(reader: Reader, from: '$' | '@'): PathQuery {
  const segments: Segment[] = [];
  for (;;) {
    const end = reader.at;
    skipBlank(reader);
    const segment = readSegment(reader);
    if (segment === null) {
      // White space belongs to the segment after it.
      reader.at = end;
      return { from, segments, singular: segments.every(isSingular) };
    }
    segments.push(segment);
  }
}

function isSingular({ descendants, selectors }: Segment): boolean {
  const only = selectors.length === 1 ? selectors[0]?.kind : undefined;
  return !descendants && (only === 'name' || only === 'index');
}

function readSegment(reader: Reader): Segment | null {
  if (take(reader, '[')) return { descendants: false, selectors: readBrackets(reader) };
  if (take(reader, '..')) {
    const selectors = take(reader, '[') ? readBrackets(reader) : [readDotted(reader)];
    return { descendants: true, selectors };
  }
  return take(reader, '.') ? { descendants: false, selectors: [readDotted(reader)] } : null;
}

/** What follows a dot. */
function readDotted(reader: Reader): Selector {
  const start = reader.at;
  if (take(reader, '*')) return counted(reader, start, { kind: 'wildcard' });
  const name = shorthandName(reader);
  if (name === null) {
    throw problemAt(
      reader,
      start,
      `a dot is followed by a name or *, not by ${found(reader)}; other names are written ['name']`,
    );
  }
  if (peek(reader) === '-') {
    throw problemAt(reader, reader.at, `a name with a hyphen is written in brackets, as in ['${name}-id']`);
  }
  return counted(reader, start, { kind: 'name', name });
}

function readBrackets(reader: Reader): Selector[] {
  const selectors: Selector[] = [];
  do {
    skipBlank(reader);
    const start = reader.at;
    selectors.push(counted(reader, start, readSelector(reader)));
    skipBlank(reader);
  } while (take(reader, ','));
  if (!take(reader, ']')) throw problemAt(reader, reader.at, `expected , or ] instead of ${found(reader)}`);
  return selectors;
}

function readSelector(reader: Reader): Selector {
  if (take(reader, '*')) return { kind: 'wildcard' };
  if (take(reader, '?')) return { kind: 'filter', test: nested(reader, readOr) };
  const name = quotedText(reader);
  if (name !== null) return { kind: 'name', name };
  const start = integer(reader);
  const afterStart = reader.at;
  skipBlank(reader);
  if (take(reader, ':')) return readSlice(reader, start);
  reader.at = afterStart;
  if (start !== null) return { kind: 'index', index: start };
  throw problemAt(
    reader,
    reader.at,
    `expected a name in quotes, an index, a slice, * or ?filter instead of ${found(reader)}`,
  );
}

/** The rest of `start:end:step`. */
function readSlice(reader: Reader, start: number | null): Selector {
  skipBlank(reader);
  const end = integer(reader);
  skipBlank(reader);
  let step: number | null = null;
  if (take(reader, ':')) {
    skipBlank(reader);
    step = integer(reader);
  }
  return { kind: 'slice', start, end, step: step ?? 1 };
}

function readOr(reader: Reader): Test {
  const tests = readList(reader, '||', readAnd);
  return tests.length === 1 ? tests[0]! : { kind: 'or', tests };
}

function readAnd(reader: Reader): Test {
  const tests = readList(reader, '&&', readTest);
  return tests.length === 1 ? tests[0]! : { kind: 'and', tests };
}

function readList(reader: Reader, separator: string, read: (reader: Reader) => Test): Test[] {
  const tests: Test[] = [];
  do {
    skipBlank(reader);
    tests.push(read(reader));
    skipBlank(reader);
  } while (take(reader, separator));
  return tests;
}

function readTest(reader: Reader): Test {
  const start = reader.at;
  if (take(reader, '!')) {
    skipBlank(reader);
    return { kind: 'not', test: readNegated(reader, start) };
  }
  if (take(reader, '(')) return readParentheses(reader);
  const left = readOperand(reader);
  return readComparison(reader, start, left) ?? asTest(reader, start, left);
}

function readNegated(reader: Reader, start: number): Test {
  if (take(reader, '(')) return readParentheses(reader);
  const operand = readOperand(reader);
  if (readOperator(reader) !== null) {
    throw problemAt(reader, start, 'a comparison is negated in parentheses, as in !(@.a == 1)');
  }
  return asTest(reader, start, operand);
}

function readParentheses(reader: Reader): Test {
  const test = nested(reader, readOr);
  if (!take(reader, ')')) throw problemAt(reader, reader.at, `expected ) instead of ${found(reader)}`);
  const end = reader.at;
  if (readOperator(reader) !== null) {
    throw problemAt(reader, end, 'what stands in parentheses is a condition, which cannot be compared');
  }
  return test;
}

function readComparison(reader: Reader, start: number, left: Operand): Test | null {
  const operator = readOperator(reader);
  if (operator === null) return null;
  checkComparable(reader, start, left);
  skipBlank(reader);
  const second = reader.at;
  const right = readOperand(reader);
  checkComparable(reader, second, right);
  return { kind: 'compare', operator, left, right };
}

/** The operator that comes next, or null and the cursor where it was. */
function readOperator(reader: Reader): Operator | null {
  const end = reader.at;
  skipBlank(reader);
  for (const operator of OPERATORS) {
    if (take(reader, operator)) return operator;
  }
  if (peek(reader) === '=') throw problemAt(reader, reader.at, 'equality is written ==');
  reader.at = end;
  return null;
}

function checkComparable(reader: Reader, start: number, operand: Operand): void {
  if (operand.kind !== 'query' || operand.query.singular) return;
  throw problemAt(
    reader,
    start,
    'only a path that matches one value at most can be compared: names and indexes alone, or value(path)',
  );
}

/** An operand that is no part of a comparison. */
function asTest(reader: Reader, start: number, operand: Operand): Test {
  if (operand.kind === 'query') return { kind: 'exists', query: operand.query };
  const what = operand.kind === 'literal' ? 'a literal' : `what ${operand.kind}() gives`;
  throw problemAt(reader, start, `${what} is a value; compare it, as in @.a == 1`);
}

function readOperand(reader: Reader): Operand {
  const start = reader.at;
  if (take(reader, '@')) return { kind: 'query', query: readSegments(reader, '@') };
  if (take(reader, '$')) return { kind: 'query', query: readSegments(reader, '$') };
  const text = quotedText(reader);
  if (text !== null) return { kind: 'literal', value: text };
  const value = number(reader);
  if (value !== null) return { kind: 'literal', value };
  const name = word(reader);
  if (name !== null && take(reader, '(')) return readFunction(reader, start, name);
  if (name === 'true' || name === 'false') return { kind: 'literal', value: name === 'true' };
  if (name === 'null') return { kind: 'literal', value: null };
  reader.at = start;
  throw problemAt(
    reader,
    start,
    `expected @, $, a text in quotes, a number, true, false or null instead of ${found(reader)}`,
  );
}

function readFunction(reader: Reader, start: number, name: string): Operand {
  if (name === 'match' || name === 'search') {
    const why = 'a regular expression of the caller could take unbounded time';
    throw problemAt(reader, start, `${name}() is not available, since ${why}; compare with == instead`);
  }
  if (name !== 'length' && name !== 'count' && name !== 'value') {
    throw problemAt(reader, start, `there is no function ${name}(); there are length(), count() and value()`);
  }
  skipBlank(reader);
  if (peek(reader) === ')') throw problemAt(reader, reader.at, `${name}() takes one argument`);
  const inside = reader.at;
  const operand = nested(reader, readOperand);
  skipBlank(reader);
  if (!take(reader, ')')) {
    throw problemAt(
      reader,
      reader.at,
      `${name}() takes one argument; expected ) instead of ${found(reader)}`,
    );
  }
  if (name === 'length') {
    checkComparable(reader, inside, operand);
    return { kind: name, of: operand };
  }
  if (operand.kind !== 'query') throw problemAt(reader, inside, `${name}() takes a path, such as @.items[*]`);
  return { kind: name, of: operand.query };
}

/** Reads one level deeper. */
function nested<T>(reader: Reader, read: (reader: Reader) => T): T {
  reader.depth += 1;
  if (reader.depth > MAX_DEPTH) {
    throw problemAt(reader, reader.at, `filters, parentheses and functions nest ${MAX_DEPTH} deep at most`);
  }
  const result = read(reader);
  reader.depth -= 1;
  return result;
}

function counted(reader: Reader, start: number, selector: Selector): Selector {
  reader.selectors += 1;
  if (reader.selectors > MAX_SELECTORS) {
    throw problemAt(reader, start, `an expression may have ${MAX_SELECTORS} selectors`);
  }
  return selector;
}

/** The next character in the words of a message. */
function found(reader: Reader): string {
  const point = reader.text.codePointAt(reader.at);
  return point === undefined ? 'the end' : JSON.stringify(String.fromCodePoint(point));
}
