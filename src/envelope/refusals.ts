/** The errors of a token that is not good, worded for the sort of token that it is. */
import { GatewayError } from '../errors.ts';

export interface Refusals {
  /** TOKEN_VERIFICATION_FAILED; the reason never holds a value of the token. */
  refused(reason: string, cause?: unknown): GatewayError;
  /** TOKEN_EXPIRED, for a token that was good once. `ago`: such as " 3 s ago". */
  expired(ago: string): GatewayError;
}

/** `noun`: what the messages call the token. */
export function refusals(noun: string): Refusals {
  return {
    refused: (reason, cause) =>
      new GatewayError('TOKEN_VERIFICATION_FAILED', `${noun}: ${reason}`, { cause }),
    expired: (ago) =>
      new GatewayError('TOKEN_EXPIRED', `${noun}: expired${ago}; ask for a new one`, {
        layer: 'token',
      }),
  };
}

/** Of the token of a call, after the field of the envelope that it stands in. */
export const SECURITY_TOKEN: Refusals = refusals('security_token');
