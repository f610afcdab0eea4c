import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBody, parseEnvelope, parseExplore } from '../../src/envelope/parse.ts';
import { GatewayError } from '../../src/errors.ts';
import { envelopeText, NOW, newSigner, signedText, TOKEN } from './signing.ts';

const SIGNATURE = Buffer.alloc(64, 1).toString('base64');
const MCP = {
  jsonrpc: '2.0',
  id: 'req-1',
  method: 'tools/call',
  params: { name: 'demo.tool', arguments: { a: 1 } },
};

function body(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    protocol: 'seal/v1',
    security_token: TOKEN,
    signature: SIGNATURE,
    payload: MCP,
    timestamp: NOW,
    ...changes,
  });
}

function refusal(text: string): string {
  try {
    parseEnvelope(text);
  } catch (error) {
    if (error instanceof GatewayError && error.name === 'MALFORMED_ENVELOPE') return error.message;
    throw error;
  }
  throw new Error(`accepted: ${text.slice(0, 200)}`);
}

describe('an envelope', () => {
  test('MCP call', () => {
    expect(parseEnvelope(body())).toMatchObject({
      security_token: TOKEN,
      timestamp: NOW,
      payload: { kind: 'call', tool: 'demo.tool', arguments: { a: 1 } },
      request_id: 'req-1',
      jsonrpc: true,
      arguments_canonical: '{"a":1}',
      inexact: null,
    });
  });

  test('short call', () => {
    expect(parseEnvelope(body({ payload: { tool: 't', arguments: { b: 1, a: 2 } } }))).toMatchObject({
      payload: { kind: 'call', tool: 't', arguments: { a: 2, b: 1 } },
      request_id: null,
      jsonrpc: false,
      arguments_canonical: '{"a":2,"b":1}',
    });
  });

  test('the arguments of the explorer alone', () => {
    const payload = { fields: ['$'], api_spec_id: 'crm', operation_id: 'x', parameters: { n: 1 } };
    expect(parseEnvelope(body({ payload }))).toMatchObject({
      payload: { kind: 'call', tool: 'api.explore', arguments: payload },
      request_id: null,
      jsonrpc: false,
      arguments_canonical: '{"api_spec_id":"crm","fields":["$"],"operation_id":"x","parameters":{"n":1}}',
    });
    // Another form beside it is that form.
    expect(parseEnvelope(body({ payload: { ...payload, tool: 't' } })).payload).toMatchObject({
      tool: 't',
      arguments: {},
      fields: ['$'],
    });
    expect(refusal(body({ payload: { operation_id: 'x', fields: ['$'] } }))).toContain('neither an MCP');
  });

  test('fields beside the arguments, whatever they are', () => {
    for (const fields of [['$.a'], 'x', null, []]) {
      const short = { tool: 't', fields };
      const mcp = { jsonrpc: '2.0', method: 'tools/call', params: { name: 't', fields } };
      for (const payload of [short, mcp])
        expect(parseEnvelope(body({ payload })).payload).toEqual({
          ...{ kind: 'call', tool: 't', arguments: {}, fields },
        });
    }
    expect(parseEnvelope(body()).payload).not.toHaveProperty('fields');
  });

  test.each([{ tool: 't' }, { jsonrpc: '2.0', method: 'tools/call', params: { name: 't' } }])(
    'arguments default to none: %j',
    (payload) => {
      expect(parseEnvelope(body({ payload }))).toMatchObject({
        payload: { kind: 'call', tool: 't', arguments: {} },
        request_id: null,
        arguments_canonical: '{}',
      });
    },
  );

  test('a list', () => {
    const envelope = parseEnvelope(body({ payload: { jsonrpc: '2.0', id: 7, method: 'tools/list' } }));
    expect(envelope).toMatchObject({
      payload: { kind: 'list' },
      request_id: 7,
      arguments_canonical: '{}',
      inexact: null,
    });
  });

  test('unknown outer fields, jti, container_id and a wrapper are ignored', () => {
    const bare = parseEnvelope(body());
    for (const text of [
      body({ jti: 'x', container_id: 'y', envelope: 'z', more: [1] }),
      `{"envelope":${body()}}`,
      `{"jti":1,"envelope":${body({ container_id: 'y' })},"container_id":null}`,
    ]) {
      expect(parseEnvelope(text)).toMatchObject({ digest: bare.digest, payload: bare.payload });
    }
    expect(refusal(`{"envelope":{"envelope":${body()}}}`)).toContain('protocol: missing');
  });

  test('__proto__ in arguments is data', () => {
    const text = body({ payload: { tool: 't', arguments: 0 } }).replace(
      '"arguments":0',
      '"arguments":{"__proto__":{"admin":true},"constructor":1}',
    );
    const { payload, arguments_canonical } = parseEnvelope(text);
    if (payload.kind !== 'call') throw new Error('not a call');
    expect(Object.getPrototypeOf(payload.arguments)).toBe(Object.prototype);
    expect(Object.hasOwn(payload.arguments, '__proto__')).toBe(true);
    expect((payload.arguments as { admin?: unknown }).admin).toBeUndefined();
    expect(arguments_canonical).toBe('{"__proto__":{"admin":true},"constructor":1}');
  });

  test('inherited names are not fields', () => {
    const text = `{"__proto__":${body()}}`;
    expect(refusal(text)).toContain('protocol: missing');
  });

  test('says where the first number is that a double cannot keep', () => {
    const text = body().replace('"a":1', '"a":[1,{"id":9007199254740993}],"b":1e999');
    expect(parseEnvelope(text).inexact).toBe('/a/1/id');
    expect(parseEnvelope(body().replace('"req-1"', '9007199254740993')).inexact).toBeNull();
  });

  test('the digest is that of the message by code point, whatever the spelling', () => {
    const canonical =
      '{"id":"req-1","jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"a":1},"name":"demo.tool"}}';
    const expected = createHash('sha256').update(signedText(canonical)).digest('hex');
    const spaced = JSON.stringify(JSON.parse(body()), null, 2).replace(String(NOW), `${NOW}.75`);
    expect(parseEnvelope(body()).digest).toBe(expected);
    expect(parseEnvelope(spaced).digest).toBe(expected);
    expect(parseEnvelope(body().replace('"a":1', '"a":1.0')).digest).not.toBe(expected);
  });

  test('gives only readings that differ, the canonical one first', () => {
    const texts = (payload: string) =>
      [...parseEnvelope(envelopeText(newSigner(), payload)).messages()].map((message) =>
        Buffer.from(message).toString(),
      );
    const sorted = '{"arguments":{"a":1},"tool":"t"}';
    expect(texts(sorted)).toEqual([signedText(sorted)]);
    expect(texts('{"tool":"t","arguments":{"a":1}}')).toEqual([
      signedText(sorted),
      signedText('{"tool":"t","arguments":{"a":1}}'),
    ]);
    expect(texts('{"arguments":{"😀":1,"\ufb33":2},"tool":"t"}')).toEqual([
      signedText('{"arguments":{"\ufb33":2,"😀":1},"tool":"t"}'),
      signedText('{"arguments":{"😀":1,"\ufb33":2},"tool":"t"}'),
    ]);
    expect(texts('{"tool":"t","arguments":{"\ufb33":2,"😀":1}}')).toHaveLength(3);
  });

  test('JSON-RPC ids keep their type', () => {
    for (const id of ['', 'x'.repeat(256), 0, -1, 1.5, null]) {
      expect(parseEnvelope(body({ payload: { ...MCP, id } })).request_id).toBe(id);
    }
  });
});

