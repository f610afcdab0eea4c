/** Holds documents to the JSON Schema of their kind. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { explain, type Violation } from './explain.ts';
import { type JsonSchema, type Kind, readSchema } from './kind.ts';

/** The parts of TokenIssuer that a file may hold instead of the manifest. */
export type KeySetSchema = 'Jwks' | 'EnvelopeJwks';

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  verbose: true,
});
const compiled = new Map<string, ValidateFunction>();

/** What is wrong with a manifest whose `kind` is known; empty when nothing is. */
export function validateManifest(kind: Kind, document: unknown): Violation[] {
  return check(kind, () => readSchema(kind), document);
}

/** What is wrong with a key set that is a file of its own. */
export function validateKeySet(schema: KeySetSchema, document: unknown): Violation[] {
  const build = (): JsonSchema => {
    const { definitions } = readSchema('TokenIssuer');
    return { $ref: `#/definitions/${schema}`, definitions: definitions ?? {} };
  };
  return check(schema, build, document);
}

/** What is wrong with a GatewayTest document. */
export function validateTest(document: unknown): Violation[] {
  return check('GatewayTest', () => readSchema('GatewayTest'), document);
}

/** Schemas are compiled when they are first needed, and once. */
function check(name: string, build: () => JsonSchema, document: unknown): Violation[] {
  let validate = compiled.get(name);
  if (validate === undefined) {
    validate = ajv.compile(build());
    compiled.set(name, validate);
  }
  return validate(document) ? [] : explain(validate.errors as ErrorObject[]);
}
