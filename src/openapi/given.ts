/** What is given for an operation, held against what the operation takes: names alone, whatever the values. */
import type { Operation, Parameter, ParameterLocation } from './operation.ts';
import { isNothing } from './value.ts';

export interface Given {
  readonly path?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly cookies?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

export interface GivenProblem {
  readonly in: ParameterLocation | 'body';
  /** Of the parameter; `body` for the body. */
  readonly name: string;
  readonly message: string;
}

export interface GivenOptions {
  /** Headers that the document does not describe may be given too: their names are the configuration's. */
  readonly extra_headers?: boolean;
}

const GROUPS = { path: 'path', query: 'query', header: 'headers', cookie: 'cookies' } as const;
const LOCATIONS = Object.keys(GROUPS) as ParameterLocation[];

/** Negotiated between any client and server, which is why OpenAPI has a document say nothing of them. */
const ALWAYS_TAKEN: ReadonlySet<string> = new Set(['accept', 'content-type']);

/** Names in a message; the rest is counted. */
const MAX_LISTED = 20;

/**
 * Parameters that do not exist, and required ones that are missing. Only names and presence count, so that a
 * step's templates can be checked long before they have values.
 */
export function givenProblems(
  operation: Operation,
  given: Given,
  options: GivenOptions = {},
): readonly GivenProblem[] {
  const problems = LOCATIONS.flatMap((place) => {
    const known = operation.parameters.filter((parameter) => parameter.in === place);
    const present = [...givenIn(given, place).keys()];
    const open = isOpen(operation, place, options);
    return [
      ...unknownOnes(operation, place, known, open ? [] : present),
      ...missingOnes(operation, known, present),
    ];
  });
  const missing = operation.body?.required === true && given.body === undefined;
  const unexpected = operation.body === null && !isNothing(given.body);
  if (!missing && !unexpected) return problems;
  const message = `${operation.id} ${missing ? 'needs a body' : 'takes no body'}`;
  return [...problems, { in: 'body', name: 'body', message }];
}

/** The values that are given in one place, by name; a header's name is in lower case. */
export function givenIn(given: Given, place: ParameterLocation): ReadonlyMap<string, unknown> {
  const values = new Map<string, unknown>();
  const group = given[GROUPS[place]] ?? {};
  for (const name of Object.keys(group)) {
    const value = group[name];
    if (!isNothing(value)) values.set(place === 'header' ? name.toLowerCase() : name, value);
  }
  return values;
}

/** Whether any name may be given in this place. */
function isOpen(operation: Operation, place: ParameterLocation, options: GivenOptions): boolean {
  if (place === 'path') return false;
  return operation.literal || (place === 'header' && options.extra_headers === true);
}

function unknownOnes(
  operation: Operation,
  place: ParameterLocation,
  known: readonly Parameter[],
  given: readonly string[],
): GivenProblem[] {
  const names = new Set(known.map((parameter) => parameter.name));
  const unknown = given.filter((name) => !names.has(name) && !(place === 'header' && ALWAYS_TAKEN.has(name)));
  if (unknown.length === 0) return [];
  const listed = [...names].slice(0, MAX_LISTED).join(', ');
  const more = names.size > MAX_LISTED ? ` and ${names.size - MAX_LISTED} more` : '';
  const has = names.size === 0 ? 'it has none' : `it has ${listed}${more}`;
  return unknown.map((name) => ({
    in: place,
    name,
    message: `${operation.id} has no ${place} parameter ${JSON.stringify(name)}; ${has}`,
  }));
}

function missingOnes(
  operation: Operation,
  known: readonly Parameter[],
  given: readonly string[],
): GivenProblem[] {
  const present = new Set(given);
  return known
    .filter(({ name, required, default: initial }) => required && isNothing(initial) && !present.has(name))
    .map(({ name, in: place }) => ({
      in: place,
      name,
      message: `${operation.id} needs the ${place} parameter ${JSON.stringify(name)}`,
    }));
}
