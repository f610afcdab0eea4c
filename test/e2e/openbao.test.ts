/**
 * The client of OpenBao and the paths that use it before a real server, which makes users of a real PostgreSQL:
 * `make ci`, which fetches the program. What it says here the stand-in of the other tests says as well.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  exportSPKI,
  generateKeyPair,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
} from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { systemClock } from '../../src/clock.ts';
import { createOpenBao, type OpenBao } from '../../src/credentials/openbao.ts';
import type { OpenBaoAuth } from '../../src/credentials/openbao-login.ts';
import { problemOf } from '../../src/credentials/openbao-problem.ts';
import { createTransitKey } from '../../src/credentials/openbao-transit.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { createReadSecret, createStaticRef } from '../../src/credentials/static-ref.ts';
import { createSystemJit } from '../../src/credentials/system-jit.ts';
import { keysInTransit } from '../../src/invoke/issuer-transit.ts';
import { createOwnIssuer } from '../../src/invoke/own-issuer.ts';
import { silentLog } from '../../src/log.ts';
import { BY_NAMESPACE, BY_PATH, keeperOf, memoryNotes, opened } from '../credentials/paths.ts';
import { selfSigned } from '../execute/certificate.ts';
import { type OpenBaoServer, openBaoProgram, startOpenBaoServer } from '../support/openbao-server.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';

const full = process.env.SEAL_TEST_FULL === '1';
const JIT = { kind: 'system_jit', engine_path: 'database', role: 'reader' } as const;
const READ = { method: 'GET', path: 'secret/data/crm', namespace: null } as const;
const acme = aTenant('acme');
const tenants = new Map([['acme', acme]]);
const ofNobody = aPrincipal({ tenants });
const ofAcme = aPrincipal({ tenant: acme, tenants });

describe.skipIf(!full)('a real OpenBao (SKIPPED without SEAL_TEST_FULL=1: make ci)', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;

  beforeAll(async () => {
    const program = openBaoProgram();
    if (program === null) throw new Error('there is no OpenBao in node_modules/.cache/openbao: make openbao');
    [bao, postgres] = await Promise.all([startOpenBaoServer(program), startPostgres()]);
    await bao.admin('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '1' } });
    await bao.admin('POST', 'sys/namespaces/tenant-acme', {});
    await bao.admin('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } }, 'tenant-acme');
    for (const namespace of [undefined, 'tenant-acme']) await mountDatabase(namespace);
    await bao.admin('POST', 'sys/policies/acl/gateway', { policy: POLICY });
    const data = { token: 't-1', port: 5432, list: [1, { a: true }], nothing: null };
    await bao.admin('POST', 'secret/data/crm', { data });
    await bao.admin('POST', 'secret/data/crm', { data: { token: 'of-acme' } }, 'tenant-acme');
    await bao.admin('POST', 'secret/data/tenant-acme/crm', { data: { token: 'by-path' } });
    await bao.admin('POST', 'kv/crm', { token: 'one', port: 1 });
  }, 120_000);
  afterAll(async () => {
    await bao?.close();
    await postgres?.close();
  });

  async function mountDatabase(namespace?: string): Promise<void> {
    const { host, username } = new URL(postgres.url);
    await bao.admin('POST', 'sys/mounts/database', { type: 'database' }, namespace);
    const config = {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: '*',
      connection_url: `postgresql://{{username}}:{{password}}@${host}/postgres?sslmode=disable`,
      username,
      password: 'any',
    };
    await bao.admin('POST', 'database/config/postgres', config, namespace);
    const made = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`;
    const role = { db_name: 'postgres', creation_statements: [made], default_ttl: '1h' };
    await bao.admin('POST', 'database/roles/reader', role, namespace);
  }

  function client(auth: OpenBaoAuth, timeout_ms = 5_000): OpenBao {
    const tls = { ca: null, cert: null, key: null };
    const openbao = createOpenBao(
      { addr: bao.url, cluster_addrs: [], namespace: null, timeout_ms, tls, auth },
      { clock: systemClock, log: silentLog },
    );
    onTestFinished(() => openbao.close());
    return openbao;
  }
  const root = () => client({ method: 'token', token: new Secret(bao.root_token) });

  async function appRole(role: object): Promise<OpenBaoAuth> {
    await bao.admin('POST', 'sys/auth/approle', { type: 'approle' }).catch(() => {});
    await bao.admin('POST', 'auth/approle/role/gateway', { token_policies: ['gateway'], ...role });
    const { data } = (await bao.admin('GET', 'auth/approle/role/gateway/role-id'))!;
    const { secret_id } = (await bao.admin('POST', 'auth/approle/role/gateway/secret-id', {}))!.data;
    return {
      ...{ method: 'approle', mount: 'approle', role_id: String(data.role_id) },
      secret_id: new Secret(String(secret_id)),
    };
  }

  function file(text: string): string {
    const dir = mkdtempSync(join(tmpdir(), 'seal-openbao-jwt-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, 'jwt'), text);
    return join(dir, 'jwt');
  }

  async function roles(): Promise<string[]> {
    const database = new pg.Client(postgres.url);
    await database.connect();
    const { rows } = await database.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'");
    await database.end();
    return rows.map(({ rolname }) => String(rolname));
  }

  describe('static_ref', () => {
    const get = (version: 1 | 2, mount: string, tenancy = BY_NAMESPACE) =>
      createStaticRef(createReadSecret({ openbao: root(), tenancy, mount, version }), systemClock);
    const ref = (key: string, field?: string) => ({ kind: 'static_ref', key, field }) as const;

    test('values of any type, of the tenant', async () => {
      expect(opened(await get(2, 'secret')(ref('crm'), ofNobody)).fields).toEqual({
        ...{ token: 't-1', port: '5432', list: '[1,{"a":true}]' },
      });
      expect(opened(await get(2, 'secret')(ref('crm'), ofAcme)).value).toBe('of-acme');
      expect(opened(await get(2, 'secret', BY_PATH)(ref('crm'), ofAcme)).value).toBe('by-path');
      expect(opened(await get(1, 'kv')(ref('crm', 'port'), ofNobody)).value).toBe('1');
      await expect(get(2, 'secret')(ref('crm', 'nothing'), ofNobody)).rejects.toThrow(/is null/);
    });

    test('what is deleted, destroyed, missing or somewhere else', async () => {
      for (const key of ['deleted', 'destroyed', 'ending']) {
        if (key === 'ending')
          await bao.admin('POST', `secret/metadata/${key}`, { delete_version_after: '1h' });
        await bao.admin('POST', `secret/data/${key}`, { data: { token: 't-1' } });
      }
      await bao.admin('DELETE', 'secret/data/deleted');
      await bao.admin('PUT', 'secret/destroy/destroyed', { versions: [1] });
      const of = (key: string, mount = 'secret', version: 1 | 2 = 2, principal = ofNobody) =>
        get(version, mount)(ref(key), principal).then(
          (credential) => opened(credential).value,
          (error: Error) => error.message,
        );
      // It will be deleted, and is not yet.
      expect(await of('ending')).toBe('t-1');
      expect(await of('deleted')).toBe('the latest version of the secret deleted is deleted');
      expect(await of('destroyed')).toBe('the secret destroyed is destroyed');
      expect(await of('missing')).toMatch(/^there is no secret missing/);
      expect(await of('missing', 'kv', 1)).toMatch(/^there is no secret missing/);
      expect(await of('crm', 'secret', 1)).toMatch(/keeps versions: its kv_version is 2/);
      const globex = aPrincipal({ tenant: aTenant('globex'), tenants });
      expect(await of('crm', 'secret', 2, globex)).toMatch(/has no namespace/);
    });
  });

  describe('system_jit', () => {
    function setUp(openbao = root()) {
      const notes = memoryNotes();
      const leases = keeperOf(openbao, notes);
      return { notes, leases, get: createSystemJit({ openbao, leases, tenancy: BY_NAMESPACE }) };
    }

    test('a user of this call, gone after it, with the rights that the guide names', async () => {
      const { get } = setUp(client(await appRole({ token_ttl: '1h' })));
      for (const principal of [ofNobody, ofAcme]) {
        const { fields, release, facts } = await get(JIT, principal);
        const { username = '' } = opened({ value: null, fields }).fields;
        expect(facts).toMatchObject({ lease_duration_seconds: 3600 });
        expect(await roles()).toEqual([username]);
        await release?.();
        expect(await roles()).toEqual([]);
        // Again is no error.
        await release?.();
      }
    });

    test('what cannot be made', async () => {
      const { get, leases } = setUp();
      await expect(get({ ...JIT, role: 'none' }, ofNobody)).rejects.toThrow(/no credential was made/);
      await expect(get({ ...JIT, engine_path: 'none' }, ofNobody)).rejects.toThrow(
        /has nothing there \(404\)/,
      );
      await expect(get({ ...JIT, field: 'none' }, ofNobody)).rejects.toThrow(/has no field none/);
      await expect.poll(roles).toEqual([]);
      expect(leases.open()).toBe(0);
    });

    test('a database that is down: the revocation is left to OpenBao', async () => {
      const { get, leases, notes } = setUp();
      const { release, facts } = await get(JIT, ofNobody);
      await postgres.halt();
      await release?.();
      await expect(get(JIT, ofNobody)).rejects.toThrow(/no credential was made/);
      await leases.close();
      expect(notes.rows.size).toBe(0);
      const { data } = (await bao.admin('POST', 'sys/leases/lookup', { lease_id: facts?.lease_id }))!;
      expect(data.ttl).toBeLessThanOrEqual(0);
      await postgres.start();
      await expect.poll(roles, { timeout: 60_000, interval: 500 }).toEqual([]);
    }, 90_000);
  });

  describe('logging in', () => {
    test('with AppRole; renewed up to its longest life, then once more', async () => {
      const openbao = client(await appRole({ token_ttl: '2s', token_max_ttl: '4s' }));
      for (let round = 0; round < 8; round += 1) {
        expect((await openbao.read(READ)).status).toBe(200);
        await sleep(800);
      }
      expect((await openbao.read({ ...READ, path: 'kv/crm' })).status).toBe(403);
    }, 20_000);

    test('with AppRole, and refused', async () => {
      const auth = (await appRole({})) as Extract<OpenBaoAuth, { method: 'approle' }>;
      const wrong = client({ ...auth, secret_id: new Secret('wrong') });
      await expect(wrong.read(READ)).rejects.toThrow(/OpenBao refuses its role_id or secret_id \(400\)$/);
      await expect(client({ ...auth, mount: 'none' }).read(READ)).rejects.toThrow(/no login there \(403\)$/);
    });

    test('with a JWT', async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      await bao.admin('POST', 'sys/auth/jwt', { type: 'jwt' });
      await bao.admin('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [await exportSPKI(publicKey)] });
      const role = {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: ['bao'],
        token_policies: ['gateway'],
      };
      await bao.admin('POST', 'auth/jwt/role/gateway', role);
      const jwt = (aud: string) =>
        new SignJWT({ aud, sub: 'gateway' })
          .setProtectedHeader({ alg: 'ES256' })
          .setIssuedAt()
          .setExpirationTime('1m')
          .sign(privateKey);
      const login = async (aud: string) =>
        client({ method: 'jwt', mount: 'jwt', role: 'gateway', jwt_file: file(`${await jwt(aud)}\n`) });
      expect((await (await login('bao')).read(READ)).status).toBe(200);
      await expect((await login('crm')).read(READ)).rejects.toThrow(/OpenBao refuses its role or JWT/);
    });

    test('as a service account of Kubernetes', async () => {
      // The part of its API that OpenBao asks whose token this is.
      const cluster = createServer((request, response) => {
        expect(request.url).toBe('/apis/authentication.k8s.io/v1/tokenreviews');
        const user = { username: 'system:serviceaccount:apps:gateway', uid: '1', groups: [] };
        const status = { authenticated: true, user };
        response.setHeader('content-type', 'application/json');
        response.statusCode = 201;
        response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }));
      });
      await new Promise<void>((resolve) => cluster.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void cluster.close());
      const { port } = cluster.address() as AddressInfo;
      await bao.admin('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
      await bao.admin('POST', 'auth/kubernetes/config', {
        kubernetes_host: `http://127.0.0.1:${port}`,
        ...{ disable_local_ca_jwt: true, kubernetes_ca_cert: selfSigned('cluster').cert },
      });
      await bao.admin('POST', 'auth/kubernetes/role/gateway', {
        bound_service_account_names: ['gateway'],
        bound_service_account_namespaces: ['apps'],
        token_policies: ['gateway'],
      });
      const { privateKey } = await generateKeyPair('RS256');
      const jwt = await new SignJWT({
        sub: 'system:serviceaccount:apps:gateway',
        'kubernetes.io': { namespace: 'apps', serviceaccount: { name: 'gateway', uid: '1' } },
      })
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuer('kubernetes')
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(privateKey);
      const openbao = client({
        ...{ method: 'kubernetes', mount: 'kubernetes', role: 'gateway' },
        jwt_file: file(jwt),
      });
      expect((await openbao.read(READ)).status).toBe(200);
    });

    test.each([
      ['periodic', { period: '2s' }, true],
      ['of a fixed longest life', { ttl: '1s', explicit_max_ttl: '2s' }, false],
      ['a batch token', { type: 'batch', ttl: '2s' }, false],
      ['not renewable', { ttl: '2s', renewable: false }, false],
    ])('with a token: %s', async (_, options, lives) => {
      const made = await bao.admin('POST', 'auth/token/create', { policies: ['gateway'], ...options });
      const openbao = client({ method: 'token', token: new Secret(made!.auth.client_token) });
      expect((await openbao.read(READ)).status).toBe(200);
      await sleep(3_500);
      const later = await openbao.read(READ).then(
        ({ status }) => status,
        (error: Error) => error.message,
      );
      if (lives) expect(later).toBe(200);
      else expect(later).toMatch(/cannot log in to OpenBao: OpenBao refuses its token \(403\)$/);
    });
  });

  test('the key of the gateway in the transit engine', async () => {
    await bao.admin('POST', 'sys/mounts/transit', { type: 'transit' });
    await bao.admin('POST', 'transit/keys/gateway', { type: 'ed25519' });
    const policy =
      'path "transit/keys/gateway" {capabilities=["read"]} path "transit/sign/gateway" {capabilities=["update"]}';
    await bao.admin('POST', 'sys/policies/acl/issuer', { policy });
    const made = await bao.admin('POST', 'auth/token/create', { policies: ['issuer'] });
    const openbao = client({ method: 'token', token: new Secret(made!.auth.client_token) });
    let now = 0;
    const clock = { now: systemClock.now, monotonic: () => now };
    const transit = createTransitKey({ openbao, namespace: null, mount: 'transit', key: 'gateway' });
    const keys = keysInTransit(transit, { clock, log: silentLog });
    const issuer = createOwnIssuer({ issuer: 'gw', audience: 'gw', token_ttl_seconds: 60 }, keys);
    const verified = async (token: string) =>
      (await jwtVerify(token, createLocalJWKSet((await issuer.jwks()) as JSONWebKeySet))).payload.sub;

    const first = await issuer.issue({ sub: 'a' });
    expect(await verified(first)).toBe('a');
    await bao.admin('POST', 'transit/keys/gateway/rotate', {});
    now += 61_000;
    await issuer.jwks();
    await expect.poll(async () => (await issuer.jwks()).keys.length).toBe(2);
    const second = await issuer.issue({ sub: 'b' });
    expect(await verified(second)).toBe('b');
    expect(await verified(first)).toBe('a');
    const kids = (await issuer.jwks()).keys.map(({ kid }) => kid);
    expect([second, first].map((token) => decodeProtectedHeader(token).kid)).toEqual(kids);

    // A version that is not to be used any more, found out when it does not sign.
    await bao.admin('POST', 'transit/keys/gateway/rotate', {});
    await bao.admin('POST', 'transit/keys/gateway/config', {
      min_decryption_version: 3,
      min_encryption_version: 3,
    });
    const third = await issuer.issue({ sub: 'c' });
    expect(await verified(third)).toBe('c');
    await expect(verified(first)).rejects.toThrow('no applicable key found');
    await bao.admin('POST', 'transit/keys/other', { type: 'aes256-gcm96' });
    const other = createTransitKey({ openbao: root(), namespace: null, mount: 'transit', key: 'other' });
    await expect(other.versions()).rejects.toThrow('none of type ed25519');
    const missing = createTransitKey({ openbao: root(), namespace: null, mount: 'transit', key: 'none' });
    await expect(missing.versions()).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });

  test('a quota on requests', async () => {
    await bao.admin('POST', 'sys/quotas/rate-limit/few', { rate: 1, interval: '1s', path: 'kv/' });
    const openbao = root();
    const asked = { method: 'GET', path: 'kv/crm', namespace: null } as const;
    const answers = [await openbao.act(asked), await openbao.act(asked)].map(({ status }) => status);
    expect(answers).toEqual([200, 429]);
    // What passes is waited for.
    await bao.admin('DELETE', 'sys/quotas/rate-limit/few');
    expect((await openbao.read(asked)).status).toBe(200);
  });

  test('and sealed, at the end', async () => {
    const openbao = root();
    expect(await openbao.check()).toMatchObject({ health: 'active', version: expect.stringMatching(/^\d/) });
    expect((await openbao.read(READ)).status).toBe(200);
    await bao.admin('PUT', 'sys/seal');
    expect(problemOf(await openbao.read(READ))).toBe('OpenBao is sealed');
    expect((await openbao.check()).health).toBe('sealed');
  });
});

/** The rights that docs/guides/credentials.md names. */
const POLICY = `
path "secret/data/*"           { capabilities = ["read"] }
path "database/creds/reader"   { capabilities = ["read"] }
path "sys/leases/revoke"       { capabilities = ["update"] }
path "+/secret/data/*"         { capabilities = ["read"] }
path "+/database/creds/reader" { capabilities = ["read"] }
path "+/sys/leases/revoke"     { capabilities = ["update"] }
`;
