/** Values that callers give, as the texts that they are made of. */
import type { GatewayError } from '../errors.ts';

/** The error for one value, with the place that it was given for. */
export type Refuse = (why: string) => GatewayError;

/** A value without what is null in it, which is left out wherever it is (RFC 6570 section 2.3). */
export type Shape =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [string, string])[] };

/** null: there is nothing to send, as in an empty list. Throws for a list or map within another. */
export function shapeOf(value: unknown, refuse: Refuse): Shape | null {
  if (isNothing(value)) return null;
  if (typeof value !== 'object') return { kind: 'text', text: plainText(value, refuse) };
  if (Array.isArray(value)) {
    const items = value.filter((item) => !isNothing(item)).map((item) => plainText(item, refuse));
    return items.length === 0 ? null : { kind: 'list', items };
  }
  const entries = Object.entries(value as object)
    .filter(([, item]) => !isNothing(item))
    .map(([key, item]) => [plainText(key, refuse), plainText(item, refuse)] as const);
  return entries.length === 0 ? null : { kind: 'map', entries };
}

export function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** A text, number or boolean as a text that UTF-8 can carry. */
export function plainText(value: unknown, refuse: Refuse): string {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw refuse('holds half of a surrogate pair');
    return value;
  }
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  throw refuse(
    typeof value === 'object' && value !== null
      ? 'holds a list or an object where only a text, number or boolean can stand'
      : 'holds what is no text, number or boolean',
  );
}

/** A value as JSON. */
export function jsonText(value: unknown, refuse: Refuse): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A bigint, a circle, or more levels than the stack holds.
    text = undefined;
  }
  if (text === undefined) throw refuse('cannot be written as JSON');
  return text;
}
