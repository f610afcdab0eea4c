import fc from 'fast-check';
import Handlebars from 'handlebars';
import { expect, test } from 'vitest';
import { readPlain } from '../../src/execute/template-plain.ts';

/** What an evaluator sees of a parsed text, and where each node begins. */
function seen(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(seen);
  if (typeof node !== 'object' || node === null) return node;
  const { strip: _, loc, ...rest } = node as { strip?: unknown; loc?: hbs.AST.SourceLocation };
  const entries = Object.entries(rest).map(([key, value]) => [key, seen(value)]);
  return { ...Object.fromEntries(entries), ...(loc && { at: loc.start.column, to: loc.end.column }) };
}

test.each([
  '{{input.email}}',
  '{{ steps.find.id }}',
  '{{sum steps.invoices.amounts}}',
  '{{default input.limit 10}}',
  '{{join input.list ", "}}',
  '{{default  a.b_1   -3 "this" }}',
])('%s is read without the parser', (text) => {
  expect(seen(readPlain(text)?.statements)).toEqual(seen(Handlebars.parse(text).body));
});

test.each([
  'x {{input.a}}',
  '{{input.a}} ',
  '{{input.a}}{{input.b}}',
  '{{{input.a}}}',
  '{{&input.a}}',
  '{{~input.a}}',
  '{{#if input.a}}',
  '{{/if}}',
  '{{! input.a }}',
  '{{else}}',
  '{{else input.a}}',
  '{{^}}',
  '{{this}}',
  '{{input.this}}',
  '{{true}}',
  '{{default input.a null}}',
  '{{input.list.0}}',
  '{{input.list.[0]}}',
  '{{input/a}}',
  '{{../input}}',
  '{{@index}}',
  '{{sum (first input.a)}}',
  '{{date input.a format="iso"}}',
  "{{join input.a ', '}}",
  '{{join input.a "\\""}}',
  '{{default input.a 1.5}}',
  '{{"text"}}',
  '{{12}}',
  '{{}}',
  '{{input.a }',
])('%s is left to the parser', (text) => {
  expect(readPlain(text)).toBeNull();
});

test('what is read without the parser is what the parser reads', () => {
  const words = [
    'input',
    'a.b',
    'this',
    'else',
    'as',
    'elsewhere',
    'asx',
    'null',
    'nullx',
    'a-b',
    '_',
    'a.as.b',
  ];
  const marks = [
    '.',
    '..',
    ' ',
    '  ',
    '\n',
    '\t',
    '"',
    "'",
    '|',
    '=',
    '(',
    ')',
    '[0]',
    '0',
    '-1',
    '1.5',
    '{',
    '}',
    '~',
  ];
  const part = fc.constantFrom(...words, ...marks, '"x y"', '"a}}"', '10', ' ', ' ');
  let plain = 0;
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const text = `{{${parts.join('')}}}`;
      const read = readPlain(text);
      if (read === null) return;
      plain += 1;
      expect(seen(read.statements)).toEqual(seen(Handlebars.parse(text).body));
    }),
    { numRuns: 3_000 },
  );
  expect(plain).toBeGreaterThan(100);
});
