/** A user's token, which an agent sends beside its call: a JWT of the users' issuer, meant for this gateway. */
import { GatewayError } from '../errors.ts';
import type { TokenKeys } from '../snapshot/snapshot.ts';
import { checkTimes, MAX_TOKEN_TTL_SECONDS, own, requiredText } from './claims.ts';
import { refusals } from './refusals.ts';
import { readToken, verifyClaims } from './token.ts';

export interface UserIssuer {
  /** The `iss` claim. */
  readonly issuer: string;
  /** What the `aud` claim must hold. */
  readonly audience: string;
  readonly keys: TokenKeys;
  /** Claim with the user's tenant. */
  readonly tenant_claim: string;
}

export interface VerifiedUser {
  /** The `sub` claim. */
  readonly subject: string;
  /** null: the token names none. */
  readonly tenant_id: string | null;
  /** Whole Unix seconds. */
  readonly expires_at: number;
}

/** JOSE names of what users' tokens may be signed with; never a shared secret, never `none`. */
export const USER_ALGORITHMS: readonly string[] = ['EdDSA', 'Ed25519', 'RS256', 'ES256'];
const USER_TOKEN = refusals('user token');

/**
 * `now_ms` is milliseconds since the Unix epoch. Rejects with TOKEN_VERIFICATION_FAILED, also for a token that has
 * expired: the code for expiry is about the security token of the call.
 */
export async function verifyUser(jwt: string, issuer: UserIssuer, now_ms: number): Promise<VerifiedUser> {
  try {
    const expected = { ...issuer, audience: [issuer.audience], algorithms: USER_ALGORITHMS };
    const claims = await verifyClaims(readToken(jwt, USER_TOKEN), expected, now_ms, USER_TOKEN);
    const expires_at = checkTimes(claims, now_ms, MAX_TOKEN_TTL_SECONDS, USER_TOKEN);
    const tenant = own(claims, issuer.tenant_claim) ?? null;
    if (tenant !== null && typeof tenant !== 'string') throw USER_TOKEN.refused('its tenant is no text');
    return {
      subject: requiredText(claims, 'sub', USER_TOKEN),
      tenant_id: tenant,
      expires_at,
    };
  } catch (error) {
    if (!(error instanceof GatewayError) || error.name !== 'TOKEN_EXPIRED') throw error;
    throw new GatewayError('TOKEN_VERIFICATION_FAILED', error.message, { cause: error });
  }
}