describe('timestamps', () => {
  test.each([
    [`${NOW}`, NOW],
    [`${NOW}.999`, NOW],
    ['0', 0],
    ['"2026-02-17T14:32:02Z"', NOW],
    ['"2026-02-17T14:32:02.999Z"', NOW],
    ['"2026-02-17T14:32:02.999999999Z"', NOW],
    ['"2026-02-17T14:32:02.028000+00:00"', NOW],
    ['"2026-02-17T14:32:02-00:00"', NOW],
    ['"2026-02-17T16:02:02.5+01:30"', NOW],
    ['"2026-02-17T09:32:02-0500"', NOW],
    ['"2024-02-29T00:00:00Z"', 1_709_164_800],
    ['"1970-01-01T00:00:00Z"', 0],
  ])('%s is %d', (text, seconds) => {
    expect(parseEnvelope(body({ timestamp: 'TS' }).replace('"TS"', text)).timestamp).toBe(seconds);
  });

  test.each([
    `"${NOW}"`,
    '"2026-02-17T14:32:02"',
    '"2026-02-17 14:32:02Z"',
    '"2026-02-17T14:32Z"',
    '"2026-02-17"',
    '"20260217T143202Z"',
    '"2026-02-30T00:00:00Z"',
    '"2025-02-29T00:00:00Z"',
    '"2026-13-01T00:00:00Z"',
    '"2026-00-01T00:00:00Z"',
    '"2026-01-00T00:00:00Z"',
    '"2026-01-01T24:00:00Z"',
    '"2026-01-01T00:60:00Z"',
    '"2026-01-01T00:00:60Z"',
    '"2026-01-01T00:00:00+24:00"',
    '"2026-01-01T00:00:00.Z"',
    '"2026-01-01T00:00:00.1234567890Z"',
    '"0050-01-01T00:00:00Z"',
    '"1970-01-01T00:00:00+01:00"',
    '" 2026-02-17T14:32:02Z"',
    '"2026-02-17T14:32:02Z\\n"',
    '""',
    `${NOW}000`,
    '-1',
    '1e400',
    'null',
    'true',
    '[]',
  ])('%s is refused', (text) => {
    expect(refusal(body({ timestamp: 'TS' }).replace('"TS"', text))).toMatch(/^timestamp: /);
  });
});

