/** The issuer of the gateway's own tokens, which sessions are made with. */
import { MAX_TOKEN_TTL_SECONDS } from '../envelope/claims.ts';
import { GatewayError } from '../errors.ts';
import type { Issuer } from '../snapshot/snapshot.ts';
import type { IssuerKey, IssuerKeys, PublicJwk } from './issuer-key.ts';

export interface OwnIssuerOptions {
  /** The `iss` and `aud` claims. */
  readonly issuer: string;
  readonly audience: string;
  readonly token_ttl_seconds: number;
}

export interface OwnIssuer {
  /** As the snapshot has it. */
  readonly issuer: Issuer;
  readonly token_ttl_seconds: number;
  /** Adds `iss` and `aud`, and signs. Rejects with CREDENTIAL_UNAVAILABLE. */
  issue(claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** The public keys, as a JWK set. Rejects with CREDENTIAL_UNAVAILABLE. */
  jwks(): Promise<{ readonly keys: readonly PublicJwk[] }>;
}

export function createOwnIssuer(
  { issuer, audience, token_ttl_seconds }: OwnIssuerOptions,
  keys: IssuerKeys,
): OwnIssuer {
  return {
    token_ttl_seconds,
    issuer: {
      name: 'the gateway itself',
      tenant: null,
      issuer,
      audience: [audience],
      algorithms: ['EdDSA', 'Ed25519'],
      keys: {
        async candidates({ kid }) {
          const all = await believed(keys, kid);
          const named = all.filter((key) => key.kid === kid);
          return (named.length > 0 ? named : all).map(({ public_key }) => public_key);
        },
      },
      envelope_keys: [],
      replay: 'envelope',
      sessions_only: true,
      default_security_context: null,
      allowed_tenants: null,
      allowed_security_contexts: null,
      max_token_ttl_seconds: MAX_TOKEN_TTL_SECONDS,
    },
    issue: (claims) => keys.issue({ iss: issuer, aud: audience, ...claims }),
    jwks: async () => ({ keys: (await keys.believed()).map(({ jwk }) => jwk) }),
  };
}

/** As every issuer whose keys cannot be had: TOKEN_VERIFICATION_FAILED. */
async function believed(keys: IssuerKeys, kid: string | undefined): Promise<readonly IssuerKey[]> {
  try {
    return await keys.believed(kid);
  } catch (cause) {
    throw new GatewayError(
      'TOKEN_VERIFICATION_FAILED',
      "the keys of the gateway's own tokens are unavailable at the moment; try again later",
      { cause, details: { reason: 'keys unavailable' } },
    );
  }
}
