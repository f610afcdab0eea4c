import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Egress, Resolve } from '../../src/execute/egress.ts';
import type { Api } from '../../src/snapshot/snapshot.ts';
import { selfSigned } from './certificate.ts';
import { rejection, serveUpstream, testEgress } from './upstream.ts';

type Policy = Api['egress'];

const OPEN: Policy = { allow_private: true, allow_addresses: [] };
const SHUT: Policy = { allow_private: false, allow_addresses: [] };

async function get(egress: Egress, policy: Policy, origin: string): Promise<string> {
  const reply = await egress.dispatcherFor({ egress: policy }).request({ origin, path: '/', method: 'GET' });
  return await reply.body.text();
}

const address = (text: string): LookupAddress => ({ address: text, family: text.includes(':') ? 6 : 4 });

/** A resolver that gives one answer after the other, the last one for ever. */
function answers(...sets: string[][]): { resolve: Resolve; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    resolve: async (hostname) => {
      const set = sets[Math.min(asked.length, sets.length - 1)] ?? [];
      asked.push(hostname);
      return set.map(address);
    },
  };
}

describe('address literals', () => {
  const hosts = [
    '127.0.0.1',
    '0x7f000001',
    '0x7f.1',
    '2130706433',
    '017700000001',
    '127.1',
    '[::ffff:127.0.0.1]',
  ];
  it.each(hosts)('blocks %s and never connects', async (host) => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const error = await rejection(get(testEgress(), SHUT, `http://${host}:${upstream.port}`));
    expect(error.name).toBe('EGRESS_BLOCKED');
    expect(upstream.sockets).toHaveLength(0);
  });

  it.each(hosts)('lets %s through with allow_private', async (host) => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    expect(await get(testEgress(), OPEN, `http://${host}:${upstream.port}`)).toBe('in');
  });

  it('blocks metadata also with allow_private', async () => {
    for (const host of [
      '169.254.169.254',
      '168.63.129.16',
      '[fe80::1]',
      '0.0.0.0',
      '[::]',
      '[fd00:ec2::254]',
    ]) {
      const error = await rejection(get(testEgress(), OPEN, `http://${host}`));
      expect(error.name, host).toBe('EGRESS_BLOCKED');
    }
  });

  it('allows a listed literal', async () => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const policy = { allow_private: false, allow_addresses: ['127.0.0.1'] };
    expect(await get(testEgress(), policy, upstream.url)).toBe('in');
  });
});

describe('names', () => {
  it('blocks a name with a private address, and does not tell the address', async () => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const egress = testEgress(answers(['127.0.0.1']));
    const error = await rejection(get(egress, SHUT, `http://innocent.example:${upstream.port}`));
    expect(error.name).toBe('EGRESS_BLOCKED');
    expect(error.details).toEqual({ host: 'innocent.example' });
    expect(error.message).toContain('innocent.example');
    expect(error.message).not.toContain('127.0.0.1');
    expect(upstream.sockets).toHaveLength(0);
  });

  it('judges the system’s own answer for localhost', async () => {
    const error = await rejection(get(testEgress(), SHUT, 'http://localhost:9'));
    expect(error.name).toBe('EGRESS_BLOCKED');
  });

  it.each([
    ['8.8.8.8', '127.0.0.1'],
    ['127.0.0.1', '169.254.169.254'],
  ])('blocks when one of several addresses is not allowed: %s %s', async (...set) => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const policy = set[0] === '8.8.8.8' ? SHUT : OPEN;
    const egress = testEgress(answers(set));
    const error = await rejection(get(egress, policy, `http://mixed.example:${upstream.port}`));
    expect(error.name).toBe('EGRESS_BLOCKED');
    expect(upstream.sockets).toHaveLength(0);
  });

  it('dials the address that was judged, without a second look-up', async () => {
    const upstream = await serveUpstream((_, response) => response.end('first'));
    const dns = answers(['127.0.0.1'], ['169.254.169.254']);
    const egress = testEgress(dns);
    expect(await get(egress, OPEN, `http://rebind.example:${upstream.port}`)).toBe('first');
    expect(dns.asked).toEqual(['rebind.example']);
  });

  it('judges anew for each connection', async () => {
    const upstream = await serveUpstream((_, response) => {
      response.setHeader('connection', 'close');
      response.end('first');
    });
    const dns = answers(['127.0.0.1'], ['169.254.169.254']);
    const egress = testEgress(dns);
    const origin = `http://rebind.example:${upstream.port}`;
    expect(await get(egress, OPEN, origin)).toBe('first');
    expect((await rejection(get(egress, OPEN, origin))).name).toBe('EGRESS_BLOCKED');
    expect(upstream.sockets).toHaveLength(1);
  });

  it('blocks an answer that is no address', async () => {
    const error = await rejection(get(testEgress(answers(['internal.example'])), OPEN, 'http://odd.example'));
    expect(error.name).toBe('EGRESS_BLOCKED');
  });

  it('tries the next address when the first does not answer', async () => {
    const upstream = await serveUpstream((_, response) => response.end('second'));
    const egress = testEgress(answers(['127.0.0.2', '127.0.0.1']));
    expect(await get(egress, OPEN, `http://two.example:${upstream.port}`)).toBe('second');
  });
});

