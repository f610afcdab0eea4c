/** Parameters as a caller of the explorer gives them: by their names, or in groups by place. */
import type { Given } from './given.ts';
import { inputProperties } from './input-schema.ts';
import type { Operation, ParameterLocation } from './operation.ts';
import { isObject } from './reference.ts';
import { isNothing } from './value.ts';

export interface Placed {
  readonly given: Given;
  /** Names that are neither a parameter nor a group. */
  readonly unknown: readonly string[];
}

const PLACES: readonly ParameterLocation[] = ['path', 'query', 'header', 'cookie'];

/**
 * Where each of `parameters` belongs. A name is that of an input property of the operation (`query_id` where two
 * parameters are called `id`; `body` for the body), a header's in any case; `path`, `query`, `header` and `cookie`
 * hold groups. Both may be mixed, and a group wins over a name that stands beside it.
 */
export function placeParameters(operation: Operation, parameters: Readonly<Record<string, unknown>>): Placed {
  const properties = inputProperties(operation);
  const groups: Record<ParameterLocation, Record<string, unknown>> = {
    path: Object.create(null),
    query: Object.create(null),
    header: Object.create(null),
    cookie: Object.create(null),
  };
  const unknown: string[] = [];
  let body: unknown;
  for (const name of Object.keys(parameters)) {
    const value = parameters[name];
    if (isGroup(operation, name, value)) continue;
    const property = properties.find((one) => isNamed(name, one.name, one.parameter?.in));
    if (property?.parameter) groups[property.parameter.in][property.parameter.name] = value;
    else if (name === 'body') body = value;
    else if (!isNothing(value)) unknown.push(name);
  }
  for (const place of PLACES) {
    const group = parameters[place];
    if (isGroup(operation, place, group)) Object.assign(groups[place], group);
  }
  const { path, query, header, cookie } = groups;
  return { given: { path, query, headers: header, cookies: cookie, body }, unknown };
}

/** An object is the group of its place, unless a parameter has that name and the group would hold other names. */
function isGroup(operation: Operation, name: string, value: unknown): value is Record<string, unknown> {
  const place = PLACES.find((one) => one === name);
  if (place === undefined || !isObject(value)) return false;
  if (!operation.parameters.some((parameter) => parameter.name === name)) return true;
  const names = operation.parameters.filter((parameter) => parameter.in === place).map((one) => one.name);
  return Object.keys(value).every((key) => names.includes(place === 'header' ? key.toLowerCase() : key));
}

function isNamed(given: string, name: string, place: ParameterLocation | undefined): boolean {
  return given === name || (place === 'header' && given.toLowerCase() === name);
}
