import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTokens } from '../../src/envelope/canonical.ts';
import { firstInexact, survivesDouble } from '../../src/envelope/exact.ts';

describe('survivesDouble', () => {
  test.each([
    ['0', true],
    ['-0.0', true],
    ['0e999', true],
    ['0.1', true],
    ['1.0', true],
    ['1e-07', true],
    ['1e23', true],
    ['5e-324', true],
    ['1.7976931348623157e308', true],
    ['9007199254740992', true],
    ['9007199254740993', false],
    ['-9007199254740993', false],
    ['9007199254740993.0', false],
    ['90071992547409930e-1', false],
    ['0.30000000000000004', true],
    ['0.10000000000000001', true],
    ['0.10000000000000002', true],
    ['0.10000000000000004', false],
    ['12345678901234567890', false],
    ['12345678901234567168', false],
    ['12345678901234567170', false],
    ['12345678901234567000', true],
    ['12345678901234567168.0', true],
    // Half-way between two decimals of 17 digits: 1383949719708386.25.
    ['1383949719708386.2', true],
    ['1383949719708386.3', true],
    ['1383949719708386.4', false],
    ['590295810358705700000', true],
    ['1000000000000000000000', true],
    ['3.14159265358979323846264338', false],
    ['1e400', false],
    ['-1e400', false],
    ['1e-400', false],
    ['3e-324', false],
    [`1${'0'.repeat(300)}`, true],
    [`${'1'.repeat(101)}`, false],
    [`0.${'0'.repeat(300)}1`, true],
  ])('%s: %s', (lexeme, expected) => {
    expect(survivesDouble(lexeme)).toBe(expected);
  });

  test('every double as JavaScript writes it survives', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(survivesDouble(JSON.stringify(value))).toBe(true);
      }),
    );
  });

  test('an integer survives exactly when JavaScript writes it back as it was', () => {
    const limit = 10n ** 21n;
    fc.assert(
      fc.property(fc.bigInt({ min: 1n - limit, max: limit - 1n }), (value) => {
        expect(survivesDouble(String(value))).toBe(JSON.stringify(Number(value)) === String(value));
      }),
    );
  });

  test('every integer up to 2^53 survives, either sign', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(survivesDouble(String(value))).toBe(true);
      }),
    );
  });
});

describe('firstInexact', () => {
  test.each([
    ['{"a":1,"b":[0.5,"9007199254740993"]}', null],
    ['{"a":9007199254740993}', '/a'],
    ['{"z":[1,{"big":1e999}],"a":9007199254740993}', '/z/1/big'],
    ['{"a/b":{"c~d":[9007199254740993]}}', '/a~1b/c~0d/0'],
    ['{"":9007199254740993}', '/'],
  ])('%s gives %s', (text, pointer) => {
    const { root } = parseTokens(text);
    expect(firstInexact(root)).toBe(pointer);
  });
});