describe('signatures', () => {
  const bytes = Buffer.from(Array.from({ length: 64 }, (_, i) => 255 - i));
  const standard = bytes.toString('base64');

  test.each([
    standard,
    standard.replace(/=+$/, ''),
    bytes.toString('base64url'),
    `${bytes.toString('base64url')}==`,
  ])('%s', (signature) => {
    expect(Buffer.from(parseEnvelope(body({ signature })).signature)).toEqual(bytes);
  });

  test.each([
    ['AAAA', 'signature: 3 bytes after base64 decoding, expected 64'],
    ['', 'signature: 0 bytes after base64 decoding, expected 64'],
    [Buffer.alloc(63).toString('base64'), '63 bytes'],
    [Buffer.alloc(65).toString('base64'), '65 bytes'],
    [standard.replace(/=$/, ''), 'not strict base64'],
    [`${standard}=`, 'not strict base64'],
    [`${standard}\n`, 'not strict base64'],
    [` ${standard}`, 'not strict base64'],
    [`${standard.slice(0, 40)}\n${standard.slice(40)}`, 'not strict base64'],
    [standard.replace('/', '-'), 'not strict base64'],
    [`*${standard.slice(1)}`, 'not strict base64'],
    ['A', 'not strict base64'],
    // The last character carries four bits that no byte needs: 64 zero bytes end in A, not in B.
    [`${'A'.repeat(85)}B==`, 'not strict base64'],
    [`${'A'.repeat(85)}P`, 'not strict base64'],
    [Buffer.alloc(64).toString('hex'), '96 bytes'],
  ])('%j: %s', (signature, reason) => {
    expect(refusal(body({ signature }))).toContain(reason);
  });
});

