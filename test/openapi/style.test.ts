/** The table of OpenAPI 3.1.1 section 4.8.12.4 "Style Examples", and what it leaves open. */
import { describe, expect, test } from 'vitest';
import { buildRequest } from '../../src/openapi/request.ts';
import { operationWith } from './documents.ts';

const VALUES = {
  string: 'blue',
  array: ['blue', 'black', 'brown'],
  object: { R: 100, G: 200, B: 150 },
};

type Kind = keyof typeof VALUES;
type Row = readonly [style: string, explode: boolean, Readonly<Partial<Record<Kind, string>>>];

function built(parameter: Record<string, unknown>, value: unknown) {
  const operation = operationWith({ name: 'color', ...parameter });
  const group = { path: 'path', query: 'query', header: 'headers', cookie: 'cookies' }[String(parameter.in)]!;
  return buildRequest(operation, { [group]: { color: value } });
}

const queryOf = (parameter: Record<string, unknown>, value: unknown) =>
  built({ in: 'query', ...parameter }, value).target.replace(/^\/a\??/, '');

const PATH: readonly Row[] = [
  [
    'matrix',
    false,
    { string: ';color=blue', array: ';color=blue,black,brown', object: ';color=R,100,G,200,B,150' },
  ],
  [
    'matrix',
    true,
    { string: ';color=blue', array: ';color=blue;color=black;color=brown', object: ';R=100;G=200;B=150' },
  ],
  ['label', false, { string: '.blue', array: '.blue,black,brown', object: '.R,100,G,200,B,150' }],
  ['label', true, { string: '.blue', array: '.blue.black.brown', object: '.R=100.G=200.B=150' }],
  ['simple', false, { string: 'blue', array: 'blue,black,brown', object: 'R,100,G,200,B,150' }],
  ['simple', true, { string: 'blue', array: 'blue,black,brown', object: 'R=100,G=200,B=150' }],
];

const QUERY: readonly Row[] = [
  [
    'form',
    false,
    { string: 'color=blue', array: 'color=blue,black,brown', object: 'color=R,100,G,200,B,150' },
  ],
  [
    'form',
    true,
    { string: 'color=blue', array: 'color=blue&color=black&color=brown', object: 'R=100&G=200&B=150' },
  ],
  [
    'spaceDelimited',
    false,
    { array: 'color=blue%20black%20brown', object: 'color=R%20100%20G%20200%20B%20150' },
  ],
  [
    'pipeDelimited',
    false,
    { array: 'color=blue%7Cblack%7Cbrown', object: 'color=R%7C100%7CG%7C200%7CB%7C150' },
  ],
  ['deepObject', true, { object: 'color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150' }],
];

const rows = (table: readonly Row[]) =>
  table.flatMap(([style, explode, texts]) =>
    Object.entries(texts).map(([kind, text]) => [style, explode, kind as Kind, text] as const),
  );

describe('the table', () => {
  test.each(rows(PATH))('path %s explode %s %s: %s', (style, explode, kind, text) => {
    expect(built({ in: 'path', style, explode }, VALUES[kind]).target).toBe(`/a/${text}/z`);
  });

  test.each(rows(QUERY))('query %s explode %s %s: %s', (style, explode, kind, text) => {
    expect(queryOf({ style, explode }, VALUES[kind])).toBe(text);
  });

  test.each(rows(PATH.slice(4)))('header %s explode %s %s: %s', (style, explode, kind, text) => {
    expect(built({ in: 'header', style, explode }, VALUES[kind]).headers.color).toBe(text);
  });

  test.each([
    [false, 'string', 'color=blue'],
    [false, 'array', 'color=blue,black,brown'],
    [false, 'object', 'color=R,100,G,200,B,150'],
    [true, 'string', 'color=blue'],
    [true, 'array', 'color=blue; color=black; color=brown'],
    [true, 'object', 'R=100; G=200; B=150'],
  ] as const)('cookie form explode %s %s: %s', (explode, kind, text) => {
    expect(built({ in: 'cookie', style: 'form', explode }, VALUES[kind]).headers.cookie).toBe(text);
  });

  test('an empty text', () => {
    expect(queryOf({ style: 'form', explode: false }, '')).toBe('color=');
    expect(queryOf({ style: 'form', explode: true }, '')).toBe('color=');
    expect(built({ in: 'header' }, '').headers.color).toBe('');
  });
});

describe('defaults', () => {
  test.each([
    ['path', '/a/blue,black,brown/z'],
    ['query', '/a?color=blue&color=black&color=brown'],
  ])('%s', (place, target) => {
    expect(built({ in: place }, VALUES.array).target).toBe(target);
  });

  test('header and cookie', () => {
    expect(built({ in: 'header' }, VALUES.object).headers.color).toBe('R,100,G,200,B,150');
    expect(built({ in: 'cookie' }, VALUES.array).headers.cookie).toBe('color=blue; color=black; color=brown');
  });

  test('only form explodes by itself', () => {
    expect(queryOf({ style: 'pipeDelimited' }, VALUES.array)).toBe('color=blue%7Cblack%7Cbrown');
    expect(queryOf({ style: 'spaceDelimited', explode: true }, VALUES.array)).toBe(
      'color=blue&color=black&color=brown',
    );
  });
});

