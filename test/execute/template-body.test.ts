import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileBodyTemplate } from '../../src/execute/template.ts';
import { type Given, gatewayError, renderBody } from './rendering.ts';

const GIVEN: Given = { input: { s: 'a"b\\c\n', n: 7, o: { k: [1, 'x"'] }, no: null, list: [1, 'b', null] } };

describe('a body template', () => {
  it.each<[string, unknown]>([
    ['{"s": "{{input.s}}"}', { s: 'a"b\\c\n' }],
    ['{"s": "<{{input.s}}|{{input.n}}>"}', { s: '<a"b\\c\n|7>' }],
    ['{"s": {{input.s}}}', { s: 'a"b\\c\n' }],
    ['{"n": {{input.n}}}', { n: 7 }],
    ['{"a": {"b": [{{input.n}}]}}', { a: { b: [7] } }],
    ['{"a": {"b": {{input.n}}}}', { a: { b: 7 } }],
    ['{"a":{"b":{"c":{{input.o}}}}}', { a: { b: { c: { k: [1, 'x"'] } } } }],
    ['{"o": {{input.o}}, "t": "{{input.o}}"}', { o: { k: [1, 'x"'] }, t: '{"k":[1,"x\\""]}' }],
    ['{"a": {{input.none}}, "b": {{input.no}}, "c": "{{input.none}}"}', { a: null, b: null, c: '' }],
    ['{"a": {{count input.list}}, "b": "{{join input.list "; "}}"}', { a: 3, b: '1; b; ' }],
    ['{{input.list}}', [1, 'b', null]],
    ['"{{input.s}}"', 'a"b\\c\n'],
    [' 12 ', 12],
    ['{"a": "\\"{{input.n}}\\u0041\\\\"}', { a: '"7A\\' }],
    ['{"a": "{{join input.list "}}}"}}}"}', { a: '1}}}b}}}}' }],
    ['{"a": "{{!-- }}} --}}{{input.n}}}"}', { a: '7}' }],
    ['{"a": "\\{{input.n}}"}', { a: '{{input.n}}' }],
    ['{{#if input.n}}{"a": 1}{{else}}[]{{/if}}', { a: 1 }],
    ['{ {{#if input.none}}"x": 1,{{/if}} "a": 2}', { a: 2 }],
    ['{"a": {{#if input.n}}{{input.n}}{{else}}{}{{/if}}}', { a: 7 }],
    ['{"a": "{{#if input.n}}is {{input.s}}{{else}}is not{{/if}}"}', { a: 'is a"b\\c\n' }],
    ['[{{#each input.list}}{{this}}{{#unless @last}},{{/unless}}{{/each}}]', [1, 'b', null]],
    ['["{{#each input.list as |x i|}}{{i}}{{x}} {{/each}}"]', ['01 1b 2 ']],
  ])('%s', (text, expected) => {
    expect(renderBody(text, GIVEN)).toEqual(expected);
  });

  it('keeps every text in its string', () => {
    const template = compileBodyTemplate(
      '{"a": "{{input.x}}", "b": ["-{{input.x}}{{input.y}}-", {{input.x}}], "c": true}',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({
        unit: fc.constantFrom('"', '\\', '{', '}', ',', ':', '\n', '\u2028', '\ud83d', '\ude00', 'u', '0'),
      }),
      fc.constantFrom('1","admin":"true', '\\', '\\"', '{{input.y}}', '"}', '\\u0022', '</script>'),
    );
    fc.assert(
      fc.property(text, text, (x, y) => {
        expect(template.render({ input: { x, y }, steps: {} })).toEqual({
          a: x,
          b: [`-${x}${y}-`, x],
          c: true,
        });
      }),
      { numRuns: 300 },
    );
  });

  it('keeps every value in its place', () => {
    const template = compileBodyTemplate(
      '{"a": {{input.x}}, "b": [{{input.x}}, {{input.y}}], "c": "{{json input.x}}"}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (x, y) => {
        const expected = JSON.parse(JSON.stringify({ a: x, b: [x, y], c: JSON.stringify(x) }));
        expect(template.render({ input: { x, y }, steps: {} })).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps texts in strings that blocks repeat', () => {
    const template = compileBodyTemplate(
      '{"all": "{{#each input.list as |x|}}<{{x}}>{{/each}}", "list": [{{#each input.list as |x|}}{"x": "{{x}}"}{{#unless @last}},{{/unless}}{{/each}}]}',
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), (list) => {
        expect(template.render({ input: { list }, steps: {} })).toEqual({
          all: list.map((x) => `<${x}>`).join(''),
          list: list.map((x) => ({ x })),
        });
      }),
      { numRuns: 200 },
    );
  });

  it('reads no prototypes and has the limits of other templates', () => {
    expect(renderBody('{"a": {{input.constructor}}, "b": "{{input.__proto__}}"}', GIVEN)).toEqual({
      a: null,
      b: '',
    });
    const input = { big: Array.from({ length: 2000 }, () => 'x'.repeat(1000)) };
    expect(gatewayError(() => renderBody('{"a": {{input.big}}}', { input })).message).toContain(
      'makes more than',
    );
    expect(Object.keys(renderBody('{"__proto__": {{input.n}}}', GIVEN) as object)).toEqual(['__proto__']);
  });

  it('whose blocks leave no JSON is an error of the call', () => {
    const text = '[{{#each input.list}}{{this}},{{/each}}]';
    const error = gatewayError(() => renderBody(text, GIVEN));
    expect(error.name).toBe('INVALID_ARGUMENTS');
    expect(error.message).toContain('commas and brackets around its blocks');
    expect(renderBody(text, { input: { list: [] } })).toEqual([]);
  });
});

describe('what is no body template', () => {
  it.each([
    ['{"a": {{input.n}}', 'this is not JSON'],
    ['{"a": {{input.n}} {{input.n}}}', 'this is not JSON'],
    ['{"a": 1{{input.n}}}', 'this is not JSON'],
    ['{"a": {{input.n}}5}', 'this is not JSON'],
    ['{"a": -{{input.n}}}', 'this is not JSON'],
    ["{'a': 1}", 'this is not JSON'],
    ['{"a": 1,}', 'this is not JSON'],
    ['text', 'this is not JSON'],
    ['{{! nothing }}', 'this is not JSON'],
    ['{"a": "{{input.s}}', 'a string is not closed'],
    ['{"a": "x\n{{input.s}}"}', 'line break'],
    ['{"{{input.s}}": 1}', 'name of a member'],
    ['{"x{{input.s}}" : 1}', 'name of a member'],
    ['{ {{input.s}}: 1}', 'name of a member'],
    ['{"a": "\\\\{{input.s}}"}', 'backslash'],
    ['{"a": "\\u00{{input.s}}"}', 'backslash'],
    ['{"a": "{{#if input.n}}b"{{else}}c"{{/if}}}', 'begin and end at the same place'],
    ['{"a": {{#if input.n}}"b{{else}}"c{{/if}}"}', 'begin and end at the same place'],
    ['{"a": {{#each input.list}}"{{/each}}"}', 'begin and end at the same place'],
    ['{"a": "{{input.n', 'has no }}'],
    ['{"a": {{{input.s}}} }', 'third brace'],
    ['{"a": {{&input.s}} }', 'without &'],
    ['{{{#if input.n}}"a": 1{{/if}} }', 'a { before it is kept apart'],
  ])('%s', (text, message) => {
    expect(() => compileBodyTemplate(text)).toThrow(message);
  });
});
