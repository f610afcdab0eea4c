import fc from 'fast-check';
import { query as oracle } from 'json-p3';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { compileQuery } from '../../src/execute/jsonpath.ts';

const select = (text: string, value: unknown) => compileQuery(text).select(value);

/** The error that compiling this expression throws. */
function refusal(text: string): GatewayError {
  try {
    compileQuery(text);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

const STORE = {
  store: {
    book: [
      { category: 'reference', author: 'Rees', title: 'Sayings', price: 8.95 },
      { category: 'fiction', author: 'Waugh', title: 'Sword', price: 12.99 },
      { category: 'fiction', author: 'Melville', title: 'Moby', isbn: '0-553', price: 8.99 },
      { category: 'fiction', author: 'Tolkien', title: 'Lord', isbn: '0-395', price: 22.99 },
    ],
    bicycle: { color: 'red', price: 399 },
  },
};

describe('paths', () => {
  it.each<[string, unknown]>([
    ['$', [STORE]],
    ['$.store.bicycle.color', ['red']],
    ["$['store']['book'][0]['title']", ['Sayings']],
    ['$.store.book[*].author', ['Rees', 'Waugh', 'Melville', 'Tolkien']],
    ['$..author', ['Rees', 'Waugh', 'Melville', 'Tolkien']],
    ['$.store.*', [STORE.store.book, STORE.store.bicycle]],
    ['$.store..price', [8.95, 12.99, 8.99, 22.99, 399]],
    ['$..book[2].title', ['Moby']],
    ['$..book[-1].title', ['Lord']],
    ['$..book[0,1].title', ['Sayings', 'Sword']],
    ['$..book[:2].title', ['Sayings', 'Sword']],
    ['$..book[?@.isbn].title', ['Moby', 'Lord']],
    ['$..book[?@.price < 10].title', ['Sayings', 'Moby']],
    [
      '$.store.book[?@.price > 0.5 && @.category == "fiction" || @.price == 8.95].title',
      ['Sayings', 'Sword', 'Moby', 'Lord'],
    ],
    ['$.store.book[?@.price == $.store.book[1].price].title', ['Sword']],
    ['$ .store\n.book [ 0 ] .title', ['Sayings']],
    ['$.store.book[0]["title", \'price\', "none"]', ['Sayings', 8.95]],
    ['$.none.title', []],
    ['$.store.book.title', []],
    ['$.store[0]', []],
  ])('%s', (text, expected) => {
    expect(select(text, STORE)).toEqual(expected);
  });

  it('match in the order of RFC 9535: a node before what is below it, selectors as written', () => {
    const value = { o: { j: 1, k: 2 }, a: [5, 3, [{ j: 4 }, { k: 6 }]] };
    expect(select('$..j', value)).toEqual([1, 4]);
    expect(select('$..[0]', value)).toEqual([5, { j: 4 }]);
    expect(select('$..*', value)).toEqual([
      value.o,
      value.a,
      1,
      2,
      5,
      3,
      value.a[2],
      { j: 4 },
      { k: 6 },
      4,
      6,
    ]);
    expect(select('$.a[2, 0, 0]', value)).toEqual([value.a[2], 5, 5]);
    expect(select("$.o['k', 'j', *]", value)).toEqual([2, 1, 1, 2]);
    expect(select('$.a..[0, 1]', value)).toEqual([5, 3, { j: 4 }, { k: 6 }]);
  });

  it('keep null, and tell it from nothing', () => {
    expect(select('$.a', { a: null })).toEqual([null]);
    expect(select('$.b', { a: null })).toEqual([]);
    expect(select('$[*]', [null, 0, false, ''])).toEqual([null, 0, false, '']);
    expect(select('$', null)).toEqual([null]);
  });

  it.each([
    ['$', true],
    ['$.a[0]["b"][-1]', true],
    ['$[0, 0]', false],
    ['$.*', false],
    ['$..a', false],
    ['$[0:1]', false],
    ['$[?@.a]', false],
  ])('%s is singular: %s', (text, singular) => {
    expect(compileQuery(text)).toMatchObject({ text, singular });
  });

  it('read own properties alone', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      for (const text of [`$.${name}`, `$..${name}`, `$['${name}']`, `$[?@.${name}]`]) {
        expect(select(text, { a: { b: [1, 'text'] } })).toEqual([]);
      }
    }
    const value = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}');
    expect(select('$.__proto__.admin', value)).toEqual([true]);
    expect(select('$.constructor', value)).toEqual([1]);
    expect(select('$.length', [1, 2])).toEqual([]);
    expect(select('$.a.length', { a: 'text' })).toEqual([]);
    expect(select("$['0']", ['a'])).toEqual([]);
    expect(select('$.a[0]', { a: { 0: 'b' } })).toEqual([]);
  });
});

