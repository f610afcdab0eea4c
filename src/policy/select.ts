/** Which security context a verified identity acts in, if any. */
import { type SecurityContext, type Snapshot, type Tenant, visible } from '../snapshot/snapshot.ts';
import { matchesAny } from './match.ts';

/** What a verified token says of its bearer. */
export interface Identity {
  /** The `iss` claim. */
  readonly iss: string;
  readonly tenant_id: string | null;
  readonly security_context: string;
}

export interface NoContext {
  readonly error: 'POLICY_TOOL_NOT_ALLOWED';
  /** For the audit alone. */
  readonly reason: string;
}

export type Selection = { readonly context: SecurityContext; readonly tenant: Tenant | null } | NoContext;

/** What a caller reads whatever the reason, so that names of contexts, tenants and tools cannot be probed. */
export const UNIFORM_DENIAL = 'The security context of this token does not allow this tool.';

/** The context and tenant that this identity acts in, or why it has no rights at all. */
export function selectContext(snapshot: Snapshot, identity: Identity): Selection {
  const { tenant_id, security_context } = identity;
  const issuer = snapshot.issuers.get(identity.iss);
  if (issuer === undefined) return none('the issuer is not known');
  if (issuer.tenant !== null && issuer.tenant !== tenant_id) {
    return none(`the issuer makes tokens of tenant "${issuer.tenant}" only`);
  }
  // null is not in the list: an issuer held to some tenants cannot make a token of none.
  if (
    issuer.allowed_tenants !== null &&
    !(tenant_id !== null && issuer.allowed_tenants.includes(tenant_id))
  ) {
    return none('allowed_tenants of the issuer does not list the tenant of the token');
  }

  const tenant = tenant_id === null ? null : snapshot.tenants.get(tenant_id);
  if (tenant === undefined) return none('the tenant of the token does not exist or is not valid');
  if (tenant?.suspended) return none('the tenant is suspended');

  const context = visible(snapshot.contexts, tenant_id, security_context);
  if (context === undefined) {
    return none("the security context does not exist, is not valid, or is another tenant's");
  }
  for (const [who, allowed] of [
    ['issuer', issuer.allowed_security_contexts],
    ['tenant', tenant?.allowed_security_contexts ?? null],
  ] as const) {
    if (allowed !== null && !matchesAny(allowed, context.name)) {
      return none(`allowed_security_contexts of the ${who} does not list the context`);
    }
  }
  return { context, tenant };
}

/**
 * The context that an operator acts in: a global one, for an operator has no tenant. `name` is the configuration's;
 * null: it names none.
 */
export function selectOperatorContext(snapshot: Snapshot, name: string | null): Selection {
  if (name === null) return none('auth.operator_security_context names no context for operators');
  const context = visible(snapshot.contexts, null, name);
  if (context === undefined) return none('the security context of operators does not exist or is not valid');
  return { context, tenant: null };
}

function none(reason: string): NoContext {
  return { error: 'POLICY_TOOL_NOT_ALLOWED', reason };
}
