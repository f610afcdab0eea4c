/**
 * Canonical JSON from the raw tokens (docs/signing.md, The message). Clients in Python, JavaScript and Rust spell the same
 * number differently, so a number keeps the lexeme it was sent with; strings are re-encoded as JSON.stringify does.
 * Objects are parallel lists, never JS objects: integer-like keys would reorder and `__proto__` would vanish.
 * Runs in browsers too: nothing of Node here.
 */
import { GatewayError } from '../errors.ts';

/** A scalar is its canonical text already. */
export type Node = string | ArrayNode | ObjectNode;

export interface ArrayNode {
  readonly kind: 'array';
  readonly items: readonly Node[];
}

export interface ObjectNode {
  readonly kind: 'object';
  /** Decoded keys, in the order sent. */
  readonly keys: readonly string[];
  /** The same keys as canonical JSON strings. */
  readonly labels: readonly string[];
  readonly values: readonly Node[];
  /** The positions in UTF-16 order; null when the keys were sent in that order. */
  readonly sorted: readonly number[] | null;
  /** Some key has a code unit from 0xD800 up: only then can code-point order differ from UTF-16 order. */
  readonly wide: boolean;
}

export interface Tokens {
  readonly root: Node;
  /** Some object of the text is {@link ObjectNode.wide}. */
  readonly wide_keys: boolean;
  /** Some number is long or has an exponent, so that a double may not hold it. */
  readonly risky_numbers: boolean;
}

/** How object keys are ordered, at every depth. */
export type KeyOrder = 'code_point' | 'utf16' | 'sent';

/** Arrays and objects nested deeper than this are refused. */
export const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LETTER_U = 0x75;
const SLASH = 0x2f;

/** Every decimal of 15 significant digits survives a double; longer ones must be looked at. */
const SAFE_DIGITS = 15;
const FIRST_WIDE = 0xd800;
const WIDE = /[\ud800-\uffff]/;

/**
 * Reads one RFC 8259 text, strictly: no duplicate keys, no lone surrogates, at most {@link MAX_DEPTH} deep.
 * Throws MALFORMED_ENVELOPE with the offset (in UTF-16 units) of the fault.
 */
export function parseTokens(text: string): Tokens {
  const tokenizer = new Tokenizer(text);
  const root = tokenizer.document();
  return { root, wide_keys: tokenizer.wideKeys, risky_numbers: tokenizer.riskyNumbers };
}

/** The canonical text of a sub-tree: no white space, keys in this order at every depth. */
export function serialize(node: Node, order: KeyOrder): string {
  if (typeof node === 'string') return node;
  if (node.kind === 'array') {
    let out = '[';
    for (let i = 0; i < node.items.length; i += 1) {
      if (i > 0) out += ',';
      out += serialize(node.items[i]!, order);
    }
    return `${out}]`;
  }
  const { labels, values } = node;
  const positions = keyPositions(node, order);
  let out = '{';
  for (let i = 0; i < labels.length; i += 1) {
    const at = positions === null ? i : positions[i]!;
    if (i > 0) out += ',';
    out += `${labels[at]}:${serialize(values[at]!, order)}`;
  }
  return `${out}}`;
}

/**
 * The message that an envelope's signature covers. `timestamp` is in whole Unix seconds. The outer keys are sorted
 * in each order, whatever the order sent.
 */
export function canonicalMessage(
  payload: Node,
  security_token: string,
  timestamp: number,
  order: KeyOrder,
): string {
  return `{"payload":${serialize(payload, order)},"security_token":${JSON.stringify(security_token)},"timestamp":${timestamp}}`;
}

/** The value of a key of an object; undefined when there is none, or no object. */
export function member(node: Node | undefined, key: string): Node | undefined {
  if (node === undefined || typeof node === 'string' || node.kind === 'array') return undefined;
  const at = node.keys.indexOf(key);
  return at === -1 ? undefined : node.values[at];
}

/** The positions of the keys in this order; null for the order sent. */
function keyPositions(node: ObjectNode, order: KeyOrder): readonly number[] | null {
  if (order === 'sent') return null;
  if (order === 'utf16' || !node.wide) return node.sorted;
  return node.keys
    .map((_, position) => position)
    .sort((a, b) => compareCodePoints(node.keys[a]!, node.keys[b]!));
}

