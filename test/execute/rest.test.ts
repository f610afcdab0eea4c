import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMask } from '../../src/credentials/mask.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { GatewayError } from '../../src/errors.ts';
import { type Reply, sendRequest, type UpstreamRequest } from '../../src/execute/rest.ts';
import type { Api } from '../../src/snapshot/snapshot.ts';
import { apiOf, bodyOf, rejection, serveUpstream, testEgress, type Upstream } from './upstream.ts';

interface Given extends Partial<UpstreamRequest> {
  readonly api?: Partial<Api>;
  readonly signal?: AbortSignal;
  readonly timeout_ms?: number;
}

const MiB = 1024 * 1024;
const never = new AbortController().signal;

function send(url: string, given: Given = {}): Promise<Reply> {
  const { api, signal = never, timeout_ms, ...request } = given;
  return sendRequest(
    { egress: testEgress() },
    apiOf(url, api),
    { method: 'GET', path: '/things/{id}', target: '/things/7', headers: {}, body: null, ...request },
    { signal, ...(timeout_ms !== undefined && { timeout_ms }) },
  );
}

/** What one reply is read as. */
async function replyTo(listener: RequestListener, given: Given = {}): Promise<Reply> {
  return await send((await serveUpstream(listener)).url, given);
}

/** Waits until a connection has ended, in peace or not. */
async function closed(socket: Socket | undefined): Promise<void> {
  if (socket === undefined || socket.closed) return;
  await new Promise((resolve) => socket.once('close', resolve));
}

function answer(type: string | null, body: string | Uint8Array, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status, type === null ? {} : { 'content-type': type });
    response.end(body);
  };
}

describe('replies', () => {
  const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x00, 0xff]);
  const cases: [string, string | null, string | Uint8Array, unknown][] = [
    ['JSON', 'application/json', '{"a":[1,null]}', { a: [1, null] }],
    ['JSON with a charset', 'Application/JSON; Charset="UTF-8"', '"ä"', 'ä'],
    ['JSON in Latin-1', 'application/json; charset=iso-8859-1', Buffer.from('"\xe4"', 'latin1'), 'ä'],
    ['JSON after a byte order mark', 'application/json', '\ufeff{"a":1}', { a: 1 }],
    ['a JSON suffix', 'application/problem+json', '{"title":"x"}', { title: 'x' }],
    ['a JSON scalar', 'application/json', 'null', null],
    ['an empty body said to be JSON', 'application/json', '', null],
    ['text', 'text/plain', 'hello', 'hello'],
    ['text that looks like JSON', 'text/plain', '{"a":1}', '{"a":1}'],
    ['HTML', 'text/html; charset=utf-8', '<p>ä</p>', '<p>ä</p>'],
    ['text in Latin-1', 'text/plain; charset=latin1', Buffer.from('\xe4', 'latin1'), 'ä'],
    ['text in an unknown charset', 'text/plain; charset=klingon', 'x', { base64: 'eA==' }],
    ['an image', 'image/png', PNG, { base64: PNG.toString('base64') }],
    ['an SVG image', 'image/svg+xml', '<svg/>', '<svg/>'],
    ['octets that happen to be letters', 'application/octet-stream', 'abc', { base64: 'YWJj' }],
    ['text that is not', 'text/plain', PNG, { base64: PNG.toString('base64') }],
    ['text with a NUL', 'text/plain', 'a\0b', { base64: 'YQBi' }],
    ['JSON without a type', null, ' {"a":1}', { a: 1 }],
    ['text without a type', null, '{not json', '{not json'],
    ['binary without a type', null, PNG, { base64: PNG.toString('base64') }],
  ];
  it.each(cases)('reads %s', async (_, type, body, value) => {
    const reply = await replyTo(answer(type, body));
    expect(reply.value).toEqual(value);
    expect(reply.bytes).toBe(Buffer.byteLength(body));
    expect(reply.status).toBe(200);
  });

  it('gives status, headers and media type', async () => {
    const reply = await replyTo((_, response) => {
      response.setHeader('X-Total', '12');
      response.setHeader('Link', ['<a>; rel=next', '<b>; rel=last']);
      response.setHeader('Set-Cookie', ['session=1', 'other=2']);
      response.setHeader('Content-Type', 'text/CSV; header=present');
      response.statusCode = 418;
      response.end('a,b');
    });
    expect(reply).toMatchObject({ status: 418, content_type: 'text/csv', value: 'a,b' });
    expect(reply.headers).toMatchObject({ 'x-total': '12', link: '<a>; rel=next, <b>; rel=last' });
    expect(reply.headers).not.toHaveProperty('set-cookie');
    expect(Object.values(reply.headers).every((value) => typeof value === 'string')).toBe(true);
  });

  it('gives null for 204 and for HEAD', async () => {
    expect(await replyTo(answer(null, '', 204))).toMatchObject({ status: 204, value: null, bytes: 0 });
    const head = await replyTo(
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '99' });
        response.end();
      },
      { method: 'HEAD' },
    );
    expect(head).toMatchObject({ status: 200, value: null, bytes: 0 });
  });

  it('takes the last of several status lines', async () => {
    const reply = await replyTo((_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.writeHead(201, { 'x-last': 'yes' });
      response.end('made');
    });
    expect(reply).toMatchObject({ status: 201, value: 'made', headers: { 'x-last': 'yes' } });
  });

  it('keeps __proto__ an ordinary key', async () => {
    const reply = await replyTo(answer('application/json', '{"__proto__":{"admin":true},"a":1}'));
    const value = reply.value as Record<string, unknown>;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(value.admin).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    expect(Object.keys(value)).toEqual(['__proto__', 'a']);
  });

  it.each([301, 302, 303, 307, 308])('does not follow a %d', async (status) => {
    const other = await serveUpstream(answer('text/plain', 'stolen'));
    for (const location of [`${other.url}/x`, 'http://169.254.169.254/latest', '//evil.example/', '/again']) {
      const upstream = await serveUpstream((_, response) => {
        response.writeHead(status, { location });
        response.end();
      });
      const secrets = { headers: { 'x-api-key': new Secret('s3cret') }, query: {} };
      expect(await send(upstream.url, { secrets })).toMatchObject({ status, headers: { location } });
      expect(upstream.requests).toHaveLength(1);
    }
    expect(other.requests).toHaveLength(0);
  });
});

