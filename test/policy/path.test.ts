import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizePath } from '../../src/policy/path.ts';

/** Encodes every character `rounds` times over. */
function encoded(text: string, rounds: number): string {
  const hex = (byte: string): string => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
  let result = [...text].map(hex).join('');
  for (let round = 1; round < rounds; round += 1) result = result.replaceAll('%', '%25');
  return result;
}

describe('one spelling', () => {
  test.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a//b/', '/a/b'],
    ['//a', '/a'],
    ['/./a/./b/.', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/..', '/'],
    ['a/b', 'a/b'],
    ['./a', 'a'],
    ['a/..', '.'],
    ['.', '.'],
    ['...', '...'],
    ['/a/.b/..c', '/a/.b/..c'],
    ['\\a\\..\\b', '/b'],
    ['C:\\a', 'C:/a'],
    ['/%61', '/a'],
    ['/%2561', '/a'],
    ['/a%2Fb', '/a/b'],
    ['/caf%C3%A9', '/café'],
    ['/100%', '/100%'],
    ['/100%zz%61', '/100%zza'],
    ['/ａ', '/ａ'],
    ['/a b', '/a b'],
  ])('%j is %j', (text, normal) => {
    expect(normalizePath(text)).toBe(normal);
  });
});

describe('no spelling', () => {
  test.each([
    [''],
    ['..'],
    ['/..'],
    ['a/../..'],
    ['/a/../../b'],
    ['%2e%2e/a'],
    ['/%252e%252e'],
    ['/a\0b'],
    ['/a%00b'],
    ['/a%2500b'],
    ['/%ff'],
    ['/%c0%ae%c0%ae'],
    ['/%e0%80%af'],
    ['/．．/a'],
    ['/‥/a'],
    ['/a／b'],
    ['/a＼b'],
  ])('%j', (text) => {
    expect(normalizePath(text)).toBeNull();
  });
});

test('a path may be encoded eight times over, not nine', () => {
  expect(normalizePath(encoded('/a', 8))).toBe('/a');
  expect(normalizePath(encoded('/a', 9))).toBeNull();
});

/** Texts made of what path tricks are made of. */
const tricky = fc
  .array(
    fc.constantFrom('/', '\\', '.', '..', '%2e', '%2F', '%5c', '%25', '%', '2e', 'a', 'é', '．', '／', '\0'),
  )
  .map((parts) => parts.join(''));

test('a normal path stays as it is, and has no dot segments, backslashes or doubled slashes', () => {
  fc.assert(
    fc.property(fc.oneof(tricky, fc.string({ unit: 'grapheme' })), (text) => {
      const normal = normalizePath(text);
      if (normal === null) return;
      expect(normalizePath(normal)).toBe(normal);
      expect(normal.split('/')).not.toContain('..');
      expect(normal).not.toMatch(/\\|\0|\/\/|%2e/i);
      expect(normal === '.' || !normal.split('/').includes('.')).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('an absolute path stays absolute and a relative one relative', () => {
  fc.assert(
    fc.property(tricky, (text) => {
      const absolute = normalizePath(`/${text}`);
      const relative = normalizePath(`a/${text}`);
      if (absolute !== null) expect(absolute.startsWith('/')).toBe(true);
      if (relative !== null) expect(relative.startsWith('/')).toBe(false);
    }),
    { numRuns: 1000 },
  );
});

test('encoding a plain path changes nothing', () => {
  const segment = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1 }), fc.integer({ min: 1, max: 8 }), (segments, rounds) => {
      const path = `/${segments.join('/')}`;
      expect(normalizePath(encoded(path, rounds))).toBe(path);
    }),
  );
});

test('a path of a million characters is normalised', () => {
  expect(normalizePath('/a/..'.repeat(200_000))).toBe('/');
  expect(normalizePath('%2e%2e%2f'.repeat(110_000))).toBeNull();
  expect(normalizePath('%'.repeat(1_000_000))).toHaveLength(1_000_000);
});
