/**
 * Credentials from a real gateway on: every path is walked by signed calls, the upstream gets what it should, and of
 * what was used nothing is found in any log line, event, reply, status or file.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Caller, type Draft, draftCall, newKey, seal } from '../support/caller.ts';
import {
  type Answer,
  PATIENTLY,
  startTestGateway,
  type TestGateway,
  type WrittenManifest,
} from '../support/gateway.ts';
import { CLIENT, type OidcServer, startOidc } from '../support/oidc.ts';
import { type OpenBaoStandIn, startOpenBao } from '../support/openbao.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const SECRETS = {
  static: 'st4tic-"secret"/of crm+ü',
  acme: 'st4tic-of-acme',
  secret_id: 'approle-secret-id-1',
  basic: 'b4sic-password',
};

const caller: Caller = { iss: 'https://agents.invalid', issuer_key: newKey(), agent_key: newKey() };
const log: string[] = [];
const replies: string[] = [];
const user_tokens: string[] = [];
/** What the upstream was sent, in order. */
const received: IncomingMessage[] = [];
let dir: string;
let bao: OpenBaoStandIn;
let oidc: OidcServer;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'seal-credentials-'));
  bao = await startOpenBao();
  oidc = await startOidc();
  upstream = await startUpstream((request, response) => {
    received.push(request);
    response.setHeader('content-type', request.url?.startsWith('/text') ? 'text/plain' : 'application/json');
    response.setHeader('x-echo', String(request.headers.authorization ?? ''));
    const said = echoOf(request);
    if (request.url?.startsWith('/broken')) response.writeHead(500);
    response.end(request.url?.startsWith('/text') ? said.join('\n') : JSON.stringify({ ok: true, said }));
  });
  bao.namespace('tenant-acme');
  for (const at of ['', 'tenant-acme/']) {
    bao.kv(`${at}secret`, 2);
    bao.dynamic(`${at}database`);
  }
  bao.put('secret', 'crm', { token: SECRETS.static });
  bao.put('secret', 'pair', { username: 'olga', password: SECRETS.basic });
  bao.put('tenant-acme/secret', 'crm', { token: SECRETS.acme });
  bao.policy('gateway', {
    'secret/data/*': ['read'],
    'database/creds/*': ['read'],
    'tenant-acme/secret/data/*': ['read'],
    'tenant-acme/database/creds/*': ['read'],
    'sys/leases/revoke': ['update'],
    'tenant-acme/sys/leases/revoke': ['update'],
  });
  bao.login('approle', {
    policies: ['gateway'],
    accepts: ({ secret_id }) => secret_id === SECRETS.secret_id,
  });
  gateway = await startTestGateway({
    manifests: manifests(),
    log: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
    spec: {
      auth: { development: true },
      credentials: {
        openbao: { addr: bao.url, auth: { approle: { role_id: 'role-1', secret_id: SECRETS.secret_id } } },
        token_exchange: {
          url: oidc.token_url,
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          user_issuer: oidc.issuer,
          user_audience: 'seal-gateway',
          user_jwks_uri: oidc.jwks_uri,
        },
      },
    },
  });
});
afterAll(async () => {
  await gateway?.close();
  for (const server of [bao, oidc, upstream]) await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Everything that it was sent, in every form that a careless server may echo it in. */
function echoOf({ headers, url }: IncomingMessage): string[] {
  const sent = String(headers.authorization ?? headers['x-api-key'] ?? url);
  const value = sent.replace(/^(?:Bearer|Basic) /, '');
  const decoded = sent.startsWith('Basic ') ? Buffer.from(value, 'base64').toString() : value;
  return [
    sent,
    decoded,
    Buffer.from(value).toString('base64'),
    encodeURIComponent(value),
    JSON.stringify(decoded),
  ];
}

function manifests(): WrittenManifest[] {
  const paths = ['/ok', '/text', '/broken'].map((path) => [
    path,
    { get: { operationId: path.slice(1), responses: { 200: { description: 'Fine.' } } } },
  ]);
  const document = {
    openapi: '3.0.3',
    info: { title: 'Upstream', version: '1' },
    paths: Object.fromEntries(paths),
  };
  const api = (name: string, credential: unknown, inject: unknown = { bearer: {} }): WrittenManifest => ({
    kind: 'ApiSpec',
    name,
    spec: {
      source: { inline: document },
      base_url: upstream.url,
      egress: { allow_private: true },
      credential,
      inject,
    },
  });
  const tool = (
    name: string,
    api_spec: string,
    steps: unknown[] = [{ name: 'only', method: 'GET', path: '/ok' }],
  ): WrittenManifest => ({
    kind: 'ToolWorkflow',
    name,
    spec: { description: 'A call.', api_spec, steps },
  });
  const step = (name: string, path: string) => ({ name, method: 'GET', path });
  const jit = { engine_path: 'database', role: 'reader' };
  const token = { static_ref: { key: 'crm', field: 'token' } };
  return [
    api('static', token),
    api('header', { static_ref: { key: 'crm' } }, { header: { name: 'X-Api-Key', prefix: 'key ' } }),
    api('query', token, { query: { name: 'api_key' } }),
    api('basic', { static_ref: { key: 'pair' } }, { basic: {} }),
    api('jit', { system_jit: { ...jit, field: 'password' } }),
    api('pair', { system_jit: jit }, { basic: {} }),
    api('delegated', { human_delegated: { target_service: 'crm' } }),
    api('auto', {
      auto: { system_jit: { ...jit, field: 'password' }, human_delegated: { target_service: 'crm' } },
    }),
    { ...api('explored', token), spec: { ...api('explored', token).spec, explorer: { operations: ['*'] } } },
    api('missing', { static_ref: { key: 'none' } }),
    tool('cred.static', 'static'),
    tool('cred.header', 'header'),
    tool('cred.query', 'query'),
    tool('cred.basic', 'basic'),
    tool('cred.jit', 'jit', [step('a', '/ok'), step('b', '/text'), step('c', '/ok')]),
    tool('cred.pair', 'pair'),
    tool('cred.broken', 'jit', [step('a', '/broken')]),
    tool('cred.text', 'static', [step('a', '/text')]),
    tool('cred.delegated', 'delegated'),
    tool('cred.auto', 'auto'),
    tool('cred.missing', 'missing'),
    tool('plain.delegated', 'delegated'),
    { kind: 'Tenant', name: 'acme', spec: { display_name: 'Acme' } },
    {
      kind: 'SecurityContext',
      name: 'main',
      spec: {
        capabilities: [
          { tool_pattern: 'cred.*', allow_human_delegated: true },
          { tool_pattern: 'plain.*' },
          { tool_pattern: 'api.explore', command_allowlist: ['explored:*'] },
        ],
      },
    },
    {
      kind: 'TokenIssuer',
      name: 'agents',
      spec: {
        issuer: caller.iss,
        audience: 'seal-gateway',
        algorithms: ['EdDSA'],
        jwks: { inline: { keys: [caller.issuer_key.jwk] } },
        envelope_keys: { inline: { keys: [caller.agent_key.jwk] } },
      },
    },
  ];
}

async function call(
  tool: string,
  more: { user?: string; claims?: Record<string, unknown> } = {},
): Promise<Answer> {
  const draft: Draft = draftCall(caller, tool);
  Object.assign(draft.claims, more.claims);
  if (more.user !== undefined) user_tokens.push(more.user);
  const response = await fetch(`${gateway.url()}/v1/invoke`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(more.user !== undefined && { 'x-user-token': more.user }),
    },
    body: JSON.stringify(seal(draft)),
  });
  const text = await response.text();
  replies.push(text, inspect(response.headers));
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Answer['body'] };
}