describe('names', () => {
  it.each([
    ["$['a']", 'a'],
    ['$["a"]', 'a'],
    ["$['']", ''],
    ['$["it\'s"]', "it's"],
    ["$['it\\'s']", "it's"],
    ['$["\\""]', '"'],
    ["$['\"']", '"'],
    ["$['\\\\']", '\\'],
    ["$['\\/\\b\\f\\n\\r\\t']", '/\b\f\n\r\t'],
    ["$['\\u0041\\u00e9\\u00E9\\u0000']", 'Aéé\0'],
    ["$['\\uD83D\\ude00']", '😀'],
    ["$['😀']", '😀'],
    ['$.😀', '😀'],
    ['$.ümlaut_1', 'ümlaut_1'],
    ['$._', '_'],
    ["$['a.b']", 'a.b'],
    ["$['$']", '$'],
    ["$['*']", '*'],
  ])('%s names %j', (text, name) => {
    expect(select(text, { [name]: 1, other: 2 })).toEqual([1]);
  });

  it.each([
    ["$['\\uD83D']", 2, 'half of a surrogate pair'],
    ["$['\\uDE00\\uD83D']", 2, 'half of a surrogate pair'],
    ['$.\ud83d', 2, 'half of a surrogate pair'],
    ["$['\\\"']", 3, 'there is no escape \\"'],
    ['$["\\\'"]', 3, "there is no escape \\'"],
    ["$['\\x41']", 3, 'there is no escape \\x'],
    ["$['\\u12']", 3, 'four hexadecimal digits'],
    ["$['\n']", 3, 'control character'],
    ["$['a", 2, 'no closing'],
    ['$[a]', 2, 'a name in quotes'],
    ['$.1a', 2, "['name']"],
    ['$.a-b', 3, "['a-id']"],
    ['$. a', 2, 'a dot is followed by'],
    ['$..', 3, 'the end'],
    ['$...a', 3, 'a dot is followed by'],
  ])('%s is refused at %d: %s', (text, offset, message) => {
    const error = refusal(text);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { offset } });
    expect(error.message).toContain(`at offset ${offset}`);
    expect(error.message).toContain(message);
  });
});

describe('indexes and slices', () => {
  const LIST = [0, 1, 2, 3, 4, 5, 6];
  it.each<[string, number[]]>([
    ['0', [0]],
    ['-1', [6]],
    ['-7', [0]],
    ['7', []],
    ['-8', []],
    ['1:3', [1, 2]],
    ['5:', [5, 6]],
    [':2', [0, 1]],
    [':', LIST],
    ['::', LIST],
    ['1:5:2', [1, 3]],
    ['5:1:-2', [5, 3]],
    ['::-1', [6, 5, 4, 3, 2, 1, 0]],
    ['::-3', [6, 3, 0]],
    ['-2:', [5, 6]],
    [':-5', [0, 1]],
    ['-3:-1', [4, 5]],
    ['-1:-4:-1', [6, 5, 4]],
    ['3::-1', [3, 2, 1, 0]],
    ['2:-8:-1', [2, 1, 0]],
    ['100:-100:-3', [6, 3, 0]],
    ['-100:100:3', [0, 3, 6]],
    ['3:1', []],
    ['1:3:-1', []],
    ['::0', []],
    ['9007199254740991:', []],
    [':-9007199254740991:-1', [6, 5, 4, 3, 2, 1, 0]],
    ['::9007199254740991', [0]],
    [' 1 : 4 : 2 ', [1, 3]],
  ])('[%s]', (selector, expected) => {
    expect(select(`$[${selector}]`, LIST)).toEqual(expected);
    expect(select(`$[${selector}]`, { 0: 'a' })).toEqual([]);
    expect(select(`$[${selector}]`, 'text')).toEqual([]);
  });

  it.each(['01', '-0', '-01', '1:01', '1.0', '1e3', '9007199254740992', '1:2:3:4', '+1', '0x1', '- 1', ''])(
    '[%s] is refused',
    (selector) => {
      expect(refusal(`$[${selector}]`).name).toBe('INVALID_ARGUMENTS');
    },
  );
});

