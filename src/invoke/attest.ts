/** A workload asks for a session of its own: it proves itself, and gets a token bound to its key. */
import { hash } from 'node:crypto';
import type { AuditEvent, EventBody } from '../audit/event.ts';
import { type Clock, isoTime } from '../clock.ts';
import { MAX_TOKEN_LENGTH } from '../envelope/parse.ts';
import { GatewayError } from '../errors.ts';
import { matchesAny } from '../policy/match.ts';
import { selectContext } from '../policy/select.ts';
import type { SnapshotHolder } from '../snapshot/holder.ts';
import type { Store } from '../store/store.ts';
import { asGatewayError } from './call.ts';
import type { Established, SessionMaker } from './establish.ts';
import { type Limiter, limitKey } from './limit.ts';
import type { OwnIssuer } from './own-issuer.ts';
import type { Rejections } from './rejections.ts';
import { readPublicKey } from './session-request.ts';
import { type Claimed, isProof, unproven, type Vouched, type WorkloadVerifier } from './workload.ts';

export interface AttestDeps {
  readonly verifiers: readonly WorkloadVerifier[];
  readonly maker: SessionMaker;
  readonly own_issuer: OwnIssuer | null;
  readonly holder: SnapshotHolder;
  readonly store: Pick<Store, 'append' | 'admit'>;
  /** A limiter of its own: anybody may name any workload, and must not push out the counts of callers. */
  readonly limiter: Limiter;
  readonly rejections: Rejections;
  readonly clock: Clock;
  readonly newId: () => string;
}

/**
 * `body` is the request's JSON, `proof` what the workload proves itself with, null: nothing. Rejects with
 * WORKLOAD_VERIFICATION_FAILED, SCOPE_NOT_FOUND, ATTESTATION_FAILED, INVALID_ARGUMENTS, POLICY_RATE_LIMIT_EXCEEDED or
 * AUDIT_UNAVAILABLE, after the failure is in the audit trail, or counted there.
 */
export type Attest = (
  body: unknown,
  proof: string | null,
  remote_addr: string | null,
) => Promise<Established>;

/** Attempts for one workload. */
const ATTEMPTS = { calls: 5, per_seconds: 60 };
const MAX_TEXT = 256;

interface Asked {
  /** null: the proof says it. */
  readonly workload_id: string | null;
  readonly proof: string | null;
  readonly security_context: string;
  readonly public_key: string;
}

export function createAttest(deps: AttestDeps): Attest {
  const { verifiers, maker, own_issuer, holder, store, limiter, rejections, clock, newId } = deps;

  const eventOf = (body: EventBody, tenant_id: string | null): AuditEvent => ({
    ...{ id: newId(), execution_id: null, tenant_id, revision: holder.current()?.revision ?? null },
    ...{ event_type: body.event_type, payload: body.payload, created_at: isoTime(clock.now()) },
  });

  const attest: Attest = async (body, proof, remote_addr) => {
    const asked = readAsked(body, proof);
    try {
      checkAttempts(asked);
      return await prove(asked);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      const refusal = { error, caller: null, remote_addr };
      if (rejections.tells(refusal)) await store.append([eventOf(failed(asked, error, remote_addr), null)]);
      else rejections.count(refusal);
      throw error;
    }
  };

  function checkAttempts(asked: Asked): void {
    const key = limitKey('attest', nameOf(asked));
    const { allowed, retry_after_seconds } = limiter.take(key, ATTEMPTS);
    if (allowed) return;
    const { calls, per_seconds } = ATTEMPTS;
    throw new GatewayError(
      'POLICY_RATE_LIMIT_EXCEEDED',
      `${calls} attempts a minute for one workload, no more`,
      { retry_after_seconds, layer: 'attestation', violation: { key, per_seconds } },
    );
  }

  async function prove({ proof, ...asked }: Asked): Promise<Established> {
    if (verifiers.length === 0 || own_issuer === null)
      throw new GatewayError('ATTESTATION_FAILED', 'this gateway attests no workloads');
    const { security_context } = asked;
    if (proof === null)
      throw unproven('send the proof as "Authorization: Bearer <token>", or in the place of workload_id');
    const { public_key } = asked;
    const vouched = await vouch({ workload_id: asked.workload_id, proof, public_key });
    const { verifier, workload_id, tenant_id, once } = vouched;
    const snapshot = holder.current();
    const selected =
      snapshot === null || !matchesAny(vouched.security_contexts, security_context)
        ? null
        : selectContext(snapshot, { iss: own_issuer.issuer.issuer, tenant_id, security_context });
    if (selected === null || 'error' in selected) {
      // One answer for a context that is not there and one that is not for this workload.
      const reason = selected === null ? 'its verifier does not allow the context' : selected.reason;
      const message = 'this workload may not have a session under this security_context';
      throw new GatewayError('SCOPE_NOT_FOUND', message, { cause: new Error(reason) });
    }
    const succeeded: EventBody = {
      event_type: 'AttestationSucceeded',
      payload: { workload_id, security_context, verifier },
    };
    const prepared = await maker.prepare({
      execution_id: newId(),
      tenant_id,
      agent_id: workload_id,
      security_context,
      public_key,
      allowed_tool_patterns: null,
      workload_id,
      created_by: verifier,
      security_token: null,
      expires_at: null,
    });
    if (once !== null && (await store.admit(once, [eventOf(succeeded, tenant_id)])) !== 'admitted')
      throw unproven('enrollment token: it has been used before');
    return prepared.save(once === null ? [succeeded] : []);
  }

  async function vouch(claimed: Claimed): Promise<Vouched> {
    let why = unproven('this proof is of no kind that the gateway knows');
    for (const verifier of verifiers) {
      try {
        const vouched = await verifier.verify(claimed, clock.now());
        if (vouched !== null) return vouched;
      } catch (error) {
        why = asGatewayError(error);
      }
    }
    throw why;
  }

  return attest;
}

/** What the attempts of one workload are counted by, and what events call it: never what proves it. */
function nameOf({ workload_id, proof }: Asked): string {
  return workload_id ?? `sha256:${hash('sha256', proof ?? '', 'hex')}`;
}

function failed(asked: Asked, error: GatewayError, remote_addr: string | null): EventBody {
  const { code } = error.row;
  const reason = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
  return {
    event_type: 'AttestationFailed',
    payload: {
      workload_id: nameOf(asked),
      security_context: asked.security_context,
      ...(remote_addr !== null && { remote_addr }),
      ...{ code, name: error.name, reason },
    },
  };
}

/** Throws INVALID_ARGUMENTS. Other fields are tolerated: clients in the world send more than they must. */
function readAsked(body: unknown, proof: string | null): Asked {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('send one JSON object');
  const fields = body as { readonly [field: string]: unknown };
  const text = (field: string, longest = MAX_TEXT): string => {
    const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (typeof value === 'string' && value !== '' && value.length <= longest && !/\p{Cc}/u.test(value))
      return value;
    throw invalid(`${field}: expected a text of 1 to ${longest} characters`);
  };
  const given = Object.hasOwn(fields, 'workload_id') ? fields.workload_id : undefined;
  const proves = typeof given === 'string' && isProof(given);
  if (proves && proof !== null)
    throw invalid('workload_id: a token, beside the one of the Authorization header');
  return {
    workload_id: proves ? null : text('workload_id'),
    proof: proves ? text('workload_id', MAX_TOKEN_LENGTH) : proof,
    security_context: text('security_context'),
    public_key: readPublicKey(fields.public_key, 'public_key'),
  };
}

function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}