const exchangesOf = async (answer: Answer) =>
  (await gateway.eventsOf(answer)).filter(({ event_type }) => event_type.startsWith('CredentialExchange'));
const sent = () => received.at(-1)!;

describe('the upstream gets the credential, and the caller an answer without it', () => {
  test('static_ref as a bearer', async () => {
    const answer = await call('cred.static');
    expect(answer).toMatchObject({ status: 200, body: { result: { ok: true } } });
    expect(Buffer.from(sent().headers.authorization!, 'latin1').toString()).toContain('Bearer ');
    const [event] = await exchangesOf(answer);
    expect(event).toMatchObject({
      event_type: 'CredentialExchangeCompleted',
      payload: { resolution_path: 'static_ref', target_service: 'static', duration_ms: expect.any(Number) },
    });
  });

  test('in a header, the query, and as basic', async () => {
    expect((await call('cred.query')).status).toBe(200);
    expect(new URL(sent().url!, upstream.url).searchParams.get('api_key')).toBe(SECRETS.static);
    expect((await call('cred.basic')).status).toBe(200);
    const basic = Buffer.from(sent().headers.authorization!.slice(6), 'base64').toString();
    expect(basic).toBe(`olga:${SECRETS.basic}`);
    expect((await call('cred.header')).status).toBe(200);
    expect(sent().headers['x-api-key']).toMatch(/^key /);
  });

  test('as text, too', async () => {
    const { body } = await call('cred.text');
    expect(String(body.result)).toContain('[secret]');
  });

  test('to an exploration, whose slices are masked', async () => {
    const draft = draftCall(caller, 'api.explore', {
      api_spec_id: 'explored',
      operation_id: 'ok',
      parameters: {},
      fields: ['$.said', '$.ok'],
    });
    const response = await fetch(`${gateway.url()}/v1/explorer`, {
      method: 'POST',
      body: JSON.stringify(seal(draft)),
    });
    const text = await response.text();
    replies.push(text);
    expect(response.status, text).toBe(200);
    const { result } = JSON.parse(text) as { result: { sliced_data: Record<string, unknown[]> } };
    expect(result.sliced_data['$.ok']).toEqual([true]);
    expect(JSON.stringify(result.sliced_data['$.said'])).toContain('[secret]');
  });

  test('of the tenant', async () => {
    expect((await call('cred.static', { claims: { tenant_id: 'acme' } })).status).toBe(200);
    expect(sent().headers.authorization).toBe(`Bearer ${SECRETS.acme}`);
  });

  test('system_jit: one for all steps of a call, dead when the call is over', async () => {
    const before = bao.leases.length;
    const answer = await call('cred.jit');
    expect(answer.status).toBe(200);
    expect(bao.leases).toHaveLength(before + 1);
    const [event, ...more] = await exchangesOf(answer);
    expect(more).toEqual([]);
    expect(event?.payload).toMatchObject({
      resolution_path: 'system_jit',
      lease_id: bao.leases.at(-1)!.lease_id,
    });
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('system_jit: a reply does not wait for the revocation, which may be slow', async () => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    bao.intercept(({ path }, response) => {
      if (path !== 'sys/leases/revoke') return false;
      asked.resolve();
      void answered.promise.then(() => response.writeHead(503).end('{"errors":["not yet"]}'));
      return true;
    });
    expect((await call('cred.jit')).status).toBe(200);
    await asked.promise;
    expect(bao.alive()).toHaveLength(1);
    bao.intercept(null);
    answered.resolve();
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('system_jit as a pair, and of a tenant', async () => {
    expect((await call('cred.pair', { claims: { tenant_id: 'acme' } })).status).toBe(200);
    expect(bao.leases.at(-1)!.lease_id).toMatch(/^tenant-acme\//);
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('human_delegated', async () => {
    const user = await oidc.userToken({ sub: 'olga' });
    const answer = await call('cred.delegated', { user });
    expect(answer.status).toBe(200);
    expect(sent().headers.authorization).not.toContain(user);
    expect((await exchangesOf(answer))[0]?.payload).toMatchObject({
      resolution_path: 'human_delegated',
      target_service: 'crm',
      user: 'olga',
    });
  });

  test('auto: with a user and without', async () => {
    const alone = await call('cred.auto');
    const together = await call('cred.auto', { user: await oidc.userToken({ sub: 'ida' }) });
    const paths = await Promise.all(
      [alone, together].map(async (one) => (await exchangesOf(one))[0]?.payload.resolution_path),
    );
    expect(paths).toEqual(['system_jit', 'human_delegated']);
  });
});

describe('what cannot be had', () => {
  test('a secret that is not there is 4100, with its event', async () => {
    const answer = await call('cred.missing');
    expect(answer).toMatchObject({ status: 502, body: { error: { code: 4100 } } });
    expect((await exchangesOf(answer))[0]).toMatchObject({
      event_type: 'CredentialExchangeFailed',
      payload: { code: 4100 },
    });
  });

  test('a call that fails ends its lease as well, and quotes nothing', async () => {
    const answer = await call('cred.broken');
    expect(answer).toMatchObject({ status: 502, body: { error: { code: 4200 } } });
    expect(JSON.stringify(answer.body)).toContain('[secret]');
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
  });

  test('a user’s token that is missing, foreign or expired is 1004', async () => {
    for (const user of [
      undefined,
      'garbage',
      await oidc.userToken({ audience: 'crm' }),
      await oidc.userToken({ tenant: 'globex' }),
    ]) {
      const answer = await call('cred.delegated', user === undefined ? {} : { user });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 1004 } } });
    }
  });

  test('a capability that does not allow it is 2006, before anything is done', async () => {
    const answer = await call('plain.delegated', { user: await oidc.userToken({}) });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 2006 } } });
    expect((await gateway.eventsOf(answer)).map(({ event_type }) => event_type)).toEqual([
      'ToolCallRejected',
    ]);
  });

  test('sealed: 4100, and the status says so', async () => {
    bao.seal(true);
    const answer = await call('cred.static');
    bao.seal(false);
    expect(answer).toMatchObject({
      status: 502,
      body: { error: { code: 4100, message: expect.stringContaining('OpenBao is sealed') } },
    });
  });
});

