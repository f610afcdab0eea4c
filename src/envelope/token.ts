/** Protocol section 2: the security token, a JWT of a known issuer. */
import { GatewayError } from '../errors.ts';
import type { EnvelopeKey, Issuer } from '../snapshot/snapshot.ts';
import { type Claims, checkAddress, type Identity, readIdentity } from './claims.ts';
import { type CompactJws, fitsKey, parseJws } from './jws.ts';
import { type Refusals, SECURITY_TOKEN } from './refusals.ts';
import { MAX_CANDIDATE_KEYS } from './signature.ts';

export type { Identity } from './claims.ts';

/** What a token says before anything of it is verified: enough to find its issuer, never to trust it. */
export interface UnverifiedToken {
  readonly header: { readonly alg: string; readonly kid: string | undefined };
  readonly iss: string;
  /** The envelope's key comes from `cnf`, so that the token must be verified first. */
  readonly has_cnf: boolean;
  /** Read once, for what is verified later. */
  readonly jws: CompactJws;
}

const MAX_HEADER_LENGTH = 256;

/** Reads a JWT. Throws TOKEN_VERIFICATION_FAILED when it has not the shape of one. */
export function readToken(jwt: string, { refused }: Refusals = SECURITY_TOKEN): UnverifiedToken {
  let jws: CompactJws;
  try {
    jws = parseJws(jwt);
  } catch (cause) {
    throw refused('not a JWT in compact form (header.payload.signature)', cause);
  }
  const { alg, kid } = jws.header;
  const { iss } = jws.claims;
  if (typeof alg !== 'string' || alg.length > MAX_HEADER_LENGTH) throw refused('its header names no "alg"');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_HEADER_LENGTH)) {
    throw refused(`"kid" in its header is not a string of at most ${MAX_HEADER_LENGTH} characters`);
  }
  // RFC 7515 section 4.1.11: we understand no extension, so none may be critical.
  if (Object.hasOwn(jws.header, 'crit')) throw refused('its header has "crit": no extension is supported');
  if (!Object.hasOwn(jws.claims, 'iss') || typeof iss !== 'string' || iss === '') {
    throw refused('claim "iss" is missing');
  }
  return { header: { alg, kid }, iss, has_cnf: Object.hasOwn(jws.claims, 'cnf'), jws };
}

/**
 * Verifies signature, algorithm, issuer, audience, times and claims. `now_ms` is milliseconds since the Unix
 * epoch. Rejects with TOKEN_EXPIRED (layer token) for a token that was good once, else with
 * TOKEN_VERIFICATION_FAILED.
 */
export async function verifyToken(token: UnverifiedToken, issuer: Issuer, now_ms: number): Promise<Identity> {
  const claims = await verifyClaims(token, issuer, now_ms, SECURITY_TOKEN);
  return readIdentity(claims, issuer, now_ms);
}

/** The claims of a JWT whose signature, algorithm, issuer, audience and `nbf` are good; `exp` and `iat` are not judged. */
export async function verifyClaims(
  { header, jws }: UnverifiedToken,
  issuer: Pick<Issuer, 'issuer' | 'audience' | 'algorithms' | 'keys'>,
  now_ms: number,
  refusals: Refusals,
): Promise<Claims> {
  if (!issuer.algorithms.includes(header.alg)) {
    throw refusals.refused(`algorithm is not one of the issuer's: ${issuer.algorithms.join(', ')}`);
  }
  const keys = await issuer.keys.candidates(header);
  for (const key of keys.slice(0, MAX_CANDIDATE_KEYS)) {
    if (!(await fitsKey(jws, header.alg, key))) continue;
    checkAddress(jws.claims, issuer, now_ms, refusals);
    return jws.claims;
  }
  throw refusals.refused(
    keys.length === 0 ? 'the issuer has no key for it' : "its signature fits none of the issuer's keys",
  );
}

/**
 * The keys that may have signed the envelope, best first: that of the verified token's `cnf`; else the issuer's
 * `envelope_keys` with the `kid` of the token's header, else each, four at most. Throws SESSION_NOT_FOUND when
 * there is none.
 */
export function keyCandidates(
  cnf_key: EnvelopeKey | null,
  issuer: Issuer,
  kid: string | null | undefined,
): readonly EnvelopeKey[] {
  if (cnf_key !== null) return [cnf_key];
  const named = issuer.envelope_keys.filter((key) => key.kid !== null && key.kid === kid);
  const candidates = named.length > 0 ? named : issuer.envelope_keys;
  if (candidates.length === 0) {
    throw new GatewayError(
      'SESSION_NOT_FOUND',
      'no key to check the envelope with: the token has no "cnf.jwk" and its issuer no envelope_keys',
    );
  }
  return candidates.slice(0, MAX_CANDIDATE_KEYS);
}
