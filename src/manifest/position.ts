/**
 * Where each node of a document was written. YAML trees are large and only diagnostics need positions, so a
 * document keeps one row of numbers for each node instead, in the order in which the JSON value is walked.
 */
import type { Position } from './diagnostic.ts';

/** Key line, key column, value line, value column, and the row after the node and all that is in it. */
const WIDTH = 5;

export interface Located {
  /** The document as JSON, frozen: the rows follow its order of keys. */
  readonly value: unknown;
  readonly positions: Int32Array;
}

export interface PositionTable {
  /** Begins a node and returns its row; every node that begins before {@link end} is inside it. */
  begin(key: Position, value: Position): number;
  end(row: number): void;
  rows(): Int32Array;
}

export function createPositionTable(): PositionTable {
  const numbers: number[] = [];
  return {
    begin(key, value) {
      numbers.push(key.line, key.column, value.line, value.column, 0);
      return numbers.length / WIDTH - 1;
    },
    end(row) {
      numbers[row * WIDTH + 4] = numbers.length / WIDTH;
    },
    rows: () => Int32Array.from(numbers),
  };
}

/**
 * The position of the node that a JSON pointer (RFC 6901) names, or of its nearest ancestor that exists. With
 * `key` the position of the node's key, where it has one.
 */
export function locate(document: Located, pointer: string, at: 'value' | 'key' = 'value'): Position {
  let row = 0;
  let value = document.value;
  for (const segment of pointerSegments(pointer)) {
    const index = childIndex(value, segment);
    if (index === -1) break;
    row += 1;
    for (let sibling = 0; sibling < index; sibling++) row = document.positions[row * WIDTH + 4]!;
    value = (value as Record<string, unknown>)[segment];
  }
  const cell = row * WIDTH + (at === 'key' ? 0 : 2);
  return { line: document.positions[cell] ?? 1, column: document.positions[cell + 1] ?? 1 };
}

/** The segments of a JSON pointer, unescaped. */
export function pointerSegments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A JSON pointer with one more segment. */
export function pointerTo(parent: string, segment: string | number): string {
  return `${parent}/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function childIndex(value: unknown, segment: string): number {
  if (Array.isArray(value)) {
    const index = /^(0|[1-9][0-9]{0,9})$/.test(segment) ? Number(segment) : -1;
    return index < value.length ? index : -1;
  }
  return typeof value === 'object' && value !== null ? keysOf(value).indexOf(segment) : -1;
}

/** Objects with more keys take a while to list them. */
const MANY_KEYS = 100;
/** The keys of those that were asked for: where one has a fault, fifty may have. */
const listed = new WeakMap<object, readonly string[]>();

function keysOf(value: object): readonly string[] {
  const known = listed.get(value);
  if (known !== undefined) return known;
  const keys = Object.keys(value);
  // Documents are frozen, so their keys stay.
  if (keys.length > MANY_KEYS && Object.isFrozen(value)) listed.set(value, keys);
  return keys;
}
