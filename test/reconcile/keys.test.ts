import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Log, silentLog } from '../../src/log.ts';
import { localEnvelopeKeys, localKeys, remoteKeys } from '../../src/reconcile/keys.ts';

const ed25519 = () => generateKeyPairSync('ed25519').publicKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
const ALL = ['EdDSA', 'Ed25519', 'RS256', 'ES256'];

function jwkOf(key: KeyObject, more: Record<string, unknown> = {}): JsonWebKey {
  return { ...key.export({ format: 'jwk' }), ...more };
}

describe('localKeys', () => {
  const a = ed25519();
  const b = ed25519();
  const mixed = localKeys(
    {
      keys: [
        jwkOf(a, { kid: 'a', alg: 'EdDSA', use: 'sig' }),
        jwkOf(b, { kid: 'b', alg: 'Ed25519' }),
        jwkOf(rsa.publicKey, { kid: 'r', alg: 'RS256', x5c: ['...'] }),
        jwkOf(p256, { kid: 'e', key_ops: ['verify'] }),
        jwkOf(ed25519(), { kid: 'a', use: 'enc' }),
      ],
    },
    ALL,
  );

  test.each(['EdDSA', 'Ed25519'])('%s finds keys however their alg is spelt', async (alg) => {
    expect((await mixed.candidates({ alg, kid: 'a' })).map((key) => key.equals(a))).toEqual([true]);
    expect((await mixed.candidates({ alg, kid: 'b' })).map((key) => key.equals(b))).toEqual([true]);
    expect(await mixed.candidates({ alg })).toHaveLength(2);
  });

  test('a key serves its own algorithm alone', async () => {
    expect(await mixed.candidates({ alg: 'RS256', kid: 'r' })).toHaveLength(1);
    expect(await mixed.candidates({ alg: 'ES256' })).toHaveLength(1);
    for (const header of [
      { alg: 'ES256', kid: 'a' },
      { alg: 'RS256', kid: 'e' },
      { alg: 'HS256' },
      { alg: 'none' },
    ]) {
      expect(await mixed.candidates(header)).toEqual([]);
    }
    expect(await mixed.candidates({ alg: 'EdDSA', kid: 'z' })).toEqual([]);
  });

  test('several keys without kid are all candidates, four at most, after those of the kid', async () => {
    const unnamed = localKeys({ keys: [1, 2, 3, 4, 5].map(() => jwkOf(ed25519())) }, ['EdDSA', 'Ed25519']);
    expect(await unnamed.candidates({ alg: 'EdDSA' })).toHaveLength(4);
    expect(await unnamed.candidates({ alg: 'EdDSA', kid: 'z' })).toHaveLength(4);
    const both = localKeys({ keys: [jwkOf(a), jwkOf(b, { kid: 'b' })] }, ['EdDSA']);
    const candidates = await both.candidates({ alg: 'EdDSA', kid: 'b' });
    expect(candidates.map((key) => key.equals(b))).toEqual([true, false]);
  });

  test.each([
    ['null', null, 'not a JWKS'],
    ['a list', [], 'not a JWKS'],
    ['no list', { keys: {} }, 'not a JWKS'],
    ['no key', { keys: [] }, 'no key to verify'],
    ['only encryption keys', { keys: [jwkOf(a, { use: 'enc' })] }, 'no key to verify'],
    ['too many', { keys: Array.from({ length: 33 }, () => jwkOf(a)) }, '33 keys, at most 32'],
    ['no object', { keys: [jwkOf(a), 7] }, 'keys[1]: not a JSON object'],
    ['a secret', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, 'keys[0]: holds the private member "k"'],
    [
      'a private RSA key',
      { keys: [rsa.privateKey.export({ format: 'jwk' })] },
      'keys[0]: holds the private member "d"',
    ],
    [
      'a private Ed25519 key',
      { keys: [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })] },
      'private member',
    ],
    ['P-384', { keys: [jwkOf(p384)] }, 'keys[0]: neither'],
    ['X25519', { keys: [generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })] }, 'keys[0]: crv'],
    ['RSA of 1024 bits', { keys: [jwkOf(rsa1024)] }, 'keys[0]: an RSA key of 1024 bits'],
    ['RSA with exponent 1', { keys: [jwkOf(rsa.publicKey, { e: 'AQ' })] }, 'keys[0]: an RSA exponent'],
    ['RSA with an even exponent', { keys: [jwkOf(rsa.publicKey, { e: 'BA' })] }, 'keys[0]: an RSA exponent'],
    ['RSA without n', { keys: [{ kty: 'RSA', e: 'AQAB' }] }, 'keys[0]: n and e'],
    ['a point off the curve', { keys: [jwkOf(p256, { x: jwkOf(p256).y })] }, 'keys[0]: not a point'],
    [
      'a point of small order',
      { keys: [jwkOf(a, { x: Buffer.alloc(32).toString('base64url') })] },
      'keys[0]: a point of small order',
    ],
    ['another alg of the key', { keys: [jwkOf(rsa.publicKey, { alg: 'PS256' })] }, 'keys[0]: alg'],
    ['another alg of the curve', { keys: [jwkOf(p256, { alg: 'ECDH-ES' })] }, 'keys[0]: alg'],
    ['another use', { keys: [jwkOf(p256, { use: 'x' })] }, 'keys[0]: use'],
    ['key_ops', { keys: [jwkOf(p256, { key_ops: ['sign'] })] }, 'keys[0]: key_ops'],
    ['kid of another type', { keys: [jwkOf(p256, { kid: 1 })] }, 'keys[0]: kid'],
  ])('refuses %s', (_, jwks, reason) => {
    expect(() => localKeys(jwks, ALL)).toThrow(reason);
  });

  test('refuses a key that fits no algorithm of the issuer', () => {
    expect(() => localKeys({ keys: [jwkOf(p256)] }, ['EdDSA', 'Ed25519'])).toThrow(
      'keys[0]: P-256 fits none of',
    );
    expect(() => localKeys({ keys: [jwkOf(a)] }, ['RS256'])).toThrow('keys[0]: Ed25519 fits none of');
  });
});

