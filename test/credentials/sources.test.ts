/** What can be printed of the parts that hold secrets, and of the errors that a call ends in: nothing that is one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { createCredentials } from '../../src/credentials/call.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { createSources } from '../../src/credentials/sources.ts';
import type { CredentialRef } from '../../src/snapshot/snapshot.ts';
import { startOpenBao } from '../support/openbao.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { memoryNotes } from './paths.ts';

const SECRET = {
  kept: 'k3pt-"secret"',
  secret_id: 's3cret-id',
  client: 'cl13nt-secret',
  user: 'us3r.token.x',
};
const STATIC: CredentialRef = { kind: 'static_ref', key: 'crm', cache_seconds: 60 };
const JIT = { kind: 'system_jit', engine_path: 'database', role: 'reader' } as const;
const DELEGATED = { kind: 'human_delegated', target_service: 'crm' } as const;

test('sources, credentials, status, log, events and errors print none of the secrets that went through them', async () => {
  const bao = await startOpenBao();
  bao.kv('secret', 2);
  bao.put('secret', 'crm', { token: SECRET.kept });
  bao.dynamic('database');
  bao.login('approle', { accepts: ({ secret_id }) => secret_id === SECRET.secret_id });
  const printed: string[] = [];
  const show = (thing: unknown): void => {
    const whole = { depth: Number.POSITIVE_INFINITY, showHidden: true, maxArrayLength: null, getters: true };
    printed.push(inspect(thing, whole), JSON.stringify(thing) ?? '', String(thing));
  };
  const sources = createSources({
    settings: settings(bao.url),
    variables: null,
    verifyUser: async () => ({ subject: 'olga', tenant_id: null, expires_at: Date.now() / 1000 + 60 }),
    leases: memoryNotes(),
    bindings: null,
    holder: 'run-1',
    longest_call_ms: 60_000,
    clock: systemClock,
    log: pino({ level: 'trace' }, { write: (line: string) => void printed.push(line) }),
  });
  onTestFinished(async () => {
    await sources.close();
    await bao.close();
  });
  const all = createCredentials({ providers: sources.providers, clock: systemClock });
  const open = (more: Parameters<typeof aPrincipal>[0] = {}) =>
    all.open({ principal: aPrincipal(more), emit: show });

  const call = open();
  for (const ref of [STATIC, STATIC, JIT]) show(await call.resolve(ref, 'crm'));
  show(await call.forContainer(JIT, { kind: 'env', fields: { PASSWORD: 'password' } }, 'tool'));
  show(call);
  await call.end();

  const failures = async (...refs: CredentialRef[]): Promise<void> => {
    const user_token = new Secret(SECRET.user);
    const failing = open({ user_token, allow_human_delegated: true });
    for (const ref of refs) {
      const error = await failing.resolve(ref, 'crm').catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
      show(error);
    }
    await failing.end();
  };
  const uncached = { ...STATIC, cache_seconds: 0 };
  // Nobody listens where users' tokens are exchanged.
  await failures(
    DELEGATED,
    { ...uncached, key: 'none' },
    { ...JIT, field: 'none' },
    { ...uncached, field: 'x' },
  );
  bao.intercept((_request, response) => {
    response.socket?.end('HTTP/1.1 200 OK\r\nbad header\r\n\r\n');
    return true;
  });
  await failures(uncached, JIT);
  bao.intercept((_request, response) => {
    response.destroy();
    return true;
  });
  await failures(uncached, JIT);
  bao.intercept(({ body, token }, response) => {
    // A server that quotes what it was sent.
    response.writeHead(400).end(JSON.stringify({ errors: [`${token} ${JSON.stringify(body)}`] }));
    return true;
  });
  await failures(uncached, JIT, { ...uncached, key: '../crm' });
  bao.intercept(null);
  show(sources);
  show(sources.status());
  await expect.poll(() => bao.alive()).toEqual([]);

  const used = [
    ...Object.values(SECRET),
    ...bao.leases.flatMap(({ data }) => Object.values(data).map(String)),
    ...bao.requests.flatMap(({ token }) => token ?? []),
  ].flatMap((text) => [text, JSON.stringify(text).slice(1, -1), Buffer.from(text).toString('base64')]);
  expect(used.length).toBeGreaterThan(30);
  expect(printed.length).toBeGreaterThan(50);
  const everything = printed.join('\n');
  expect(used.filter((text) => everything.includes(text))).toEqual([]);
});

test('what a tenant has read, and keeps, is not another’s', async () => {
  const bao = await startOpenBao();
  for (const name of ['acme', 'globex']) {
    bao.namespace(`tenant-${name}`);
    bao.kv(`tenant-${name}/secret`, 2);
    bao.put(`tenant-${name}/secret`, 'crm', { token: `of-${name}` });
  }
  bao.login('approle', { accepts: () => true });
  const sources = createSources({
    ...{
      settings: settings(bao.url),
      variables: null,
      verifyUser: null,
      leases: memoryNotes(),
      bindings: null,
    },
    ...{ holder: 'run-1', longest_call_ms: 60_000, clock: systemClock, log: pino({ enabled: false }) },
  });
  onTestFinished(async () => {
    await sources.close();
    await bao.close();
  });
  const tenants = new Map(['acme', 'globex'].map((name) => [name, aTenant(name)]));
  const all = createCredentials({ providers: sources.providers, clock: systemClock });
  const read = async (name: string) => {
    const principal = aPrincipal({ tenant: tenants.get(name)!, tenants });
    const call = all.open({ principal, emit: () => {} });
    await call.resolve(STATIC, 'crm');
    return call.mask.text('of-acme of-globex');
  };
  const calls = Array.from({ length: 40 }, (_, at) => read(at % 2 === 0 ? 'acme' : 'globex'));
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['[secret] of-globex', 'of-acme [secret]']));
  expect(bao.requests.filter(({ path }) => path === 'secret/data/crm')).toHaveLength(2);
});

function settings(addr: string) {
  const dir = mkdtempSync(join(tmpdir(), 'seal-sources-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const credentials = {
    openbao: { addr, auth: { approle: { role_id: 'r', secret_id: SECRET.secret_id } } },
    token_exchange: {
      ...{ url: 'http://127.0.0.1:1/token', client_id: 'seal', client_secret: SECRET.client },
      ...{ user_issuer: 'https://id.example', user_audience: 'seal' },
      user_jwks_uri: 'https://id.example/jwks',
    },
  };
  const file = join(dir, 'gateway.yaml');
  const whole = { apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig', spec: { credentials } };
  writeFileSync(file, JSON.stringify(whole));
  return loadConfig(file, {}).config.credentials;
}
