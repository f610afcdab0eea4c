/** A tool as a client sees it (protocol section 4, GET /v1/tools). */
import type { Annotations, CliTool, JsonObject, WorkflowTool } from '../snapshot/snapshot.ts';

export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  readonly kind: 'workflow' | 'cli';
  readonly input_schema: JsonObject;
  readonly output_schema?: JsonObject;
  readonly tags: readonly string[];
  readonly category: string | null;
  readonly annotations: Annotations;
}

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

export function describeTool(tool: WorkflowTool | CliTool): ToolDescription {
  const output_schema = tool.kind === 'cli' ? CLI_OUTPUT : tool.output_schema;
  return {
    name: tool.name,
    description: tool.description,
    kind: tool.kind,
    input_schema: tool.input_schema,
    ...(output_schema !== null && { output_schema }),
    tags: tool.tags,
    category: tool.category,
    annotations: tool.annotations,
  };
}
