import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../../src/openapi/document.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import { buildRequest } from '../../src/openapi/request.ts';
import { documentOf, operationOf, operationWith } from './documents.ts';

const index = (paths: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  indexDocument(documentOf(paths, more));

describe('the document', () => {
  test.each([
    [null, 'an OpenAPI document is an object, not nothing'],
    [[], 'an OpenAPI document is an object, not a list'],
    ['openapi', 'an OpenAPI document is an object, not a text'],
    [{}, 'the field openapi is missing: this is no OpenAPI document'],
    [{ swagger: '2.0' }, 'the document is Swagger 2.0: convert it to OpenAPI 3.0 or 3.1'],
    [{ openapi: 3.1 }, 'openapi must be a text such as "3.0.3", not a number'],
    [{ openapi: '3.2.0' }, 'OpenAPI "3.2.0" cannot be read: only 3.0 and 3.1 can'],
    [{ openapi: '2.0' }, 'OpenAPI "2.0" cannot be read: only 3.0 and 3.1 can'],
  ])('%j is none', (document, message) => {
    expect(() => indexDocument(document)).toThrow(message);
  });

  test.each(['3.0', '3.0.0', '3.0.4', '3.1', '3.1.2'])('OpenAPI %s is one', (openapi) => {
    expect(indexDocument({ openapi })).toEqual({
      title: '',
      version: '',
      server: null,
      operations: new Map(),
      problems: [],
    });
  });

  test('title and version are those of the API', () => {
    expect(indexDocument({ openapi: '3.0.3', info: { title: 'CRM', version: 1.5 } })).toMatchObject({
      title: 'CRM',
      version: '1.5',
    });
    expect(indexDocument({ openapi: '3.0.3', info: 'CRM' })).toMatchObject({ title: '', version: '' });
  });
});

describe('servers', () => {
  const server = (servers: unknown, url?: string) => {
    const found = indexDocument({ openapi: '3.1.0', servers }, { url });
    return found.server ?? found.problems[0]?.message ?? null;
  };

  test.each([
    [[{ url: 'https://a.example' }], 'https://a.example'],
    [[{ url: 'https://a.example/v1/' }, { url: 'https://b.example' }], 'https://a.example/v1'],
    [[{ url: 'HTTPS://A.Example:443/v1' }], 'https://a.example/v1'],
    [
      [
        {
          url: '{scheme}://{host}:{port}/v{version}',
          variables: {
            scheme: { default: 'http' },
            host: { default: 'a.example' },
            port: { enum: ['8080'], default: '8080' },
            version: { default: 2 },
          },
        },
      ],
      'http://a.example:8080/v2',
    ],
    [undefined, null],
    [[], null],
    [[{ url: '/v1' }], null],
    [[{ url: 'https://{host}/v1' }], 'it names no base URL: the server variable "host" has no default'],
    [
      [{ url: 'ftp://a.example' }],
      'it names no base URL: the server "ftp://a.example" is not an http or https URL',
    ],
    [[{ url: 'https://' }], 'it names no base URL: the server "https://" is not an http or https URL'],
    [
      [{ url: 'https://u:p@a.example' }],
      'it names no base URL: the server "https://u:p@a.example" has a user, a query or a fragment',
    ],
    [
      [{ url: 'https://a.example/?x=1' }],
      'it names no base URL: the server "https://a.example/?x=1" has a user, a query or a fragment',
    ],
    ['https://a.example', 'it names no base URL: servers must be a list, not a text'],
    [['https://a.example'], 'it names no base URL: a server must be an object, not a text'],
    [[{}], 'it names no base URL: a server needs the text url'],
  ])('%j', (servers, expected) => {
    expect(server(servers)).toBe(expected);
  });

  test('relative ones are below the place that the document is from', () => {
    expect(server([{ url: '/v1' }], 'https://a.example/docs/openapi.json')).toBe('https://a.example/v1');
    expect(server([{ url: 'v1' }], 'https://a.example/docs/openapi.json')).toBe('https://a.example/docs/v1');
    expect(server(undefined, 'https://a.example/docs/openapi.json')).toBe('https://a.example');
  });

  test('an operation keeps servers of its own, and of its path', () => {
    const own = [{ url: 'https://own.example/x' }];
    const found = index(
      {
        '/a': {
          get: { operationId: 'a', servers: own },
          put: { operationId: 'same', servers: [{ url: 'https://a.example/' }] },
        },
        '/b': { servers: own, get: { operationId: 'b' }, put: { operationId: 'c', servers: [] } },
        '/d': { get: { operationId: 'd' }, put: { operationId: 'e', servers: [{ url: '/v2' }] } },
      },
      { servers: [{ url: 'https://a.example' }] },
    );
    expect([...found.operations.values()].map(({ id, server }) => [id, server])).toEqual([
      ['a', 'https://own.example/x'],
      ['same', null],
      ['b', 'https://own.example/x'],
      ['c', 'https://own.example/x'],
      ['d', null],
    ]);
    expect(found.problems).toEqual([
      {
        pointer: '/paths/~1d/put/servers',
        message:
          'operation "e" is left out: its server is relative, and where the document is from is not known',
        operation_id: 'e',
      },
    ]);
  });
});

describe('operations', () => {
  test('keep what people and programs are shown', () => {
    const operation = operationOf('head', '/a', {
      operationId: 'look',
      summary: 'Looks.',
      description: 'Looks **well**.',
      tags: ['a', 1, 'b'],
      deprecated: true,
    });
    expect(operation).toEqual({
      id: 'look',
      method: 'HEAD',
      path: '/a',
      safe: true,
      summary: 'Looks.',
      description: 'Looks **well**.',
      tags: ['a', 'b'],
      deprecated: true,
      server: null,
      parameters: [],
      body: null,
      literal: false,
      pointer: '/paths/~1a/head',
    });
  });

  test('are there for every method but TRACE', () => {
    const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
    const item = Object.fromEntries(methods.map((method) => [method, {}]));
    const found = index({ '/a': { ...item, summary: 'x', 'x-get': {}, GET: {} } });
    expect([...found.operations.keys()]).toEqual(
      methods.slice(0, -1).map((method) => `${method.toUpperCase()} /a`),
    );
    expect(found.problems).toMatchObject(
      [{ pointer: '/paths/~1a/trace', operation_id: 'TRACE /a', message: /does not send TRACE/ }].map(
        (problem) => ({ ...problem, message: expect.stringMatching(problem.message) }),
      ),
    );
  });

  test('without an id go by method and path', () => {
    const found = index({ '/a/{b}': { get: { parameters: [{ name: 'b', in: 'path' }], operationId: '' } } });
    expect([...found.operations.keys()]).toEqual(['GET /a/{b}']);
    expect(found.problems).toEqual([]);
  });

  test('with the id of an earlier one do so too', () => {
    const found = index({
      '/a': { get: { operationId: 'same' }, put: { operationId: 'same' } },
      '/b': { get: { operationId: 'same' }, put: { operationId: 'GET /c' } },
      '/c': { get: { operationId: 'same' } },
    });
    expect([...found.operations.values()].map(({ id, method, path }) => [id, method, path])).toEqual([
      ['same', 'GET', '/a'],
      ['PUT /a', 'PUT', '/a'],
      ['GET /b', 'GET', '/b'],
      ['GET /c', 'PUT', '/b'],
    ]);
    expect(found.problems.map(({ pointer, message }) => `${pointer}: ${message}`)).toEqual([
      '/paths/~1a/put/operationId: another operation has the id "same": this one goes by "PUT /a"',
      '/paths/~1b/get/operationId: another operation has the id "same": this one goes by "GET /b"',
      '/paths/~1c/get/operationId: operation "same" is left out: another operation has the id "same"',
    ]);
  });

  test.each([1, null, { a: 1 }, 'a\nb', 'x'.repeat(257)])('with the id %j do so too', (operationId) => {
    const found = index({ '/a': { get: { operationId } } });
    expect([...found.operations.keys()]).toEqual(['GET /a']);
    expect(found.problems).toMatchObject([{ pointer: '/paths/~1a/get/operationId', operation_id: null }]);
  });

  test('ids that objects have are ids like any other', () => {
    for (const operationId of ['__proto__', 'constructor', 'toString']) {
      const document = JSON.parse(JSON.stringify(documentOf({ '/a': { get: { operationId } } })));
      expect(indexDocument(document).operations.get(operationId)?.path).toBe('/a');
    }
  });

  test('on one path can be told apart by a fragment, which is not sent', () => {
    const found = index({ '/a#one': { get: {} }, '/a#two': { get: {} } });
    expect([...found.operations.values()].map(({ id, path }) => [id, path])).toEqual([
      ['GET /a#one', '/a'],
      ['GET /a#two', '/a'],
    ]);
  });

  test('come from a path item that is referred to, with the fields beside the reference first', () => {
    const found = index(
      {
        '/a': { $ref: '#/components/pathItems/A', put: { operationId: 'own' } },
        '/b': { $ref: '#/paths/~1a' },
      },
      {
        components: {
          pathItems: {
            A: {
              parameters: [{ name: 'q', in: 'query' }],
              get: { operationId: 'get' },
              put: { operationId: 'referred' },
            },
          },
        },
      },
    );
    expect([...found.operations.values()].map(({ id, parameters }) => [id, parameters.length])).toEqual([
      ['get', 1],
      ['own', 1],
      ['GET /b', 1],
      ['PUT /b', 1],
    ]);
  });

  test('are frozen, and share what they refer to', () => {
    const found = index(
      {
        '/a': { get: { parameters: [{ $ref: '#/components/parameters/Q' }] } },
        '/b': { get: { parameters: [{ $ref: '#/components/parameters/Q' }] } },
      },
      { components: { parameters: { Q: { name: 'q', in: 'query' } } } },
    );
    const [a, b] = [...found.operations.values()];
    expect(a?.parameters[0]).toBe(b?.parameters[0]);
    expect(Object.isFrozen(a) && Object.isFrozen(a?.parameters) && Object.isFrozen(a?.parameters[0])).toBe(
      true,
    );
  });
});

describe('parameters', () => {
  test('of the operation override those of the path with the same name and place', () => {
    const found = index({
      '/a/{id}': {
        parameters: [
          { name: 'id', in: 'path', required: true, style: 'label' },
          { name: 'id', in: 'query' },
          { name: 'X-A', in: 'header' },
        ],
        get: {
          parameters: [
            { name: 'id', in: 'path', required: true, style: 'matrix' },
            { name: 'x-a', in: 'header', required: true },
            { name: 'new', in: 'query' },
          ],
        },
      },
    });
    const [operation] = found.operations.values();
    expect(
      operation?.parameters.map(({ name, in: place, style, required }) => [name, place, style, required]),
    ).toEqual([
      ['id', 'path', 'matrix', true],
      ['id', 'query', 'form', false],
      ['x-a', 'header', 'simple', true],
      ['new', 'query', 'form', false],
    ]);
  });

  test('have the defaults of their place', () => {
    const spelling = (parameter: Record<string, unknown>) => {
      const { style, explode, allow_reserved } = operationWith({ name: 'a', ...parameter }).parameters[0]!;
      return [style, explode, allow_reserved];
    };
    expect(spelling({ in: 'path' })).toEqual(['simple', false, false]);
    expect(spelling({ in: 'query' })).toEqual(['form', true, false]);
    expect(spelling({ in: 'header' })).toEqual(['simple', false, false]);
    expect(spelling({ in: 'cookie' })).toEqual(['form', true, false]);
    expect(spelling({ in: 'query', style: 'deepObject' })).toEqual(['deepObject', false, false]);
    expect(spelling({ in: 'query', style: 'form', explode: false, allowReserved: true })).toEqual([
      'form',
      false,
      true,
    ]);
  });

  test('that OpenAPI has ignored are ignored', () => {
    const parameters = ['Accept', 'content-type', 'AUTHORIZATION', 'X-A'].map((name) => ({
      name,
      in: 'header',
    }));
    expect(operationOf('get', '/a', { parameters }).parameters.map(({ name }) => name)).toEqual(['x-a']);
  });

  test('in the path are required, whatever the document says', () => {
    expect(operationWith({ name: 'a', in: 'path', required: false }).parameters[0]?.required).toBe(true);
  });

  test('that the path does not name are not used; names that are not described are texts', () => {
    const found = index({
      '/a/{b}/{c}': {
        get: {
          parameters: [
            { name: 'd', in: 'path' },
            { name: 'c', in: 'path' },
          ],
        },
      },
    });
    const [operation] = found.operations.values();
    expect(operation?.parameters.map(({ name }) => name)).toEqual(['c', 'b']);
    expect(found.problems).toEqual([
      {
        pointer: '/paths/~1a~1{b}~1{c}/get/parameters/0',
        message: '"/a/{b}/{c}" has no {d}: the parameter is not used',
        operation_id: null,
      },
      {
        pointer: '/paths/~1a~1{b}~1{c}/get',
        message: 'no parameter describes {b} of the path: it is taken as a text',
        operation_id: null,
      },
    ]);
  });

  test('that are listed twice count once', () => {
    const found = index({
      '/a': {
        get: {
          parameters: [
            { name: 'q', in: 'query', style: 'form' },
            { name: 'q', in: 'query', style: 'deepObject' },
          ],
        },
      },
    });
    expect([...found.operations.values()][0]?.parameters).toMatchObject([{ style: 'form' }]);
    expect(found.problems).toMatchObject([
      { pointer: '/paths/~1a/get/parameters/1', message: 'the query parameter "q" was given before' },
    ]);
  });

  test('keep the default of their schema, also of one that is referred to', () => {
    const schemas = { A: { $ref: '#/components/schemas/B' }, B: { default: ['x'] } };
    const parameters = [
      { name: 'a', in: 'query', required: true, schema: { $ref: '#/components/schemas/A' } },
      { name: 'b', in: 'query', schema: { $ref: '#/nowhere' } },
      { name: 'c', in: 'query', schema: true },
    ];
    const operation = operationOf('get', '/a', { parameters }, { components: { schemas } });
    expect(operation.parameters.map((parameter) => parameter.default)).toEqual([['x'], undefined, undefined]);
    expect(buildRequest(operation, {}).target).toBe('/a?a=x');
  });
});

describe('what is malformed is a problem, and is left out', () => {
  const good = { get: { operationId: 'good' } };

  test.each([
    [
      'an operation that is a text',
      { '/a': { get: 'x' } },
      '/paths/~1a/get',
      'an operation must be an object, not a text',
    ],
    [
      'one that is nothing',
      { '/a': { get: null } },
      '/paths/~1a/get',
      'an operation must be an object, not nothing',
    ],
    [
      'parameters that are no list',
      { '/a': { get: { parameters: {} } } },
      '/paths/~1a/get/parameters',
      'parameters must be a list, not an object',
    ],
    [
      'a parameter that is a text',
      { '/a': { get: { parameters: ['q'] } } },
      '/paths/~1a/get/parameters/0',
      'an object is expected here, not a text',
    ],
    [
      'one without a name',
      { '/a': { get: { parameters: [{ in: 'query' }] } } },
      '/paths/~1a/get/parameters/0',
      'a parameter needs the texts name and in',
    ],
    [
      'one without a place',
      { '/a': { get: { parameters: [{ name: 'q' }] } } },
      '/paths/~1a/get/parameters/0',
      'a parameter needs the texts name and in',
    ],
    [
      'one in a body',
      { '/a': { get: { parameters: [{ name: 'q', in: 'body' }] } } },
      '/paths/~1a/get/parameters/0/in',
      'a parameter is in path, query, header or cookie, not "body"',
    ],
    [
      'one in a prototype',
      { '/a': { get: { parameters: [{ name: 'q', in: 'toString' }] } } },
      '/paths/~1a/get/parameters/0/in',
      'a parameter is in path, query, header or cookie, not "toString"',
    ],
    [
      'a style of another place',
      { '/a': { get: { parameters: [{ name: 'q', in: 'query', style: 'matrix' }] } } },
      '/paths/~1a/get/parameters/0/style',
      'the style must be form or spaceDelimited or pipeDelimited or deepObject, not "matrix"',
    ],
    [
      'a header with a space',
      { '/a': { get: { parameters: [{ name: 'a b', in: 'header' }] } } },
      '/paths/~1a/get/parameters/0',
      '"a b" is not a name that a header can have',
    ],
    [
      'a cookie with a semicolon',
      { '/a': { get: { parameters: [{ name: 'a;b', in: 'cookie' }] } } },
      '/paths/~1a/get/parameters/0',
      '"a;b" is not a name that a cookie can have',
    ],
    [
      'empty content',
      { '/a': { get: { parameters: [{ name: 'q', in: 'query', content: {} }] } } },
      '/paths/~1a/get/parameters/0/content',
      'content must name a media type',
    ],
    [
      'a reference to nothing',
      { '/a': { get: { parameters: [{ $ref: '#/components/parameters/X' }] } } },
      '/paths/~1a/get/parameters/0',
      'there is nothing at "#/components/parameters/X"',
    ],
    [
      'one that is no pointer',
      { '/a': { get: { parameters: [{ $ref: '#x' }] } } },
      '/paths/~1a/get/parameters/0',
      '"#x" is not a JSON pointer',
    ],
    [
      'one to a file',
      { '/a': { get: { parameters: [{ $ref: './q.yaml' }] } } },
      '/paths/~1a/get/parameters/0',
      '"./q.yaml" is outside of this document, and is never fetched',
    ],
    [
      'one to a server',
      { '/a': { get: { requestBody: { $ref: 'http://127.0.0.1/b' } } } },
      '/paths/~1a/get/requestBody',
      '"http://127.0.0.1/b" is outside of this document, and is never fetched',
    ],
    [
      'one that is a number',
      { '/a': { get: { requestBody: { $ref: 1 } } } },
      '/paths/~1a/get/requestBody',
      '$ref must be a text',
    ],
    [
      'one to a prototype',
      { '/a': { get: { parameters: [{ $ref: '#/constructor/prototype' }] } } },
      '/paths/~1a/get/parameters/0',
      'there is nothing at "#/constructor/prototype"',
    ],
    [
      'one in a circle',
      { '/a': { get: { parameters: [{ $ref: '#/paths/~1a/get/parameters/0' }] } } },
      '/paths/~1a/get/parameters/0',
      'the reference leads in a circle, or through more than 32 others',
    ],
    [
      'a body without content',
      { '/a': { get: { requestBody: {} } } },
      '/paths/~1a/get/requestBody/content',
      'a request body needs content: a map of media types',
    ],
    [
      'a body of no type',
      { '/a': { get: { requestBody: { content: { 'multipart/mixed': {} } } } } },
      '/paths/~1a/get/requestBody/content',
      'the gateway can write none of these media types',
    ],
  ])('%s', (_, paths, pointer, message) => {
    const found = index({ ...paths, '/good': good });
    expect([...found.operations.keys()]).toEqual(['good']);
    expect(found.problems).toEqual([
      { pointer, message: `operation "GET /a" is left out: ${message}`, operation_id: 'GET /a' },
    ]);
  });

  test.each([
    ['/a', 'x', '/paths/~1a', 'a path item must be an object, not a text'],
    [
      '/a',
      { $ref: '#/paths/~1a' },
      '/paths/~1a',
      'the reference leads in a circle, or through more than 32 others',
    ],
    [
      '/a',
      { $ref: 'other.yaml' },
      '/paths/~1a',
      '"other.yaml" is outside of this document, and is never fetched',
    ],
    ['a', good, '/paths/a', 'a path must begin with a slash'],
    [
      '/a?x=1',
      good,
      '/paths/~1a?x=1',
      'a path may not hold "?", "#" or "\\"; parameters belong in the query',
    ],
    ['/a/../b', good, '/paths/~1a~1..~1b', 'a path may not hold dot segments, in any encoding'],
  ])('path %s %j', (path, item, pointer, message) => {
    const found = index({ [path]: item, '/good': good, 'x-note': 1 });
    expect([...found.operations.keys()]).toEqual(['good']);
    expect(found.problems).toEqual([
      { pointer, message: `path ${JSON.stringify(path)} is left out: ${message}`, operation_id: null },
    ]);
  });

  test('paths that are a list', () => {
    expect(index([] as never)).toMatchObject({
      problems: [{ pointer: '/paths', message: 'paths must be an object, not a list' }],
    });
  });

  test('what follows 200 problems is counted', () => {
    const paths = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`/${i}`, { get: 1 }]));
    const { problems } = index(paths);
    expect(problems).toHaveLength(201);
    expect(problems.at(-1)?.message).toBe('50 more problems are not listed');
  });
});

