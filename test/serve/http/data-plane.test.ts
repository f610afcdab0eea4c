import { request } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ERRORS, type ErrorName, GatewayError, type GatewayErrorOptions } from '../../../src/errors.ts';
import { type Call, CallError, type CallReply } from '../../../src/invoke/call.ts';
import type { Invoker } from '../../../src/invoke/invoke.ts';
import { type Log, silentLog } from '../../../src/log.ts';
import { createDataPlane, type DataPlaneDeps } from '../../../src/serve/http/data-plane.ts';
import { type Listener, listen } from '../../../src/serve/http/listener.ts';
import { sendRaw } from './raw.ts';

const NOW = 1_771_338_722_583;
const LIMIT = 1024;

const REPLY: CallReply = {
  request_id: 'req-1',
  result_json: '{"total":12.50,"__proto__":1}',
  execution_id: 'exec-1',
  event_id: 'event-1',
  revision: 'rev-1',
  duration_ms: 12,
};

/** What an invoker knows of a call whose envelope could not be read. */
const CALL: Call = {
  call_id: 'call-1',
  snapshot: null,
  started: 0,
  envelope: null,
  asked: null,
  caller: null,
  user_token: null,
  remote_addr: null,
  intended: false,
  recorded: true,
};

interface Served extends Listener {
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[];
}

/** The data plane over an invoker of which only this is real. */
async function serve(
  invoker: Partial<Invoker>,
  deps: Partial<DataPlaneDeps> = {},
  times = { header_timeout_ms: 5000, request_timeout_ms: 5000 },
): Promise<Served> {
  const logged: Served['logged'] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void logged.push({ level, fields, message });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } as Log;
  let ids = 0;
  const app = createDataPlane({
    invoker: { invoke: unexpected, explore: unexpected, tools: unexpected, ...invoker },
    attest: unexpected,
    jwks: unexpected,
    clock: { now: () => NOW, monotonic: () => 0 },
    log,
    newId: () => `id-${++ids}`,
    limits: { body_bytes: LIMIT },
    verifyOperator: null,
    notReady: () => null,
    revision: () => 'rev-1',
    openbao: () => null,
    remoteAddress: () => '192.0.2.1',
    checkRemote: async () => {},
    ...deps,
  });
  const listener = await listen(app.callback(), {
    bind_addr: '127.0.0.1:0',
    tls: { cert_file: null, key_file: null, client_ca_file: null },
    ...times,
    log: silentLog,
  });
  onTestFinished(() => listener.close(0));
  return { ...listener, logged };
}

const unexpected = (): never => {
  throw new Error('this is not called');
};

/** Reads the body as the invoker does, and fails as it does. */
const reading: Invoker['invoke'] = async (read) => {
  try {
    return { ...REPLY, result_json: JSON.stringify((await read()).toString()) };
  } catch (error) {
    throw new CallError(error as GatewayError, CALL);
  }
};

const failing = (error: unknown): Partial<Invoker> => ({ invoke: () => Promise.reject(error) });

