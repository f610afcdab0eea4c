import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { buildRequest, literalOperation } from '../../src/openapi/request.ts';
import { operationTaking } from './documents.ts';

const send = (content: Record<string, unknown>, body: unknown, headers: Record<string, string> = {}) =>
  buildRequest(operationTaking(content), { body, headers });

function refusal(content: Record<string, unknown>, body: unknown, headers: Record<string, string> = {}) {
  try {
    send(content, body, headers);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { field: 'body' } });
    return (error as GatewayError).message;
  }
  return expect.fail('nothing was refused');
}

const bytes = (text: string) => ({ base64: Buffer.from(text).toString('base64') });
const JSON_TYPE = { 'application/json': {} };
const FORM = { 'application/x-www-form-urlencoded': {} };
const MULTIPART = { 'multipart/form-data': {} };
const TEXT = { 'text/plain': {} };
const OCTETS = { 'application/octet-stream': {} };

describe('the media type', () => {
  test.each([
    ['JSON before all', { ...OCTETS, ...TEXT, ...MULTIPART, ...FORM, ...JSON_TYPE }, {}, 'application/json'],
    [
      'plain JSON before its kin',
      { 'application/merge-patch+json': {}, ...JSON_TYPE },
      {},
      'application/json',
    ],
    ['kin of JSON', { 'application/vnd.x+json': {}, ...FORM }, {}, 'application/vnd.x+json'],
    ['form before multipart', { ...MULTIPART, ...FORM }, { a: 1 }, 'application/x-www-form-urlencoded'],
    ['text for a text', { ...FORM, ...TEXT }, 'a', 'text/plain; charset=utf-8'],
    ['octets for bytes', { ...FORM, ...TEXT, ...OCTETS }, bytes('a'), 'application/octet-stream'],
    ['parameters are cut off', { 'Application/JSON; charset=utf-8': {} }, 1, 'application/json'],
    ['any', { '*/*': {} }, 1, 'application/json'],
    ['any application', { 'application/*': {} }, 1, 'application/json'],
    ['any text', { 'text/*': {} }, 'a', 'text/plain; charset=utf-8'],
    ['XML as a text', { 'application/xml': {} }, '<a/>', 'application/xml'],
  ])('%s', (_, content, body, type) => {
    expect(send(content, body).headers['content-type']).toBe(type);
  });

  test('multipart for files', () => {
    const type = send({ ...FORM, ...MULTIPART }, { a: bytes('x') }).headers['content-type'];
    expect(type).toMatch(/^multipart\/form-data; boundary=seal-[A-Za-z0-9_-]{24}$/);
  });

  test('is the one that a header asks for', () => {
    const content = { ...JSON_TYPE, ...FORM, 'image/*': {} };
    const asked = (type: string, body: unknown) => send(content, body, { 'Content-Type': type });
    expect(asked('application/x-www-form-urlencoded', { a: 1 }).body).toBe('a=1');
    expect(asked('application/json; profile="x"', { a: 1 })).toMatchObject({
      body: '{"a":1}',
      headers: { 'content-type': 'application/json; profile="x"' },
    });
    expect(asked('image/png', bytes('x'))).toMatchObject({ headers: { 'content-type': 'image/png' } });
    expect(refusal(content, {}, { 'content-type': 'text/csv' })).toBe(
      'the body of send needs a header content-type that is one of ' +
        'application/json, application/x-www-form-urlencoded, image/*',
    );
    expect(refusal(content, {}, { 'content-type': 'json' })).toContain(
      'cannot be written in the content type',
    );
  });

  test('a range alone does not say what is sent', () => {
    expect(refusal({ 'image/*': {} }, bytes('x'))).toContain('one of image/*');
  });

  test('a step without a document may ask for any', () => {
    const post = literalOperation('POST', '/a');
    const asked = (type: string, body: unknown) =>
      buildRequest(post, { body, headers: { 'content-type': type } });
    expect(asked('application/x-www-form-urlencoded', { a: [1, 2], b: 'x y' }).body).toBe('a=1&a=2&b=x%20y');
    expect(asked('text/csv', 'a,b')).toMatchObject({
      body: 'a,b',
      headers: { 'content-type': 'text/csv; charset=utf-8' },
    });
    expect(() => asked('multipart/mixed', {})).toThrow('cannot be written in the content type');
  });
});

