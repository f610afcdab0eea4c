/** What of a manifest fits its schema although the whole does not: its other mistakes need not wait for the first mend. */

import type { Violation } from './explain.ts';
import type { Kind } from './kind.ts';
import { pointerSegments } from './position.ts';
import { validateManifest } from './validate.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The manifest without the fields that violate the schema; null: what is left has faults of its own. */
export function soundPart(kind: Kind, value: Fields, violations: readonly Violation[]): Fields | null {
  const part = violations.reduce<unknown>(
    (rest, { pointer, rule }) => (rule === MISSING ? rest : without(rest, pointerSegments(pointer))),
    value,
  );
  const isSound = validateManifest(kind, part).every(({ rule }) => rule === MISSING);
  return isSound ? (part as Fields) : null;
}

const MISSING = 'missing-field';

/** Whether the part has something at this pointer. */
export function holds(part: { readonly spec: unknown }, pointer: string): boolean {
  const node = pointerSegments(pointer).reduce<unknown>(
    (above, key) => (typeof above === 'object' && above !== null ? (above as Fields)[key] : undefined),
    part,
  );
  return node !== undefined;
}

/** A copy that lacks one field. An entry of a list stays: those behind it would be told at the wrong place. */
function without(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value))
    return value.map((item: unknown, index) => (String(index) === key ? without(item, rest) : item));
  const fields = Object.entries(value).filter(([name]) => name !== key || rest.length > 0);
  return Object.fromEntries(fields.map(([name, item]) => [name, name === key ? without(item, rest) : item]));
}
