import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../../src/openapi/document.ts';
import { DocumentError } from '../../src/openapi/document-error.ts';
import { findJsonFault } from '../../src/openapi/json-syntax.ts';

const read = (text: string) => readDocument(Buffer.from(text));

function fault(text: string | Uint8Array, max_bytes?: number): DocumentError {
  try {
    readDocument(Buffer.from(text), { max_bytes });
  } catch (error) {
    expect(error).toBeInstanceOf(DocumentError);
    return error as DocumentError;
  }
  return expect.fail('it was read');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('JSON', () => {
  test('is read as JSON.parse does', () => {
    const text = ' {"a": [1, -0.5e+3, true, false, null, "\\u00e9\\n\\"", {}, []], "": {"b": "\\\\"}} \n';
    expect(read(text)).toEqual(JSON.parse(text));
    expect(read(`\uFEFF${text}`)).toEqual(JSON.parse(text));
  });

  test('a key __proto__ is a key', () => {
    const value = read('{"__proto__": {"admin": true}}') as object;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(value).not.toHaveProperty('admin');
  });

  test.each([
    ['{"a": 1,\n "b": 2,\n "a": 3}', 'line 3, column 2: the key "a" was given before'],
    ['{"a": {"b": 1, "\\u0062": 2}}', 'line 1, column 16: the key "b" was given before'],
    ['{"a": truo}', 'line 1, column 7: a value is expected here, not "t"'],
    ['{"a": }', 'line 1, column 7: a value is expected here, not "}"'],
    ['{"a": 1 "b"}', 'line 1, column 9: "," or "}" is expected here, not "\\""'],
    ['{"a": [1 2]}', 'line 1, column 10: "," or "]" is expected here, not "2"'],
    ['{"a": 01}', 'line 1, column 8: "," or "}" is expected here, not "1"'],
    ['{"a": 1,}', 'line 1, column 9: a key in double quotes is expected here, not "}"'],
    ['{"a": [1,]}', 'line 1, column 10: a value is expected here, not "]"'],
    ['{"a" 1}', 'line 1, column 6: ":" is expected here, not "1"'],
    ['{"a": 1', 'line 1, column 8: "," or "}" is expected here, not the end of the file'],
    ['{"a": [', 'line 1, column 8: a value is expected here, not the end of the file'],
    ['{"a": 1}\n}', 'line 2, column 1: the end is expected here, not "}"'],
    ['{"a":\n "b', 'line 2, column 2: the quote that begins here is never closed'],
    ['{"a": "b\n"}', 'line 1, column 9: a line end or control character inside quotes'],
    ['{"a": "\\x"}', 'line 1, column 8: this escape sequence is not one of JSON'],
    ['{"a": "\\u12"}', 'line 1, column 8: this escape sequence is not one of JSON'],
  ])('%j', (text, message) => {
    expect(fault(text).message).toBe(message);
  });

  test('no text is taken that JSON.parse refuses, and none refused that it takes', () => {
    const json = fc.json({ maxDepth: 3 }).map((text) => `{"a": ${text}}`);
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.nat(3),
      insert: fc.constantFrom('', ...'{}[]:,"\\ue0-.1 \n\u0001'),
    });
    const edited = fc.tuple(json, edit).map(([text, { at, remove, insert }]) => {
      const offset = Math.floor(at * text.length);
      return text.slice(0, offset) + insert + text.slice(offset + remove);
    });
    fc.assert(
      fc.property(edited, (text) => {
        const found = findJsonFault(text, 128);
        if (found?.message.endsWith('was given before')) return true;
        return (found === null) === isJson(text);
      }),
      { numRuns: 2000 },
    );
  });

  test('nests 128 deep', () => {
    const nested = (depth: number) => `{"a": ${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    expect(read(nested(128))).toHaveProperty('a');
    expect(fault(nested(129)).message).toContain('nested more than 128 deep');
    expect(fault(`{"a": ${'['.repeat(1_000_000)}`).message).toContain('nested more than 128 deep');
  });
});

describe('YAML', () => {
  test('is 1.2, with texts for keys', () => {
    const text = 'no: no\n200: {yes: on, octal: 010, hex: 0x1f}\n"a": 2020-01-01\nb: ~\n1.0: |\n  x\n  y\n';
    expect(read(text)).toEqual({
      no: 'no',
      200: { yes: 'on', octal: 10, hex: 31 },
      a: '2020-01-01',
      b: null,
      '1.0': 'x\ny\n',
    });
    expect(read('')).toBeNull();
    expect(read('---\na: 1\n...\n')).toEqual({ a: 1 });
    expect(read('{a: 1, b: [x]}')).toEqual({ a: 1, b: ['x'] });
  });

  test('aliases are shared values', () => {
    const value = read('a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]\ne: &t text\nf: *t') as Record<string, unknown>;
    expect(value).toMatchObject({ c: { b: [1, 2] }, d: [{ b: [1, 2] }, { b: [1, 2] }], f: 'text' });
    expect(value.c).toBe(value.a);
  });

  test('an anchor that is given again means the later one from there', () => {
    expect(read('a: &x 1\nb: *x\nc: &x 2\nd: *x')).toEqual({ a: 1, b: 1, c: 2, d: 2 });
  });

  test('merge keys fill in what is not there', () => {
    const text =
      'base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo: {<<: [*m, *b], w: 0}';
    expect(read(text)).toMatchObject({ one: { x: 9, y: 2 }, two: { y: 3, z: 4, x: 1, w: 0 } });
    expect(read('"<<": 1')).toEqual({ '<<': 1 });
  });

  test('a key __proto__ is a key', () => {
    for (const text of ['__proto__: {admin: true}', 'a: &a {__proto__: {admin: true}}\n<<: *a']) {
      const value = read(text) as object;
      expect(Object.keys(value)).toContain('__proto__');
      expect(value).not.toHaveProperty('admin');
    }
  });

  test.each([
    ['a: 1\nb: 2\na: 3', 'line 3, column 1: YAML: the key "a" was given before'],
    ['200: 1\n"200": 2', 'line 2, column 1: YAML: the key "200" was given before'],
    ['a: *x', 'line 1, column 4: YAML: there is no anchor &x before this'],
    ['a: &x\n  b: *x', 'line 2, column 6: YAML: &x holds itself'],
    ['a:\n  <<: text', 'line 2, column 3: YAML: a merge key takes a map or a list of maps'],
    ['a: .nan', 'line 1, column 4: YAML: not a number that JSON knows; a text needs quotes'],
    ['a: 1\n---\nb: 2', 'line 2, column 1: YAML: the file holds more than one document'],
    ['%YAML 1.1\n---\na: no', 'line 1, column 1: YAML: directives are not allowed'],
    ['a: "b\nc: d', 'line 1, column 4: YAML: the quote that begins here is never closed'],
    ['a:\n\t- b', 'line 2, column 1: YAML: Tabs are not allowed as indentation'],
    ['a: !secret b', 'line 1, column 4: YAML: Unresolved tag: !secret'],
    ['[a]: b', 'line 1, column 1: YAML: With stringKeys, all keys must be strings'],
    ['a: b: c', 'line 1, column 4: YAML: Nested mappings are not allowed in compact mappings'],
    ['a: \u0001', 'line 1, column 4: the document holds the control character U+0001'],
  ])('%j', (text, message) => {
    expect(fault(text).message).toBe(message);
  });

  test('what aliases come to is bounded, in number and in depth', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 40; level += 1) {
      bomb.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
    }
    expect(fault(bomb.join('\n')).message).toContain('more than 4000000 values, with aliases written out');
    const ladder = Array.from({ length: 200 }, (_, i) => `a${i}: &a${i} {x: ${i === 0 ? 1 : `*a${i - 1}`}}`);
    expect(fault(ladder.join('\n')).message).toContain('nested more than 128 deep');
    expect(read(ladder.slice(0, 100).join('\n'))).toHaveProperty('a99');
  });

  test.each([
    ['brackets', '['.repeat(1_000_000)],
    ['dashes', '- '.repeat(500_000)],
    ['indentation', Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ])('%s nest no deeper than 128', (_, text) => {
    expect(fault(text).message).toContain('nested more than 128 deep');
  });

  test('100,000 keys of one map are read in linear time', () => {
    const text = Array.from({ length: 100_000 }, (_, index) => `k${index}: 1`).join('\n');
    expect(Object.keys(read(text) as object)).toHaveLength(100_000);
  });
});

describe('bytes', () => {
  test('are limited before they are read', () => {
    expect(fault('{"a": "bc"}', 10).message).toBe('the document has 11 bytes, and may have 10');
    expect(fault(Buffer.alloc(16 * 1024 * 1024 + 1)).message).toContain('may have 16777216');
  });

  test('must be UTF-8', () => {
    const error = fault(new Uint8Array([0x61, 0x3a, 0x20, 0xff]));
    expect(error).toMatchObject({ message: 'the document is not UTF-8 text', line: null, column: null });
  });

  test('count from one, in lines and columns', () => {
    expect(fault('a: 1\r\nb: é *x\r\na: 2')).toMatchObject({ line: 3, column: 1 });
  });
});
