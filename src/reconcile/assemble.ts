/** From what is in force to a frozen snapshot. */
import {
  type ExploredApi,
  type Issuer,
  type SecurityContext,
  type Snapshot,
  scoped,
  type Tenant,
  type Tool,
  type UnavailableApi,
  visible,
} from '../snapshot/snapshot.ts';
import type { Verdict } from './compile.ts';
import { explorerTool } from './compile-explorer.ts';

/** The next snapshot; a tool that has no version in force is there by name, so that calls say why it cannot run. */
export function assemble(verdicts: Iterable<Verdict>, revision: string, generation: number): Snapshot {
  const issuers = new Map<string, Issuer>();
  const tenants = new Map<string, Tenant>();
  const contexts = new Map<string, SecurityContext>();
  const tools = new Map<string, Tool>();
  const apis = new Map<string, ExploredApi | UnavailableApi>();
  const missing: Tool[] = [];
  for (const { identity, applied, status } of verdicts) {
    const { kind, tenant, name } = identity;
    const resource = applied?.resource;
    switch (resource?.kind) {
      case 'ApiSpec':
        apis.set(scoped(tenant, name), resource.compiled.explored);
        break;
      case 'TokenIssuer':
        issuers.set(resource.issuer.issuer, resource.issuer);
        break;
      case 'Tenant':
        tenants.set(name, resource.tenant);
        break;
      case 'SecurityContext':
        contexts.set(scoped(tenant, name), resource.context);
        break;
      case 'ToolWorkflow':
      case 'CliTool':
        tools.set(scoped(tenant, name), resource.tool);
        break;
      case undefined:
        if (kind === 'ToolWorkflow' || kind === 'CliTool' || kind === 'ApiSpec') {
          const reason = `its manifest is ${status === 'Blocked' ? 'waiting for another one that is not valid' : 'not valid'}`;
          if (kind === 'ApiSpec') apis.set(scoped(tenant, name), { kind: 'unavailable', tenant, reason });
          else missing.push({ kind: 'unavailable', name, tenant, reason });
        }
        break;
    }
  }
  // A tenant's tool that may not have the name of a global one does not hide it either.
  for (const tool of [...missing.filter(isGlobal), ...missing.filter((one) => !isGlobal(one))]) {
    if (visible(tools, tool.tenant, tool.name) === undefined) tools.set(scoped(tool.tenant, tool.name), tool);
  }
  const explorer = explorerTool(apis);
  return {
    ...{ revision, generation, issuers, tenants, contexts, tools },
    ...(explorer !== null && { explorer }),
  };
}

function isGlobal({ tenant }: Tool): boolean {
  return tenant === null;
}
