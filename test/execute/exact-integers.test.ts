import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withExactIntegers } from '../../src/execute/exact-integers.ts';

const read = (text: string): unknown => JSON.parse(withExactIntegers(text));

test.each<[string, unknown]>([
  ['9007199254740993', '9007199254740993'],
  ['-9007199254740993', '-9007199254740993'],
  ['9007199254740991', 9007199254740991],
  ['-9007199254740991', -9007199254740991],
  // Exact as it happens, but its neighbours are not: an id is one type or the other by its size alone.
  ['9007199254740992', '9007199254740992'],
  ['{"id":9007199254740993}', { id: '9007199254740993' }],
  ['{"id" :\t9007199254740993 ,"a":1}', { id: '9007199254740993', a: 1 }],
  ['[1, 9007199254740993\n, 9007199254740995]', [1, '9007199254740993', '9007199254740995']],
  ['[18446744073709551615]', ['18446744073709551615']],
  // No whole numbers: these are rounded as everywhere.
  ['[0.12345678901234567890, 12345678901234567890.5]', [0.12345678901234568, 12345678901234567000]],
  ['[1e1234567890123456]', [Infinity]],
  ['[12345678901234567890e2, 1E+1234567890123456]', [Number('12345678901234567890e2'), Infinity]],
  // Texts are what they are.
  ['{"a":"see: 9007199254740993, there"}', { a: 'see: 9007199254740993, there' }],
  [
    '{"a\\"":" 9007199254740993 ","b":9007199254740993}',
    { 'a"': ' 9007199254740993 ', b: '9007199254740993' },
  ],
  ['{"a":"\\\\","b":9007199254740993}', { a: '\\', b: '9007199254740993' }],
])('%s', (text, value) => {
  expect(read(text)).toEqual(value);
});

test('any JSON is read as before, but for whole numbers that are not safe', () => {
  const written = (value: unknown): string =>
    typeof value === 'bigint'
      ? String(value)
      : Array.isArray(value)
        ? `[${value.map(written).join(',')}]`
        : typeof value === 'object' && value !== null
          ? `{${Object.entries(value)
              .map(([key, one]) => `${JSON.stringify(key)}: ${written(one)}`)
              .join(', ')}}`
          : JSON.stringify(value);
  const kept = (value: unknown): unknown =>
    typeof value === 'bigint'
      ? Number.isSafeInteger(Number(value))
        ? Number(value)
        : String(value)
      : Array.isArray(value)
        ? value.map(kept)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, kept(one)]))
          : value;
  const text = fc.string({
    unit: fc.constantFrom('"', '\\', ':', ',', ' ', '1', '9007199254740993', '[', 'é'),
  });
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
      text,
      fc.constantFrom(null, true, 0.5, -1.25e-7),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        tie('tree'),
        { maxKeys: 4 },
      ),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      expect(read(written(value))).toEqual(kept(value));
    }),
    { numRuns: 500 },
  );
});

test('what is no JSON stays none', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', '\\', ':', ',', '{', '[', '9007199254740993') }),
      (text) => {
        const isJson = (one: string): boolean => {
          try {
            JSON.parse(one);
            return true;
          } catch {
            return false;
          }
        };
        expect(isJson(withExactIntegers(text))).toBe(isJson(text));
      },
    ),
    { numRuns: 500 },
  );
});
