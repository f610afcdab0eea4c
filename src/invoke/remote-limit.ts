/**
 * Requests of one remote address, limited before anything in them is read: checking a signature costs more than sending
 * one. By address, so it holds before anybody has proven who he is.
 */
import { createRecorder, type RecorderDeps } from '../audit/record.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Limiter, limitKey } from './limit.ts';
import type { Rejections } from './rejections.ts';
import { isLoopback, networkOf } from './remote-address.ts';

export interface RemoteLimitDeps extends RecorderDeps {
  /** `calls` null: there is no limit. */
  readonly limit: { readonly calls: number | null; readonly per_seconds: number };
  /** A limiter of its own, whose keys are addresses. */
  readonly limiter: Limiter;
  readonly rejections: Rejections;
  readonly revision: () => string | null;
  readonly log: Pick<Log, 'warn'>;
}

/**
 * Counts a request. Rejects with POLICY_RATE_LIMIT_EXCEEDED when the address has sent too many, with AUDIT_UNAVAILABLE
 * when that cannot be written. Programs of this machine share one address and are not counted.
 */
export type CheckRemote = (remote_addr: string | null) => Promise<void>;

export function createRemoteLimit(deps: RemoteLimitDeps): CheckRemote {
  const { limiter, rejections, log, newId, revision } = deps;
  const { calls, per_seconds } = deps.limit;
  if (calls === null) return async () => {};
  const limit = { calls, per_seconds };

  return async (remote_addr) => {
    if (remote_addr === null || isLoopback(remote_addr)) return;
    const key = limitKey(networkOf(remote_addr));
    const { allowed, retry_after_seconds } = limiter.take(key, limit);
    if (allowed) return;
    const message = `more than ${calls} requests in ${per_seconds} s from this address`;
    const error = new GatewayError('POLICY_RATE_LIMIT_EXCEEDED', message, {
      retry_after_seconds,
      details: { retry_after_seconds },
      violation: { key: limitKey('remote', key), per_seconds },
    });
    const refusal = { error, caller: null, remote_addr };
    if (!rejections.tells(refusal)) {
      rejections.count(refusal);
    } else {
      log.warn({ remote_addr, ...limit }, `${message}; if it is a proxy, name it in network.trusted_proxies`);
      const recorder = createRecorder(deps, { execution_id: newId(), tenant_id: null, revision: revision() });
      const { layer, name, row } = error;
      const payload = { layer, code: row.code, name, reason: message, remote_addr };
      await recorder.conclude({ event_type: 'ToolCallRejected', payload });
    }
    throw error;
  };
}
