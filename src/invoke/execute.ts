/** Runs the tool of a permit and turns what came of it, good or bad, into one outcome event. */
import type { EventBody } from '../audit/event.ts';
import type { Recorder } from '../audit/record.ts';
import { redactArguments } from '../audit/redact.ts';
import type { CallCredentials } from '../credentials/call.ts';
import type { Mask } from '../credentials/mask.ts';
import { GatewayError } from '../errors.ts';
import type { CliRunner } from '../execute/cli-run.ts';
import type { ExplorerDeps } from '../execute/explorer.ts';
import { runWorkflow, type WorkflowDeps } from '../execute/workflow.ts';
import { asGatewayError } from './call.ts';
import { cliFailed, cliStarted } from './cli-events.ts';
import type { CliPermit, Permit, WorkflowPermit } from './decide.ts';
import { explore } from './explore.ts';
import { checkSize, sliceLimit } from './result-size.ts';
import { sliceResult } from './slice-result.ts';

export interface ExecuteDeps extends Omit<RunDeps, 'credentials'> {
  readonly cli: CliRunner;
}

/** What one call is run with: its own credentials in the place of everybody's. */
type RunDeps = WorkflowDeps & ExplorerDeps;

export type Outcome = { readonly event: EventBody } & (
  | { readonly result_json: string }
  | { readonly error: GatewayError }
);

export interface Execution {
  readonly call_id: string;
  readonly recorder: Recorder;
  /** The call's own. */
  readonly credentials: CallCredentials;
  /** Aborts when the caller goes away. */
  readonly gone: AbortSignal;
  /** Milliseconds for the whole. */
  readonly timeout_ms: number;
}

/** Never rejects: a failure is an outcome too. */
export async function execute(deps: ExecuteDeps, permit: Permit, execution: Execution): Promise<Outcome> {
  const { credentials } = execution;
  const run = { ...deps, credentials: credentials.forApi };
  const explores = 'exploration' in permit;
  const outcome =
    'invocation' in permit
      ? await executeCli(deps, permit, execution)
      : await (explores ? explore(run, permit, execution) : executeWorkflow(run, permit, execution));
  return withoutSecrets(outcome, credentials.mask, explores);
}

/** Whatever an outcome quotes, no credential of the call is in it. `clean`: its result was masked where it was made. */
function withoutSecrets(outcome: Outcome, mask: Mask, clean: boolean): Outcome {
  if (mask.isEmpty()) return outcome;
  const event = { ...outcome.event, payload: mask.value(outcome.event.payload) as EventBody['payload'] };
  if ('error' in outcome) return { event, error: maskError(outcome.error, mask) };
  // To read it again for nothing would hold up the event loop: it may be of megabytes.
  if (clean) return { event, result_json: outcome.result_json };
  const result: unknown = JSON.parse(outcome.result_json);
  const masked = mask.value(result);
  return { event, result_json: masked === result ? outcome.result_json : JSON.stringify(masked) };
}

function maskError(error: GatewayError, mask: Mask): GatewayError {
  return new GatewayError(error.name, mask.text(error.message), {
    details: mask.value(error.details) as GatewayError['details'],
    layer: error.layer,
    ...(error.retry_after_seconds !== null && { retry_after_seconds: error.retry_after_seconds }),
    ...(error.cause !== undefined && { cause: error.cause }),
  });
}

async function executeWorkflow(
  deps: RunDeps,
  permit: WorkflowPermit,
  execution: Execution,
): Promise<Outcome> {
  const { tool, capability, fields } = permit;
  const started = deps.clock.monotonic();
  const facts = () => ({
    call_id: execution.call_id,
    name: tool.name,
    total_steps: tool.steps.length,
    duration_ms: Math.round(deps.clock.monotonic() - started),
  });
  try {
    const { output } = await runWorkflow(deps, tool, permit.arguments, {
      signal: execution.gone,
      timeout_ms: execution.timeout_ms,
      emit: ({ event_type, payload }) =>
        execution.recorder.record({ event_type, payload: { call_id: execution.call_id, ...payload } }),
    });
    const whole_json = JSON.stringify(output ?? null);
    const slicing = { max_bytes: sliceLimit(capability), signal: execution.gone };
    const result_json =
      fields === null ? whole_json : await sliceResult(deps.slicer, whole_json, fields, slicing);
    const result_bytes = checkSize(tool.name, result_json, capability);
    const sliced =
      fields === null ? {} : redactArguments({ fields_requested: fields.map((field) => field.text) });
    return {
      result_json,
      event: { event_type: 'WorkflowInvocationCompleted', payload: { ...facts(), result_bytes, ...sliced } },
    };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    const { step, writes } = error.details;
    const failure = {
      ...failureFacts(error),
      failed_step: step ?? null,
      ...(writes !== undefined && { writes }),
    };
    return { error, event: { event_type: 'WorkflowInvocationFailed', payload: { ...facts(), ...failure } } };
  }
}

/** What every outcome event says of a failure. */
export function failureFacts(error: GatewayError): Record<string, unknown> {
  return { layer: error.layer, code: error.row.code, error: error.name, reason: error.message };
}

async function executeCli(
  deps: Pick<ExecuteDeps, 'cli' | 'clock'>,
  permit: CliPermit,
  execution: Execution,
): Promise<Outcome> {
  const { tool, capability, invocation, context } = permit;
  const { call_id, recorder, credentials, gone, timeout_ms } = execution;
  const started = deps.clock.monotonic();
  const facts = () => ({
    call_id,
    name: tool.name,
    subcommand: invocation.subcommand,
    duration_ms: Math.round(deps.clock.monotonic() - started),
  });
  try {
    const { result, ...sizes } = await deps.cli.run({
      ...{ tool, invocation, call_id, timeout_ms },
      security_context: context.name,
      credentials,
      signal: gone,
      onAllowed: (judge, { reason }) =>
        recorder.announce(cliStarted(call_id, permit, { judge, judge_reason: reason })),
    });
    const result_json = JSON.stringify(result);
    checkSize(tool.name, result_json, capability);
    const { exit_code, truncated } = result;
    const payload = { ...facts(), exit_code, truncated, ...sizes };
    return { result_json, event: { event_type: 'CliToolInvocationCompleted', payload } };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    return { error, event: cliFailed(facts(), permit, error) };
  }
}
