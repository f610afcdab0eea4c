/** What the explorer may call: of each ApiSpec by its own `explorer`, of all of them as one tool of the snapshot. */
import type { SpecOf } from '../manifest/manifest.ts';
import { suggest } from '../manifest/suggest.ts';
import { orList } from '../manifest/words.ts';
import type { Operation } from '../openapi/operation.ts';
import { compileValuePattern, matchesAny } from '../policy/match.ts';
import {
  type Api,
  EXPLORE,
  type ExploredApi,
  type ExploreLimit,
  type ExplorerTool,
  type JsonObject,
  type Matcher,
  type UnavailableApi,
} from '../snapshot/snapshot.ts';
import { isFixed } from './fixed-parameters.ts';
import { compileSchema } from './json-schema.ts';
import type { Problems } from './problems.ts';

/** docs/decisions/0011-explorer.md: reads, unless the ApiSpec says otherwise. */
const READS: readonly string[] = ['GET', 'HEAD'];

export function compileExplored(
  spec: SpecOf<'ApiSpec'>,
  api: Api,
  operations: ReadonlyMap<string, Operation>,
  problems: Problems,
): ExploredApi {
  const { operations: written = null, methods = READS } = spec.explorer ?? {};
  const patterns =
    written?.flatMap(
      (text, at) =>
        problems.attempt(`/spec/explorer/operations/${at}`, 'bad-pattern', () => compileValuePattern(text)) ??
        [],
    ) ?? null;
  return {
    kind: 'explored',
    api,
    operations: fillable(operations, api),
    limit: (operation) => limitOf(api, operation, patterns, methods),
    fixes: (name) => isFixed(api, { in: 'header', name }),
  };
}

/** The explorer over these ApiSpecs; null: there are none. */
export function explorerTool(apis: ReadonlyMap<string, ExploredApi | UnavailableApi>): ExplorerTool | null {
  if (apis.size === 0) return null;
  return { ...EXPLORER, validate: compileSchema(INPUT).problems, apis };
}

const INPUT: JsonObject = {
  type: 'object',
  required: ['api_spec_id', 'operation_id', 'fields'],
  additionalProperties: false,
  properties: {
    api_spec_id: { type: 'string', minLength: 1, maxLength: 128, description: 'Name of the ApiSpec.' },
    operation_id: { type: 'string', minLength: 1, maxLength: 1024, description: 'Operation to call.' },
    parameters: {
      type: 'object',
      description:
        'Parameters of the operation by their names (and `body`), or grouped under path, query, header and body.',
    },
    fields: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      items: { type: 'string', minLength: 1, maxLength: 1024 },
      description: 'JSONPath (RFC 9535) of each slice of the reply, such as $.data[*].id',
    },
    include_hints: {
      type: 'boolean',
      default: false,
      description: 'Add how to get the next page, and related operations.',
    },
  },
};

const EXPLORER: Omit<ExplorerTool, 'apis' | 'validate'> = {
  kind: 'explorer',
  name: EXPLORE,
  tenant: null,
  description:
    'Call one operation of an API and get only the parts of its reply that the JSONPath expressions name.',
  input_schema: INPUT,
  tags: [],
  category: null,
  annotations: {},
  suggest,
};

function limitOf(
  api: Api,
  operation: Operation,
  patterns: readonly Matcher[] | null,
  methods: readonly string[],
): ExploreLimit | null {
  const { id, method, server } = operation;
  if (patterns !== null && !matchesAny(patterns, id)) {
    return { field: 'operations', reason: `ApiSpec ${api.name} does not let the explorer call ${id}` };
  }
  if (!methods.includes(method)) {
    const allowed = methods.length === 0 ? 'no method' : orList(methods);
    const reason = `${id} is ${method}, and ApiSpec ${api.name} lets the explorer call ${allowed}`;
    return { field: 'methods', reason };
  }
  const elsewhere = server !== null && URL.canParse(server) && new URL(server).origin !== api.base_url.origin;
  if (!elsewhere) return null;
  const reason = `the document sends ${id} to another server than ApiSpec ${api.name} calls`;
  return { field: 'server', reason };
}

/**
 * The operations without the parameters that the gateway sets: fixed headers and the place of the credential are not
 * a caller's to give, and not missing when no caller gives them.
 */
function fillable(operations: ReadonlyMap<string, Operation>, api: Api): ReadonlyMap<string, Operation> {
  return new Map(
    [...operations].map(([id, operation]) => {
      const parameters = operation.parameters.filter((one) => !isFixed(api, one));
      const whole = parameters.length === operation.parameters.length;
      return [id, whole ? operation : Object.freeze({ ...operation, parameters })];
    }),
  );
}
