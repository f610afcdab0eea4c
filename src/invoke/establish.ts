/** Makes and ends sessions, whoever asks for them; each with its event, in one commit. */
import { hash } from 'node:crypto';
import type { AuditEvent, EventBody } from '../audit/event.ts';
import { type Clock, isoTime } from '../clock.ts';
import { MAX_TOKEN_TTL_SECONDS } from '../envelope/claims.ts';
import { readToken, verifyToken } from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import { selectContext } from '../policy/select.ts';
import type { SnapshotHolder } from '../snapshot/holder.ts';
import type { Issuer, Snapshot } from '../snapshot/snapshot.ts';
import type { Saved, Session, Store } from '../store/store.ts';
import type { OwnIssuer } from './own-issuer.ts';

export interface EstablishDeps {
  readonly holder: SnapshotHolder;
  readonly store: Pick<Store, 'sessions'>;
  /** null: the gateway has no key to issue tokens with. */
  readonly own_issuer: OwnIssuer | null;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** What a session is to be. */
export interface Wanted {
  readonly execution_id: string;
  readonly tenant_id: string | null;
  readonly agent_id: string;
  readonly security_context: string;
  /** 32 bytes, base64url; checked. */
  readonly public_key: string;
  readonly allowed_tool_patterns: readonly string[] | null;
  readonly workload_id: string | null;
  readonly created_by: string;
  /** A token of its own that it comes with; null: the gateway issues one. */
  readonly security_token: string | null;
  /** Milliseconds since the Unix epoch; null: as long as its token. 24 hours at most. */
  readonly expires_at: number | null;
}

export interface Established {
  readonly session: Session;
  readonly security_token: string;
}

export interface Prepared {
  /** `events`: more of the same commit. */
  save(events?: readonly EventBody[]): Promise<Established>;
}

export interface SessionMaker {
  /**
   * Rejects with INVALID_ARGUMENTS when its token does not fit or would be granted nothing, SESSION_INACTIVE when its id
   * was used before or is that of another tenant, CREDENTIAL_UNAVAILABLE when its token cannot be signed,
   * AUDIT_UNAVAILABLE. Nothing is stored then.
   */
  establish(wanted: Wanted): Promise<Established>;
  /**
   * The same in two steps, so that what is good once is used up only when all else is there: rejects with what
   * {@link SessionMaker.establish} finds before it stores anything, CREDENTIAL_UNAVAILABLE too.
   */
  prepare(wanted: Wanted): Promise<Prepared>;
  /** When it was revoked, milliseconds since the Unix epoch; null: there is no such session. */
  revoke(execution_id: string, revoked_by: string): Promise<number | null>;
}

export function createSessionMaker(deps: EstablishDeps): SessionMaker {
  const { holder, store, own_issuer, clock, newId } = deps;

  const eventOf = (
    { execution_id, tenant_id }: Pick<Session, 'execution_id' | 'tenant_id'>,
    body: EventBody,
  ): AuditEvent => ({
    ...{ id: newId(), execution_id, tenant_id, revision: holder.current()?.revision ?? null },
    ...{ event_type: body.event_type, payload: body.payload, created_at: isoTime(clock.now()) },
  });

  async function prepare(wanted: Wanted): Promise<Prepared> {
    const snapshot = holder.current();
    if (snapshot === null)
      throw new GatewayError('TOOL_UNAVAILABLE', 'the gateway has no configuration yet; /readyz says why');
    const now = clock.now();
    const latest = Math.min(
      wanted.expires_at ?? Number.POSITIVE_INFINITY,
      now + MAX_TOKEN_TTL_SECONDS * 1000,
    );
    if (latest <= now) throw invalid('expires_at is in the past');
    const made =
      wanted.security_token === null
        ? await issue(wanted, snapshot, now, latest)
        : await adopt(wanted, wanted.security_token, snapshot, now);
    const { security_token: _, workload_id, created_by, ...facts } = wanted;
    const session: Session = {
      ...facts,
      token_digest: hash('sha256', made.security_token, 'hex'),
      created_at: now,
      expires_at: wanted.expires_at === null ? Math.min(made.expires_at, latest) : latest,
      revoked_at: null,
    };
    const created = createdEvent(session, { workload_id, created_by });
    return {
      async save(more = []) {
        const events = [...more, created].map((body) => eventOf(session, body));
        checkSaved(await store.sessions.save(session, now, events));
        return { session, security_token: made.security_token };
      },
    };
  }

  async function issue(wanted: Wanted, snapshot: Snapshot, now: number, latest: number) {
    if (own_issuer === null) {
      const how = 'set issuer.key_file or issuer.transit in gateway.yaml, or send a security_token';
      throw invalid(`the gateway has no key to issue a token with: ${how}`);
    }
    checkRights(snapshot, own_issuer.issuer, wanted);
    const iat = Math.floor(now / 1000);
    const exp = Math.min(iat + own_issuer.token_ttl_seconds, Math.floor(latest / 1000));
    if (exp <= iat) throw invalid('expires_at is less than a second away');
    const { tenant_id, workload_id } = wanted;
    const security_token = await own_issuer.issue({
      ...{ sub: wanted.agent_id, jti: newId(), iat, exp, scp: wanted.security_context },
      ...{ exec_id: wanted.execution_id, cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: wanted.public_key } } },
      ...(tenant_id !== null && { tenant_id }),
      ...(workload_id !== null && { wid: workload_id }),
    });
    return { security_token, expires_at: exp * 1000 };
  }

  /** A token that every call would be refused for is refused now. */
  async function adopt(wanted: Wanted, security_token: string, snapshot: Snapshot, now: number) {
    try {
      const token = readToken(security_token);
      const issuer = snapshot.issuers.get(token.iss);
      if (issuer === undefined) throw invalid('security_token: no TokenIssuer manifest names its iss');
      const identity = await verifyToken(token, issuer, now);
      for (const [what, ours, theirs] of [
        ['exec_id', wanted.execution_id, identity.execution_id],
        ['sub', wanted.agent_id, identity.subject],
        ['security context', wanted.security_context, identity.security_context],
        ['tenant_id', wanted.tenant_id, identity.tenant_id],
      ]) {
        if (ours !== theirs) throw invalid(`security_token: its ${what} is not that of the session`);
      }
      checkRights(snapshot, issuer, wanted);
      return { security_token, expires_at: identity.expires_at * 1000 };
    } catch (error) {
      // What is wrong with it is the request's fault, not the operator's own token.
      const isOfToken = error instanceof GatewayError && error.row.http === 401;
      throw isOfToken ? invalid(error.message) : error;
    }
  }

  return {
    prepare,
    establish: async (wanted) => (await prepare(wanted)).save(),
    async revoke(execution_id, revoked_by) {
      const session = await store.sessions.get(execution_id);
      if (session === null) return null;
      const revoked_at = clock.now();
      const event = eventOf(session, {
        event_type: 'SessionRevoked',
        payload: { agent_id: session.agent_id, revoked_by, revoked_at: isoTime(revoked_at) },
      });
      const done = await store.sessions.revoke(execution_id, revoked_at, [event]);
      // Revoked before, then: by whom and when stays.
      return done ? revoked_at : ((await store.sessions.get(execution_id))?.revoked_at ?? null);
    },
  };
}

