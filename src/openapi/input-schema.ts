/**
 * The JSON Schema of what an operation takes, for tools that are made of it. It is made when somebody asks, from
 * the document, which an index does not keep.
 */
import { bareType } from './media-type.ts';
import type { Operation, Parameter } from './operation.ts';
import { operationAt, parametersOf, readPathItem } from './path-item.ts';
import { follow, isObject, type JsonObject, type Located, member, pointerTo, textOf } from './reference.ts';
import { createInliner, type Inliner, type SchemaLimits } from './schema.ts';
import type { Schema } from './schema-keywords.ts';
import { isNothing } from './value.ts';

/** A property of the input, and what it stands for. */
export interface InputProperty {
  /** The parameter's name; `query_id` and its like where two parameters, or one and the body, have the same. */
  readonly name: string;
  /** null: the body. */
  readonly parameter: Parameter | null;
}

export const INPUT_LIMITS: SchemaLimits = { recursion: 2, depth: 16, bytes: 64 * 1024 };

/** The properties of an operation's input, in the order of its parameters; the body is the last. */
export function inputProperties({ parameters, body }: Operation): readonly InputProperty[] {
  const uses = new Map<string, number>(body === null ? [] : [['body', 1]]);
  for (const { name } of parameters) uses.set(name, (uses.get(name) ?? 0) + 1);
  const taken = new Set(uses.keys());
  const properties: InputProperty[] = parameters.map((parameter) => {
    if (uses.get(parameter.name) === 1) return { name: parameter.name, parameter };
    let name = `${parameter.in}_${parameter.name}`;
    while (taken.has(name)) name += '_';
    taken.add(name);
    return { name, parameter };
  });
  return body === null ? properties : [...properties, { name: 'body', parameter: null }];
}

/** Properties that are listed; an operation with more takes others too. */
const MAX_PROPERTIES = 500;

/**
 * The schema of an operation of `document`, which must be the value that the operation was indexed from: an object
 * of {@link inputProperties}, and of the body in the media type that the gateway prefers. References are written
 * out, at most `recursion` times within themselves, and the whole keeps about to its limit of bytes; what is beyond
 * is not restricted.
 */
export function inputSchema(
  document: unknown,
  operation: Operation,
  limits: SchemaLimits = INPUT_LIMITS,
): Schema {
  const written = locate(document, operation);
  const inliner = createInliner(document, limits);
  const properties = inputProperties(operation);
  const listed = properties.slice(0, MAX_PROPERTIES);
  const schemas = listed.map(({ name, parameter }): [string, Schema] => [
    name,
    parameter === null
      ? bodySchema(inliner, operation, written)
      : parameterSchema(inliner, parameter, written),
  ]);
  inliner.fill();
  const required = listed.filter((property) => isRequired(operation, property)).map(({ name }) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(schemas),
    ...(required.length > 0 && { required }),
    ...(listed.length === properties.length && { additionalProperties: false }),
  };
}

function isRequired({ body }: Operation, { parameter }: InputProperty): boolean {
  if (parameter === null) return body?.required === true;
  return parameter.required && isNothing(parameter.default);
}

/** What of an operation is written in the document; nothing, for one that is from none. */
interface Written {
  readonly parameters: readonly Located<JsonObject>[];
  readonly body: Located<JsonObject> | null;
}

function locate(document: unknown, { pointer }: Operation): Written {
  const [path = '', key = ''] = (pointer ?? '')
    .split('/')
    .slice(2)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  const item = pointer === null ? undefined : member(member(document, 'paths'), path);
  if (item === undefined) return { parameters: [], body: null };
  const layers = readPathItem(document, { value: item, pointer: pointerTo('/paths', path) });
  const operation = operationAt(layers, key);
  const body = below(operation, 'requestBody');
  return {
    parameters: parametersOf(document, layers, operation, () => undefined),
    body: body === null ? null : follow(document, body),
  };
}

function parameterSchema(inliner: Inliner, parameter: Parameter, { parameters }: Written): Schema {
  const written = parameters.find(({ value }) => {
    const name = textOf(value, 'name') ?? '';
    return (
      value.in === parameter.in && (parameter.in === 'header' ? name.toLowerCase() : name) === parameter.name
    );
  });
  if (written === undefined) return { type: 'string' };
  const content = below(written, 'content');
  const described = content === null ? written : firstOf(content);
  const schema = described === null ? null : below(described, 'schema');
  return inliner.add(schema ?? ANYTHING, { description: textOf(written.value, 'description') });
}

function bodySchema(inliner: Inliner, { body: taken }: Operation, { body }: Written): Schema {
  const type = taken?.types[0];
  const content = body === null ? null : below(body, 'content');
  const key = Object.keys(content?.value ?? {}).find((one) => bareType(one) === type?.media_type);
  const described = content === null || key === undefined ? null : below(content, key);
  const schema = described === null ? null : below(described, 'schema');
  const files = type?.kind === 'multipart' || type?.kind === 'binary';
  return inliner.add(schema ?? ANYTHING, { description: textOf(body?.value, 'description'), files });
}

const ANYTHING: Located = { value: {}, pointer: '' };

function below({ value, pointer }: Located<JsonObject>, key: string): Located<JsonObject> | null {
  const child = member(value, key);
  return isObject(child) ? { value: child, pointer: pointerTo(pointer, key) } : null;
}

function firstOf(map: Located<JsonObject>): Located<JsonObject> | null {
  const [key] = Object.keys(map.value);
  return key === undefined ? null : below(map, key);
}
