import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { keyCandidates, readToken, verifyToken as verify } from '../../src/envelope/token.ts';
import type { Issuer } from '../../src/snapshot/snapshot.ts';
import { failureOf, NOW, NOW_MS, newSigner } from './signing.ts';

const ed25519 = generateKeyPairSync('ed25519');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ALL = ['EdDSA', 'Ed25519', 'RS256', 'ES256'];

const GOOD: JWTPayload = {
  iss: 'https://issuer.example',
  aud: 'seal-gateway',
  sub: 'agent-7',
  jti: 'token-1',
  iat: NOW - 10,
  exp: NOW + 300,
  scp: 'billing-read',
};

function issuerWith(keys: readonly KeyObject[], changes: Partial<Issuer> = {}): Issuer {
  return {
    name: 'ci',
    tenant: null,
    issuer: 'https://issuer.example',
    audience: ['seal-gateway', 'other-audience'],
    algorithms: ALL,
    keys: { candidates: async () => keys },
    envelope_keys: [],
    replay: 'token',
    sessions_only: false,
    default_security_context: null,
    allowed_tenants: null,
    allowed_security_contexts: null,
    max_token_ttl_seconds: 3600,
    ...changes,
  };
}

const issuer = issuerWith([ed25519.publicKey]);

function token(
  claims: JWTPayload,
  header: JWTHeaderParameters = { alg: 'EdDSA' },
  key = ed25519.privateKey,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

/** A token put together by hand, for what jose would not sign. */
function handmade(header: unknown, claims: unknown, signature = 'c2ln'): string {
  const part = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}

async function verifyToken(jwt: string, by: Issuer, now_ms: number) {
  return verify(readToken(jwt), by, now_ms);
}

async function verified(claims: JWTPayload, by = issuer) {
  return verifyToken(await token(claims), by, NOW_MS);
}

async function refusal(claims: Record<string, unknown>, by = issuer): Promise<unknown> {
  return failureOf(() => verified({ ...GOOD, ...claims } as JWTPayload, by));
}

const FAILED = { name: 'TOKEN_VERIFICATION_FAILED', layer: 'token' };

describe('a good token', () => {
  test('becomes an identity', async () => {
    const claims = { ...GOOD, tenant_id: 'acme', exec_id: 'run-1', wid: 'w-1', exp: NOW + 300.9 };
    expect(await verified(claims)).toEqual({
      issuer: 'https://issuer.example',
      subject: 'agent-7',
      jti: 'token-1',
      expires_at: NOW + 300,
      tenant_id: 'acme',
      execution_id: 'run-1',
      workload_id: 'w-1',
      security_context: 'billing-read',
      tool_patterns: null,
      cnf_key: null,
    });
  });

  test.each([
    ['EdDSA', ed25519],
    ['Ed25519', ed25519],
    ['RS256', rsa],
    ['ES256', p256],
  ])('signed with %s', async (alg, pair) => {
    const jwt = await token(GOOD, { alg, kid: 't1', typ: 'JWT' }, pair.privateKey);
    expect(await verifyToken(jwt, issuerWith([pair.publicKey]), NOW_MS)).toMatchObject({
      subject: 'agent-7',
    });
  });

  test('with several candidates and no kid, each is tried, also of another type, four at most', async () => {
    const others = [rsa, p256, generateKeyPairSync('ed25519')].map((pair) => pair.publicKey);
    const jwt = await token(GOOD);
    expect(await verifyToken(jwt, issuerWith([...others, ed25519.publicKey]), NOW_MS)).toMatchObject({
      jti: 'token-1',
    });
    const fifth = issuerWith([...others, others[2]!, ed25519.publicKey]);
    expect(await failureOf(() => verifyToken(jwt, fifth, NOW_MS))).toMatchObject(FAILED);
  });

  test('the issuer is asked for keys by algorithm and kid', async () => {
    const asked: unknown[] = [];
    const keys = {
      candidates: async (header: unknown) => {
        asked.push(header);
        return [ed25519.publicKey];
      },
    };
    await verifyToken(await token(GOOD, { alg: 'EdDSA', kid: 'k' }), issuerWith([], { keys }), NOW_MS);
    await verifyToken(await token(GOOD), issuerWith([], { keys }), NOW_MS);
    expect(asked).toEqual([
      { alg: 'EdDSA', kid: 'k' },
      { alg: 'EdDSA', kid: undefined },
    ]);
  });

  test('any of the audiences will do, in either list', async () => {
    expect(await verified({ ...GOOD, aud: ['x', 'other-audience'] })).toMatchObject({ subject: 'agent-7' });
  });

  test('null claims are absent', async () => {
    const claims = { ...GOOD, tenant_id: null, exec_id: null, wid: null, security_context: null };
    expect(await verified(claims)).toMatchObject({ tenant_id: null, execution_id: null, workload_id: null });
  });
});

describe('security context', () => {
  const scopeless: JWTPayload = { ...GOOD };
  delete scopeless.scp;
  const withDefault = issuerWith([ed25519.publicKey], { default_security_context: 'fallback' });

  test.each([
    ['a string scp first', { scp: 'a', security_context: 'b' }, 'a', null],
    ['a string with spaces is one name', { scp: 'a b' }, 'a b', null],
    ['then security_context', { security_context: 'b' }, 'b', null],
    ['then the default', {}, 'fallback', null],
    ['a list of patterns narrows', { scp: ['x.*', 'y'], security_context: 'b' }, 'b', ['x.*', 'y']],
    ['a list with the default', { scp: ['x.*'] }, 'fallback', ['x.*']],
    ['an empty list allows nothing', { scp: [] }, 'fallback', []],
  ])('%s', async (_, claims, security_context, tool_patterns) => {
    expect(await verified({ ...scopeless, ...claims }, withDefault)).toMatchObject({
      security_context,
      tool_patterns,
    });
  });

  test.each([{}, { scp: ['x.*'] }, { scp: null }])('none at all with %j', async (claims) => {
    expect(await failureOf(() => verified({ ...scopeless, ...claims }))).toMatchObject({
      ...FAILED,
      message: expect.stringContaining('no security context'),
    });
  });

  test.each([
    { scp: '' },
    { scp: 7 },
    { scp: {} },
    { scp: ['a', 1] },
    { scp: [''] },
    { scp: ['x'.repeat(257)] },
    { scp: Array.from({ length: 257 }, () => 'x') },
    { scp: 'x'.repeat(257) },
    { scp: ['x'], security_context: 7 },
  ])('bad scope %#', async (claims) => {
    expect(await refusal(claims, withDefault)).toMatchObject(FAILED);
  });
});

describe('times', () => {
  test.each([
    ['exp one second from now', { exp: NOW + 1 }],
    ['iat 30 s in the future', { iat: NOW + 30, exp: NOW + 60 }],
    ['nbf 30 s in the future', { nbf: NOW + 30 }],
    ['exactly the longest life', { iat: NOW - 300, exp: NOW + 3300 }],
  ])('%s passes', async (_, claims) => {
    expect(await verified({ ...GOOD, ...claims })).toMatchObject({ jti: 'token-1' });
  });

  test.each([
    ['exp now', { exp: NOW }],
    ['exp one second ago', { exp: NOW - 1 }],
    ['exp within the skew of nbf', { exp: NOW - 29 }],
    ['exp long ago', { iat: NOW - 5000, exp: NOW - 4000 }],
  ])('%s is TOKEN_EXPIRED of layer token', async (_, claims) => {
    expect(await refusal(claims)).toMatchObject({ name: 'TOKEN_EXPIRED', layer: 'token' });
  });

  test.each([
    ['iat 31 s in the future', { iat: NOW + 31, exp: NOW + 60 }],
    ['nbf 31 s in the future', { nbf: NOW + 31 }],
    ['one second too long a life', { iat: NOW - 300, exp: NOW + 3301 }],
    ['exp before iat', { iat: NOW + 20, exp: NOW + 10 }],
    ['exp as text', { exp: String(NOW + 300) }],
    ['iat as text', { iat: String(NOW) }],
    ['nbf as text', { nbf: 'x' }],
    ['a negative iat', { iat: -1 }],
  ])('%s is refused', async (_, claims) => {
    expect(await refusal(claims)).toMatchObject(FAILED);
  });

  test('never over 24 h, whatever the issuer allows', async () => {
    const generous = issuerWith([ed25519.publicKey], { max_token_ttl_seconds: 1_000_000 });
    expect(await verified({ ...GOOD, iat: NOW, exp: NOW + 86_400 }, generous)).toMatchObject({
      jti: 'token-1',
    });
    expect(await refusal({ iat: NOW, exp: NOW + 86_401 }, generous)).toMatchObject(FAILED);
  });
});

describe('claims', () => {
  test.each(['iss', 'aud', 'exp', 'iat', 'sub', 'jti'])('%s is required', async (claim) => {
    const claims: JWTPayload = { ...GOOD };
    delete claims[claim];
    expect(await failureOf(() => verified(claims))).toMatchObject({
      ...FAILED,
      message: expect.stringContaining(`"${claim}"`),
    });
  });

  test.each([
    { iss: 'https://other.example' },
    { iss: 7 },
    { iss: ['https://issuer.example'] },
    { aud: 'elsewhere' },
    { aud: [] },
    { aud: 7 },
    { sub: '' },
    { sub: null },
    { sub: 7 },
    { sub: 'x'.repeat(257) },
    { jti: '' },
    { jti: 7 },
    { jti: 'x'.repeat(257) },
    { tenant_id: '' },
    { tenant_id: 7 },
    { tenant_id: ['acme'] },
    { tenant_id: 'acme/other' },
    { exec_id: {} },
    { exec_id: 'x'.repeat(257) },
    { wid: true },
  ])('wrong: %j', async (claims) => {
    expect(await refusal(claims)).toMatchObject(FAILED);
  });

  test('256 characters are the longest', async () => {
    expect(await verified({ ...GOOD, sub: 'x'.repeat(256), jti: 'y'.repeat(256) })).toMatchObject({
      jti: 'y'.repeat(256),
    });
  });
});

describe('cnf', () => {
  test('gives the key that must have signed the envelope', async () => {
    const { jwk, key } = newSigner('c1');
    const { cnf_key } = await verified({ ...GOOD, cnf: { jwk } });
    expect(cnf_key?.kid).toBe('c1');
    expect(cnf_key?.key.equals(key.key)).toBe(true);
  });

  const good = newSigner().jwk;
  test.each([
    ['no object', 'x'],
    ['null', null],
    ['an empty object', {}],
    ['a thumbprint', { jkt: 'abc' }],
    ['no key', { jwk: null }],
    ['a text', { jwk: 'x' }],
    ['another type', { jwk: p256.publicKey.export({ format: 'jwk' }) }],
    ['a private key', { jwk: ed25519.privateKey.export({ format: 'jwk' }) }],
    ['a point of small order', { jwk: { ...good, x: Buffer.alloc(32).toString('base64url') } }],
    ['a key that is not canonical', { jwk: { ...good, x: Buffer.alloc(32, 0xff).toString('base64url') } }],
    ['a short key', { jwk: { ...good, x: 'AAAA' } }],
  ])('%s is refused: no fallback to an unbound token', async (_, cnf) => {
    expect(await refusal({ cnf })).toMatchObject({ ...FAILED, message: expect.stringContaining('cnf') });
  });
});

describe('signature and algorithm', () => {
  const claims = { ...GOOD };

  test('of another key', async () => {
    const jwt = await token(GOOD, { alg: 'EdDSA' }, generateKeyPairSync('ed25519').privateKey);
    expect(await failureOf(() => verifyToken(jwt, issuer, NOW_MS))).toMatchObject(FAILED);
  });

  test('an expired token with a bad signature is not called expired', async () => {
    const jwt = await token(
      { ...GOOD, exp: NOW - 1 },
      { alg: 'EdDSA' },
      generateKeyPairSync('ed25519').privateKey,
    );
    expect(await failureOf(() => verifyToken(jwt, issuer, NOW_MS))).toMatchObject(FAILED);
  });

  test('an issuer without a key for it', async () => {
    expect(await failureOf(async () => verifyToken(await token(GOOD), issuerWith([]), NOW_MS))).toMatchObject(
      FAILED,
    );
  });

  test.each(['none', 'None', 'NONE', ''])('alg %j', async (alg) => {
    for (const jwt of [handmade({ alg }, claims, ''), handmade({ alg }, claims)]) {
      expect(await failureOf(() => verifyToken(jwt, issuer, NOW_MS))).toMatchObject(FAILED);
      const careless = issuerWith([ed25519.publicKey], { algorithms: [alg] });
      expect(await failureOf(() => verifyToken(jwt, careless, NOW_MS))).toMatchObject(FAILED);
    }
  });

  test('HS256 with the public key as the secret', async () => {
    const unsigned = handmade({ alg: 'HS256' }, claims, '').slice(0, -1);
    for (const { publicKey } of [rsa, p256, ed25519]) {
      const pem = publicKey.export({ type: 'spki', format: 'pem' });
      const jwt = `${unsigned}.${createHmac('sha256', pem).update(unsigned).digest('base64url')}`;
      expect(await failureOf(() => verifyToken(jwt, issuerWith([publicKey]), NOW_MS))).toMatchObject(FAILED);
      const careless = issuerWith([publicKey], { algorithms: ['HS256', ...ALL] });
      expect(await failureOf(() => verifyToken(jwt, careless, NOW_MS))).toMatchObject(FAILED);
    }
  });

  test('an algorithm that the issuer does not list, before any key is asked for', async () => {
    const jwt = await token(GOOD, { alg: 'RS256' }, rsa.privateKey);
    const strict = issuerWith([], {
      algorithms: ['EdDSA', 'Ed25519'],
      keys: { candidates: () => Promise.reject(new Error('asked')) },
    });
    expect(await failureOf(() => verifyToken(jwt, strict, NOW_MS))).toMatchObject(FAILED);
  });

  test.each(['PS256', 'RS384', 'RS512'])('%s with an RSA key that is listed for RS256', async (alg) => {
    const jwt = await token(GOOD, { alg }, rsa.privateKey);
    expect(await failureOf(() => verifyToken(jwt, issuerWith([rsa.publicKey]), NOW_MS))).toMatchObject(
      FAILED,
    );
  });

  test('the header says one algorithm, the key is for another', async () => {
    const jwt = await token(GOOD, { alg: 'ES256' }, p256.privateKey);
    expect(await failureOf(() => verifyToken(jwt, issuerWith([rsa.publicKey]), NOW_MS))).toMatchObject(
      FAILED,
    );
  });

  test('a key inside the header is not used', async () => {
    const own = generateKeyPairSync('ed25519');
    const jwk = createPublicKey(own.privateKey).export({ format: 'jwk' });
    const jwt = await token(GOOD, { alg: 'EdDSA', jwk } as JWTHeaderParameters, own.privateKey);
    expect(await failureOf(() => verifyToken(jwt, issuer, NOW_MS))).toMatchObject(FAILED);
  });

  test('crit extensions are refused', async () => {
    const jwt = await new SignJWT(GOOD)
      .setProtectedHeader({ alg: 'EdDSA', crit: ['x'], x: 1 } as JWTHeaderParameters)
      .sign(ed25519.privateKey, { crit: { x: true } });
    expect(await failureOf(() => verifyToken(jwt, issuer, NOW_MS))).toMatchObject(FAILED);
    const b64 = handmade({ alg: 'EdDSA', crit: ['b64'], b64: false }, claims);
    expect(await failureOf(() => verifyToken(b64, issuer, NOW_MS))).toMatchObject(FAILED);
  });

  test('a changed byte in any part', async () => {
    const jwt = await token(GOOD, { alg: 'EdDSA', kid: 'k' });
    const parts = jwt.split('.');
    for (const at of [0, 1, 2]) {
      const part = parts[at]!;
      const middle = part.length >> 1;
      const changed = `${part.slice(0, middle)}${part[middle] === 'A' ? 'B' : 'A'}${part.slice(middle + 1)}`;
      const forged = parts.with(at, changed).join('.');
      expect(await failureOf(() => verifyToken(forged, issuer, NOW_MS))).toMatchObject(FAILED);
    }
  });

  test('a part in another spelling of the same bytes', async () => {
    const jwt = await token(GOOD);
    const [header = '', payload = '', signature = ''] = jwt.split('.');
    // The last character of 64 bytes carries four bits that mean nothing.
    const last = signature.at(-1)!;
    const stray = signature.slice(0, -1) + String.fromCharCode(last.charCodeAt(0) + 1);
    expect(Buffer.from(stray, 'base64url').equals(Buffer.from(signature, 'base64url'))).toBe(true);
    const standard = Buffer.from(signature, 'base64url').toString('base64');
    for (const spelt of [stray, standard, `${signature}=`, `${signature}\n`, ` ${signature}`]) {
      const other = `${header}.${payload}.${spelt}`;
      expect(await failureOf(() => verifyToken(other, issuer, NOW_MS))).toMatchObject(FAILED);
    }
  });

  test('claims that are not UTF-8', async () => {
    const claims = Buffer.from(JSON.stringify({ ...GOOD, sub: 'agent-\u00ff' }), 'latin1');
    const input = `${Buffer.from('{"alg":"EdDSA"}').toString('base64url')}.${claims.toString('base64url')}`;
    const signature = sign(null, Buffer.from(input), ed25519.privateKey).toString('base64url');
    expect(await failureOf(() => verifyToken(`${input}.${signature}`, issuer, NOW_MS))).toMatchObject(FAILED);
  });

  test('what a remote key set says is passed on', async () => {
    const broken = issuerWith([], { keys: { candidates: () => Promise.reject(new Error('down')) } });
    expect(await failureOf(async () => verifyToken(await token(GOOD), broken, NOW_MS))).toMatchObject({
      message: 'down',
    });
  });

  test('errors never hold the token or a claim', async () => {
    const jwt = await token({ ...GOOD, iss: 'https://secret.example' });
    const error = (await failureOf(() => verifyToken(jwt, issuer, NOW_MS))) as Error;
    expect(error.message).not.toContain('secret.example');
    expect(error.message).not.toContain(jwt);
  });
});

describe('readToken', () => {
  test('reads what is needed to find the issuer', async () => {
    expect(readToken(await token(GOOD, { alg: 'EdDSA', kid: 'k1' }))).toMatchObject({
      header: { alg: 'EdDSA', kid: 'k1' },
      iss: 'https://issuer.example',
      has_cnf: false,
    });
    expect(readToken(await token({ ...GOOD, cnf: {} }))).toMatchObject({
      header: { kid: undefined },
      has_cnf: true,
    });
  });

  test.each([
    '',
    'x',
    'a.b',
    'a.b.c',
    'a.b.c.d.e',
    '..',
    handmade({ alg: 'EdDSA' }, 'no json'),
    handmade({ alg: 'EdDSA' }, []),
    handmade({ alg: 'EdDSA' }, 'null'),
    handmade([], GOOD),
    handmade('no json', GOOD),
    handmade({}, GOOD),
    handmade({ alg: 7 }, GOOD),
    handmade({ alg: 'x'.repeat(257) }, GOOD),
    handmade({ alg: 'EdDSA', kid: 7 }, GOOD),
    handmade({ alg: 'EdDSA', kid: 'x'.repeat(257) }, GOOD),
    handmade({ alg: 'EdDSA' }, {}),
    handmade({ alg: 'EdDSA' }, { iss: 7 }),
    handmade({ alg: 'EdDSA' }, { iss: '' }),
    handmade({ alg: 'EdDSA' }, '{"__proto__":{"iss":"https://issuer.example"}}'),
    `${'A'.repeat(8000)}.${'.'.repeat(8000)}`,
  ])('is no token: %#', async (jwt) => {
    expect(await failureOf(() => readToken(jwt))).toMatchObject(FAILED);
  });
});

describe('keyCandidates', () => {
  const keys = ['a', 'b', 'b', 'c', 'd'].map((kid) => newSigner(kid).key);
  const many = issuerWith([], { envelope_keys: keys });

  test('cnf alone, when the token has one', () => {
    const { key } = newSigner();
    expect(keyCandidates(key, many, 'a')).toEqual([key]);
  });

  test('those of the kid, else each, four at most', () => {
    expect(keyCandidates(null, many, 'b')).toEqual([keys[1], keys[2]]);
    expect(keyCandidates(null, many, 't1')).toEqual(keys.slice(0, 4));
    expect(keyCandidates(null, many, undefined)).toEqual(keys.slice(0, 4));
    const unnamed = issuerWith([], { envelope_keys: [newSigner().key] });
    expect(keyCandidates(null, unnamed, null)).toHaveLength(1);
  });

  test('none is SESSION_NOT_FOUND', async () => {
    expect(await failureOf(() => keyCandidates(null, issuer, 'a'))).toMatchObject({
      name: 'SESSION_NOT_FOUND',
    });
  });
});
