/** Callers as the paths to credentials see them. */
import { systemClock } from '../../src/clock.ts';
import { type CallCredentials, createCredentials } from '../../src/credentials/call.ts';
import type { CredentialProviders, Principal } from '../../src/credentials/resolve.ts';
import type { Tenant } from '../../src/snapshot/snapshot.ts';

/** An agent without tenant and user, unless told otherwise. */
export function aPrincipal(more: Partial<Principal> = {}): Principal {
  return {
    tenant: null,
    tenants: new Map(),
    agent: 'agent-7',
    context: 'main',
    user_token: null,
    allow_human_delegated: false,
    ...more,
  };
}

export function aTenant(name: string, openbao_namespace?: string): Tenant {
  return {
    name,
    display_name: name,
    suspended: false,
    rate_limit: null,
    max_concurrency: null,
    allowed_security_contexts: null,
    openbao_namespace,
  };
}

/** The credentials of one call of {@link aPrincipal}. */
export function credentialsOf(providers: CredentialProviders): CallCredentials {
  return createCredentials({ providers, clock: systemClock }).open({
    principal: aPrincipal(),
    emit: () => {},
  });
}
