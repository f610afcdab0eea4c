/** Who calls: steps 3 to 6 of docs/concepts.md. Nothing here has a side effect. */
import type { Envelope } from '../envelope/parse.ts';
import { verifySignature } from '../envelope/signature.ts';
import {
  type Identity,
  keyCandidates,
  readToken,
  type UnverifiedToken,
  verifyToken,
} from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import type { Issuer, Snapshot } from '../snapshot/snapshot.ts';
import { type ActiveSession, checkBinding, type SessionFinder } from './session.ts';

/** Who calls, as rights and events see it. */
export interface Caller {
  /** null: an operator, whose token is no security token. */
  readonly issuer: Issuer | null;
  readonly identity: Omit<Identity, 'jti' | 'expires_at' | 'cnf_key' | 'security_context'> & {
    /** null: none is named, which grants nothing. */
    readonly security_context: string | null;
  };
  /** null: there is none. */
  readonly session: ActiveSession | null;
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
    session: null,
  };
}

/**
 * Verifies the envelope's signature and its security token. `now`: milliseconds since the Unix epoch.
 * Rejects with SESSION_NOT_FOUND, SESSION_INACTIVE, INVALID_SIGNATURE, TOKEN_VERIFICATION_FAILED, TOKEN_EXPIRED, or
 * AUDIT_UNAVAILABLE when sessions cannot be read.
 */
export async function authenticate(
  snapshot: Snapshot,
  sessions: SessionFinder,
  envelope: Envelope,
  now: number,
): Promise<TokenCaller> {
  const token = readToken(envelope.security_token);
  const issuer = issuerOf(snapshot, token.iss);
  const session = await sessionOf(token, issuer, sessions, now);
  if (session === null && token.has_cnf) {
    // The token names the envelope's key, so the token comes first.
    const identity = await verifyToken(token, issuer, now);
    await verifySignature(envelope, keyCandidates(identity.cnf_key, issuer, token.header.kid));
    return { issuer, identity, session };
  }
  // Both checks run on the thread pool at the same time; the signature's answer is heard first.
  const keys = session === null ? keyCandidates(null, issuer, token.header.kid) : [session.key];
  const verified = verifyToken(token, issuer, now);
  verified.catch(() => undefined);
  await verifySignature(envelope, keys);
  return bound(issuer, await verified, session);
}

/** The bearer of a token alone, for GET /v1/tools. `now`: milliseconds since the Unix epoch. */
export async function authenticateBearer(
  snapshot: Snapshot,
  sessions: SessionFinder,
  jwt: string,
  now: number,
): Promise<TokenCaller> {
  const token = readToken(jwt);
  const issuer = issuerOf(snapshot, token.iss);
  const session = await sessionOf(token, issuer, sessions, now);
  return bound(issuer, await verifyToken(token, issuer, now), session);
}

function bound(issuer: Issuer, identity: Identity, session: ActiveSession | null): TokenCaller {
  if (session !== null) checkBinding(session, identity);
  return { issuer, identity, session };
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

/** A session that is not active ends the call: a revoked key must not be taken for one that never had a session. */
async function sessionOf(
  { execution_id }: UnverifiedToken,
  issuer: Issuer,
  sessions: SessionFinder,
  now: number,
): Promise<ActiveSession | null> {
  const session = execution_id === null ? null : await sessions.find(execution_id, now);
  if (session === null && issuer.sessions_only)
    throw new GatewayError('SESSION_NOT_FOUND', 'there is no session of this security token');
  return session;
}
