/** The value that a parameter has in one request. */
import { GatewayError } from '../errors.ts';
import { knownOf } from './known.ts';
import { isJson } from './media-type.ts';
import type { Operation, Parameter, ParameterLocation } from './operation.ts';
import { isNothing, jsonText, plainText, type Refuse, type Shape, shapeOf } from './value.ts';

/** The key of an error's details that names a parameter. */
const DETAIL = {
  path: 'path_parameter',
  query: 'query_parameter',
  header: 'header',
  cookie: 'cookie',
  body: 'field',
} as const;

/** An INVALID_ARGUMENTS error about one parameter. */
export function parameterError(place: keyof typeof DETAIL, name: string, message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message, { details: { [DETAIL[place]]: name } });
}

/** The errors of the value of one parameter. */
export function refusal(place: ParameterLocation, name: string): Refuse {
  return (why) => parameterError(place, name, `${place} parameter ${JSON.stringify(name)} ${why}`);
}

/** What is given, or the default that the document has for a required parameter. */
export function valueFor(parameter: Parameter, values: ReadonlyMap<string, unknown>): unknown {
  return values.get(parameter.name) ?? (parameter.required ? parameter.default : undefined);
}

/** The value of a parameter in a path or header; null: there is none. */
export function shapeFor(parameter: Parameter, value: unknown, refuse: Refuse): Shape | null {
  checkKind(parameter, value, refuse);
  if (parameter.content === null || isNothing(value)) return shapeOf(value, refuse);
  return { kind: 'text', text: contentText(parameter.content, value, refuse) };
}

/** An object is written under the names of its members: where the document has none, they would be names of the caller's. */
export function checkKind({ takes_object }: Parameter, value: unknown, refuse: Refuse): void {
  if (!takes_object && typeof value === 'object' && value !== null && !Array.isArray(value))
    throw refuse('is an object, and the document says that it is none');
}

/** The value of a parameter that the document describes by a media type. */
export function contentText(mediaType: string, value: unknown, refuse: Refuse): string {
  return isJson(mediaType) ? jsonText(value, refuse) : plainText(value, refuse);
}

/**
 * The parameters of one place that have to do with a request: those of the operation, then what is given beside
 * them, in the default style.
 */
export function parametersIn(
  operation: Operation,
  place: 'query' | 'header' | 'cookie',
  values: ReadonlyMap<string, unknown>,
): readonly Parameter[] {
  const { parameters, names } = knownOf(operation);
  const known = parameters[place];
  if (values.size === 0) return known;
  const others = [...values.keys()].filter((name) => !names[place].has(name));
  return others.length === 0 ? known : [...known, ...others.map((name) => undescribed(place, name))];
}

/** A parameter of which the document says nothing. */
export function undescribed(place: ParameterLocation, name: string): Parameter {
  const isForm = place === 'query' || place === 'cookie';
  return Object.freeze({
    name,
    in: place,
    required: place === 'path',
    style: isForm ? 'form' : 'simple',
    explode: isForm,
    allow_reserved: false,
    content: null,
    takes_object: true,
    default: undefined,
  });
}
