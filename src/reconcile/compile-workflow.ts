/** ToolWorkflow manifests -> tools of the snapshot: every template, path and schema compiled, every name looked up. */
import { compileQuery } from '../execute/jsonpath.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList, quoted } from '../manifest/words.ts';
import type { Operation } from '../openapi/operation.ts';
import { literalOperation, unknownOperation } from '../openapi/request.ts';
import type { Api, Json, JsonObject, Query, Step, WorkflowTool } from '../snapshot/snapshot.ts';
import { checkSent } from './check-sent.ts';
import type { CompiledApi } from './compile-api.ts';
import { forEachOf, paginationOf, retryOf } from './compile-repeat.ts';
import { compileTemplates, type StepTemplates } from './compile-templates.ts';
import { isFixed } from './fixed-parameters.ts';
import { type ArgumentsSchema, compileSchema, type Whole } from './json-schema.ts';
import type { Hint, Problems } from './problems.ts';
import { stagesOf } from './stages.ts';

type Spec = Manifest<'ToolWorkflow'>['spec'];
type WrittenStep = Spec['steps'][number];

/** The ApiSpec that a manifest sees under this name, or why it cannot be had. */
export type FindApi = (
  name: string,
) => CompiledApi | { readonly absent: true; readonly hint: Hint } | { readonly bad: string };

const DEFAULT_TIMEOUT_MS = 60_000;
/** Unknown parameters of a step that are compared with those that the operation has. */
const MAX_COMPARED = 20;
const NO_ARGUMENTS: JsonObject = { type: 'object', additionalProperties: false };

/** null: see the problems. Yields now and then: a workflow may have as many templates as others have workflows. */
export function* compileWorkflow(
  manifest: Manifest<'ToolWorkflow'>,
  problems: Problems,
  findApi: FindApi,
): Generator<void, WorkflowTool | null> {
  const { spec, name, tenant } = manifest;
  checkStepNames(spec, problems);
  const templates = yield* compileTemplates(spec, problems);
  const input_schema = (spec.input_schema ?? NO_ARGUMENTS) as JsonObject;
  const schema = problems.attempt('/spec/input_schema', 'bad-schema', () => compileSchema(input_schema));
  const { output_schema } = spec;
  const outputs =
    output_schema === undefined
      ? null
      : problems.attempt('/spec/output_schema', 'bad-schema', () => compileSchema(output_schema));
  yield;
  const compiled = spec.steps.map((step, index) =>
    compileStep(spec, step, index, templates.steps[index]!, problems, findApi),
  );
  if (schema === null || problems.failed) return null;
  const steps = compiled.filter((step): step is Step => step !== null);
  return {
    kind: 'workflow',
    name,
    tenant,
    description: spec.description,
    input_schema,
    output_schema: (output_schema as JsonObject | undefined) ?? null,
    tags: spec.tags ?? [],
    category: spec.category ?? null,
    annotations: spec.annotations ?? {},
    validate: validatorOf(schema, 'arguments'),
    validate_output: outputs === null ? null : validatorOf(outputs, 'output'),
    steps,
    stages: stagesOf(
      steps,
      templates.steps.map(({ needs }) => needs),
    ),
    output: templates.output,
    timeout_ms: spec.timeout_ms ?? DEFAULT_TIMEOUT_MS,
    allow_fields: spec.allow_fields ?? false,
  };
}

/**
 * A function of its own: what a tool holds lives as long as the tool, and a closure made above would hold all that its
 * neighbours see, down to the manifests of every reconcile before.
 */
function validatorOf(schema: ArgumentsSchema, of: Whole): (value: unknown) => string[] {
  return (value) => schema.problems(value, of);
}

function checkStepNames(spec: Spec, problems: Problems): void {
  const seen = new Map<string, number>();
  for (const [index, { name }] of spec.steps.entries()) {
    const before = seen.get(name);
    if (before === undefined) seen.set(name, index);
    else
      problems.error(
        `/spec/steps/${index}/name`,
        'duplicate-step',
        `steps[${before}] is called ${quoted(name)} already`,
      );
  }
}

