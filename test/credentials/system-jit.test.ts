import { describe, expect, test } from 'vitest';
import type { ResolvedCredential } from '../../src/credentials/resolve.ts';
import { createSystemJit } from '../../src/credentials/system-jit.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { BY_NAMESPACE, BY_PATH, connected, keeperOf, memoryNotes, opened } from './paths.ts';

const REF = { kind: 'system_jit', engine_path: 'database', role: 'reader' } as const;
const acme = aTenant('acme');
const tenants = new Map(
  [acme, aTenant('globex'), aTenant('initech', 'teams/initech')].map((tenant) => [tenant.name, tenant]),
);
const ofNobody = aPrincipal({ tenants });
const ofAcme = aPrincipal({ tenant: acme, tenants });

async function setUp(tenancy = BY_NAMESPACE, timeout_ms?: number) {
  const both = await connected(timeout_ms);
  const notes = memoryNotes();
  const leases = keeperOf(both.openbao, notes);
  return { ...both, notes, leases, get: createSystemJit({ openbao: both.openbao, leases, tenancy }) };
}

test('makes a credential, notes its lease, and revokes it when it is released', async () => {
  const { bao, notes, get, leases } = await setUp();
  const credential = await get(REF, ofNobody);
  const [lease] = bao.leases;
  expect(opened(credential).fields).toEqual(lease?.data);
  expect(credential.facts).toEqual({ lease_id: lease?.lease_id, lease_duration_seconds: 3600 });
  expect([...notes.rows.keys()]).toEqual([lease?.lease_id]);
  expect(leases.open()).toBe(1);
  await Promise.all([credential.release?.(), credential.release?.()]);
  expect(bao.alive()).toEqual([]);
  expect(leases.open()).toBe(0);
  await leases.close();
  expect(notes.rows.size).toBe(0);
  expect(bao.requests.filter(({ path }) => path === 'sys/leases/revoke')).toMatchObject([
    { method: 'PUT', namespace: '', body: { lease_id: lease?.lease_id, sync: true } },
  ]);
});

test('tells an engine what it needs to know', async () => {
  const { bao, get } = await setUp();
  bao.dynamic('kubernetes', {
    post: true,
    make: (role, body) => ({ service_account_token: `${role} in ${body.kubernetes_namespace}` }),
  });
  const ref = { ...REF, engine_path: 'kubernetes', parameters: { kubernetes_namespace: 'apps' } };
  expect(opened(await get(ref, ofNobody)).value).toBe('reader in apps');
  expect(bao.requests.at(-1)).toMatchObject({ method: 'POST', path: 'kubernetes/creds/reader' });
});