/** Code-point order of two well-formed strings. Surrogates stand for code points above all of U+E000..U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

class Tokenizer {
  wideKeys = false;
  riskyNumbers = false;
  readonly #text: string;
  #at = 0;
  /** All code units of the last string, or-ed: cheaper than a regular expression for each key. */
  #units = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Node {
    if (!this.#text.isWellFormed()) throw fault('a lone surrogate', 0);
    this.#space();
    const root = this.#value(1);
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected('the end');
    return root;
  }

  #value(depth: number): Node {
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#string();
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (depth > MAX_DEPTH) throw fault(`nested deeper than ${MAX_DEPTH} levels`, this.#at);
      return code === OPEN_BRACE ? this.#object(depth) : this.#array(depth);
    }
    if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return this.#number();
    for (const word of ['true', 'false', 'null']) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return word;
      }
    }
    throw this.#unexpected('a value');
  }

  #array(depth: number): ArrayNode {
    const items: Node[] = [];
    this.#at += 1;
    this.#space();
    if (this.#take(CLOSE_BRACKET)) return { kind: 'array', items };
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#space();
      if (this.#take(CLOSE_BRACKET)) return { kind: 'array', items };
      if (!this.#take(COMMA)) throw this.#unexpected('"," or "]"');
      this.#space();
    }
  }

  #object(depth: number): ObjectNode {
    const start = this.#at;
    const keys: string[] = [];
    const labels: string[] = [];
    const values: Node[] = [];
    let ascending = true;
    let wide = false;
    this.#at += 1;
    this.#space();
    if (this.#take(CLOSE_BRACE)) return { kind: 'object', keys, labels, values, sorted: null, wide };
    for (;;) {
      if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#unexpected('a key');
      const label = this.#string();
      const key = label.includes('\\') ? (JSON.parse(label) as string) : label.slice(1, -1);
      if (ascending && keys.length > 0 && keys[keys.length - 1]! >= key) ascending = false;
      if (this.#units >= FIRST_WIDE && WIDE.test(key)) wide = true;
      this.#space();
      if (!this.#take(COLON)) throw this.#unexpected('":"');
      this.#space();
      keys.push(key);
      labels.push(label);
      values.push(this.#value(depth + 1));
      this.#space();
      if (this.#take(CLOSE_BRACE)) break;
      if (!this.#take(COMMA)) throw this.#unexpected('"," or "}"');
      this.#space();
    }
    if (wide) this.wideKeys = true;
    return {
      kind: 'object',
      keys,
      labels,
      values,
      sorted: ascending ? null : sortedUnique(keys, start),
      wide,
    };
  }

  /** Reads a string and gives its canonical encoding. */
  #string(): string {
    const text = this.#text;
    const start = this.#at;
    let i = start + 1;
    let reencode = false;
    let units = 0;
    for (; ; i += 1) {
      const code = text.charCodeAt(i);
      units |= code;
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        i += 1;
        const escaped = text.charCodeAt(i);
        // The other escapes (\" \\ \b \f \n \r \t) are what JSON.stringify writes too.
        if (escaped === LETTER_U || escaped === SLASH) reencode = true;
        else if (!SHORT_ESCAPES.has(escaped)) throw fault('a bad escape in a string', i);
      } else if (!(code >= 0x20)) {
        throw fault(i >= text.length ? 'a string without end' : 'a control character in a string', i);
      }
    }
    this.#at = i + 1;
    const raw = text.slice(start, this.#at);
    this.#units = reencode ? FIRST_WIDE : units;
    return reencode ? encodeAgain(raw, start) : raw;
  }

  #number(): string {
    const text = this.#text;
    const start = this.#at;
    if (text.charCodeAt(this.#at) === 0x2d) this.#at += 1;
    if (text.charCodeAt(this.#at) === 0x30) this.#at += 1;
    else this.#digits();
    if (text.charCodeAt(this.#at) === 0x2e) {
      this.#at += 1;
      this.#digits();
    }
    const exponent = text.charCodeAt(this.#at) | 0x20;
    if (exponent === 0x65) {
      this.#at += 1;
      const sign = text.charCodeAt(this.#at);
      if (sign === 0x2b || sign === 0x2d) this.#at += 1;
      this.#digits();
      this.riskyNumbers = true;
    }
    if (this.#at - start > SAFE_DIGITS) this.riskyNumbers = true;
    return text.slice(start, this.#at);
  }

  #digits(): void {
    const start = this.#at;
    let code = this.#text.charCodeAt(this.#at);
    while (code >= 0x30 && code <= 0x39) {
      this.#at += 1;
      code = this.#text.charCodeAt(this.#at);
    }
    if (this.#at === start) throw this.#unexpected('a digit');
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at += 1;
    return true;
  }

  #unexpected(expected: string): GatewayError {
    const end = this.#at >= this.#text.length;
    return fault(`expected ${expected}${end ? ', found the end' : ''}`, this.#at);
  }
}

const SHORT_ESCAPES: ReadonlySet<number> = new Set(Array.from('"\\bfnrt', (char) => char.charCodeAt(0)));

/** A string with `\u` or `\/` escapes as JSON.stringify writes it; JSON.parse checks the hex digits. */
function encodeAgain(raw: string, offset: number): string {
  let decoded: string;
  try {
    decoded = JSON.parse(raw) as string;
  } catch {
    throw fault('a bad escape in a string', offset);
  }
  if (!decoded.isWellFormed()) throw fault('a lone surrogate in a string', offset);
  return JSON.stringify(decoded);
}

/**
 * The positions in UTF-16 order. Duplicates are neighbours then: n log n whatever the keys are, while a Set of
 * integer-like keys could be driven into collisions.
 */
function sortedUnique(keys: readonly string[], offset: number): number[] {
  const positions = keys.map((_, position) => position);
  positions.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
  for (let i = 1; i < positions.length; i += 1) {
    const key = keys[positions[i]!]!;
    if (key === keys[positions[i - 1]!]) {
      throw fault(`duplicate key ${JSON.stringify(key.slice(0, 64))} in the object`, offset);
    }
  }
  return positions;
}

function fault(what: string, offset: number): GatewayError {
  return new GatewayError('MALFORMED_ENVELOPE', `JSON: ${what} at offset ${offset}`);
}
