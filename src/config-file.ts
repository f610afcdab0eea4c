/** The text of gateway.yaml, and where each of its keys was written: a problem is told with its line and column. */
import { readFileSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';

export interface ConfigFile {
  /** What the file holds; undefined: see the problems. */
  readonly value: unknown;
  /** Each begins with its place. */
  readonly problems: readonly string[];
  /** `file:line:column` of a dotted key such as `spec.network.bind_addr`, else of the nearest one above it. */
  place(key: string): string;
}

/** Reads the file as YAML 1.2 without aliases. */
export function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const problems = [`${file}: cannot be read: ${(error as Error).message}`];
    return { value: undefined, problems, place: () => file };
  }
  const lines = new LineCounter();
  const options = { version: '1.2', merge: false, stringKeys: true, prettyErrors: false } as const;
  const document = parseDocument(text, { ...options, lineCounter: lines });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const faults = [...document.errors, ...document.warnings];
  const problems = faults.map(({ pos, message }) => `${at(pos[0])}: ${message}`);
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 0 });
    } catch {
      problems.push(`${file}: aliases are not accepted; write the value out`);
    }
  }
  const place = (key: string): string => {
    const offset = offsetOf(document.contents, key.split('.'));
    return offset === null ? file : at(offset);
  };
  return { value, problems, place };
}

/** Where the last key of a path begins, as far as the path leads. null: not even the first is there. */
function offsetOf(contents: unknown, path: readonly string[]): number | null {
  let node = contents;
  let offset: number | null = null;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      offset = (pair.key as { range?: readonly number[] }).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as { range?: readonly number[] } | undefined;
      if (item === undefined) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      break;
    }
  }
  return offset;
}
