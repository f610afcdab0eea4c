import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readText } from '../../src/manifest/parse.ts';
import { readPlainYaml } from '../../src/manifest/plain-yaml.ts';
import { manifestFiles } from '../bench/manifests.ts';
import { documents, issuer, workflow } from './texts.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Real files, and pieces in every form that the reader knows. */
const TEXTS = [
  'contexts/billing-read.yaml',
  'workflows/customer-delete.yaml',
  'workflows/customer-invoice-total.yaml',
  'crm.yaml',
]
  .map((path) => readFileSync(join(ROOT, 'gateway.d', path), 'utf8'))
  .concat(
    manifestFiles(5)
      .filter(({ path }) => path.endsWith('.yaml'))
      .map(({ text }) => text),
  )
  .concat([
    documents(workflow('a'), issuer('b')),
    '# first\n---\na: 1\n--- # second\nb:\n- c\n-  d: 1\n   e:\n   - f\n\n# last\n',
    "a: 'it''s # no comment'   # one\nb: \"a\\n\\\\\\\"\"\nc: -1.5\nd: -x\ne:\n\nf: {g: [1, {h: i j}], \"k\":l, 'm': [ ]}\n",
    'a:\n  b:\n    c: x\n  "d": {}\n  e:\ng: http://x.example/a?b=c&d#e',
    '- a\n- b: 1\n  c: 2\n- [d, "e"]\n',
  ]);

/** Says that the library reads the same, when the text is read without it. */
function agree(text: string): boolean {
  const plain = readPlainYaml(text);
  if (plain === null) return false;
  const { documents: read, diagnostics } = readText('f.yaml', text, 0);
  expect(diagnostics, text).toEqual([]);
  expect(plain, text).toEqual(read.map(({ value, positions }) => ({ value, positions })));
  return true;
}

test.each(TEXTS)('is read without the library: text %#', (text) => {
  expect(agree(text)).toBe(true);
});

describe('is left to the library', () => {
  test.each([
    '',
    'a',
    '"a"',
    '{a: 1}',
    'a: 1\r\n',
    'a:\t1\n',
    '\uFEFFa: 1\n',
    '%YAML 1.1\n---\na: no\n',
    'a: 1\n...\n',
    'a: 1\n---\n',
    'a: |\n  b\n',
    'a: >-\n  b\n',
    'a: &x 1\n',
    'a: *x\n',
    'a: !!str 1\n',
    '? a\n: b\n',
    'a: b\n  c\n',
    'a: "b\n  c"\n',
    'a: "\\x41"\n',
    'a: "\\u0041"\n',
    'a: [b,\n  c]\n',
    'a: [b, c: d]\n',
    'a: {b}\n',
    'a: {b: }\n',
    'a: [b,]\n',
    'a: b: c\n',
    'a: b:\n',
    'a: 1\na: 2\n',
    'a: {b: 1, b: 2}\n',
    '<<: {a: 1}\n',
    '"<<": {a: 1}\n',
    '__proto__: 1\n',
    '"200": 1\n',
    '200: 1\n',
    'a: 0x1F\n',
    'a: 017\n',
    'a: 0o17\n',
    'a: 1e3\n',
    'a: .5\n',
    'a: -.inf\n',
    'a: .NaN\n',
    'a: 12345678901234567890\n',
    'a: 1\n b: 2\n',
    ' a: 1\nb: 2\n',
    'a:\n  b: 1\n c: 2\n',
    'a: "b" c\n',
    'a: "b"#c\n',
    '- - a\n',
    '-\n  a\n',
    '- a\nb: 1\n',
    'a: @b\n',
    'a: `b`\n',
    'a: %b\n',
    `${'- a: '.repeat(2)}1\n`,
    `a: ${'['.repeat(40)}${']'.repeat(40)}\n`,
  ])('%j', (text) => {
    expect(readPlainYaml(text)).toBeNull();
  });
});

test('numbers, words and texts that look like them', () => {
  const signs = fc.constantFrom('', '', '-', '+');
  const digits = fc.constantFrom(
    '0',
    '1',
    '10',
    '007',
    '1.5',
    '.5',
    '1.',
    '0x1f',
    '0o7',
    '1e3',
    '1.5E-3',
    '1_0',
  );
  const words = fc.constantFrom(
    '',
    '',
    'e',
    '.inf',
    '.NaN',
    'null',
    '~',
    'True',
    'no',
    '-',
    'x',
    ':30',
    ' 1',
    '/2',
  );
  const all = fc.tuple(signs, fc.oneof(digits, words), words).map((parts) => parts.join(''));
  fc.assert(
    fc.property(all, all, (a, b) => {
      agree(`a: ${a}\nb: [${a}, ${b}]\nc: {d: ${b}}\n- ${a}\n`);
      agree(`a: ${a}\n`);
      agree(`a: [${a}, ${b}]\n`);
    }),
    { numRuns: 500 },
  );
});

test('texts made of what YAML is made of', () => {
  const pieces = [
    'a: ',
    'b: ',
    'c:',
    '- ',
    '-',
    '"d"',
    "'e'",
    '"f": ',
    '{',
    '}',
    '[',
    ']',
    ',',
    ', ',
    '#',
    ' # g',
  ];
  const marks = [
    '\n',
    '\n',
    '\n  ',
    '\n    ',
    '\n- ',
    '\n  - ',
    ' ',
    '---',
    '\n---\n',
    '"',
    "'",
    ':',
    '?',
    '|',
    '&',
    '*',
  ];
  const values = [
    'x',
    '1',
    '-1',
    'true',
    'y z',
    'http://h/p',
    '""',
    '{}',
    '[]',
    '{a: 1}',
    '[x, 2]',
    '\\',
    'é',
    '\u2028',
  ];
  const piece = fc.constantFrom(...pieces, ...pieces, ...marks, ...values, ...values);
  let plain = 0;
  fc.assert(
    fc.property(fc.array(piece, { minLength: 2, maxLength: 14 }), (parts) => {
      if (agree(`a: ${parts.join('')}`)) plain += 1;
      if (agree(parts.join(''))) plain += 1;
    }),
    { numRuns: 3_000 },
  );
  expect(plain).toBeGreaterThan(100);
});

test('manifests with a few characters changed', () => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    drop: fc.integer({ min: 0, max: 6 }),
    put: fc.oneof(
      fc.constantFrom(
        '\n',
        ' ',
        '  ',
        '\n  ',
        '-',
        '- ',
        ':',
        ': ',
        '#',
        ' #',
        '"',
        "'",
        '{',
        '}',
        '[',
        ']',
        ',',
      ),
      fc.constantFrom(
        '&',
        '*',
        '!',
        '|',
        '>',
        '%',
        '@',
        '~',
        '?',
        '\\',
        '0',
        '1.',
        'true',
        '---\n',
        '',
        '\u00A0',
      ),
    ),
  });
  let plain = 0;
  fc.assert(
    fc.property(fc.constantFrom(...TEXTS), fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
      let changed = text;
      for (const { at, drop, put } of edits) {
        const offset = Math.floor(at * changed.length);
        changed = changed.slice(0, offset) + put + changed.slice(offset + drop);
      }
      if (agree(changed)) plain += 1;
    }),
    { numRuns: 1_000 },
  );
  expect(plain).toBeGreaterThan(100);
});
