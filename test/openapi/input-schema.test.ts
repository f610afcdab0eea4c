import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../../src/openapi/document.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import { INPUT_LIMITS, inputProperties, inputSchema } from '../../src/openapi/input-schema.ts';
import type { Operation } from '../../src/openapi/operation.ts';
import { buildRequest, literalOperation } from '../../src/openapi/request.ts';
import type { SchemaLimits } from '../../src/openapi/schema.ts';
import { documentOf, type Json } from './documents.ts';
import { deref } from './generate.ts';

/** The schema of the one operation of a document. */
function schemaOf(operation: Json, components: Json = {}, limits?: SchemaLimits) {
  const document = documentOf({ '/a': { post: operation } }, { components });
  const [found] = indexDocument(document).operations.values();
  return inputSchema(document, found!, limits);
}

const bodySchemaOf = (schema: unknown, components: Json = {}, limits?: SchemaLimits) => {
  const requestBody = { content: { 'application/json': { schema } } };
  return (schemaOf({ requestBody }, components, limits).properties as Json).body;
};

/** As strict as the gateway is with the schemas of manifests (`reconcile/json-schema.ts`). */
function compile(schema: object) {
  const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allowUnionTypes: true });
  return formats.default(ajv).compile(schema);
}

describe('parameters', () => {
  test('are properties with their descriptions', () => {
    const parameters = [
      {
        name: 'id',
        in: 'query',
        required: true,
        description: 'Whose.',
        schema: { type: 'integer', minimum: 1 },
      },
      { name: 'size', in: 'query', required: true, schema: { type: 'integer', default: 20 } },
      { name: 'filter', in: 'query', content: { 'application/json': { schema: { type: 'object' } } } },
      { name: 'X-Reason', in: 'header', schema: { $ref: '#/components/schemas/Reason' } },
      { name: 'any', in: 'cookie' },
    ];
    const Reason = { type: 'string', description: 'Why.', maxLength: 9 };
    expect(schemaOf({ parameters }, { schemas: { Reason } })).toEqual({
      type: 'object',
      properties: {
        id: { description: 'Whose.', type: 'integer', minimum: 1 },
        size: { type: 'integer', default: 20 },
        filter: { type: 'object' },
        'x-reason': { type: 'string', description: 'Why.', maxLength: 9 },
        any: {},
      },
      required: ['id'],
      additionalProperties: false,
    });
  });

  test('with one name have two properties', () => {
    const parameters = [
      { name: 'id', in: 'query' },
      { name: 'id', in: 'header', required: true },
      { name: 'body', in: 'query' },
      { name: 'header_id', in: 'query' },
    ];
    const document = documentOf({
      '/a': { post: { parameters, requestBody: { required: true, content: { 'application/json': {} } } } },
    });
    const [operation] = indexDocument(document).operations.values();
    expect(inputProperties(operation!).map(({ name, parameter }) => [name, parameter?.in ?? null])).toEqual([
      ['query_id', 'query'],
      ['header_id_', 'header'],
      ['query_body', 'query'],
      ['header_id', 'query'],
      ['body', null],
    ]);
    expect(inputSchema(document, operation!).required).toEqual(['header_id_', 'body']);
  });

  test('of a path item that is referred to, overridden ones too', () => {
    const document = documentOf(
      { '/a/{id}': { $ref: '#/components/pathItems/A' } },
      {
        components: {
          pathItems: {
            A: {
              parameters: [{ name: 'id', in: 'path', schema: { type: 'string' } }],
              get: { parameters: [{ name: 'id', in: 'path', schema: { type: 'integer' } }] },
            },
          },
        },
      },
    );
    const [operation] = indexDocument(document).operations.values();
    expect(inputSchema(document, operation!).properties).toEqual({ id: { type: 'integer' } });
  });

  test('of an operation that is from no document are texts', () => {
    expect(inputSchema({}, literalOperation('GET', '/a/{b}'))).toEqual({
      type: 'object',
      properties: { b: { type: 'string' } },
      required: ['b'],
      additionalProperties: false,
    });
  });
});

