/** What a manifest becomes when its document has changed, and somebody has edited it since it was written. */
import { pointerTo } from '../../manifest/position.ts';
import type { Edit } from './edit-yaml.ts';
import { digestOf, entriesOf, type Fields, fieldsOf, isMapOfFields, type Remembered } from './fingerprint.ts';

export interface Merged {
  readonly edits: readonly Edit[];
  /** Fields that the document changes. */
  readonly updated: readonly string[];
  /** Fields that the document would change, had they not been edited by hand. */
  readonly kept: readonly string[];
  /** All that are as somebody wants them, not as the document does. */
  readonly edited: readonly string[];
}

/**
 * The document's changes for a manifest: of what was written before and is still so, all; of what was edited, put in or
 * taken out by hand, none.
 */
export function mergeManifest(current: unknown, generated: unknown, remembered: Remembered): Merged {
  const [now, next] = [fieldsOf(current), fieldsOf(generated)];
  const updated: string[] = [];
  const kept: string[] = [];
  const edited: string[] = [];
  for (const pointer of new Set([...now.keys(), ...next.keys()])) {
    const written = remembered(pointer);
    const [own, wanted] = [digestIn(now, pointer), digestIn(next, pointer)];
    // Not the import's, nor ever was.
    if (own === wanted || (written === null && wanted === null)) continue;
    if (own === written) updated.push(pointer);
    else edited.push(pointer);
    if (own !== written && wanted !== written) kept.push(pointer);
  }
  const wanted = new Set(updated);
  const edits = editsOf(current, generated, '', [], (pointer) => wanted.has(pointer));
  return { edits, updated, kept, edited };
}

/** null: it is not there. */
function digestIn(fields: Fields, pointer: string): string | null {
  return fields.has(pointer) ? digestOf(fields.get(pointer)) : null;
}

/** The edits that take the wanted fields from one manifest into the other. */
function editsOf(
  from: unknown,
  into: unknown,
  pointer: string,
  path: readonly (string | number)[],
  isWanted: (pointer: string) => boolean,
): Edit[] {
  const [before, after] = [entriesOf(from), entriesOf(into)];
  if (!isMapOfFields(pointer) || before === null || after === null) return [];
  const [old, next] = [new Map(before), new Map(after)];
  const keys = [...new Set([...old.keys(), ...next.keys()])];
  const places = keys.map((key) => (Array.isArray(from) ? before.findIndex(([name]) => name === key) : key));
  return keys.flatMap((key, index): Edit[] => {
    const below = pointerTo(pointer, key);
    const place = [...path, places[index]!];
    const change = { path: place, value: next.get(key) };
    if (isWanted(below)) return [change];
    if (!isMapOfFields(below)) return [];
    if (!old.has(key)) {
      const value = partOf(next.get(key), below, isWanted);
      return value === undefined || Array.isArray(from) ? [] : [{ path: place, value }];
    }
    const edits = editsOf(old.get(key), next.get(key) ?? {}, below, place, isWanted);
    const emptied = !next.has(key) && entriesOf(old.get(key))?.length === edits.length && edits.length > 0;
    return emptied ? [{ path: place, value: undefined }] : edits;
  });
}

/** The wanted fields of a map that is not there at all; undefined: none is wanted. */
function partOf(value: unknown, pointer: string, isWanted: (pointer: string) => boolean): unknown {
  const entries = entriesOf(value);
  if (entries === null || Array.isArray(value)) return undefined;
  const parts = entries.flatMap(([key, item]) => {
    const below = pointerTo(pointer, key);
    const part = isWanted(below) ? item : isMapOfFields(below) ? partOf(item, below, isWanted) : undefined;
    return part === undefined ? [] : [[key, part] as const];
  });
  return parts.length === 0 ? undefined : Object.fromEntries(parts);
}
