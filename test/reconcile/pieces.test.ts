import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPace } from '../../src/manifest/pace.ts';
import { cut, join } from '../../src/reconcile/pieces.ts';

const name = fc.oneof(
  fc.constantFrom('1', '0', 'b', 'a', 'constructor', 'toString'),
  fc.string({ maxLength: 3 }),
);
const json = fc.letrec<{ value: unknown; container: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 1.5, -0.5, '', 'é\u2028"\\'),
    fc.string({ maxLength: 30 }),
    tie('container'),
  ),
  container: fc.oneof(
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      name.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
}));

function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozen);
}

test('a value is the same after its way through any pieces, with its members in order, and frozen', async () => {
  await fc.assert(
    fc.asyncProperty(json.container, fc.integer({ min: 1, max: 60 }), async (value, most) => {
      const again = await join(structuredClone(cut(value, most)), createPace());
      expect(JSON.stringify(again)).toBe(JSON.stringify(value));
      expect(isFrozen(again)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('no piece is much larger than it may be, however the value is built', () => {
  const leaves = Array.from({ length: 200 }, (_, index) => ({ index }));
  const values = [
    leaves,
    { a: { b: { c: leaves } } },
    Object.fromEntries(leaves.entries()),
    [leaves, leaves, 1],
  ];
  for (const value of values) {
    const sizes = cut(value, 100).map(({ json }) => json.length);
    expect(Math.max(...sizes)).toBeLessThan(250);
  }
});
