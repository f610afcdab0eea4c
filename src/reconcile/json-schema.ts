/** JSON Schemas that manifests hold (`input_schema`, `arguments`): compiled once for each text, whoever uses it. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

export interface ArgumentsSchema {
  /** The problems, each `pointer: message`, {@link MAX_PROBLEMS} at most; empty when the value fits. */
  problems(value: unknown): string[];
  fits(value: unknown): boolean;
}

const MAX_PROBLEMS = 20;
/** Compiled schemas that are kept; a snapshot keeps its own whatever happens here. */
const MAX_CACHED = 20_000;

const OPTIONS = {
  allErrors: true,
  strict: true,
  strictRequired: false,
  strictTypes: false,
  allowUnionTypes: true,
  addUsedSchema: false,
} as const;
const cache = new Map<string, ArgumentsSchema>();

/** Throws an Error that says what is wrong with the schema. References to other documents are refused. */
export function compileSchema(schema: object): ArgumentsSchema {
  const text = JSON.stringify(schema);
  const known = cache.get(text);
  if (known !== undefined) return known;
  const { $schema } = schema as { $schema?: unknown };
  const draft2020 = typeof $schema === 'string' && $schema.includes('2020-12');
  // One instance a schema: an instance keeps all that it ever compiled, and two schemas may have one $id.
  const ajv = formats.default(draft2020 ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS));
  let validate: ValidateFunction;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new Error(
      `is no JSON Schema that can be used: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const compiled: ArgumentsSchema = {
    fits: (value) => validate(value) === true,
    problems: (value) =>
      validate(value) === true ? [] : (validate.errors ?? []).slice(0, MAX_PROBLEMS).map(describe),
  };
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!);
  cache.set(text, compiled);
  return compiled;
}

/** Says what was expected; never the value, which may be a secret in the wrong place. */
function describe({ instancePath, message, keyword, params }: ErrorObject): string {
  const where = instancePath === '' ? 'arguments' : instancePath;
  if (keyword === 'additionalProperties')
    return `${where}: there is no argument ${JSON.stringify(params.additionalProperty)}`;
  if (keyword === 'required') return `${where}: ${params.missingProperty} is missing`;
  if (keyword === 'enum') return `${where}: must be one of ${JSON.stringify(params.allowedValues)}`;
  return `${where}: ${message ?? 'does not fit'}`;
}