describe('values', () => {
  test('numbers, booleans and texts of any kind', () => {
    expect(queryOf({}, [0, -1.5, 1e21, true, false, 'é ☃'])).toBe(
      'color=0&color=-1.5&color=1e%2B21&color=true&color=false&color=%C3%A9%20%E2%98%83',
    );
  });

  test('everything that is not unreserved is encoded', () => {
    const text = `:/?#[]@!$&'()*+,;=%"<>\\^\`{|} -._~`;
    expect(queryOf({}, text)).toBe(
      'color=%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25%22%3C%3E%5C%5E%60%7B%7C%7D%20-._~',
    );
  });

  test('allowReserved leaves what cannot end the value', () => {
    expect(queryOf({ allowReserved: true }, `:/?#[]@!$&'()*+,;=%`)).toBe(
      'color=:/?%23%5B%5D@!$%26%27()*%2B,%3B=%25',
    );
    expect(() => queryOf({ allowReserved: true, explode: false }, ['a,b', 'c'])).toThrow('separates');
  });

  test('null and undefined are left out, at the top and within', () => {
    for (const value of [null, undefined, [], {}, [null], { a: null }]) expect(queryOf({}, value)).toBe('');
    expect(queryOf({ explode: false }, [1, null, 2])).toBe('color=1,2');
    expect(queryOf({ explode: false }, { a: 1, b: null, c: undefined })).toBe('color=a,1');
    expect(built({ in: 'header' }, null).headers).toEqual({});
  });

  test.each([
    ['a list in a list', [[1]]],
    ['an object in an object', { a: { b: 1 } }],
    ['no number', Number.NaN],
    ['an infinite one', [Number.POSITIVE_INFINITY]],
    ['half a surrogate pair', '\ud800'],
    ['a function', () => 1],
  ])('%s cannot be written', (_, value) => {
    expect(() => queryOf({}, value)).toThrow(/^query parameter "color" holds/);
  });

  test('content: JSON, or a text in another media type', () => {
    const content = { 'application/json': { schema: {} } };
    expect(queryOf({ content }, { a: [1, null] })).toBe('color=%7B%22a%22%3A%5B1%2Cnull%5D%7D');
    expect(built({ in: 'path', content }, { a: 1 }).target).toBe('/a/%7B%22a%22%3A1%7D/z');
    expect(built({ in: 'header', content }, ['x, y']).headers.color).toBe('["x, y"]');
    expect(queryOf({ content: { 'text/plain': {} } }, 'a b')).toBe('color=a%20b');
    expect(() => queryOf({ content: { 'text/plain': {} } }, {})).toThrow('only a text');
  });
});

describe('deepObject', () => {
  const deep = (value: unknown) => decodeURIComponent(queryOf({ style: 'deepObject' }, value));

  test('goes on below', () => {
    expect(deep({ a: { b: 1, c: { d: true } }, e: [1, { f: 'x' }] })).toBe(
      'color[a][b]=1&color[a][c][d]=true&color[e][0]=1&color[e][1][f]=x',
    );
  });

  test('a list has indexes, a text is itself', () => {
    expect(deep(['x', 'y'])).toBe('color[0]=x&color[1]=y');
    expect(deep('x')).toBe('color=x');
  });

  test('nor can the key of an exploded object pretend to be in another one', () => {
    expect(() => queryOf({ style: 'form', explode: true }, { 'other[role]': 'admin' })).toThrow('bracket');
  });

  test('a key cannot pretend to be nested, nor a value go on for ever', () => {
    expect(() => deep({ 'a][b': 1 })).toThrow('bracket');
    let nested: unknown = 1;
    for (let depth = 0; depth < 100_000; depth += 1) nested = { a: nested };
    expect(() => deep(nested)).toThrow('nested more than 16 deep');
  });
});

describe('values that would read as others', () => {
  test.each([
    ['spaceDelimited', 'a b'],
    ['pipeDelimited', 'a|b'],
  ])('%s', (style, text) => {
    expect(() => queryOf({ style }, [text, 'c'])).toThrow('separates the values of its style');
    expect(() => queryOf({ style }, { [text]: 'c' })).toThrow('separates the values of its style');
    expect(queryOf({ style, explode: true }, [text])).toBe(`color=${encodeURIComponent(text)}`);
  });

  test('form encodes the comma within a value', () => {
    expect(queryOf({ explode: false }, ['a,b', 'c'])).toBe('color=a%2Cb,c');
  });

  test('headers have no encoding', () => {
    expect(built({ in: 'header' }, 'a, b').headers.color).toBe('a, b');
    expect(() => built({ in: 'header' }, ['a,b', 'c'])).toThrow('separates');
    expect(() => built({ in: 'header', explode: true }, { 'a=b': 1 })).toThrow('separates');
  });

  test('label explodes at dots', () => {
    expect(built({ in: 'path', style: 'label' }, 'v1.2').target).toBe('/a/.v1.2/z');
    expect(built({ in: 'path', style: 'label' }, ['v1.2', 'b']).target).toBe('/a/.v1.2,b/z');
    expect(() => built({ in: 'path', style: 'label', explode: true }, ['v1.2', 'b'])).toThrow('separates');
  });
});
