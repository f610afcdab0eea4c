/** The request of a step: its templates rendered, and put together as the operation wants them. */
import { GatewayError } from '../errors.ts';
import { type BuiltRequest, buildRequest } from '../openapi/request.ts';
import type { Step, Template, TemplateContext } from '../snapshot/snapshot.ts';
import type { Run } from './run.ts';

/** The values of a step's templates; rendered once, however often and with whatever page they are sent. */
export interface StepValues {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

export function renderStep(run: Run, step: Step, context: TemplateContext): StepValues {
  return {
    path: renderPath(run, step, context),
    query: renderAll(step.query, context),
    headers: renderAll(step.headers, context),
    body: step.body?.render(context),
  };
}

/** Throws INVALID_ARGUMENTS for values that cannot be sent. */
export function buildStep({ api, operation }: Step, values: StepValues): BuiltRequest {
  // A step's headers are the manifest's, not a caller's.
  return buildRequest(operation, values, {
    allow_slash: api.allow_slash(operation.id),
    extra_headers: true,
  });
}

/** Path parameters. A variable without a value must not turn `/customers/{id}` into another resource. */
function renderPath(run: Run, step: Step, context: TemplateContext): Record<string, unknown> {
  run.gaps.clear();
  const values = renderAll(step.path_params, context);
  for (const name of Object.keys(values)) {
    const value = values[name];
    if (value !== null && value !== undefined && value !== '') continue;
    const details = { path_parameter: name };
    if (run.gaps.size > 0) throw new GatewayError('UPSTREAM_FAILED', [...run.gaps].join('; '), { details });
    if (step.for_each === null) continue;
    throw new GatewayError(step.for_each.blame, `path parameter ${JSON.stringify(name)} has no value`, {
      details,
    });
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
