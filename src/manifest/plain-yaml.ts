/**
 * Reads the YAML that manifests are nearly always written in: block mappings and lists, texts, numbers and flow
 * collections that each stand on one line. It knows no errors: what is anything else, or wrong, or only unusual, is left
 * to the library, which takes twenty times as long. Both give the same value and the same positions (a test compares
 * them on all that it can think of).
 */
import type { Position } from './diagnostic.ts';
import { createPositionTable, type Located, type PositionTable } from './position.ts';

/** Collections within collections; what is deeper may be too deep. */
const MAX_DEPTH = 32;
const MAX_DOCUMENTS = 1_000;
/** Tabs, carriage returns and marks of byte order have rules of their own. */
const UNUSUAL = /[\t\r\uFEFF]/;

const BLOCK_KEY = /[A-Za-z_/$][\w./$@+{}-]*(?=:(?:[ \n]|$))/y;
const FLOW_KEY = /[A-Za-z_/$][\w./$@+-]*(?=: )/y;
const QUOTED_KEY = /(?:"([^"\\\n]*)"|'([^'\n]*)')(?=:)/y;
const DOUBLE_QUOTED = /"(?:[^"\\\n]|\\["\\/bfnrt])*"/y;
const SINGLE_QUOTED = /'(?:[^'\n]|'')*'/y;
/** How a text without quotes may begin; the rest of the line follows. */
const BLOCK_TEXT = /(?:[^\s\-?:,[\]{}#&*!|>'"%@`]|-(?=[\w-]))[^\n]*/y;
const FLOW_TEXT = /(?:[^\s\-?:,[\]{}#&*!|>'"%@`]|-(?=[\w-]))[^\n,[\]{}]*/y;

/** Keys that an object puts before others, wherever they are written. */
const INDEX = /^(?:0|[1-9][0-9]*)$/;
const WHOLE = /^(?:0|-?[1-9][0-9]{0,14})$/;
const DECIMAL = /^-?(?:0|[1-9][0-9]{0,8})\.[0-9]{1,6}$/;
/** What else may be a number: octal, hexadecimal, with an exponent, not a number. */
const NUMBERLIKE = /^[-+]?(?:[0-9.][0-9.xo]*[0-9a-fA-F]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|nan))$/i;

const WORDS: ReadonlyMap<string, null | boolean> = new Map([
  ...['null', 'Null', 'NULL', '~'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
]);

class NotPlain extends Error {}
const NOT_PLAIN = new NotPlain();

interface Cursor {
  readonly text: string;
  /** Of the document. */
  table: PositionTable;
  /** Of the next character. */
  at: number;
  /** Of the line that it is on, from 1, and where that begins. */
  line: number;
  lineStart: number;
}

/** The documents of a text; null: it takes the library to read it. */
export function readPlainYaml(text: string): Located[] | null {
  if (UNUSUAL.test(text)) return null;
  try {
    const cursor = { text, table: createPositionTable(), at: 0, line: 1, lineStart: 0 };
    const documents: Located[] = [];
    let indent = nextContent(cursor);
    // The first document needs no marker.
    if (indent === DOCUMENT_END && cursor.at < text.length) indent = skipMarker(cursor);
    while (documents.length < MAX_DOCUMENTS) {
      documents.push(readRoot(cursor, indent));
      if (cursor.at === text.length) return documents;
      indent = skipMarker(cursor);
    }
    return null;
  } catch (error) {
    if (error === NOT_PLAIN) return null;
    throw error;
  }
}

function readRoot(cursor: Cursor, indent: number): Located {
  cursor.table = createPositionTable();
  const { value, indent: after } = readBlock(cursor, indent, positionAt(cursor), 1);
  if (after !== DOCUMENT_END) throw NOT_PLAIN;
  return { value, positions: cursor.table.rows() };
}

/** A node, and the indentation of the line that follows. */
interface Node {
  readonly value: unknown;
  readonly indent: number;
}

/** Instead of an indentation: the text ends here, or another document begins. */
const DOCUMENT_END = -1;

/** A mapping or a list that begins here, each of whose entries stands at this indentation. */
function readBlock(cursor: Cursor, indent: number, key: Position, depth: number): Node {
  if (indent === DOCUMENT_END || depth > MAX_DEPTH) throw NOT_PLAIN;
  const row = cursor.table.begin(key, positionAt(cursor));
  const node = isDash(cursor) ? readList(cursor, indent, depth) : readMap(cursor, indent, depth);
  cursor.table.end(row);
  return node;
}

function readMap(cursor: Cursor, indent: number, depth: number): Node {
  const object: Record<string, unknown> = {};
  let next = indent;
  while (next === indent && !isDash(cursor)) {
    const position = positionAt(cursor);
    const key = readKey(cursor, BLOCK_KEY);
    if (key === null) throw NOT_PLAIN;
    checkKey(object, key);
    const following = cursor.text[cursor.at];
    if (following !== ' ' && following !== '\n' && following !== undefined) throw NOT_PLAIN;
    const node = readMember(cursor, indent, position, depth);
    object[key] = node.value;
    next = node.indent;
  }
  if (next > indent) throw NOT_PLAIN;
  return { value: Object.freeze(object), indent: next };
}

/** What follows `key:`, on this line or below it. */
function readMember(cursor: Cursor, indent: number, key: Position, depth: number): Node {
  const onLine = skipSpaces(cursor);
  if (!isLineEnd(cursor, onLine)) return readInline(cursor, indent, key, depth);
  const next = endLine(cursor);
  if (next > indent) return readBlock(cursor, next, key, depth + 1);
  if (next === indent && isDash(cursor)) return readBlock(cursor, next, key, depth + 1);
  cursor.table.end(cursor.table.begin(key, key));
  return { value: null, indent: next };
}

function readList(cursor: Cursor, indent: number, depth: number): Node {
  const list: unknown[] = [];
  let next = indent;
  while (next === indent && isDash(cursor)) {
    cursor.at += 1;
    if (isLineEnd(cursor, skipSpaces(cursor)) || isDash(cursor)) throw NOT_PLAIN;
    const position = positionAt(cursor);
    const column = cursor.at - cursor.lineStart;
    const node = isKey(cursor)
      ? readBlock(cursor, column, position, depth + 1)
      : readInline(cursor, indent, position, depth);
    list.push(node.value);
    next = node.indent;
  }
  if (next > indent) throw NOT_PLAIN;
  return { value: Object.freeze(list), indent: next };
}

/** A text or a flow collection to the end of the line. */
function readInline(cursor: Cursor, indent: number, key: Position, depth: number): Node {
  const value = readValue(cursor, key, BLOCK_TEXT, depth);
  const next = endLine(cursor);
  // A text goes on where the next line is further in.
  if (next > indent) throw NOT_PLAIN;
  return { value, indent: next };
}

function readValue(cursor: Cursor, key: Position, plain: RegExp, depth: number): unknown {
  const { table } = cursor;
  const row = table.begin(key, positionAt(cursor));
  const value = readContent(cursor, plain, depth);
  table.end(row);
  return value;
}

function readContent(cursor: Cursor, plain: RegExp, depth: number): unknown {
  switch (cursor.text[cursor.at]) {
    case '{':
      return readFlowMap(cursor, depth + 1);
    case '[':
      return readFlowList(cursor, depth + 1);
    case '"': {
      const quoted = take(cursor, DOUBLE_QUOTED);
      // The escapes that are let through are those of JSON.
      return quoted.includes('\\') ? JSON.parse(quoted) : quoted.slice(1, -1);
    }
    case "'":
      return take(cursor, SINGLE_QUOTED).slice(1, -1).replaceAll("''", "'");
    default:
      return resolve(readText(cursor, plain));
  }
}

/** A text without quotes, up to a comment. */
function readText(cursor: Cursor, plain: RegExp): string {
  const start = cursor.at;
  let text = take(cursor, plain);
  const comment = text.indexOf(' #');
  if (comment !== -1) text = text.slice(0, comment);
  text = text.replace(/ +$/, '');
  if (text.endsWith(':') || text.includes(': ')) throw NOT_PLAIN;
  cursor.at = start + text.length;
  return text;
}

/** The core schema of YAML 1.2. */
function resolve(text: string): unknown {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (WHOLE.test(text) || DECIMAL.test(text)) return Number(text);
  if (NUMBERLIKE.test(text)) throw NOT_PLAIN;
  return text;
}

function readFlowMap(cursor: Cursor, depth: number): unknown {
  const object: Record<string, unknown> = {};
  openFlow(cursor, depth);
  if (closes(cursor, '}')) return Object.freeze(object);
  do {
    skipSpaces(cursor);
    const position = positionAt(cursor);
    const key = readKey(cursor, FLOW_KEY);
    if (key === null) throw NOT_PLAIN;
    checkKey(object, key);
    skipSpaces(cursor);
    object[key] = readValue(cursor, position, FLOW_TEXT, depth);
  } while (separates(cursor, '}'));
  return Object.freeze(object);
}

function readFlowList(cursor: Cursor, depth: number): unknown {
  const list: unknown[] = [];
  openFlow(cursor, depth);
  if (closes(cursor, ']')) return Object.freeze(list);
  do {
    skipSpaces(cursor);
    list.push(readValue(cursor, positionAt(cursor), FLOW_TEXT, depth));
  } while (separates(cursor, ']'));
  return Object.freeze(list);
}

function openFlow(cursor: Cursor, depth: number): void {
  if (depth > MAX_DEPTH) throw NOT_PLAIN;
  cursor.at += 1;
  skipSpaces(cursor);
}

function closes(cursor: Cursor, end: string): boolean {
  if (cursor.text[cursor.at] !== end) return false;
  cursor.at += 1;
  return true;
}

/** Whether a comma follows, and not the end. */
function separates(cursor: Cursor, end: string): boolean {
  skipSpaces(cursor);
  if (closes(cursor, end)) return false;
  if (!closes(cursor, ',')) throw NOT_PLAIN;
  return true;
}

/** The text of a key, which its colon follows; null: here is none. */
function readKey(cursor: Cursor, plain: RegExp): string | null {
  const { text, at } = cursor;
  const pattern = text[at] === '"' || text[at] === "'" ? QUOTED_KEY : plain;
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  if (match === null) return null;
  cursor.at += match[0].length + 1;
  return match[1] ?? match[2] ?? match[0];
}

function isKey(cursor: Cursor): boolean {
  const { at } = cursor;
  const key = readKey(cursor, BLOCK_KEY);
  cursor.at = at;
  return key !== null;
}

/** The library has something to say of a key that is given twice, and of these. */
function checkKey(object: Record<string, unknown>, key: string): void {
  if (Object.hasOwn(object, key) || key === '__proto__' || key === '<<' || INDEX.test(key)) throw NOT_PLAIN;
}

function take(cursor: Cursor, pattern: RegExp): string {
  pattern.lastIndex = cursor.at;
  const match = pattern.exec(cursor.text);
  if (match === null) throw NOT_PLAIN;
  cursor.at += match[0].length;
  return match[0];
}

/** How many there were. */
function skipSpaces(cursor: Cursor): number {
  const start = cursor.at;
  while (cursor.text[cursor.at] === ' ') cursor.at += 1;
  return cursor.at - start;
}

/** Nothing but a comment, with a space before it, follows on the line. */
function isLineEnd({ text, at }: Cursor, spaces: number): boolean {
  const next = text[at];
  return next === undefined || next === '\n' || (next === '#' && spaces > 0);
}

/** Goes on to what follows the line, on which nothing more may stand. */
function endLine(cursor: Cursor): number {
  if (!isLineEnd(cursor, skipSpaces(cursor))) throw NOT_PLAIN;
  nextLine(cursor);
  return nextContent(cursor);
}

function nextLine(cursor: Cursor): void {
  const end = cursor.text.indexOf('\n', cursor.at);
  cursor.at = end === -1 ? cursor.text.length : end + 1;
  if (end !== -1) cursor.line += 1;
  cursor.lineStart = cursor.at;
}

/** From the begin of a line to the next thing that is no comment; gives its indentation, or {@link DOCUMENT_END}. */
function nextContent(cursor: Cursor): number {
  const { text } = cursor;
  for (;;) {
    const indent = skipSpaces(cursor);
    const next = text[cursor.at];
    if (next === undefined) return DOCUMENT_END;
    if (next === '\n' || next === '#') {
      nextLine(cursor);
    } else if (indent === 0 && (text.startsWith('---', cursor.at) || /[.%]/.test(next))) {
      if (next !== '-') throw NOT_PLAIN;
      return DOCUMENT_END;
    } else {
      return indent;
    }
  }
}

/** Over the line that divides documents. */
function skipMarker(cursor: Cursor): number {
  cursor.at += '---'.length;
  if (!isLineEnd(cursor, skipSpaces(cursor))) throw NOT_PLAIN;
  nextLine(cursor);
  return nextContent(cursor);
}

function isDash({ text, at }: Cursor): boolean {
  return text[at] === '-' && (text[at + 1] === ' ' || text[at + 1] === '\n' || text[at + 1] === undefined);
}

function positionAt({ at, line, lineStart }: Cursor): Position {
  return { line, column: at - lineStart + 1 };
}