/** Throws SESSION_INACTIVE unless it was stored. */
function checkSaved(saved: Saved): void {
  if (saved === 'created' || saved === 'replaced') return;
  const why = saved === 'conflict' ? 'is that of another tenant' : 'had one that was revoked or has expired';
  throw new GatewayError('SESSION_INACTIVE', `no session: this execution_id ${why}; use a new one`);
}

function createdEvent(session: Session, by: Pick<Wanted, 'workload_id' | 'created_by'>): EventBody {
  const {
    execution_id: _,
    tenant_id: __,
    created_at: ___,
    revoked_at: ____,
    token_digest,
    ...facts
  } = session;
  return {
    event_type: 'SessionCreated',
    payload: {
      ...facts,
      ...by,
      expires_at: isoTime(session.expires_at),
      token_digest: `sha256:${token_digest}`,
    },
  };
}

/** Throws INVALID_ARGUMENTS for a context that would grant nothing. */
function checkRights(snapshot: Snapshot, { issuer }: Issuer, wanted: Wanted): void {
  const { tenant_id, security_context } = wanted;
  const selected = selectContext(snapshot, { iss: issuer, tenant_id, security_context });
  if ('error' in selected)
    throw invalid(`security_context ${security_context} grants nothing: ${selected.reason}`);
}

function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}