describe('connections', () => {
  it('are kept alive, also for an equal policy of a later snapshot', async () => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const egress = testEgress();
    for (let i = 0; i < 10; i++) await get(egress, { ...OPEN, allow_addresses: [] }, upstream.url);
    // undici frees a connection one turn of the event loop after its reply, so the next request may open a second.
    expect(upstream.sockets.length).toBeLessThanOrEqual(2);
    expect(egress.dispatcherFor({ egress: { ...OPEN } })).toBe(egress.dispatcherFor({ egress: { ...OPEN } }));
  });

  it('are not shared between policies', async () => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const egress = testEgress();
    await get(egress, OPEN, upstream.url);
    expect((await rejection(get(egress, SHUT, upstream.url))).name).toBe('EGRESS_BLOCKED');
    await get(egress, { allow_private: false, allow_addresses: ['127.0.0.1'] }, upstream.url);
    expect(upstream.sockets).toHaveLength(2);
  });

  it('stay below the limit; further requests wait', async () => {
    const upstream = await serveUpstream((_, response) => response.end('in'));
    const egress = testEgress({ connections: 2 });
    const texts = await Promise.all(Array.from({ length: 20 }, () => get(egress, OPEN, upstream.url)));
    expect(texts).toEqual(Array(20).fill('in'));
    expect(upstream.sockets.length).toBeLessThanOrEqual(2);
  });

  it('end with close', async () => {
    const upstream = await serveUpstream(() => undefined);
    const egress = testEgress();
    const pending = get(egress, OPEN, upstream.url);
    const failed = expect(pending).rejects.toThrow();
    await once(upstream.server, 'request');
    await egress.close();
    await failed;
  });

  it('ignore proxies of the environment', async () => {
    const upstream = await serveUpstream((_, response) => response.end('straight'));
    const proxy = await serveUpstream((_, response) => response.end('proxied'));
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = names.map((name) => process.env[name]);
    onTestFinished(() => {
      names.forEach((name, index) => {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      });
    });
    for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url;
    expect(await get(testEgress(), OPEN, upstream.url)).toBe('straight');
    expect(proxy.sockets).toHaveLength(0);
  });
});

describe('TLS', () => {
  async function serveTls(name: string) {
    const pair = selfSigned(name);
    const server = createServer(pair, (request, response) => {
      response.end(String((request.socket as TLSSocket).servername));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { ca: pair.cert, port: (server.address() as AddressInfo).port };
  }

  it('names the host, not the address', async () => {
    const { ca, port } = await serveTls('upstream.example');
    const egress = testEgress({ ...answers(['127.0.0.1']), ca });
    expect(await get(egress, OPEN, `https://upstream.example:${port}`)).toBe('upstream.example');
  });

  it('refuses a certificate for another name', async () => {
    const { ca, port } = await serveTls('upstream.example');
    const egress = testEgress({ ...answers(['127.0.0.1']), ca });
    await expect(get(egress, OPEN, `https://other.example:${port}`)).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  it('refuses a certificate that nobody vouches for, whatever the environment says', async () => {
    const { port } = await serveTls('upstream.example');
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    onTestFinished(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    });
    const egress = testEgress(answers(['127.0.0.1']));
    await expect(get(egress, OPEN, `https://upstream.example:${port}`)).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
  });
});
