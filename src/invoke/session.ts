/** The session that a call says it belongs to, and what binds the two. */
import type { Clock } from '../clock.ts';
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
  /** Forgets what is remembered of a session: it was changed here. */
  forget(execution_id: string): void;
}

/** Milliseconds that a session is remembered: one that is revoked on another gateway is refused here within them. */
export const REMEMBERED_MS = 500;
const MAX_REMEMBERED = 10_000;

interface Remembered {
  readonly until: number;
  readonly session: Promise<ActiveSession | null>;
}

export function createSessionFinder(sessions: Pick<Sessions, 'get'>, clock: Clock): SessionFinder {
  /** In order of reading, the oldest first. Calls of one moment share one reading. */
  const remembered = new Map<string, Remembered>();

  const read = (execution_id: string): Promise<ActiveSession | null> => {
    const known = remembered.get(execution_id);
    if (known !== undefined && known.until > clock.monotonic()) return known.session;
    const session = sessions.get(execution_id).then((found) => (found === null ? null : withKey(found)));
    const forget = (): void => {
      if (remembered.get(execution_id)?.session === session) remembered.delete(execution_id);
    };
    // What is not there may be made at any moment, and its ids are for anybody to invent: not remembered.
    session.then((found) => found === null && forget(), forget);
    remembered.delete(execution_id);
    remembered.set(execution_id, { until: clock.monotonic() + REMEMBERED_MS, session });
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!);
    return session;
  };

  return {
    async find(execution_id, now) {
      const session = await read(execution_id);
      if (session === null) return null;
      if (session.revoked_at !== null) throw inactive('was revoked');
      if (session.expires_at <= now) throw inactive('has expired');
      return session;
    },
    forget: (execution_id) => void remembered.delete(execution_id),
  };
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

/** The key was checked when the session was made; checked again, it costs once in a while and trusts no row. */
function withKey(session: Session): ActiveSession {
  const { key } = ed25519FromJwk({ kty: 'OKP', crv: 'Ed25519', x: session.public_key });
  return { ...session, key: { kid: null, key } };
}

function rawOf({ key }: EnvelopeKey): string {
  return String(key.export({ format: 'jwk' }).x);
}
