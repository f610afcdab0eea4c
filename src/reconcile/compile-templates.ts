/**
 * The templates of a workflow. What they refer to must exist: an earlier step, a variable that it extracts, an argument
 * of the tool.
 */
import { inspectTemplate, type TemplateKind } from '../execute/template-inspect.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList, quoted } from '../manifest/words.ts';
import type { Blame, Json, Template } from '../snapshot/snapshot.ts';
import type { Problems } from './problems.ts';

type Spec = Manifest<'ToolWorkflow'>['spec'];
type WrittenStep = Spec['steps'][number];

/** What the templates of one step, or of the output, refer to. */
export interface Needs {
  /** Names of steps. */
  readonly steps: ReadonlySet<string>;
}

/** The templates of one step; null: it has none there, or one that has problems. */
export interface StepTemplates {
  readonly needs: Needs;
  readonly when: Template | null;
  readonly list: Template | null;
  readonly path_params: Readonly<Record<string, Template>>;
  readonly query: Readonly<Record<string, Template>>;
  readonly headers: Readonly<Record<string, Template>>;
  readonly body: Template | null;
}

/** Where a template stands, and what it may refer to. */
interface Site {
  readonly pointer: string;
  readonly value: unknown;
  readonly kind: TemplateKind;
  /** How it calls the element of `for_each`, null: there is none; and whose that is. */
  readonly item: string | null;
  readonly item_blame?: Blame | undefined;
  /** The steps before this index have run when the template is rendered. */
  readonly until: number;
}

/** A template, and the paths that it refers to. */
interface Compiled {
  readonly template: Template | null;
  readonly paths: readonly (readonly string[])[];
}

const NONE: Compiled = { template: null, paths: [] };

/** Compiles every template of a workflow, and tells every problem of each at its own place. Yields after each. */
export function* compileTemplates(
  spec: Spec,
  problems: Problems,
): Generator<void, { readonly steps: readonly StepTemplates[]; readonly output: Template | null }> {
  const steps: StepTemplates[] = [];
  for (const [until, step] of spec.steps.entries())
    steps.push(yield* compileStep(spec, step, until, problems));
  const [value, until] = [spec.output, spec.steps.length];
  const site: Site = { pointer: '/spec/output', value, kind: 'structure', item: null, until };
  const output = yield* compileSite(spec, site, problems);
  return { steps, output: output.template };
}

function* compileStep(
  spec: Spec,
  step: WrittenStep,
  until: number,
  problems: Problems,
): Generator<void, StepTemplates> {
  const pointer = `/spec/steps/${until}`;
  checkItemName(step, pointer, problems);
  const item = itemOf(step);
  const read: Compiled[] = [];
  let item_blame: Blame | undefined;
  const at = function* (field: string, value: unknown, kind: TemplateKind, name = item) {
    const site: Site = { pointer: `${pointer}/${field}`, value, kind, item: name, item_blame, until };
    const compiled = yield* compileSite(spec, site, problems);
    read.push(compiled);
    return compiled;
  };
  const named = function* (field: 'path_params' | 'query' | 'headers') {
    const templates: Record<string, Template> = Object.create(null);
    for (const [name, value] of Object.entries(step[field] ?? {})) {
      const { template } = yield* at(pointerTo(field, name), value, 'structure');
      if (template !== null) templates[name] = template;
    }
    return templates;
  };
  // Both are asked before there is an element.
  const listed = step.for_each?.in;
  const list = yield* at(
    'for_each/in',
    listed,
    typeof listed === 'string' ? 'expression' : 'structure',
    null,
  );
  item_blame = list.template?.blame;
  const when = yield* at('when', step.when, 'condition', null);
  const path_params = yield* named('path_params');
  const query = yield* named('query');
  const headers = yield* named('headers');
  const body =
    step.body === undefined
      ? yield* at('body_template', step.body_template, 'text')
      : yield* at('body', step.body, 'structure');
  const paths = read.flatMap((one) => one.paths);
  const needs: Needs = {
    steps: new Set(paths.flatMap(([root, name]) => (root === 'steps' && name !== undefined ? [name] : []))),
  };
  return {
    needs,
    ...{ when: when.template, list: list.template, path_params, query, headers },
    body: body.template,
  };
}

