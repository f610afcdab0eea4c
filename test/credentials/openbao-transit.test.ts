import { describe, expect, test } from 'vitest';
import type { BaoReply } from '../../src/credentials/openbao-http.ts';
import { createTransitKey } from '../../src/credentials/openbao-transit.ts';

const reply = (status: number, data: unknown = null): BaoReply => ({
  ...{ status, silence: status === 0 ? 'unreachable' : null, code: null, retry_after_ms: null },
  body: status === 200 ? { data } : { errors: ['no'] },
});

const keyWith = (answer: BaoReply) =>
  createTransitKey({
    openbao: { read: async () => answer },
    ...{ namespace: null, mount: 'transit', key: 'gateway' },
  });

const public_key = Buffer.alloc(32, 7).toString('base64');
const about = (more: object = {}) => ({ type: 'ed25519', min_decryption_version: 1, ...more });
const unavailable = (message: RegExp) => ({
  name: 'CREDENTIAL_UNAVAILABLE',
  message: expect.stringMatching(message),
});

describe('the versions of a key', () => {
  test('the newest first, as far as they verify', async () => {
    const keys = { 1: { public_key }, 2: { public_key }, 10: { public_key } };
    const found = await keyWith(reply(200, about({ keys, min_decryption_version: 2 }))).versions();
    expect(found.map(({ version }) => version)).toEqual([10, 2]);
    expect(found[0]!.public_key).toEqual(Buffer.alloc(32, 7));
  });

  test.each<[string, BaoReply, RegExp]>([
    ['no answer', reply(0), /cannot be had/],
    ['no right', reply(403), /cannot be had/],
    ['no such key', reply(404), /cannot be had/],
    [
      'a key for encryption',
      reply(200, { type: 'aes256-gcm96', keys: { 1: 1_700_000_000 } }),
      /none of type ed25519/,
    ],
    ['a derived key', reply(200, about({ derived: true, keys: { 1: { public_key } } })), /a derived one/],
    ['a key that is too short', reply(200, about({ keys: { 1: { public_key: 'AAAA' } } })), /no version/],
    ['nothing', reply(200), /cannot be had/],
  ])('%s is no key', async (_, answer, message) => {
    await expect(keyWith(answer).versions()).rejects.toMatchObject(unavailable(message));
  });
});

describe('a signature', () => {
  const signature = Buffer.alloc(64, 9);
  const signed = (text: unknown) => keyWith(reply(200, { signature: text })).sign(3, Buffer.from('x'));

  test('is of the version that was asked for', async () => {
    expect(await signed(`vault:v3:${signature.toString('base64')}`)).toEqual(signature);
    for (const status of [400, 500])
      expect(await keyWith(reply(status)).sign(3, Buffer.from('x'))).toBeNull();
  });

  test.each([
    ['of another version', `vault:v4:${signature.toString('base64')}`],
    ['of another length', `vault:v3:${signature.subarray(1).toString('base64')}`],
    ['in no base64', `vault:v3:${'!'.repeat(88)}`],
    ['that is none', undefined],
  ])('%s is none', async (_, text) => {
    await expect(signed(text)).rejects.toMatchObject(unavailable(/no signature of that key/));
  });

  test('needs the server', async () => {
    await expect(keyWith(reply(503)).sign(3, Buffer.from('x'))).rejects.toMatchObject(
      unavailable(/cannot be signed/),
    );
  });
});

test.each([
  ['..', 'gateway'],
  ['transit', '..'],
  ['a//b', 'gateway'],
])('%s with %s is no place', (mount, key) => {
  expect(() =>
    createTransitKey({ openbao: { read: async () => reply(404) }, namespace: null, mount, key }),
  ).toThrow(expect.objectContaining({ name: 'CREDENTIAL_UNAVAILABLE' }));
});