function compileStep(
  spec: Spec,
  written: WrittenStep,
  index: number,
  { needs: _, list, ...templates }: StepTemplates,
  problems: Problems,
  findApi: FindApi,
): Step | null {
  const pointer = `/spec/steps/${index}`;
  const api = apiOf(spec, written, pointer, problems, findApi);
  const whole = api === null ? null : operationOf(written, api, pointer, problems);
  const extract = extractOf(written, pointer, problems);
  checkDefaults(written, pointer, problems);
  if (api === null || whole === null) return null;
  const operation = withoutFixed(whole, written, api.api);
  checkParameters(written, operation, pointer, problems);
  checkSent(written, pointer, api.api, problems);
  const paginate = paginationOf(written, operation, pointer, problems);
  const retry = retryOf(written, api.api, operation, pointer, problems);
  return {
    name: written.name,
    api: api.api,
    operation,
    ...templates,
    extract,
    on_error: written.on_error ?? 'fail',
    defaults: (written.defaults as Record<string, Json> | undefined) ?? {},
    expect_status: written.expect_status ?? null,
    for_each: list === null ? null : forEachOf(written, list),
    paginate,
    retry,
  };
}

function apiOf(
  spec: Spec,
  written: WrittenStep,
  pointer: string,
  problems: Problems,
  findApi: FindApi,
): CompiledApi | null {
  const name = written.api_spec ?? spec.api_spec;
  if (name === undefined) {
    // One for all steps that have none of their own.
    const message = 'spec.api_spec is missing: no API is named for';
    const steps = spec.steps.filter((step) => step.api_spec === undefined).map((step) => step.name);
    problems.error('/spec', 'missing-field', `${message} ${andList(steps.slice(0, 5))}`, null, 'key');
    return null;
  }
  const where = written.api_spec === undefined ? '/spec/api_spec' : `${pointer}/api_spec`;
  const found = findApi(name);
  if ('bad' in found) problems.block(where, found.bad);
  if ('absent' in found) {
    const message = `there is no ApiSpec ${quoted(name)} that this manifest may use`;
    problems.error(where, 'unknown-api-spec', message, found.hint);
  }
  return 'api' in found ? found : null;
}

function operationOf(
  written: WrittenStep,
  api: CompiledApi,
  pointer: string,
  problems: Problems,
): Operation | null {
  const { operation_id, method, path } = written;
  if (operation_id === undefined)
    return problems.attempt(`${pointer}/path`, 'bad-path', () => literalOperation(method!, path!));
  if (api.unchecked) return unknownOperation(operation_id, Object.keys(written.path_params ?? {}));
  const operation = api.operations.get(operation_id);
  if (operation !== undefined) {
    tellServer(operation, api, `${pointer}/operation_id`, problems);
    return operation;
  }
  const bad = api.left_out.get(operation_id);
  const hint = (): string | null => {
    const near = suggest(operation_id, api.operations.keys());
    return near === null ? null : `did you mean ${near}?`;
  };
  const message = `ApiSpec ${api.api.name} has no operation ${quoted(operation_id)}`;
  if (bad !== undefined)
    problems.error(
      `${pointer}/operation_id`,
      'unknown-operation',
      `ApiSpec ${api.api.name} has left out operation ${quoted(operation_id)}: ${bad}`,
    );
  else problems.error(`${pointer}/operation_id`, 'unknown-operation', message, hint);
  return null;
}

/** Requests go to the ApiSpec's base URL, whatever the document says of single operations. */
function tellServer(
  { id, server }: Operation,
  { api }: CompiledApi,
  pointer: string,
  problems: Problems,
): void {
  if (server === null || !URL.canParse(server) || new URL(server).origin === api.base_url.origin) return;
  const message = `the document sends ${id} to ${new URL(server).origin}, but ApiSpec ${api.name} calls ${api.base_url.origin}`;
  problems.warn(pointer, 'other-server', message, 'use an ApiSpec of its own, with that base_url');
}

