/** Protocol section 3, step 4: the Ed25519 signature over the canonical message. */
import { verify } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import type { EnvelopeKey } from '../snapshot/snapshot.ts';
import type { Envelope } from './parse.ts';

/** More keys than this are not tried: each costs a verification for each reading of the message. */
export const MAX_CANDIDATE_KEYS = 4;

/**
 * The first key, in the order given, that made the signature. The keys were checked strictly when they were
 * loaded. Works in the thread pool, off the event loop. Rejects with INVALID_SIGNATURE.
 */
export async function verifySignature(
  envelope: Pick<Envelope, 'messages' | 'signature'>,
  keys: readonly EnvelopeKey[],
): Promise<EnvelopeKey> {
  const candidates = keys.slice(0, MAX_CANDIDATE_KEYS);
  for (const message of envelope.messages()) {
    for (const candidate of candidates) {
      if (await verifyOne(message, candidate, envelope.signature)) return candidate;
    }
  }
  throw new GatewayError(
    'INVALID_SIGNATURE',
    'signature: does not fit the canonical message and any key of this caller; sign the exact payload that is sent',
  );
}

function verifyOne(message: Uint8Array, candidate: EnvelopeKey, signature: Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, message, candidate.key, signature, (error, fits) => (error ? reject(error) : resolve(fits)));
  });
}
