/** Runs the tool of a permit and turns what came of it, good or bad, into one outcome event. */
import type { EventBody } from '../audit/event.ts';
import type { Recorder } from '../audit/record.ts';
import type { OpenCredentials } from '../credentials/call.ts';
import type { Mask } from '../credentials/mask.ts';
import type { Principal } from '../credentials/resolve.ts';
import { GatewayError } from '../errors.ts';
import { runWorkflow, type WorkflowDeps } from '../execute/workflow.ts';
import { asGatewayError } from './call.ts';
import type { Permit } from './decide.ts';

export interface ExecuteDeps extends Omit<WorkflowDeps, 'credentials'> {
  readonly credentials: OpenCredentials;
}

export type Outcome = {
  readonly event: EventBody;
  /** Resolves when the call's credentials are ended. */
  readonly ended: Promise<void>;
} & ({ readonly result_json: string } | { readonly error: GatewayError });

export interface Execution {
  readonly call_id: string;
  readonly recorder: Recorder;
  readonly principal: Principal;
  /** Aborts when the caller goes away. */
  readonly gone: AbortSignal;
  /** Milliseconds for the whole. */
  readonly timeout_ms: number;
}

/** Never rejects: a failure is an outcome too. */
export async function execute(deps: ExecuteDeps, permit: Permit, execution: Execution): Promise<Outcome> {
  const { tool, capability } = permit;
  const tell = ({ event_type, payload }: EventBody): void =>
    execution.recorder.record({ event_type, payload: { call_id: execution.call_id, ...payload } });
  const credentials = deps.credentials({ principal: execution.principal, emit: tell });
  const started = deps.clock.monotonic();
  const facts = () => ({
    call_id: execution.call_id,
    name: tool.name,
    total_steps: tool.steps.length,
    duration_ms: Math.round(deps.clock.monotonic() - started),
  });
  try {
    const { output } = await runWorkflow(
      { ...deps, credentials: credentials.forApi },
      tool,
      permit.arguments,
      {
        signal: execution.gone,
        timeout_ms: execution.timeout_ms,
        emit: tell,
      },
    );
    const result_json = JSON.stringify(output ?? null);
    const result_bytes = Buffer.byteLength(result_json);
    checkSize(tool.name, result_bytes, capability.max_response_size);
    return {
      result_json,
      ended: credentials.end(),
      event: { event_type: 'WorkflowInvocationCompleted', payload: { ...facts(), result_bytes } },
    };
  } catch (thrown) {
    const error = masked(asGatewayError(thrown), credentials.mask);
    const failure = {
      layer: error.layer,
      code: error.row.code,
      error: error.name,
      reason: error.message,
      failed_step: error.details.step ?? null,
    };
    return {
      error,
      ended: credentials.end(),
      event: { event_type: 'WorkflowInvocationFailed', payload: { ...facts(), ...failure } },
    };
  }
}

/** Whatever an error quotes, no credential of the call is in it. */
function masked(error: GatewayError, mask: Mask): GatewayError {
  const message = mask.text(error.message);
  const details = mask.value(error.details) as GatewayError['details'];
  if (message === error.message && details === error.details) return error;
  return new GatewayError(error.name, message, {
    details,
    layer: error.layer,
    ...(error.retry_after_seconds !== null && { retry_after_seconds: error.retry_after_seconds }),
  });
}

function checkSize(tool: string, bytes: number, limit: number | null): void {
  if (limit !== null && bytes > limit) {
    throw new GatewayError(
      'RESPONSE_TOO_LARGE',
      `the result of ${tool} has ${bytes} bytes; the security context allows ${limit}`,
      {
        details: { bytes, limit },
      },
    );
  }
}
