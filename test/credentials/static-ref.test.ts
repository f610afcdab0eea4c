import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Principal } from '../../src/credentials/resolve.ts';
import { createReadSecret, createStaticRef } from '../../src/credentials/static-ref.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { BY_NAMESPACE, BY_PATH, type Connected, connected, opened } from './paths.ts';

const ref = (key: string, field?: string, cache_seconds?: number) =>
  ({ kind: 'static_ref', key, field, cache_seconds }) as const;
const acme = aTenant('acme');
const tenants = new Map(
  [acme, aTenant('globex'), aTenant('initech', 'teams/initech')].map((tenant) => [tenant.name, tenant]),
);
const ofAcme: Principal = aPrincipal({ tenant: acme, tenants });
const ofNobody: Principal = aPrincipal({ tenants });

function provider(
  { openbao }: Connected,
  { tenancy = BY_NAMESPACE, mount = 'secret', version = 2 as 1 | 2 } = {},
) {
  return createStaticRef(createReadSecret({ openbao, tenancy, mount, version }), systemClock);
}

describe('a secret of version 2', () => {
  test('gives the field that is named', async () => {
    const both = await connected();
    both.bao.put('secret', 'crm/api', { token: 't-1', other: 'x' });
    expect(opened(await provider(both)(ref('crm/api', 'token'), ofNobody))).toEqual({
      value: 't-1',
      fields: { token: 't-1' },
    });
    expect(both.bao.requests.at(-1)).toMatchObject({
      method: 'GET',
      path: 'secret/data/crm/api',
      namespace: '',
    });
    expect(both.bao.requests.at(-1)?.headers['x-vault-request']).toBe('true');
  });

  test('gives all fields, and a value when there is one', async () => {
    const both = await connected();
    both.bao.put('secret', 'one', { only: 'v' });
    both.bao.put('secret', 'two', { user: 'u', pass: 'p', note: null });
    expect(opened(await provider(both)(ref('one'), ofNobody)).value).toBe('v');
    expect(opened(await provider(both)(ref('two'), ofNobody))).toEqual({
      value: null,
      fields: { user: 'u', pass: 'p' },
    });
  });

  test.each([
    ['a number', 12.5, '12.5'],
    ['true', true, 'true'],
    ['a list', ['a', 1], '["a",1]'],
    ['an object', { a: 1 }, '{"a":1}'],
    ['nothing', '', ''],
  ])('takes %s', async (_, value, text) => {
    const both = await connected();
    both.bao.put('secret', 'crm', { field: value });
    expect(opened(await provider(both)(ref('crm', 'field'), ofNobody)).value).toBe(text);
  });

  test('of the latest version', async () => {
    const both = await connected();
    both.bao.put('secret', 'crm', { token: 'old' });
    both.bao.put('secret', 'crm', { token: 'new' });
    expect(opened(await provider(both)(ref('crm', 'token'), ofNobody)).value).toBe('new');
  });
});

test('a secret of version 1', async () => {
  const both = await connected();
  both.bao.put('kv', 'crm', { token: 't-1' });
  const get = provider(both, { mount: 'kv', version: 1 });
  expect(opened(await get(ref('crm', 'token'), ofNobody)).value).toBe('t-1');
  await expect(get(ref('none'), ofNobody)).rejects.toThrow(/there is no secret none/);
});

describe('what is wrong', () => {
  const wrong: [string, string, (both: Connected) => void, RegExp][] = [
    ['missing', 'none', () => {}, /^there is no secret none/],
    [
      'deleted',
      'crm',
      ({ bao }) => bao.remove('secret', 'crm', 'delete'),
      /^the latest version of the secret crm is deleted/,
    ],
    ['destroyed', 'crm', ({ bao }) => bao.remove('secret', 'crm', 'destroy'), /^the secret crm is destroyed/],
    ['sealed', 'crm', ({ bao }) => bao.seal(true), /^OpenBao is sealed/],
    ['forbidden', 'crm', ({ bao }) => bao.revokeToken(bao.root_token), /^OpenBao refuses it \(403\)/],
  ];
  test.each(wrong)('%s', async (_, key, spoil, message) => {
    const both = await connected();
    both.bao.put('secret', 'crm', { token: 't-1' });
    await both.openbao.read({ method: 'GET', path: 'secret/data/crm', namespace: null });
    spoil(both);
    const failed = provider(both)(ref(key, 'token'), ofNobody);
    await expect(failed).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.not.toThrow(/t-1/);
  });

  test.each([
    ['a field that is null', { field: null }, /^the field field of the secret is null/],
    ['a field that is not there', { other: 1 }, /^the secret has no field field/],
    ['a secret without fields', {}, /^the secret has no field field/],
  ])('%s', async (_, data, message) => {
    const both = await connected();
    both.bao.put('secret', 'crm', data);
    await expect(provider(both)(ref('crm', 'field'), ofNobody)).rejects.toThrow(message);
  });

  test.each([
    ['a list', '{"data":[]}'],
    ['a text', '{"data":{"data":"text"}}'],
    ['a secret of version 1', '{"data":{"token":"t-1"}}'],
  ])('an answer that is %s', async (_, text) => {
    const both = await connected();
    await both.openbao.read({ method: 'GET', path: 'secret/data/crm', namespace: null });
    both.bao.intercept((_request, response) => {
      response.end(text);
      return true;
    });
    const failed = provider(both)(ref('crm', 'token'), ofNobody);
    await expect(failed).rejects.toThrow(/holds no secret crm/);
    await expect(failed).rejects.not.toThrow(/t-1/);
  });
});

