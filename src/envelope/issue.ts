/** Signs the gateway's own security tokens: compact JWS (RFC 7515) with Ed25519 (RFC 8037). */
import { type KeyObject, sign } from 'node:crypto';

export interface SigningKey {
  readonly kid: string;
  /** Ed25519, private. */
  readonly key: KeyObject;
}

/** A JWT of these claims. Signed in the thread pool, off the event loop. */
export function issueToken(
  claims: Readonly<Record<string, unknown>>,
  { kid, key }: SigningKey,
): Promise<string> {
  const input = `${part({ alg: 'EdDSA', kid, typ: 'JWT' })}.${part(claims)}`;
  return new Promise((resolve, reject) => {
    sign(null, Buffer.from(input), key, (error, signature) =>
      error === null ? resolve(`${input}.${signature.toString('base64url')}`) : reject(error),
    );
  });
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
