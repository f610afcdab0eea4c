/** Looking into a document: own members only, so that no key reaches a prototype, and local references. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** A value and the JSON pointer of where it is written. */
export interface Located<T = unknown> {
  readonly value: T;
  readonly pointer: string;
}

/** A part of a document that cannot be used. Thrown and caught within this folder. */
export class Malformed extends Error {
  readonly pointer: string;

  constructor(pointer: string, message: string) {
    super(message);
    this.pointer = pointer;
  }
}

/** References that lead to references. */
export const MAX_HOPS = 32;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member of an object or list; undefined when there is none. */
export function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  if (Array.isArray(value) && key === 'length') return undefined;
  return (value as JsonObject)[key];
}

/** A member that is a text, else null. */
export function textOf(value: unknown, key: string): string | null {
  const text = member(value, key);
  return typeof text === 'string' ? text : null;
}

/** A JSON pointer (RFC 6901) with one more segment. */
export function pointerTo(parent: string, segment: string | number): string {
  return `${parent}/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** The object at `start`, or the one that its `$ref` leads to. Throws {@link Malformed}. */
export function follow(document: unknown, start: Located): Located<JsonObject> {
  let { value, pointer } = start;
  for (let hops = 0; isObject(value); hops += 1) {
    const reference = member(value, '$ref');
    if (reference === undefined) return { value, pointer };
    if (hops === MAX_HOPS) throw inCircle(start.pointer);
    ({ value, pointer } = resolve(document, reference, pointer));
  }
  throw new Malformed(pointer, `an object is expected here, not ${nounOf(value)}`);
}

/** The problem of a reference that never arrives, as far as anybody would follow it. */
export function inCircle(pointer: string): Malformed {
  return new Malformed(pointer, `the reference leads in a circle, or through more than ${MAX_HOPS} others`);
}

/** What a local reference names. Throws {@link Malformed} for any other. */
export function resolve(document: unknown, reference: unknown, at: string): Located {
  if (typeof reference !== 'string') throw new Malformed(at, '$ref must be a text');
  if (!reference.startsWith('#')) {
    throw new Malformed(at, `${quote(reference)} is outside of this document, and is never fetched`);
  }
  const pointer = decodeFragment(reference.slice(1));
  if (pointer !== '' && !pointer.startsWith('/')) {
    throw new Malformed(at, `${quote(reference)} is not a JSON pointer`);
  }
  let value = document;
  for (const segment of pointer.split('/').slice(1)) {
    value = member(value, segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  if (value === undefined) throw new Malformed(at, `there is nothing at ${quote(reference)}`);
  return { value, pointer };
}

/** A text of the document in a message, clipped. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}

export function nounOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function decodeFragment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
