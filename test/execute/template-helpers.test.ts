import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gatewayError, render } from './rendering.ts';

const call = (text: string, x?: unknown, y?: unknown) => render(text, { input: { x, y } });

describe('sum', () => {
  it.each<[unknown, number]>([
    [[], 0],
    [[1, 2, 3], 6],
    [[0.1, 0.2], 0.3],
    [[0.1, 0.7, -0.8], 0],
    [['0.1', 0.2, '1e-1'], 0.4],
    [['19.99', '5.01', -25], 0],
    [[1e21, 1], 1e21 + 1],
    [[1e-7, 1], 1.0000001],
    [[5e-324, 1e308], 1e308],
    [[Number.MAX_SAFE_INTEGER, 1, 1], Number.MAX_SAFE_INTEGER + 2],
    [['9007199254740993', '-9007199254740992'], 1],
    [[4.35, 100.1, 0.01], 104.46],
    [7, 7],
    ['2.50', 2.5],
  ])('of %j is %d', (x, expected) => {
    expect(call('{{sum input.x}}', x)).toBe(expected);
  });

  it('of several arguments is that of all of them', () => {
    expect(call('{{sum input.x input.y 0.3}}', [0.1], 0.2)).toBe(0.6);
  });

  it('is exact for amounts of money', () => {
    const cents = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
    fc.assert(
      fc.property(fc.array(cents, { maxLength: 50 }), (list) => {
        const total = list.reduce((sum, one) => sum + one, 0);
        const amounts = list.map((one, i) => (i % 2 === 0 ? one / 100 : (one / 100).toFixed(2)));
        expect(call('{{sum input.x}}', amounts)).toBe(total / 100 + 0);
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on the order', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 });
    fc.assert(
      fc.property(fc.array(double, { maxLength: 20 }), (list) => {
        expect(call('{{sum input.x}}', list)).toBe(call('{{sum input.x}}', [...list].reverse()));
      }),
      { numRuns: 300 },
    );
  });

  it.each<[unknown, string]>([
    [[1, 'a'], 'value 2 is a text'],
    [[1, null], 'value 2 is null'],
    [[[1]], 'value 1 is a list'],
    [{ a: 1 }, 'value 1 is an object'],
    [[true], 'value 1 is true or false'],
    [[''], 'value 1 is a text'],
    [[' 1'], 'value 1 is a text'],
    [['0x10'], 'value 1 is a text'],
    [['1,5'], 'value 1 is a text'],
    [['1e9999'], 'value 1 is a text'],
    [['Infinity'], 'value 1 is a text'],
    [['007'], 'value 1 is a text'],
    [['1e999'], 'too large'],
    [[1e308, 1e308], 'too large'],
  ])('of %j is an error', (x, message) => {
    const error = gatewayError(() => call('{{sum input.x}}', x));
    expect(error.message).toContain('template "{{sum input.x}}"');
    expect(error.message).toContain(message);
  });
});

describe('the other helpers', () => {
  it.each<[string, unknown, unknown]>([
    ['{{json input.x}}', { a: [1, 'é"'] }, '{"a":[1,"é\\""]}'],
    ['{{json input.x}}', null, 'null'],
    ['{{json input.x}}', undefined, 'null'],
    ['{{json "a"}}', undefined, '"a"'],
    ['{{count input.x}}', [1, 2], 2],
    ['{{count input.x}}', { a: 1 }, 1],
    ['{{count input.x}}', [], 0],
    ['{{first input.x}}', [7, 8], 7],
    ['{{first input.x}}', [], undefined],
    ['{{join input.x}}', ['a', 1, null, { b: 2 }], 'a,1,,{"b":2}'],
    ['{{join input.x " - "}}', ['a', 'b'], 'a - b'],
    ["{{join input.x ''}}", ['a', 'b'], 'ab'],
    ['{{join input.x}}', [], ''],
    ['{{default input.x "d"}}', null, 'd'],
    ['{{default input.x "d"}}', undefined, 'd'],
    ['{{default input.x "d"}}', '', ''],
    ['{{default input.x "d"}}', 0, 0],
    ['{{default input.x "d"}}', false, false],
    ['{{default input.x input.y 3}}', undefined, 3],
    ['{{default input.x null}}', undefined, undefined],
    ['{{default (sum input.x) 0}}', undefined, 0],
    ['{{default input.x true}}', undefined, true],
  ])('%s of %j', (text, x, expected) => {
    expect(call(text, x)).toEqual(expected);
  });

  it.each(['sum', 'count', 'first', 'join', 'date'])('%s of nothing is nothing', (name) => {
    for (const x of [null, undefined]) {
      expect(call(`{{${name} input.x}}`, x)).toBeUndefined();
      expect(call(`[{{${name} input.x}}]`, x)).toBe('[]');
    }
  });

  it.each<[string, unknown, string]>([
    ['{{count input.x}}', 'text', 'counts a list, not a text'],
    ['{{count input.x}}', 5, 'counts a list, not a number'],
    ['{{first input.x}}', {}, 'takes the first of a list, not an object'],
    ['{{join input.x}}', true, 'joins a list, not true or false'],
    ['{{join input.x 1}}', [], 'joins with a text, not with a number'],
    ['{{date input.x}}', 'yesterday', 'formats a time'],
    ['{{date input.x "long"}}', 0, 'formats times as iso, date, unix'],
  ])('%s of %j is an error', (text, x, message) => {
    expect(gatewayError(() => call(text, x)).message).toContain(message);
  });
});

describe('date', () => {
  it.each<[unknown, string, string, number]>([
    ['2026-02-17T14:32:01.583Z', '2026-02-17T14:32:01.583Z', '2026-02-17', 1771338721],
    ['2026-02-28T23:30:00+02:00', '2026-02-28T21:30:00.000Z', '2026-02-28', 1772314200],
    ['2026-03-01T00:30:00+0200', '2026-02-28T22:30:00.000Z', '2026-02-28', 1772317800],
    ['2026-02-28t23:30:00-01:00', '2026-03-01T00:30:00.000Z', '2026-03-01', 1772325000],
    ['2026-02-28', '2026-02-28T00:00:00.000Z', '2026-02-28', 1772236800],
    ['2026-02-28 12:00', '2026-02-28T12:00:00.000Z', '2026-02-28', 1772280000],
    ['2024-02-29T00:00:00.1239z', '2024-02-29T00:00:00.123Z', '2024-02-29', 1709164800],
    [1771338721, '2026-02-17T14:32:01.000Z', '2026-02-17', 1771338721],
    [1771338721583, '2026-02-17T14:32:01.583Z', '2026-02-17', 1771338721],
    [1771338721.5, '2026-02-17T14:32:01.500Z', '2026-02-17', 1771338721],
    [0, '1970-01-01T00:00:00.000Z', '1970-01-01', 0],
    [-1, '1969-12-31T23:59:59.000Z', '1969-12-31', -1],
    [-0.5, '1969-12-31T23:59:59.500Z', '1969-12-31', -1],
  ])('of %j', (x, iso, day, unix) => {
    expect(call('{{date input.x}}', x)).toBe(iso);
    expect(call('{{date input.x "iso"}}', x)).toBe(iso);
    expect(call('{{date input.x "date"}}', x)).toBe(day);
    expect(call('{{date input.x "unix"}}', x)).toBe(unix);
    expect(call('{{date input.x input.y}}', x, 'unix')).toBe(unix);
  });

  it.each([
    '2026-02-30',
    '2026-13-01',
    '2026-02-28T24:00:00Z',
    '2026-02-28T12:60:00Z',
    '2026-02-28T12:00:60Z',
    '2026-02-28T12:00:00+25:00',
    '0098-02-28',
    '28.2.2026',
    '1771338721',
    'now',
    '',
    1e16,
    true,
    ['2026-02-28'],
  ])('of %j is an error', (x) => {
    expect(gatewayError(() => call('{{date input.x}}', x)).message).toContain('formats a time');
  });
});
