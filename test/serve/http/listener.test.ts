import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get, type RequestListener } from 'node:http';
import { get as getTls, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../../../src/log.ts';
import { type Listener, type ListenerOptions, listen } from '../../../src/serve/http/listener.ts';
import { selfSigned } from '../../execute/certificate.ts';
import { sendRaw } from './raw.ts';

const NO_TLS = { cert_file: null, key_file: null, client_ca_file: null };

async function started(handler: RequestListener, options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const listener = await listen(handler, {
    bind_addr: '127.0.0.1:0',
    tls: NO_TLS,
    header_timeout_ms: 5000,
    request_timeout_ms: 5000,
    log: silentLog,
    ...options,
  });
  onTestFinished(() => listener.close(0));
  return listener;
}

const hello: RequestListener = (_, response) => response.end('hello');

describe('an address', () => {
  test.each([
    ['127.0.0.1:0', /^http:\/\/127\.0\.0\.1:\d+$/],
    ['localhost:0', /^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/],
    ['[::1]:0', /^http:\/\/\[::1\]:\d+$/],
  ])('%s is served, and its URL leads there', async (bind_addr, url) => {
    const listener = await started(hello, { bind_addr });
    expect(listener.url).toMatch(url);
    expect(await (await fetch(listener.url)).text()).toBe('hello');
  });

  test('that is taken is refused', async () => {
    const { url } = await started(hello);
    await expect(started(hello, { bind_addr: new URL(url).host })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

describe('a client that is slow', () => {
  const limits = { header_timeout_ms: 200, request_timeout_ms: 400 };
  const never: RequestListener = (request) => void request.resume();

  test.each([
    ['sends nothing', ''],
    ['stops in the headers', 'POST / HTTP/1.1\r\nHost: a\r\nX-Slow: '],
    ['stops in the body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf'],
  ])('and %s is cut off', async (_, sent) => {
    const { url } = await started(never, limits);
    const { answer } = await sendRaw(url, sent);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 |^$/);
  });

  test('to send all but headers has the time of the request', async () => {
    const { url } = await started(async (request, response) => response.end(await text(request)), {
      header_timeout_ms: 250,
      request_timeout_ms: 5000,
    });
    const { socket, answer } = await sendRaw(
      url,
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 8\r\n\r\nhalf',
    );
    setTimeout(() => socket.write('full'), 600);
    expect(await answer).toMatch(/halffull$/);
  });

  test('may have less time for the whole than for its headers, without harm', async () => {
    const { url } = await started(hello, { header_timeout_ms: 500, request_timeout_ms: 100 });
    expect((await fetch(url)).status).toBe(200);
  });
});

test('headers over the limit are 431', async () => {
  const { url } = await started(hello);
  const response = await fetch(url, { headers: { 'x-large': 'a'.repeat(40_000) } });
  expect(response.status).toBe(431);
});

describe('close', () => {
  /** A server whose answers wait for `finish`. */
  async function waiting() {
    const arrived = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const listener = await started(async (_, response) => {
      response.write('begun ');
      arrived.resolve();
      await finish.promise;
      response.end('done');
    });
    return { listener, arrived: arrived.promise, finish: finish.resolve };
  }

  test('lets a request in flight end, and takes no new connection', async () => {
    const { listener, arrived, finish } = await waiting();
    const reply = fetch(listener.url).then((response) => response.text());
    await arrived;
    const closed = listener.close(5000);
    await expect(fetch(listener.url)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    finish();
    expect(await reply).toBe('begun done');
    await closed;
  });

  test('cuts what is not done in time', async () => {
    const { listener, arrived } = await waiting();
    const reply = fetch(listener.url).then((response) => response.text());
    const failed = expect(reply).rejects.toThrow('terminated');
    await arrived;
    await listener.close(50);
    await failed;
  });

  test('does not wait for connections that are idle', async () => {
    const listener = await started(hello);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const [response] = await once(get(listener.url, { agent }), 'response');
    await text(response);
    await listener.close(60_000);
  });

  test('ends a connection that would go on asking', async () => {
    const arrived = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const listener = await started(async (_, response) => {
      arrived.resolve();
      await go.promise;
      response.end('x');
    });
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    const { socket, answer } = await sendRaw(listener.url, request);
    socket.on('data', () => socket.write(request));
    await arrived.promise;
    const closed = listener.close(5000);
    go.resolve();
    await closed;
    // The one in flight, and at most the one that came before the connection was told to end.
    expect((await answer).split('HTTP/1.1 200').length - 1).toBeOneOf([1, 2]);
  });
});

describe('TLS', () => {
  /** Names of files with a new key and certificate for localhost. */
  function files(): { cert_file: string; key_file: string; cert: string; key: string } {
    const directory = mkdtempSync(join(tmpdir(), 'seal-tls-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const { cert, key } = selfSigned('localhost');
    const [cert_file, key_file] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    writeFileSync(cert_file, cert);
    writeFileSync(key_file, key);
    return { cert_file, key_file, cert, key };
  }

  async function statusOf(url: string, options: RequestOptions): Promise<number | undefined> {
    const [response] = await once(
      getTls(url, { servername: 'localhost', agent: false, ...options }),
      'response',
    );
    response.resume();
    return response.statusCode;
  }

  test('is served with the certificate of the files', async () => {
    const { cert_file, key_file, cert } = files();
    const { url } = await started(hello, { tls: { cert_file, key_file, client_ca_file: null } });
    expect(url).toMatch(/^https:/);
    expect(await statusOf(url, { ca: cert })).toBe(200);
    await expect(statusOf(url, {})).rejects.toThrow('self-signed');
    await expect(statusOf(url, { ca: cert, maxVersion: 'TLSv1.1' })).rejects.toThrow();
  });

  test('with a client CA serves nobody without a certificate of it', async () => {
    const server = files();
    const client = files();
    const { url } = await started(hello, {
      tls: { cert_file: server.cert_file, key_file: server.key_file, client_ca_file: client.cert_file },
    });
    const stranger = selfSigned('localhost');
    expect(await statusOf(url, { ca: server.cert, cert: client.cert, key: client.key })).toBe(200);
    await expect(statusOf(url, { ca: server.cert })).rejects.toThrow();
    await expect(
      statusOf(url, { ca: server.cert, cert: stranger.cert, key: stranger.key }),
    ).rejects.toThrow();
  });

  test('a handshake that does not come is cut off', async () => {
    const { cert_file, key_file } = files();
    const { url } = await started(hello, {
      tls: { cert_file, key_file, client_ca_file: null },
      header_timeout_ms: 200,
    });
    const { answer } = await sendRaw(url, '');
    expect(await answer).toBe('');
  });

  test('files that are not there are refused', async () => {
    const tls = { cert_file: '/no/cert.pem', key_file: '/no/key.pem', client_ca_file: null };
    await expect(started(hello, { tls })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
