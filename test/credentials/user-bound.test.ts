import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { createReadSecret } from '../../src/credentials/static-ref.ts';
import { type Bindings, createUserBound } from '../../src/credentials/user-bound.ts';
import { GatewayError } from '../../src/errors.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { BY_NAMESPACE, connected, opened } from './paths.ts';

const REF = { kind: 'user_bound', provider: 'github', field: 'token' } as const;
const acme = aTenant('acme');
const tenants = new Map([
  ['acme', acme],
  ['globex', aTenant('globex')],
]);

/** The rows that a store would find; and what it was asked. */
async function setUp(
  found: Awaited<ReturnType<Bindings['granted']>>,
  bind_url: string | null = 'https://connect.example/{provider}',
) {
  const { bao, openbao } = await connected();
  const asked: unknown[] = [];
  const bindings: Bindings = {
    async granted(query) {
      asked.push(query);
      return found;
    },
  };
  const verify = async (jwt: string) => {
    if (jwt !== 'good') throw new GatewayError('TOKEN_VERIFICATION_FAILED', 'user token: expired');
    return { subject: 'olga', tenant_id: 'acme', expires_at: 9_999_999_999 };
  };
  const read = createReadSecret({ openbao, tenancy: BY_NAMESPACE, mount: 'secret', version: 2 });
  return { bao, asked, get: createUserBound({ bindings, read, verify, bind_url, clock: systemClock }) };
}

const binding = { id: 'b-1', owner: 'olga', secret_path: 'users/olga/github' };

test('is read where the tenant’s secrets are', async () => {
  const { bao, asked, get } = await setUp([binding]);
  bao.put('tenant-acme/secret', 'users/olga/github', { token: 'gh-1' });
  const credential = await get(REF, aPrincipal({ tenant: acme, tenants }));
  expect(opened(credential).value).toBe('gh-1');
  expect(credential.facts).toEqual({ binding_id: 'b-1', user: 'olga' });
  expect(asked).toEqual([
    {
      tenant_id: 'acme',
      provider: 'github',
      owner: null,
      agent: 'agent-7',
      context: 'main',
      now: expect.any(Number),
    },
  ]);
});

test('with a user’s token only that user’s is asked for', async () => {
  const { bao, asked, get } = await setUp([binding]);
  bao.put('tenant-acme/secret', 'users/olga/github', { token: 'gh-1' });
  const principal = aPrincipal({
    tenant: acme,
    tenants,
    user_token: new Secret('good'),
    allow_human_delegated: true,
  });
  await get(REF, principal);
  expect(asked).toMatchObject([{ owner: 'olga' }]);
  await expect(get(REF, { ...principal, allow_human_delegated: false })).rejects.toMatchObject({
    name: 'POLICY_NO_MATCHING_CAPABILITY',
  });
  await expect(get(REF, { ...principal, user_token: new Secret('bad') })).rejects.toMatchObject({
    name: 'TOKEN_VERIFICATION_FAILED',
  });
});

test('a missing one says what the user has to do', async () => {
  const { get } = await setUp([]);
  await expect(get(REF, aPrincipal())).rejects.toMatchObject({
    name: 'CREDENTIAL_UNAVAILABLE',
    message:
      'no github credential is bound and granted to this agent: the user can grant it at https://connect.example/github',
    details: { provider: 'github', action: 'bind_credential', bind_url: 'https://connect.example/github' },
  });
  const nowhere = await setUp([], null);
  await expect(nowhere.get(REF, aPrincipal())).rejects.toThrow(/seal-gateway bindings add/);
});

test('of several users’ none is taken', async () => {
  const { get } = await setUp([binding, { ...binding, id: 'b-2', owner: 'ida' }]);
  await expect(get(REF, aPrincipal())).rejects.toThrow(/several users have granted/);
});

test.each(['../globex/users/x', 'tenant-globex/secret/x', '/x'])(
  'a path of a binding leads nowhere else: %s',
  async (secret_path) => {
    const { get } = await setUp([{ ...binding, secret_path }]);
    await expect(get(REF, aPrincipal({ tenant: acme, tenants }))).rejects.toMatchObject({
      name: 'CREDENTIAL_UNAVAILABLE',
    });
  },
);
