/**
 * Schemas that lead back to themselves without going into the value: `{$ref: '#'}`, or two that refer to each other.
 * To hold any value against one would never end. A tree that refers to itself below `properties` or `items` ends where
 * the value does, and is fine.
 */
import { pointerSegments, pointerTo } from '../manifest/position.ts';

/** Keywords whose schemas are held against the same value. */
const IN_PLACE = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas', 'dependencies'];

/** The JSON pointer of a `$ref` that closes such a circle; null: there is none. References are followed within `schema`. */
export function findEndless(schema: object): string | null {
  const done = new Set<unknown>();
  const open = new Set<unknown>();

  /** `from`: the reference, or the keyword, that led here. */
  const enter = (value: unknown, pointer: string, from: string): string | null => {
    if (!isObject(value) || done.has(value)) return null;
    if (open.has(value)) return from;
    open.add(value);
    const found = inPlace(value, pointer);
    open.delete(value);
    done.add(value);
    return found;
  };

  const inPlace = (value: Record<string, unknown>, pointer: string): string | null => {
    const { $ref } = value;
    const to = typeof $ref === 'string' ? pointerOf($ref) : null;
    if (to !== null) {
      const found = enter(valueAt(schema, to), to, pointerTo(pointer, '$ref'));
      if (found !== null) return found;
    }
    for (const keyword of IN_PLACE) {
      const below = pointerTo(pointer, keyword);
      const part = value[keyword];
      const parts = isObject(part) && !SINGLE.has(keyword) ? Object.entries(part) : [['', part] as const];
      for (const [key, one] of parts) {
        const at = key === '' ? below : pointerTo(below, key);
        const found = enter(one, at, at);
        if (found !== null) return found;
      }
    }
    return null;
  };

  const everywhere = (value: unknown, pointer: string): string | null => {
    if (!isObject(value)) return null;
    const found = enter(value, pointer, pointer);
    if (found !== null) return found;
    for (const [key, child] of Object.entries(value)) {
      const below = everywhere(child, pointerTo(pointer, key));
      if (below !== null) return below;
    }
    return null;
  };
  return everywhere(schema, '');
}

const SINGLE = new Set(['not', 'if', 'then', 'else']);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Of a reference within the schema; null: of another one, which is told as a mistake of its own. */
function pointerOf(reference: string): string | null {
  try {
    return /^#(?:\/|$)/.test(reference) ? decodeURIComponent(reference.slice(1)) : null;
  } catch {
    return null;
  }
}

/** undefined: there is nothing at the pointer. */
function valueAt(schema: object, pointer: string): unknown {
  let value: unknown = schema;
  for (const segment of pointerSegments(pointer)) {
    if (!isObject(value) || !Object.hasOwn(value, segment)) return undefined;
    value = value[segment];
  }
  return value;
}