describe('tenants', () => {
  test('by namespace: after the tenant, or as it says', async () => {
    const both = await connected();
    both.bao.put('tenant-acme/secret', 'crm', { token: 'of-acme' });
    both.bao.put('teams/acme/secret', 'crm', { token: 'of-teams' });
    both.bao.put('secret', 'crm', { token: 'of-nobody' });
    const get = provider(both);
    expect(opened(await get(ref('crm'), ofAcme)).value).toBe('of-acme');
    expect(opened(await get(ref('crm'), ofNobody)).value).toBe('of-nobody');
    const named = aPrincipal({ tenant: aTenant('acme', 'teams/acme'), tenants });
    expect(opened(await get(ref('crm'), named)).value).toBe('of-teams');
  });

  test('by path', async () => {
    const both = await connected();
    both.bao.put('secret', 'tenant-acme/crm', { token: 'of-acme' });
    expect(opened(await provider(both, { tenancy: BY_PATH })(ref('crm'), ofAcme)).value).toBe('of-acme');
  });

  test.each([
    '../globex/crm',
    'a/../../globex',
    '.',
    'a//b',
    '/a',
    'a/',
    'a\\b',
    'a%2f..%2fb',
    'a\0b',
    'tenant-globex/crm',
    'tenant-acme/crm',
    'teams/initech/crm',
    'a?b',
    'a#b',
    '..',
  ])('no key leads out of a tenant’s part: %j', async (key) => {
    const both = await connected();
    for (const tenancy of [BY_NAMESPACE, BY_PATH]) {
      for (const principal of [ofAcme, ofNobody]) {
        await expect(provider(both, { tenancy })(ref(key), principal)).rejects.toMatchObject({
          name: 'CREDENTIAL_UNAVAILABLE',
        });
      }
    }
    expect(both.bao.requests.filter(({ path }) => path.includes('/data/'))).toEqual([]);
  });
});

test('an engine of the other version, and a tenant without a namespace, are told apart from a missing secret', async () => {
  const both = await connected();
  both.bao.put('secret', 'crm', { token: 't-1' });
  await expect(provider(both, { version: 1 })(ref('crm'), ofNobody)).rejects.toThrow(
    'the key-value engine keeps versions: its kv_version is 2',
  );
  const initech = aPrincipal({ tenant: aTenant('initech'), tenants: new Map() });
  await expect(provider(both)(ref('crm'), initech)).rejects.toThrow(
    'OpenBao has no namespace for the tenant of this caller',
  );
});

describe('a tenant whose name would lead elsewhere has no secrets', () => {
  const names = [
    '..',
    'acme/secret',
    'acme/../globex',
    'a%2e%2e',
    '%2e%2e',
    'a\\b',
    '',
    'a b\n',
    '/acme',
    'acme/',
  ];
  test.each(names)('%j', async (name) => {
    const both = await connected();
    for (const { by } of [BY_NAMESPACE, BY_PATH]) {
      const get = provider(both, { tenancy: { namespace: null, by, prefix: '' } });
      await expect(get(ref('crm'), aPrincipal({ tenant: aTenant(name), tenants }))).rejects.toMatchObject({
        name: 'CREDENTIAL_UNAVAILABLE',
      });
    }
    expect(both.bao.requests.filter(({ path }) => path.includes('/data/'))).toEqual([]);
  });
});

describe('asking again', () => {
  test('every call asks, unless the manifest says otherwise', async () => {
    const both = await connected();
    both.bao.put('secret', 'crm', { token: 'old' });
    const get = provider(both);
    await get(ref('crm'), ofNobody);
    both.bao.put('secret', 'crm', { token: 'new' });
    expect(opened(await get(ref('crm'), ofNobody)).value).toBe('new');
  });

  test('cache_seconds: one request for all, of one tenant', async () => {
    const both = await connected();
    both.bao.put('secret', 'crm', { token: 'of-nobody' });
    both.bao.put('tenant-acme/secret', 'crm', { token: 'of-acme' });
    const get = provider(both);
    const all = await Promise.all(Array.from({ length: 50 }, () => get(ref('crm', 'token', 60), ofNobody)));
    expect(new Set(all.map((one) => opened(one).value))).toEqual(new Set(['of-nobody']));
    expect(opened(await get(ref('crm', 'token', 60), ofAcme)).value).toBe('of-acme');
    expect(both.bao.requests.filter(({ path }) => path === 'secret/data/crm')).toHaveLength(2);
  });

  test('cache_seconds: what fails is not kept', async () => {
    const both = await connected();
    const get = provider(both);
    await expect(get(ref('crm', 'token', 60), ofNobody)).rejects.toThrow();
    both.bao.put('secret', 'crm', { token: 't' });
    expect(opened(await get(ref('crm', 'token', 60), ofNobody)).value).toBe('t');
  });
});