describe('keywords', () => {
  test('of OpenAPI 3.0 are those of JSON Schema', () => {
    expect(
      bodySchemaOf({
        type: 'object',
        required: ['a', 'b', 'b', 1],
        properties: {
          a: {
            type: 'integer',
            minimum: 0,
            exclusiveMinimum: true,
            maximum: 9,
            exclusiveMaximum: false,
            nullable: true,
          },
          b: { type: 'string', enum: ['x', 'y'], nullable: true, example: 'x', format: 'date' },
        },
        discriminator: { propertyName: 'b' },
        xml: {},
        'x-own': 1,
      }),
    ).toEqual({
      type: 'object',
      properties: {
        a: { type: ['integer', 'null'], exclusiveMinimum: 0, maximum: 9 },
        b: { type: ['string', 'null'], enum: ['x', 'y', null], examples: ['x'], format: 'date' },
      },
      required: ['a', 'b'],
    });
  });

  test('of 3.1 are kept as far as draft-07 has them', () => {
    expect(
      bodySchemaOf({
        type: ['array', 'null'],
        prefixItems: [{ type: 'string' }],
        items: { type: 'integer' },
        exclusiveMinimum: 1,
        const: [1],
        examples: [[1]],
        $defs: {},
        unevaluatedItems: false,
        if: {},
        not: {},
      }),
    ).toEqual({ type: ['array', 'null'], exclusiveMinimum: 1, const: [1], examples: [[1]] });
    expect(bodySchemaOf({ items: true, additionalProperties: { type: 'string' }, minItems: 1 })).toEqual({
      items: {},
      additionalProperties: { type: 'string' },
      minItems: 1,
    });
    expect(bodySchemaOf({ properties: { a: false, b: true } })).toEqual({
      properties: { a: { not: {} }, b: {} },
    });
  });

  test('that are malformed are dropped', () => {
    expect(
      bodySchemaOf({
        type: ['file', 'string'],
        format: 'own',
        pattern: '(?<bad',
        minLength: -1,
        maxLength: '5',
        enum: 'x',
        required: 'a',
        allOf: {},
        properties: [],
        title: 1,
      }),
    ).toEqual({ type: 'string', required: ['a'] });
  });

  test('properties that only replies have are left out', () => {
    const schemas = { Id: { type: 'string', readOnly: true } };
    const schema = {
      required: ['id', 'name'],
      properties: { id: { $ref: '#/components/schemas/Id' }, name: {}, secret: { writeOnly: true } },
      additionalProperties: false,
    };
    expect(bodySchemaOf(schema, { schemas })).toEqual({
      properties: { name: {}, secret: {} },
      required: ['name'],
      additionalProperties: false,
    });
  });

  test('oneOf becomes anyOf, beside what is there', () => {
    const [a, b] = [{ type: 'string' }, { type: 'integer' }];
    expect(bodySchemaOf({ oneOf: [a, b] })).toEqual({ anyOf: [a, b] });
    expect(bodySchemaOf({ oneOf: [a], anyOf: [b], allOf: [a] })).toEqual({
      anyOf: [b],
      allOf: [a, { anyOf: [a] }],
    });
  });

  test('beside a reference hold with it', () => {
    const schemas = { A: { type: 'string', description: 'A.' } };
    expect(bodySchemaOf({ $ref: '#/components/schemas/A', description: 'Own.' }, { schemas })).toEqual({
      description: 'Own.',
      allOf: [{ type: 'string', description: 'A.' }],
    });
  });

  test('a property __proto__ is one like any other', () => {
    const schema = JSON.parse('{"properties": {"__proto__": {"type": "string"}}}');
    const { properties } = bodySchemaOf(schema) as { properties: object };
    expect(Object.keys(properties)).toEqual(['__proto__']);
  });
});

describe('bodies', () => {
  const content = (type: string, schema: unknown) =>
    (schemaOf({ requestBody: { description: 'What.', content: { [type]: { schema } } } }).properties as Json)
      .body;
  const bytes = [
    { type: 'string' },
    {
      type: 'object',
      properties: {
        base64: { type: 'string' },
        filename: { type: 'string' },
        content_type: { type: 'string' },
      },
      required: ['base64'],
      additionalProperties: false,
    },
  ];

  test('are described in the media type that the gateway prefers', () => {
    const requestBody = {
      content: {
        'text/plain': { schema: { type: 'string' } },
        'Application/JSON; v=1': { schema: { type: 'object' } },
      },
    };
    expect((schemaOf({ requestBody }).properties as Json).body).toEqual({ type: 'object' });
  });

  test('bytes may be given in base64 where they can be sent', () => {
    const binary = { type: 'string', format: 'binary' };
    expect(content('application/octet-stream', binary)).toEqual({ description: 'What.', anyOf: bytes });
    expect(
      content('multipart/form-data', { properties: { a: binary, b: { type: 'array', items: binary } } }),
    ).toEqual({
      description: 'What.',
      properties: { a: { anyOf: bytes }, b: { type: 'array', items: { anyOf: bytes } } },
    });
    expect(content('application/json', binary)).toEqual({ description: 'What.', type: 'string' });
  });
});

