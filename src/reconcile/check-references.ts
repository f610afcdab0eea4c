/** What templates refer to must exist: an earlier step, a variable that it extracts, an argument of the tool. */
import { inspectTemplate, type TemplateKind } from '../execute/template-inspect.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList, quoted } from '../manifest/words.ts';
import type { Json, Template } from '../snapshot/snapshot.ts';
import type { Problems } from './problems.ts';

type Spec = Manifest<'ToolWorkflow'>['spec'];

/** Where a template stands in its workflow. */
export interface TemplatePlace {
  readonly spec: Spec;
  /** The steps before this index have run when it is rendered. */
  readonly until: number;
  readonly pointer: string;
}

/** A template of a workflow; null: it has problems, each told at its own place. */
export function compileReferring(
  value: Json,
  kind: TemplateKind,
  { spec, until, pointer }: TemplatePlace,
  problems: Problems,
): Template | null {
  const { template, references, problems: faults } = inspectTemplate(value, kind);
  for (const fault of faults) problems.error(pointer + fault.pointer, 'bad-template', fault.message);
  for (const { path, pointer: at } of references) {
    const [root, ...rest] = path;
    if (root === 'steps') checkStep(spec, until, rest, pointer + at, problems);
    else if (root === 'input') checkInput(spec, rest, pointer + at, problems);
    else if (root === 'item' && spec.steps[until]?.for_each === undefined)
      problems.error(pointer + at, 'unknown-variable', 'item exists only in a step with for_each');
  }
  return template;
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
  } else if (
    variable !== undefined &&
    variable !== 'status' &&
    !Object.hasOwn(step.extract ?? {}, variable)
  ) {
    const names = ['status', ...Object.keys(step.extract ?? {})];
    const near = suggest(variable, names);
    const all = names.length === 1 ? 'only its status can be read' : `its variables are ${andList(names)}`;
    const hint = near === null ? all : `did you mean ${near}?`;
    problems.error(pointer, 'unknown-variable', `step ${quoted(name)} extracts no ${quoted(variable)}`, hint);
  }
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
