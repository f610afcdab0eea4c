/**
 * What is wrong with a JSON text, with its place. `JSON.parse` is fast but tells no place for some errors, keeps
 * the last of two equal keys without a word, and knows no limit of depth.
 */

export interface SyntaxFault {
  /** In UTF-16 units. */
  readonly offset: number;
  readonly message: string;
}

const LITERAL = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The keys so far of each object that is open; null for a list. */
type Open = (Set<string> | null)[];

/** The first fault of the text; null: `JSON.parse` takes it, and every key is written once in its object. */
export function findJsonFault(text: string, maxDepth: number): SyntaxFault | null {
  const open: Open = [];
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const sign = text[at];
    let complete = true;
    if (sign === '{' || sign === '[') {
      if (open.length === maxDepth) return fault(at, `nested more than ${maxDepth} deep`);
      open.push(sign === '{' ? new Set() : null);
      at = skipSpace(text, at + 1);
      complete = text[at] === closing(open);
    } else {
      const end = sign === '"' ? skipString(text, at) : matchAt(LITERAL, text, at);
      if (typeof end !== 'number') return end ?? unexpected(text, at, 'a value');
      at = end;
    }
    if (complete) {
      const next = endValue(text, at, open);
      if (typeof next !== 'number') return next;
      at = next;
    }
    const keys = open.at(-1);
    if (keys) {
      const next = readKey(text, skipSpace(text, at), keys);
      if (typeof next !== 'number') return next;
      at = next;
    }
  }
}

/** Closes what ends behind a value. The offset behind the next comma, or null at the end of the text. */
function endValue(text: string, start: number, open: Open): number | SyntaxFault | null {
  let at = skipSpace(text, start);
  while (open.length > 0 && text[at] === closing(open)) {
    open.pop();
    at = skipSpace(text, at + 1);
  }
  if (open.length === 0) return at >= text.length ? null : unexpected(text, at, 'the end');
  return text[at] === ',' ? at + 1 : unexpected(text, at, `"," or "${closing(open)}"`);
}

function closing(open: Open): string {
  return open.at(-1) === null ? ']' : '}';
}

/** Reads a key and its colon; the offset after them. */
function readKey(text: string, at: number, keys: Set<string>): number | SyntaxFault {
  if (text[at] !== '"') return unexpected(text, at, 'a key in double quotes');
  const end = skipString(text, at);
  if (typeof end !== 'number') return end;
  const key: string = JSON.parse(text.slice(at, end));
  if (keys.has(key)) return fault(at, `the key ${JSON.stringify(key)} was given before`);
  keys.add(key);
  const colon = skipSpace(text, end);
  return text[colon] === ':' ? colon + 1 : unexpected(text, colon, '":"');
}

function skipString(text: string, start: number): number | SyntaxFault {
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) {
      const end = matchAt(ESCAPE, text, at);
      if (end === null) return fault(at, 'this escape sequence is not one of JSON');
      at = end;
    } else if (code >= 0x20) {
      at += 1;
    } else if (at >= text.length) {
      return fault(start, 'the quote that begins here is never closed');
    } else {
      return fault(at, 'a line end or control character inside quotes');
    }
  }
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}

function unexpected(text: string, at: number, wanted: string): SyntaxFault {
  const found = at >= text.length ? 'the end of the file' : JSON.stringify(text[at]);
  return fault(at, `${wanted} is expected here, not ${found}`);
}

function fault(offset: number, message: string): SyntaxFault {
  return { offset, message };
}
