/** Replies and names that cannot be trusted, through retry and pages: each has a code, and none a second life. */

import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Secret } from '../../src/credentials/secret.ts';
import { run, serve, toolOf } from './running.ts';
import { rejection, serveUpstream, testEgress } from './upstream.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const MiB = 1_048_576;
const BOMB = gzipSync(Buffer.alloc(50 * MiB));

/** One GET over pages, sent again up to twice. */
const reading = (more: object = {}) => ({
  steps: [
    {
      name: 'read',
      method: 'GET',
      path: '/list',
      retry: { attempts: 2, backoff_ms: 0 },
      paginate: { next: '$.next', collect: '$.data[*]' },
      ...more,
    },
  ],
});

const drip: RequestListener = (_, response) => {
  const timer = setInterval(() => response.write(' '), 5);
  response.on('close', () => clearInterval(timer));
};

interface Bad {
  readonly what: string;
  readonly answer: RequestListener;
  readonly name: string;
  readonly says: RegExp;
  /** Requests that are made of the page. */
  readonly attempts: 1 | 2;
}

const BAD: readonly Bad[] = [
  {
    what: 'not JSON, though it says so',
    answer: (_, response) => response.writeHead(200, JSON_TYPE).end('<html>'),
    name: 'UPSTREAM_FAILED',
    says: /answered 200 with application\/json that is not JSON/,
    attempts: 1,
  },
  {
    what: 'truncated',
    answer: (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{"data":');
      setImmediate(() => response.destroy());
    },
    name: 'UPSTREAM_FAILED',
    says: /closed the connection before the reply was whole|another length/,
    attempts: 2,
  },
  {
    what: '50 MB',
    answer: (_, response) => {
      response.writeHead(200, JSON_TYPE);
      const chunk = Buffer.alloc(MiB, ' ');
      const more = (left: number): void => {
        if (left === 0 || response.destroyed) return void response.end();
        response.write(chunk, () => more(left - 1));
      };
      more(50);
    },
    name: 'RESPONSE_TOO_LARGE',
    says: /answered with more than 1048576 bytes/,
    attempts: 1,
  },
  {
    what: 'a gzip bomb',
    answer: (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(BOMB);
    },
    name: 'RESPONSE_TOO_LARGE',
    says: /answered with more than 1048576 bytes/,
    attempts: 1,
  },
  {
    what: 'a slow drip',
    answer: drip,
    name: 'UPSTREAM_TIMEOUT',
    says: /did not answer within 100 ms/,
    attempts: 2,
  },
  {
    what: 'a redirect to another origin',
    answer: (_, response) => response.writeHead(302, { location: 'http://evil.example/' }).end(),
    name: 'UPSTREAM_FAILED',
    says: /answered 302/,
    attempts: 1,
  },
  {
    what: 'a redirect to a private address',
    answer: (_, response) => response.writeHead(307, { location: 'http://169.254.169.254/latest' }).end(),
    name: 'UPSTREAM_FAILED',
    says: /answered 307/,
    attempts: 1,
  },
  {
    what: 'JSON too deep to be walked',
    answer: (_, response) => response.writeHead(200, JSON_TYPE).end('['.repeat(9999) + ']'.repeat(9999)),
    name: 'UPSTREAM_FAILED',
    says: /nests deeper than 256 levels/,
    attempts: 1,
  },
];

describe.each(BAD)('a reply that is $what', ({ answer, name, says, attempts }) => {
  const timeout_ms = answer === drip ? 100 : 5_000;
  const api = (url: string) => ({ base_url: url, max_response_bytes: MiB, timeout_ms });

  it('as the first page', async () => {
    const upstream = await serveUpstream(answer);
    const { output, events } = run(await toolOf({ crm: api(upstream.url) }, reading()));
    const error = await rejection(output);
    expect(error.name).toBe(name);
    expect(error.message).toMatch(says);
    expect(error.details).toMatchObject({ step: 'read', method: 'GET', path: '/list' });
    expect(upstream.requests).toHaveLength(attempts);
    expect(events).toMatchObject([{ attempts, pages: 0, error: name }]);
  });

  it('as the second page, which leaves nothing of the first', async () => {
    const upstream = await serveUpstream((request, response) => {
      if (request.url !== '/list') return answer(request, response);
      response.writeHead(200, JSON_TYPE).end('{"data":[1],"next":"/list?p=2"}');
    });
    const more = { on_error: 'continue', extract: { all: '$' }, defaults: { all: 'nothing' } };
    const spec = { ...reading(more), output: '{{steps.read.all}}' };
    const { output, events } = run(await toolOf({ crm: api(upstream.url) }, spec));
    expect(await output).toBe('nothing');
    expect(upstream.requests).toHaveLength(1 + attempts);
    expect(events).toMatchObject([{ attempts: 1 + attempts, pages: 1, error: name }]);
  });
});

it('an empty reply is no page, and the last one', async () => {
  const upstream = await serveUpstream((_, response) => response.writeHead(200, JSON_TYPE).end());
  expect(await run(await toolOf({ crm: upstream.url }, reading())).output).toEqual([]);
});

it('what is no HTTP is not asked again', async () => {
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    socket.end('SSH-2.0-OpenSSH\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const error = await rejection(run(await toolOf({ crm: url }, reading())).output);
  expect(error.message).toMatch(/did not answer in HTTP$/);
  expect(connections).toBe(1);
});

describe('a name', () => {
  const named = (port: number, egress: object) => ({ base_url: `http://crm.example:${port}`, egress });

  it('with a private address is not asked again, nor told a credential', async () => {
    const { upstream, asked } = await serve(() => ({}));
    let looked = 0;
    const egress = testEgress({
      resolve: async () => {
        looked += 1;
        return [{ address: '127.0.0.1', family: 4 }];
      },
    });
    const tool = await toolOf({ crm: named(upstream.port, {}) }, reading());
    const { output, events } = run(tool, {}, { deps: { egress } });
    expect((await rejection(output)).name).toBe('EGRESS_BLOCKED');
    expect(events).toMatchObject([{ attempts: 1, error: 'EGRESS_BLOCKED' }]);
    expect({ looked, asked }).toEqual({ looked: 1, asked: [] });
  });

  it('that changes to a private address between attempts is refused then', async () => {
    const { upstream, asked } = await serve(() => ({ disconnect: true }));
    const answers = ['127.0.0.1', '10.0.0.1'];
    const egress = testEgress({
      resolve: async () => [{ address: answers.shift() ?? '10.0.0.1', family: 4 }],
    });
    const tool = await toolOf({ crm: named(upstream.port, { allow_hosts: ['127.0.0.1'] }) }, reading());
    const { output, events } = run(tool, {}, { deps: { egress } });
    expect((await rejection(output)).name).toBe('EGRESS_BLOCKED');
    expect(asked).toHaveLength(1);
    expect(events).toMatchObject([{ attempts: 2 }]);
  });

  it('that changes to a private address between pages is refused then', async () => {
    const { upstream, asked } = await serve(() => ({
      body: { data: [1], next: '/list?p=2' },
      headers: { connection: 'close' },
    }));
    const answers = ['127.0.0.1', '10.0.0.1'];
    const egress = testEgress({
      resolve: async () => [{ address: answers.shift() ?? '10.0.0.1', family: 4 }],
    });
    const tool = await toolOf({ crm: named(upstream.port, { allow_hosts: ['127.0.0.1'] }) }, reading());
    const { output } = run(tool, {}, { deps: { egress } });
    expect((await rejection(output)).name).toBe('EGRESS_BLOCKED');
    expect(asked).toHaveLength(1);
  });

  it('that does not resolve is asked again, and may be there then', async () => {
    const { upstream } = await serve(() => ({ body: { data: [7] } }));
    let looked = 0;
    const egress = testEgress({
      resolve: async () => {
        if (++looked === 1) throw Object.assign(new Error('getaddrinfo'), { code: 'EAI_AGAIN' });
        return [{ address: '127.0.0.1', family: 4 }];
      },
    });
    const tool = await toolOf({ crm: named(upstream.port, { allow_private: true }) }, reading());
    expect(await run(tool, {}, { deps: { egress } }).output).toEqual([7]);
  });
});

describe('the excerpt of a failure', () => {
  const failing = async (type: string, body: string, secrets = {}) => {
    const upstream = await serveUpstream((_, response) =>
      response.writeHead(500, { 'content-type': type }).end(body),
    );
    const credentials = async () => ({ headers: {}, query: {}, ...secrets });
    const crm = { base_url: upstream.url, credential: { static_ref: { key: 'k' } } };
    const tool = await toolOf({ crm }, { steps: [{ name: 'a', method: 'GET', path: '/a' }] });
    return (await rejection(run(tool, {}, { deps: { credentials } }).output)).details.excerpt;
  };

  it.each<[string, string, string | undefined]>([
    ['application/json', '{"error":"no such customer"}', '{"error":"no such customer"}'],
    [
      'application/json',
      '{"error":"no","api_key":"abc","deep":[{"Password":"x"}]}',
      '{"error":"no","api_key":"[redacted]","deep":[{"Password":"[redacted]"}]}',
    ],
    ['text/plain', 'Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln was refused', '[redacted]'],
    ['text/html', '<p>Down\n  for now</p>', '<p>Down for now</p>'],
    ['application/octet-stream', 'abc', undefined],
    ['application/json', '', undefined],
  ])('of %s %s', async (type, body, shown) => {
    expect(await failing(type, body)).toBe(shown);
  });

  it('does not repeat the credential, whatever form it has', async () => {
    const secrets = {
      headers: { authorization: new Secret('Bearer op-aque-value') },
      query: { k: new Secret('plain-query-key') },
    };
    const said = await failing(
      'text/plain',
      'you sent op-aque-value and plain-query-key, Bearer of bad news',
      secrets,
    );
    expect(said).toBe('you sent [redacted] and [redacted], Bearer of bad news');
    const json = await failing('application/json', '{"you_sent":{"q":"plain-query-key"}}', secrets);
    expect(json).toBe('{"you_sent":{"q":"[redacted]"}}');
  });

  it('is short', async () => {
    expect(await failing('application/json', JSON.stringify({ a: 'x'.repeat(100_000) }))).toHaveLength(512);
    expect(await failing('text/plain', 'é'.repeat(100_000))).toHaveLength(512);
  });
});
