/**
 * A filter that fits few events walks a long trail. It does so in steps, each a span of positions that is looked through
 * in one go, so that other queries get their turn in between.
 */

/** Positions from the first to the second, without either. */
export type Span = readonly [after: number, before: number];

/** The part of `span` to look through next, of `most` positions; `newest` begins at its end. */
export function stepOf([after, before]: Span, order: 'oldest' | 'newest', most: number): Span {
  return order === 'oldest'
    ? [after, Math.min(before, after + most + 1)]
    : [Math.max(after, before - most - 1), before];
}

/** What is left of `span` when all up to and with the position `reached` has been seen; null: nothing. */
export function restOf([after, before]: Span, order: 'oldest' | 'newest', reached: number): Span | null {
  const rest: Span = order === 'oldest' ? [reached, before] : [after, reached];
  return rest[1] - rest[0] > 1 ? rest : null;
}

/** The position that a step ends at. */
export function endOf([after, before]: Span, order: 'oldest' | 'newest'): number {
  return order === 'oldest' ? before - 1 : after + 1;
}
