/** From what is in force to a frozen snapshot. */
import {
  type Issuer,
  type SecurityContext,
  type Snapshot,
  scoped,
  type Tenant,
  type Tool,
} from '../snapshot/snapshot.ts';
import type { Verdict } from './compile.ts';

/** The next snapshot; a tool that has no version in force is there by name, so that calls say why it cannot run. */
export function assemble(verdicts: Iterable<Verdict>, revision: string, generation: number): Snapshot {
  const issuers = new Map<string, Issuer>();
  const tenants = new Map<string, Tenant>();
  const contexts = new Map<string, SecurityContext>();
  const tools = new Map<string, Tool>();
  for (const { identity, applied, status } of verdicts) {
    const { tenant, name } = identity;
    const resource = applied?.resource;
    switch (resource?.kind) {
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
        if (identity.kind === 'ToolWorkflow' || identity.kind === 'CliTool') {
          const reason = `its manifest is ${status === 'Blocked' ? 'waiting for another one that is not valid' : 'not valid'}`;
          if (!tools.has(scoped(tenant, name)))
            tools.set(scoped(tenant, name), { kind: 'unavailable', name, tenant, reason });
        }
        break;
    }
  }
  return { revision, generation, issuers, tenants, contexts, tools };
}
