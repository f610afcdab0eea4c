/** A tool as a client sees it (`GET /v1/tools`). */
import type { Annotations, JsonObject, WorkflowTool } from '../snapshot/snapshot.ts';

export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  readonly kind: 'workflow';
  readonly input_schema: JsonObject;
  readonly output_schema?: JsonObject;
  readonly tags: readonly string[];
  readonly category: string | null;
  readonly annotations: Annotations;
}

export function describeTool(tool: WorkflowTool): ToolDescription {
  return {
    name: tool.name,
    description: tool.description,
    kind: tool.kind,
    input_schema: tool.input_schema,
    ...(tool.output_schema !== null && { output_schema: tool.output_schema }),
    tags: tool.tags,
    category: tool.category,
    annotations: tool.annotations,
  };
}
