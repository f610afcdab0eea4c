import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { compareDiagnostics, errorAt, formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { parseFile } from '../../src/manifest/parse.ts';
import { locate, pointerSegments, pointerTo } from '../../src/manifest/position.ts';

const TEXT = `metadata:
  name: a
  "with/slash": {b~c: [1, 2]}
steps:
  - name: x
  -
    name: y
empty:
10: ten
2: two
`;

/** `line:column` in TEXT. */
function at(pointer: string, what?: 'key' | 'value'): string {
  const [document] = parseFile('f', Buffer.from(TEXT)).documents;
  const { line, column } = locate(document!, pointer, what);
  return `${line}:${column}`;
}

describe('the place of a JSON pointer', () => {
  test.each([
    ['', '1:1', '1:1'],
    ['/metadata', '2:3', '1:1'],
    ['/metadata/name', '2:9', '2:3'],
    ['/metadata/with~1slash', '3:17', '3:3'],
    ['/metadata/with~1slash/b~0c', '3:23', '3:18'],
    ['/metadata/with~1slash/b~0c/1', '3:27', '3:27'],
    ['/steps/0', '5:5', '5:5'],
    ['/steps/0/name', '5:11', '5:5'],
    ['/steps/1/name', '7:11', '7:5'],
    ['/10', '9:5', '9:1'],
    ['/2', '10:4', '10:1'],
  ])('%j: value %s, key %s', (pointer, value, key) => {
    expect([at(pointer), at(pointer, 'key')]).toEqual([value, key]);
  });

  test('nothing behind a colon is where its key is', () => {
    expect([at('/empty'), at('/empty', 'key')]).toEqual(['8:1', '8:1']);
  });

  test('what is not there is where the nearest that is above it is', () => {
    expect(at('/metadata/tenant')).toBe('2:3');
    expect(at('/steps/7/name')).toBe('5:3');
    expect(at('/steps/-1')).toBe('5:3');
    expect(at('/steps/01')).toBe('5:3');
    expect(at('/metadata/name/deeper')).toBe('2:9');
    expect(at('/nowhere')).toBe('1:1');
  });

  test('every value of every document is where it was written', () => {
    const leaf = fc.integer({ min: 1, max: 999_999 });
    const key = fc.oneof(fc.stringMatching(/^[a-z/~]{1,6}$/), fc.nat({ max: 99 }).map(String));
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(key, tie('node'), { maxKeys: 5 }),
      ),
    })).node;
    fc.assert(
      fc.property(fc.dictionary(key, tree, { minKeys: 1, maxKeys: 5 }), fc.boolean(), (value, flow) => {
        const text = stringify(value, flow ? { collectionStyle: 'flow', lineWidth: 20 } : {});
        const [document] = parseFile('f', Buffer.from(text)).documents;
        const lines = text.split('\n');
        const check = (node: unknown, pointer: string): void => {
          if (typeof node === 'number') {
            const { line, column } = locate(document!, pointer);
            expect(lines[line - 1]!.slice(column - 1)).toMatch(new RegExp(`^${node}(\\D|$)`));
          } else
            for (const [name, child] of Object.entries(node as object))
              check(child, pointerTo(pointer, name));
        };
        check(value, '');
      }),
      { numRuns: 200 },
    );
  });
});

test('pointers are written as RFC 6901 says', () => {
  expect(pointerTo('/a', 'b/c~d')).toBe('/a/b~1c~0d');
  expect(pointerSegments('/a/b~1c~0d/')).toEqual(['a', 'b/c~d', '']);
  expect(pointerSegments('')).toEqual([]);
  expect(pointerTo('', 0)).toBe('/0');
});

describe('a diagnostic', () => {
  const at1 = { line: 1, column: 2 };

  test('is one line', () => {
    expect(formatDiagnostic(errorAt('a.yaml', at1, 'r', 'it is wrong', 'mend it'))).toBe(
      'a.yaml:1:2: it is wrong (mend it)',
    );
    expect(formatDiagnostic({ ...errorAt('a.yaml', at1, 'r', 'it is odd'), severity: 'warning' })).toBe(
      'a.yaml:1:2: warning: it is odd',
    );
  });

  test('stays one line whatever the file is called', () => {
    expect(formatDiagnostic(errorAt('a\n\u001b[31m\u2028b.yaml', at1, 'r', 'x'))).toBe(
      'a\\u000A\\u001B[31m\\u2028b.yaml:1:2: x',
    );
  });

  test('has one order', () => {
    const all = [
      errorAt('b', { line: 1, column: 1 }, 'a', 'a'),
      errorAt('a', { line: 10, column: 1 }, 'a', 'a'),
      errorAt('a', { line: 9, column: 10 }, 'a', 'a'),
      errorAt('a', { line: 9, column: 9 }, 'b', 'a'),
      errorAt('a', { line: 9, column: 9 }, 'a', 'b'),
      errorAt('a', { line: 9, column: 9 }, 'a', 'a'),
      errorAt('B', { line: 99, column: 1 }, 'a', 'a'),
    ];
    expect(all.toSorted(compareDiagnostics)).toEqual(all.toReversed());
  });
});
