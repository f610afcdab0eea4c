/** Protocol section 3, step 2: an envelope is good for a short while only. */
import { GatewayError } from '../errors.ts';
import type { Envelope } from './parse.ts';

/** How far the timestamp may be from the gateway's clock, either way, in seconds. */
export const FRESHNESS_SECONDS = 30;

/**
 * Compares whole seconds with whole seconds, as they are signed: exactly 30 s away still passes. `now_ms` is
 * milliseconds since the Unix epoch. Throws TOKEN_EXPIRED (layer freshness).
 */
export function checkFreshness(envelope: Pick<Envelope, 'timestamp'>, now_ms: number): void {
  const skew = Math.floor(now_ms / 1000) - envelope.timestamp;
  if (Math.abs(skew) <= FRESHNESS_SECONDS) return;
  const side = skew > 0 ? 'behind' : 'ahead of';
  throw new GatewayError(
    'TOKEN_EXPIRED',
    `timestamp: ${Math.abs(skew)} s ${side} the gateway's clock, at most ${FRESHNESS_SECONDS} s allowed; sign a new envelope and check the clock`,
    { layer: 'freshness', details: { skew_seconds: skew } },
  );
}
