import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileSchema } from '../../src/reconcile/json-schema.ts';
import { Fault } from '../../src/reconcile/problems.ts';

const DRAFT_2020 = 'https://json-schema.org/draft/2020-12/schema';

function fault(schema: object): string {
  try {
    compileSchema(schema);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `${error.pointer}: ${error.message}${error.hint === null ? '' : ` (${error.hint})`}`;
  }
  return '';
}

describe('what is wrong with a schema is told at its place', () => {
  test.each([
    [
      { type: 'text' },
      '/type: "type" must be one of array, boolean, integer, null, number, object or string',
    ],
    [{ properties: { a: { minimum: '1' } } }, '/properties/a/minimum: "minimum" must be a number'],
    [{ properties: 3 }, '/properties: "properties" must be a mapping'],
    [{ $ref: '#/%zz' }, ': URI contains malformed percent-encoding.'],
    [{ requierd: ['a'] }, '/requierd: JSON Schema has no keyword "requierd" (did you mean required?)'],
    [
      { properties: { a: { exmaple: 1 } } },
      '/properties/a/exmaple: JSON Schema has no keyword "exmaple" (did you mean examples?)',
    ],
    [
      { type: 'object', email: { type: 'string' } },
      '/email: JSON Schema has no keyword "email" (remove it, or name it as an argument below properties)',
    ],
    ...[
      [{ $ref: '#' }, '/$ref'],
      [{ properties: { a: { $ref: '#/properties/a' } } }, '/properties/a/$ref'],
      [
        { definitions: { a: { $ref: '#/definitions/b' }, b: { $ref: '#/definitions/a' } } },
        '/definitions/b/$ref',
      ],
      [
        { properties: { a: { anyOf: [{ type: 'string' }, { $ref: '#/properties/a' }] } } },
        '/properties/a/anyOf/1/$ref',
      ],
      [
        { definitions: { a: { not: { allOf: [{ $ref: '#/definitions/a' }] } } } },
        '/definitions/a/not/allOf/0/$ref',
      ],
      [{ dependencies: { a: { $ref: '#' } } }, '/dependencies/a/$ref'],
      [{ definitions: { 'a b': { $ref: '#/definitions/a%20b' } } }, '/definitions/a b/$ref'],
      // By the names that $id and anchors give, too.
      [{ properties: { a: { $id: '#x', allOf: [{ $ref: '#x' }] } } }, '/properties/a/allOf/0/$ref'],
      [{ $id: 'https://x.example/y', properties: { a: { $ref: 'y#/properties/a' } } }, '/properties/a/$ref'],
      [{ definitions: { q: { $id: 'https://x.example/q', not: { $ref: 'q' } } } }, '/definitions/q/not/$ref'],
      [
        { $schema: DRAFT_2020, properties: { a: { $dynamicAnchor: 'x', $dynamicRef: '#x' } } },
        '/properties/a/$dynamicRef',
      ],
    ].map(([schema, pointer]): [object, string] => [
      schema as object,
      `${pointer}: the schema leads back to itself without an end (refer to it below properties or items, where the value ends it)`,
    ]),
    // A property may have the name of no keyword, and the same name as the mistake.
    [
      { properties: { titel: { type: 'string' } }, titel: 'x' },
      '/titel: JSON Schema has no keyword "titel" (did you mean title?)',
    ],
    [
      { properties: { a: { type: 'string', format: 'emial' } } },
      '/properties/a/format: there is no format "emial" (did you mean email?)',
    ],
    [
      { properties: { a: { $ref: '#/definitions/b' } } },
      '/properties/a/$ref: there is nothing at "#/definitions/b"',
    ],
    [
      { items: [{ $ref: 'https://x.example/y.json' }] },
      '/items/0/$ref: a reference to another document is not followed (copy it to definitions)',
    ],
    [
      { patternProperties: { a: { pattern: '(' } } },
      '/patternProperties/a/pattern: this is no regular expression: Unterminated group',
    ],
    [
      { $schema: 'http://json-schema.org/draft-04/schema#' },
      '/$schema: this dialect of JSON Schema is not known (leave $schema out, or name draft-07 or 2020-12)',
    ],
  ])('%j', (schema, said) => {
    expect(fault(schema)).toBe(said);
  });
});

