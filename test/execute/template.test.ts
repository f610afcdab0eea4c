import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileTemplate } from '../../src/execute/template.ts';
import type { Json } from '../../src/snapshot/snapshot.ts';
import { type Given, gatewayError, render } from './rendering.ts';

const GIVEN: Given = {
  input: {
    email: 'a@b.example',
    n: 7,
    no: null,
    off: false,
    list: [1, 'b', { c: 2 }],
    o: { k: 'v', w: 2 },
    'a b': 1,
  },
  steps: { find: { id: 42, status: 200, ids: [4, 5] } },
  item: { sku: 'x', tags: ['s', 't'] },
};

describe('a text that is one expression', () => {
  it.each<[string, unknown]>([
    ['{{input.email}}', 'a@b.example'],
    ['{{input.n}}', 7],
    ['{{input.no}}', null],
    ['{{input.off}}', false],
    ['{{input.list}}', [1, 'b', { c: 2 }]],
    ['{{input.list.[2].c}}', 2],
    ['{{input.list.2.c}}', 2],
    ['{{input.list.length}}', 3],
    ['{{input.[a b]}}', 1],
    ['{{input/email}}', 'a@b.example'],
    ['{{steps.find.id}}', 42],
    ['{{steps.find}}', { id: 42, status: 200, ids: [4, 5] }],
    ['{{item.tags}}', ['s', 't']],
    ['{{ input.n }}', 7],
    ['  {{~input.n~}}  ', 7],
    ['{{! why }}{{input.n}}{{!-- {{or}} --}}', 7],
    ['{{count input.list}}', 3],
    ['{{default input.none (first steps.find.ids)}}', 4],
    ['{{input.none}}', undefined],
    ['{{input.email.length}}', undefined],
    ['{{steps.none.id}}', undefined],
  ])('%s keeps its type', (text, expected) => {
    expect(render(text, GIVEN)).toEqual(expected);
  });

  it('gives any value as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(render('{{input.x}}', { input: { x: value } })).toBe(value);
        expect(render({ a: ['{{input.x}}'] }, { input: { x: value } })).toEqual({ a: [value] });
      }),
      { numRuns: 300 },
    );
  });
});