describe('filters', () => {
  // RFC 9535, table 11, on one object; nothing is a path that matches no node.
  const VALUE = { obj: { x: 'y' }, arr: [2, 3] };
  it.each([
    ['$.absent1 == $.absent2', true],
    ['$.absent1 <= $.absent2', true],
    ["$.absent == 'g'", false],
    ['$.absent1 != $.absent2', false],
    ["$.absent != 'g'", true],
    ['1 <= 2', true],
    ['1 > 2', false],
    ["13 == '13'", false],
    ["'a' <= 'b'", true],
    ["'a' > 'b'", false],
    ['$.obj == $.arr', false],
    ['$.obj != $.arr', true],
    ['$.obj == $.obj', true],
    ['$.obj != $.obj', false],
    ['$.arr == $.arr', true],
    ['$.obj == 17', false],
    ['$.obj != 17', true],
    ['$.obj <= $.arr', false],
    ['$.obj < $.arr', false],
    ['$.obj <= $.obj', true],
    ['$.arr <= $.arr', true],
    ['1 <= $.arr', false],
    ['1 >= $.arr', false],
    ['1 > $.arr', false],
    ['true <= true', true],
    ['true > true', false],
    ['null == null', true],
    ['$.absent == null', false],
    ['null >= null', true],
    ['false < true', false],
    ['-0 == 0', true],
    ['100 == 1e2', true],
    ['0.10 == 1.0E-1', true],
    ["'\\u0061' == 'a'", true],
    ["'a' < 'ab'", true],
    ["'' < 'a'", true],
    // By code point, where UTF-16 units would say otherwise.
    ["'\uffee' < '😀'", true],
    ["'😀' >= '\uffee'", true],
    ["'😀' < '😁'", true],
  ])('%s is %s', (comparison, expected) => {
    expect(select(`$[?${comparison}]`, VALUE)).toEqual(expected ? [VALUE.obj, VALUE.arr] : []);
  });

  it.each<[string, unknown[], unknown[]]>([
    ['@.a', [{ a: 1 }, { a: null }, { a: false }, { b: 1 }, 1], [{ a: 1 }, { a: null }, { a: false }]],
    ['!@.a', [{ a: null }, { b: 1 }, 'x'], [{ b: 1 }, 'x']],
    ['@[0]', [[], [null], { 0: 1 }], [[null]]],
    ['@.*', [[], {}, [1], { a: 1 }], [[1], { a: 1 }]],
    ['@ == 1', [1, '1', true, null, [1]], [1]],
    [
      '@.a == @.b',
      [{}, { a: 1, b: 1 }, { a: { x: [1], y: 2 }, b: { y: 2, x: [1] } }, { a: [], b: {} }],
      [{}, { a: 1, b: 1 }, { a: { x: [1], y: 2 }, b: { y: 2, x: [1] } }],
    ],
    ['@ == $[0]', [{ a: [1] }, { a: [1] }, { a: [1, 2] }], [{ a: [1] }, { a: [1] }]],
    ['!(@.a == 1)', [{ a: 1 }, { a: 2 }, {}], [{ a: 2 }, {}]],
    ['@.a && @.b || @.c', [{ a: 1 }, { a: 1, b: 1 }, { c: 1 }], [{ a: 1, b: 1 }, { c: 1 }]],
    [
      '@.a && (@.b || @.c)',
      [{ c: 1 }, { a: 1, b: 1 }, { a: 1, c: 1 }],
      [
        { a: 1, b: 1 },
        { a: 1, c: 1 },
      ],
    ],
    ['@.a || @.b && @.c', [{ a: 1 }, { b: 1 }, { b: 1, c: 1 }], [{ a: 1 }, { b: 1, c: 1 }]],
    ['@[?@.a > 1]', [[{ a: 1 }], [{ a: 1 }, { a: 2 }]], [[{ a: 1 }, { a: 2 }]]],
    ['@..a', [{ b: { a: 1 } }, { b: 1 }], [{ b: { a: 1 } }]],
    [
      'length(@) == 2',
      ['ab', '😀😀', 'a', [1, 2], { a: 1, b: 2 }, 2, null],
      ['ab', '😀😀', [1, 2], { a: 1, b: 2 }],
    ],
    ['length(@.none) == length(@.nothing)', [{}], [{}]],
    ['count(@.*) == 2', [[1, 2], { a: 1, b: 2 }, 'ab', [1]], [[1, 2], { a: 1, b: 2 }]],
    ['count(@..*) > 2', [[[1], 2], [1]], [[[1], 2]]],
    ['value(@..a) == 1', [{ b: { a: 1 } }, { a: 1, b: { a: 1 } }, {}], [{ b: { a: 1 } }]],
    ['length(value(@.*)) == 2', [['ab'], ['ab', 'cd']], [['ab']]],
  ])('?%s', (filter, list, expected) => {
    expect(select(`$[?${filter}]`, list)).toEqual(expected);
  });

  it('know the whole value as $, also within each other', () => {
    const value = { a: 1, b: [{ c: 1 }], d: [{ c: 2 }] };
    expect(select('$[?@[?@.c == $.a]]', value)).toEqual([value.b]);
    expect(select('$.d[?$.b[?@.c == $.a]]', value)).toEqual(value.d);
  });

  it('look at the members of objects too', () => {
    expect(select('$[?@ > 1]', { a: 1, b: 2, c: '3' })).toEqual([2]);
    expect(select('$[?@ > 1]', 'text')).toEqual([]);
    expect(select('$[?@ > 1, 0]', [1, 2])).toEqual([2, 1]);
  });

  it.each([
    ['@.a = 1', 4, '=='],
    ['@.* == 1', 0, 'one value at most'],
    ['@..a == 1', 0, 'one value at most'],
    ['1 == @[0, 1]', 5, 'one value at most'],
    ['@.a == 1 == 2', 9, 'expected , or ]'],
    ['(@.a) == 1', 5, 'condition'],
    ['!@.a == 1', 0, '!(@.a == 1)'],
    ['true', 0, 'compare it'],
    ["!'a'", 0, 'compare it'],
    ['@.a && 1', 7, 'compare it'],
    ['length(@.a)', 0, 'compare it'],
    ['!count(@.*)', 0, 'compare it'],
    ['length(@.*) == 1', 7, 'one value at most'],
    ['count(1) == 1', 6, 'takes a path'],
    ['value(count(@.a)) == 1', 6, 'takes a path'],
    ['length() == 1', 7, 'one argument'],
    ['length(@.a, 1) == 1', 10, 'one argument'],
    ['size(@.a) == 1', 0, 'length(), count() and value()'],
    ["match(@.a, '(a+)+$')", 0, 'not available'],
    ["search(@.a, 'a')", 0, 'not available'],
    ['@.a == 01', 7, 'number'],
    ['@.a == 1.', 7, 'number'],
    ['@.a == .1', 7, 'instead of "."'],
    ['@.a == TRUE', 7, 'instead of "T"'],
    ['@.a == [1]', 7, 'instead of "["'],
    ['(@.a', 4, 'expected )'],
    ['@.a)', 3, 'expected , or ]'],
    ['@.a &&', 6, 'instead of "]"'],
    ['', 0, 'instead of "]"'],
  ])('?%s is refused at %d: %s', (filter, offset, message) => {
    const error = refusal(`$[?${filter}]`);
    expect(error.details).toEqual({ offset: offset + 3 });
    expect(error.message).toContain(message);
  });
});

