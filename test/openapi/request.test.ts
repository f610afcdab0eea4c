import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { givenProblems } from '../../src/openapi/given.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import { buildRequest, literalOperation } from '../../src/openapi/request.ts';
import { documentOf, operationOf, operationWith } from './documents.ts';

/** The INVALID_ARGUMENTS error that `make` ends with. */
function refusal(make: () => unknown): GatewayError {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS' });
    return error as GatewayError;
  }
  return expect.fail('nothing was refused');
}

const file = literalOperation('GET', '/files/{name}');
const fileTarget = (name: unknown, allow_slash = false) =>
  buildRequest(file, { path: { name } }, { allow_slash }).target;

describe('path values', () => {
  test.each([
    ['v1.2', 'v1.2'],
    ['a b', 'a%20b'],
    ['...', '...'],
    ['..a', '..a'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['a;b=c,d', 'a%3Bb%3Dc%2Cd'],
    ['ünï', '%C3%BCn%C3%AF'],
    ['?x#y', '%3Fx%23y'],
    [42, '42'],
    [false, 'false'],
  ])('%j is sent as %s', (value, text) => {
    expect(fileTarget(value)).toBe(`/files/${text}`);
  });

  test.each([
    ['.', 'is a dot segment'],
    ['..', 'is a dot segment'],
    ['%2e%2E', 'is a dot segment'],
    ['.%2e', 'is a dot segment'],
    ['%252e%252e', 'is a dot segment'],
    ['..;v=1', 'is a dot segment'],
    ['．．', 'is a dot segment'],
    ['‥', 'is a dot segment'],
    ['a/b', 'holds a slash or a backslash'],
    ['../b', 'holds a slash or a backslash'],
    ['a\\b', 'holds a slash or a backslash'],
    ['a%2fb', 'holds a slash or a backslash'],
    ['a%2Fb', 'holds a slash or a backslash'],
    ['a%5cb', 'holds a slash or a backslash'],
    ['a%25252fb', 'holds a slash or a backslash'],
    ['a／b', 'holds a slash or a backslash'],
    ['', 'is empty'],
    ['a\0', 'holds a control character'],
    ['a\nb', 'holds a control character'],
    ['a\u0085', 'holds a control character'],
    ['a%00', 'holds a control character'],
    ['a%0d%0a', 'holds a control character'],
    ['%c0%ae%c0%ae', 'holds percent-encoding that cannot be undone'],
    ['a%c0%afb', 'holds percent-encoding that cannot be undone'],
    [`a%${'25'.repeat(20)}2fb`, 'holds percent-encoding that cannot be undone'],
    ['\ud800', 'holds half of a surrogate pair'],
    [['a', ''], 'is empty'],
    [['a', '..'], 'is a dot segment'],
    [{ '..': 'a' }, 'is a dot segment'],
    [{ a: 'b/c' }, 'holds a slash or a backslash'],
    [[], 'has no value'],
    [{ a: null }, 'has no value'],
    [[[1]], 'holds a list or an object where only a text, number or boolean can stand'],
  ])('%j is refused: %s', (value, why) => {
    const error = refusal(() => fileTarget(value));
    expect(error.message).toBe(`path parameter "name" ${why}`);
    expect(error.details).toEqual({ path_parameter: 'name' });
  });

  test('a slash is allowed where the API says so, and nothing else', () => {
    expect(fileTarget('a/b/c.txt', true)).toBe('/files/a%2Fb%2Fc.txt');
    for (const value of ['a/../b', '..', 'a/.', 'a/%2e%2e/b', 'a\\b', 'a%2fb', 'a/\0']) {
      refusal(() => fileTarget(value, true));
    }
  });

  test('two values cannot make a dot segment together, nor one with the text beside it', () => {
    const two = literalOperation('GET', '/x/.{a}{b}');
    expect(buildRequest(two, { path: { a: 'v', b: 'w' } }).target).toBe('/x/.vw');
    expect(refusal(() => buildRequest(two, { path: { a: ';v', b: 'w' } })).message).toContain('dot segment');
    expect(() => buildRequest(two, { path: { a: '/', b: 'w' } }, { allow_slash: true })).toThrow(
      'dot segment',
    );
    const label = operationWith({ name: 'v', in: 'path', style: 'label' });
    expect(refusal(() => buildRequest(label, { path: { v: '.' } })).message).toContain('dot segment');
  });

  test('the texts around a value stay as they are, encoded where they must be', () => {
    const odd = literalOperation('GET', "/a b/Users('{id}')/%41:x@y;z=1/{base}...{head}");
    expect(buildRequest(odd, { path: { id: 1, base: 'a', head: 'b' } }).target).toBe(
      "/a%20b/Users('1')/%41:x@y;z=1/a...b",
    );
  });

  test('a message never shows the value', () => {
    const secret = 's3cret/..';
    expect(JSON.stringify(refusal(() => fileTarget(secret)))).not.toContain('s3cret');
  });
});

describe('queries', () => {
  const literal = literalOperation('GET', '/a');
  const query = (values: Record<string, unknown>) => buildRequest(literal, { query: values }).target;

  test('of a literal operation: any name, exploded form', () => {
    expect(query({ a: 1, b: [1, 2], c: { d: 'x y' }, e: null, f: undefined })).toBe('/a?a=1&b=1&b=2&d=x%20y');
    expect(query({ 'filter[status]': 'a&b=c', '&x': '#' })).toBe('/a?filter%5Bstatus%5D=a%26b%3Dc&%26x=%23');
    expect(query({})).toBe('/a');
  });

  test('an exploded object cannot bring in a second value for a name that is given', () => {
    for (const values of [
      { limit: 1, filter: { limit: 1000 } },
      { filter: { limit: 1000 }, limit: 1 },
    ]) {
      const error = refusal(() => query(values));
      expect(error.message).toBe('query parameter "filter" has the key "limit", which is given by "limit"');
      expect(error.details).toEqual({ query_parameter: 'filter' });
    }
    refusal(() => query({ a: { x: 1 }, b: { x: 2 } }));
    expect(query({ x: { x: 1, y: 2 } })).toBe('/a?x=1&y=2');
  });

  test('nor for one that the document describes, given or not', () => {
    const operation = operationOf('get', '/a', {
      parameters: [
        { name: 'filter', in: 'query', schema: { type: 'object' } },
        { name: 'admin', in: 'query', schema: { type: 'boolean' } },
        { name: 'page[size]', in: 'query' },
        { name: 'page', in: 'query', style: 'deepObject' },
      ],
    });
    refusal(() => buildRequest(operation, { query: { filter: { admin: true } } }));
    refusal(() => buildRequest(operation, { query: { page: { size: 1 } } }));
    expect(buildRequest(operation, { query: { filter: { owner: 'me' } } }).target).toBe('/a?owner=me');
  });
});

describe('an object where the document has none', () => {
  const given = (schema: object, value: unknown, place = 'query') => {
    const operation = operationOf('get', '/a', { parameters: [{ name: 'q', in: place, schema }] });
    const values =
      place === 'header'
        ? { headers: { q: value } }
        : { [place === 'cookie' ? 'cookies' : place]: { q: value } };
    return buildRequest(operation, values).target;
  };

  test.each<[string, object]>([
    ['a text', { type: 'string' }],
    ['a text or null', { type: ['string', 'null'] }],
    ['a list', { type: 'array' }],
    ['some values', { enum: ['a', 1, null] }],
    ['one of two', { oneOf: [{ type: 'string' }, { type: 'integer' }] }],
    ['any of two', { anyOf: [{ type: 'string' }, { enum: [1] }] }],
    ['all of some', { allOf: [{}, { type: 'number' }] }],
  ])('cannot bring in parameters of its own: %s', (_, schema) => {
    for (const place of ['query', 'cookie', 'header']) {
      const error = refusal(() => given(schema, { admin: 'true' }, place));
      expect(error.message).toBe(
        `${place} parameter "q" is an object, and the document says that it is none`,
      );
    }
  });

  test.each<[string, object]>([
    ['an object', { type: 'object' }],
    ['one of two', { oneOf: [{ type: 'string' }, { type: 'object' }] }],
    ['of which nothing is said', {}],
  ])('is sent where it may be one: %s', (_, schema) => {
    expect(given(schema, { admin: 'true' })).toBe('/a?admin=true');
  });

  test('is known through references, also those that lead nowhere', () => {
    const index = indexDocument({
      ...documentOf({
        '/a': {
          get: { parameters: [{ name: 'q', in: 'query', schema: { $ref: '#/components/schemas/Name' } }] },
        },
      }),
      components: {
        schemas: { Name: { allOf: [{ $ref: '#/components/schemas/Text' }] }, Text: { type: 'string' } },
      },
    });
    const reference = index.operations.get('GET /a')!;
    refusal(() => buildRequest(reference, { query: { q: { admin: 'true' } } }));
    expect(given({ $ref: '#/components/schemas/None' }, { a: 1 })).toBe('/a?a=1');
  });
});

describe('headers and cookies', () => {
  const literal = literalOperation('GET', '/a');

  test.each(['a\r\nx: y', 'a\n', 'a\0', 'a\u007f', 'snow ☃'])('%j is refused', (value) => {
    const error = refusal(() => buildRequest(literal, { headers: { 'X-Note': value } }));
    expect(error.message).toBe('header parameter "x-note" holds a character that HTTP does not allow there');
    expect(error.details).toEqual({ header: 'x-note' });
  });

  test('names are in lower case, values as they are', () => {
    expect(buildRequest(literal, { headers: { 'X-Note': 'é; "q", %41', 'X-None': null } }).headers).toEqual({
      'x-note': 'é; "q", %41',
    });
  });

  test('a cookie cannot bring in another', () => {
    expect(buildRequest(literal, { cookies: { a: 'x; admin=1', b: 2 } }).headers.cookie).toBe(
      'a=x%3B%20admin%3D1; b=2',
    );
    expect(buildRequest(literal, { headers: { Cookie: 'c=3' }, cookies: { a: 1 } }).headers.cookie).toBe(
      'c=3; a=1',
    );
    refusal(() => buildRequest(literal, { cookies: { a: { b: 1 }, b: 2 } }));
  });
});

describe('what is given', () => {
  const operation = operationOf(
    'post',
    '/a/{id}',
    {
      operationId: 'change',
      parameters: [
        { name: 'id', in: 'path', required: true, schema: {} },
        { name: 'Page', in: 'query', required: true, schema: {} },
        { name: 'size', in: 'query', required: true, schema: { $ref: '#/components/schemas/Size' } },
        { name: 'sort', in: 'query', schema: { default: 'up' } },
        { name: 'X-Reason', in: 'header', required: true, schema: {} },
        { name: 'sid', in: 'cookie', schema: {} },
      ],
      requestBody: { required: true, content: { 'application/json': {} } },
    },
    { components: { schemas: { Size: { default: 20 } } } },
  );
  const good = { path: { id: 1 }, query: { Page: 2 }, headers: { 'x-REASON': 'why' }, body: {} };

  test('is sent, with the defaults of what is required', () => {
    expect(buildRequest(operation, good)).toEqual({
      target: '/a/1?Page=2&size=20',
      headers: { 'x-reason': 'why', 'content-type': 'application/json' },
      body: '{}',
    });
    expect(buildRequest(operation, { ...good, query: { Page: 2, size: 5, sort: 'down' } }).target).toBe(
      '/a/1?Page=2&size=5&sort=down',
    );
  });

  test.each([
    [{ path: { id: 1, x: 2 } }, 'change has no path parameter "x"; it has id', { path_parameter: 'x' }],
    [
      { query: { Page: 1, page: 1 } },
      'change has no query parameter "page"; it has Page, size, sort',
      { query_parameter: 'page' },
    ],
    [
      { headers: { 'x-reason': 'y', 'X-HTTP-Method-Override': 'DELETE' } },
      'change has no header parameter "x-http-method-override"; it has x-reason',
      { header: 'x-http-method-override' },
    ],
    [{ cookies: { x: 1 } }, 'change has no cookie parameter "x"; it has sid', { cookie: 'x' }],
    [{ path: {} }, 'change needs the path parameter "id"', { path_parameter: 'id' }],
    [{ path: { id: null } }, 'change needs the path parameter "id"', { path_parameter: 'id' }],
    [{ query: {} }, 'change needs the query parameter "Page"', { query_parameter: 'Page' }],
    [{ query: { Page: undefined } }, 'change needs the query parameter "Page"', { query_parameter: 'Page' }],
    [{ query: { Page: [] } }, 'query parameter "Page" has no value', { query_parameter: 'Page' }],
    [{ headers: {} }, 'change needs the header parameter "x-reason"', { header: 'x-reason' }],
    [{ headers: { 'x-reason': {} } }, 'header parameter "x-reason" has no value', { header: 'x-reason' }],
    [{ body: undefined }, 'change needs a body', { field: 'body' }],
  ])('%j is refused', (given, message, details) => {
    const error = refusal(() => buildRequest(operation, { ...good, ...given }));
    expect(error.message).toBe(message);
    expect(error.details).toEqual(details);
  });

  test('names of prototypes are names like any other', () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      const query = Object.fromEntries([
        ['Page', 1],
        [name, 2],
      ]);
      expect(refusal(() => buildRequest(operation, { ...good, query })).message).toContain(name);
      const literal = literalOperation('GET', `/{${name}}`);
      refusal(() => buildRequest(literal, { path: {} }));
      expect(buildRequest(literal, { path: Object.fromEntries([[name, 1]]) }).target).toBe('/1');
    }
  });

  test('accept and content-type are always taken; others on the word of the configuration', () => {
    const headers = { ...good.headers, Accept: 'text/csv', 'Content-Type': 'application/json; v=2' };
    expect(buildRequest(operation, { ...good, headers }).headers).toEqual({
      'x-reason': 'why',
      accept: 'text/csv',
      'content-type': 'application/json; v=2',
    });
    const traced = { ...good.headers, traceparent: '00' };
    refusal(() => buildRequest(operation, { ...good, headers: traced }));
    expect(
      buildRequest(operation, { ...good, headers: traced }, { extra_headers: true }).headers,
    ).toMatchObject({ traceparent: '00' });
  });

  test('can be checked before there are values', () => {
    const template = { render: () => 'later' };
    expect(
      givenProblems(operation, {
        path: { id: template },
        query: { Page: template },
        headers: { 'x-reason': template },
        body: template,
      }),
    ).toEqual([]);
    expect(givenProblems(operation, { query: { pages: template } })).toEqual([
      { in: 'path', name: 'id', message: 'change needs the path parameter "id"' },
      {
        in: 'query',
        name: 'pages',
        message: 'change has no query parameter "pages"; it has Page, size, sort',
      },
      { in: 'query', name: 'Page', message: 'change needs the query parameter "Page"' },
      { in: 'header', name: 'x-reason', message: 'change needs the header parameter "x-reason"' },
      { in: 'body', name: 'body', message: 'change needs a body' },
    ]);
  });

  test('a long list of what exists is counted', () => {
    const parameters = Array.from({ length: 30 }, (_, index) => ({ name: `p${index}`, in: 'query' }));
    const many = operationOf('get', '/a', { parameters });
    expect(refusal(() => buildRequest(many, { query: { x: 1 } })).message).toMatch(/, p19 and 10 more$/);
    const none = operationOf('get', '/a', {});
    expect(refusal(() => buildRequest(none, { query: { x: 1 } })).message).toMatch(/; it has none$/);
  });
});