describe('localEnvelopeKeys', () => {
  test('Ed25519 keys with their kid', () => {
    const keys = localEnvelopeKeys({
      keys: [jwkOf(ed25519(), { kid: 'a' }), jwkOf(ed25519()), jwkOf(p256, { use: 'enc' })],
    });
    expect(keys.map((key) => key.kid)).toEqual(['a', null]);
  });

  test.each([
    [{ keys: [] }, 'no key'],
    [{ keys: [jwkOf(ed25519()), jwkOf(p256)] }, 'keys[1]: kty'],
    [
      { keys: [jwkOf(ed25519(), { x: Buffer.alloc(32, 0xff).toString('base64url') })] },
      'keys[0]: not canonical',
    ],
    [
      { keys: [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })] },
      'keys[0]: holds the private',
    ],
    [undefined, 'not a JWKS'],
  ])('%#: %s', (jwks, reason) => {
    expect(() => localEnvelopeKeys(jwks)).toThrow(reason);
  });
});

describe('remoteKeys', () => {
  const SECOND = 1000;
  const MINUTE = 60 * SECOND;
  const HOUR = 60 * MINUTE;
  const KEYS = Array.from({ length: 3 }, ed25519);
  let server: Server;
  let url: string;
  let requests = 0;
  let failures = 0;
  let answer: RequestListener;
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const noteFailure = (): void => {
    failures += 1;
  };
  const log: Log = { ...silentLog, debug: () => undefined, warn: noteFailure };

  function serve(...keys: JsonWebKey[]): void {
    answer = (_, response) => response.end(JSON.stringify({ keys }));
  }

  function down(): void {
    answer = (_, response) => response.writeHead(503).end('down');
  }

  function keys(algorithms = ['EdDSA', 'Ed25519']) {
    return remoteKeys(url, algorithms, { clock, log });
  }

  const ask = (kid?: string) => ({ alg: 'EdDSA', kid });
  const UNAVAILABLE = { name: 'TOKEN_VERIFICATION_FAILED', details: { reason: 'keys unavailable' } };

  /** Waits until so many fetches in the background have failed. */
  async function failed(count: number): Promise<void> {
    await expect.poll(() => failures, { interval: 1, timeout: 10_000 }).toBe(count);
  }

  beforeEach(async () => {
    requests = 0;
    failures = 0;
    now = 1_000_000;
    serve(jwkOf(KEYS[0]!, { kid: 'k0' }));
    server = createServer((request, response) => {
      requests += 1;
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('fetches once for many, when first asked', async () => {
    const remote = keys();
    expect(requests).toBe(0);
    const all = await Promise.all(Array.from({ length: 50 }, () => remote.candidates(ask('k0'))));
    expect(all.every((found) => found[0]?.equals(KEYS[0]!))).toBe(true);
    now += 9 * MINUTE;
    await remote.candidates(ask());
    expect(requests).toBe(1);
  });

  test('after 10 minutes it serves what it has and refreshes behind', async () => {
    const remote = keys();
    await remote.candidates(ask('k0'));
    serve(jwkOf(KEYS[0]!, { kid: 'k0' }), jwkOf(KEYS[1]!, { kid: 'k1' }));
    now += 10 * MINUTE;
    expect(await remote.candidates(ask())).toHaveLength(1);
    await expect.poll(() => remote.candidates(ask()), { interval: 1, timeout: 10_000 }).toHaveLength(2);
    expect(requests).toBe(2);
  });

  test('a rotated key is found at once, and the old one is gone', async () => {
    const remote = keys();
    await remote.candidates(ask('k0'));
    serve(jwkOf(KEYS[1]!, { kid: 'k1' }));
    now += 1;
    const [found] = await remote.candidates(ask('k1'));
    expect(found?.equals(KEYS[1]!)).toBe(true);
    expect(await remote.candidates(ask('k0'))).toEqual([]);
    expect(requests).toBe(2);
  });

  test('a flood of unknown kids fetches once in 30 s', async () => {
    const remote = keys();
    await remote.candidates(ask('k0'));
    for (let i = 0; i < 500; i += 1) {
      expect(await remote.candidates(ask(`junk-${i}`))).toEqual([]);
      now += 59;
    }
    expect(requests).toBe(2);
    await Promise.all(Array.from({ length: 100 }, (_, i) => remote.candidates(ask(`more-${i}`))));
    expect(requests).toBe(2);
    now += 500;
    await Promise.all(Array.from({ length: 100 }, (_, i) => remote.candidates(ask(`late-${i}`))));
    expect(requests).toBe(3);
    expect(await remote.candidates(ask('k0'))).toHaveLength(1);
  });

  test('while the server is down the last good set serves, with few attempts, for 24 h', async () => {
    const remote = keys();
    await remote.candidates(ask('k0'));
    down();
    for (let minute = 0; minute < 60; minute += 1) {
      now += MINUTE;
      expect(await remote.candidates(ask('k0'))).toHaveLength(1);
      expect(await remote.candidates(ask('k0'))).toHaveLength(1);
      if (minute >= 9) await failed(minute - 8);
    }
    expect(requests).toBe(52);
    now += 22 * HOUR + 59 * MINUTE;
    expect(await remote.candidates(ask('k0'))).toHaveLength(1);
    await failed(52);
    now += MINUTE;
    await expect(remote.candidates(ask('k0'))).rejects.toMatchObject(UNAVAILABLE);
    expect(requests).toBe(54);
    serve(jwkOf(KEYS[0]!, { kid: 'k0' }));
    now += 30 * SECOND;
    expect(await remote.candidates(ask('k0'))).toHaveLength(1);
  });

  test('with nothing to serve it fails closed, and attempts back off', async () => {
    down();
    const remote = keys();
    for (let i = 0; i < 100; i += 1)
      await expect(remote.candidates(ask())).rejects.toMatchObject(UNAVAILABLE);
    expect(requests).toBe(1);
    const times: number[] = [];
    for (let second = 1; second <= 100; second += 1) {
      now += SECOND;
      const before = requests;
      await expect(remote.candidates(ask(`k${second}`))).rejects.toMatchObject(UNAVAILABLE);
      if (requests > before) times.push(second);
    }
    expect(times).toEqual([1, 3, 7, 15, 31, 61, 91]);
    serve(jwkOf(KEYS[0]!, { kid: 'k0' }));
    now += 30 * SECOND;
    expect(await remote.candidates(ask('k0'))).toHaveLength(1);
  });

  test('a slow server holds nobody up who has keys, and is asked once at a time', async () => {
    const remote = keys();
    await remote.candidates(ask('k0'));
    const waiting: (() => void)[] = [];
    answer = (_, response) =>
      waiting.push(() => response.end(JSON.stringify({ keys: [jwkOf(KEYS[1]!, { kid: 'k1' })] })));
    now += 11 * MINUTE;
    for (let i = 0; i < 20; i += 1) expect(await remote.candidates(ask('k0'))).toHaveLength(1);
    const rotated = Promise.all(Array.from({ length: 20 }, () => remote.candidates(ask('k1'))));
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]!();
    expect((await rotated).every((found) => found.length === 1)).toBe(true);
    expect(requests).toBe(2);
  });

  test('a request has 5 s, its body included', async () => {
    const timeout = AbortSignal.timeout;
    const asked = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => timeout(50));
    onTestFinished(() => asked.mockRestore());
    answer = (_, response) => response.writeHead(200).write('{');
    await expect(keys().candidates(ask())).rejects.toMatchObject(UNAVAILABLE);
    expect(asked).toHaveBeenCalledExactlyOnceWith(5000);
    expect(requests).toBe(1);
  });

  const huge = JSON.stringify({ keys: [jwkOf(KEYS[0]!)], pad: 'x'.repeat(256 * 1024) });
  test.each<[string, RequestListener]>([
    ['a document over 256 KiB', (_, response) => response.end(huge)],
    [
      'one that says so in advance',
      (_, response) => response.writeHead(200, { 'content-length': huge.length }).end(huge),
    ],
    [
      'a small one that unpacks to much',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(huge)),
    ],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/jwks' }).end()],
    ['an error page', (_, response) => response.writeHead(404).end('{"keys":[]}')],
    ['no JSON', (_, response) => response.end('<html>')],
    ['no UTF-8', (_, response) => response.end(Buffer.from([0x7b, 0xff]))],
    ['no key set', (_, response) => response.end('[]')],
    ['an empty set', (_, response) => response.end('{"keys":[]}')],
    [
      '33 keys',
      (_, response) =>
        response.end(JSON.stringify({ keys: Array.from({ length: 33 }, () => jwkOf(KEYS[0]!)) })),
    ],
    ['a broken connection', (_, response) => response.destroy()],
    [
      'a body that breaks off',
      (_, response) =>
        void response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy()),
    ],
  ])('%s is a failure, and the last good set stays', async (_, bad) => {
    const remote = keys();
    const first = answer;
    answer = bad;
    await expect(remote.candidates(ask())).rejects.toMatchObject(UNAVAILABLE);
    answer = first;
    now += MINUTE;
    await remote.candidates(ask());
    answer = bad;
    now += 11 * MINUTE;
    expect(await remote.candidates(ask())).toHaveLength(1);
    await failed(2);
    expect(await remote.candidates(ask())).toHaveLength(1);
  });

  test('keys that cannot be used are left out', async () => {
    serve(
      jwkOf(rsa.publicKey, { kid: 'r' }),
      jwkOf(rsa1024, { kid: 'weak' }),
      jwkOf(KEYS[0]!, { kid: 'small', x: Buffer.alloc(32).toString('base64url') }),
      { kty: 'oct', k: 'AAAA', kid: 'secret' },
      jwkOf(KEYS[1]!, { kid: 'k1' }),
      jwkOf(KEYS[2]!, { kid: 'k2', use: 'enc' }),
    );
    const found = await keys().candidates(ask());
    expect(found.map((key) => key.equals(KEYS[1]!))).toEqual([true]);
  });

  test.each([
    ['http://issuer.example/jwks', 'not https'],
    ['http://127.0.0.1.example/jwks', 'not https'],
    ['http://localhost.example/jwks', 'not https'],
    ['http://10.0.0.1/jwks', 'not https'],
    ['file:///etc/jwks', 'not https'],
    ['data:application/json,{}', 'not https'],
    ['https://user:pass@issuer.example/jwks', 'user or password'],
    ['/jwks', 'not an absolute URL'],
  ])('%s may not be fetched: %s', (bad, reason) => {
    expect(() => remoteKeys(bad, ALL, { clock, log })).toThrow(reason);
  });

  test.each([
    'https://issuer.example/jwks',
    'http://localhost:1/x',
    'http://127.1.2.3/x',
    'http://[::1]:1/x',
  ])('%s may be fetched', (good) => {
    expect(remoteKeys(good, ALL, { clock, log })).toHaveProperty('candidates');
  });
});
