/** An operator's token: a JWT of the operators' issuer, with a role that makes its subject one (design section 6). */
import type { TokenKeys } from '../snapshot/snapshot.ts';
import { type Claims, checkTimes, MAX_TOKEN_TTL_SECONDS, own, requiredText } from './claims.ts';
import { refusals } from './refusals.ts';
import { readToken, verifyClaims } from './token.ts';

export interface OperatorIssuer {
  /** The `iss` claim. */
  readonly issuer: string;
  /** What the `aud` claim must hold. */
  readonly audience: string;
  readonly keys: TokenKeys;
  /** Claim with the role: a text, or a list of them. */
  readonly role_claim: string;
  /** Each of these makes an operator. */
  readonly roles: readonly string[];
}

export interface Operator {
  /** The `sub` claim. */
  readonly subject: string;
  readonly role: string;
  /** The `name` and `email` claims; null: there is no such text. */
  readonly name: string | null;
  readonly email: string | null;
}

/** JOSE names of what operators' tokens may be signed with; never a shared secret, never `none`. */
export const OPERATOR_ALGORITHMS: readonly string[] = ['EdDSA', 'Ed25519', 'RS256', 'ES256'];
const OPERATOR_TOKEN = refusals('operator token');

/**
 * Who the bearer of this token is; null: the token is good, but holds no role of an operator. `now_ms` is milliseconds
 * since the Unix epoch. Rejects with TOKEN_EXPIRED or TOKEN_VERIFICATION_FAILED.
 */
export async function verifyOperator(
  jwt: string,
  issuer: OperatorIssuer,
  now_ms: number,
): Promise<Operator | null> {
  const expected = { ...issuer, audience: [issuer.audience], algorithms: OPERATOR_ALGORITHMS };
  const claims = await verifyClaims(readToken(jwt, OPERATOR_TOKEN), expected, now_ms, OPERATOR_TOKEN);
  checkTimes(claims, now_ms, MAX_TOKEN_TTL_SECONDS, OPERATOR_TOKEN);
  const subject = requiredText(claims, 'sub', OPERATOR_TOKEN);
  const role = rolesOf(claims, issuer.role_claim).find((one) => issuer.roles.includes(one));
  if (role === undefined) return null;
  return { subject, role, name: textOf(claims, 'name'), email: textOf(claims, 'email') };
}

function textOf(claims: Claims, claim: string): string | null {
  const value = own(claims, claim);
  return typeof value === 'string' && value !== '' ? value : null;
}

function rolesOf(claims: Claims, claim: string): string[] {
  return [own(claims, claim)].flat().filter((role): role is string => typeof role === 'string');
}
