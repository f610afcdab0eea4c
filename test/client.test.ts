import { verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createEnvelope,
  generateKeyPair,
  publicJwk,
  SealClient,
  type SealClientOptions,
  SealError,
} from '../src/client.ts';
import { systemClock } from '../src/clock.ts';
import { checkFreshness } from '../src/envelope/freshness.ts';
import { importEnvelopeKey } from '../src/envelope/keys.ts';
import { type Envelope, parseEnvelope } from '../src/envelope/parse.ts';
import { verifySignature } from '../src/envelope/signature.ts';
import { ERRORS, type ErrorName } from '../src/errors.ts';
import { silentLog } from '../src/log.ts';
import { listen } from '../src/serve/http/listener.ts';

const NOW = 1_771_338_722;
const TOKEN = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln';
const KEYS = await generateKeyPair();
const KEY = importEnvelopeKey(KEYS.jwk);

/** What the gateway reads in an envelope that the client made, once the signature fits. */
async function received(body: string): Promise<Envelope> {
  const envelope = parseEnvelope(body);
  await verifySignature(envelope, [KEY]);
  return envelope;
}

describe('keys', () => {
  test('are what the gateway takes', () => {
    expect(KEYS.private_key).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(KEYS.jwk).toEqual({ kty: 'OKP', crv: 'Ed25519', x: KEYS.public_key });
    expect(KEY.key.export({ format: 'jwk' })).toEqual(KEYS.jwk);
  });

  test('are new each time, and the public one follows from the private one', async () => {
    const other = await generateKeyPair();
    expect(other.private_key).not.toBe(KEYS.private_key);
    expect(await publicJwk(other.private_key)).toEqual(other.jwk);
  });

  test.each(['', 'short', `${KEYS.private_key}A`, `${KEYS.private_key.slice(1)}+`, `${KEYS.private_key}=`])(
    '%j is no private key',
    async (private_key) => {
      await expect(publicJwk(private_key)).rejects.toThrow(TypeError);
      await expect(createEnvelope({ tool: 'a', security_token: TOKEN, private_key })).rejects.toThrow(
        /^private_key is not base64url of 32 bytes/,
      );
    },
  );
});

