import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalMessage,
  compareCodePoints,
  type KeyOrder,
  MAX_DEPTH,
  member,
  parseTokens,
  serialize,
} from '../../src/envelope/canonical.ts';
import { GatewayError } from '../../src/errors.ts';

function canonical(text: string, order: KeyOrder = 'code_point'): string {
  return serialize(parseTokens(text).root, order);
}

function refusal(text: string): string {
  try {
    parseTokens(text);
  } catch (error) {
    if (error instanceof GatewayError && error.name === 'MALFORMED_ENVELOPE') return error.message;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

describe('canonical text', () => {
  test.each([
    [
      'sorts keys at every depth',
      '{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}',
      '{"a":[{"y":2,"z":1}],"b":{"c":2,"d":1}}',
    ],
    ['drops white space', ' {\t"a" :\r\n[ 1 , 2 ] } ', '{"a":[1,2]}'],
    ['keeps integer-like keys as text', '{"9":1,"10":2,"a":3,"1":4}', '{"1":4,"10":2,"9":1,"a":3}'],
    [
      'keeps __proto__ and constructor',
      '{"b":1,"__proto__":{"x":1},"constructor":2}',
      '{"__proto__":{"x":1},"b":1,"constructor":2}',
    ],
    ['keeps the empty key', '{"a":1,"":2}', '{"":2,"a":1}'],
    ['writes escapes that need none as the character', '"\\u00e9\\/\\ud83d\\ude00"', '"é/😀"'],
    ['keeps short escapes', '"\\"\\\\\\b\\f\\n\\r\\t"', '"\\"\\\\\\b\\f\\n\\r\\t"'],
    ['writes \\u000a and \\u0001 as JSON.stringify does', '"\\u000A\\u0001\\u001F"', '"\\n\\u0001\\u001f"'],
    ['leaves DEL, U+2028 and a BOM inside a string alone', '"\u007f\u2028\ufeff"', '"\u007f\u2028\ufeff"'],
    ['takes two spellings of a key as one order', '{"\\u0062":1,"a":2}', '{"a":2,"b":1}'],
    ['keeps empty containers', '[{},[],""]', '[{},[],""]'],
    ['keeps literals', '[true,false,null]', '[true,false,null]'],
  ])('%s', (_, text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  // How Python, JavaScript and Rust write the same numbers.
  test.each([
    '1.0',
    '1e-07',
    '1e-7',
    '-0.0',
    '-0',
    '0',
    '1e+16',
    '1E5',
    '9007199254740993',
    '1.5e+300',
    '1e400',
  ])('keeps the lexeme %s', (lexeme) => {
    expect(canonical(`[ ${lexeme} ]`)).toBe(`[${lexeme}]`);
  });

  test('orders non-BMP keys by code point, by UTF-16 unit, or as sent', () => {
    const text = '{"\ufb33":1,"😀":2,"a":3}';
    expect(canonical(text, 'code_point')).toBe('{"a":3,"\ufb33":1,"😀":2}');
    expect(canonical(text, 'utf16')).toBe('{"a":3,"😀":2,"\ufb33":1}');
    expect(canonical(text, 'sent')).toBe(text);
    expect(parseTokens(text).wide_keys).toBe(true);
    expect(parseTokens('{"é":1,"value":"😀"}').wide_keys).toBe(false);
    expect(parseTokens('{"\\ud83d\\ude00":1}').wide_keys).toBe(true);
  });

  test('the outer keys are sorted in each order', () => {
    const payload = parseTokens('{"b":1,"a":2}').root;
    expect(canonicalMessage(payload, 'a"b', 7, 'sent')).toBe(
      '{"payload":{"b":1,"a":2},"security_token":"a\\"b","timestamp":7}',
    );
    expect(canonicalMessage(payload, 't', 7, 'code_point')).toBe(
      '{"payload":{"a":2,"b":1},"security_token":"t","timestamp":7}',
    );
  });

  test('member finds own keys alone', () => {
    const { root } = parseTokens('{"a":[1],"__proto__":2}');
    expect(member(root, '__proto__')).toBe('2');
    expect(member(root, 'toString')).toBeUndefined();
    expect(member(member(root, 'a'), '0')).toBeUndefined();
    expect(member(undefined, 'a')).toBeUndefined();
  });
});

describe('refused', () => {
  test.each([
    ['', 'found the end'],
    ['\ufeff{}', 'expected a value at offset 0'],
    ['{} {}', 'expected the end at offset 3'],
    ['{"a":1,}', 'expected a key'],
    ['[1,]', 'expected a value'],
    ['{a:1}', 'expected a key'],
    ["{'a':1}", 'expected a key'],
    ['{"a" 1}', 'expected ":"'],
    ['{"a":1 "b":2}', 'expected "," or "}"'],
    ['[1 2]', 'expected "," or "]"'],
    ['[1', 'expected "," or "]", found the end'],
    ['01', 'expected the end'],
    ['-', 'expected a digit'],
    ['+1', 'expected a value'],
    ['.5', 'expected a value'],
    ['1.', 'expected a digit'],
    ['1e', 'expected a digit'],
    ['1e+', 'expected a digit'],
    ['0x10', 'expected the end'],
    ['NaN', 'expected a value'],
    ['Infinity', 'expected a value'],
    ['-Infinity', 'expected a digit'],
    ['nul', 'expected a value'],
    ['truex', 'expected the end'],
    ['"a', 'a string without end'],
    ['"a\\', 'a bad escape'],
    ['"a\nb"', 'a control character'],
    ['"a\u0000b"', 'a control character'],
    ['"\\x41"', 'a bad escape'],
    ['"\\u12g4"', 'a bad escape'],
    ['"\\u12"', 'a bad escape'],
    ['"\\ud800"', 'a lone surrogate'],
    ['"\\ude00\\ud83d"', 'a lone surrogate'],
    ['"\ud800"', 'a lone surrogate'],
    ['{"\\udfff":1}', 'a lone surrogate'],
    ['[1] // c', 'expected the end'],
    ['\u00a0[]', 'expected a value'],
    ['{"a":1,"a":1}', 'duplicate key "a" in the object at offset 0'],
    ['[{"x":{"k":1,"j":2,"k":3}}]', 'duplicate key "k" in the object at offset 6'],
    ['{"a":1,"\\u0061":1}', 'duplicate key "a"'],
    ['{"__proto__":1,"a":2,"__proto__":1}', 'duplicate key "__proto__"'],
  ])('%j: %s', (text, reason) => {
    expect(refusal(text)).toContain(reason);
  });

  test(`more than ${MAX_DEPTH} levels, however deep`, () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(canonical(nested(MAX_DEPTH))).toBe(nested(MAX_DEPTH));
    expect(refusal(nested(MAX_DEPTH + 1))).toContain('deeper than 64 levels');
    expect(refusal('{"a":'.repeat(500_000))).toContain('deeper than 64 levels');
  });

  test('a duplicate among very many keys', () => {
    const keys = Array.from({ length: 50_000 }, (_, i) => `"${(i * 7919) % 1_000_003}":${i}`);
    expect(parseTokens(`{${keys.join(',')}}`).root).toMatchObject({ kind: 'object' });
    expect(refusal(`{${keys.join(',')},"7919":0}`)).toContain('duplicate key "7919"');
  });

  test('names a long key in part only', () => {
    const key = 'k'.repeat(1000);
    expect(refusal(`{"${key}":1,"${key}":2}`).length).toBeLessThan(150);
  });
});

describe('properties', () => {
  const value = fc.jsonValue({ noUnicodeString: false } as fc.JsonSharedConstraints);

  test('agrees with JSON.parse on every value that JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom<KeyOrder>('code_point', 'utf16', 'sent'), (text, order) => {
        fc.pre(isWellFormedJson(text));
        expect(JSON.parse(canonical(text, order))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('is idempotent, and ignores key order and white space', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 4 }), (json, indent) => {
        const text = JSON.stringify(json);
        fc.pre(isWellFormedJson(text));
        const once = canonical(text);
        expect(canonical(once)).toBe(once);
        expect(canonical(JSON.stringify(reversed(json), null, indent))).toBe(once);
      }),
    );
  });

  test('compareCodePoints orders as the sequences of code points do', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, (a, b) => {
        fc.pre(a.isWellFormed() && b.isWellFormed());
        const bytes = Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
        // UTF-8 keeps code-point order.
        expect(Math.sign(compareCodePoints(a, b))).toBe(bytes);
      }),
    );
  });

  test('accepts exactly what JSON.parse accepts, duplicates and lone surrogates apart', () => {
    const mutated = fc
      .tuple(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom('', '"', '\\', ',', '}', '0', ' ', '\u0001', '\\u', 'e'),
      )
      .map(([text, at, insert]) => {
        const position = at % (text.length + 1);
        return text.slice(0, position) + insert + text.slice(position + (at % 2));
      });
    fc.assert(
      fc.property(mutated, (text) => {
        const parsed = attempt(() => JSON.parse(text) as unknown);
        const tokens = attempt(() => parseTokens(text));
        if (tokens.ok) expect(parsed.ok).toBe(true);
        else if (parsed.ok) expect(String(tokens.error)).toMatch(/duplicate key|lone surrogate/);
        else expect(tokens.error).toBeInstanceOf(GatewayError);
      }),
      { numRuns: 2000 },
    );
  });
});

function isWellFormedJson(text: string): boolean {
  return !/\\ud[89a-f]/i.test(text);
}

/** The same value with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, inner]) => [key, reversed(inner)]));
}

function attempt<T>(run: () => T): { ok: true; value: T } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: run() };
  } catch (error) {
    return { ok: false, error };
  }
}