describe('replies that lie', () => {
  it('refuses what says JSON and is not, with an excerpt on one clean line', async () => {
    const error = await rejection(
      replyTo(answer('application/json', '<html>\r\n\u001b[31mDown\u202e</html>')),
    );
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toMatch(
      /^GET 127\.0\.0\.1:\d+\/things\/\{id\} answered 200 with application\/json that is not JSON$/,
    );
    expect(error.details).toMatchObject({
      method: 'GET',
      path: '/things/{id}',
      status: 200,
      excerpt: '<html> [31mDown </html>',
    });
  });

  it('keeps the excerpt short and whole', async () => {
    const error = await rejection(replyTo(answer('application/json', `x${'😀'.repeat(1000)}`)));
    const { excerpt } = error.details as { excerpt: string };
    expect(excerpt).toHaveLength(512);
    expect(excerpt.isWellFormed()).toBe(true);
  });

  it('keeps the status of an error page labelled JSON', async () => {
    const reply = await replyTo(answer('application/json', '<html>Bad gateway</html>', 502));
    expect(reply).toMatchObject({ status: 502, value: '<html>Bad gateway</html>' });
  });

  it('refuses JSON that is no UTF-8', async () => {
    const error = await rejection(replyTo(answer('application/json', Buffer.from([0x22, 0xff, 0x22]))));
    expect(error.message).toContain('is not text');
  });

  it('rounds no whole number', async () => {
    const body =
      '{"id": 9007199254740993, "near": 9007199254740991, "list": [{"id": -18446744073709551615}]}';
    const { value } = await replyTo(answer('application/json', body));
    expect(value).toEqual({
      id: '9007199254740993',
      near: 9007199254740991,
      list: [{ id: '-18446744073709551615' }],
    });
  });

  it('reads no JSON of more than 24 MiB', async () => {
    const list = (bytes: number) => `[${'1,'.repeat(bytes / 2 - 1)}1]`;
    const given = { api: { max_response_bytes: 32 * MiB } };
    const largest = await replyTo(answer('application/json', list(24 * MiB - 2)), given);
    expect(largest.bytes).toBe(24 * MiB - 1);
    const error = await rejection(replyTo(answer('application/json', list(24 * MiB + 2)), given));
    expect(error.name).toBe('RESPONSE_TOO_LARGE');
    expect(error.message).toContain('answered 200 with application/json that has more than 25165824 bytes');
    const text = await replyTo(answer('text/plain', list(24 * MiB + 2)), given);
    expect(text.bytes).toBe(24 * MiB + 3);
  });

  it('bears nesting up to a limit, and refuses more at any depth', async () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect((await replyTo(answer('application/json', nested(256)))).bytes).toBe(512);
    for (const depth of [257, 200_000]) {
      const error = await rejection(replyTo(answer('application/json', nested(depth))));
      expect(error.name).toBe('UPSTREAM_FAILED');
      expect(error.message).toContain('nests deeper than 256 levels');
    }
  });

  const truncated: [string, RequestListener][] = [
    [
      'content-length',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{"a":');
        setImmediate(() => response.destroy());
      },
    ],
    [
      'chunks',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write('half a te');
        setImmediate(() => response.destroy());
      },
    ],
    [
      'the end of the connection',
      (request) => {
        request.socket.end(
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{"a":',
        );
      },
    ],
  ];
  it.each(truncated)('refuses a reply truncated before %s', async (_, listener) => {
    const error = await rejection(replyTo(listener));
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.details.status).toBe(200);
  });
});

