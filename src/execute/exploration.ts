/**
 * What a call of the explorer asks for, held against what there is: every mistake of the caller is found here, before
 * the intent is recorded and anything is sent. Policy has allowed the API and the operation by their names already;
 * names that it would not allow are never told.
 */
import { GatewayError } from '../errors.ts';
import { type Given, type GivenProblem, givenProblems } from '../openapi/given.ts';
import { inputProperties } from '../openapi/input-schema.ts';
import type { Operation } from '../openapi/operation.ts';
import { placeParameters } from '../openapi/place-parameters.ts';
import { buildRequest } from '../openapi/request.ts';
import { type ExploredApi, type ExplorerTool, type JsonObject, visible } from '../snapshot/snapshot.ts';
import type { Exploration } from './explorer.ts';
import { compileFields } from './fields.ts';
import { relatedOperations } from './hints.ts';

/** Whether the caller's context allows this command, whatever else the call says. */
export type MayCall = (command: string) => boolean;

/** The arguments, which fit the input schema. */
interface Arguments {
  readonly api_spec_id: string;
  readonly operation_id: string;
  readonly parameters?: JsonObject;
  readonly fields: readonly string[];
  readonly include_hints?: boolean;
}

/** The command that policy sees; null: the arguments do not name one. */
export function exploreCommand({ api_spec_id, operation_id }: JsonObject): string | null {
  if (typeof api_spec_id !== 'string' || typeof operation_id !== 'string') return null;
  return commandOf(api_spec_id, operation_id);
}

/**
 * Throws INVALID_ARGUMENTS for an API, operation, parameter or field that cannot be, POLICY_COMMAND_NOT_ALLOWED for an
 * operation that its ApiSpec keeps from the explorer, TOOL_UNAVAILABLE for an ApiSpec that is not valid.
 */
export function prepareExploration(
  tool: ExplorerTool,
  tenant: string | null,
  args: JsonObject,
  may: MayCall,
): Exploration {
  const { api_spec_id, operation_id, parameters = {}, fields, include_hints } = args as unknown as Arguments;
  const explored = apiOf(tool, tenant, api_spec_id, may);
  const { api } = explored;
  const operation = operationOf(tool, explored, operation_id, may);
  checkLimit(explored, operation);
  const queries = compileFields(fields);
  const { given, unknown } = placeParameters(operation, parameters);
  const unfit = givenProblems(operation, given);
  const problems = [
    ...unknown.map((name) => unknownParameter(tool, operation, name)),
    ...unfit.map(({ message }) => message),
    ...fixedOnes(explored, given, unfit),
  ];
  if (problems.length > 0) throw invalid(problems[0]!, { problems });
  return {
    api,
    operation,
    parameters,
    request: buildRequest(operation, given, { allow_slash: api.allow_slash(operation.id) }),
    fields: queries,
    related:
      include_hints === true
        ? relatedOperations(operation, explored.operations.values(), mayExplore(explored, may))
        : null,
  };
}

/** The operations of an API that a caller may explore, in the order of the document. */
export function* explorable(explored: ExploredApi, may: MayCall): Generator<Operation, void> {
  for (const operation of explored.operations.values()) {
    if (mayExplore(explored, may)(operation)) yield operation;
  }
}

/** The APIs that callers of a tenant see, by name; those that are not valid left out. */
export function visibleApis({ apis }: ExplorerTool, tenant: string | null): ExploredApi[] {
  return [...apis.values()]
    .filter((one): one is ExploredApi => one.kind === 'explored')
    .filter((one) => visible(apis, tenant, one.api.name) === one)
    .sort((a, b) => (a.api.name < b.api.name ? -1 : 1));
}

function mayExplore(explored: ExploredApi, may: MayCall): (operation: Operation) => boolean {
  return (operation) => explored.limit(operation) === null && may(commandOf(explored.api.name, operation.id));
}

function commandOf(api: string, operation: string): string {
  return `${api}:${operation}`;
}

function apiOf(tool: ExplorerTool, tenant: string | null, name: string, may: MayCall): ExploredApi {
  const found = visible(tool.apis, tenant, name);
  if (found?.kind === 'explored') return found;
  if (found !== undefined) throw new GatewayError('TOOL_UNAVAILABLE', `ApiSpec ${name}: ${found.reason}`);
  const apis = visibleApis(tool, tenant);
  const near = tool.suggest(
    name,
    apis.map(({ api }) => api.name),
  );
  const told = apis.some((one) => one.api.name === near && !explorable(one, may).next().done);
  throw invalid(`there is no ApiSpec ${JSON.stringify(name)}${told ? `; did you mean ${near}?` : ''}`);
}

function operationOf(tool: ExplorerTool, explored: ExploredApi, id: string, may: MayCall): Operation {
  const { api, operations } = explored;
  const operation = operations.get(id);
  if (operation !== undefined) return operation;
  const near = tool.suggest(id, operations.keys());
  const told = near !== null && mayExplore(explored, may)(operations.get(near)!);
  const message = `ApiSpec ${api.name} has no operation ${JSON.stringify(id)}`;
  throw invalid(told ? `${message}; did you mean ${near}?` : message);
}

function checkLimit(explored: ExploredApi, operation: Operation): void {
  const limit = explored.limit(operation);
  if (limit === null) return;
  if (limit.field === 'server') throw invalid(limit.reason);
  throw new GatewayError('POLICY_COMMAND_NOT_ALLOWED', limit.reason, {
    details: { rule: `ApiSpec ${explored.api.name} explorer.${limit.field}` },
  });
}

/** Headers that any operation takes, and this API fixes: they are not the caller's. */
function fixedOnes(
  { api, fixes }: ExploredApi,
  { headers = {} }: Given,
  told: readonly GivenProblem[],
): string[] {
  return Object.keys(headers)
    .filter(fixes)
    .filter((name) => !told.some((one) => one.in === 'header' && one.name === name.toLowerCase()))
    .map((name) => `header ${JSON.stringify(name)} is set by ApiSpec ${api.name}`);
}

function unknownParameter(tool: ExplorerTool, operation: Operation, name: string): string {
  const names = inputProperties(operation).map((property) => property.name);
  const near = tool.suggest(name, names);
  const message = `${operation.id} has no parameter ${JSON.stringify(name)}`;
  return near === null ? message : `${message}; did you mean ${near}?`;
}

function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message, { details });
}
