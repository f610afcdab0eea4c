/** The tools that `GET /v1/tools` lists: those that a call of the token could run. */
import {
  type CliTool,
  type ExplorerTool,
  type Matcher,
  type SecurityContext,
  type Snapshot,
  visible,
  type WorkflowTool,
} from '../snapshot/snapshot.ts';
import { permitsName } from './evaluate.ts';

export type RunnableTool = WorkflowTool | ExplorerTool | CliTool;

/**
 * The tools of this tenant and the global ones whose name the context and the scopes permit, by name in code
 * unit order. A tool that is unavailable is left out. A deny rule or constraint on values hides nothing: whether
 * it applies is known only when a call is made.
 */
export function allowedTools(
  snapshot: Snapshot,
  tenant: { readonly name: string } | null,
  context: SecurityContext,
  toolPatterns: readonly Matcher[] | null,
): RunnableTool[] {
  const found: RunnableTool[] = [];
  for (const tool of snapshot.tools.values()) {
    if (tool.kind === 'unavailable') continue;
    if (visible(snapshot.tools, tenant?.name ?? null, tool.name) !== tool) continue;
    if (permitsName(context, tool.name, toolPatterns)) found.push(tool);
  }
  const { explorer } = snapshot;
  if (explorer !== undefined && permitsName(context, explorer.name, toolPatterns)) found.push(explorer);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
