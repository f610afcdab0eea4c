/** One call from its first byte to its reply: what is known of it so far, for replies, rejections and events. */
import type { EventBody } from '../audit/event.ts';
import type { Secret } from '../credentials/secret.ts';
import type { Asked, Envelope } from '../envelope/parse.ts';
import { GatewayError } from '../errors.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Caller } from './authenticate.ts';

export interface Call {
  /** Identifies this call in every event of it; `execution_id` may span several calls. */
  readonly call_id: string;
  /** The snapshot that the call keeps to its end; null: the gateway has none yet. */
  readonly snapshot: Snapshot | null;
  /** Monotonic milliseconds at the start. */
  readonly started: number;
  /** Of the user for whom the agent acts, unverified; null: none was sent. */
  readonly user_token: Secret | null;
  /** Where it comes from; null: the connection has gone. */
  readonly remote_addr: string | null;
  envelope: Envelope | null;
  /** What it asks for: the envelope itself, or what an operator sends without one. */
  asked: Asked | null;
  caller: Caller | null;
  /** Whether the intent is in the audit trail, and asks for an outcome. */
  intended: boolean;
  /** Whether how the call ended is in the audit trail, or counted where its rejection is not told. */
  recorded: boolean;
}

/** The answer to a call that was executed. */
export interface CallReply {
  readonly request_id: string | number | null;
  /** The result as JSON text. */
  readonly result_json: string;
  readonly execution_id: string;
  /** The event that recorded the outcome. */
  readonly event_id: string;
  readonly revision: string;
  readonly duration_ms: number;
}

/** An error with what its reply needs to name the call. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly error: GatewayError;
  readonly request_id: string;
  readonly execution_id: string;

  constructor(error: GatewayError, call: Call) {
    super(error.message, { cause: error });
    this.error = error;
    this.execution_id = executionId(call);
    this.request_id = String(call.asked?.request_id ?? this.execution_id);
  }
}

/** The token's execution id when it carries one, else the call's own. */
export function executionId(call: Call): string {
  return call.caller?.identity.execution_id ?? call.call_id;
}

/** What events say of the caller. Unverified claims stay out. */
export function callFacts(call: Call): Record<string, unknown> {
  const { asked, envelope, caller } = call;
  return {
    call_id: call.call_id,
    ...(call.remote_addr !== null && { remote_addr: call.remote_addr }),
    ...(asked !== null && { tool_name: toolName(asked) }),
    ...(envelope !== null && { envelope_digest: envelope.digest }),
    ...(caller !== null && {
      agent_id: caller.identity.subject,
      issuer: caller.identity.issuer,
      security_context: caller.identity.security_context,
      tenant_id: caller.identity.tenant_id,
      ...(caller.issuer === null && { operator: true }),
      ...(caller.identity.workload_id !== null && { workload_id: caller.identity.workload_id }),
    }),
  };
}

/** The rejection event: which layer said no, with which code, and why. */
export function rejection(call: Call, error: GatewayError): EventBody {
  return {
    event_type: 'ToolCallRejected',
    payload: {
      layer: error.layer,
      code: error.row.code,
      name: error.name,
      reason: reasonForTrail(error),
      ...callFacts(call),
      ...(error.details.rule !== undefined && { rule: error.details.rule }),
    },
  };
}

/** Of a uniform denial the caller is not told why; the trail is. */
function reasonForTrail({ name, message, cause }: GatewayError): string {
  return name === 'POLICY_TOOL_NOT_ALLOWED' && cause instanceof Error ? cause.message : message;
}

/** The name that policy and events use for a call. */
export function toolName({ payload }: Asked): string {
  return payload.kind === 'call' ? payload.tool : 'tools/list';
}

/** Any thrown value as an error of the table; an unknown one becomes a blank INTERNAL. */
export function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError('INTERNAL', 'internal error', { cause: error });
}
