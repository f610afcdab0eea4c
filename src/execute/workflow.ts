/** Runs a workflow: its stages in order, each a step or a few that only read, each leaving variables for the next. */
import { GatewayError } from '../errors.ts';
import type { WorkflowTool } from '../snapshot/snapshot.ts';
import { cutFrom } from './abort.ts';
import { rendered } from './gaps.ts';
import type { Run, StepDeps } from './run.ts';
import { runStage } from './stage.ts';
import type { Outcome } from './step.ts';
import { type StepEvent, stepEvent } from './step-event.ts';
import { variablesOf } from './variables.ts';
import { type Write, withWrites, writeOf } from './writes.ts';

export type { StepEvent } from './step-event.ts';
export type WorkflowDeps = StepDeps;

export interface WorkflowOptions {
  /** The caller is gone or out of time; no further request is sent. */
  readonly signal: AbortSignal;
  /** Milliseconds for the whole, where that is less than the workflow's own. */
  readonly timeout_ms?: number;
  /** Gets the events of a stage, as its steps are written, before the next stage begins. What it throws ends the call. */
  readonly emit: (event: StepEvent) => void | Promise<void>;
}

/**
 * Runs `tool` on arguments that fit its input schema. Rejects with a GatewayError whose details name the
 * step, method, host, path template and status, and the `writes` that were sent before; the workflow's own deadline is
 * UPSTREAM_TIMEOUT.
 */
export async function runWorkflow(
  deps: WorkflowDeps,
  tool: WorkflowTool,
  input: Readonly<Record<string, unknown>>,
  options: WorkflowOptions,
): Promise<{ readonly output: unknown }> {
  const steps: Record<string, Readonly<Record<string, unknown>>> = Object.create(null);
  const limit_ms = Math.min(options.timeout_ms ?? tool.timeout_ms, tool.timeout_ms);
  const deadline = startDeadline(tool, options.signal, limit_ms);
  const run: Run = {
    context: { input, steps },
    signal: deadline.signal,
    ends_at: deps.clock.monotonic() + limit_ms,
    gaps: new Map(),
  };
  const writes: Write[] = [];
  let last: unknown = null;
  try {
    for (const stage of tool.stages) {
      const results = await runStage(deps, run, stage);
      for (const { step, outcome } of results) {
        const told = options.emit(stepEvent(step, outcome));
        if (told !== undefined) await told;
      }
      for (const { step, outcome } of results) {
        const write = writeOf(step, outcome.tally);
        if (write !== null) writes.push(write);
        if (outcome.fatal) throw outcome.error;
        steps[step.name] = variablesOf(run, step, outcome);
        last = replyOf(outcome) ?? last;
      }
    }
    return { output: checked(tool, outputOf(run, tool, last) ?? null) };
  } catch (thrown) {
    throw withWrites(thrown, writes);
  } finally {
    deadline.end();
  }
}

/** The name of the step that an error of {@link runWorkflow} comes from; null: none. */
export function failedStep(error: GatewayError): string | null {
  return typeof error.details.step === 'string' ? error.details.step : null;
}

/** Of a step that succeeded; undefined: it did not, or was skipped. */
function replyOf({ result, elements }: Outcome): unknown {
  return elements === null ? result?.value : elements.map(({ value }) => value ?? null);
}

function outputOf({ gaps, context }: Run, { output }: WorkflowTool, last: unknown): unknown {
  return output === null ? last : rendered(gaps, () => output.render(context));
}

/** The caller's arguments fitted, so what does not fit now is the upstream's or the manifest's. */
function checked({ name, validate_output }: WorkflowTool, output: unknown): unknown {
  const problems = validate_output?.(output) ?? [];
  if (problems.length === 0) return output;
  const message = `the output of workflow ${name} does not fit its output_schema: ${problems.join('; ')}`;
  throw new GatewayError('UPSTREAM_FAILED', message, { details: { problems } });
}

/** A signal that is aborted with the caller's, or when the workflow has used up its time. */
function startDeadline(
  { name }: WorkflowTool,
  gone: AbortSignal,
  limit_ms: number,
): { signal: AbortSignal; end(): void } {
  const cut = cutFrom(gone);
  const timer = setTimeout(() => {
    cut.abort(new GatewayError('UPSTREAM_TIMEOUT', `workflow ${name} did not end within ${limit_ms} ms`));
  }, limit_ms);
  return {
    signal: cut.signal,
    end() {
      clearTimeout(timer);
      cut.release();
    },
  };
}