describe('expressions', () => {
  it.each([
    '',
    ' $',
    '$ ',
    'a',
    '@.a',
    '$a',
    '$.a b',
    '$[',
    '$.a]',
    "$['a',]",
    "$['a''b']",
    '$[(@.length-1)]',
    '$[?(@.a.constructor("return 1")())]',
    '$.a~',
    '$[#]',
    '$.["a"]',
  ])('%j is refused', (text) => {
    expect(refusal(text).name).toBe('INVALID_ARGUMENTS');
  });

  it('have limits of length, selectors and depth', () => {
    expect(refusal(`$.${'a'.repeat(1023)}`).message).toContain('1024 characters');
    expect(compileQuery(`$.${'a'.repeat(1022)}`).singular).toBe(true);
    expect(compileQuery(`$${'.a'.repeat(64)}`).singular).toBe(true);
    expect(refusal(`$${'.a'.repeat(65)}`).message).toContain('64 selectors');
    expect(refusal(`$[?${Array(33).fill('@.a==@.b').join('||')}]`).message).toContain('64 selectors');
    expect(select(`$${'[?@'.repeat(8)}${']'.repeat(8)}`, [])).toEqual([]);
    expect(refusal(`$${'[?@'.repeat(9)}${']'.repeat(9)}`).message).toContain('8 deep');
    expect(refusal(`$[?${'('.repeat(8)}@.a${')'.repeat(8)}]`).message).toContain('8 deep');
    expect(refusal(`$[?${'!('.repeat(400)}`).message).toContain('8 deep');
  });
});