describe('other text', () => {
  it.each([
    ['n={{input.n}}', 'n=7'],
    [' {{input.n}}', ' 7'],
    ['{{input.n}}{{input.off}}', '7false'],
    ['[{{input.none}}|{{input.no}}]', '[|]'],
    ['l={{input.list}} o={{input.o}}', 'l=[1,"b",{"c":2}] o={"k":"v","w":2}'],
    ['<b>{{input.html}}</b>', '<b></b>'],
    ['\\{{input.n}}', '{{input.n}}'],
    ['\\\\{{input.n}}', '\\7'],
    ['{{input.n}}}', '7}'],
    ['{"n": {{input.n}}}', '{"n": 7}'],
    ['plain } }} text', 'plain } }} text'],
    ['a {{! nothing }}b', 'a b'],
  ])('%s is text', (text, expected) => {
    expect(render(text, GIVEN)).toBe(expected);
  });

  it('inserts values as they are, whatever they look like', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('<>&"\'`', '{{input.x}}', '$&', ''),
        (a, b) => {
          expect(render('-{{input.x}}-{{input.y}}-', { input: { x: a, y: b } })).toBe(`-${a}-${b}-`);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('blocks', () => {
  it.each([
    ['{{#if input.n}}yes{{else}}no{{/if}}', 'yes'],
    ['{{#if input.off}}a{{else if input.n}}b{{else}}c{{/if}}', 'b'],
    ['{{#unless input.off}}off{{/unless}}', 'off'],
    ['{{^if input.none}}none{{/if}}', 'none'],
    ['{{#if (count input.none)}}some{{/if}}', ''],
    ['{{#each input.list}}{{@index}}:{{this}} {{/each}}', '0:1 1:b 2:{"c":2} '],
    ['{{#each input.list as |x i|}}{{i}}={{x}}{{#unless @last}},{{/unless}}{{/each}}', '0=1,1=b,2={"c":2}'],
    ['{{#each input.o}}{{#if @first}}!{{/if}}{{@key}}={{this}};{{/each}}', '!k=v;w=2;'],
    ['{{#each input.none}}x{{else}}none{{/each}}', 'none'],
    ['{{#each input.empty}}x{{else}}none{{/each}}', 'none'],
    ['{{#with input.o}}{{this.k}}{{./w}}{{/with}}', 'v2'],
    ['{{#with input.none}}x{{else}}none{{/with}}', 'none'],
    ['{{#with input.o as |o|}}{{o.k}} {{input.n}}{{/with}}', 'v 7'],
    [
      '{{#each input.list as |a|}}{{#each input.o as |b|}}{{a}}{{b}} {{/each}}{{/each}}',
      '1v 12 bv b2 {"c":2}v {"c":2}2 ',
    ],
    ['{{#each steps.find.ids}}{{#with input.o}}{{@index}}{{this.k}}{{/with}}{{this}}{{/each}}', '0v41v5'],
    ['{{#each input.o as |v k|}}{{#each input.o as |v|}}{{k}}{{v}}{{/each}}{{/each}}', 'kvk2wvw2'],
    ['line\n{{#if input.n}}\nshown\n{{/if}}\nend', 'line\nshown\nend'],
    ['{{#if input.n~}}  x  {{~/if}}', 'x'],
  ])('%s', (text, expected) => {
    expect(render(text, { ...GIVEN, input: { ...GIVEN.input, empty: [] } })).toBe(expected);
  });

  it.each([
    [null, false],
    [undefined, false],
    [false, false],
    [0, false],
    ['', false],
    [[], false],
    [{}, true],
    ['0', true],
    [[0], true],
    [-1, true],
    [true, true],
  ])('if takes %j for %s', (value, expected) => {
    const text = '{{#if input.x}}true{{else}}false{{/if}}';
    expect(render(text, { input: { x: value } })).toBe(String(expected));
  });

  it('each of what is no list is an error', () => {
    const error = gatewayError(() => render('{{#each input.n}}x{{/each}}', GIVEN));
    expect(error.message).toBe('template "{{#each input.n}}x{{/each}}" repeats a block for what is no list');
  });
});

describe('structure', () => {
  it('is the template’s: keys are not templates, fixed values stay', () => {
    const value = { '{{input.n}}': 1, a: [true, null, 2.5, 'text', { b: '{{input.n}}' }], c: {}, d: [] };
    expect(render(value, GIVEN)).toEqual({ ...value, a: [true, null, 2.5, 'text', { b: 7 }] });
  });

  it('loses members that have no value, and keeps the places of lists', () => {
    const value = {
      a: '{{input.none}}',
      b: ['{{input.none}}', '{{input.n}}'],
      c: '{{input.no}}',
      d: 'x{{input.none}}',
    };
    expect(render(value, GIVEN)).toStrictEqual({ b: [null, 7], c: null, d: 'x' });
    expect(Object.keys(render({ a: { b: '{{input.none}}' } }) as object)).toEqual(['a']);
  });

  it('makes an own member of a key that is called __proto__', () => {
    const rendered = render(JSON.parse('{"__proto__": "{{input.o}}", "a": 1}'), GIVEN) as object;
    expect(Object.getPrototypeOf(rendered)).toBe(Object.prototype);
    expect(JSON.stringify(rendered)).toBe('{"__proto__":{"k":"v","w":2},"a":1}');
  });

  it('never changes with the values', () => {
    const template = { a: '{{input.x}}', b: ['-{{input.y}}-', { c: '{{json input.x}}' }], d: '{{input.y}}' };
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), (x, y) => {
        expect(render(template, { input: { x, y } })).toEqual({
          a: x,
          b: [`-${y}-`, { c: JSON.stringify(x) }],
          d: y,
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('what is read', () => {
  it.each([
    '{{input.constructor}}',
    '{{input.__proto__}}',
    '{{input.o.constructor.constructor}}',
    '{{input.list.map}}',
    '{{input.toString}}',
    '{{steps.hasOwnProperty}}',
    '{{item.valueOf}}',
    '{{input.email.constructor}}',
    '{{input.[__proto__].polluted}}',
  ])('%s is nothing: own properties alone', (text) => {
    expect(render(text, GIVEN)).toBeUndefined();
    expect(render(`x${text}`, GIVEN)).toBe('x');
  });

  it('are own properties also where they are called like inherited ones', () => {
    const input = JSON.parse('{"__proto__": {"constructor": 1}}');
    expect(render('{{input.__proto__.constructor}}', { input })).toBe(1);
  });

  it('are properties read by plain access, so that getters hear of it', () => {
    const heard: string[] = [];
    const seen = Object.defineProperty({}, 'id', {
      enumerable: true,
      get: () => {
        heard.push('id');
        return null;
      },
    });
    const steps = { find: seen };
    expect(render({ a: 'x{{steps.find.id}}', b: 1 }, { steps })).toEqual({ a: 'x', b: 1 });
    expect(render('{{default steps.find.id "none"}}', { steps })).toBe('none');
    expect(heard).toEqual(['id', 'id']);
  });

  it('is never a template', () => {
    const x = '{{input.secret}}{{#if';
    expect(render('{{input.x}} {{join input.list}}', { input: { x, list: [x], secret: 's' } })).toBe(
      `${x} ${x}`,
    );
  });

  it('has the name that for_each gives it', () => {
    const template = compileTemplate({ id: '{{customer.id}}' }, { item: 'customer' });
    expect(template.render({ input: {}, steps: {}, item: { id: 3 } })).toEqual({ id: 3 });
    expect(() => compileTemplate('{{item.id}}', { item: 'customer' })).toThrow(
      'templates read input, steps, customer',
    );
    expect(() => compileTemplate('{{item.id}}', { item: null })).toThrow(
      'item is known in a step with for_each',
    );
  });
});

describe('limits of a rendering', () => {
  const big = Array.from({ length: 20_000 }, () => 'x');
  it.each<[string, Json]>([
    ['text', '{{#each input.big}}{{input.text}}{{/each}}'],
    ['fixed text', `{{#each input.big}}${'-'.repeat(60)}{{/each}}`],
    [
      'turns without text',
      '{{#each input.big}}{{#each input.big}}{{#each input.big}}{{/each}}{{/each}}{{/each}}',
    ],
    ['elements read', '{{#each input.big}}{{#if (sum input.numbers)}}{{/if}}{{/each}}'],
    ['members counted', '{{#each input.big}}{{#if (count input.members)}}{{/if}}{{/each}}'],
    ['joined text', '{{#each input.big}}{{#if (join input.big input.text)}}{{/if}}{{/each}}'],
    ['JSON of JSON', '{{json (json (json (json (json (json (json (json (json input.quotes))))))))}}'],
    ['all texts together', Array.from({ length: 60 }, () => '{{json input.big}}')],
  ])('%s', (_, value) => {
    const input = {
      big,
      text: 'y'.repeat(100),
      quotes: '"'.repeat(10_000),
      numbers: big.map(() => 1),
      members: Object.fromEntries(big.map((_, i) => [`k${i}`, i])),
    };
    const error = gatewayError(() => render(value, { input }));
    expect(error.name).toBe('INVALID_ARGUMENTS');
    expect(error.message).toContain('makes more than 1048576 characters');
  });

  it('begin anew with each rendering', () => {
    const template = compileTemplate('{{join input.big}}{{join input.big}}');
    for (let round = 0; round < 10; round++) {
      expect(template.render({ input: { big }, steps: {} })).toHaveLength(79_998);
    }
  });

  it('name the caller’s values or the upstream’s', () => {
    const list = ['a'];
    const given = { input: { list }, steps: { a: { list } }, item: list };
    expect(gatewayError(() => render('{{sum input.list}}', given)).name).toBe('INVALID_ARGUMENTS');
    expect(gatewayError(() => render('{{sum steps.a.list}}', given)).name).toBe('UPSTREAM_FAILED');
    expect(gatewayError(() => render('{{sum item}} {{input.x}}', given)).name).toBe('UPSTREAM_FAILED');
  });
});

describe('what is no template', () => {
  it('is an Error that names each place', () => {
    expect(() => compileTemplate({ a: '{{inptu.x}}', b: ['{{smu input.x}}', '{{x'] })).toThrow(
      '/a: inptu is not known here; templates read input, steps, item; ' +
        '/b/0: there is no helper smu; helpers are json, sum, count, first, join, default, date; ' +
        '/b/1: this {{ has no }} after it',
    );
  });

  it.each([
    ['65,537 characters', `{{input.x}}${'x'.repeat(65_526)}`],
    ['33 blocks', '{{#if input.x}}'.repeat(33) + '{{/if}}'.repeat(33)],
    ['33 else ifs', `{{#if input.x}}${'{{else if input.x}}'.repeat(33)}{{/if}}`],
    ['33 parentheses', `{{json ${'(json '.repeat(33)}input.x${')'.repeat(33)}}}`],
    ['many blocks', '{{#if a}}'.repeat(4000) + '{{/if}}'.repeat(3000)],
    ['many inverse blocks', '{{^if a}}'.repeat(4000)],
    ['many partial blocks', '{{#> a}}'.repeat(4000)],
    ['many blocks behind escapes', '{{#if a}}\\{{/if}}'.repeat(3000)],
    ['many blocks behind comments', '{{#if a}}{{!{{/if}}'.repeat(3000)],
    ['many open parentheses', `{{json ${'(json '.repeat(9000)}`],
    ['many open quotes', '{{a "'.repeat(12_000)],
    ['many open brackets', '{{['.repeat(20_000)],
    ['many open comments', '{{!--'.repeat(12_000)],
    ['many braces', '{'.repeat(65_000)],
  ])('is refused soon: %s', (_, text) => {
    expect(() => compileTemplate(text)).toThrow(/characters|nest 32 deep|has no \}\}|third brace/);
  });

  it('is within the limits up to there', () => {
    expect(compileTemplate(`{{input.x}}${'x'.repeat(65_525)}`)).toBeDefined();
    const half = `{{input.x}}${'x'.repeat(32_757)}`;
    expect(compileTemplate([half, half, 'x'.repeat(100_000)])).toBeDefined();
    expect(() => compileTemplate({ a: half, b: [half, '{{input.y}}'] })).toThrow(
      '/b/1: a template may have 65536 characters',
    );
    const nested = `${'{{#if input.n}}'.repeat(32)}x${'{{/if}}'.repeat(32)}`;
    expect(render(nested.repeat(3), GIVEN)).toBe('xxx');
    expect(render(`{{json ${'(first '.repeat(31)}input.none${')'.repeat(31)}}}`, GIVEN)).toBe('null');
  });
});