describe('JSON', () => {
  test.each([[{ a: [1, null, 'é'] }], [[]], ['text'], [0], [false], [null]])('%j', (body) => {
    expect(send(JSON_TYPE, body).body).toBe(JSON.stringify(body));
  });

  test('what cannot be JSON is refused', () => {
    const circle: Record<string, unknown> = {};
    circle.a = circle;
    for (const body of [circle, 1n, () => 1]) expect(refusal(JSON_TYPE, body)).toContain('as JSON');
  });
});

describe('text and bytes', () => {
  test('a text body is a text', () => {
    expect(send(TEXT, 'é').body).toBe('é');
    expect(refusal(TEXT, { a: 1 })).toBe('the body of send must be a text, as it is sent as text/plain');
    expect(refusal(TEXT, bytes('a'))).toContain('must be a text');
  });

  test('bytes are {base64} of any alphabet, or a text', () => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    for (const alphabet of ['base64', 'base64url'] as const) {
      const base64 = Buffer.from(all).toString(alphabet);
      expect(send(OCTETS, { base64 }).body).toEqual(Buffer.from(all));
    }
    expect(send(OCTETS, 'é').body).toEqual(Buffer.from('é'));
    expect(send(OCTETS, bytes('')).body).toEqual(Buffer.alloc(0));
  });

  test.each(['a', 'ab=c', 'a b=', '====', 'é'])('%j is not base64', (base64) => {
    expect(refusal(OCTETS, { base64 })).toContain('base64 that cannot be read');
  });

  test('an object with more than bytes is no bytes', () => {
    expect(refusal(OCTETS, { ...bytes('a'), more: 'x' })).toContain('must be a text or {base64}');
    expect(refusal(OCTETS, { base64: 1 })).toContain('must be a text or {base64}');
  });
});

describe('forms', () => {
  const form = (body: unknown, more: Record<string, unknown> = {}) =>
    send({ 'application/x-www-form-urlencoded': more }, body).body;

  test('lists are repeated, objects are JSON, nothing is left out', () => {
    expect(form({ a: 'x y&z=1', b: [1, 2], c: { d: 1 }, e: [{ f: 1 }], g: null, h: '' })).toBe(
      'a=x%20y%26z%3D1&b=1&b=2&c=%7B%22d%22%3A1%7D&e=%7B%22f%22%3A1%7D&h=',
    );
    expect(form({})).toBe('');
  });

  test('encoding by style', () => {
    const encoding = {
      a: { style: 'form', explode: false },
      b: { style: 'deepObject', explode: true },
      c: { style: 'pipeDelimited' },
      d: { explode: true },
      e: { allowReserved: true },
    };
    expect(
      form({ a: [1, 2], b: { x: { y: 1 } }, c: ['m', 'n'], d: { p: 1 }, e: 'http://x/?y&z' }, { encoding }),
    ).toBe('a=1,2&b%5Bx%5D%5By%5D=1&c=m%7Cn&p=1&e=http://x/?y%26z');
  });

  test('encoding by media type', () => {
    const encoding = { a: { contentType: 'application/json' }, b: { contentType: 'text/plain' } };
    expect(form({ a: [1, 2], b: 1 }, { encoding })).toBe('a=%5B1%2C2%5D&b=1');
  });

  test('a field cannot bring in another', () => {
    const encoding = { a: { style: 'form', explode: true } };
    const content = { 'application/x-www-form-urlencoded': { encoding } };
    expect(refusal(content, { a: { b: 1 }, b: 2 })).toContain('which is given by "b"');
  });

  test('bytes and what is no object cannot be a form', () => {
    expect(refusal(FORM, { a: bytes('x') })).toContain('field "a" holds bytes');
    for (const body of ['a', 1, [1], null]) expect(refusal(FORM, body)).toContain('must be an object');
  });
});

