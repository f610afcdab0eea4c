import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endOf, restOf, type Span, stepOf } from '../../src/store/sqlite-span.ts';

const spans = fc
  .tuple(fc.nat({ max: 1_000 }), fc.nat({ max: 1_000 }))
  .map(([after, length]): Span => [after, after + length]);
const orders = fc.constantFrom('oldest' as const, 'newest' as const);

/** The positions that a span holds. */
const positions = ([after, before]: Span): number[] =>
  Array.from({ length: Math.max(0, before - after - 1) }, (_, index) => after + 1 + index);

test('steps look through each position of a span once, in its order, and few at a time', () => {
  fc.assert(
    fc.property(spans, orders, fc.integer({ min: 1, max: 300 }), fc.nat(), (whole, order, most, seed) => {
      const seen: number[] = [];
      let span: Span | null = whole;
      for (let turn = seed; span !== null; turn += 1) {
        const step = stepOf(span, order, most);
        const inStep = positions(step);
        expect(inStep.length).toBeLessThanOrEqual(most);
        if (order === 'newest') inStep.reverse();
        // Every other page is full before its step ends.
        const cut =
          turn % 2 === 0 && inStep.length > 1 ? inStep.slice(0, Math.ceil(inStep.length / 2)) : null;
        seen.push(...(cut ?? inStep));
        span = restOf(span, order, cut?.at(-1) ?? endOf(step, order));
      }
      expect(seen).toEqual(order === 'oldest' ? positions(whole) : positions(whole).reverse());
    }),
  );
});
