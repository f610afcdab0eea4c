/** From the node tree of `yaml` to frozen JSON and the position of each node, in one walk. */
import { isAlias, isMap, isScalar, isSeq, type Pair, type ParsedNode, type Scalar, type YAMLMap } from 'yaml';
import type { Position } from './diagnostic.ts';
import { createPositionTable, type Located, type PositionTable } from './position.ts';

export interface ReadOptions {
  at(offset: number): Position;
  /** May throw to end the walk. */
  report(offset: number, rule: string, message: string, hint?: string | null): void;
  /** Collections within collections. */
  readonly maxDepth: number;
}

interface Walk extends ReadOptions {
  readonly table: PositionTable;
}

/** The value of a document; what cannot be read is reported and becomes null. An empty document is null. */
export function readDocument(contents: ParsedNode | null, options: ReadOptions): Located {
  const walk: Walk = { ...options, table: createPositionTable() };
  const value = readNode(walk, contents, contents?.range[0] ?? 0, 0);
  return { value, positions: walk.table.rows() };
}

/** `keyOffset` is where the node's key begins, or the node itself when it has none. */
function readNode(walk: Walk, node: ParsedNode | null, keyOffset: number, depth: number): unknown {
  const offset = node === null || isEmpty(node) ? keyOffset : node.range[0];
  const row = walk.table.begin(walk.at(keyOffset), walk.at(offset));
  const value = readValue(walk, node, offset, depth);
  walk.table.end(row);
  return value;
}

function readValue(walk: Walk, node: ParsedNode | null, offset: number, depth: number): unknown {
  if (node === null) return null;
  if (isScalar(node)) return readScalar(walk, node, offset);
  if (isAlias(node)) {
    walk.report(offset, 'yaml-alias', 'aliases are not allowed', 'write the value out');
    return null;
  }
  if (depth === walk.maxDepth) {
    walk.report(offset, 'too-deep', `collections are nested more than ${walk.maxDepth} deep`);
    return null;
  }
  if (isMap(node)) return readMap(walk, node as YAMLMap.Parsed, depth);
  if (!isSeq(node)) return null;
  const list = node.items.map((item) => readNode(walk, item, item.range[0], depth + 1));
  return Object.freeze(list);
}

function readMap(walk: Walk, map: YAMLMap.Parsed, depth: number): unknown {
  const pairs = uniquePairs(walk, map);
  // Keys that look like numbers come first in an object whatever the order of writing, and the table of
  // positions follows the object.
  const object: Record<string, unknown> = {};
  for (const key of pairs.keys()) object[key] = null;
  for (const key of Object.keys(object)) {
    const pair = pairs.get(key)!;
    object[key] = readNode(walk, pair.value, pair.key.range[0], depth + 1);
  }
  return Object.freeze(object);
}

function uniquePairs(walk: Walk, map: YAMLMap.Parsed): Map<string, Pair<ParsedNode, ParsedNode | null>> {
  const pairs = new Map<string, Pair<ParsedNode, ParsedNode | null>>();
  for (const pair of map.items) {
    const offset = pair.key.range[0];
    const key = isScalar(pair.key) ? pair.key.value : null;
    // What is no text has been reported by the library (stringKeys).
    if (typeof key !== 'string') continue;
    const first = pairs.get(key);
    if (key === '__proto__') {
      walk.report(offset, 'forbidden-key', 'the key __proto__ is not allowed');
    } else if (key === '<<') {
      walk.report(offset, 'yaml-merge-key', 'merge keys are not allowed', 'write the fields out');
    } else if (first !== undefined) {
      const { line } = walk.at(first.key.range[0]);
      walk.report(offset, 'duplicate-key', `this key was given before, on line ${line}`, 'remove one');
    } else {
      pairs.set(key, pair);
    }
  }
  return pairs;
}

function readScalar(walk: Walk, scalar: Scalar.Parsed, offset: number): unknown {
  const { value } = scalar;
  if (typeof value === 'number' && !Number.isFinite(value)) {
    walk.report(offset, 'not-a-number', 'the value is not a number that JSON knows', 'put quotes around it');
    return null;
  }
  return value;
}

/** A value that is not there, as after `key:` at the end of a line. */
function isEmpty(node: ParsedNode): boolean {
  return isScalar(node) && node.range[0] === node.range[1];
}
