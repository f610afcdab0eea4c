/** Runs the tool of a permit and turns what came of it, good or bad, into one outcome event. */
import type { EventBody } from '../audit/event.ts';
import type { Recorder } from '../audit/record.ts';
import { GatewayError } from '../errors.ts';
import type { CliRunner } from '../execute/cli-run.ts';
import { runWorkflow, type WorkflowDeps } from '../execute/workflow.ts';
import { asGatewayError } from './call.ts';
import { cliFailed, cliStarted } from './cli-events.ts';
import type { CliPermit, Permit, WorkflowPermit } from './decide.ts';

export interface ExecuteDeps extends WorkflowDeps {
  readonly cli: CliRunner;
}

export type Outcome = { readonly event: EventBody } & (
  | { readonly result_json: string }
  | { readonly error: GatewayError }
);

export interface Execution {
  readonly call_id: string;
  readonly recorder: Recorder;
  /** Aborts when the caller goes away. */
  readonly gone: AbortSignal;
  /** Milliseconds for the whole. */
  readonly timeout_ms: number;
}

/** Never rejects: a failure is an outcome too. */
export function execute(deps: ExecuteDeps, permit: Permit, execution: Execution): Promise<Outcome> {
  return 'invocation' in permit
    ? executeCli(deps, permit, execution)
    : executeWorkflow(deps, permit, execution);
}

async function executeWorkflow(
  deps: ExecuteDeps,
  permit: WorkflowPermit,
  execution: Execution,
): Promise<Outcome> {
  const { tool, capability } = permit;
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
    const result_json = JSON.stringify(output ?? null);
    const result_bytes = Buffer.byteLength(result_json);
    checkSize(tool.name, result_bytes, capability.max_response_size);
    return {
      result_json,
      event: { event_type: 'WorkflowInvocationCompleted', payload: { ...facts(), result_bytes } },
    };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    const failure = {
      layer: error.layer,
      code: error.row.code,
      error: error.name,
      reason: error.message,
      failed_step: error.details.step ?? null,
    };
    return { error, event: { event_type: 'WorkflowInvocationFailed', payload: { ...facts(), ...failure } } };
  }
}

async function executeCli(deps: ExecuteDeps, permit: CliPermit, execution: Execution): Promise<Outcome> {
  const { tool, capability, invocation, context } = permit;
  const { call_id, recorder, gone, timeout_ms } = execution;
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
      signal: gone,
      onAllowed: (judge, { reason }) =>
        recorder.announce(cliStarted(call_id, permit, { judge, judge_reason: reason })),
    });
    const result_json = JSON.stringify(result);
    checkSize(tool.name, Buffer.byteLength(result_json), capability.max_response_size);
    const { exit_code, truncated } = result;
    const payload = { ...facts(), exit_code, truncated, ...sizes };
    return { result_json, event: { event_type: 'CliToolInvocationCompleted', payload } };
  } catch (thrown) {
    const error = asGatewayError(thrown);
    return { error, event: cliFailed(facts(), permit, error) };
  }
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
