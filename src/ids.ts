/** The only place that makes random identifiers. */
import { randomBytes, randomUUID } from 'node:crypto';
import { systemClock } from './clock.ts';

/**
 * A UUID for executions, events and requests: version 7 (RFC 9562), the time in front and 74 random bits. Ids that
 * rise are written side by side in an index; random ones touch a page of it each (docs/decisions/0008-hot-path.md).
 */
export function newId(): string {
  const ms = systemClock.now().toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${randomUUID().slice(15)}`;
}

/** `bytes` random bytes as base64url: token ids, nonces. */
export function randomToken(bytes = 16): string {
  return randomBytes(bytes).toString('base64url');
}

/** A random number from 0 up to, but not, 1: for waits that must not all end together. */
export function randomFraction(): number {
  return randomBytes(4).readUInt32BE() / 2 ** 32;
}
