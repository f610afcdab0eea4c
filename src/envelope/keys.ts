/** Keys that arrive with a call or a session: `cnf.jwk` of a token, or the raw bytes of a registration. */
import { ed25519FromJwk, ed25519FromRaw } from '../snapshot/ed25519.ts';
import type { EnvelopeKey } from '../snapshot/snapshot.ts';

/**
 * An Ed25519 public key from a JWK or from its 32 raw bytes. Wrong lengths, private members, non-canonical
 * encodings, points off the curve and points of small order are refused with an Error that says which.
 * `kid` wins over the JWK's own.
 */
export function importEnvelopeKey(source: unknown, kid?: string): EnvelopeKey {
  if (source instanceof Uint8Array) return { kid: kid ?? null, key: ed25519FromRaw(source) };
  const { key, kid: ownKid } = ed25519FromJwk(source);
  return { kid: kid ?? ownKid, key };
}
