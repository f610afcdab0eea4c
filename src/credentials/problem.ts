/** The one error of every path to a credential. */
import { GatewayError } from '../errors.ts';

/**
 * CREDENTIAL_UNAVAILABLE. `message` is for the caller: it holds no secret, no address and nothing that a server said.
 * `details`: facts that a program can act on.
 */
export function unavailable(message: string, details?: Readonly<Record<string, unknown>>): GatewayError {
  return new GatewayError('CREDENTIAL_UNAVAILABLE', message, details === undefined ? {} : { details });
}