describe('limits of the evaluation', () => {
  /** A list of lists of lists. */
  const nest = (depth: number, width: number): unknown =>
    depth === 0 ? 1 : Array.from({ length: width }, () => nest(depth - 1, width));
  it.each([
    '$..*..*..*',
    '$..*..*..*..*..*',
    '$..[*, *, *, *][*, *, *, *][*, *, *, *]',
    '$..[?count($..*) > 0]',
    '$..[?@..[?@..[?@..*]]]',
    '$..[?length(value($..none)) == 1 || count($..[?count($..*) > 1]) > 1]',
  ])('end %s soon', (text) => {
    const value = nest(14, 2);
    expect(() => select(text, value)).toThrow(
      expect.objectContaining({
        name: 'INVALID_ARGUMENTS',
        message: expect.stringContaining('1000000 nodes'),
      }),
    );
  });

  it('count reading long texts as visits', () => {
    const long = 'x'.repeat(1_000_000);
    const list = Array.from({ length: 1000 }, () => `${long}`);
    expect(() => select('$[?length(@) == length($[0])]', list)).toThrow('1000000 nodes');
    expect(() => select(`$[?@ < $[0] || @ == $[1]]`, list)).toThrow('1000000 nodes');
  });

  it('count the parts of structures that are compared or measured', () => {
    const large = Array.from({ length: 2000 }, (_, i) => i);
    const list = Array.from({ length: 1000 }, () => [...large]);
    expect(() => select('$[?@ == $[999]]', list)).toThrow('1000000 nodes');
    const members = Object.fromEntries(large.map((i) => [`k${i}`, i]));
    for (const test of ['length($.members) == 1', '@ == $.members', '$.members == @']) {
      const value = { members, list: list.map((_, id) => ({ id })) };
      expect(() => select(`$.list[?${test}]`, value)).toThrow('1000000 nodes');
    }
  });

  it('end in data that is too deep, and read it where the path is plain', () => {
    let value: unknown = 'bottom';
    for (let depth = 0; depth < 50_000; depth++) value = [value, 1];
    for (const text of ['$..*', '$[?@..x]', '$..[?@..*]']) {
      expect(() => select(text, value)).toThrow('512 levels');
    }
    const twin = copyOf(value);
    expect(() => select('$[?$[0] == $[1]]', [value, twin])).toThrow('512 levels');
    expect(select('$[0][0][1]', value)).toEqual([1]);
  });

  it('allow all of a reply of ordinary size', () => {
    const records = Array.from({ length: 20_000 }, (_, id) => ({
      id,
      tags: ['a', 'b'],
      at: { city: `c${id}` },
    }));
    expect(select('$.data[*].id', { data: records })).toHaveLength(20_000);
    expect(select('$..city', { data: records })).toHaveLength(20_000);
    expect(select('$.data[?@.at.city == "c7"].id', { data: records })).toEqual([7]);
  });
});

