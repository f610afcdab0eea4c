/** Tools as a client sees them (`GET /v1/tools`). */
import { explorable, visibleApis } from '../execute/exploration.ts';
import { permitsCommand } from '../policy/evaluate.ts';
import type { RunnableTool } from '../policy/visible-tools.ts';
import type { Annotations, CliTool, ExplorerTool, JsonObject, WorkflowTool } from '../snapshot/snapshot.ts';
import type { Rights } from './decide.ts';

export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  readonly kind: 'workflow' | 'cli' | 'explorer';
  readonly input_schema: JsonObject;
  readonly output_schema?: JsonObject;
  readonly tags: readonly string[];
  readonly category: string | null;
  readonly annotations: Annotations;
  /** A call may carry `fields` beside its arguments; absent: it may not. */
  readonly allow_fields?: true;
}

/** Operations of one API that the explorer's description names; the rest is counted. */
const MAX_NAMED = 30;

/** What every CLI tool answers. */
const CLI_OUTPUT: JsonObject = {
  type: 'object',
  required: ['exit_code', 'stdout', 'stderr', 'truncated'],
  properties: {
    exit_code: { type: 'integer', description: 'Of the command; 0 is success.' },
    stdout: { type: 'string' },
    stderr: { type: 'string' },
    truncated: { type: 'boolean', description: 'More was written than is kept.' },
  },
};

/** The explorer is left out where nothing may be explored. */
export function describeTools(tools: readonly RunnableTool[], rights: Rights): ToolDescription[] {
  return tools.flatMap((tool) => {
    if (tool.kind === 'explorer') return describeExplorer(tool, rights);
    return tool.kind === 'workflow' ? [describeWorkflow(tool)] : [describeCli(tool)];
  });
}

function describeCli(tool: CliTool): ToolDescription {
  return { ...describe(tool), input_schema: tool.input_schema, output_schema: CLI_OUTPUT };
}

function describeWorkflow(tool: WorkflowTool): ToolDescription {
  return {
    ...describe(tool),
    input_schema: tool.input_schema,
    ...(tool.output_schema !== null && { output_schema: tool.output_schema }),
    ...(tool.allow_fields === true && { allow_fields: true }),
  };
}

/** With the APIs that these rights let explore, and names of their operations: an agent cannot guess them. */
function describeExplorer(tool: ExplorerTool, { context, tenant }: Rights): ToolDescription[] {
  const may = (command: string): boolean => permitsCommand(context, tool.name, command);
  const apis = visibleApis(tool, tenant?.name ?? null).flatMap((explored) => {
    const ids = [...explorable(explored, may)].map(({ id }) => id);
    return ids.length === 0 ? [] : [{ name: explored.api.name, ids }];
  });
  if (apis.length === 0) return [];
  const properties = tool.input_schema.properties as { readonly [name: string]: JsonObject };
  const { api_spec_id, operation_id } = properties;
  const input_schema: JsonObject = {
    ...tool.input_schema,
    properties: {
      ...properties,
      api_spec_id: { ...api_spec_id, enum: apis.map(({ name }) => name) },
      operation_id: { ...operation_id, description: apis.map(operationsOf).join(' ') },
    },
  };
  return [{ ...describe(tool), input_schema }];
}

/** `Of crm: searchCustomers, listInvoices.` */
function operationsOf({ name, ids }: { readonly name: string; readonly ids: readonly string[] }): string {
  const more = ids.length > MAX_NAMED ? ` and ${ids.length - MAX_NAMED} more` : '';
  return `Of ${name}: ${ids.slice(0, MAX_NAMED).join(', ')}${more}.`;
}

function describe(tool: WorkflowTool | CliTool | ExplorerTool) {
  const { name, description, kind, tags, category, annotations } = tool;
  return { name, description, kind, tags, category, annotations };
}
