import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type DownloadOptions, download } from '../../src/execute/download.ts';
import { rejection, serveUpstream, testEgress } from './upstream.ts';

const PRIVATE = { allow_private: true, allow_addresses: [] };
const options = (more: Partial<DownloadOptions> = {}): DownloadOptions => ({
  egress: PRIVATE,
  signal: new AbortController().signal,
  timeout_ms: 5_000,
  max_bytes: 1_000,
  ...more,
});

test('the bytes as they are, asked for without any credential', async () => {
  const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d, 0xff]);
  const { url, requests } = await serveUpstream((_, response) => response.end(bytes));
  expect(await download(testEgress(), `${url}/a/b.json?v=1`, options())).toEqual(bytes);
  expect(requests[0]?.url).toBe('/a/b.json?v=1');
  expect(Object.keys(requests[0]?.headers ?? {}).sort()).toEqual([
    'accept',
    'accept-encoding',
    'connection',
    'host',
    'user-agent',
  ]);
});

test('a content coding that nobody asked for is undone, within the limit', async () => {
  const { url } = await serveUpstream((request, response) => {
    const text = 'x'.repeat(request.url === '/bomb' ? 1_001 : 1_000);
    response.setHeader('content-encoding', request.url === '/odd' ? 'compress' : 'gzip');
    response.end(gzipSync(text));
  });
  const egress = testEgress();
  expect(await download(egress, `${url}/`, options())).toHaveLength(1_000);
  expect(await rejection(download(egress, `${url}/bomb`, options()))).toMatchObject({
    name: 'RESPONSE_TOO_LARGE',
    message: expect.stringMatching(/^GET 127\.0\.0\.1:\d+\/bomb answered with more than 1000 bytes$/),
  });
  expect((await rejection(download(egress, `${url}/odd`, options()))).message).toContain('cannot be read');
});

test.each([
  [
    'another host',
    'http://elsewhere.example/x?token=1',
    'a redirect to elsewhere.example/x, which is not followed',
  ],
  ['the same host', '/other', '/other, which is not followed'],
])('a redirect to %s is not followed', async (_, location, said) => {
  const { url, requests } = await serveUpstream((_request, response) => {
    response.writeHead(302, { location });
    response.end('{}');
  });
  const error = await rejection(download(testEgress(), `${url}/a?key=k`, options()));
  expect(error.message).toMatch(/^GET 127\.0\.0\.1:\d+\/a answered 302 with/);
  expect(error.message).toContain(said);
  expect(error.message).not.toMatch(/token|key/);
  expect(requests).toHaveLength(1);
});

test('anything but 200 is a failure', async () => {
  const { url } = await serveUpstream((request, response) => {
    response.writeHead(Number(request.url?.slice(1)));
    response.end();
  });
  for (const status of [204, 301, 404, 500]) {
    const error = await rejection(download(testEgress(), `${url}/${status}`, options()));
    expect(error.message).toMatch(new RegExp(`/${status} answered ${status}$`));
  }
});

test('a private address is asked only when that is allowed', async () => {
  const { url, sockets } = await serveUpstream((_, response) => response.end('{}'));
  const closed = { allow_private: false, allow_addresses: [] };
  const error = await rejection(download(testEgress(), url, options({ egress: closed })));
  expect(error.name).toBe('EGRESS_BLOCKED');
  expect(sockets).toHaveLength(0);
  const listed = { allow_private: false, allow_addresses: ['127.0.0.1'] };
  expect(String(await download(testEgress(), url, options({ egress: listed })))).toBe('{}');
});

test('a body that drips ends at the deadline, one that is too large at the limit', async () => {
  const { url } = await serveUpstream((request, response) => {
    if (request.url === '/large') return response.end('x'.repeat(2_000));
    response.write('{');
    return undefined;
  });
  const late = await rejection(download(testEgress(), `${url}/slow`, options({ timeout_ms: 50 })));
  expect(late.name).toBe('UPSTREAM_TIMEOUT');
  const large = await rejection(download(testEgress(), `${url}/large`, options()));
  expect(large.name).toBe('RESPONSE_TOO_LARGE');
});