/** A copy of nested pairs, without recursion. */
function copyOf(value: unknown): unknown {
  let copy: unknown = 'bottom';
  for (let inner = value; Array.isArray(inner); inner = inner[0]) copy = [copy, 1];
  return copy;
}

describe('another engine', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const index = fc.integer({ min: -3, max: 3 });
  const bound = fc.oneof(fc.constant(''), index.map(String));
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'medium' },
      fc.constantFrom(null, true, false, 0, 1, 2, '', 'a', 'b'),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3 }),
    ),
  })).value;
  const singular = fc.array(
    fc.oneof(
      name.map((text) => `.${text}`),
      index.map((at) => `[${at}]`),
    ),
    { maxLength: 2 },
  );
  const literal = fc.constantFrom('null', 'true', 'false', '0', '1', '2', "'a'", '"b"');
  const operand = fc.oneof(
    literal,
    singular.map((path) => `@${path.join('')}`),
    singular.map((path) => `$${path.join('')}`),
    singular.map((path) => `length(@${path.join('')})`),
    singular.map((path) => `count(@${path.join('')}.*)`),
    singular.map((path) => `value(@..${path.join('').replace(/^\./, '') || '*'})`),
  );
  const comparison = fc
    .tuple(operand, fc.constantFrom('==', '!=', '<', '<=', '>', '>='), operand)
    .map((parts) => parts.join(' '));
  const { segments } = fc.letrec<{ segments: string; selector: string; test: string }>((tie) => ({
    test: fc.oneof(
      { maxDepth: 2 },
      comparison,
      tie('segments').map((path) => `@${path}`),
      tie('segments').map((path) => `!$${path}`),
      fc.tuple(tie('test'), fc.constantFrom('&&', '||'), tie('test')).map((parts) => parts.join(' ')),
      tie('test').map((test) => `!(${test})`),
    ),
    selector: fc.oneof(
      { maxDepth: 2 },
      name.map((text) => `'${text}'`),
      index.map(String),
      fc.constant('*'),
      fc
        .tuple(bound, bound, fc.constantFrom('', ':', ':1', ':-1', ':2', ':-2', ':0'))
        .map(([a, b, c]) => `${a}:${b}${c}`),
      tie('test').map((test) => `?${test}`),
    ),
    segments: fc
      .array(
        fc.tuple(
          fc.constantFrom('', '', '..'),
          fc.array(tie('selector'), { minLength: 1, maxLength: 2 }).map((list) => `[${list.join(', ')}]`),
        ),
        { minLength: 1, maxLength: 3 },
      )
      .map((list) => list.map((parts) => parts.join('')).join('')),
  }));

  it('matches the same values in the same order', () => {
    fc.assert(
      fc.property(segments, json, (path, value) => {
        fc.pre(path.length < 500);
        // json-p3 takes $ in a filter within a filter for the outer filter's element.
        fc.pre(!path.includes('$') || path.indexOf('?') === path.lastIndexOf('?'));
        const expected = oracle(`$${path}`, value as never).values();
        expect(select(`$${path}`, value)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});