const post = (url: string, body: RequestInit['body'] = '{}', init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/v1/invoke`, { method: 'POST', body, ...init });

describe('a call', () => {
  test.each(['/v1/invoke', '/v1/seal/invoke'])(
    'of %s has the reply for every family of clients',
    async (path) => {
      const { url } = await serve({ invoke: async () => REPLY });
      const response = await fetch(url + path, { method: 'POST', body: '{}' });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      // The result is passed on as it is, to the letter.
      expect(await response.text()).toBe(
        `{"protocol":"seal/v1","status":"success","payload":{"jsonrpc":"2.0","id":"req-1","result":${REPLY.result_json}},"result":${REPLY.result_json},"meta":{"execution_id":"exec-1","event_id":"event-1","revision":"rev-1","duration_ms":12}}`,
      );
    },
  );

  test.each([null, 7, 'quote"'])('with the request id %j has it back', async (request_id) => {
    const { url } = await serve({ invoke: async () => ({ ...REPLY, request_id }) });
    expect(await (await post(url)).json()).toMatchObject({ payload: { id: request_id } });
  });

  test('gets the bytes of the body, whatever they are said to be', async () => {
    const bytes = Buffer.from([0, 255, 10]);
    let got: Uint8Array | null = null;
    const { url } = await serve({
      invoke: async (read) => {
        got = await read();
        return REPLY;
      },
    });
    await post(url, bytes, { headers: { 'content-type': 'text/html; charset=latin1' } });
    expect(got).toEqual(bytes);
  });

  test('hears that the caller went away, and only then', async () => {
    const begun = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<unknown>();
    const signals: AbortSignal[] = [];
    const { url } = await serve({
      invoke: (_, signal) => {
        signals.push(signal);
        if (signals.length === 1) return Promise.resolve(REPLY);
        begun.resolve();
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted.resolve(signal.reason);
            reject(signal.reason);
          });
        });
      },
    });
    await (await post(url)).text();
    const controller = new AbortController();
    const gone = post(url, '{}', { signal: controller.signal });
    await begun.promise;
    expect(signals.map((signal) => signal.aborted)).toEqual([false, false]);
    controller.abort();
    await expect(gone).rejects.toThrow('aborted');
    expect(await aborted.promise).toMatchObject({
      name: 'UPSTREAM_TIMEOUT',
      message: 'the caller went away',
      layer: 'caller',
    });
    expect(signals[0]?.aborted).toBe(false);
  });
});

describe('a body', () => {
  test('of the limit is taken', async () => {
    const { url } = await serve({ invoke: reading });
    const body = 'x'.repeat(LIMIT);
    expect(await (await post(url, body)).json()).toMatchObject({ result: body });
  });

  const tooLarge = {
    protocol: 'seal/v1',
    status: 'error',
    error: {
      code: 1000,
      name: 'MALFORMED_ENVELOPE',
      message: 'the body is larger than the limit of 1024 bytes',
      timestamp: '2026-02-17T14:32:02.583Z',
      request_id: 'call-1',
      details: { limit: 1024, execution_id: 'call-1' },
    },
  };

  test('that is announced as larger is 413 before it comes', async () => {
    const { url } = await serve({ invoke: reading });
    const { socket, answer } = await sendRaw(
      url,
      `POST /v1/invoke HTTP/1.1\r\nHost: a\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`,
    );
    const [first] = await new Promise<string[]>((resolve) =>
      socket.once('data', (data) => resolve([`${data}`])),
    );
    expect(first).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    expect(JSON.parse((await answer).split('\r\n\r\n')[1] ?? '')).toEqual(tooLarge);
  });

  test('of no announced length is 413 once it is larger, and its sender hears it', async () => {
    const { url } = await serve({ invoke: reading });
    let sent = 0;
    const stream = new ReadableStream({
      pull(controller) {
        sent += 65_536;
        if (sent > 20 * 65_536) controller.close();
        else controller.enqueue(new Uint8Array(65_536));
      },
    });
    const response = await post(url, stream, { duplex: 'half' } as RequestInit);
    expect(response.status).toBe(413);
    expect(await response.json()).toEqual(tooLarge);
  });

  test.each(['gzip', 'br', 'deflate'])('that is encoded (%s) is refused', async (encoding) => {
    const { url } = await serve({ invoke: reading });
    const response = await post(url, 'x', { headers: { 'content-encoding': encoding } });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      error: { code: 1000, message: `content-encoding ${encoding} is not accepted; send the body as it is` },
    });
  });

  test('that says it is not encoded is taken', async () => {
    const { url } = await serve({ invoke: reading });
    const response = await post(url, 'x', { headers: { 'content-encoding': 'identity' } });
    expect(await response.json()).toMatchObject({ result: 'x' });
  });

  test('that is cut short is no envelope', async () => {
    const failure = Promise.withResolvers<unknown>();
    const { url } = await serve({
      invoke: async (read) => {
        await read().catch(failure.resolve);
        return REPLY;
      },
    });
    const { socket } = await sendRaw(
      url,
      'POST /v1/invoke HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
    );
    socket.end();
    expect(await failure.promise).toMatchObject({
      name: 'MALFORMED_ENVELOPE',
      message: 'the body ended before its announced length',
    });
  });

  test.each([
    ['in the body', 'POST /v1/invoke HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'],
    ['in the headers', 'POST /v1/invoke HTTP/1.1\r\nHost: a\r\nContent-'],
  ])('whose sender stops %s is given up', async (_, sent) => {
    const times = { header_timeout_ms: 200, request_timeout_ms: 400 };
    const { url } = await serve({ invoke: reading }, {}, times);
    const { answer } = await sendRaw(url, sent);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 |^$/);
  });
});

describe('an error', () => {
  test.each(Object.keys(ERRORS) as ErrorName[])('%s is answered by its row', async (name) => {
    const { url } = await serve(failing(new CallError(new GatewayError(name, 'why'), CALL)));
    const response = await post(url);
    expect(response.status).toBe(ERRORS[name].http);
    expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
    expect(response.headers.get('www-authenticate')).toBe(ERRORS[name].http === 401 ? 'SEAL' : null);
    expect(await response.json()).toEqual({
      protocol: 'seal/v1',
      status: 'error',
      error: {
        code: ERRORS[name].code,
        name,
        message: 'why',
        timestamp: '2026-02-17T14:32:02.583Z',
        request_id: 'call-1',
        details: { execution_id: 'call-1' },
      },
    });
  });

  const withOptions = (options: GatewayErrorOptions) =>
    failing(new CallError(new GatewayError('POLICY_RATE_LIMIT_EXCEEDED', 'no', options), CALL));

  test('says when to try again', async () => {
    const { url } = await serve(withOptions({ retry_after_seconds: 7, details: { rule: 'r' } }));
    const response = await post(url);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await response.json()).toMatchObject({
      error: { details: { rule: 'r', execution_id: 'call-1' } },
    });
  });

  test('of the caller is not logged', async () => {
    const { url, logged } = await serve(withOptions({ cause: new Error('for the audit alone') }));
    const response = await post(url);
    expect(await response.text()).not.toContain('for the audit alone');
    expect(logged).toEqual([]);
  });

  test('of an upstream is warned of, with its cause', async () => {
    const cause = new Error('connection reset');
    const error = new GatewayError('UPSTREAM_FAILED', 'the upstream failed', { cause });
    const { url, logged } = await serve(failing(new CallError(error, CALL)));
    expect(await (await post(url)).text()).not.toContain('connection reset');
    expect(logged).toEqual([
      {
        level: 'warn',
        fields: {
          err: cause,
          name: 'UPSTREAM_FAILED',
          request_id: 'call-1',
          execution_id: 'call-1',
          remote_addr: '192.0.2.1',
        },
        message: 'the upstream failed',
      },
    ]);
  });

  test('that nobody knows is a blank 500, with the id that the log has', async () => {
    const fault = new TypeError('secret of /etc/passwd');
    const { url, logged } = await serve(failing(fault));
    const response = await post(url);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({
      protocol: 'seal/v1',
      status: 'error',
      error: {
        code: 4500,
        name: 'INTERNAL',
        message: 'internal error',
        timestamp: '2026-02-17T14:32:02.583Z',
        request_id: 'id-1',
        details: {},
      },
    });
    expect(logged).toEqual([
      {
        level: 'error',
        fields: { err: fault, name: 'INTERNAL', request_id: 'id-1', remote_addr: '192.0.2.1' },
        message: 'internal error',
      },
    ]);
  });

  test.each([undefined, null, 'text', 7])('may be anything: %j', async (thrown) => {
    const { url } = await serve(failing(thrown));
    const response = await post(url);
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: { message: 'internal error', request_id: 'id-1' } });
  });
});

describe('the tools', () => {
  test('are those of the bearer', async () => {
    const tokens: string[] = [];
    const { url } = await serve({
      tools: async (token) => {
        tokens.push(token);
        return [];
      },
    });
    const response = await fetch(`${url}/v1/tools`, { headers: { authorization: 'bearer a.b-_.c' } });
    expect(await response.json()).toEqual([]);
    expect(tokens).toEqual(['a.b-_.c']);
  });

  test.each([
    [{}],
    [{ authorization: 'Basic abc' }],
    [{ authorization: 'Bearer' }],
    [{ authorization: 'Bearer a b' }],
  ])('are not for %j', async (headers) => {
    const { url } = await serve({});
    const response = await fetch(`${url}/v1/tools`, { headers: headers as Record<string, string> });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('SEAL');
    expect(await response.json()).toMatchObject({ error: { code: 1004, request_id: 'id-1', details: {} } });
  });
});

describe('health', () => {
  test('is well as soon as it answers', async () => {
    const { url } = await serve({}, { notReady: () => 'no configuration' });
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok' });
  });

  test('is ready when it can serve calls', async () => {
    let reason: string | null = 'no configuration';
    const { url } = await serve({}, { notReady: () => reason });
    const before = await fetch(`${url}/readyz`);
    expect(before.status).toBe(503);
    expect(await before.json()).toEqual({ status: 'not ready', reason: 'no configuration' });
    reason = null;
    const after = await fetch(`${url}/readyz`);
    expect(after.status).toBe(200);
    expect(await after.json()).toEqual({ status: 'ready', revision: 'rev-1' });
  });

  test.each(['/healthz', '/readyz'])('%s answers HEAD', async (path) => {
    const { url } = await serve({});
    const response = await fetch(url + path, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('');
  });
});

describe('a route', () => {
  test.each([
    ['GET', '/v1/invoke', 'POST'],
    ['PUT', '/v1/seal/invoke', 'POST'],
    ['POST', '/v1/tools', 'HEAD, GET'],
    ['DELETE', '/healthz', 'HEAD, GET'],
    ['OPTIONS', '/v1/invoke', 'POST'],
  ])('does not take %s %s', async (method, path, allow) => {
    const { url } = await serve({});
    const response = await fetch(url + path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow);
    expect(await response.json()).toEqual({
      protocol: 'seal/v1',
      status: 'error',
      error: {
        ...{ code: 405, name: 'METHOD_NOT_ALLOWED', message: `${path} takes ${allow}`, details: {} },
        ...{ timestamp: expect.stringMatching(/Z$/), request_id: expect.any(String) },
      },
    });
  });

  test.each([
    '/',
    '/v1',
    '/v1/invoke/',
    '/v1/invoke/more',
    '/v1/specs',
    '/v1/INVOKE',
    '//v1/invoke',
    '/v1/%69nvoke',
  ])('that is none is 404: %s', async (path) => {
    const { url } = await serve({});
    const response = await new Promise<{ status: number | undefined }>((resolve, reject) => {
      request(url, { path, method: 'POST' }, (message) => {
        message.resume();
        resolve({ status: message.statusCode });
      })
        .on('error', reject)
        .end();
    });
    expect(response.status).toBe(404);
  });

  test('in a reply cannot become markup', async () => {
    const { url } = await serve({});
    const response = await fetch(`${url}/<script>`);
    expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });
});
