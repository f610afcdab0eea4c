/** Operators' tokens, good or spoiled at any place. Signed by Node itself, so that no code under test vouches for itself. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const OPERATOR_ISSUER = 'https://id.example';

export interface OperatorKey {
  readonly private_key: KeyObject;
  readonly public_key: KeyObject;
  readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
}

export function newOperatorKey(kid = 'op-1'): OperatorKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid };
  return { private_key: privateKey, public_key: publicKey, jwks: { keys: [jwk] } };
}

/** What a good token says; a claim that is undefined is left out. */
export function operatorClaims(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: OPERATOR_ISSUER,
    aud: 'seal-gateway',
    sub: 'olga@example.com',
    iat: now,
    exp: now + 300,
    aegis_role: 'aegis:operator',
    ...more,
  };
}

export function operatorToken(
  key: OperatorKey,
  claims: Readonly<Record<string, unknown>> = operatorClaims(),
  header: Readonly<Record<string, unknown>> = { alg: 'EdDSA', kid: 'op-1' },
): string {
  return signed(header, claims, (input) => sign(null, input, key.private_key));
}

/** A token that says it needs no signature, and has none. */
export function unsignedToken(claims: Readonly<Record<string, unknown>>): string {
  return signed({ alg: 'none' }, claims, () => Buffer.alloc(0));
}

/** A token signed with the public key as if it were a shared secret. */
export function confusedToken(key: OperatorKey, claims: Readonly<Record<string, unknown>>): string {
  const secret = key.public_key.export({ format: 'pem', type: 'spki' });
  return signed({ alg: 'HS256', kid: 'op-1' }, claims, (input) =>
    createHmac('sha256', secret).update(input).digest(),
  );
}

function signed(header: unknown, claims: unknown, signature: (input: Buffer) => Buffer): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${signature(Buffer.from(input)).toString('base64url')}`;
}