describe('size', () => {
  const MiB = 1_048_576;

  it('takes a reply of exactly the limit', async () => {
    const reply = await replyTo(answer('text/plain', 'x'.repeat(1000)), {
      api: { max_response_bytes: 1000 },
    });
    expect(reply.bytes).toBe(1000);
  });

  it('stops a reply over the limit and destroys the connection', async () => {
    let sent = 0;
    const ended = Promise.withResolvers<void>();
    const upstream = await serveUpstream((_, response) => {
      const source = function* () {
        for (const chunk = Buffer.alloc(64 * 1024, 'x'); sent < 50 * MiB; sent += chunk.length) yield chunk;
      };
      pipeline(source, response).then(
        () => ended.reject(new Error('sent it all')),
        () => ended.resolve(),
      );
    });
    const error = await rejection(send(upstream.url));
    expect(error.name).toBe('RESPONSE_TOO_LARGE');
    expect(error.details).toMatchObject({ status: 200, limit_bytes: MiB });
    await ended.promise;
    expect(sent).toBeLessThan(50 * MiB);
  });

  it('counts decoded bytes: a gzip bomb of 50 MiB passes no limit of 1 MiB', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * MiB));
    expect(bomb.length).toBeLessThan(MiB);
    const error = await rejection(
      replyTo((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
        response.end(bomb);
      }),
    );
    expect(error.name).toBe('RESPONSE_TOO_LARGE');
  });

  const text = JSON.stringify({ text: 'x'.repeat(5000) });
  const codings: [string, Buffer][] = [
    ['gzip', gzipSync(text)],
    ['X-GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['identity', Buffer.from(text)],
  ];
  it.each(codings)('reads %s, though it asks for identity', async (coding, body) => {
    const upstream = await serveUpstream((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding });
      response.end(body);
    });
    const reply = await send(upstream.url, { api: { max_response_bytes: text.length } });
    expect(reply).toMatchObject({ value: JSON.parse(text), bytes: text.length });
    expect(upstream.requests[0]?.headers['accept-encoding']).toBe('identity');
    if (coding !== 'identity') {
      const error = await rejection(send(upstream.url, { api: { max_response_bytes: text.length - 1 } }));
      expect(error.name).toBe('RESPONSE_TOO_LARGE');
    }
  });

  it.each([
    ['compress', Buffer.from('x')],
    ['constructor', Buffer.from('x')],
    ['gzip, gzip', gzipSync(gzipSync('x'))],
    ['gzip', Buffer.from('not gzip')],
    ['gzip', gzipSync(text).subarray(0, 20)],
  ])('refuses the content coding %s when it cannot be read', async (coding, body) => {
    const error = await rejection(
      replyTo((_, response) => {
        response.writeHead(200, { 'content-encoding': coding });
        response.end(body);
      }),
    );
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toContain('content coding');
  });
});

