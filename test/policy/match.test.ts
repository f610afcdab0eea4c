import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileDenyRule,
  compileDomainPattern,
  compilePathPattern,
  compileToolPattern,
  compileValuePattern,
  intersectPatterns,
} from '../../src/policy/match.ts';
import type { Matcher } from '../../src/snapshot/snapshot.ts';

describe('what matches', () => {
  const kinds = {
    tool: compileToolPattern,
    value: compileValuePattern,
    path: compilePathPattern,
    domain: compileDomainPattern,
  };
  test.each<[keyof typeof kinds, string, string[], string[]]>([
    ['tool', 'a.b', ['a.b'], ['a.b.c', 'a', 'a.B', 'xa.b', '']],
    ['tool', '*', ['a', 'a.b.c'], ['']],
    ['tool', '**', ['a'], ['']],
    ['tool', 'fs.*', ['fs.read', 'fs.a.b'], ['fs', 'fs.', 'fsadmin', 'xfs.read']],
    ['tool', 'fs*', ['fs', 'fsadmin', 'fs.read'], ['f', 'xfs']],
    ['tool', '*.delete', ['a.delete', 'a.b.delete'], ['delete', '.delete', 'a.deleted', 'adelete']],
    ['tool', 'a.*.z', ['a.b.z', 'a.b.c.z'], ['a.z', 'a..z', 'a.b.y']],
    ['tool', 'a.get*', ['a.get', 'a.getAll'], ['a.reget']],
    ['tool', 'a*a', ['aa', 'aba'], ['a', 'ab']],
    ['tool', '*b*b*', ['bb', 'abcbd'], ['b', 'aba']],
    ['tool', 'a.+', ['a.+'], ['a.b', 'a.++']],
    ['value', 'rollout status', ['rollout status'], ['rollout', 'rollout  status']],
    ['value', 'delete*', ['delete', 'delete pod'], ['undelete']],
    ['value', '*', ['', 'a b'], []],
    ['path', '/', ['/', '/a', '/a/b'], ['a', '.']],
    ['path', '.', ['.', 'a', 'a/b'], ['/', '/a']],
    ['path', '/a', ['/a', '/a/b'], ['/ab', '/', 'a', '/b/a']],
    ['path', '/a/', ['/a', '/a/b'], ['/ab']],
    ['path', '/a//./b', ['/a/b', '/a/b/c'], ['/a']],
    ['path', '/a/*', ['/a/b'], ['/a', '/a/', '/a/b/c']],
    ['path', '/a/*.ts', ['/a/b.ts', '/a/.ts'], ['/a/b/c.ts', '/a/b.tsx']],
    ['path', '/*/b', ['/a/b'], ['/b', '/a/c/b', '/a/b/c']],
    ['path', '/a/**', ['/a/b', '/a/b/c'], ['/a', '/b/a/b']],
    ['path', '/**', ['/a', '/a/b'], ['/', 'a']],
    ['path', '/a/**/z', ['/a/z', '/a/b/z', '/a/b/c/z'], ['/a', '/z', '/a/z/b']],
    ['path', '/a/**/b/**/z', ['/a/b/z', '/a/x/b/y/z', '/a/b/b/z'], ['/a/z', '/a/x/z']],
    ['path', '/**/**/z', ['/z', '/a/z'], ['/a']],
    ['path', '**/z', ['z', 'a/z', '/a/z'], ['za']],
    ['path', '/My Files', ['/My Files/a'], ['/My']],
    ['domain', '*', ['example.com'], ['']],
    [
      'domain',
      'example.com',
      ['example.com', 'EXAMPLE.COM', 'example.com.'],
      ['a.example.com', 'evilexample.com', 'com'],
    ],
    ['domain', 'Example.com.', ['example.com'], []],
    [
      'domain',
      '*.example.com',
      ['a.example.com', 'b.A.example.com.'],
      ['example.com', '.example.com', 'aexample.com'],
    ],
    ['domain', 'bücher.example', ['xn--bcher-kva.example'], ['bcher.example']],
    ['domain', '127.0.0.1', ['127.0.0.1'], ['127.0.0.11']],
    ['domain', '[::1]', ['[::1]'], ['[::2]']],
  ])('%s %s', (kind, pattern, yes, no) => {
    const matches = kinds[kind](pattern);
    expect(yes.filter((text) => !matches(text))).toEqual([]);
    expect(no.filter(matches)).toEqual([]);
  });
});

describe('what is no pattern', () => {
  const long = 'a'.repeat(257);
  test.each<[string, (text: string) => unknown, string[]]>([
    ['tool', compileToolPattern, ['', ' ', 'a b', ' a', 'a\n', 'a\0', 'a\u00a0b', long]],
    ['value', compileValuePattern, ['', ' ', ' a', 'a ', 'a\tb', 'a\u0085', long]],
    [
      'path',
      compilePathPattern,
      ['', ' /a', '/a\n', '/a/../b', '..', '/a%2fb', '/a\\b', '/a**', '/a/**b/c', '/．．', long],
    ],
    [
      'domain',
      compileDomainPattern,
      [
        '',
        'a b',
        'https://example.com',
        'example.com:443',
        'example.com/a',
        'a.*.com',
        '*example.com',
        '*.',
        '*.*',
        '*.10.0.0.1',
        '*.[::1]',
        'me@example.com',
        '::1',
        '.com',
        long,
      ],
    ],
    [
      'deny',
      compileDenyRule,
      ['', ':', 'a:', ':a', 'a b:c', 'a:b\n', 'a:/b/../c', 'a:/b%2f', `${long}:a`, `a:${long}`],
    ],
  ])('%s', (_, compile, texts) => {
    for (const text of texts) expect(() => compile(text), JSON.stringify(text)).toThrow(/pattern/);
  });

  test('256 characters are a pattern', () => {
    expect(compileToolPattern('a'.repeat(256))('a'.repeat(256))).toBe(true);
  });

  test('the message says which and why', () => {
    expect(() => compileToolPattern('fs read')).toThrow(
      'tool pattern "fs read" has white space; names have none',
    );
    expect(() => compileDomainPattern('*.10.0.0.1')).toThrow('write the address alone');
    expect(() => compilePathPattern('/a%20b')).toThrow('must be written decoded');
  });
});