test('status and readiness say how OpenBao is doing', async () => {
  const ready = await (await fetch(`${gateway.url()}/readyz`)).json();
  expect(ready).toMatchObject({ status: 'ready', openbao: 'active' });
});

describe('nothing that was used is found', () => {
  /** Each also as JSON, base64 and URLs hold it. */
  const used = () => {
    const values = [
      ...Object.values(SECRETS),
      CLIENT.secret,
      ...user_tokens.filter((token) => token.includes('.')),
      ...bao.leases.flatMap(({ data }) => Object.values(data).map(String)),
      ...bao.requests.flatMap(({ token }) => token ?? []),
      ...received.flatMap(({ headers }) => headers.authorization?.replace(/^\S+ /, '') ?? []),
    ];
    return new Set(
      values.flatMap((value) => [
        value,
        JSON.stringify(value).slice(1, -1),
        encodeURIComponent(value),
        Buffer.from(value).toString('base64').replace(/=+$/, ''),
        Buffer.from(value).toString('base64url'),
      ]),
    );
  };
  const found = (text: string) => [...used()].filter((value) => text.includes(value));

  test('in a reply', () => {
    expect(found(replies.join('\n'))).toEqual([]);
  });

  test('in what operators read', async () => {
    const pages = ['status', 'specs', 'specs/static', 'workflows', 'security-contexts', 'events?limit=200'];
    for (const page of pages) {
      const response = await fetch(`${gateway.controlUrl()}/v1/${page}`);
      const text = await response.text();
      expect(response.status, text).toBe(200);
      expect(found(text)).toEqual([]);
    }
  });

  test('in the log', async () => {
    await gateway.restart();
    expect(log.join('')).toContain('logged in to OpenBao');
    expect(found(log.join(''))).toEqual([]);
  });

  test('in the trail', async () => {
    const events = await gateway.trail.query({ limit: 10_000 });
    expect(
      events.filter(({ event_type }) => event_type === 'CredentialExchangeCompleted').length,
    ).toBeGreaterThan(8);
    expect(found(events.map((event) => JSON.stringify(event)).join('\n'))).toEqual([]);
  });

  test('in a file of the store', () => {
    const folder = dirname(gateway.database);
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)).toString('utf8'));
    expect(found(files.join('\n'))).toEqual([]);
  });

  test('though the search finds what there is', () => {
    expect(found(`x${encodeURIComponent(SECRETS.static)}x`)).not.toEqual([]);
    expect(used().size).toBeGreaterThan(40);
  });
});
