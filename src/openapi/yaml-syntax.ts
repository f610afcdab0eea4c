/**
 * Reads an OpenAPI document that is written in YAML 1.2. Aliases and merge keys are common there, so they are
 * read, as shared values; what they would come to when written out is counted, and bounded.
 */
import {
  Composer,
  CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  Lexer,
  type Pair,
  type ParsedNode,
  Parser,
  type YAMLMap,
} from 'yaml';
import type { SyntaxFault } from './json-syntax.ts';

export interface YamlLimits {
  /** Collections within collections, with aliases written out. */
  readonly depth: number;
  /** Values, with aliases written out. */
  readonly values: number;
  /** Tokens of the lexer, on which the time and the memory of reading depend. */
  readonly tokens: number;
}

const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  strict: true,
  // Keys such as 200 and no are texts.
  stringKeys: true,
  // The library compares each key with each other; readMap looks for duplicates as it goes.
  uniqueKeys: false,
  resolveKnownTags: false,
  prettyErrors: false,
  logLevel: 'silent',
} as const;

/** Ends the reading at the first fault. */
class Stop extends Error {
  readonly fault: SyntaxFault;

  constructor(offset: number, message: string) {
    super(message);
    this.fault = { offset, message };
  }
}

/** The value of the one document in `text`, or the first fault. An empty text is null. */
export function readYaml(text: string, limits: YamlLimits): { readonly value: unknown } | SyntaxFault {
  try {
    const contents = compose(text, limits)?.contents ?? null;
    const walk: Walk = { limits, anchors: new Map(), values: 0, deepest: 0 };
    return { value: readNode(walk, contents, 0, 0) };
  } catch (error) {
    if (error instanceof Stop) return error.fault;
    throw error;
  }
}

/** Drives the library token by token, so that it is stopped before what is quadratic or recursive in it. */
function compose(text: string, limits: YamlLimits): Document.Parsed | null {
  const parser = new Parser();
  const composer = new Composer(OPTIONS);
  let current: CST.Token | null = null;
  let fault: SyntaxFault | null = null;
  // The composer keeps every error, and a hostile document has as many as bytes: only the first is kept. What it
  // only warns of, such as a tag that nobody knows, is one too.
  Object.assign(composer, {
    onError: (source: unknown, _code: string, message: string) => {
      fault ??= composerFault(current, offsetOf(source), message);
    },
  });
  const found: Document.Parsed[] = [];
  let started = 0;
  const take = (token: CST.Token): void => {
    current = token;
    if (token.type === 'error') throw new Stop(token.offset, explain(token.message));
    if (token.type === 'directive') throw new Stop(token.offset, 'YAML: directives are not allowed');
    if (token.type === 'document' && ++started > 1) {
      throw new Stop(token.offset, 'YAML: the file holds more than one document');
    }
    found.push(...composer.next(token));
    if (fault !== null) throw new Stop(fault.offset, fault.message);
  };
  let tokens = 0;
  for (const lexeme of new Lexer().lex(text)) {
    // The stack has the document below and may have a scalar above the collections.
    if (parser.stack.length > limits.depth + 2) {
      throw new Stop(parser.offset, `nested more than ${limits.depth} deep`);
    }
    if (++tokens > limits.tokens) throw new Stop(parser.offset, `more than ${limits.tokens} tokens`);
    for (const token of parser.next(lexeme)) take(token);
  }
  for (const token of parser.end()) take(token);
  found.push(...composer.end());
  return found[0] ?? null;
}

/** An error of the composer names an offset, a range, or a token. */
function offsetOf(source: unknown): number {
  if (typeof source === 'number') return source;
  if (Array.isArray(source)) return Number(source[0]);
  return (source as { offset: number }).offset;
}

function composerFault(token: CST.Token | null, offset: number, message: string): SyntaxFault {
  const unclosed = message.startsWith('Missing closing');
  if (!unclosed) return { offset, message: explain(message) };
  return { offset: openingQuote(token, offset), message: 'YAML: the quote that begins here is never closed' };
}

/** Where the quoted text begins that is still open at `end`, which is all that the library tells. */
function openingQuote(token: CST.Token | null, end: number): number {
  let offset = end;
  if (token?.type !== 'document') return offset;
  CST.visit(token, ({ key, value }) => {
    for (const node of [key ?? null, value ?? null]) {
      if (CST.isScalar(node) && node.offset + node.source.length === end) offset = node.offset;
    }
  });
  return offset;
}

