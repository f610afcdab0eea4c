/** The token of an Authorization header (RFC 6750). */
import { GatewayError } from '../../errors.ts';

/** Throws TOKEN_VERIFICATION_FAILED when there is none; `noun`: what to send, such as "the security token". */
export function bearerOf(header: string, noun: string): string {
  const match = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(header);
  if (match?.[1] === undefined) {
    throw new GatewayError('TOKEN_VERIFICATION_FAILED', `send ${noun} as "Authorization: Bearer <token>"`);
  }
  return match[1];
}