describe('multipart', () => {
  /** Reads a body as a server would, with another implementation. */
  async function parts(content: Record<string, unknown>, body: unknown) {
    const built = send(content, body);
    const form = await new Response(built.body, { headers: { ...built.headers } }).formData();
    const read = [...form].map(async ([name, value]) =>
      typeof value === 'string'
        ? [name, value]
        : [name, { name: value.name, type: value.type, text: await value.text() }],
    );
    return await Promise.all(read);
  }

  test('texts, numbers, lists, objects', async () => {
    expect(await parts(MULTIPART, { a: 'é\r\nb', b: 1, c: ['x', true], d: null, e: '' })).toEqual([
      ['a', 'é\r\nb'],
      ['b', '1'],
      ['c', 'x'],
      ['c', 'true'],
      ['e', ''],
    ]);
    const { body } = send(MULTIPART, { a: { b: [1] } });
    expect(Buffer.from(body as Uint8Array).toString()).toMatch(
      /^--(seal-\S+)\r\ncontent-disposition: form-data; name="a"\r\ncontent-type: application\/json\r\n\r\n\{"b":\[1\]\}\r\n--\1--\r\n$/,
    );
  });

  test('files', async () => {
    const file = { ...bytes('\0\r\n--é'), filename: 'a "b".bin', content_type: 'application/x-thing' };
    expect(await parts(MULTIPART, { file, plain: bytes('x') })).toEqual([
      ['file', { name: 'a "b".bin', type: 'application/x-thing', text: '\0\r\n--é' }],
      ['plain', { name: 'plain', type: 'application/octet-stream', text: 'x' }],
    ]);
  });

  test('fields that the schema says to hold bytes', async () => {
    const schema = { $ref: '#/components/schemas/Upload' };
    const Upload = {
      properties: {
        avatar: { type: 'string', format: 'binary' },
        scans: { type: 'array', items: { type: 'string', contentMediaType: 'image/png' } },
        encoded: { type: 'string', contentMediaType: 'image/png', contentEncoding: 'base64' },
      },
    };
    const operation = operationTaking(
      { 'multipart/form-data': { schema, encoding: { avatar: { contentType: 'image/gif, image/png' } } } },
      {},
    );
    expect(operation.body?.types[0]?.fields.size).toBe(1);
    const content = { 'multipart/form-data': { schema: Upload } };
    expect(await parts(content, { avatar: 'raw', scans: ['a', bytes('b')], encoded: 'AAAA' })).toEqual([
      ['avatar', { name: 'avatar', type: 'application/octet-stream', text: 'raw' }],
      ['scans', { name: 'scans', type: 'image/png', text: 'a' }],
      ['scans', { name: 'scans', type: 'image/png', text: 'b' }],
      ['encoded', 'AAAA'],
    ]);
  });

  test('encoding by style', async () => {
    const encoding = {
      a: { style: 'form', explode: false },
      b: { style: 'deepObject' },
      c: { style: 'form' },
    };
    const content = { 'multipart/form-data': { encoding } };
    expect(await parts(content, { a: [1, 2], b: { x: 'y&z' }, c: { k: 'v' } })).toEqual([
      ['a', '1,2'],
      ['b[x]', 'y&z'],
      ['k', 'v'],
    ]);
    expect(refusal(content, { a: ['x,y', 'z'] })).toContain('separates');
  });

  test.each([
    ['a name', { 'a\r\nb': 1 }, 'control character in its name'],
    ['a file name', { a: { ...bytes('x'), filename: 'a\nb' } }, 'control character in its name'],
    [
      'a content type',
      { a: { ...bytes('x'), content_type: 'text/plain\r\nx: y' } },
      'content type that is none',
    ],
    [
      'a content type that is none',
      { a: { ...bytes('x'), content_type: 'text' } },
      'content type that is none',
    ],
  ])('%s cannot end its line', (_, body, why) => {
    expect(refusal(MULTIPART, body)).toContain(why);
  });

  test('the boundary is another one each time', () => {
    const type = () => send(MULTIPART, { a: 1 }).headers['content-type'];
    expect(type()).not.toBe(type());
  });
});
