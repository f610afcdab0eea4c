/** Who calls: steps 3 to 6 of docs/concepts.md. Nothing here has a side effect. */
import type { Envelope } from '../envelope/parse.ts';
import { verifySignature } from '../envelope/signature.ts';
import { type Identity, keyCandidates, readToken, verifyToken } from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import type { Issuer, Snapshot } from '../snapshot/snapshot.ts';

/** Who calls, as rights and events see it. */
export interface Caller {
  /** null: an operator, whose token is no security token. */
  readonly issuer: Issuer | null;
  readonly identity: Omit<Identity, 'jti' | 'expires_at' | 'cnf_key' | 'security_context'> & {
    /** null: none is named, which grants nothing. */
    readonly security_context: string | null;
  };
}

/** The bearer of a security token. */
export interface TokenCaller extends Caller {
  readonly issuer: Issuer;
  readonly identity: Identity;
}

export interface Operator {
  /** The `iss` claim. */
  readonly issuer: string;
  readonly subject: string;
}

/** An operator is judged by the security context that the configuration names for all of them. */
export function operatorCaller({ issuer, subject }: Operator, security_context: string | null): Caller {
  return {
    issuer: null,
    identity: {
      issuer,
      subject,
      security_context,
      tenant_id: null,
      execution_id: null,
      workload_id: null,
      tool_patterns: null,
    },
  };
}

/**
 * Verifies the envelope's signature and its security token. `now`: milliseconds since the Unix epoch.
 * Rejects with SESSION_NOT_FOUND, INVALID_SIGNATURE, TOKEN_VERIFICATION_FAILED or TOKEN_EXPIRED.
 */
export async function authenticate(
  snapshot: Snapshot,
  envelope: Envelope,
  now: number,
): Promise<TokenCaller> {
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
export async function authenticateBearer(snapshot: Snapshot, jwt: string, now: number): Promise<TokenCaller> {
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
