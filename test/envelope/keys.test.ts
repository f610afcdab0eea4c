import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { newSigner } from './signing.ts';

const file = new URL('../vectors/ed25519.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  rfc8032: { name: string; public_key: string; message: string; signature: string }[];
  bad_keys: { name: string; hex: string; reason: string }[];
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function jwkOf(hex: string) {
  return { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') };
}

describe('good keys', () => {
  test.each(vectors.rfc8032)('RFC 8032 $name', ({ public_key, message, signature }) => {
    for (const { key } of [importEnvelopeKey(bytes(public_key)), importEnvelopeKey(jwkOf(public_key))]) {
      expect(verify(null, bytes(message), key, bytes(signature))).toBe(true);
    }
  });

  test('kid: the argument, else the JWK, else none', () => {
    const { jwk } = newSigner();
    expect(importEnvelopeKey(jwk).kid).toBeNull();
    expect(importEnvelopeKey({ ...jwk, kid: 'a' }).kid).toBe('a');
    expect(importEnvelopeKey({ ...jwk, kid: 'a' }, 'b').kid).toBe('b');
    expect(importEnvelopeKey(bytes(vectors.rfc8032[0]!.public_key), 'c').kid).toBe('c');
  });

  test.each([{ alg: 'EdDSA' }, { alg: 'Ed25519' }, { use: 'sig' }, { key_ops: ['verify'] }, { x5c: [] }])(
    'with %j',
    (more) => {
      expect(importEnvelopeKey({ ...newSigner().jwk, ...more }).key.asymmetricKeyType).toBe('ed25519');
    },
  );
});

describe('refused', () => {
  test.each(vectors.bad_keys)('$name: $reason', ({ hex, reason }) => {
    expect(() => importEnvelopeKey(bytes(hex))).toThrow(reason);
    expect(() => importEnvelopeKey(jwkOf(hex))).toThrow(reason);
  });

  test('though Node imports most of them without a word', () => {
    const imported = vectors.bad_keys.filter(({ hex }) => {
      try {
        return createPublicKey({ key: jwkOf(hex), format: 'jwk' }).asymmetricKeyType === 'ed25519';
      } catch {
        return false;
      }
    });
    expect(imported.length).toBeGreaterThan(10);
  });

  test.each([
    [null, 'not a JSON object'],
    ['x', 'not a JSON object'],
    [[], 'not a JSON object'],
    [{}, 'kty'],
    [{ kty: 'OKP', crv: 'X25519', x: 'AA' }, 'crv'],
    [{ kty: 'OKP', crv: 'Ed448', x: 'AA' }, 'crv'],
    [{ kty: 'oct', k: 'AA' }, 'kty'],
    [{ kty: 'OKP', crv: 'Ed25519' }, 'x is not a string'],
    [{ kty: 'OKP', crv: 'Ed25519', x: 'AA==' }, 'base64url without padding'],
    [{ kty: 'OKP', crv: 'Ed25519', x: 'AB' }, 'base64url without padding'],
    [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), 'private member "d"'],
    [{ ...newSigner().jwk, use: 'enc' }, 'use'],
    [{ ...newSigner().jwk, alg: 'ES256' }, 'alg'],
    [{ ...newSigner().jwk, alg: 'none' }, 'alg'],
    [{ ...newSigner().jwk, key_ops: ['sign'] }, 'key_ops'],
    [{ ...newSigner().jwk, kid: 1 }, 'kid'],
  ])('%j: %s', (jwk, reason) => {
    expect(() => importEnvelopeKey(jwk)).toThrow(reason);
  });
});
