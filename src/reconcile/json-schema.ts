/** JSON Schemas that manifests hold (`input_schema`, `output_schema`, `arguments`): compiled once for each text, whoever uses it. */
import { Ajv, type ErrorObject, MissingRefError, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { pointerTo } from '../manifest/position.ts';
import { suggest } from '../manifest/suggest.ts';
import { nounsOfType, orList, quoted } from '../manifest/words.ts';
import { findEndless } from './endless-schema.ts';
import { isPattern, isPlainSchema } from './plain-schema.ts';
import { Fault } from './problems.ts';

/** What is held against a schema: the arguments of a call, or the output of a workflow. */
export type Whole = 'arguments' | 'output';

export interface ArgumentsSchema {
  /**
   * The problems, each `pointer: message`, {@link MAX_PROBLEMS} at most; empty when the value fits. `of` is what the
   * whole value is called.
   */
  problems(value: unknown, of?: Whole): string[];
  fits(value: unknown): boolean;
}

const MAX_PROBLEMS = 20;
/** A larger one takes longer to compile than calls should wait; those that models are shown have a few thousand. */
const MAX_LENGTH = 65_536;
/** An instance keeps parts of all that it ever compiled, and making one takes as long as two schemas. */
const MAX_COMPILED = 100;

const OPTIONS = {
  allErrors: true,
  strict: true,
  strictRequired: false,
  strictTypes: false,
  strictTuples: false,
  allowUnionTypes: true,
  // The schema of schemas is asked by `checkShape`, once for all instances: each would compile it anew.
  validateSchema: false,
  // Ajv's optimiser takes longer than all else, to save nothing that a call would notice.
  code: { optimize: false },
} as const;

interface Dialect {
  readonly create: () => Ajv;
  readonly meta: string;
}

/** Those of both dialects. */
const FORMATS: ReadonlySet<string> = new Set(Object.keys(formats.default(new Ajv({ meta: false })).formats));

const DRAFT_07: Dialect = { create: () => new Ajv(OPTIONS), meta: 'http://json-schema.org/draft-07/schema' };
const DRAFT_2020: Dialect = {
  create: () => new Ajv2020(OPTIONS),
  meta: 'https://json-schema.org/draft/2020-12/schema',
};

/** By text, for as long as somebody uses them: a gateway that runs for years compiles more than it could keep. */
const cache = new Map<string, WeakRef<ArgumentsSchema>>();
const forgotten = new FinalizationRegistry<string>((text) => {
  if (cache.get(text)?.deref() === undefined) cache.delete(text);
});
const shapes = new Map<Dialect, ValidateFunction>();
const batches = new Map<Dialect, { readonly ajv: Ajv; left: number }>();

/** Throws {@link Fault}, which says what is wrong with the schema and where. */
export function compileSchema(schema: object): ArgumentsSchema {
  const text = JSON.stringify(schema);
  if (text.length > MAX_LENGTH)
    throw new Fault(`a schema may have ${MAX_LENGTH} characters as JSON, and this one has ${text.length}`);
  const known = cache.get(text)?.deref();
  if (known !== undefined) return known;
  const dialect = dialectOf(schema);
  checkShape(schema, dialect);
  checkEnds(schema);
  const compile = (): ValidateFunction => compileWith(instanceOf(dialect), schema);
  let validate = isPlainSchema(schema, FORMATS) ? null : compile();
  const fits = (value: unknown): boolean => {
    validate ??= compile();
    return validate(value) === true;
  };
  const compiled: ArgumentsSchema = {
    fits,
    problems: (value, of = 'arguments') =>
      fits(value) ? [] : (validate?.errors ?? []).slice(0, MAX_PROBLEMS).map((error) => describe(error, of)),
  };
  cache.set(text, new WeakRef(compiled));
  forgotten.register(compiled, text);
  return compiled;
}

function dialectOf({ $schema }: { readonly $schema?: unknown }): Dialect {
  if ($schema === undefined) return DRAFT_07;
  const named = [DRAFT_07, DRAFT_2020].find(
    ({ meta }) => typeof $schema === 'string' && $schema.replace(/#$/, '') === meta,
  );
  if (named !== undefined) return named;
  throw new Fault('this dialect of JSON Schema is not known', {
    pointer: '/$schema',
    hint: 'leave $schema out, or name draft-07 or 2020-12',
  });
}

function instanceOf(dialect: Dialect): Ajv {
  let batch = batches.get(dialect);
  if (batch === undefined || batch.left === 0) {
    batch = { ajv: formats.default(dialect.create()), left: MAX_COMPILED };
    batches.set(dialect, batch);
  }
  batch.left -= 1;
  return batch.ajv;
}

/** Holds a schema to the schema of schemas. */
function checkShape(schema: object, dialect: Dialect): void {
  let shape = shapes.get(dialect);
  if (shape === undefined) {
    shape = dialect.create().getSchema(dialect.meta)!;
    shapes.set(dialect, shape);
  }
  if (shape(schema)) return;
  // The first error is the innermost; those of the combinations around it follow.
  const { instancePath, keyword, params, message } = shape.errors![0]!;
  const path = instancePath === '' ? 'the schema' : quoted(instancePath.split('/').at(-1)!);
  const rule =
    keyword === 'enum'
      ? `must be one of ${orList(params.allowedValues)}`
      : keyword === 'type'
        ? `must be ${nounsOfType(params.type)}`
        : message;
  throw new Fault(`${path} ${rule}`, { pointer: instancePath });
}

function checkEnds(schema: object): void {
  const pointer = findEndless(schema);
  if (pointer === null) return;
  throw new Fault('the schema leads back to itself without an end', {
    pointer,
    hint: 'refer to it below properties or items, where the value ends it',
  });
}

function compileWith(ajv: Ajv, schema: object): ValidateFunction {
  try {
    return ajv.compile(schema);
  } catch (error) {
    throw explain(ajv, schema, error as Error);
  } finally {
    // Two schemas may have one $id, and none may refer to another.
    ajv.removeSchema(schema);
  }
}

/** Ajv says what it found, but mostly not where. */
function explain(ajv: Ajv, schema: object, error: Error): Fault {
  const keyword = /unknown keyword: "(.*)"/.exec(error.message)?.[1];
  if (keyword !== undefined) {
    const near = suggest(keyword, Object.keys(ajv.RULES.keywords));
    return new Fault(`JSON Schema has no keyword ${quoted(keyword)}`, {
      pointer: find(schema, (key) => key === keyword),
      hint: near === null ? 'remove it, or name it as an argument below properties' : `did you mean ${near}?`,
    });
  }
  const format = /unknown format "(.*)" ignored/.exec(error.message)?.[1];
  if (format !== undefined) {
    const near = suggest(format, Object.keys(ajv.formats));
    return new Fault(`there is no format ${quoted(format)}`, {
      pointer: find(schema, (key, value) => key === 'format' && value === format),
      hint: near === null ? null : `did you mean ${near}?`,
    });
  }
  if (error instanceof MissingRefError) {
    const isOther = !error.missingRef.startsWith('#');
    return new Fault(
      isOther
        ? 'a reference to another document is not followed'
        : `there is nothing at ${quoted(error.missingRef)}`,
      {
        pointer: find(schema, (key, value) => key === '$ref' && value === error.missingRef),
        hint: isOther ? 'copy it to definitions' : null,
      },
    );
  }
  if (error instanceof SyntaxError) {
    const isBad = (key: string, value: unknown): boolean => key === 'pattern' && !isPattern(value);
    return new Fault(`this is no regular expression: ${error.message.replace(/^.*: /, '')}`, {
      pointer: find(schema, isBad),
    });
  }
  return new Fault(error.message.replace(/^strict mode: /, ''));
}

/** Keywords below which the keys are names, not keywords. */
const NAMES = new Set([
  'properties',
  'patternProperties',
  'definitions',
  '$defs',
  'dependencies',
  'dependentSchemas',
  'dependentRequired',
]);

/** The JSON pointer of the first keyword that is meant, or the schema itself. */
function find(schema: object, isMeant: (key: string, value: unknown) => boolean): string {
  const search = (value: unknown, pointer: string, names: boolean): string | null => {
    if (typeof value !== 'object' || value === null) return null;
    for (const [key, child] of Object.entries(value)) {
      const below = pointerTo(pointer, key);
      if (!names && isMeant(key, child)) return below;
      const found = search(child, below, !names && NAMES.has(key));
      if (found !== null) return found;
    }
    return null;
  };
  return search(schema, '', false) ?? '';
}

/** Says what was expected; never the value, which may be a secret in the wrong place. */
function describe({ instancePath, message, keyword, params }: ErrorObject, of: Whole): string {
  const where = instancePath === '' ? of : instancePath;
  if (keyword === 'additionalProperties' && of === 'output')
    return `${where}: has a member that the schema does not allow`;
  if (keyword === 'additionalProperties')
    return `${where}: there is no argument ${JSON.stringify(params.additionalProperty)}`;
  if (keyword === 'required') return `${where}: ${params.missingProperty} is missing`;
  if (keyword === 'enum') return `${where}: must be one of ${JSON.stringify(params.allowedValues)}`;
  return `${where}: ${message ?? 'does not fit'}`;
}
