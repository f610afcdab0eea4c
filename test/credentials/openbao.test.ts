/** The client before a server that behaves as OpenBao does, well and badly. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createOpenBao, type OpenBao, type OpenBaoOptions } from '../../src/credentials/openbao.ts';
import type { OpenBaoAuth } from '../../src/credentials/openbao-login.ts';
import { problemOf } from '../../src/credentials/openbao-problem.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { silentLog } from '../../src/log.ts';
import { selfSigned } from '../execute/certificate.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { type OpenBaoStandIn, type StandInOptions, startOpenBao } from '../support/openbao.ts';

const READ = { method: 'GET', path: 'secret/data/crm', namespace: null } as const;

async function server(options: StandInOptions = {}): Promise<OpenBaoStandIn> {
  const bao = await startOpenBao(options);
  onTestFinished(() => bao.close());
  bao.kv('secret', 2);
  bao.put('secret', 'crm', { token: 'value-of-crm' });
  return bao;
}

function client(bao: { readonly url: string }, more: Partial<OpenBaoOptions> = {}): OpenBao {
  const options: OpenBaoOptions = {
    addr: bao.url,
    cluster_addrs: [],
    namespace: null,
    timeout_ms: 2_000,
    tls: { ca: null, cert: null, key: null },
    auth: { method: 'token', token: new Secret('none') },
    ...more,
  };
  const openbao = createOpenBao(options, { clock: systemClock, log: silentLog });
  onTestFinished(() => openbao.close());
  return openbao;
}

const tokenAuth = (token: string): OpenBaoAuth => ({ method: 'token', token: new Secret(token) });
const approle = (secret_id = 'the-secret-id'): OpenBaoAuth => ({
  method: 'approle',
  mount: 'approle',
  role_id: 'role-1',
  secret_id: new Secret(secret_id),
});
const acceptsSecretId = (body: Record<string, unknown>) =>
  body.role_id === 'role-1' && body.secret_id === 'the-secret-id';
const loginsOf = ({ requests }: OpenBaoStandIn) => requests.filter(({ path }) => path.endsWith('/login'));

function fileWith(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'seal-bao-')), 'file');
  writeFileSync(file, text);
  return file;
}

describe('logging in', () => {
  test('with a token', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    expect((await openbao.read(READ)).status).toBe(200);
    expect(openbao.status()).toMatchObject({ logged_in: true, expires_at: null, problem: null });
  });

  test('with AppRole', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    const openbao = client(bao, { auth: approle() });
    expect((await openbao.read(READ)).status).toBe(200);
    expect(loginsOf(bao)).toMatchObject([
      { method: 'POST', path: 'auth/approle/login', namespace: '', token: undefined },
    ]);
  });

  test('with AppRole and a secret id in a file, which is read each time', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    const file = fileWith('old-secret-id\n');
    const openbao = client(bao, { auth: { ...(approle() as object), secret_id: { file } } as OpenBaoAuth });
    await expect(openbao.read(READ)).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
    writeFileSync(file, 'the-secret-id\n');
    await expect.poll(() => openbao.read(READ).catch(() => null), PATIENTLY).toMatchObject({ status: 200 });
  });

  test.each(['kubernetes', 'jwt'] as const)('with the JWT of a file: %s', async (method) => {
    const bao = await server();
    bao.login('k8s/eu', { accepts: ({ role, jwt }) => role === 'gateway' && jwt === 'a.b.c' });
    const openbao = client(bao, {
      auth: { method, mount: 'k8s/eu', role: 'gateway', jwt_file: fileWith('a.b.c\n') },
    });
    expect((await openbao.read(READ)).status).toBe(200);
    expect(loginsOf(bao)[0]?.path).toBe('auth/k8s/eu/login');
  });

  test('in a namespace', async () => {
    const bao = await server();
    bao.namespace('tools');
    bao.login('tools/approle', { accepts: acceptsSecretId });
    const openbao = client(bao, { auth: approle(), namespace: 'tools' });
    expect((await openbao.read(READ)).status).toBe(200);
    expect(loginsOf(bao)[0]?.namespace).toBe('tools');
  });

  test('once for a hundred calls at a time', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    const openbao = client(bao, { auth: approle() });
    await Promise.all(Array.from({ length: 100 }, () => openbao.read(READ)));
    expect(loginsOf(bao)).toHaveLength(1);
  });

  test('that is refused is told without the secret, and not tried again by every call', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    const lines: string[] = [];
    const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
    const options = {
      addr: bao.url,
      cluster_addrs: [],
      namespace: null,
      timeout_ms: 2_000,
      auth: approle('wrong-secret-id'),
    };
    const openbao = createOpenBao(
      { ...options, tls: { ca: null, cert: null, key: null } },
      { clock: systemClock, log },
    );
    onTestFinished(() => openbao.close());
    const errors = await Promise.all(
      Array.from({ length: 20 }, () => openbao.read(READ).catch((error) => error)),
    );
    expect(errors[0].message).toBe(
      'the gateway cannot log in to OpenBao: OpenBao refuses its role_id or secret_id (400)',
    );
    expect(loginsOf(bao)).toHaveLength(1);
    expect(lines.join('')).toContain('the login to OpenBao failed');
    expect(lines.join('') + JSON.stringify(errors)).not.toContain('wrong-secret-id');
  });
});

describe('a token that ends', () => {
  test('is renewed ahead of its end, also while nobody calls', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId, ttl: 1, max_ttl: 60 });
    const openbao = client(bao, { auth: approle() });
    await openbao.read(READ);
    await sleep(2_200);
    expect((await openbao.read(READ)).status).toBe(200);
    expect(bao.requests.filter(({ path }) => path === 'auth/token/renew-self').length).toBeGreaterThanOrEqual(
      2,
    );
    expect(loginsOf(bao)).toHaveLength(1);
  });

  test('and has reached its longest life is replaced by another login', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId, ttl: 1, max_ttl: 1 });
    const openbao = client(bao, { auth: approle() });
    await openbao.read(READ);
    await expect.poll(() => loginsOf(bao).length, PATIENTLY).toBeGreaterThan(1);
    expect((await openbao.read(READ)).status).toBe(200);
  });

  test('and cannot be renewed is replaced by another login', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId, ttl: 1, renewable: false });
    const openbao = client(bao, { auth: approle() });
    await openbao.read(READ);
    await expect.poll(() => loginsOf(bao).length, PATIENTLY).toBeGreaterThan(1);
    expect(bao.requests.some(({ path }) => path === 'auth/token/renew-self')).toBe(false);
  });

  test.each([false, true])(
    'in its last second is not taken for one without end (renewable: %s)',
    async (renewable) => {
      const bao = await server();
      const token = bao.token({ policies: ['root'], ttl: 1, max_ttl: 1, renewable });
      const openbao = client(bao, { auth: tokenAuth(token) });
      expect((await openbao.read(READ)).status).toBe(200);
      expect(openbao.status().expires_at).not.toBeNull();
      await sleep(2_100);
      await expect(openbao.read(READ)).rejects.toThrow(/OpenBao refuses its token \(403\)$/);
      expect(openbao.status()).toMatchObject({ logged_in: false, problem: expect.stringContaining('403') });
    },
  );

  test('because it was revoked is replaced once, for all who find out', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    const openbao = client(bao, { auth: approle() });
    await openbao.read(READ);
    bao.revokeToken(bao.requests.find(({ path }) => path === READ.path)!.token!);
    const replies = await Promise.all(Array.from({ length: 20 }, () => openbao.read(READ)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(loginsOf(bao)).toHaveLength(2);
  });

  test('is not replaced when a policy is what refuses', async () => {
    const bao = await server();
    bao.policy('little', { 'secret/data/other': ['read'] });
    bao.login('approle', { accepts: acceptsSecretId, policies: ['little'] });
    const openbao = client(bao, { auth: approle() });
    for (let round = 0; round < 3; round += 1) expect((await openbao.read(READ)).status).toBe(403);
    expect(loginsOf(bao)).toHaveLength(1);
  });
});

describe('a server that is not well', () => {
  test('sealed', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    bao.seal(true);
    expect(problemOf(await openbao.read(READ))).toBe('OpenBao is sealed');
    expect((await openbao.check()).health).toBe('sealed');
    bao.seal(false);
    expect((await openbao.read(READ)).status).toBe(200);
    expect((await openbao.check()).health).toBe('active');
  });

  test('sealed for a moment: a reading waits for it', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    bao.seal(true);
    setTimeout(() => bao.seal(false), 60);
    expect((await openbao.read(READ)).status).toBe(200);
  });

  test('a standby that hands on is as good as the active node', async () => {
    const bao = await server();
    bao.standby('forwards');
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    expect((await openbao.read(READ)).status).toBe(200);
    expect((await openbao.check()).health).toBe('standby');
  });

  test('without an active node', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    bao.standby('leaderless');
    expect(problemOf(await openbao.read(READ))).toBe('OpenBao has no active node');
  });

  test('a standby that redirects within the cluster is followed', async () => {
    const [active, standby] = [await server(), await server()];
    standby.standby({ redirect: active.url });
    const auth = tokenAuth(active.root_token);
    const openbao = client(standby, { auth, cluster_addrs: [active.url] });
    expect((await openbao.read(READ)).status).toBe(200);
  });

  test('a redirect out of the cluster is not: the token stays here', async () => {
    const [thief, bao] = [await server(), await server()];
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    bao.standby({ redirect: thief.url });
    expect(problemOf(await openbao.read(READ))).toMatch(
      /redirects to an address that is not one of its cluster/,
    );
    expect(thief.requests).toEqual([]);
  });

  test.each([
    ['no JSON', '<html>hello</html>'],
    ['JSON that is no object', '[1]'],
    ['too much', `{"data":"${'x'.repeat(1_100_000)}"}`],
  ])('answers with %s', async (_, text) => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    bao.intercept((_request, response) => {
      response.writeHead(200);
      response.end(text);
      return true;
    });
    expect(problemOf(await openbao.read(READ))).toMatch(/something that is not of its API/);
  });

  test('is slow', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token), timeout_ms: 200 });
    await openbao.read(READ);
    bao.intercept(() => true);
    const started = performance.now();
    expect(problemOf(await openbao.read(READ))).toBe('OpenBao did not answer in time');
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  test('is not there', async () => {
    const bao = await startOpenBao();
    await bao.close();
    const openbao = client(bao, { auth: approle() });
    await expect(openbao.read(READ)).rejects.toThrow(
      /cannot log in to OpenBao: OpenBao could not be reached/,
    );
    expect((await openbao.check()).health).toBe('unreachable');
  });

  test('hangs up: a reading is tried again, anything else is not', async () => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    let hung = 0;
    bao.intercept((_request, response) => {
      if (hung === 2) return false;
      hung += 1;
      response.destroy();
      return true;
    });
    expect((await openbao.read(READ)).status).toBe(200);
    hung = 0;
    expect((await openbao.act({ ...READ, path: 'database/creds/reader' })).silence).toBe('lost');
    expect(hung).toBe(1);
  });
});

describe('a standby that answers by itself, and has not caught up', () => {
  test('does not know a new token: it is asked again, without another login', async () => {
    const bao = await server();
    bao.login('approle', { accepts: acceptsSecretId });
    let refused = 0;
    bao.intercept(({ path }, response) => {
      if (path !== READ.path || refused === 1) return false;
      refused += 1;
      response.writeHead(403).end('{"errors":["permission denied"]}');
      return true;
    });
    expect((await client(bao, { auth: approle() }).read(READ)).status).toBe(200);
    expect(loginsOf(bao)).toHaveLength(1);
  });

  test('says so (412): what makes something is asked for again too, for nothing was done', async () => {
    const bao = await server();
    bao.dynamic('database');
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    let behind = 0;
    bao.intercept(({ path }, response) => {
      if (!path.includes('creds') || behind === 2) return false;
      behind += 1;
      response.writeHead(412).end('{"errors":["required index state not present"]}');
      return true;
    });
    expect((await openbao.act({ ...READ, path: 'database/creds/reader' })).status).toBe(200);
    expect(bao.leases).toHaveLength(1);
  });

  test.each([429, 500, 502, 503, 473])('%i: what makes something is sent once', async (status) => {
    const bao = await server();
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await openbao.read(READ);
    let asked = 0;
    bao.intercept((_request, response) => {
      asked += 1;
      response.writeHead(status).end('{"errors":[]}');
      return true;
    });
    expect((await openbao.act({ ...READ, path: 'database/creds/reader' })).status).toBe(status);
    expect(asked).toBe(1);
  });
});

describe('TLS', () => {
  test('of a private authority, with a certificate of our own', async () => {
    const [ours, theirs] = [selfSigned('gateway'), selfSigned('localhost')];
    const bao = await server({ tls: { ...theirs, client_ca: ours.cert } });
    const auth = tokenAuth(bao.root_token);
    const trusting = client(bao, { auth, tls: { ca: theirs.cert, cert: ours.cert, key: ours.key } });
    expect((await trusting.read(READ)).status).toBe(200);
    const anonymous = client(bao, { auth, tls: { ca: theirs.cert, cert: null, key: null } });
    await expect(anonymous.read(READ)).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });

  test('that is not trusted is refused, whatever the environment says', async () => {
    process.env.VAULT_SKIP_VERIFY = '1';
    onTestFinished(() => void delete process.env.VAULT_SKIP_VERIFY);
    const bao = await server({ tls: selfSigned('localhost') });
    const openbao = client(bao, { auth: tokenAuth(bao.root_token) });
    await expect(openbao.read(READ)).rejects.toThrow(/could not be reached/);
    expect(bao.requests).toEqual([]);
  });
});