describe('time', () => {
  it('ends a request that gets no reply', async () => {
    const upstream = await serveUpstream(() => undefined);
    const error = await rejection(send(upstream.url, { api: { timeout_ms: 50 } }));
    expect(error.name).toBe('UPSTREAM_TIMEOUT');
    expect(error.message).toMatch(/^GET 127\.0\.0\.1:\d+\/things\/\{id\} did not answer within 50 ms$/);
    await closed(upstream.sockets[0]);
  });

  it('ends a reply that drips', async () => {
    const error = await rejection(
      replyTo(
        (_, response) => {
          const timer = setInterval(() => response.write('x'), 10);
          response.on('close', () => clearInterval(timer));
        },
        { api: { timeout_ms: 100 } },
      ),
    );
    expect(error.name).toBe('UPSTREAM_TIMEOUT');
  });

  it('ends a request that waits for a name, and sends nothing when the name comes after all', async () => {
    const upstream = await serveUpstream((_, response) => response.end());
    const asked = Promise.withResolvers<void>();
    const resolved = Promise.withResolvers<{ address: string; family: number }[]>();
    const egress = testEgress({
      resolve: () => {
        asked.resolve();
        return resolved.promise;
      },
    });
    const request = { method: 'POST', path: '/x', target: '/x', headers: {}, body: 'pay' };
    const api = apiOf(`http://slow.example:${upstream.port}`, { timeout_ms: 30 });
    const error = await rejection(sendRequest({ egress }, api, request, { signal: never }));
    expect(error.name).toBe('UPSTREAM_TIMEOUT');
    await asked.promise;
    const connected = once(upstream.server, 'connection');
    resolved.resolve([{ address: '127.0.0.1', family: 4 }]);
    await connected;
    // A second request over the same connection shows that the first one was never written.
    await sendRequest(
      { egress },
      { ...api, timeout_ms: 5_000 },
      { ...request, target: '/later' },
      { signal: never },
    );
    expect(upstream.requests.map(({ url }) => url)).toEqual(['/later']);
  });

  it('lets the caller of sendRequest set the time', async () => {
    const upstream = await serveUpstream(() => undefined);
    const error = await rejection(send(upstream.url, { timeout_ms: 20 }));
    expect(error.message).toContain('within 20 ms');
  });

  it('ends with the signal: its GatewayError, or UPSTREAM_TIMEOUT', async () => {
    const given = new GatewayError('OVERLOADED', 'shutting down');
    for (const [reason, name] of [
      [given, 'OVERLOADED'],
      [new Error('gone'), 'UPSTREAM_TIMEOUT'],
    ] as const) {
      const upstream = await serveUpstream(() => controller.abort(reason));
      const controller = new AbortController();
      const error = await rejection(send(upstream.url, { signal: controller.signal }));
      expect(error.name).toBe(name);
    }
  });

  it('sends nothing when the signal is aborted already', async () => {
    const upstream = await serveUpstream((_, response) => response.end());
    const error = await rejection(send(upstream.url, { signal: AbortSignal.abort() }));
    expect(error.name).toBe('UPSTREAM_TIMEOUT');
    expect(upstream.sockets).toHaveLength(0);
  });
});

