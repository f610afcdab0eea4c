/** The only place that makes random identifiers. */
import { randomBytes, randomUUID } from 'node:crypto';

/** A random UUID (v4), for executions, events and requests. */
export function newId(): string {
  return randomUUID();
}

/** `bytes` random bytes as base64url: token ids, nonces. */
export function randomToken(bytes = 16): string {
  return randomBytes(bytes).toString('base64url');
}
