/**
 * The JSON Schema of what an operation takes, for tools that are made of it. It is made when somebody asks, from
 * the document, which an index does not keep.
 */
import { isJson } from './media-type.ts';
import type { Operation, Parameter } from './operation.ts';
import { fieldOf, parametersOf, readPathItem } from './path-item.ts';
import {
  follow,
  isObject,
  type JsonObject,
  type Located,
  Malformed,
  member,
  pointerTo,
  textOf,
} from './reference.ts';
import { createInliner, type Inliner, type Schema, type SchemaLimits } from './schema.ts';

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

/**
 * The schema of an operation of `document`, which must be the value that the operation was indexed from: an object
 * of {@link inputProperties}. References are written out, at most `recursion` times within themselves, and the
 * whole keeps about to its limit of bytes; what is beyond is not restricted.
 */
export function inputSchema(
  document: unknown,
  operation: Operation,
  limits: SchemaLimits = INPUT_LIMITS,
): Schema {
  const written = locate(document, operation);
  const inliner = createInliner(document, limits);
  const properties: [string, Schema][] = [];
  const required: string[] = [];
  for (const { name, parameter } of inputProperties(operation)) {
    const isRequired =
      parameter === null ? operation.body?.required === true : parameter.required && parameter.default === undefined;
    if (isRequired) required.push(name);
    properties.push([name, propertySchema(inliner, written, operation, parameter)]);
  }
  inliner.fill();
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}

/** An operation where it is written; nothing of one that is from no document. */
interface Written {
  readonly document: unknown;
  readonly parameters: readonly Located<JsonObject>[];
  readonly body: Located<JsonObject> | null;
}

function locate(document: unknown, { pointer }: Operation): Written {
  const nothing: Written = { document, parameters: [], body: null };
  const [path, key] = (pointer ?? '')
    .split('/')
    .slice(2)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (path === undefined || key === undefined) return nothing;
  const paths = member(document, 'paths');
  const item = readPathItem(document, { value: member(paths, path), pointer: pointerTo('/paths', path) });
  const field = fieldOf(item, key);
  if (field === null) return nothing;
  const operation = follow(document, field);
  const body = member(operation.value, 'requestBody');
  return {
    document,
    parameters: parametersOf(document, item, operation, () => undefined),
    body:
      body === undefined
        ? null
        : follow(document, { value: body, pointer: pointerTo(operation.pointer, 'requestBody') }),
  };
}
