/** Who calls: steps 3 to 6 of docs/concepts.md. Nothing here has a side effect. */
import type { Envelope } from '../envelope/parse.ts';
import { verifySignature } from '../envelope/signature.ts';
import { type Identity, keyCandidates, readToken, verifyToken } from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import type { Issuer, Snapshot } from '../snapshot/snapshot.ts';

export interface Caller {
  readonly issuer: Issuer;
  readonly identity: Identity;
}

/**
 * Verifies the envelope's signature and its security token. `now`: milliseconds since the Unix epoch.
 * Rejects with SESSION_NOT_FOUND, INVALID_SIGNATURE, TOKEN_VERIFICATION_FAILED or TOKEN_EXPIRED.
 */
export async function authenticate(snapshot: Snapshot, envelope: Envelope, now: number): Promise<Caller> {
  const token = readToken(envelope.security_token);
  const issuer = issuerOf(snapshot, token.iss);
  if (token.has_cnf) {
    // The token names the envelope's key, so the token comes first.
    const identity = await verifyToken(token, issuer, now);
    await verifySignature(envelope, keyCandidates(identity.cnf_key, issuer, token.header.kid));
    return { issuer, identity };
  }
  // Both checks run on the thread pool at the same time; the signature's answer is heard first.
  const keys = keyCandidates(null, issuer, token.header.kid);
  const verified = verifyToken(token, issuer, now);
  verified.catch(() => undefined);
  await verifySignature(envelope, keys);
  return { issuer, identity: await verified };
}

/** The bearer of a token alone, for GET /v1/tools. `now`: milliseconds since the Unix epoch. */
export async function authenticateBearer(snapshot: Snapshot, jwt: string, now: number): Promise<Caller> {
  const token = readToken(jwt);
  const issuer = issuerOf(snapshot, token.iss);
  return { issuer, identity: await verifyToken(token, issuer, now) };
}

function issuerOf(snapshot: Snapshot, iss: string): Issuer {
  const issuer = snapshot.issuers.get(iss);
  if (issuer === undefined) {
    throw new GatewayError(
      'SESSION_NOT_FOUND',
      'no TokenIssuer manifest names the iss of this security token',
      {
        details: { iss: iss.slice(0, 256) },
      },
    );
  }
  return issuer;
}