describe('requests', () => {
  async function sent(given: Given, path = ''): Promise<{ upstream: Upstream; body: string }> {
    let body = '';
    const upstream = await serveUpstream(async (request, response) => {
      body = await bodyOf(request);
      response.end();
    });
    await send(upstream.url + path, given);
    return { upstream, body };
  }

  it('go to the target below the base URL, with method, headers and body', async () => {
    const { upstream, body } = await sent(
      {
        method: 'POST',
        target: '/things/a%2Fb?q=%20x&q=y',
        headers: { 'content-type': 'text/plain', 'X-Step': 'yes' },
        body: 'ä',
      },
      '/v1',
    );
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: 'POST', url: '/v1/things/a%2Fb?q=%20x&q=y' });
    expect(request?.headers).toMatchObject({
      host: `127.0.0.1:${upstream.port}`,
      'content-length': '2',
      'content-type': 'text/plain',
      'x-step': 'yes',
      'accept-encoding': 'identity',
      'user-agent': 'seal-gateway/9.9.9',
    });
    expect(body).toBe('ä');
  });

  it('stay on the host whatever the target looks like', async () => {
    const { upstream } = await sent({ target: '//evil.example/x?y=@evil.example' });
    expect(upstream.requests[0]?.url).toBe('//evil.example/x?y=@evil.example');
  });

  it.each(['/../admin', '/%2e%2e/admin', '/x/../../admin', '/x#y', 'x', '@evil.example/', '/\\..\\../admin'])(
    'do not leave the base URL by %s',
    async (target) => {
      const upstream = await serveUpstream((_, response) => response.end());
      const error = await rejection(send(`${upstream.url}/v1`, { target }));
      expect(error.name).toBe('INVALID_ARGUMENTS');
      expect(upstream.sockets).toHaveLength(0);
    },
  );

  it('put the step’s headers over the API’s, and the gateway’s over both', async () => {
    const mine = (value: string) => ({
      'x-both': value,
      accept: `text/${value}`,
      Host: 'evil.example',
      'Content-Length': '99',
      'Transfer-Encoding': 'chunked',
      Connection: 'x-both',
      'Proxy-Authorization': 'x',
      Expect: '100-continue',
      'Accept-Encoding': 'gzip',
      'User-Agent': 'curl',
      Authorization: 'Bearer mine',
    });
    const { upstream } = await sent({
      method: 'POST',
      body: 'x',
      api: { headers: { 'x-api': 'api', ...mine('api') } },
      headers: mine('step'),
      secrets: { headers: { authorization: new Secret('Bearer s3cret') }, query: {} },
    });
    const headers = upstream.requests[0]?.headers;
    expect(headers).toEqual({
      host: `127.0.0.1:${upstream.port}`,
      connection: 'keep-alive',
      'content-length': '1',
      'x-api': 'api',
      'x-both': 'step',
      accept: 'text/step',
      'accept-encoding': 'identity',
      'user-agent': 'seal-gateway/9.9.9',
      authorization: 'Bearer s3cret',
    });
  });

  it('put a credential’s query parameter in place of any other of its name', async () => {
    const secrets = { headers: {}, query: { 'api key': new Secret('a&b=c') } };
    const target = '/x?api+key=mine&q=a%20b&api%20key=mine&%61pi%20key=mine&q=1|2';
    const { upstream } = await sent({ target, secrets });
    expect(upstream.requests[0]?.url).toBe('/x?q=a%20b&q=1|2&api%20key=a%26b%3Dc');
    const alone = await sent({ target: '/x', secrets });
    expect(alone.upstream.requests[0]?.url).toBe('/x?api%20key=a%26b%3Dc');
  });

  const bad: [string, Record<string, string>, RegExp][] = [
    ['CR and LF in a value', { 'x-note': 'a\r\nx-admin: 1' }, /value of header x-note/],
    ['LF in a value', { 'x-note': 'a\nb' }, /value of header x-note/],
    ['NUL in a value', { 'x-note': 'a\0' }, /value of header x-note/],
    ['a character beyond Latin-1', { 'x-note': '€' }, /value of header x-note/],
    ['a line end in a name', { 'x\r\ny': '1' }, /"x\\r\\ny" is not a name/],
    ['an empty name', { '': '1' }, /"" is not a name/],
  ];
  it.each(bad)('are refused with %s in a header', async (_, headers, message) => {
    const upstream = await serveUpstream((_request, response) => response.end());
    const error = await rejection(send(upstream.url, { headers }));
    expect(error.name).toBe('INVALID_ARGUMENTS');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('admin');
    expect(upstream.sockets).toHaveLength(0);
  });

  it('are refused with a credential in a header of the connection', async () => {
    const secrets = { headers: { host: new Secret('evil.example') }, query: {} };
    const error = await rejection(replyTo((_, response) => response.end(), { secrets }));
    expect(error.name).toBe('CREDENTIAL_UNAVAILABLE');
  });

  it('are refused with a method that HTTP does not have', async () => {
    const error = await rejection(replyTo((_, response) => response.end(), { method: 'GET / HTTP' }));
    expect(error.name).toBe('INVALID_ARGUMENTS');
  });
});

