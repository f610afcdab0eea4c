/**
 * Ed25519 public keys, checked strictly when they are loaded. Node imports small-order keys, non-canonical encodings
 * and points off the curve without a word, and with OpenSSL 3.0 one signature then fits every message of a
 * small-order key (3.5 refuses at verification). @noble/ed25519 tells; after that Node verifies.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Point } from '@noble/ed25519';

/** Why these bytes are no Ed25519 public key that may be trusted; null when they are one. */
export function ed25519Problem(raw: Uint8Array): string | null {
  if (raw.length !== 32) return `${raw.length} bytes, an Ed25519 public key has 32`;
  if (!hasCanonicalY(raw)) return 'not canonical: its y coordinate is not below the field prime';
  let point: Point;
  try {
    point = Point.fromBytes(raw, false);
  } catch {
    return 'not a point on the Ed25519 curve';
  }
  return point.isSmallOrder() ? 'a point of small order: anybody could sign for it' : null;
}

/** The key of 32 raw bytes. Throws an Error that explains what is wrong with them. */
export function ed25519FromRaw(raw: Uint8Array): KeyObject {
  const problem = ed25519Problem(raw);
  if (problem !== null) throw new Error(problem);
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** The key of an Ed25519 public JWK (RFC 8037), and its `kid`. Throws an Error that explains what is wrong. */
export function ed25519FromJwk(jwk: unknown): { readonly key: KeyObject; readonly kid: string | null } {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw new Error('not a JSON object');
  const { kty, crv, x, d, use, alg, kid, key_ops } = jwk as Record<string, unknown>;
  if (kty !== 'OKP') throw new Error('kty is not "OKP"');
  if (crv !== 'Ed25519') throw new Error('crv is not "Ed25519"');
  if (d !== undefined) throw new Error('holds the private member "d"; publish the public key alone');
  if (use !== undefined && use !== 'sig') throw new Error('use is not "sig"');
  if (alg !== undefined && alg !== 'EdDSA' && alg !== 'Ed25519') {
    throw new Error('alg is neither "EdDSA" nor "Ed25519"');
  }
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))) {
    throw new Error('key_ops has no "verify"');
  }
  if (kid !== undefined && typeof kid !== 'string') throw new Error('kid is not a string');
  if (typeof x !== 'string') throw new Error('x is not a string');
  const raw = Buffer.from(x, 'base64url');
  if (raw.toString('base64url') !== x) throw new Error('x is not base64url without padding');
  return { key: ed25519FromRaw(raw), kid: kid ?? null };
}

/** y < 2^255 - 19, little-endian, the sign bit apart (RFC 8032 section 5.1.3). */
function hasCanonicalY(raw: Uint8Array): boolean {
  if ((raw[31]! & 0x7f) !== 0x7f) return true;
  for (let i = 30; i > 0; i -= 1) {
    if (raw[i] !== 0xff) return true;
  }
  return raw[0]! < 0xed;
}