describe('an envelope', () => {
  const options = { security_token: TOKEN, private_key: KEYS.private_key, now: NOW * 1000 + 583 };

  test('of a tool is an MCP call that the gateway reads and verifies', async () => {
    const made = await createEnvelope({ ...options, tool: 'customer.total', arguments: { b: 1, a: 'é' } });
    expect(made).toEqual({
      protocol: 'seal/v1',
      security_token: TOKEN,
      signature: expect.stringMatching(/^[A-Za-z0-9+/]{86}==$/),
      payload: {
        jsonrpc: '2.0',
        id: expect.any(String),
        method: 'tools/call',
        params: { name: 'customer.total', arguments: { b: 1, a: 'é' } },
      },
      timestamp: '2026-02-17T14:32:02.583Z',
    });
    expect(await received(JSON.stringify(made))).toMatchObject({
      security_token: TOKEN,
      timestamp: NOW,
      payload: { kind: 'call', tool: 'customer.total', arguments: { b: 1, a: 'é' } },
      request_id: made.payload.id,
    });
  });

  test('without arguments has none, and each has an id of its own', async () => {
    const [one, two] = await Promise.all([0, 1].map(() => createEnvelope({ ...options, tool: 'a' })));
    expect(await received(JSON.stringify(one))).toMatchObject({ payload: { arguments: {} } });
    expect(one?.payload.id).not.toBe(two?.payload.id);
  });

  test('is fresh at the time of the system unless told', async () => {
    const { now: _, ...rest } = options;
    const envelope = await received(JSON.stringify(await createEnvelope({ ...rest, tool: 'a' })));
    expect(() => checkFreshness(envelope, systemClock.now())).not.toThrow();
  });

  test('holds what JSON.stringify makes of the payload, and that is what is signed', async () => {
    const written = { when: new Date(0), gone: undefined, not: Number.NaN, zero: -0, big: 1e21 };
    const made = await createEnvelope({ ...options, tool: 'a', arguments: written });
    const envelope = await received(JSON.stringify(made));
    expect(envelope.payload).toMatchObject({
      arguments: { when: '1970-01-01T00:00:00.000Z', not: null, zero: 0, big: 1e21 },
    });
  });

  test.each(['payload', 'security_token', 'timestamp'])('whose %s was changed is refused', async (field) => {
    const made = await createEnvelope({ ...options, tool: 'a' });
    const changed = {
      payload: { ...made.payload, id: 'other' },
      security_token: `${TOKEN}A`,
      timestamp: '2026-02-17T14:32:03.583Z',
    }[field];
    await expect(received(JSON.stringify({ ...made, [field]: changed }))).rejects.toMatchObject({
      name: 'INVALID_SIGNATURE',
    });
  });

  test.each([
    ['a lone surrogate', { text: '\ud800' }],
    ['too deep', JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`)],
  ])('of a payload that no gateway takes is refused: %s', async (_, payload) => {
    const failure = createEnvelope({ ...options, payload });
    await expect(failure).rejects.toBeInstanceOf(SealError);
    await expect(failure).rejects.toMatchObject({
      name: 'MALFORMED_ENVELOPE',
      code: 1000,
      status: null,
      message: expect.stringMatching(/^payload: /),
    });
  });
});

describe('the vectors', () => {
  interface Vector {
    readonly name: string;
    readonly body: string;
    readonly canonical?: string;
    readonly timestamp_unix: number;
    readonly expect: unknown;
  }
  const file = new URL('./vectors/envelopes.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Vector[] };
  const good = cases.filter((vector) => vector.expect === 'ok');

  function signed(vector: Vector) {
    const { payload, security_token } = JSON.parse(vector.body);
    const now = vector.timestamp_unix * 1000;
    return createEnvelope({ payload, security_token, now, private_key: KEYS.private_key });
  }

  test.each(good)('$name: the gateway takes the same payload from this client', async (vector) => {
    const envelope = await received(JSON.stringify(await signed(vector)));
    const { payload, request_id, timestamp } = parseEnvelope(vector.body);
    // JavaScript writes -0 as 0.
    expect(envelope).toMatchObject(JSON.parse(JSON.stringify({ payload, request_id, timestamp })));
  });

  /** Whether JavaScript writes every number and the order of all keys as the vector's client did. */
  const alike = good.filter(
    ({ name, canonical = '' }) =>
      !/^(unsorted-|javascript-2$)/.test(name) && JSON.stringify(JSON.parse(canonical)) === canonical,
  );

  test('most can be signed alike', () => {
    expect(alike.length).toBeGreaterThan(20);
  });

  test.each(alike)('$name: the client signs the very text of the other clients', async (vector) => {
    const { signature } = await signed(vector);
    const message = Buffer.from(vector.canonical ?? '');
    expect(verify(null, message, KEY.key, Buffer.from(signature, 'base64'))).toBe(true);
  });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** The URL of a server that answers like this until the test ends. */
async function serve(handler: Handler): Promise<string> {
  const server = await listen(handler, {
    bind_addr: '127.0.0.1:0',
    tls: { cert_file: null, key_file: null, client_ca_file: null },
    header_timeout_ms: 5000,
    request_timeout_ms: 5000,
    log: silentLog,
  });
  onTestFinished(() => server.close(0));
  return server.url;
}

async function clientOf(handler: Handler, options: Partial<SealClientOptions> = {}): Promise<SealClient> {
  return new SealClient({
    gateway_url: await serve(handler),
    private_key: KEYS.private_key,
    security_token: TOKEN,
    ...options,
  });
}

const answering =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));

const success = { protocol: 'seal/v1', status: 'success', result: { total: 3 }, meta: { duration_ms: 2 } };

describe('a call', () => {
  test('sends a signed envelope and gives the result', async () => {
    const seen: { url?: string | undefined; type?: string | undefined; envelope?: Envelope } = {};
    const client = await clientOf(async (request, response) => {
      seen.url = `${request.method} ${request.url}`;
      seen.type = request.headers['content-type'];
      seen.envelope = await received(await text(request));
      response.end(JSON.stringify(success));
    });
    const reply = await client.call('customer.total', { email: 'ann@example.com' });
    expect(seen).toMatchObject({ url: 'POST /v1/invoke', type: 'application/json' });
    expect(seen.envelope).toMatchObject({
      security_token: TOKEN,
      payload: { kind: 'call', tool: 'customer.total', arguments: { email: 'ann@example.com' } },
    });
    expect(reply).toEqual({
      result: { total: 3 },
      meta: { duration_ms: 2 },
      request_id: seen.envelope?.request_id,
    });
  });

  test('may have the result null, and no meta', async () => {
    const client = await clientOf(answering(200, { status: 'success', result: null }));
    expect(await client.call('a')).toMatchObject({ result: null, meta: {} });
  });

  test('takes a new token for each request from a function', async () => {
    const tokens: string[] = [];
    let minted = 0;
    const client = await clientOf(
      async (request, response) => {
        tokens.push((await received(await text(request))).security_token);
        response.end(JSON.stringify(success));
      },
      { security_token: async () => `${TOKEN}${++minted}` },
    );
    await client.call('a');
    await client.call('a');
    expect(tokens).toEqual([`${TOKEN}1`, `${TOKEN}2`]);
  });

  test('goes below the path of the URL', async () => {
    const urls: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      urls.push(request.url);
      response.end(JSON.stringify(success));
    });
    for (const base of ['', '/', '/seal', '/seal/']) {
      const options = { private_key: KEYS.private_key, security_token: TOKEN };
      await new SealClient({ ...options, gateway_url: url + base }).call('a');
    }
    expect(urls).toEqual(['/v1/invoke', '/v1/invoke', '/seal/v1/invoke', '/seal/v1/invoke']);
  });
});

test('fields go under the signature, beside the arguments', async () => {
  const payloads: unknown[] = [];
  const client = await clientOf(async (request, response) => {
    payloads.push((await received(await text(request))).payload);
    response.end(JSON.stringify(success));
  });
  await client.call('a', { x: 1 }, { fields: ['$.a'] });
  await client.call('a', { x: 1 });
  expect(payloads).toEqual([
    { kind: 'call', tool: 'a', arguments: { x: 1 }, fields: ['$.a'] },
    { kind: 'call', tool: 'a', arguments: { x: 1 } },
  ]);
  const { private_key } = KEYS;
  const made = await createEnvelope({ tool: 'a', fields: ['$'], security_token: TOKEN, private_key });
  expect(made.payload).toMatchObject({ params: { name: 'a', arguments: {}, fields: ['$'] } });
});

test('an exploration is a call of api.explore by the route of its own', async () => {
  const seen: unknown[] = [];
  const client = await clientOf(async (request, response) => {
    seen.push(`${request.method} ${request.url}`, (await received(await text(request))).payload);
    response.end(JSON.stringify(success));
  });
  const exploration = { api_spec_id: 'crm', operation_id: 'list', fields: ['$.a'], include_hints: true };
  const reply = await client.explore({ ...exploration, parameters: undefined });
  expect(seen).toEqual(['POST /v1/explorer', { kind: 'call', tool: 'api.explore', arguments: exploration }]);
  expect(reply.result).toEqual({ total: 3 });
});

test('the list of tools is asked for with the token alone', async () => {
  const seen: unknown[] = [];
  const tools = [{ name: 'a', kind: 'workflow', input_schema: {} }];
  const client = await clientOf((request, response) => {
    seen.push(`${request.method} ${request.url}`, request.headers.authorization);
    response.end(JSON.stringify(tools));
  });
  expect(await client.listTools()).toEqual(tools);
  expect(seen).toEqual(['GET /v1/tools', `Bearer ${TOKEN}`]);
});

describe('a failure', () => {
  const errorBody = (name: ErrorName, details: object = {}) => ({
    protocol: 'seal/v1',
    status: 'error',
    error: { code: ERRORS[name].code, name, message: 'no', timestamp: '', request_id: 'req-1', details },
  });

  test('of the gateway has its name, code, status, details and id', async () => {
    const client = await clientOf(answering(400, errorBody('INVALID_ARGUMENTS', { problems: ['/x'] })));
    const failure = client.call('a');
    await expect(failure).rejects.toBeInstanceOf(SealError);
    await expect(failure).rejects.toMatchObject({
      name: 'INVALID_ARGUMENTS',
      message: 'no',
      code: 4000,
      status: 400,
      details: { problems: ['/x'] },
      request_id: 'req-1',
      retry_after_seconds: null,
    });
  });

  test('says when to try again', async () => {
    const body = errorBody('POLICY_RATE_LIMIT_EXCEEDED');
    const client = await clientOf(answering(429, body, { 'retry-after': '7' }));
    await expect(client.listTools()).rejects.toMatchObject({ code: 2005, retry_after_seconds: 7 });
  });

  test.each([
    ['of another server', 404, '<h1>not here</h1>'],
    ['without a code', 500, { error: { name: 'X' } }],
    ['as an array', 500, []],
  ])('that is no answer of a gateway is BAD_REPLY: %s', async (_, status, body) => {
    const client = await clientOf(answering(status, body));
    const failure = client.call('a');
    await expect(failure).rejects.toMatchObject({ name: 'BAD_REPLY', code: null, status });
    await expect(failure).rejects.toThrow(`HTTP ${status}`);
  });

  test.each([
    ['no JSON', 'hello'],
    ['no result', { status: 'success' }],
    ['no success', { status: 'ok', result: 1 }],
    ['an array', []],
  ])('a success that is none is BAD_REPLY: %s', async (_, body) => {
    const client = await clientOf(answering(200, body));
    await expect(client.call('a')).rejects.toMatchObject({ name: 'BAD_REPLY', status: 200 });
  });

  test('a list of tools that is no array is BAD_REPLY', async () => {
    const client = await clientOf(answering(200, {}));
    await expect(client.listTools()).rejects.toMatchObject({ name: 'BAD_REPLY', status: 200 });
  });

  test('without an answer is NETWORK_FAILED, with its cause', async () => {
    const client = await clientOf((request) => request.socket.destroy());
    await expect(client.call('a')).rejects.toMatchObject({
      name: 'NETWORK_FAILED',
      code: null,
      status: null,
      cause: expect.any(Error),
    });
  });

  test('a redirect is not followed, so that the token goes nowhere else', async () => {
    const elsewhere: unknown[] = [];
    const client = await clientOf((request, response) => {
      if (request.url !== '/v1/tools') elsewhere.push(request.url);
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    await expect(client.listTools()).rejects.toMatchObject({ name: 'NETWORK_FAILED' });
    expect(elsewhere).toEqual([]);
  });

  test('an answer that takes too long is TIMEOUT, also in the midst of the body', async () => {
    const never = await clientOf(() => undefined, { timeout_ms: 50 });
    await expect(never.call('a')).rejects.toMatchObject({ name: 'TIMEOUT', code: null });
    const half = await clientOf((_, response) => response.write('{"status":'), { timeout_ms: 50 });
    await expect(half.call('a')).rejects.toThrow('no answer within 50 ms');
  });

  test('of the caller, who gave up, is what the caller gave as reason', async () => {
    const gone = Promise.withResolvers<void>();
    const controller = new AbortController();
    const client = await clientOf((request) => {
      request.once('close', gone.resolve);
      controller.abort(new Error('enough'));
    });
    await expect(client.call('a', {}, { signal: controller.signal })).rejects.toThrow('enough');
    await gone.promise;
  });

  test('of the function that gives the token is passed on', async () => {
    const client = await clientOf(answering(200, success), {
      security_token: () => Promise.reject(new Error('no token today')),
    });
    await expect(client.call('a')).rejects.toThrow('no token today');
  });

  test('carries neither the private key nor the token', async () => {
    const client = await clientOf((request) => request.socket.destroy());
    const failure = await client.call('a').catch((error: unknown) => error);
    const shown = `${String(failure)} ${JSON.stringify(failure)} ${JSON.stringify(client)}`;
    expect(shown).not.toContain(KEYS.private_key);
    expect(shown).not.toContain(TOKEN);
  });
});

test.each([
  ['gateway_url', { gateway_url: 'localhost' }],
  ['private_key', { private_key: 'x' }],
])('a bad %s is a TypeError at once', (what, bad) => {
  const options = { gateway_url: 'http://a.example', private_key: KEYS.private_key, security_token: TOKEN };
  expect(() => new SealClient({ ...options, ...bad })).toThrow(TypeError);
  expect(() => new SealClient({ ...options, ...bad })).toThrow(what);
});