describe('failures', () => {
  it('names a refused connection', async () => {
    const upstream = await serveUpstream(() => undefined);
    upstream.server.close();
    await once(upstream.server, 'close');
    const error = await rejection(send(upstream.url));
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toMatch(/refused the connection$/);
    expect(error.details).toMatchObject({ method: 'GET', path: '/things/{id}', error_code: 'ECONNREFUSED' });
  });

  it('names a name that does not resolve', async () => {
    const resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }));
    const error = await rejection(
      sendRequest(
        { egress: testEgress({ resolve }) },
        apiOf('http://gone.example'),
        { method: 'GET', path: '/', target: '/', headers: {}, body: null },
        { signal: never },
      ),
    );
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toBe('GET gone.example/ could not be reached: the host name does not resolve');
  });

  it('names a connection that is closed without a reply', async () => {
    const error = await rejection(replyTo((request) => request.socket.destroy()));
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toMatch(/closed the connection/);
  });

  it.each(['SSH-2.0-OpenSSH\r\n', 'HTTP/1.1 200 OK\r\nno header\r\n\r\n'])(
    'refuses what is not HTTP: %j',
    async (bytes) => {
      const server = createTcpServer((socket) => {
        socket.on('error', () => undefined);
        socket.end(bytes);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const error = await rejection(send(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
      expect(error.name).toBe('UPSTREAM_FAILED');
      expect(error.message).toMatch(/did not answer in HTTP$/);
    },
  );

  it('refuses headers without end', async () => {
    const error = await rejection(
      replyTo((_, response) => {
        response.setHeader('x-long', 'x'.repeat(100_000));
        response.end();
      }),
    );
    expect(error.message).toMatch(/headers that are too large$/);
  });

  it('passes an egress block on as it is', async () => {
    const upstream = await serveUpstream((_, response) => response.end());
    const api = { egress: { allow_private: false, allow_addresses: [] } };
    expect((await rejection(send(upstream.url, { api }))).name).toBe('EGRESS_BLOCKED');
    expect(upstream.sockets).toHaveLength(0);
  });

  it('tells no query, header or secret', async () => {
    const given = {
      target: '/things/7?token=t0psecret',
      headers: { 'x-key': 't0psecret' },
      secrets: {
        headers: { authorization: new Secret('t0psecret') },
        query: { key: new Secret('t0psecret') },
      },
    };
    const replies: RequestListener[] = [
      (request) => request.socket.destroy(),
      answer('application/json', 'no'),
      (_, response) => response.end('x'.repeat(20)),
    ];
    for (const listener of replies) {
      const error = await rejection(replyTo(listener, { ...given, api: { max_response_bytes: 10 } }));
      const told = `${error.message} ${JSON.stringify(error.details)} ${String(error.cause)}`;
      expect(told).not.toContain('t0psecret');
    }
  });
});

describe('a credential that comes back', () => {
  const mask = createMask();
  mask.add(new Secret('gr"ün-4711'));
  mask.add(new Secret('4711'));
  const secrets = { headers: {}, query: {}, mask };
  const JSON_TYPE = 'application/json';
  const replies: [string, string, string | Uint8Array, unknown][] = [
    [
      'in JSON',
      JSON_TYPE,
      JSON.stringify({ said: 'x gr"ün-4711 y', n: 4711 }),
      { said: 'x [secret] y', n: '[secret]' },
    ],
    ['in JSON that escapes more', JSON_TYPE, '{"said":"gr\\"\\u00fcn-\\u0034711"}', { said: '[secret]' }],
    ['in text', 'text/plain', 'x gr"ün-4711 y', 'x [secret] y'],
    ['in text of Latin-1', 'text/plain; charset=latin1', Buffer.from('gr"ün-4711', 'latin1'), '[secret]'],
    [
      'in bytes',
      'application/octet-stream',
      'x4711',
      { base64: Buffer.from('x[secret]').toString('base64') },
    ],
    ['in base64', 'text/plain', Buffer.from('gr"ün-4711').toString('base64'), '[secret]='],
  ];
  it.each(replies)('is masked %s', async (_, type, body, value) => {
    expect((await replyTo(answer(type, body), { secrets })).value).toEqual(value);
  });

  it('is masked in headers', async () => {
    const { headers } = await replyTo(
      (_, response) => response.writeHead(200, { 'x-echo': 'key 4711' }).end(),
      { secrets },
    );
    expect(headers['x-echo']).toBe('key [secret]');
  });

  it('is masked in what an error quotes', async () => {
    const error = await rejection(replyTo(answer(JSON_TYPE, 'no JSON: 4711'), { secrets }));
    expect(error.details.excerpt).toBe('no JSON: [secret]');
  });
});
