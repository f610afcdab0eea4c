/** What templates refer to must exist: an earlier step, a variable that it extracts, an argument of the tool. */
import { inspectTemplate, type TemplateKind } from '../execute/template-inspect.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList, quoted } from '../manifest/words.ts';
import type { Json } from '../snapshot/snapshot.ts';
import type { Problems } from './problems.ts';

type Spec = Manifest<'ToolWorkflow'>['spec'];
type WrittenStep = Spec['steps'][number];

/** What the templates of one step, or of the output, refer to. */
export interface Needs {
  /** Names of steps. */
  readonly steps: ReadonlySet<string>;
  /** The roots that the list of `for_each` is made of. */
  readonly list_roots: ReadonlySet<string>;
}

/** Where a template stands, and what it may refer to. */
interface Site {
  readonly pointer: string;
  readonly value: Json;
  readonly kind: TemplateKind;
  /** How it calls the element of `for_each`; null: there is none. */
  readonly item: string | null;
  /** The steps before this index have run when the template is rendered. */
  readonly until: number;
}

/** Tells every problem of every template of a workflow, each at its own place. Gives what each step needs. */
export function checkReferences(spec: Spec, problems: Problems): readonly Needs[] {
  const needs = spec.steps.map((step, until): Needs => {
    checkItemName(step, `/spec/steps/${until}`, problems);
    const roots = (sites: readonly Site[]) => sites.flatMap((site) => check(spec, site, problems));
    const list = roots(listSites(step, until));
    const all = [...list, ...roots(stepSites(step, until))];
    return {
      steps: new Set(all.flatMap(([root, name]) => (root === 'steps' && name !== undefined ? [name] : []))),
      list_roots: new Set(list.map(([root]) => root!)),
    };
  });
  if (spec.output !== undefined) {
    const value = spec.output as Json;
    const until = spec.steps.length;
    check(spec, { pointer: '/spec/output', value, kind: 'structure', item: null, until }, problems);
  }
  return needs;
}

function listSites({ for_each }: WrittenStep, until: number): Site[] {
  if (for_each === undefined) return [];
  const value = for_each.in as Json;
  const kind = typeof value === 'string' ? 'expression' : 'structure';
  return [{ pointer: `/spec/steps/${until}/for_each/in`, value, kind, item: null, until }];
}

function stepSites(step: WrittenStep, until: number): Site[] {
  const pointer = `/spec/steps/${until}`;
  const item = step.for_each === undefined ? null : (step.for_each.as ?? 'item');
  const sites: Site[] = [];
  if (step.when !== undefined)
    sites.push({ pointer: `${pointer}/when`, value: step.when, kind: 'condition', item: null, until });
  for (const field of ['path_params', 'query', 'headers', 'body'] as const) {
    const value = step[field] as Json | undefined;
    if (value !== undefined)
      sites.push({ pointer: `${pointer}/${field}`, value, kind: 'structure', item, until });
  }
  if (step.body_template !== undefined)
    sites.push({ pointer: `${pointer}/body_template`, value: step.body_template, kind: 'text', item, until });
  return sites;
}

/** A name that templates know already would mean two things. */
function checkItemName({ for_each }: WrittenStep, pointer: string, problems: Problems): void {
  const name = for_each?.as;
  if (name === undefined || !['input', 'steps', 'this'].includes(name)) return;
  const message = `${name} already has a meaning in templates`;
  problems.error(`${pointer}/for_each/as`, 'reserved-name', message, 'choose another name');
}

/** The paths that the template refers to. */
function check(
  spec: Spec,
  { pointer, value, kind, item, until }: Site,
  problems: Problems,
): (readonly string[])[] {
  const { references, problems: faults } = inspectTemplate(value, kind, { item });
  for (const fault of faults) problems.error(pointer + fault.pointer, 'bad-template', fault.message);
  for (const { path, pointer: at } of references) {
    const [root, ...rest] = path;
    if (root === item) continue;
    if (root === 'steps') checkStep(spec, until, rest, pointer + at, problems);
    else if (root === 'input') checkInput(spec, rest, pointer + at, problems);
  }
  return references.map(({ path }) => path);
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
    const near = suggest(
      name,
      earlier.map((one) => one.name),
    );
    const message = later
      ? `step ${quoted(name)} has not run yet when this is rendered`
      : `there is no step ${quoted(name)}`;
    problems.error(pointer, 'unknown-step', message, later || near === null ? null : `did you mean ${near}?`);
  } else if (variable !== undefined && !namesOf(step).includes(variable)) {
    const names = namesOf(step);
    const near = suggest(variable, names);
    const all = names.length === 1 ? 'only its status can be read' : `its variables are ${andList(names)}`;
    const hint = near === null ? all : `did you mean ${near}?`;
    problems.error(pointer, 'unknown-variable', `step ${quoted(name)} extracts no ${quoted(variable)}`, hint);
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
  const names = Object.keys(properties);
  const near = suggest(name, names);
  if (schema.additionalProperties === false) {
    const hint = near === null ? 'name it in input_schema.properties' : `did you mean ${near}?`;
    problems.error(pointer, 'unknown-argument', `input_schema allows no argument ${quoted(name)}`, hint);
  } else if (near !== null) {
    problems.warn(
      pointer,
      'unknown-argument',
      `input_schema does not name ${quoted(name)}`,
      `did you mean ${near}?`,
    );
  }
}
