import { join } from 'node:path';
import { importJWK, jwtVerify } from 'jose';
import { beforeEach, expect, test } from 'vitest';
import { newKey, type PrivateJwk, publicHalf, writeKey } from '../../src/cli/keys.ts';
import { runCli, scratch } from './run.ts';

let key: PrivateJwk;
let file: string;

beforeEach(async () => {
  key = await newKey('dev-issuer');
  file = join(scratch(), 'issuer.json');
  writeKey(file, key);
});

/** The verified token that these options mint. */
async function minted(...options: string[]) {
  const { code, out, err } = await runCli(['token', '--issuer-key', file, ...options]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const token = options.includes('json') ? JSON.parse(out).security_token : out.trimEnd();
  return jwtVerify(token, await importJWK(publicHalf(key), 'EdDSA'), { algorithms: ['EdDSA'] });
}

test('mints what the development issuer of init would say', async () => {
  const now = Math.floor(Date.now() / 1000);
  const { payload, protectedHeader } = await minted();
  expect(protectedHeader).toEqual({ alg: 'EdDSA', kid: 'dev-issuer', typ: 'JWT' });
  expect(payload).toEqual({
    iss: 'https://issuer.dev.invalid',
    aud: 'seal-gateway',
    sub: 'developer',
    jti: expect.any(String),
    iat: expect.any(Number),
    exp: expect.any(Number),
  });
  expect(payload.iat).toBeGreaterThanOrEqual(now);
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
});

test('is another one each time, since each is good for one call', async () => {
  const [one, two] = [await minted(), await minted()];
  expect(one.payload.jti).not.toBe(two.payload.jti);
});

test('is the same as JSON', async () => {
  expect((await minted('--output', 'json')).payload.sub).toBe('developer');
});

test('every claim can be told', async () => {
  const { payload } = await minted(
    ...['--issuer', 'https://i.example', '--audience', 'a', '--subject', 's', '--tenant', 'acme'],
    ...['--execution-id', 'exec-1', '--ttl', '86400', '--context', 'billing'],
  );
  expect(payload).toMatchObject({
    iss: 'https://i.example',
    aud: 'a',
    sub: 's',
    tenant_id: 'acme',
    exec_id: 'exec-1',
    scp: 'billing',
  });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(86_400);
});

test('tool patterns are the scope, and the context has its own claim then', async () => {
  const { payload } = await minted('--tool', 'a.*', 'b', '--context', 'billing');
  expect(payload).toMatchObject({ scp: ['a.*', 'b'], security_context: 'billing' });
  expect((await minted('--tool', 'a.*')).payload).not.toHaveProperty('security_context');
});

test.each(['0', '-1', '1.5', '86401', 'long', ''])('a life of %j seconds is refused', async (ttl) => {
  const { code, out, err } = await runCli(['token', '--issuer-key', file, `--ttl=${ttl}`]);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe('seal-gateway: --ttl: a whole number from 1 to 86400\n');
});

test('without a key says how to make one', async () => {
  const missing = join(scratch(), 'no.json');
  const { code, err } = await runCli(['token', '--issuer-key', missing]);
  expect(code).toBe(1);
  expect(err).toContain(`no issuer key at ${missing}: make one with "seal-gateway keygen`);
});