/** The operation without the parameters that the API sets itself, unless the step gives them: none of those is missing. */
function withoutFixed(operation: Operation, { headers = {} }: WrittenStep, api: Api): Operation {
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const inject: Api['inject'] = api.credential.kind === 'none' ? { kind: 'bearer' } : api.inject;
  const parameters = operation.parameters.filter(
    (one) => !isFixed({ ...api, inject }, one) || (one.in === 'header' && given.has(one.name)),
  );
  const isWhole = parameters.length === operation.parameters.length;
  return isWhole ? operation : Object.freeze({ ...operation, parameters: Object.freeze(parameters) });
}

/** What would fail on every call is told now. */
function checkParameters(
  written: WrittenStep,
  operation: Operation,
  pointer: string,
  problems: Problems,
): void {
  const given = {
    path: written.path_params ?? {},
    query: written.query ?? {},
    header: written.headers ?? {},
  };
  const fields = { path: 'path_params', query: 'query', header: 'headers' } as const;
  for (const location of ['path', 'query', 'header'] as const) {
    const known = operation.parameters.filter((parameter) => parameter.in === location);
    const same = (a: string, b: string): boolean =>
      location === 'header' ? a.toLowerCase() === b.toLowerCase() : a === b;
    const names = known.map((parameter) => parameter.name);
    const meant = new Set<string>();
    const open = location === 'header' || (operation.literal && location === 'query');
    const has = names.length === 0 ? `it has none` : `it has ${andList(names.slice(0, 10))}`;
    const unknown = open ? [] : Object.keys(given[location]).filter((name) => !names.includes(name));
    for (const [count, name] of unknown.entries()) {
      const near = count < MAX_COMPARED ? suggest(name, names) : null;
      if (near !== null) meant.add(near);
      problems.error(
        pointerTo(`${pointer}/${fields[location]}`, name),
        'unknown-parameter',
        `${operation.id} has no ${location} parameter ${quoted(name)}`,
        near === null ? has : `did you mean ${near}?`,
        'key',
      );
    }
    for (const { name, required, default: fallback } of known) {
      const isGiven = Object.keys(given[location]).some((key) => same(key, name));
      if (!required || fallback !== undefined || isGiven || meant.has(name)) continue;
      problems.error(
        `${pointer}/${fields[location]}`,
        'missing-parameter',
        `${operation.id} needs the ${location} parameter ${quoted(name)}`,
      );
    }
  }
  const hasBody = written.body !== undefined || written.body_template !== undefined;
  if (hasBody && operation.body === null && !operation.literal) {
    const field = written.body === undefined ? 'body_template' : 'body';
    problems.error(`${pointer}/${field}`, 'unexpected-body', `${operation.id} takes no body`);
  }
  if (!hasBody && operation.body?.required === true)
    problems.error(`${pointer}/name`, 'missing-body', `${operation.id} needs a body`);
}

function extractOf(written: WrittenStep, pointer: string, problems: Problems): Map<string, Query> {
  const extract = new Map<string, Query>();
  for (const [variable, path] of Object.entries(written.extract ?? {})) {
    const at = pointerTo(`${pointer}/extract`, variable);
    if (variable === 'status')
      problems.error(at, 'reserved-name', 'status is the HTTP status of the step', 'choose another name');
    if (variable === 'truncated' && written.paginate !== undefined)
      problems.error(at, 'reserved-name', 'truncated says whether pages are missing', 'choose another name');
    const query = problems.attempt(at, 'bad-jsonpath', () => compileQuery(path));
    if (query !== null) extract.set(variable, query);
  }
  return extract;
}

/** A default is for a variable that the step extracts. */
function checkDefaults(
  { name, extract = {}, defaults = {} }: WrittenStep,
  pointer: string,
  problems: Problems,
): void {
  for (const variable of Object.keys(defaults)) {
    if (Object.hasOwn(extract, variable)) continue;
    const at = pointerTo(`${pointer}/defaults`, variable);
    const hint = (): string | null => {
      const near = suggest(variable, Object.keys(extract));
      return near === null ? null : `did you mean ${near}?`;
    };
    const message = `step ${quoted(name)} extracts no ${quoted(variable)}`;
    problems.error(at, 'unknown-variable', message, hint, 'key');
  }
}
