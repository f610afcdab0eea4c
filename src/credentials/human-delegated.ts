/** `human_delegated`: the calling user's own token, exchanged for the target service; never handed on itself. */
import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider } from './resolve.ts';
import { reveal, type Secret } from './secret.ts';
import { createShared } from './shared.ts';
import type { TokenExchange } from './token-exchange.ts';
import { checkMayDelegate, checkUser, type VerifyUser } from './user-token.ts';

export interface HumanDelegatedDeps {
  readonly exchange: TokenExchange['exchange'];
  readonly verify: VerifyUser;
  readonly clock: Clock;
}

const MAX_CACHED = 10_000;
/** A token is not used in its last half minute, or last tenth: it has to outlive the request that carries it. */
const SKEW_SECONDS = 30;

export function createHumanDelegated(deps: HumanDelegatedDeps): CredentialProvider<'human_delegated'> {
  const shared = createShared<Secret>({ clock: deps.clock, max: MAX_CACHED });
  return async ({ target_service, scope }, principal) => {
    checkMayDelegate(principal);
    const user = await checkUser(principal, deps.verify);
    // The digest, so that no list of users' tokens lies in memory.
    const digest = hash('sha256', reveal(user.token), 'hex');
    const key = JSON.stringify([digest, target_service, scope ?? null]);
    const { value, cached } = await shared(key, async () => {
      const { token, expires_in_seconds } = await deps.exchange(user.token, target_service, scope);
      checkAudience(token, target_service);
      const left = Math.min(expires_in_seconds ?? 0, user.expires_at - deps.clock.now() / 1000);
      return { value: token, keep_ms: Math.max(0, left - Math.min(SKEW_SECONDS, left / 10)) * 1000 };
    });
    return { value, fields: { access_token: value }, facts: { user: user.subject, cached } };
  };
}

/** A server may leave an audience aside that it does not know. A token that says it is for others must not be sent. */
function checkAudience(token: Secret, audience: string): void {
  const aud = audienceOf(reveal(token));
  if (aud !== null && !aud.includes(audience)) {
    throw unavailable(
      'the exchanged token is not meant for the target service: its audience was not granted',
    );
  }
}

/** null: it is no JWT, or says nothing of an audience. The signature is the target's to check. */
function audienceOf(token: string): readonly unknown[] | null {
  const parts = token.split('.');
  if (parts.length !== 3) return null;
  try {
    const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8')) as { aud?: unknown };
    return claims?.aud === undefined || claims.aud === null ? null : [claims.aud].flat();
  } catch {
    return null;
  }
}