/** How the templates of a step call the element; null: there is none. */
function itemOf({ for_each }: WrittenStep): string | null {
  return for_each === undefined ? null : (for_each.as ?? 'item');
}

/** A name that templates know already would mean two things. */
function checkItemName({ for_each }: WrittenStep, pointer: string, problems: Problems): void {
  const name = for_each?.as;
  if (name === undefined || !['input', 'steps', 'this'].includes(name)) return;
  const message = `${name} already has a meaning in templates`;
  problems.error(`${pointer}/for_each/as`, 'reserved-name', message, 'choose another name');
}

function* compileSite(
  spec: Spec,
  { pointer, value, kind, item, item_blame, until }: Site,
  problems: Problems,
): Generator<void, Compiled> {
  if (value === undefined) return NONE;
  const {
    template,
    references,
    problems: faults,
  } = inspectTemplate(value as Json, kind, {
    item,
    ...(item_blame !== undefined && { item_blame }),
  });
  for (const fault of faults) problems.error(pointer + fault.pointer, 'bad-template', fault.message);
  for (const { path, pointer: at } of references) {
    const [root, ...rest] = path;
    if (root === item) continue;
    if (root === 'steps') checkStep(spec, until, rest, pointer + at, problems);
    else if (root === 'input') checkInput(spec, rest, pointer + at, problems);
  }
  yield;
  return { template, paths: references.map(({ path }) => path) };
}

function checkStep(
  spec: Spec,
  until: number,
  [name, variable]: readonly string[],
  pointer: string,
  problems: Problems,
): void {
  const earlier = spec.steps.slice(0, until);
  const step = earlier.find((one) => one.name === name);
  if (name === undefined) {
    problems.error(pointer, 'unknown-step', 'a template names a step: steps.<name>.<variable>');
  } else if (step === undefined) {
    const later = spec.steps.some((one) => one.name === name);
    const message = later
      ? `step ${quoted(name)} has not run yet when this is rendered`
      : `there is no step ${quoted(name)}`;
    const names = earlier.map((one) => one.name);
    problems.error(pointer, 'unknown-step', message, later ? null : () => meant(name, names));
  } else if (variable !== undefined && !namesOf(step).includes(variable)) {
    const names = namesOf(step);
    const all = names.length === 1 ? 'only its status can be read' : `its variables are ${andList(names)}`;
    const message = `step ${quoted(name)} extracts no ${quoted(variable)}`;
    problems.error(pointer, 'unknown-variable', message, () => meant(variable, names) ?? all);
  }
}

function namesOf({ extract = {}, paginate }: WrittenStep): string[] {
  return ['status', ...(paginate === undefined ? [] : ['truncated']), ...Object.keys(extract)];
}

/** Known only where the schema lists all arguments; one that composes schemas may allow others. */
function checkInput(spec: Spec, [name]: readonly string[], pointer: string, problems: Problems): void {
  const schema = (spec.input_schema ?? { additionalProperties: false }) as Readonly<Record<string, unknown>>;
  const composed = ['$ref', 'allOf', 'anyOf', 'oneOf', 'if', 'patternProperties'].some((keyword) =>
    Object.hasOwn(schema, keyword),
  );
  const properties = schema.properties ?? {};
  if (name === undefined || composed || typeof properties !== 'object' || properties === null) return;
  if (Object.hasOwn(properties, name)) return;
  if (schema.additionalProperties === false) {
    const message = `input_schema allows no argument ${quoted(name)}`;
    const hint = () => meant(name, Object.keys(properties)) ?? 'name it in input_schema.properties';
    problems.error(pointer, 'unknown-argument', message, hint);
    return;
  }
  // Others may be allowed: only what resembles a name is worth a warning.
  const names = Object.keys(properties);
  const near = names.length > MAX_NAMES ? null : meant(name, names);
  if (near !== null)
    problems.warn(pointer, 'unknown-argument', `input_schema does not name ${quoted(name)}`, near);
}

/** Names of arguments that each unknown one is compared with. */
const MAX_NAMES = 100;

function meant(word: string, names: readonly string[]): string | null {
  const near = suggest(word, names);
  return near === null ? null : `did you mean ${near}?`;
}
