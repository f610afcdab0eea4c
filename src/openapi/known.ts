/** What is the same in all requests of an operation, sorted out with the first of them. */
import type { Operation, Parameter, ParameterLocation } from './operation.ts';
import { splitPath } from './path-template.ts';

export interface Known {
  readonly parameters: Readonly<Record<ParameterLocation, readonly Parameter[]>>;
  readonly names: Readonly<Record<ParameterLocation, ReadonlySet<string>>>;
  /** The path: even parts are encoded text, odd ones are names. */
  readonly path: readonly string[];
}

const LOCATIONS = ['path', 'query', 'header', 'cookie'] as const;

/** Operations are frozen and live as long as their snapshot. */
const operations = new WeakMap<Operation, Known>();

export function knownOf(operation: Operation): Known {
  const known = operations.get(operation) ?? sortOut(operation);
  operations.set(operation, known);
  return known;
}

function sortOut({ parameters, path }: Operation): Known {
  const byPlace = <T>(of: (found: readonly Parameter[]) => T) =>
    Object.fromEntries(
      LOCATIONS.map((place) => [place, of(parameters.filter((parameter) => parameter.in === place))]),
    ) as Record<ParameterLocation, T>;
  return {
    parameters: byPlace((found) => found),
    names: byPlace((found) => new Set(found.map(({ name }) => name))),
    path: splitPath(path),
  };
}
