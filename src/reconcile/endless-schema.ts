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
  const resolve = resolverFor(schema);
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
    for (const keyword of REFERENCES) {
      const reference = value[keyword];
      if (typeof reference !== 'string') continue;
      const to = resolve(value, reference);
      const found = to === null ? null : enter(to.value, to.pointer, pointerTo(pointer, keyword));
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

/** Keywords that lead to another schema for the same value. */
const REFERENCES = ['$ref', '$dynamicRef', '$recursiveRef'];
const SINGLE = new Set(['not', 'if', 'then', 'else']);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

interface Place {
  readonly value: unknown;
  readonly pointer: string;
}

/** Of a schema that gives itself no `$id`; nobody asks for it. */
const NO_ID = 'http://schema.invalid/';

/**
 * What a reference in a schema means: a pointer, or a name that `$id` or an anchor gives. null: another document, or
 * nothing, which is told as a mistake of its own.
 */
function resolverFor(schema: object): (from: object, reference: string) => Place | null {
  const bases = new Map<object, string>();
  const named = new Map<string, Place>();
  const name = (value: unknown, pointer: string, base: string): void => {
    if (!isObject(value)) return;
    const { $id, $anchor, $dynamicAnchor } = value;
    const own = typeof $id === 'string' ? urlOf($id, base) : null;
    if (own !== null) named.set(own, { value, pointer });
    for (const anchor of [$anchor, $dynamicAnchor])
      if (typeof anchor === 'string') named.set(`${own ?? base}#${anchor}`, { value, pointer });
    const inner = own?.split('#', 1)[0] ?? base;
    bases.set(value, inner);
    for (const [key, child] of Object.entries(value)) name(child, pointerTo(pointer, key), inner);
  };
  named.set(NO_ID, { value: schema, pointer: '' });
  name(schema, '', NO_ID);

  return (from, reference) => {
    const url = urlOf(reference, bases.get(from) ?? NO_ID) ?? '';
    const [document = '', fragment = ''] = url.split('#');
    const whole = named.get(document);
    if (named.has(url) || whole === undefined || !fragment.startsWith('/')) return named.get(url) ?? null;
    const pointer = decoded(fragment);
    return { value: valueAt(whole.value, pointer), pointer: whole.pointer + pointer };
  };
}

/** Without an empty fragment, which means the same as none. */
function urlOf(reference: string, base: string): string | null {
  return URL.canParse(reference, base) ? new URL(reference, base).href.replace(/#$/, '') : null;
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** undefined: there is nothing at the pointer. */
function valueAt(root: unknown, pointer: string): unknown {
  let value = root;
  for (const segment of pointerSegments(pointer)) {
    if (!isObject(value) || !Object.hasOwn(value, segment)) return undefined;
    value = value[segment];
  }
  return value;
}
