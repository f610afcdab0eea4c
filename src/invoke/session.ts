/** The session that a call says it belongs to, and what binds the two. */
import type { Identity } from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import { ed25519FromJwk } from '../snapshot/ed25519.ts';
import type { EnvelopeKey } from '../snapshot/snapshot.ts';
import type { Session, Sessions } from '../store/store.ts';

/** A session with its key, ready to verify. */
export interface ActiveSession extends Session {
  readonly key: EnvelopeKey;
}

export interface SessionFinder {
  /**
   * The active session of this `exec_id`; null: there is none of it. Rejects with SESSION_INACTIVE for one that was
   * revoked or has expired, with AUDIT_UNAVAILABLE when the store cannot be read. `now`: milliseconds since the Unix
   * epoch.
   */
  find(execution_id: string, now: number): Promise<ActiveSession | null>;
}

/** `sessions` remembers what it has read, so that a call does not wait for the store each time. */
export function createSessionFinder(sessions: Pick<Sessions, 'get'>): SessionFinder {
  return {
    async find(execution_id, now) {
      const session = await sessions.get(execution_id);
      if (session === null) return null;
      if (session.revoked_at !== null) throw inactive('was revoked');
      if (session.expires_at <= now) throw inactive('has expired');
      return { ...session, key: keyOf(session) };
    },
  };
}

/** Of a session as it was read: read again, it is another object. */
const keys = new WeakMap<Session, EnvelopeKey>();

/** The key was checked when the session was made; checked again, it costs once in a while and trusts no row. */
function keyOf(session: Session): EnvelopeKey {
  const known = keys.get(session);
  if (known !== undefined) return known;
  const { key } = ed25519FromJwk({ kty: 'OKP', crv: 'Ed25519', x: session.public_key });
  const made = { kid: null, key };
  keys.set(session, made);
  return made;
}

/** Throws TOKEN_VERIFICATION_FAILED (layer session) unless the token says what the session says. */
export function checkBinding(session: ActiveSession, identity: Identity): void {
  const pairs = [
    ['exec_id', session.execution_id, identity.execution_id],
    ['sub', session.agent_id, identity.subject],
    ['security context', session.security_context, identity.security_context],
    ['tenant_id', session.tenant_id, identity.tenant_id],
    ...(identity.cnf_key === null ? [] : [['cnf.jwk', session.public_key, rawOf(identity.cnf_key)] as const]),
  ] as const;
  for (const [what, ours, theirs] of pairs) {
    if (ours === theirs) continue;
    throw new GatewayError(
      'TOKEN_VERIFICATION_FAILED',
      `security_token: its ${what} is not that of the session`,
      { layer: 'session' },
    );
  }
}

function inactive(what: string): GatewayError {
  return new GatewayError('SESSION_INACTIVE', `the session of this exec_id ${what}; ask for a new one`);
}

function rawOf({ key }: EnvelopeKey): string {
  return String(key.export({ format: 'jwk' }).x);
}
