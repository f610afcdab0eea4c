/** The token of the user for whom an agent acts: what it has to be before anything is done in the user's name. */
import { GatewayError } from '../errors.ts';
import type { Principal } from './resolve.ts';
import { reveal, type Secret } from './secret.ts';

export interface User {
  /** The `sub` claim. */
  readonly subject: string;
  readonly tenant_id: string | null;
  /** Whole Unix seconds. */
  readonly expires_at: number;
}

/**
 * Verifies signature, issuer, audience and times (`envelope/user.ts`). Rejects with TOKEN_VERIFICATION_FAILED, or with
 * CREDENTIAL_UNAVAILABLE while the issuer's keys cannot be had.
 */
export type VerifyUser = (jwt: string) => Promise<User>;

/** A user whose token is good, and of the caller's tenant. */
export interface CheckedUser extends User {
  readonly token: Secret;
}

/** Throws POLICY_NO_MATCHING_CAPABILITY when no capability lets the agent act for a user. */
export function checkMayDelegate({ allow_human_delegated }: Pick<Principal, 'allow_human_delegated'>): void {
  if (allow_human_delegated) return;
  throw new GatewayError(
    'POLICY_NO_MATCHING_CAPABILITY',
    "the capability that allows this call does not let the agent act in a user's name (allow_human_delegated)",
  );
}

/** Rejects with TOKEN_VERIFICATION_FAILED: a missing, expired or foreign token is the caller's fault. */
export async function checkUser(principal: Principal, verify: VerifyUser): Promise<CheckedUser> {
  const { user_token, tenant } = principal;
  if (user_token === null) {
    throw new GatewayError(
      'TOKEN_VERIFICATION_FAILED',
      "this tool acts in the name of a user: send the user's token as x-user-token",
    );
  }
  const user = await verify(reveal(user_token));
  if (user.tenant_id !== (tenant?.name ?? null)) {
    throw new GatewayError('TOKEN_VERIFICATION_FAILED', "user token: its tenant is not the caller's");
  }
  return { ...user, token: user_token };
}
