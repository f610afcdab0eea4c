/** What makes a call once-only (docs/concepts.md, Replay). */
import { hash } from 'node:crypto';
import { FRESHNESS_SECONDS } from '../envelope/freshness.ts';
import type { Envelope } from '../envelope/parse.ts';
import type { ReplayClaim } from '../store/store.ts';
import type { TokenCaller } from './authenticate.ts';
import type { Call } from './call.ts';

/** By token: its jti, until it expires. By envelope: the canonical message, until it cannot be fresh any more. */
export function replayClaim({ issuer, identity }: TokenCaller, envelope: Envelope): ReplayClaim {
  if (issuer.replay === 'envelope') {
    return {
      id: `envelope:${envelope.digest}`,
      expires_at: (envelope.timestamp + 2 * FRESHNESS_SECONDS) * 1000,
    };
  }
  const token = hash('sha256', JSON.stringify([identity.issuer, identity.jti]), 'hex');
  return { id: `token:${token}`, expires_at: identity.expires_at * 1000 };
}

/** Of a call that nobody can send again, where only its place in the store is wanted. `now`: milliseconds. */
export function ownClaim({ call_id }: Call, now: number): ReplayClaim {
  return { id: `call:${call_id}`, expires_at: now };
}
