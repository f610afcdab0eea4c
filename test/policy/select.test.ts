import { describe, expect, test } from 'vitest';
import { compileToolPattern } from '../../src/policy/match.ts';
import { selectContext, selectOperatorContext, UNIFORM_DENIAL } from '../../src/policy/select.ts';
import type { Issuer, SecurityContext, Snapshot, Tenant } from '../../src/snapshot/snapshot.ts';
import { scoped } from '../../src/snapshot/snapshot.ts';
import { compileContext } from './written.ts';

function issuer(name: string, part: Partial<Issuer> = {}): Issuer {
  return {
    name,
    tenant: null,
    issuer: `https://${name}.example`,
    audience: ['seal-gateway'],
    algorithms: ['EdDSA'],
    keys: { candidates: async () => [] },
    envelope_keys: [],
    replay: 'token',
    default_security_context: null,
    allowed_tenants: null,
    allowed_security_contexts: null,
    max_token_ttl_seconds: 3600,
    ...part,
  };
}

function tenant(name: string, part: Partial<Tenant> = {}): Tenant {
  return {
    name,
    display_name: name,
    suspended: false,
    rate_limit: null,
    max_concurrency: null,
    allowed_security_contexts: null,
    ...part,
  };
}

function context(name: string, owner: string | null): SecurityContext {
  return { ...compileContext({}, name), tenant: owner };
}

function patterns(...texts: string[]) {
  return texts.map(compileToolPattern);
}

const snapshot: Snapshot = {
  revision: 'r',
  generation: 1,
  issuers: new Map(
    [
      issuer('open'),
      issuer('acme-only', { tenant: 'acme' }),
      issuer('listed', { allowed_tenants: ['acme', 'ghost'] }),
      issuer('nobody', { allowed_tenants: [] }),
      issuer('billing', { allowed_security_contexts: patterns('billing-*') }),
      issuer('barred', { allowed_security_contexts: [] }),
    ].map((one) => [one.issuer, one]),
  ),
  tenants: new Map(
    [
      tenant('acme'),
      tenant('globex', { allowed_security_contexts: patterns('ops') }),
      tenant('asleep', { suspended: true }),
    ].map((one) => [one.name, one]),
  ),
  contexts: new Map(
    [
      context('ops', null),
      context('billing-read', null),
      context('private', 'acme'),
      context('billing-read', 'acme'),
    ].map((one) => [scoped(one.tenant, one.name), one]),
  ),
  tools: new Map(),
};

function select(name: string, tenantId: string | null, securityContext: string) {
  const iss = `https://${name}.example`;
  return selectContext(snapshot, { iss, tenant_id: tenantId, security_context: securityContext });
}

describe('a context is given', () => {
  test.each([
    ['a global one to a token without tenant', 'open', null, 'ops', null],
    ['a global one to a tenant', 'open', 'acme', 'ops', null],
    ['its own to a tenant', 'open', 'acme', 'private', 'acme'],
    ['its own to a tenant rather than the global one', 'open', 'acme', 'billing-read', 'acme'],
    ['the global one to another tenant', 'billing', null, 'billing-read', null],
    ["to the tenant of a tenant's issuer", 'acme-only', 'acme', 'ops', null],
    ['to a listed tenant', 'listed', 'acme', 'ops', null],
    ['one that the tenant may use', 'open', 'globex', 'ops', null],
  ])('%s', (_, name, tenantId, securityContext, owner) => {
    expect(select(name, tenantId, securityContext)).toEqual({
      context: snapshot.contexts.get(scoped(owner, securityContext)),
      tenant: tenantId === null ? null : snapshot.tenants.get(tenantId),
    });
  });
});

describe('no context is given', () => {
  test.each([
    ['by an unknown issuer', 'elsewhere', null, 'ops', 'not known'],
    ['that does not exist', 'open', null, 'missing', 'does not exist'],
    ['with the key of another kind of name', 'open', null, 'acme/private', 'does not exist'],
    ['of a tenant to a token without one', 'open', null, 'private', 'does not exist'],
    ['of another tenant', 'open', 'globex', 'private', 'does not exist'],
    ['to an unknown tenant', 'open', 'initech', 'ops', 'tenant of the token does not exist'],
    ['to a tenant with the empty name', 'open', '', 'ops', 'tenant of the token does not exist'],
    ['to a suspended tenant', 'open', 'asleep', 'ops', 'suspended'],
    ["to another tenant by a tenant's issuer", 'acme-only', 'globex', 'ops', 'tokens of tenant "acme" only'],
    ["without tenant by a tenant's issuer", 'acme-only', null, 'ops', 'tokens of tenant "acme" only'],
    ['to a tenant that is not listed', 'listed', 'globex', 'ops', 'allowed_tenants'],
    ['without tenant by an issuer of some tenants', 'listed', null, 'ops', 'allowed_tenants'],
    [
      'to a listed tenant that does not exist',
      'listed',
      'ghost',
      'ops',
      'tenant of the token does not exist',
    ],
    ['by an issuer of no tenant', 'nobody', 'acme', 'ops', 'allowed_tenants'],
    ['that the issuer may not use', 'billing', null, 'ops', 'of the issuer'],
    ['by an issuer that may use none', 'barred', null, 'ops', 'of the issuer'],
    ['that the tenant may not use', 'open', 'globex', 'billing-read', 'of the tenant'],
  ])('%s', (_, name, tenantId, securityContext, reason) => {
    expect(select(name, tenantId, securityContext)).toEqual({
      error: 'POLICY_TOOL_NOT_ALLOWED',
      reason: expect.stringContaining(reason),
    });
  });

  test('and the caller is told nothing more', () => {
    expect(UNIFORM_DENIAL).not.toMatch(/tenant|issuer|suspended|exist/);
  });
});

describe('the context of operators', () => {
  test('is a global one, without a tenant', () => {
    expect(selectOperatorContext(snapshot, 'billing-read')).toEqual({
      context: context('billing-read', null),
      tenant: null,
    });
  });

  test.each([
    [null, 'auth.operator_security_context names no context for operators'],
    ['gone', 'the security context of operators does not exist or is not valid'],
    ["a tenant's", 'the security context of operators does not exist or is not valid'],
  ])('is none: %s', (name, reason) => {
    const asked = name === "a tenant's" ? 'private' : name;
    expect(selectOperatorContext(snapshot, asked)).toEqual({ error: 'POLICY_TOOL_NOT_ALLOWED', reason });
  });
});