describe('refused, with what and where', () => {
  test.each([
    ['not JSON', 'nope', 'JSON: expected a value at offset 0'],
    ['a BOM', `\ufeff${body()}`, 'JSON: expected a value at offset 0'],
    ['a list', '[]', 'envelope: found an array'],
    ['null', 'null', 'envelope: found null'],
    ['a wrapper of nothing', '{"envelope":null}', 'envelope: found null'],
    ['no protocol', body({ protocol: undefined }), 'protocol: missing, expected the string "seal/v1"'],
    ['seal/v2', body({ protocol: 'seal/v2' }), 'protocol: found a string'],
    ['no token', body({ security_token: undefined }), 'security_token: missing'],
    ['an empty token', body({ security_token: '' }), 'security_token: found a string'],
    ['a number as token', body({ security_token: 1 }), 'security_token: found a number'],
    [
      'a long token',
      body({ security_token: 'x'.repeat(16_385) }),
      'security_token: 16385 characters, at most 16384',
    ],
    ['no signature', body({ signature: undefined }), 'signature: missing'],
    ['a list as signature', body({ signature: [1] }), 'signature: found an array'],
    ['no timestamp', body({ timestamp: undefined }), 'timestamp: missing'],
    ['no payload', body({ payload: undefined }), 'payload: missing'],
    ['null payload', body({ payload: null }), 'payload: found null'],
    ['a list as payload', body({ payload: [] }), 'payload: found an array'],
    ['an empty payload', body({ payload: {} }), 'payload: neither an MCP tools/call nor'],
    ['both forms', body({ payload: { ...MCP, tool: 't' } }), 'payload: both'],
    ['jsonrpc 1.0', body({ payload: { ...MCP, jsonrpc: '1.0' } }), 'payload.jsonrpc: found a string'],
    ['no jsonrpc', body({ payload: { ...MCP, jsonrpc: undefined } }), 'payload.jsonrpc: missing'],
    ['no method', body({ payload: { ...MCP, method: undefined } }), 'payload.method: missing'],
    [
      'another method',
      body({ payload: { ...MCP, method: 'resources/read' } }),
      'payload.method: found a string',
    ],
    ['an object as id', body({ payload: { ...MCP, id: {} } }), 'payload.id: found an object'],
    ['a long id', body({ payload: { ...MCP, id: 'x'.repeat(257) } }), 'payload.id: found a string'],
    ['no params', body({ payload: { ...MCP, params: undefined } }), 'payload.params: missing'],
    ['a list as params', body({ payload: { ...MCP, params: [] } }), 'payload.params: found an array'],
    ['no name', body({ payload: { ...MCP, params: {} } }), 'payload.params.name: missing'],
    [
      'an empty name',
      body({ payload: { ...MCP, params: { name: '' } } }),
      'payload.params.name: found a string',
    ],
    ['a long name', body({ payload: { tool: 'x'.repeat(129) } }), 'payload.tool: found a string'],
    ['a control character in the name', body({ payload: { tool: 'a\nb' } }), 'payload.tool: found a string'],
    ['DEL in the name', body({ payload: { tool: 'a\u007f' } }), 'payload.tool: found a string'],
    ['null arguments', body({ payload: { tool: 't', arguments: null } }), 'payload.arguments: found null'],
    [
      'a list as arguments',
      body({ payload: { ...MCP, params: { name: 't', arguments: [] } } }),
      'payload.params.arguments: found an array',
    ],
    ['a lone surrogate', body({ payload: { tool: 't', arguments: { a: '\ud800' } } }), 'lone surrogate'],
  ])('%s', (_, text, reason) => {
    expect(refusal(text)).toContain(reason);
  });

  test.each(['protocol', 'security_token', 'signature', 'payload', 'timestamp', 'unknown'])(
    'a duplicate of %s, in the envelope or its wrapper',
    (field) => {
      const text = `{"${field}":1,${body({ unknown: 1 }).slice(1)}`;
      expect(refusal(text)).toContain(`duplicate key "${field}"`);
      expect(refusal(`{"envelope":${text}}`)).toContain(`duplicate key "${field}"`);
    },
  );

  test('never repeats a value: it may be a secret in the wrong field', () => {
    expect(refusal(body({ protocol: 'hunter2' }))).not.toContain('hunter2');
    expect(refusal(body({ signature: 'hunter2' }))).not.toContain('hunter2');
    expect(refusal(body({ timestamp: 'hunter2' }))).not.toContain('hunter2');
  });

  test('names of 128 characters and tokens of 16 KiB are the longest', () => {
    expect(parseEnvelope(body({ payload: { tool: 'x'.repeat(128) } })).payload).toMatchObject({
      kind: 'call',
    });
    expect(parseEnvelope(body({ security_token: 'x'.repeat(16_384) })).security_token).toHaveLength(16_384);
  });
});