describe('recursion and size', () => {
  const Node = {
    type: 'object',
    properties: { name: { type: 'string' }, next: { $ref: '#/components/schemas/Node' } },
  };
  const node = (next: unknown) => ({ type: 'object', properties: { name: { type: 'string' }, next } });
  const ref = { $ref: '#/components/schemas/Node' };

  test('a schema is written out twice within itself', () => {
    expect(bodySchemaOf(ref, { schemas: { Node } })).toEqual(node(node(node({}))));
    const limits = { ...INPUT_LIMITS, recursion: 0 };
    expect(bodySchemaOf(ref, { schemas: { Node } }, limits)).toEqual(node({}));
  });

  test.each([
    ['itself', { A: { $ref: '#/components/schemas/A' } }],
    ['each other', { A: { $ref: '#/components/schemas/B' }, B: { $ref: '#/components/schemas/A' } }],
    [
      'itself in a branch',
      { A: { allOf: [{ $ref: '#/components/schemas/A' }, { $ref: '#/components/schemas/A' }] } },
    ],
    ['nothing', {}],
    ['the document', { A: { properties: { all: { $ref: '#' } } } }],
  ])('a schema that refers to %s ends', (_, schemas) => {
    const schema = bodySchemaOf({ $ref: '#/components/schemas/A' }, { schemas });
    expect(JSON.stringify(schema).length).toBeLessThan(2 * INPUT_LIMITS.bytes);
    expect(compile(schema as object)({ a: [1] })).toBe(true);
  });

  test('what is cut takes anything, and the deepest is cut first', () => {
    const wide: Json = { type: 'object', additionalProperties: false, required: ['p0'], properties: {} };
    for (let index = 0; index < 40; index += 1)
      (wide.properties as Json)[`p${index}`] = { $ref: '#/components/schemas/Wide' };
    const limits = { ...INPUT_LIMITS, bytes: 3000 };
    const schema = bodySchemaOf(
      { properties: { a: { $ref: '#/components/schemas/Wide' }, b: { type: 'integer' } } },
      { schemas: { Wide: wide } },
      limits,
    ) as Json;
    expect(JSON.stringify(schema).length).toBeLessThan(6000);
    const { a, b } = schema.properties as Record<string, Json>;
    expect(b).toEqual({ type: 'integer' });
    expect(Object.keys(a!.properties as Json)).toHaveLength(40);
    const validate = compile(schema);
    expect(validate({ a: { p0: { p0: { p0: { anything: 1 } } } }, b: 1 })).toBe(true);
    expect(validate({ a: { other: 1 } })).toBe(false);
  });

  test('a chain of 100,000 references, and 100,000 properties, end', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, index) => [
        `L${index}`,
        { $ref: `#/components/schemas/L${index + 1}` },
      ]),
    );
    expect(bodySchemaOf({ $ref: '#/components/schemas/L0' }, { schemas: chain })).toEqual({});
    const properties = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`p${index}`, {}]));
    expect(bodySchemaOf({ properties, additionalProperties: false })).toEqual({});
  });

  test('an operation with a thousand parameters lists half of them', () => {
    const parameters = Array.from({ length: 1000 }, (_, index) => ({
      name: `p${index}`,
      in: 'query',
      required: true,
    }));
    const schema = schemaOf({ parameters });
    expect(Object.keys(schema.properties as Json)).toHaveLength(500);
    expect(schema.required).toHaveLength(500);
    expect(schema).not.toHaveProperty('additionalProperties');
  });
});

describe('of GitHub', () => {
  const { resolve } = createRequire(import.meta.url);
  const file = join(dirname(resolve('@octokit/openapi')), 'generated/api.github.com.json');
  const document = readDocument(readFileSync(file)) as Json;
  const operations = [...indexDocument(document).operations.values()];

  test('all have a schema below the limit', () => {
    for (const operation of operations) {
      const size = JSON.stringify(inputSchema(document, operation)).length;
      expect(size, operation.id).toBeLessThan(INPUT_LIMITS.bytes);
    }
  });

  /** The schema and the examples of an operation's JSON body, as they are written. */
  function bodyOf(operation: Operation): { schema: Json; examples: unknown[] } {
    const [, , path, method] = operation.pointer!.split('/').map((part) => part.replaceAll('~1', '/'));
    const raw = ((document.paths as Json)[path!] as Json)[method!] as Json;
    const content = (deref(document, raw.requestBody).content ?? {}) as Record<string, Json>;
    const { schema = {}, examples = {} } = content['application/json'] ?? {};
    const values = Object.values(examples as Json).map((example) => deref(document, example).value);
    return { schema: schema as Json, examples: values };
  }

  test('take their own examples, unless the document itself does not, and can be sent', () => {
    let tried = 0;
    for (const operation of operations.filter((_, index) => index % 4 === 0)) {
      const { schema, examples } = bodyOf(operation);
      if (examples.length === 0) continue;
      const validate = compile((inputSchema(document, operation).properties as Record<string, object>).body!);
      const path = Object.fromEntries(
        operation.parameters.filter((one) => one.in === 'path').map(({ name }) => [name, 'x']),
      );
      for (const example of examples) {
        tried += 1;
        if (!validate(example)) {
          const written = new Ajv({ strict: false, logger: false });
          expect(
            written.validate({ ...schema, components: document.components }, example),
            operation.id,
          ).toBe(false);
        }
        expect(buildRequest(operation, { path, body: example }).body).toBe(JSON.stringify(example));
      }
    }
    expect(tried).toBeGreaterThan(50);
  });
});