test('a schema has its limit: to compile it must not keep calls waiting', () => {
  const of = (length: number) => ({ type: 'object', description: 'x'.repeat(length - 34) });
  expect(JSON.stringify(of(100))).toHaveLength(100);
  expect(fault(of(65_536))).toBe('');
  expect(fault(of(65_537))).toBe(': a schema may have 65536 characters as JSON, and this one has 65537');
});

describe('a schema that is sound', () => {
  test('holds values to it, and never repeats them', () => {
    const schema = compileSchema({
      type: 'object',
      required: ['a'],
      additionalProperties: false,
      properties: { a: { type: 'string', format: 'email' }, b: { enum: [1, 2] } },
    });
    expect(schema.fits({ a: 'x@y.example', b: 1 })).toBe(true);
    expect(schema.problems({ a: 'hunter2', b: 3, c: 1 })).toEqual([
      'arguments: there is no argument "c"',
      '/a: must match format "email"',
      '/b: must be one of [1,2]',
    ]);
    expect(schema.problems({})).toEqual(['arguments: a is missing']);
    expect(schema.problems([])).toEqual(['arguments: must be object']);
  });

  test('draft-07 and 2020-12 each by its own rules', () => {
    const prefix = { type: 'array', prefixItems: [{ type: 'string' }] };
    expect(
      compileSchema({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...prefix }).fits([1]),
    ).toBe(false);
    expect(fault(prefix)).toContain('no keyword "prefixItems"');
    expect(
      compileSchema({
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'array',
        items: [{ type: 'string' }],
      }).fits([1]),
    ).toBe(false);
  });

  test('is compiled once for each text', () => {
    const schema = { type: 'object', properties: { once: {} } };
    expect(compileSchema(structuredClone(schema))).toBe(compileSchema(schema));
  });

  test('is nothing to the next, whatever they call themselves', () => {
    const of = ($id: string, type: string) =>
      compileSchema({ $id, definitions: { a: { $id: 'a', type } }, $ref: '#/definitions/a' });
    const [text, number] = ['string', 'number'].map((type) => of('https://x.example/one', type));
    expect([text!.fits('x'), text!.fits(1), number!.fits('x'), number!.fits(1)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(fault({ $ref: 'https://x.example/one' })).toContain(
      'a reference to another document is not followed',
    );
    expect(fault({ $ref: 'a' })).toContain('a reference to another document is not followed');
    const meta = 'http://json-schema.org/draft-07/schema';
    expect(() => of(meta, 'string')).toThrow('already exists');
    expect(compileSchema({ $schema: meta, type: 'object', title: 'sound' }).fits({})).toBe(true);
    expect(fault({ $schema: meta, type: 'text' })).toContain('"type" must be one of');
  });

  test('may refer to itself', () => {
    const tree = compileSchema({
      type: 'object',
      properties: { child: { $ref: '#' } },
      additionalProperties: false,
    });
    expect([tree.fits({ child: { child: {} } }), tree.fits({ child: { x: 1 } })]).toEqual([true, false]);
  });
});

test('what is compiled at the first call is known to compile', () => {
  const name = fc.constantFrom('a', 'b', 'properties', 'constructor', 'x y', "'");
  const { schema } = fc.letrec((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3 },
      fc.boolean(),
      fc
        .dictionary(fc.constantFrom(...Object.keys(part)), fc.constant(null), { maxKeys: 4 })
        .chain((keys) =>
          fc.record(Object.fromEntries(Object.keys(keys).map((key) => [key, part[key]!(tie, name)]))),
        ),
    ),
  }));
  let compiled = 0;
  fc.assert(
    fc.property(fc.dictionary(name, schema), (properties) => {
      try {
        compileSchema({ properties });
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        return;
      }
      compiled += 1;
      expect(() => compileSchema({ properties }).fits({})).not.toThrow();
    }),
    { numRuns: 500 },
  );
  expect(compiled).toBeGreaterThan(50);
});

