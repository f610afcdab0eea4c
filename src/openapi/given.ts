/** What is given for an operation, held against what the operation takes: names alone, whatever the values. */
import { knownOf } from './known.ts';
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

const NOTHING: ReadonlyMap<string, unknown> = new Map();

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
  const { parameters, names } = knownOf(operation);
  const problems: GivenProblem[] = [];
  for (const place of LOCATIONS) {
    const present = givenIn(given, place);
    if (present.size > 0 && !isOpen(operation, place, options))
      problems.push(...unknownOnes(operation, place, names[place], present));
    if (parameters[place].length > 0) problems.push(...missingOnes(operation, parameters[place], present));
  }
  const missing = operation.body?.required === true && given.body === undefined;
  const unexpected = operation.body === null && !isNothing(given.body);
  if (!missing && !unexpected) return problems;
  const message = `${operation.id} ${missing ? 'needs a body' : 'takes no body'}`;
  return [...problems, { in: 'body', name: 'body', message }];
}

/** The values that are given in one place, by name; a header's name is in lower case. */
export function givenIn(given: Given, place: ParameterLocation): ReadonlyMap<string, unknown> {
  const group = given[GROUPS[place]];
  if (group === undefined) return NOTHING;
  const values = new Map<string, unknown>();
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
  names: ReadonlySet<string>,
  given: ReadonlyMap<string, unknown>,
): GivenProblem[] {
  const problems: GivenProblem[] = [];
  for (const name of given.keys()) {
    if (names.has(name) || (place === 'header' && ALWAYS_TAKEN.has(name))) continue;
    const message = `${operation.id} has no ${place} parameter ${JSON.stringify(name)}; ${inWords(names)}`;
    problems.push({ in: place, name, message });
  }
  return problems;
}

function inWords(names: ReadonlySet<string>): string {
  if (names.size === 0) return 'it has none';
  const more = names.size > MAX_LISTED ? ` and ${names.size - MAX_LISTED} more` : '';
  return `it has ${[...names].slice(0, MAX_LISTED).join(', ')}${more}`;
}

function missingOnes(
  operation: Operation,
  known: readonly Parameter[],
  given: ReadonlyMap<string, unknown>,
): GivenProblem[] {
  const problems: GivenProblem[] = [];
  for (const { name, in: place, required, default: initial } of known) {
    if (!required || !isNothing(initial) || given.has(name)) continue;
    const message = `${operation.id} needs the ${place} parameter ${JSON.stringify(name)}`;
    problems.push({ in: place, name, message });
  }
  return problems;
}
