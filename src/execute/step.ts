/** One step of a workflow: render, build, add the credential, send, extract. */
import type { Clock } from '../clock.ts';
import type { RequestSecrets } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import { buildRequest } from '../openapi/request.ts';
import type { Api, Query, Step, Template, TemplateContext } from '../snapshot/snapshot.ts';
import type { Egress } from './egress.ts';
import { abortError, type Place, upstreamError } from './exchange.ts';
import { excerpt } from './reply.ts';
import { type Reply, sendRequest } from './rest.ts';

export interface StepDeps {
  readonly egress: Egress;
  /** What an API's credential adds to a request (`credentials/inject.ts`); null: nothing. */
  readonly credentials: (api: Api) => Promise<RequestSecrets | null>;
  readonly clock: Clock;
}

/** The state of one workflow run that its steps share. */
export interface Run {
  readonly context: TemplateContext;
  /** Aborted at the workflow's deadline, or with the caller's signal. */
  readonly signal: AbortSignal;
  /** Why variables that templates have read have no value; cleared before a step's path is rendered. */
  readonly gaps: Set<string>;
}

export interface Outcome {
  /** null: there was none that could be read. */
  readonly reply: Reply | null;
  /** Values by variable; a variable whose singular query matched nothing is absent. */
  readonly extracted: ReadonlyMap<string, unknown>;
  /** null: the step succeeded. Details name step, method, host, path template and status. */
  readonly error: GatewayError | null;
  /** Of the reply; 0: there was none. */
  readonly status: number;
  readonly duration_ms: number;
}

/** Runs one step. Never rejects: an error is part of the outcome. */
export async function runStep(deps: StepDeps, run: Run, step: Step): Promise<Outcome> {
  const started = deps.clock.monotonic();
  let reply: Reply | null = null;
  let extracted: ReadonlyMap<string, unknown> = new Map();
  let error: GatewayError | null = null;
  try {
    reply = await send(deps, run, step);
    extracted = extract(step, reply);
  } catch (thrown) {
    error = stepError(step, thrown, reply);
  }
  const status = reply?.status ?? error?.details.status;
  return {
    reply,
    extracted,
    error,
    status: typeof status === 'number' ? status : 0,
    duration_ms: deps.clock.monotonic() - started,
  };
}

/** Where a step sends its request. */
export function placeOf(step: Step): Place {
  return { method: step.operation.method, host: step.api.base_url.host, path: step.operation.path };
}

async function send(deps: StepDeps, run: Run, step: Step): Promise<Reply> {
  const { api, operation } = step;
  const request = buildRequest(
    operation,
    {
      path: renderPath(run, step),
      query: renderAll(step.query, run.context),
      headers: renderAll(step.headers, run.context),
      body: step.body?.render(run.context),
    },
    // A step's headers are the manifest's, not a caller's.
    { allow_slash: api.allow_slash(operation.id), extra_headers: true },
  );
  if (run.signal.aborted) throw abortError(run.signal);
  const secrets = await unlessAborted(deps.credentials(api), run.signal);
  return await sendRequest(
    deps,
    api,
    { ...request, method: operation.method, path: operation.path, secrets },
    { signal: run.signal },
  );
}

/** Path parameters. A variable without a value must not turn `/customers/{id}` into another resource. */
function renderPath(run: Run, step: Step): Record<string, unknown> {
  run.gaps.clear();
  const values = renderAll(step.path_params, run.context);
  for (const name of Object.keys(values)) {
    const value = values[name];
    const missing = value === null || value === undefined || value === '';
    if (missing && run.gaps.size > 0) {
      throw new GatewayError('UPSTREAM_FAILED', [...run.gaps].join('; '), {
        details: { path_parameter: name },
      });
    }
  }
  return values;
}

function renderAll(
  templates: Readonly<Record<string, Template>>,
  context: TemplateContext,
): Record<string, unknown> {
  const values: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(templates)) values[name] = templates[name]?.render(context);
  return values;
}

/** What the step's queries match. Throws UPSTREAM_FAILED when the status is not an expected one. */
function extract(step: Step, reply: Reply): ReadonlyMap<string, unknown> {
  const { status } = reply;
  const expected = step.expect_status?.includes(status) ?? (status >= 200 && status < 300);
  if (!expected) {
    const said = excerpt(reply.value, reply.content_type);
    throw upstreamError('UPSTREAM_FAILED', placeOf(step), `answered ${status}`, {
      details: said === null ? {} : { excerpt: said },
    });
  }
  const extracted = new Map<string, unknown>();
  for (const [name, query] of step.extract) {
    const matched = select(name, query, reply.value);
    if (!query.singular) extracted.set(name, matched);
    else if (matched.length > 0) extracted.set(name, matched[0]);
  }
  return extracted;
}

function select(name: string, query: Query, value: unknown): unknown[] {
  try {
    return query.select(value);
  } catch (error) {
    // A limit of JSONPath: the expression is the manifest's and the data the upstream's, not the caller's.
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError('UPSTREAM_FAILED', `cannot extract ${name} by ${query.text}: ${error.message}`);
  }
}

/** Any error of a step, with where it happened; one that is no GatewayError becomes INTERNAL. */
function stepError(step: Step, thrown: unknown, reply: Reply | null): GatewayError {
  const error =
    thrown instanceof GatewayError
      ? thrown
      : new GatewayError('INTERNAL', 'internal error', { cause: thrown });
  return new GatewayError(error.name, `step ${step.name}: ${error.message}`, {
    details: {
      step: step.name,
      ...placeOf(step),
      ...(reply !== null && { status: reply.status }),
      ...error.details,
    },
    layer: error.layer,
    ...(error.retry_after_seconds !== null && { retry_after_seconds: error.retry_after_seconds }),
    cause: error.cause,
  });
}

/** The promise, or a rejection as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
