import { describe, expect, it } from 'vitest';
import { type CredentialProviders, resolveCredential } from '../../src/credentials/resolve.ts';
import { reveal, Secret } from '../../src/credentials/secret.ts';
import { GatewayError } from '../../src/errors.ts';
import type { CredentialRef } from '../../src/snapshot/snapshot.ts';
import { aPrincipal } from '../support/principal.ts';

const REFS: CredentialRef[] = [
  { kind: 'static_ref', key: 'crm' },
  { kind: 'system_jit', engine_path: 'database', role: 'reader' },
  { kind: 'human_delegated', target_service: 'crm' },
  { kind: 'auto', system_jit: { kind: 'none' }, human_delegated: { kind: 'none' } },
  { kind: 'user_bound', provider: 'github' },
];

async function rejection(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GatewayError)) throw new Error(`expected a GatewayError, got ${String(error)}`);
  return error;
}

describe('resolveCredential', () => {
  it('gives nothing for none', async () => {
    expect(await resolveCredential({ kind: 'none' }, aPrincipal(), {})).toBeNull();
  });

  it.each(REFS)('refuses $kind when no provider is configured', async (ref) => {
    const error = await rejection(resolveCredential(ref, aPrincipal(), {}));
    expect(error.name).toBe('CREDENTIAL_UNAVAILABLE');
    expect(error.message).toBe(
      `no provider for the credential path ${ref.kind} is configured in this gateway`,
    );
  });

  it('asks the provider of the path', async () => {
    const providers: CredentialProviders = {
      static_ref: async (ref) => ({ value: new Secret(`value of ${ref.key}`), fields: {} }),
    };
    const credential = await resolveCredential({ kind: 'static_ref', key: 'crm' }, aPrincipal(), providers);
    expect(reveal(credential?.value as Secret)).toBe('value of crm');
  });

  it('passes on the provider’s GatewayError, but no other error: it may hold a token', async () => {
    const known = new GatewayError('CREDENTIAL_UNAVAILABLE', 'OpenBao is sealed');
    const ref: CredentialRef = { kind: 'static_ref', key: 'crm' };
    expect(
      await rejection(resolveCredential(ref, aPrincipal(), { static_ref: () => Promise.reject(known) })),
    ).toBe(known);

    const leaky = new Error('403 for token hvs.abc');
    const error = await rejection(
      resolveCredential(ref, aPrincipal(), { static_ref: () => Promise.reject(leaky) }),
    );
    expect(error.name).toBe('CREDENTIAL_UNAVAILABLE');
    expect(error.message).not.toContain('hvs.abc');
    expect(error.cause).toBeUndefined();
  });
});
