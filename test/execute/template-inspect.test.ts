import { describe, expect, it } from 'vitest';
import { inspectTemplate } from '../../src/execute/template-inspect.ts';

const paths = (text: string) =>
  inspectTemplate(text, 'structure').references.map(({ path }) => path.join('.'));
const problems = (text: string) => inspectTemplate(text, 'structure').problems;

describe('references', () => {
  it('say what is read, in which text and where in it', () => {
    const value = { a: ['fixed', 'x {{steps.find.id}}'], 'b/~': '{{join input.list ", "}}{{item}}', c: 1 };
    expect(inspectTemplate(value, 'structure')).toMatchObject({
      references: [
        { path: ['steps', 'find', 'id'], pointer: '/a/1', offset: 4 },
        { path: ['input', 'list'], pointer: '/b~1~0', offset: 7 },
        { path: ['item'], pointer: '/b~1~0', offset: 26 },
      ],
      problems: [],
    });
  });

  it.each([
    ['{{sum (default steps.a.b input.c) steps.d.e}}', ['steps.a.b', 'input.c', 'steps.d.e']],
    [
      '{{#if steps.a.b}}{{input.c}}{{else if input.d}}{{input.e}}{{else}}{{item.f}}{{/if}}',
      ['steps.a.b', 'input.c', 'input.d', 'input.e', 'item.f'],
    ],
    [
      '{{#each steps.a.list as |x i|}}{{x.y}}{{i}}{{this.z}}{{@index}}{{input.u}}{{/each}}',
      ['steps.a.list', 'input.u'],
    ],
    ['{{#with input.o}}{{#each this.list}}{{this}}{{/each}}{{/with}}', ['input.o']],
    ['{{^unless input.a}}{{input.b}}{{/unless}}', ['input.a', 'input.b']],
    ['{{input.list.[0].id}} {{steps.[find].id}}', ['input.list.0.id', 'steps.find.id']],
    ['\\{{input.x}} {{! input.y }}{{!-- {{input.z}} --}}', []],
  ])('%s', (text, expected) => {
    expect(paths(text)).toEqual(expected);
    expect(problems(text)).toEqual([]);
  });

  it('have offsets of the text as written, over lines and braces', () => {
    const text = '{"a": {{input.a}}},\r\n {"b": {{input.b}}}\n{{#if input.c}}\n{{input.d}}}{{/if}}';
    const { references } = inspectTemplate(text, 'structure');
    expect(references.map(({ path, offset }) => text.slice(offset).startsWith(path.join('.')))).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  it('of a body template are those of its text', () => {
    expect(inspectTemplate('{"a": "{{input.a}}", "b": {{steps.s.b}}}', 'text')).toMatchObject({
      references: [
        { path: ['input', 'a'], pointer: '', offset: 9 },
        { path: ['steps', 's', 'b'], pointer: '', offset: 28 },
      ],
      problems: [],
    });
    expect(inspectTemplate({}, 'text').problems).toHaveLength(1);
  });
});

describe('problems', () => {
  it.each([
    ['{{inptu.x}}', 2, 'inptu is not known here; templates read input, steps, item'],
    ['{{email}}', 2, 'email is not known here; templates read input, steps, item'],
    ['{{#each input.list}}{{name}}{{/each}}', 22, 'of the value of the block write this.name'],
    ['{{#each input.list as |x|}}{{y}}{{/each}}', 29, 'y is not known here'],
    ['{{#each input.list as |x|}}{{/each}}{{x}}', 38, 'x is not known here'],
    ['{{#each input.list as |x|}}{{else}}{{x}}{{/each}}', 37, 'x is not known here'],
    ['{{this}}', 2, 'within each and with only'],
    ['{{.}}', 2, 'within each and with only'],
    ['{{#if input.x}}{{this.y}}{{/if}}', 17, 'within each and with only'],
    ['{{#each input.list}}{{../input.x}}{{/each}}', 22, '../ is not available'],
    ['{{@index}}', 2, 'within each only'],
    ['{{#with input.o}}{{@key}}{{/with}}', 19, 'within each only'],
    ['{{@root.input.x}}', 2, 'there is no @root.input.x'],
    ['{{#each input.list}}{{@../index}}{{/each}}', 22, 'there is no @../index'],
    ['{{@constructor}}', 2, 'there is no @constructor'],
    ['{{summ input.list}}', 2, 'there is no helper summ'],
    ['{{lookup input "x"}}', 2, 'there is no helper lookup'],
    ['{{log input.x}}', 2, 'there is no helper log'],
    ['{{constructor input.x}}', 2, 'there is no helper constructor'],
    ['{{helperMissing input.x}}', 2, 'there is no helper helperMissing'],
    ['{{json (nope input.x)}}', 8, 'there is no helper nope'],
    ['{{input.sum input.x}}', 2, 'there is no helper input.sum'],
    ['{{count}}', 2, 'count takes 1 arguments, not 0, as in {{count list}}'],
    ['{{json input.x input.y}}', 2, 'json takes 1 arguments, not 2'],
    ['{{default input.x}}', 2, 'default takes 2 to 16 arguments, not 1'],
    ['{{join input.x sep=","}}', 15, 'no named arguments such as sep='],
    ['{{#if input.x includeZero=true}}{{/if}}', 14, 'no named arguments such as includeZero='],
    ['{{json undefined}}', 7, 'null is'],
    ['{{"text"}}', 0, 'begins with a path or a helper'],
    ['{{5}}', 0, 'begins with a path or a helper'],
    ['{{{input.x}}}', 0, 'third brace'],
    ['{{{{if input.x}}}}a{{{{/if}}}}', 0, 'third brace'],
    ['{{&input.x}}', 0, 'without &'],
    ['x {{> part}}', 2, 'partials and decorators'],
    ['{{#> part}}{{/part}}', 0, 'partials and decorators'],
    ['{{* deco}}', 0, 'partials and decorators'],
    ['{{#*inline "x"}}{{/inline}}', 0, 'partials and decorators'],
    ['{{#input.list}}{{/input.list}}', 0, 'there is no block input.list'],
    ['{{#blockHelperMissing input.x}}{{/blockHelperMissing}}', 0, 'there is no block blockHelperMissing'],
    ['{{#if}}{{/if}}', 0, 'if takes one value'],
    ['{{#each input.a input.b}}{{/each}}', 0, 'each takes one value'],
    ['{{#if input.x as |y|}}{{/if}}', 0, 'if gives 0 names'],
    ['{{#each input.x as |a b c|}}{{/each}}', 0, 'each gives 2 names'],
    ['{{#each input.x as |steps|}}{{/each}}', 0, 'steps already has a meaning'],
    ['ab {{input.x', 3, 'this {{ has no }} after it'],
    ['{{#if input.x}}', 0, 'each block needs its end'],
    ['{{#if input.x}}{{/each}}', 0, "if doesn't match each"],
    ['{{input.list.0}}', 0, 'in brackets, as in list.[0]'],
    ['{{input..x}}', 7, '../ is not available'],
  ])('%s at %d: %s', (text, offset, message) => {
    const [first] = problems(text);
    expect(first).toMatchObject({ pointer: '', offset });
    expect(first?.message).toContain(message);
  });

  it('name unknown words and those that could stand there', () => {
    expect(problems('{{summ input.x}}')[0]?.unknown).toEqual({
      word: 'summ',
      known: ['json', 'sum', 'count', 'first', 'join', 'default', 'date'],
    });
    expect(problems('{{inptu.x}}')[0]?.unknown?.known).toEqual(
      expect.arrayContaining(['input', 'steps', 'item', 'sum']),
    );
    expect(problems('{{#iff input.x}}{{/iff}}')[0]?.unknown).toEqual({
      word: 'iff',
      known: ['if', 'unless', 'each', 'with'],
    });
  });

  it('are all reported, with the references beside them', () => {
    const { references, problems } = inspectTemplate(
      { a: '{{x}} {{input.ok}}', b: ['{{y', '{{count}}'] },
      'structure',
    );
    expect(problems.map(({ pointer }) => pointer)).toEqual(['/a', '/b/0', '/b/1']);
    expect(references).toHaveLength(1);
  });

  it('of a body template also tell what is no JSON', () => {
    expect(inspectTemplate('{"a": {{input.x}}', 'text').problems).toMatchObject([{ pointer: '', offset: 0 }]);
    expect(inspectTemplate('{"{{input.x}}": 1}', 'text').problems).toMatchObject([{ offset: 13 }]);
  });

  it('know the name of the element', () => {
    expect(inspectTemplate('{{customer.id}}', 'structure', { item: 'customer' }).references).toMatchObject([
      { path: ['customer', 'id'] },
    ]);
    expect(inspectTemplate('{{item}}', 'structure', { item: null }).problems).toHaveLength(1);
    expect(
      inspectTemplate('{{#each input.x as |c|}}{{/each}}', 'structure', { item: 'c' }).problems,
    ).toHaveLength(1);
  });
});

describe('a condition', () => {
  const said = (text: string) => inspectTemplate(text, 'condition').problems.map(({ message }) => message);

  it.each(['false', '0', 'null', 'no', 'False'])('that answers %s by a text would be true', (no) => {
    const message = `the text "${no}" counts as true, as any text does; leave the branch empty for false`;
    expect(said(`{{#if input.a}}yes{{else}} ${no} {{/if}}`)).toEqual([message]);
    expect(said(`{{#if input.a}}{{#if input.b}}${no}{{/if}}{{/if}}`)).toEqual([message]);
  });

  it.each([
    '{{input.a}}',
    '{{#if input.a}}yes{{/if}}',
    '{{default input.a false}}',
    '{{#if input.a}}nothing{{/if}}',
  ])('%s is one', (text) => expect(said(text)).toEqual([]));
});
