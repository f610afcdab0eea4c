/** `system_jit`: a credential that OpenBao makes for this call under the gateway's own identity, revoked after it. */
import { credentialOf } from './fields.ts';
import type { LeaseKeeper } from './lease.ts';
import type { OpenBao } from './openbao.ts';
import { type BaoReply, object } from './openbao-http.ts';
import { baoPath, checkEngine, checkForeign, scopeOf, segments, type Tenancy } from './openbao-path.ts';
import { problemOf } from './openbao-problem.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider } from './resolve.ts';

export interface SystemJitDeps {
  readonly openbao: Pick<OpenBao, 'act'>;
  readonly leases: Pick<LeaseKeeper, 'hold'>;
  readonly tenancy: Tenancy;
}

export function createSystemJit({
  openbao,
  leases,
  tenancy,
}: SystemJitDeps): CredentialProvider<'system_jit'> {
  /** The call is told of a failure by then: what was made for it is of no use any more. */
  async function discard(late: BaoReply, namespace: string | null): Promise<void> {
    const lease_id = leaseOf(late);
    if (lease_id === null) return;
    // A lease that cannot be noted is revoked as well.
    const release = await leases.hold(lease_id, namespace).catch(() => null);
    await release?.();
  }

  return async (ref, { tenant, tenants }) => {
    const engine = segments(ref.engine_path, 'the engine path');
    checkEngine(engine);
    checkForeign(engine, tenancy, tenants, 'the engine path');
    const [role = '', ...more] = segments(ref.role, 'the role');
    if (more.length > 0) throw unavailable('the role is no single name');
    const scope = scopeOf(tenancy, tenant);
    const path = baoPath(...scope.below, ...engine, 'creds', role);
    const { parameters } = ref;
    const reply = await openbao.act({
      path,
      namespace: scope.namespace,
      // Most engines take a GET; those that need to be told something (Kubernetes) take a POST.
      ...(parameters === undefined ? { method: 'GET' } : { method: 'POST', body: parameters }),
      onLate: (late) => void discard(late, scope.namespace),
    });
    const made = reply.status === 200 ? object(reply.body.data) : null;
    const lease_id = leaseOf(reply);
    // The lease comes first: whatever is wrong with the rest, it has to end with the call.
    const release = lease_id === null ? null : await leases.hold(lease_id, scope.namespace);
    try {
      if (made === null) throw unavailable(`no credential was made: ${problemOf(reply)}${doubt(reply)}`);
      return {
        ...credentialOf(made, ref.field),
        facts: {
          lease_id,
          lease_duration_seconds: reply.status === 0 ? null : (reply.body.lease_duration ?? null),
        },
        ...(release !== null && { release }),
      };
    } catch (error) {
      void release?.();
      throw error;
    }
  };
}

/** Engines whose credentials end by themselves give an empty one. */
function leaseOf(reply: BaoReply): string | null {
  const lease_id = reply.status === 200 ? reply.body.lease_id : null;
  return typeof lease_id === 'string' && lease_id !== '' ? lease_id : null;
}

/** An answer that was lost may have been about a credential that was made: nobody can revoke it, unless it comes late. */
function doubt(reply: BaoReply): string {
  const lost = reply.silence === 'lost' || reply.silence === 'timeout' || reply.silence === 'garbage';
  return lost ? '; if one was made after all, it ends with its lease' : '';
}
