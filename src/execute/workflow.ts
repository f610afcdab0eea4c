/** Runs a workflow: its steps in order, each one request, each leaving variables for the next. */
import { GatewayError } from '../errors.ts';
import type { Step, WorkflowTool } from '../snapshot/snapshot.ts';
import { type Outcome, placeOf, type Run, runStep, type StepDeps } from './step.ts';

export type WorkflowDeps = StepDeps;

/** What the audit trail hears of a step (docs/reference/audit.md). */
export interface StepEvent {
  readonly event_type: 'WorkflowStepExecuted';
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface WorkflowOptions {
  /** The caller is gone or out of time; no further step begins. */
  readonly signal: AbortSignal;
  /** Milliseconds for the whole, where that is less than the workflow's own. */
  readonly timeout_ms?: number;
  /** Gets each step's event before the next step begins. What it throws ends the call. */
  readonly emit: (event: StepEvent) => void | Promise<void>;
}

/** Errors that `on_error: continue` covers. The caller's own mistakes and the gateway's end the call. */
const COVERED: ReadonlySet<string> = new Set([
  'UPSTREAM_FAILED',
  'UPSTREAM_TIMEOUT',
  'RESPONSE_TOO_LARGE',
  'EGRESS_BLOCKED',
  'CREDENTIAL_UNAVAILABLE',
]);

/**
 * Runs `tool` on arguments that fit its input schema. Rejects with a GatewayError whose details name the
 * step, method, host, path template and status; the workflow's own deadline is UPSTREAM_TIMEOUT.
 */
export async function runWorkflow(
  deps: WorkflowDeps,
  tool: WorkflowTool,
  input: Readonly<Record<string, unknown>>,
  options: WorkflowOptions,
): Promise<{ readonly output: unknown }> {
  const steps: Record<string, Readonly<Record<string, unknown>>> = Object.create(null);
  const deadline = startDeadline(tool, options);
  const run: Run = { context: { input, steps }, signal: deadline.signal, gaps: new Set() };
  let last: unknown = null;
  try {
    for (const step of tool.steps) {
      const outcome = await runStep(deps, run, step);
      const told = options.emit(stepEvent(step, outcome));
      if (told !== undefined) await told;
      if (outcome.error === null) last = outcome.reply?.value;
      else if (!goesOn(step, outcome.error) || run.signal.aborted) throw outcome.error;
      steps[step.name] = variables(run, step, outcome);
    }
    return { output: (tool.output === null ? last : tool.output.render(run.context)) ?? null };
  } finally {
    deadline.end();
  }
}

/** The name of the step that an error of {@link runWorkflow} comes from; null: none. */
export function failedStep(error: GatewayError): string | null {
  return typeof error.details.step === 'string' ? error.details.step : null;
}

function goesOn(step: Step, error: GatewayError): boolean {
  return step.on_error === 'continue' && COVERED.has(error.name);
}

/** What later steps see of this one: its variables and `status`. */
function variables(run: Run, step: Step, outcome: Outcome): Readonly<Record<string, unknown>> {
  const seen: Record<string, unknown> = Object.create(null);
  for (const [name, query] of step.extract) {
    const found = outcome.extracted.has(name);
    const fallback = Object.hasOwn(step.defaults, name) ? step.defaults[name] : null;
    const value = found ? outcome.extracted.get(name) : fallback;
    if (value !== null) {
      seen[name] = value;
      continue;
    }
    const why =
      outcome.error !== null
        ? `step ${step.name} failed`
        : `${query.text} ${found ? 'is null' : 'matched nothing'} in the reply of step ${step.name}`;
    // Reading it is noted, so that a request that cannot do without it can say what is missing.
    Object.defineProperty(seen, name, {
      enumerable: true,
      get: () => {
        run.gaps.add(`steps.${step.name}.${name} has no value: ${why}`);
        return null;
      },
    });
  }
  seen.status = outcome.status;
  return seen;
}

function stepEvent(step: Step, outcome: Outcome): StepEvent {
  const { reply, error, status, duration_ms } = outcome;
  return {
    event_type: 'WorkflowStepExecuted',
    payload: {
      step_name: step.name,
      http_status: status,
      duration_ms: Math.round(duration_ms),
      ...placeOf(step),
      response_bytes: reply?.bytes ?? 0,
      ...(error !== null && { error: error.name, reason: error.message }),
    },
  };
}

/** A signal that is aborted with the caller's, or when the workflow has used up its time. */
function startDeadline(
  tool: WorkflowTool,
  { signal: outer, timeout_ms = tool.timeout_ms }: WorkflowOptions,
): { signal: AbortSignal; end(): void } {
  const limit_ms = Math.min(timeout_ms, tool.timeout_ms);
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  outer.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    const message = `workflow ${tool.name} did not end within ${limit_ms} ms`;
    controller.abort(new GatewayError('UPSTREAM_TIMEOUT', message));
  }, limit_ms);
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      outer.removeEventListener('abort', onAbort);
    },
  };
}