describe('literalOperation', () => {
  test('goes by its method and path', () => {
    expect(literalOperation('GET', '/a/{b}/{c}/{b}')).toMatchObject({
      id: 'GET /a/{b}/{c}/{b}',
      method: 'GET',
      path: '/a/{b}/{c}/{b}',
      safe: true,
      literal: true,
      body: null,
      pointer: null,
    });
    expect(literalOperation('DELETE', '/a').safe).toBe(false);
  });

  test('a name that is there twice has one value', () => {
    expect(buildRequest(literalOperation('GET', '/a/{b}/{b}'), { path: { b: 1 } }).target).toBe('/a/1/1');
  });

  test('takes the names of its path and no others, and needs them', () => {
    refusal(() => buildRequest(file, {}));
    refusal(() => buildRequest(file, { path: { name: 'a', other: 'b' } }));
  });

  test('GET and HEAD have no body, others any JSON', () => {
    for (const method of ['GET', 'HEAD']) {
      const operation = literalOperation(method, '/a');
      expect(refusal(() => buildRequest(operation, { body: {} })).message).toBe(`${method} /a takes no body`);
      expect(buildRequest(operation, { body: null }).body).toBeNull();
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const operation = literalOperation(method, '/a');
      expect(buildRequest(operation, { body: [1, null] }).body).toBe('[1,null]');
      expect(buildRequest(operation, {})).toEqual({ target: '/a', headers: {}, body: null });
    }
  });

  test.each([
    ['a', 'a path must begin with a slash'],
    ['/a?b=c', 'a path may not hold "?", "#" or "\\"; parameters belong in the query'],
    ['/a#b', 'a path may not hold "?", "#" or "\\"; parameters belong in the query'],
    ['/a\\b', 'a path may not hold "?", "#" or "\\"; parameters belong in the query'],
    ['/a/../b', 'a path may not hold dot segments, in any encoding'],
    ['/a/%2e%2e/b', 'a path may not hold dot segments, in any encoding'],
    ['/.', 'a path may not hold dot segments, in any encoding'],
    ['/a/{b', 'a brace of the path has no counterpart'],
    ['/a/b}', 'a brace of the path has no counterpart'],
    ['/{a{b}}', 'a brace of the path has no counterpart'],
    ['/{}', 'a name in the path may not be empty or hold "/", "?", "#" or "\\"'],
    ['/{a/b}', 'a name in the path may not be empty or hold "/", "?", "#" or "\\"'],
    ['/a\n', 'a path may not hold control characters'],
  ])('%j is no path: %s', (path, message) => {
    expect(refusal(() => literalOperation('GET', path)).message).toBe(message);
  });
});