describe('a deny rule', () => {
  test('without a value is about the tool alone', () => {
    const rule = compileDenyRule('*.delete');
    expect(rule).toMatchObject({ text: '*.delete', value: null });
    expect(rule.tool('a.delete')).toBe(true);
  });

  test('splits at the first colon', () => {
    const rule = compileDenyRule('api.explore:crm:delete*');
    expect(rule.tool('api.explore')).toBe(true);
    expect(rule.value?.('crm:deleteCustomer')).toBe(true);
    expect(rule.value?.('deleteCustomer')).toBe(false);
  });

  test('reads its path as paths are read', () => {
    const { value } = compileDenyRule('fs.*:/etc//ssl/');
    expect(['/etc/ssl', '/etc/ssl/key'].every(value!)).toBe(true);
    expect(value?.('/etc/sslx')).toBe(false);
  });
});

describe('two lists of patterns', () => {
  const list = (...patterns: string[]): Matcher[] => patterns.map(compileToolPattern);
  const allows = (patterns: readonly Matcher[] | null, tool: string): boolean =>
    patterns === null || patterns.some((matches) => matches(tool));

  test('allow what both allow', () => {
    const both = intersectPatterns(list('fs.*', 'git.log'), list('*.read', 'git.*'));
    expect(
      ['fs.read', 'git.log', 'fs.write', 'git.push', 'db.read'].filter((tool) => allows(both, tool)),
    ).toEqual(['fs.read', 'git.log']);
  });

  test('an absent list yields to the other, an empty one to none', () => {
    expect(intersectPatterns(null, null)).toBeNull();
    expect(allows(intersectPatterns(null, list('a')), 'b')).toBe(false);
    expect(allows(intersectPatterns(list('a'), null), 'a')).toBe(true);
    expect(allows(intersectPatterns([], null), 'a')).toBe(false);
    expect(allows(intersectPatterns([], list('*')), 'a')).toBe(false);
  });
});

/** The meaning of a glob, one character at a time; a star eats `least` characters or more. */
function reference(pattern: string, text: string): boolean {
  const collapsed = pattern.replace(/\*+/g, '*');
  const go = (p: number, t: number): boolean => {
    const char = collapsed[p];
    if (char === undefined) return t === text.length;
    if (char !== '*') return text[t] === char && go(p + 1, t + 1);
    for (let end = t; end <= text.length; end += 1) if (go(p + 1, end)) return true;
    return false;
  };
  return go(0, 0);
}

describe('properties', () => {
  const glob = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), minLength: 1, maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 });

  test('a value pattern means what the reference says', () => {
    fc.assert(
      fc.property(glob, text, (pattern, value) => {
        expect(compileValuePattern(pattern)(value)).toBe(reference(pattern, value));
      }),
      { numRuns: 5000 },
    );
  });

  test('a tool pattern means the same on names whose words are not empty', () => {
    const name = fc
      .array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 4,
      })
      .map((words) => words.join('.'));
    fc.assert(
      fc.property(glob, name, (pattern, value) => {
        expect(compileToolPattern(pattern)(value)).toBe(reference(pattern, value));
      }),
      { numRuns: 5000 },
    );
  });

  test('a path pattern means the same, segment by segment', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '**');
    const part = fc.constantFrom('a', 'b', 'ab');
    const meaning = (pattern: readonly string[], path: readonly string[]): boolean => {
      const [head, ...rest] = pattern;
      if (head === undefined) return path.length === 0;
      if (head !== '**') return path.length > 0 && reference(head, path[0]!) && meaning(rest, path.slice(1));
      const least = rest.every((other) => other === '**') ? 1 : 0;
      return (
        path.some((_, i) => i >= least && meaning(rest, path.slice(i))) ||
        (path.length >= least && meaning(rest, []))
      );
    };
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 6 }),
        fc.array(part, { minLength: 1, maxLength: 7 }),
        (pattern, path) => {
          fc.pre(pattern.some((s) => s.includes('*')));
          const collapsed = pattern.filter((s, i) => s !== '**' || pattern[i - 1] !== '**');
          const matches = compilePathPattern(`/${pattern.join('/')}`);
          expect(matches(`/${path.join('/')}`)).toBe(meaning(collapsed, path));
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('adversarial patterns end on long texts', () => {
    const stars = '*a'.repeat(127);
    const long = 'a'.repeat(100_000);
    expect(compileValuePattern(`${stars}b*`)(long)).toBe(false);
    expect(compileToolPattern(`${stars}*`)(long)).toBe(true);
    expect(compileValuePattern(`*${'a'.repeat(200)}b*c`)(long)).toBe(false);
    expect(compilePathPattern(`/${'**/a/'.repeat(40)}b`)('/a'.repeat(50_000))).toBe(false);
    expect(compilePathPattern(`/**/${'*a'.repeat(100)}/b`)(`/${'a/'.repeat(100)}${long}`)).toBe(false);
  });
});