describe('hostile documents', () => {
  /** What stands where an object, list or text is expected. */
  const ODD = [null, true, 0, '', 'x', [], [[]], {}, { $ref: 1 }, { $ref: '#' }, { $ref: '#/paths' }];

  test('odd values in every place neither hang nor crash', () => {
    const whole = {
      openapi: '3.1.0',
      info: { title: 'T', version: '1' },
      servers: [{ url: 'https://{a}.example', variables: { a: { default: 'x' } } }],
      paths: {
        '/a/{b}': {
          servers: [{ url: 'https://b.example' }],
          parameters: [{ name: 'b', in: 'path', schema: { default: 1 }, style: 'simple', explode: false }],
          post: {
            operationId: 'a',
            tags: ['x'],
            parameters: [{ name: 'c', in: 'query', content: { 'application/json': { schema: {} } } }],
            requestBody: {
              content: {
                'multipart/form-data': {
                  schema: { properties: { d: { type: 'array', items: { format: 'binary' } } } },
                  encoding: { d: { contentType: 'text/plain', style: 'form' } },
                },
              },
            },
          },
        },
      },
    };
    let count = 0;
    const visit = (value: unknown, put: (odd: unknown) => void): void => {
      for (const odd of ODD) {
        put(odd);
        expect(() => indexDocument(whole)).not.toThrow();
        count += 1;
      }
      put(value);
      if (typeof value !== 'object' || value === null) return;
      const holder = value as Record<string, unknown>;
      for (const key of Object.keys(holder)) {
        visit(holder[key], (odd) => {
          holder[key] = odd;
        });
      }
    };
    for (const key of Object.keys(whole) as (keyof typeof whole)[]) {
      if (key === 'openapi') continue;
      visit(whole[key], (odd) => {
        (whole as Record<string, unknown>)[key] = odd;
      });
    }
    expect(count).toBeGreaterThan(400);
  });

  test('100,000 operations are indexed', () => {
    const paths = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [
        `/p${i}/{id}`,
        { parameters: [{ name: 'id', in: 'path' }], get: {} },
      ]),
    );
    expect(index(paths).operations.size).toBe(100_000);
  });

  /** 20,000 paths that are one item. */
  const repeated = (item: Record<string, unknown>) =>
    index(
      Object.fromEntries(
        Array.from({ length: 20_000 }, (_, i) => [`/p${i}`, { $ref: '#/components/pathItems/P' }]),
      ),
      { components: { pathItems: { P: item } } },
    );
  const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 20_000 }, (_, i) => make(i));

  test('a few references do not make many parameters', () => {
    const parameters = many((i) => ({ name: `q${i}`, in: 'query' }));
    const found = repeated({ get: { parameters } });
    expect(found.operations.size).toBe(10);
    expect(found.problems[0]?.message).toContain('the document has more than 200000 parameters');
    expect(repeated({ get: { parameters: [...parameters, {}] } }).operations.size).toBe(0);
  });

  test('what many refer to is read once, whether it is sound or not', () => {
    const content = Object.fromEntries(many((i) => [`multipart/x${i}`, {}]));
    expect(repeated({ get: { requestBody: { content } } }).problems).toHaveLength(201);
    const keys = Object.fromEntries(many((i) => [`x-${i}`, {}]));
    const found = repeated({
      ...keys,
      get: { ...keys, requestBody: { content: { ...content, ...keys, 'a/b': {} } } },
    });
    expect(found.operations.size).toBe(20_000);
  });

  test('a chain of 100,000 references ends', () => {
    const links = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [`L${i}`, { $ref: `#/components/parameters/L${i + 1}` }]),
    );
    const found = index(
      { '/a': { get: { parameters: [{ $ref: '#/components/parameters/L0' }] } } },
      { components: { parameters: links } },
    );
    expect(found.problems[0]?.message).toContain('leads in a circle');
  });
});

describe('memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  test('an index does not keep its document alive', async () => {
    let document: object | null = documentOf({ '/a': { get: { summary: 'x', tags: ['t'] } } }, { big: [1] });
    const found = indexDocument(document);
    const held = new WeakRef(document);
    document = null;
    // What a WeakRef has been asked for lives to the end of the turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
    expect(held.deref()).toBeUndefined();
    expect(found.operations.get('GET /a')?.tags).toEqual(['t']);
  });

  test('nor does it keep the text that a YAML document was read from', () => {
    const summary = 'a summary that is long enough to be a slice of its source';
    const bytes = Buffer.from(
      `openapi: 3.1.0\npaths:\n  /a:\n    get:\n      summary: ${summary}\n# ${'x'.repeat(20_000_000)}\n`,
    );
    // What TextDecoder makes of so many bytes is outside of the heap.
    const held = () => {
      collect();
      return process.memoryUsage().external;
    };
    const before = held();
    const found = indexDocument(readDocument(bytes, { max_bytes: bytes.length }));
    expect(held() - before).toBeLessThan(10_000_000);
    expect(found.operations.get('GET /a')?.summary).toBe(summary);
  });
});
