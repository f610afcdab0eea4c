/** Keys of the gateway's own tokens, wherever they are kept. */
import { hash, type KeyObject } from 'node:crypto';
import { ed25519FromJwk } from '../snapshot/ed25519.ts';

export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
}

/** The public half. */
export interface IssuerKey {
  readonly kid: string;
  readonly public_key: KeyObject;
  readonly jwk: PublicJwk;
}

export interface IssuerKeys {
  /**
   * The keys that are believed, at least one; `kid`: of the token that one of them is wanted for. Rejects with
   * CREDENTIAL_UNAVAILABLE when none can be had.
   */
  believed(kid?: string): Promise<readonly IssuerKey[]>;
  /** A JWT of these claims, signed with the newest key. Rejects with CREDENTIAL_UNAVAILABLE. */
  issue(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

/** `x`: 32 bytes as base64url; without a `kid` it is named by its thumbprint (RFC 7638). Throws for a key of small order. */
export function issuerKey(x: string, kid?: string): IssuerKey {
  const name = kid ?? hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url');
  return {
    kid: name,
    public_key: ed25519FromJwk({ kty: 'OKP', crv: 'Ed25519', x }).key,
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid: name, alg: 'EdDSA', use: 'sig' },
  };
}