/** A message of the library may quote the source, of any length. */
function explain(message: string): string {
  return `YAML: ${message.length > 200 ? `${message.slice(0, 199)}…` : message}`;
}

interface Anchor {
  readonly value: unknown;
  /** Values in it, with aliases written out. */
  readonly values: number;
  /** Collections within collections in it. */
  readonly height: number;
}

interface Walk {
  readonly limits: YamlLimits;
  /** null: still open, so that an alias to it would make a circle. */
  readonly anchors: Map<string, Anchor | null>;
  values: number;
  deepest: number;
}

function readNode(walk: Walk, node: ParsedNode | null, offset: number, depth: number): unknown {
  const at = node?.range[0] ?? offset;
  if (isAlias(node)) return readAlias(walk, node.source, at, depth);
  reach(walk, at, 1, depth);
  const anchor = node?.anchor;
  if (anchor === undefined) return readValue(walk, node, at, depth);
  const before = { values: walk.values, deepest: walk.deepest };
  walk.anchors.set(anchor, null);
  walk.deepest = depth;
  const value = readValue(walk, node, at, depth);
  walk.anchors.set(anchor, {
    value,
    values: walk.values - before.values + 1,
    height: walk.deepest - depth,
  });
  walk.deepest = Math.max(walk.deepest, before.deepest);
  return value;
}

function readAlias(walk: Walk, name: string, offset: number, depth: number): unknown {
  const anchor = walk.anchors.get(name);
  if (anchor === undefined) throw new Stop(offset, `YAML: there is no anchor &${name} before this`);
  if (anchor === null) throw new Stop(offset, `YAML: &${name} holds itself`);
  reach(walk, offset, anchor.values, depth + anchor.height);
  return anchor.value;
}

/** Counts values, which reach down to `depth`. */
function reach(walk: Walk, offset: number, values: number, depth: number): void {
  walk.values += values;
  walk.deepest = Math.max(walk.deepest, depth);
  if (walk.values > walk.limits.values) {
    throw new Stop(offset, `more than ${walk.limits.values} values, with aliases written out`);
  }
  if (depth > walk.limits.depth) throw new Stop(offset, `nested more than ${walk.limits.depth} deep`);
}

function readValue(walk: Walk, node: ParsedNode | null, offset: number, depth: number): unknown {
  if (node === null) return null;
  if (isScalar(node)) {
    const { value } = node;
    if (typeof value === 'string') return detached(value);
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new Stop(offset, 'YAML: not a number that JSON knows; a text needs quotes');
    }
    return value;
  }
  if (isMap(node)) return readMap(walk, node as YAMLMap.Parsed, depth);
  if (!('items' in node)) return null;
  return node.items.map((item) => readNode(walk, item as ParsedNode, offset, depth + 1));
}

function readMap(walk: Walk, map: YAMLMap.Parsed, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  const merged: unknown[] = [];
  for (const pair of map.items as Pair<ParsedNode, ParsedNode | null>[]) {
    // The library has refused any key that is no text (stringKeys).
    if (!isScalar(pair.key)) continue;
    const key = String(pair.key.value);
    const offset = pair.key.range[0];
    const value = readNode(walk, pair.value, offset, depth + 1);
    if (key === '<<' && pair.key.type === 'PLAIN') merged.push(...sources(value, offset));
    else if (Object.hasOwn(object, key)) {
      throw new Stop(offset, `YAML: the key ${JSON.stringify(key)} was given before`);
    } else put(object, key, value);
  }
  // What is written in the map itself comes first, then the earlier of the merged maps.
  for (const source of merged) {
    for (const [key, value] of Object.entries(source as object)) {
      if (!Object.hasOwn(object, key)) put(object, key, value);
    }
  }
  return object;
}

/** The maps that a merge key names. */
function sources(value: unknown, offset: number): unknown[] {
  const list = Array.isArray(value) ? value : [value];
  const maps = list.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item));
  if (!maps) throw new Stop(offset, 'YAML: a merge key takes a map or a list of maps');
  return list;
}

/** Sets a member whatever its name: `__proto__` is one like any other. */
function put(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/** A copy of a text of the library's, which is a slice that would keep the whole source alive. */
function detached(text: string): string {
  return Buffer.from(text).toString();
}
