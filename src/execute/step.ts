/** One step of a workflow: skipped, done once, or done for each element of a list. */
import { GatewayError } from '../errors.ts';
import type { BuiltRequest } from '../openapi/request.ts';
import type { Step, TemplateContext } from '../snapshot/snapshot.ts';
import { attempt } from './attempt.ts';
import { upstreamError } from './exchange.ts';
import { runEach } from './for-each.ts';
import { readPages } from './paginate.ts';
import type { Reply } from './rest.ts';
import { withRetry } from './retry.ts';
import { newTally, placeOf, type Run, retold, type StepDeps, type Tally } from './run.ts';
import { extractFrom } from './select.ts';
import { buildStep, renderStep } from './step-request.ts';
import { holds } from './template-helpers.ts';

/** What one request came to, or the pages of one list. */
export interface Result {
  /** Of the reply; undefined: there was none that could be used. */
  readonly value: unknown;
  /** Of the reply; 0: there was none. */
  readonly status: number;
  /** Values by variable; a variable whose singular query matched nothing is absent. */
  readonly extracted: ReadonlyMap<string, unknown>;
  /** null: it succeeded. Details name step, method, host, path template and status. */
  readonly error: GatewayError | null;
}

export interface Outcome {
  /** null: the step was skipped, or it has elements. */
  readonly result: Result | null;
  /** Of `for_each`, in the order of the list; null: there are none. */
  readonly elements: readonly Result[] | null;
  /** The first in the order of the list that ends the workflow, else the first; null: there was none. */
  readonly error: GatewayError | null;
  /** The error ends the workflow. */
  readonly fatal: boolean;
  readonly tally: Tally;
  readonly duration_ms: number;
}

/** Errors that `on_error: continue` covers. The caller's own mistakes and the gateway's end the call. */
const COVERED: ReadonlySet<string> = new Set([
  'UPSTREAM_FAILED',
  'UPSTREAM_TIMEOUT',
  'RESPONSE_TOO_LARGE',
  'EGRESS_BLOCKED',
  'CREDENTIAL_UNAVAILABLE',
]);

const NOTHING: ReadonlyMap<string, unknown> = new Map();

/** Runs one step. Never rejects: an error is part of the outcome. */
export async function runStep(deps: StepDeps, run: Run, step: Step): Promise<Outcome> {
  const started = deps.clock.monotonic();
  const tally = newTally();
  const { result = null, elements = null, count = 1 } = await carryOut(deps, run, step, tally);
  const results = elements ?? (result === null ? [] : [result]);
  const ending = results.find((one) => endsWorkflow(run, step, one));
  const error = ending?.error ?? results.find((one) => one.error !== null)?.error ?? null;
  return {
    result,
    elements,
    error: error === null || elements === null ? error : counted(error, elements, count),
    fatal: ending !== undefined,
    tally,
    duration_ms: deps.clock.monotonic() - started,
  };
}

/** The error of one element, with how many of how many failed: each may have been a side effect. */
function counted(error: GatewayError, elements: readonly Result[], count: number): GatewayError {
  if (count === 1) return error;
  const failures = elements.filter((one) => one.error !== null).length;
  const left = count - elements.length;
  const begun = left === 0 ? '' : `, ${left} were not begun`;
  const message = `${error.message}; ${failures} of ${count} elements failed${begun}`;
  return retold(error, message, { ...error.details, items: count, items_failed: failures });
}

/** Neither: the step is skipped. `count`: of the elements of the list, begun or not. */
type CarriedOut = {
  readonly result?: Result;
  readonly elements?: readonly Result[];
  readonly count?: number;
};

async function carryOut(deps: StepDeps, run: Run, step: Step, tally: Tally): Promise<CarriedOut> {
  try {
    if (step.when !== null && !holds(step.when.render(run.context))) return {};
    if (step.for_each === null) return { result: await runOnce(deps, run, step, run.context, tally, null) };
    const { results: elements, count } = await runEach(run, step.for_each, async (item, index) => {
      const result = await runOnce(deps, run, step, { ...run.context, item }, tally, index);
      return { result, goesOn: !endsWorkflow(run, step, result) };
    });
    return { elements, count };
  } catch (thrown) {
    return { result: failed(step, thrown, 0, null) };
  }
}

function endsWorkflow({ signal }: Run, { on_error }: Step, { error }: Result): boolean {
  return error !== null && (on_error === 'fail' || !COVERED.has(error.name) || signal.aborted);
}

/** `index`: of the element of `for_each`. */
async function runOnce(
  deps: StepDeps,
  run: Run,
  step: Step,
  context: TemplateContext,
  tally: Tally,
  index: number | null,
): Promise<Result> {
  let status = 0;
  try {
    const values = renderStep(run, step, context);
    const send = async (request: BuiltRequest): Promise<Reply> => {
      const reply = await withRetry(deps, run, step.retry, () => attempt(deps, run, step, request, tally));
      status = reply.status;
      keep(step, reply, tally);
      return reply;
    };
    const { paginate } = step;
    const reply =
      paginate === null
        ? await send(buildStep(step, values))
        : await readPages(step, paginate, values, tally, send);
    return { value: reply.value, status, extracted: extractFrom(step.extract, reply.value), error: null };
  } catch (thrown) {
    return failed(step, thrown, status, index);
  }
}

/** One reply is within the API's limit already; here all that a step reads is held to it. */
function keep(step: Step, reply: Reply, tally: Tally): void {
  const limit_bytes = step.api.max_response_bytes;
  tally.kept_bytes += reply.bytes;
  if (tally.kept_bytes <= limit_bytes) return;
  throw upstreamError(
    'RESPONSE_TOO_LARGE',
    placeOf(step),
    `answered all requests of the step together with more than ${limit_bytes} bytes`,
    { details: { status: reply.status, limit_bytes } },
  );
}

/** Any error of a step, with where it happened; one that is no GatewayError becomes INTERNAL. */
function failed(step: Step, thrown: unknown, status: number, index: number | null): Result {
  const cause =
    thrown instanceof GatewayError
      ? thrown
      : new GatewayError('INTERNAL', 'internal error', { cause: thrown });
  const which = index === null ? '' : `, element ${index}`;
  const error = retold(cause, `step ${step.name}${which}: ${cause.message}`, {
    step: step.name,
    ...(index !== null && { element: index }),
    ...placeOf(step),
    ...(status > 0 && { status }),
    ...cause.details,
  });
  const told = error.details.status;
  return { value: undefined, status: typeof told === 'number' ? told : 0, extracted: NOTHING, error };
}
