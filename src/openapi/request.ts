/** From an operation and the values that are given for it to the request that is sent. */
import { GatewayError } from '../errors.ts';
import { buildBody } from './body.ts';
import { type Given, type GivenOptions, givenProblems } from './given.ts';
import type { Operation, RequestBody } from './operation.ts';
import { parameterError, undescribed } from './parameter-value.ts';
import { derivedId, namesIn, pathFault } from './path-template.ts';
import { buildHeaders } from './request-headers.ts';
import { buildPath } from './request-path.ts';
import { buildPairs } from './request-query.ts';

export interface BuildOptions extends GivenOptions {
  /** A path value may hold a slash, which is sent as %2F. */
  readonly allow_slash?: boolean;
}

export interface BuiltRequest {
  /** Path and query below the API's base URL, encoded; begins with a slash. */
  readonly target: string;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
}

/**
 * Builds the request of an operation. What is undefined or null is left out, within lists and objects too; only a
 * JSON body may be null. Throws INVALID_ARGUMENTS for a parameter that does not exist, one that is missing, and a
 * value that cannot be sent as what it is; the message names the parameter and never shows the value.
 */
export function buildRequest(operation: Operation, given: Given, options: BuildOptions = {}): BuiltRequest {
  const [problem] = givenProblems(operation, given, options);
  if (problem !== undefined) throw parameterError(problem.in, problem.name, problem.message);
  const path = buildPath(operation, given, options.allow_slash ?? false);
  const query = buildPairs(operation, given, 'query').join('&');
  const headers = buildHeaders(operation, given);
  const body = buildBody(operation, given.body, headers['content-type'] ?? null);
  if (body !== null) headers['content-type'] = body.content_type;
  return { target: query === '' ? path : `${path}?${query}`, headers, body: body?.content ?? null };
}

/** JSON, unless the step names another content type. */
const ANY_BODY: RequestBody = Object.freeze({
  required: false,
  types: Object.freeze([
    Object.freeze({ media_type: 'application/json', kind: 'json', fields: new Map<string, never>() }),
  ]),
});

/**
 * The operation of a step that names method and path: a text for each `{name}`, any query, headers and cookies, and
 * a body unless it is GET or HEAD. Throws INVALID_ARGUMENTS for a path that cannot be one.
 */
export function literalOperation(method: string, path: string): Operation {
  const fault = pathFault(path);
  if (fault !== null) throw new GatewayError('INVALID_ARGUMENTS', fault);
  const safe = method === 'GET' || method === 'HEAD';
  return Object.freeze({
    id: derivedId(method, path),
    method,
    path,
    safe,
    summary: null,
    description: null,
    tags: Object.freeze([]),
    deprecated: false,
    server: null,
    parameters: Object.freeze(namesIn(path).map((name) => undescribed('path', name))),
    body: safe ? null : ANY_BODY,
    literal: true,
    pointer: null,
  });
}

/** The operation of a document that is not there: it takes whatever it is given. Never to be called. */
export function unknownOperation(id: string, pathParameters: readonly string[]): Operation {
  const parameters = Object.freeze(pathParameters.map((name) => undescribed('path', name)));
  return Object.freeze({ ...literalOperation('GET', '/'), id, parameters, body: ANY_BODY });
}