describe('tenants', () => {
  test('by namespace: the lease is revoked where it was made', async () => {
    const { bao, get, notes } = await setUp();
    const { release } = await get(REF, ofAcme);
    expect(bao.leases[0]?.lease_id).toMatch(/^tenant-acme\/database\//);
    expect([...notes.rows.values()][0]?.namespace).toBe('tenant-acme');
    await release?.();
    expect(bao.requests.at(-1)).toMatchObject({ path: 'sys/leases/revoke', namespace: 'tenant-acme' });
    expect(bao.alive()).toEqual([]);
  });

  test('by path', async () => {
    const { bao, get } = await setUp(BY_PATH);
    await get(REF, ofAcme);
    expect(bao.requests.at(-1)).toMatchObject({ path: 'tenant-acme/database/creds/reader', namespace: '' });
  });

  test.each([
    'tenant-globex/database',
    'tenant-acme/database',
    'teams/initech/database',
    '../database',
    'a/../b',
    'sys/leases',
    'auth/token',
    '',
  ])('no engine path leads out of a tenant’s part: %j', async (engine_path) => {
    const { bao, get } = await setUp();
    for (const principal of [ofNobody, ofAcme]) {
      await expect(get({ ...REF, engine_path }, principal)).rejects.toMatchObject({
        name: 'CREDENTIAL_UNAVAILABLE',
      });
    }
    expect(bao.requests.filter(({ path }) => path.includes('creds'))).toEqual([]);
  });

  test.each(['a/b', '..', ''])('nor does a role: %j', async (role) => {
    const { get } = await setUp();
    await expect(get({ ...REF, role }, ofNobody)).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });
});

describe('what goes wrong', () => {
  test('a lost answer is not asked for again, and said to be in doubt', async () => {
    const { bao, get } = await setUp(BY_NAMESPACE, 300);
    await get(REF, ofNobody);
    let asked = 0;
    bao.intercept(({ path }, response) => {
      if (!path.includes('creds')) return false;
      asked += 1;
      if (asked === 1) response.destroy();
      return true;
    });
    await expect(get(REF, ofNobody)).rejects.toThrow(/if one was made after all, it ends with its lease/);
    expect(asked).toBe(1);
    await expect(get(REF, ofNobody)).rejects.toThrow(/OpenBao did not answer in time; if one was made/);
    expect(asked).toBe(2);
  });

  test('an answer that comes too late for the call: what was made is revoked', async () => {
    const { bao, get, leases } = await setUp(BY_NAMESPACE, 200);
    await get(REF, ofNobody);
    bao.intercept((request, response) => {
      if (!request.path.includes('creds')) return false;
      setTimeout(() => bao.answer(request, response), 400);
      return true;
    });
    await expect(get(REF, ofNobody)).rejects.toThrow(/OpenBao did not answer in time/);
    await expect.poll(() => bao.leases, PATIENTLY).toHaveLength(2);
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([bao.leases[0]]);
    expect(leases.open()).toBe(1);
  });

  test.each([
    ['an unknown role', { make: () => null }, /OpenBao refuses the request as malformed/],
    ['a GET where it wants a POST', { post: true }, /OpenBao does not support it there \(405\)/],
  ])('%s', async (_, engine, message) => {
    const { bao, get } = await setUp();
    bao.dynamic('database', engine);
    await expect(get(REF, ofNobody)).rejects.toThrow(message);
  });

  test('a credential without the field is revoked at once', async () => {
    const { bao, get } = await setUp();
    await expect(get({ ...REF, field: 'token' }, ofNobody)).rejects.toThrow('the secret has no field token');
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('a credential whose lease cannot be noted is revoked and not used', async () => {
    const { bao, get, notes } = await setUp();
    notes.fail = true;
    await expect(get(REF, ofNobody)).rejects.toThrow('the disk is full');
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('a revocation that fails is tried again', async () => {
    const { bao, get, notes, leases } = await setUp();
    const { release } = (await get(REF, ofNobody)) as ResolvedCredential;
    let refused = 0;
    bao.intercept(({ path }, response) => {
      if (path !== 'sys/leases/revoke' || refused === 1) return false;
      refused += 1;
      response.writeHead(500);
      response.end('{"errors":["out of order"]}');
      return true;
    });
    await release?.();
    expect(bao.alive()).toEqual([]);
    await leases.close();
    expect(notes.rows.size).toBe(0);
  });

  test('a revocation that the engine cannot do now is left to OpenBao, which goes on trying', async () => {
    const { bao, get, notes, leases } = await setUp();
    const { release } = (await get(REF, ofNobody)) as ResolvedCredential;
    bao.outage(true);
    await release?.();
    const asked = bao.requests.filter(({ path }) => path === 'sys/leases/revoke');
    expect(asked.map(({ body }) => body.sync)).toEqual([true, false]);
    await leases.close();
    expect(notes.rows.size).toBe(0);
    bao.outage(false);
    expect(bao.alive()).toEqual([]);
  });

  test('the notes of many leases are forgotten at once', async () => {
    const { get, notes, leases } = await setUp();
    const forgets: number[] = [];
    const { forget } = notes;
    notes.forget = async (lease_ids) => {
      forgets.push(lease_ids.length);
      await forget(lease_ids);
    };
    const all = await Promise.all(Array.from({ length: 20 }, () => get(REF, ofNobody)));
    await Promise.all(all.map(({ release }) => release?.()));
    await leases.close();
    expect(forgets).toEqual([20]);
    expect(notes.rows.size).toBe(0);
  });

  test('a revocation that does not come through is left to the next run', async () => {
    const { bao, openbao, get, notes, leases } = await setUp();
    const { release } = (await get(REF, ofNobody)) as ResolvedCredential;
    bao.seal(true);
    const released = release?.();
    await leases.close();
    await released;
    expect(notes.rows.size).toBe(1);
    bao.seal(false);
    keeperOf(openbao, notes, 'run-2');
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
    await expect.poll(() => notes.rows.size, PATIENTLY).toBe(0);
  });

  test('a lease that OpenBao will never revoke is forgotten', async () => {
    const { bao, get, notes, leases } = await setUp();
    const { release } = (await get(REF, ofNobody)) as ResolvedCredential;
    bao.intercept(({ path }, response) => {
      if (path !== 'sys/leases/revoke') return false;
      response.writeHead(400);
      response.end('{"errors":["invalid lease"]}');
      return true;
    });
    await release?.();
    await leases.close();
    expect(notes.rows.size).toBe(0);
  });
});