type Part = (tie: fc.LetrecLooselyTypedTie, name: fc.Arbitrary<string>) => fc.Arbitrary<unknown>;

const size: Part = () => fc.constantFrom(0, 1, 7, 1, 3, -1, 0.5);
const one: Part = (tie) => tie('schema');
const list: Part = (tie) => fc.array(tie('schema'), { maxLength: 3 });
const value: Part = () => fc.constantFrom(null, 1, 'x', [], {}, ['a'], true);

/** What the keywords of a schema hold, mostly as they should. */
const part: Readonly<Record<string, Part>> = {
  type: () => fc.constantFrom('string', 'object', 'array', 'integer', ['string', 'null'], [], 'text'),
  const: value,
  default: value,
  examples: () => fc.constantFrom([], [1], 1),
  title: () => fc.constantFrom('t', 'x', 1),
  enum: () => fc.constantFrom([1, 2], ['a'], [], [1, 1], [{}, {}], 'a'),
  required: () => fc.constantFrom(['a'], ['a', 'b'], [], ['a', 'a']),
  minimum: size,
  exclusiveMaximum: size,
  multipleOf: size,
  minLength: size,
  maxItems: size,
  minProperties: size,
  uniqueItems: () => fc.constantFrom(true, false, 1),
  pattern: () => fc.constantFrom('^a', '(', '\\p{L}', '\\_', '[', '\\', '/', "'"),
  format: () => fc.constantFrom('email', 'date-time', 'regex', 'emial', 'int32', 'constructor', 'toString'),
  properties: (tie, name) => fc.dictionary(name, tie('schema'), { maxKeys: 3 }),
  patternProperties: (tie) => fc.dictionary(fc.constantFrom('^a', '('), tie('schema'), { maxKeys: 1 }),
  additionalProperties: one,
  additionalItems: one,
  items: (tie) => fc.oneof(tie('schema'), fc.array(tie('schema'), { maxLength: 2 })),
  contains: one,
  not: one,
  if: one,
  allOf: list,
  anyOf: list,
  oneOf: list,
  nullable: () => fc.constant(true),
  $ref: () => fc.constantFrom('#', '#/properties/a', '#/nothing', 'x.json'),
};

test('a schema may refer to itself where the value ends it', () => {
  const tree = compileSchema({
    definitions: {
      node: {
        type: 'object',
        required: ['name'],
        properties: {
          name: { type: 'string' },
          children: { type: 'array', items: { $ref: '#/definitions/node' } },
          parent: { anyOf: [{ type: 'null' }, { $ref: '#/definitions/node' }] },
        },
      },
    },
    allOf: [{ $ref: '#/definitions/node' }, { $ref: '#/definitions/node' }],
  });
  expect(tree.fits({ name: 'a', children: [{ name: 'b', parent: { name: 'c', parent: null } }] })).toBe(true);
  expect(tree.fits({ name: 'a', children: [{ parent: null }] })).toBe(false);
});

test('a schema that refers to itself over and over bears values as deep as they may be', () => {
  const inner = { anyOf: [{ type: 'integer' }, { allOf: [{ $ref: '#/definitions/list' }] }] };
  const { problems } = compileSchema({
    properties: { a: { $ref: '#/definitions/list' } },
    definitions: { list: { type: 'array', items: inner } },
  });
  const nested = (levels: number, end: unknown): unknown =>
    JSON.parse(`${'['.repeat(levels)}${JSON.stringify(end)}${']'.repeat(levels)}`);
  // Replies nest up to 256 levels, arguments up to 64.
  expect(problems({ a: nested(256, 1) })).toEqual([]);
  expect(problems({ a: nested(256, 'x') })).not.toEqual([]);
});