describe('decodeBody', () => {
  test('UTF-8', () => {
    expect(decodeBody(Buffer.from('{"é":"😀"}'))).toBe('{"é":"😀"}');
  });

  test.each([
    ['a stray continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut character', [0x22, 0xf0, 0x9f, 0x98]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeBody(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ name: 'MALFORMED_ENVELOPE' }),
    );
  });

  test('keeps a BOM, so that it is refused', () => {
    expect(refusal(decodeBody(Buffer.from(`\ufeff${body()}`)))).toContain('offset 0');
  });
});

describe('properties', () => {
  test('mutated input throws nothing but MALFORMED_ENVELOPE', () => {
    const base = Buffer.from(
      `{"envelope":${body({ payload: { ...MCP, params: { name: 'é', arguments: { x: [1.0, '\n', null] } } } })}}`,
    );
    const edits = fc.array(
      fc.tuple(fc.nat(base.length - 1), fc.nat(255), fc.constantFrom('set', 'cut', 'drop', 'twice')),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(edits, (list) => {
        let bytes = Buffer.from(base);
        for (const [at, byte, edit] of list) {
          if (edit === 'set') bytes[Math.min(at, bytes.length - 1)] = byte;
          else if (edit === 'cut') bytes = bytes.subarray(0, Math.max(at, 1));
          else if (edit === 'drop') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
          else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at >> 1)]);
        }
        expectRefusalOrEnvelope(() => parseEnvelope(decodeBody(bytes)));
      }),
      { numRuns: 3000 },
    );
  });

  test('any JSON in any field throws nothing but MALFORMED_ENVELOPE', () => {
    const field = fc.constantFrom(
      'protocol',
      'security_token',
      'signature',
      'payload',
      'timestamp',
      'envelope',
    );
    fc.assert(
      fc.property(field, fc.jsonValue(), (name, value) => {
        expectRefusalOrEnvelope(() => parseEnvelope(body({ [name]: value })));
      }),
    );
  });
});

function expectRefusalOrEnvelope(run: () => { readonly digest: string }): void {
  try {
    expect(run().digest).toMatch(/^[0-9a-f]{64}$/);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ name: 'MALFORMED_ENVELOPE' });
  }
}

describe('an exploration without an envelope', () => {
  test('is its arguments', () => {
    const text = '{"operation_id":"x", "api_spec_id":"crm", "parameters":{"n":12345678901234567890}}';
    expect(parseExplore(text)).toMatchObject({
      payload: { kind: 'call', tool: 'api.explore', arguments: { api_spec_id: 'crm' } },
      request_id: null,
      arguments_canonical: '{"api_spec_id":"crm","operation_id":"x","parameters":{"n":12345678901234567890}}',
      inexact: '/parameters/n',
    });
  });

  test.each([
    ['[]'],
    ['null'],
    ['{"operation_id":"x"}'],
    ['{"api_spec_id":"crm","protocol":"seal/v1"}'],
    ['{"api_spec_id":"crm","api_spec_id":"hr"}'],
    ['{"api_spec_id":'],
  ])('is not %s', (text) => {
    expect(() => parseExplore(text)).toThrow(expect.objectContaining({ name: 'MALFORMED_ENVELOPE' }));
  });
});
