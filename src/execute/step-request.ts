/** The request of a step: its templates rendered, and put together as the operation wants them. */
import { GatewayError } from '../errors.ts';
import { type BuiltRequest, buildRequest } from '../openapi/request.ts';
import type { Step, Template, TemplateContext } from '../snapshot/snapshot.ts';
import { gapError, rendered } from './gaps.ts';
import { type Run, retold } from './run.ts';

/** The values of a step's templates; rendered once, however often and with whatever page they are sent. */
export interface StepValues {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  /** By template: why its value is missing, where a variable that it reads has none. */
  readonly missing: ReadonlyMap<Template, GatewayError>;
}

export function renderStep(run: Run, step: Step, context: TemplateContext): StepValues {
  const missing = new Map<Template, GatewayError>();
  const all = (templates: Readonly<Record<string, Template>>): Record<string, unknown> => {
    const values: Record<string, unknown> = Object.create(null);
    for (const name of Object.keys(templates)) values[name] = one(templates[name]!);
    return values;
  };
  const one = (template: Template): unknown => {
    const value = rendered(run.gaps, () => template.render(context));
    const why = run.gaps.size > 0 && isEmpty(value) ? gapError(run.gaps) : null;
    if (why !== null) missing.set(template, why);
    return value;
  };
  return {
    path: all(step.path_params),
    query: all(step.query),
    headers: all(step.headers),
    body: step.body === null ? undefined : one(step.body),
    missing,
  };
}

/** Throws INVALID_ARGUMENTS for a value of the caller's that cannot be sent, UPSTREAM_FAILED for another. */
export function buildStep(step: Step, values: StepValues): BuiltRequest {
  const { api, operation } = step;
  try {
    // A step's headers are the manifest's, not a caller's.
    return buildRequest(operation, values, {
      allow_slash: api.allow_slash(operation.id),
      extra_headers: true,
    });
  } catch (error) {
    if (error instanceof GatewayError) throw blamed(step, values, error);
    throw error;
  }
}

/** The error of a value that cannot be sent, held against the one that it comes from. */
function blamed(step: Step, { missing }: StepValues, error: GatewayError): GatewayError {
  const template = templateOf(step, error.details);
  if (template === null) return error;
  const why = missing.get(template);
  if (why !== undefined) return retold(why, why.message, { ...error.details, ...why.details });
  return new GatewayError(template.blame, error.message, { details: error.details });
}

/** The template of the parameter that an error of `buildRequest` is about; null: it has none. */
function templateOf(
  { path_params, query, headers, body }: Step,
  details: GatewayError['details'],
): Template | null {
  if ('field' in details) return body;
  const { path_parameter, query_parameter, header } = details;
  const named = (templates: Readonly<Record<string, Template>>, name: unknown): Template | null =>
    Object.entries(templates).find(([key]) => key === name)?.[1] ?? null;
  return (
    named(path_params, path_parameter) ??
    named(query, query_parameter) ??
    Object.entries(headers).find(([key]) => key.toLowerCase() === header)?.[1] ??
    null
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || value === '';
}
