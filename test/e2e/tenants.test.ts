/**
 * Two tenants, `acme` and `bolt`, each with all that a tenant can have, on one gateway: every route and every kind of
 * manifest is tried from one at what is the other's. The routes are asked of the applications and the kinds of their
 * registry, so that a new one without a case fails here.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Router } from '@koa/router';
import type Koa from 'koa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { KINDS, type Kind } from '../../src/manifest/kind.ts';
import { type ControlPlaneDeps, createControlPlane } from '../../src/serve/http/control/control-plane.ts';
import { COLLECTIONS } from '../../src/serve/http/control/resources.ts';
import { createDataPlane, type DataPlaneDeps } from '../../src/serve/http/data-plane.ts';
import { createDatabases, type Databases } from '../store/databases.ts';
import { type Caller, canonical, newKey, signText, signToken, unixNow } from '../support/caller.ts';
import {
  PATIENTLY,
  startTestGateway,
  type TestGateway,
  type WrittenManifest,
  writeManifest,
} from '../support/gateway.ts';
import { newOperatorKey, OPERATOR_ISSUER, operatorClaims, operatorToken } from '../support/operator.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

type Name = 'acme' | 'bolt';
const NAMES: readonly Name[] = ['acme', 'bolt'];
const other = (name: Name): Name => (name === 'acme' ? 'bolt' : 'acme');

const caller = (iss: string): Caller => ({ iss, issuer_key: newKey(), agent_key: newKey() });
/** Makes tokens of any tenant. */
const platform = caller('https://platform.invalid');
/** Each makes tokens of its own tenant alone. */
const own: Readonly<Record<Name, Caller>> = {
  acme: caller('https://acme.invalid'),
  bolt: caller('https://bolt.invalid'),
};
const gatewayKey = newKey();
const enrollment = (name: Name): string => `seal-enroll-${name}-abcdefghijklmnopqrstuvwxyz012345`;

const secretOf = (name: Name): string => `token-of-${name}-0123456789`;

interface World {
  readonly gateway: TestGateway;
  /** Posts JSON to the data plane. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Said>;
  /** Asks the control listener, as an operator. */
  ask(method: string, path: string, body?: unknown): Promise<Said>;
}

interface Said {
  readonly status: number;
  readonly body: Body;
}

// biome-ignore lint/suspicious/noExplicitAny: what a reply holds is what the tests are about
type Body = any;

let server: PostgresServer;
let databases: Databases;
let upstream: Upstream;
/** What the upstream was sent, in order. */
const credentials: (string | null)[] = [];
let dir: string;
const operator = newOperatorKey();
beforeAll(async () => {
  server = await startPostgres();
  databases = await createDatabases(server);
  // Says which path was asked for: each tenant's API has a base path of its own.
  upstream = await startUpstream((request, response) => {
    credentials.push(request.headers.authorization ?? null);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url }));
  });
  dir = mkdtempSync(join(tmpdir(), 'seal-tenants-'));
  for (const [name, value] of [
    ['operators.json', operator.jwks],
    ['issuer.jwk', { ...gatewayKey.private_key.export({ format: 'jwk' }), kid: 'k1' }],
    ['enrollments.json', NAMES.map(enrollmentOf)],
  ] as const)
    writeFileSync(join(dir, name), JSON.stringify(value), { mode: 0o600 });
  for (const name of NAMES) {
    const secret = join(dir, 'secrets', `tenant-${name}`, 'crm');
    mkdirSync(secret, { recursive: true });
    writeFileSync(join(secret, 'token'), secretOf(name), { mode: 0o600 });
  }
});
afterAll(async () => {
  await upstream?.close();
  await databases?.close();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** `url` of the database; null: a SQLite file of its own. */
async function startWorld(url: string | null): Promise<World> {
  const gateway = await startTestGateway({
    manifests: [...NAMES.flatMap(manifestsOf), ...globals()],
    spec: {
      ...(url !== null && { database: { url } }),
      auth: {
        operator_jwks_uri: pathToFileURL(join(dir, 'operators.json')).href,
        operator_jwt_issuer: OPERATOR_ISSUER,
      },
      issuer: { key_file: join(dir, 'issuer.jwk') },
      credentials: { files: { dir: join(dir, 'secrets') } },
      attestation: {
        verifiers: [{ name: 'enrollment', type: 'enrollment_token', file: join(dir, 'enrollments.json') }],
      },
    },
  });
  const token = operatorToken(operator, operatorClaims());
  const send = async (address: string, init: RequestInit): Promise<Said> => {
    const response = await fetch(address, init);
    return { status: response.status, body: await response.json() };
  };
  return {
    gateway,
    post: (path, body, headers = {}) =>
      send(gateway.url() + path, { method: 'POST', headers, body: JSON.stringify(body) }),
    ask: (method, path, body) =>
      send(gateway.controlUrl() + path, {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  };
}

function enrollmentOf(name: Name) {
  return {
    workload_id: `${name}-runner`,
    token_sha256: createHash('sha256').update(enrollment(name)).digest('hex'),
    security_contexts: ['*'],
    tenant: name,
    expires_at: new Date(Date.now() + 60_000).toISOString(),
  };
}

/** Things of one tenant: `own` and `lookup` have the same names in both, the others begin with the tenant's. */
function manifestsOf(name: Name): WrittenManifest[] {
  const api = (title: string): WrittenManifest => ({
    kind: 'ApiSpec',
    name: title,
    tenant: name,
    spec: {
      source: { inline: documentOf() },
      base_url: `${upstream.url}/${name}`,
      egress: { allow_private: true },
      credential: { static_ref: { key: 'crm', field: 'token' } },
      inject: { bearer: {} },
    },
  });
  const tool = (title: string): WrittenManifest => ({
    kind: 'ToolWorkflow',
    name: title,
    tenant: name,
    spec: {
      description: `Of ${name}.`,
      api_spec: 'crm',
      input_schema: { type: 'object' },
      steps: [{ name: 'one', operation_id: 'look' }],
    },
  });
  const context = (title: string, more: Record<string, unknown> = {}): WrittenManifest => ({
    kind: 'SecurityContext',
    name: title,
    tenant: name,
    spec: { description: `Of ${name}.`, capabilities: [{ tool_pattern: '*', ...more }] },
  });
  return [
    { kind: 'Tenant', name, spec: { display_name: name, rate_limit: { calls: 10_000, per_seconds: 60 } } },
    issuerOf(own[name], 'own', name),
    context('own'),
    context(`${name}-context`),
    context('few', { rate_limit: { calls: 2, per_seconds: 600 } }),
    api('crm'),
    api(`${name}-crm`),
    tool('lookup'),
    tool(`${name}.lookup`),
    {
      kind: 'SemanticJudge',
      name: `${name}-judge`,
      tenant: name,
      spec: { url: `${upstream.url}/judge`, protocol: 'http_json' },
    },
    {
      kind: 'CliTool',
      name: `${name}.cli`,
      tenant: name,
      spec: {
        description: `Of ${name}.`,
        image: 'tools/cli:1',
        command: ['cli'],
        allowed_subcommands: ['get'],
        require_semantic_judge: true,
        semantic_judge: `${name}-judge`,
      },
    },
  ];
}

function documentOf() {
  const look = { operationId: 'look', responses: { 200: { description: 'Fine.' } } };
  return { openapi: '3.0.3', info: { title: 'x', version: '1' }, paths: { '/look': { get: look } } };
}

function issuerOf({ iss, issuer_key, agent_key }: Caller, name: string, tenant?: Name): WrittenManifest {
  return {
    kind: 'TokenIssuer',
    name,
    ...(tenant !== undefined && { tenant }),
    spec: {
      issuer: iss,
      audience: 'seal-gateway',
      algorithms: ['EdDSA'],
      jwks: { inline: { keys: [issuer_key.jwk] } },
      envelope_keys: { inline: { keys: [agent_key.jwk] } },
      replay: 'envelope',
      allowed_security_contexts: ['*'],
    },
  };
}

function globals(): WrittenManifest[] {
  return [
    issuerOf(platform, 'platform'),
    { kind: 'SecurityContext', name: 'all', spec: { capabilities: [{ tool_pattern: '*' }] } },
    {
      kind: 'SecurityContext',
      name: 'few-of-all',
      spec: { capabilities: [{ tool_pattern: '*', rate_limit: { calls: 2, per_seconds: 600 } }] },
    },
  ];
}

interface Asking {
  readonly tenant?: string | null;
  readonly context?: string;
  readonly by?: Caller;
  readonly claims?: Record<string, unknown>;
}

function tokenOf({ tenant = 'bolt', context = 'own', by = platform, claims = {} }: Asking = {}): string {
  const now = unixNow();
  const standard = {
    iss: by.iss,
    aud: 'seal-gateway',
    sub: 'agent-7',
    jti: randomUUID(),
    iat: now,
    exp: now + 300,
  };
  return signToken({
    claims: { ...standard, scp: context, ...(tenant !== null && { tenant_id: tenant }), ...claims },
    token_header: { alg: 'EdDSA' },
    token_key: by.issuer_key,
  } as never);
}

/** A signed call; whatever names another tenant beside the token is in it. */
function envelopeOf(
  payload: Record<string, unknown>,
  asking: Asking = {},
  { token = tokenOf(asking), key = (asking.by ?? platform).agent_key } = {},
) {
  const timestamp = unixNow();
  const named = { id: randomUUID(), tenant_id: other('bolt'), tenant: other('bolt'), ...payload };
  const signature = signText(canonical({ payload: named, security_token: token, timestamp }), key);
  return {
    ...{ protocol: 'seal/v1', security_token: token, signature, payload: named, timestamp },
    ...{ tenant_id: other('bolt'), tenant: other('bolt') },
  };
}

const toolCall = (name: string, args: Record<string, unknown> = {}) => ({
  jsonrpc: '2.0',
  method: 'tools/call',
  params: { name, arguments: args },
});

/** What an answer says, without what differs from call to call. */
function saying(answer: { status: number; body: Body }, ...names: string[]): unknown {
  const { code, name, message = '', details } = answer.body.error ?? {};
  const { execution_id: _, ...rest } = details ?? {};
  const hidden = names.reduce(
    (text, one) => text.replaceAll(one, 'NAME'),
    `${message} ${JSON.stringify(rest)}`,
  );
  return { status: answer.status, code, name, hidden };
}

const HEADERS = { 'x-tenant-id': 'acme', 'x-tenant': 'acme' };

/** Calls as bolt, who says in every place but his token that he is acme. */
const call = (world: World, tool: string, asking: Asking = {}, args: Record<string, unknown> = {}) =>
  world.post('/v1/invoke?tenant=acme&tenant_id=acme', envelopeOf(toolCall(tool, args), asking), HEADERS);

const explore = (world: World, api_spec_id: string, asking: Asking = {}) => {
  const args = { api_spec_id, operation_id: 'look', parameters: {}, fields: ['$.path'] };
  return world.post('/v1/explorer?tenant=acme', envelopeOf(toolCall('api.explore', args), asking), HEADERS);
};

/** What there is no such thing of looks the same as what is another's. */
async function expectHidden(
  ask: (name: string) => Promise<{ status: number; body: Body }>,
  foreign: string,
): Promise<void> {
  const none = 'no-such.thing';
  const [there, nowhere] = [await ask(foreign), await ask(none)];
  expect(there.status).toBeGreaterThanOrEqual(400);
  expect(saying(there, foreign)).toEqual(saying(nowhere, none));
}

type Case = (world: World) => Promise<void>;

async function provision(world: World, tenant: Name, more: Record<string, unknown> = {}) {
  const key = newKey();
  const { status, body } = await world.ask('POST', '/v1/seal/sessions', {
    ...{ execution_id: randomUUID(), agent_id: 'agent-7', security_context: 'own', tenant_id: tenant },
    public_key_b64: Buffer.from(String(key.jwk.x), 'base64url').toString('base64'),
    ...more,
  });
  return { key, status, body };
}

async function invocation(world: World, path: string): Promise<void> {
  const send = (
    payload: Record<string, unknown>,
    asking?: Asking,
    signing?: Parameters<typeof envelopeOf>[2],
  ) => world.post(`${path}?tenant=acme`, envelopeOf(payload, asking, signing), HEADERS);
  const code = async (...sent: Parameters<typeof send>) =>
    (await send(...sent)).body.error?.code ?? 'executed';

  // The same name is another tool for each.
  for (const tenant of NAMES)
    expect((await send(toolCall('lookup'), { tenant })).body.result).toEqual({ path: `/${tenant}/look` });
  expect((await send({ tool: 'lookup', arguments: { tenant_id: 'acme' } })).body.result).toEqual({
    path: '/bolt/look',
  });
  await expectHidden((tool) => send(toolCall(tool)), 'acme.lookup');
  await expectHidden((tool) => send(toolCall(tool), { tenant: null, context: 'all' }), 'acme.lookup');
  await expectHidden((context) => send(toolCall('lookup'), { context }), 'acme-context');
  const listed = await send({ jsonrpc: '2.0', method: 'tools/list' });
  expect(JSON.stringify(listed.body.result)).toContain('bolt.lookup');
  expect(JSON.stringify(listed.body.result)).not.toMatch(/acme/);

  // An issuer of one tenant makes no tokens of the other, nor of none.
  expect(await code(toolCall('lookup'), { by: own.bolt })).toBe('executed');
  for (const tenant of ['acme', null])
    expect(await code(toolCall('lookup'), { by: own.bolt, tenant })).toBe(2000);
  expect(await code(toolCall('lookup'), { tenant: 'nobody' })).toBe(2000);

  // A session of the other tenant: by its token and a key of one's own, by one's own token and its execution id.
  const { key, body } = await provision(world, 'acme');
  const { execution_id, security_token } = body;
  expect(await code(toolCall('lookup'), {}, { token: security_token, key: platform.agent_key })).toBe(1001);
  const claims = { exec_id: execution_id };
  expect(await code(toolCall('lookup'), { claims })).toBe(1001);
  expect(await code(toolCall('lookup'), {}, { token: tokenOf({ claims }), key })).toBe(1004);
  expect((await send(toolCall('lookup'), {}, { token: security_token, key })).body.result).toEqual({
    path: '/acme/look',
  });
}

/** Every collection answers an operator, and `?tenant=` narrows; nobody else is answered. */
function collection(path: string, kind: Kind): Readonly<Record<string, Case>> {
  const written = (name: string) => ({ metadata: { name }, spec: { description: 'x' } });
  const write = (method: string, suffix: string): Case => {
    return async (world) => {
      await expectOperatorsOnly(world, method, path + suffix.replace(':name', 'x'));
      const drafted = (tenant: Name) =>
        world.ask(method, `${path}${suffix.replace(':name', 'x')}?tenant=${tenant}`, written('x'));
      for (const tenant of NAMES) {
        const { status, body } = await drafted(tenant);
        expect([status, body.error.name]).toEqual([405, 'METHOD_NOT_ALLOWED']);
        const { file, identity } = body.error.details;
        if (file !== null) expect(file).toMatch(new RegExp(`^tenants/${tenant}/`));
        if (identity !== null) expect(identity.tenant).toBe(tenant);
      }
    };
  };
  return {
    [`GET ${path}`]: async (world) => {
      await expectOperatorsOnly(world, 'GET', path);
      const of = async (query: string) =>
        (await world.ask('GET', path + query)).body.items.map(
          (item: { tenant: string | null }) => item.tenant,
        );
      expect(await of('')).toEqual(expect.arrayContaining(['acme', 'bolt']));
      expect(new Set(await of('?tenant=bolt'))).toEqual(new Set(['bolt']));
      expect(await of('?tenant=nobody')).toEqual([]);
    },
    [`GET ${path}/:name`]: async (world) => {
      const { items } = (await world.ask('GET', `${path}?tenant=acme`)).body;
      const { name } = items[0];
      await expectOperatorsOnly(world, 'GET', `${path}/${name}`);
      const found = await world.ask('GET', `${path}/${name}?tenant=acme`);
      expect(found.body).toMatchObject({ kind, tenant: 'acme', name });
      const elsewhere = await world.ask('GET', `${path}/${name}?tenant=bolt`);
      if (elsewhere.status === 200) expect(elsewhere.body.tenant).toBe('bolt');
      else expect(elsewhere.status).toBe(404);
      expect((await world.ask('GET', `${path}/${name}`)).status).toBe(404);
    },
    [`POST ${path}`]: write('POST', ''),
    ...Object.fromEntries(
      ['PUT', 'PATCH', 'DELETE'].map((method) => [`${method} ${path}/:name`, write(method, '/:name')]),
    ),
  };
}

/** A tenant's token, however good, opens no route of operators. */
async function expectOperatorsOnly(world: World, method: string, path: string): Promise<void> {
  const { body } = await provision(world, 'bolt');
  for (const token of [null, tokenOf(), tokenOf({ tenant: null, context: 'all' }), body.security_token]) {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(world.gateway.controlUrl() + path, { method, headers });
    expect([method, path, answer.status]).toEqual([method, path, 401]);
    expect(JSON.stringify(await answer.json())).not.toMatch(/acme/);
  }
}

const DATA_ROUTES: Readonly<Record<string, Case>> = {
  'POST /v1/invoke': (world) => invocation(world, '/v1/invoke'),
  'POST /v1/seal/invoke': (world) => invocation(world, '/v1/seal/invoke'),
  async 'POST /v1/explorer'(world) {
    for (const tenant of NAMES) {
      const { body } = await explore(world, 'crm', { tenant });
      expect(body.result.sliced_data).toEqual({ '$.path': [`/${tenant}/look`] });
    }
    await expectHidden((api) => explore(world, api), 'acme-crm');
    await expectHidden((api) => explore(world, api, { tenant: null, context: 'all' }), 'acme-crm');
    await expectHidden((context) => explore(world, 'crm', { context }), 'acme-context');
    // A tenant's token in the place of an operator's.
    const asked = { api_spec_id: 'acme-crm', operation_id: 'look', parameters: {}, fields: ['$.path'] };
    const answer = await world.post('/v1/explorer', asked, { authorization: `Bearer ${tokenOf()}` });
    expect(answer.status).toBe(401);
  },
  async 'GET /v1/tools'(world) {
    const list = async (asking: Asking) => {
      const headers = { authorization: `Bearer ${tokenOf(asking)}`, ...HEADERS };
      const response = await fetch(`${world.gateway.url()}/v1/tools?tenant=acme&tenant_id=acme`, { headers });
      return { status: response.status, body: (await response.json()) as Body };
    };
    for (const tenant of NAMES) {
      const { body } = await list({ tenant });
      const names = body.map(({ name }: { name: string }) => name);
      expect(names).toEqual(
        expect.arrayContaining([`${tenant}.lookup`, `${tenant}.cli`, 'lookup', 'api.explore']),
      );
      expect(body.find(({ name }: { name: string }) => name === 'lookup').description).toBe(`Of ${tenant}.`);
      // Nor in descriptions and schemas, such as the explorer's list of APIs.
      expect(JSON.stringify(body)).not.toMatch(new RegExp(other(tenant)));
    }
    expect(JSON.stringify((await list({ tenant: null, context: 'all' })).body)).not.toMatch(/acme|bolt/);
    await expectHidden((context) => list({ context }), 'acme-context');
  },
  async 'POST /v1/seal/attest'(world) {
    const attest = (body: Record<string, unknown>, proof: string) => {
      const public_key = Buffer.from(String(newKey().jwk.x), 'base64url').toString('base64');
      const sent = { public_key, security_context: 'own', tenant_id: 'acme', tenant: 'acme', ...body };
      return world.post('/v1/seal/attest?tenant=acme', sent, {
        authorization: `Bearer ${proof}`,
        ...HEADERS,
      });
    };
    const refused = await attest({ workload_id: 'acme-runner' }, enrollment('bolt'));
    expect([refused.status, refused.body.error_code]).toEqual([401, 3000]);
    for (const security_context of ['acme-context', 'no-such-context']) {
      const { body } = await attest({ workload_id: 'bolt-runner', security_context }, enrollment('bolt'));
      expect(body).toEqual({
        status: 'error',
        error_code: 3001,
        message: expect.not.stringContaining('acme'),
      });
    }
    const made = await attest({ workload_id: 'bolt-runner' }, enrollment('bolt'));
    expect(made.status).toBe(200);
    const session = await world.ask('GET', `/v1/seal/sessions/${made.body.session_id}`);
    expect(session.body).toMatchObject({ tenant_id: 'bolt', agent_id: 'bolt-runner' });
    expect(
      JSON.parse(Buffer.from(made.body.security_token.split('.')[1], 'base64url').toString()),
    ).toMatchObject({
      tenant_id: 'bolt',
    });
  },
  ...Object.fromEntries(
    ['/.well-known/jwks.json', '/healthz', '/readyz'].map((path): [string, Case] => [
      `GET ${path}`,
      async (world) => {
        const response = await fetch(world.gateway.url() + path);
        expect(response.status).toBe(200);
        expect(await response.text()).not.toMatch(/acme|bolt/);
      },
    ]),
  ),
};

const SESSIONS = '/v1/seal/sessions';
const CONTROL_ROUTES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(
    [...COLLECTIONS].flatMap(([path, kind]) => Object.entries(collection(`/v1/${path}`, kind))),
  ),
  'GET /v1/status': (world) => expectOperatorsOnly(world, 'GET', '/v1/status'),
  'GET /v1/manifests': (world) => expectOperatorsOnly(world, 'GET', '/v1/manifests'),
  async 'GET /v1/events'(world) {
    await expectOperatorsOnly(world, 'GET', '/v1/events');
    const execution_id = randomUUID();
    // Two tenants may use one execution id: each event has its own tenant.
    for (const tenant of NAMES) {
      const claims = { exec_id: execution_id };
      expect((await call(world, 'lookup', { tenant, claims })).status).toBe(200);
      expect((await call(world, 'no.such', { tenant, claims, context: 'nowhere' })).status).toBe(403);
    }
    const of = async (query: string) => (await world.ask('GET', `/v1/events?${query}`)).body.events;
    const own_events = await of(`tenant=bolt&execution_id=${execution_id}`);
    expect(own_events.length).toBeGreaterThanOrEqual(3);
    expect(JSON.stringify(own_events)).not.toMatch(/acme/);
    expect(await of(`tenant=nobody&execution_id=${execution_id}`)).toEqual([]);
    for (const event of await of('tenant=bolt&limit=1000')) expect(event.tenant_id).toBe('bolt');
  },
  async [`POST ${SESSIONS}`](world) {
    await expectOperatorsOnly(world, 'POST', SESSIONS);
    const made = await provision(world, 'acme');
    expect(made.status).toBe(200);
    // A context of another tenant, a token of another tenant, a session that another tenant has.
    expect((await provision(world, 'bolt', { security_context: 'acme-context' })).body.error.code).toBe(4000);
    const execution_id = randomUUID();
    const security_token = tokenOf({ tenant: 'acme', claims: { exec_id: execution_id } });
    expect((await provision(world, 'bolt', { execution_id, security_token })).body.error.code).toBe(4000);
    const again = await provision(world, 'bolt', { execution_id: made.body.execution_id });
    expect([again.status, again.body.error.code]).toEqual([401, 1006]);
    const still = await world.ask('GET', `${SESSIONS}/${made.body.execution_id}`);
    expect(still.body).toMatchObject({ tenant_id: 'acme', session_status: 'Active' });
  },
  async [`GET ${SESSIONS}`](world) {
    await expectOperatorsOnly(world, 'GET', SESSIONS);
    await provision(world, 'acme');
    await provision(world, 'bolt');
    const of = async (query: string) =>
      (await world.ask('GET', `${SESSIONS}?${query}`)).body.sessions.map((one: Body) => one.tenant_id);
    expect(new Set(await of(''))).toEqual(new Set(NAMES));
    expect(new Set(await of('tenant=bolt'))).toEqual(new Set(['bolt']));
    expect(await of('tenant=nobody')).toEqual([]);
  },
  async [`GET ${SESSIONS}/:execution_id`](world) {
    const { body } = await provision(world, 'acme');
    await expectOperatorsOnly(world, 'GET', `${SESSIONS}/${body.execution_id}`);
    const shown = (await world.ask('GET', `${SESSIONS}/${body.execution_id}`)).body;
    expect(shown.tenant_id).toBe('acme');
    expect(JSON.stringify(shown)).not.toContain(body.security_token);
  },
  async [`DELETE ${SESSIONS}/:execution_id`](world) {
    const { body } = await provision(world, 'acme');
    await expectOperatorsOnly(world, 'DELETE', `${SESSIONS}/${body.execution_id}`);
    const still = await world.ask('GET', `${SESSIONS}/${body.execution_id}`);
    expect(still.body.session_status).toBe('Active');
    expect((await world.ask('DELETE', `${SESSIONS}/${body.execution_id}`)).status).toBe(200);
    const revoked = (await world.gateway.trail.query({ event_type: 'SessionRevoked' })).at(-1);
    expect(revoked).toMatchObject({ tenant_id: 'acme', execution_id: body.execution_id });
  },
  async 'GET /healthz'(world) {
    expect(await (await fetch(`${world.gateway.controlUrl()}/healthz`)).json()).toEqual({ status: 'ok' });
  },
};

/** How a manifest is doing, by what is in the directory. */
const statusOf = async (world: World, kind: Kind, tenant: string | null, name: string) => {
  const { manifests } = (await world.ask('GET', '/v1/status')).body;
  return manifests.find((one: Body) => one.kind === kind && one.tenant === tenant && one.name === name);
};

const writeFor = async (world: World, manifest: WrittenManifest, status: string) => {
  writeManifest(world.gateway.manifests, manifest);
  const { kind, tenant = null, name } = manifest;
  const state = () => statusOf(world, kind as Kind, tenant, name);
  await expect.poll(async () => (await state())?.status, PATIENTLY).toBe(status);
  return state();
};

const workflow = (tenant: Name, name: string, api_spec: string): WrittenManifest => ({
  kind: 'ToolWorkflow',
  name,
  tenant,
  spec: {
    description: 'x',
    api_spec,
    input_schema: { type: 'object' },
    steps: [{ name: 'one', operation_id: 'look' }],
  },
});

const KIND_CASES: Readonly<Record<Kind, Case>> = {
  async ApiSpec(world) {
    await expectHidden((api) => explore(world, api), 'acme-crm');
    const blocked = await writeFor(world, workflow('bolt', 'bolt.thief', 'acme-crm'), 'Invalid');
    expect(blocked.reason).toMatch(/acme-crm/);
    expect((await call(world, 'bolt.thief')).body.error.code).toBe(4002);
  },
  async ToolWorkflow(world) {
    await expectHidden((tool) => call(world, tool), 'acme.lookup');
    expect((await call(world, 'lookup')).body.result).toEqual({ path: '/bolt/look' });
  },
  async CliTool(world) {
    await expectHidden((tool) => call(world, tool, {}, { subcommand: 'get', args: [] }), 'acme.cli');
  },
  async SemanticJudge(world) {
    const stolen = manifestsOf('bolt').find(({ kind }) => kind === 'CliTool')!;
    const spec = { ...stolen.spec, semantic_judge: 'acme-judge' };
    const state = await writeFor(world, { ...stolen, name: 'bolt.judged', spec }, 'Invalid');
    expect(state.reason).toMatch(/acme-judge/);
    expect((await call(world, 'bolt.judged', {}, { subcommand: 'get', args: [] })).body.error.code).toBe(
      4002,
    );
  },
  async SecurityContext(world) {
    await expectHidden((context) => call(world, 'lookup', { context }), 'acme-context');
    // Counted for each tenant: of the same agent, tool and context, be it each one's own or one of both.
    for (const context of ['few', 'few-of-all']) {
      const few = async (tenant: Name) => (await call(world, 'lookup', { tenant, context })).status;
      expect([await few('acme'), await few('acme'), await few('acme')]).toEqual([200, 200, 429]);
      expect([await few('bolt'), await few('bolt'), await few('bolt')]).toEqual([200, 200, 429]);
    }
  },
  async TokenIssuer(world) {
    for (const tenant of ['acme', null, 'nobody']) {
      const { body } = await call(world, 'lookup', { by: own.bolt, tenant, context: 'all' });
      expect(body.error.code).toBe(2000);
    }
    // A tenant cannot take the global issuer from everybody.
    const taken: WrittenManifest = issuerOf({ ...own.bolt, iss: platform.iss }, 'taken', 'bolt');
    await writeFor(world, taken, 'Invalid');
    expect((await call(world, 'lookup', { tenant: 'acme' })).status).toBe(200);
    const forged = { ...platform, issuer_key: own.bolt.issuer_key, agent_key: own.bolt.agent_key };
    expect((await call(world, 'lookup', { by: forged })).status).toBe(401);
  },
  async Tenant(world) {
    // Its limits are its own.
    const bolt = (more: Record<string, unknown>) => ({
      kind: 'Tenant',
      name: 'bolt',
      spec: { display_name: 'bolt', ...more },
    });
    const codeOf = async (asking: Asking = {}) =>
      (await call(world, 'lookup', asking)).body.error?.code ?? 'executed';
    const change = (more: Record<string, unknown>): void =>
      writeManifest(world.gateway.manifests, bolt(more));
    const session = await provision(world, 'bolt');
    const inSession = async (): Promise<unknown> => {
      const { security_token: token } = session.body;
      const answer = await world.post(
        '/v1/invoke',
        envelopeOf(toolCall('lookup'), {}, { token, key: session.key }),
      );
      return answer.body.error?.code ?? 'executed';
    };
    expect([await codeOf(), await inSession()]).toEqual(['executed', 'executed']);
    change({ allowed_security_contexts: ['all'] });
    await expect.poll(() => codeOf(), PATIENTLY).toBe(2000);
    expect(await codeOf({ context: 'all' })).toBe('executed');
    expect([await codeOf({ tenant: 'acme' }), await inSession()]).toEqual(['executed', 2000]);
    change({ suspended: true });
    await expect.poll(() => codeOf({ context: 'all' }), PATIENTLY).toBe(2000);
    expect([await codeOf(), await codeOf({ by: own.bolt }), await inSession()]).toEqual([2000, 2000, 2000]);
    expect((await explore(world, 'crm')).body.error.code).toBe(2000);
    const listed = await fetch(`${world.gateway.url()}/v1/tools`, {
      headers: { authorization: `Bearer ${tokenOf()}` },
    });
    expect(listed.status).toBe(403);
    expect((await provision(world, 'bolt')).body.error.code).toBe(4000);
    // The other tenant has not noticed.
    expect([await codeOf({ tenant: 'acme' }), (await provision(world, 'acme')).status]).toEqual([
      'executed',
      200,
    ]);
    change({});
    await expect.poll(() => inSession(), PATIENTLY).toBe('executed');
  },
};

/** Every route of an application that its router has, as `METHOD path`. */
function routesOf(app: Koa): string[] {
  const routers = app.middleware.flatMap((middleware) => {
    const { router } = middleware as { readonly router?: Router };
    return router === undefined ? [] : [router];
  });
  expect(routers).toHaveLength(1);
  return routers.flatMap(({ stack }) =>
    stack.flatMap(({ path, methods }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${String(path)}`),
    ),
  );
}

test('every route has a case', () => {
  // They are built and not asked: what they would need is not there.
  const data = routesOf(createDataPlane({ log: {} } as DataPlaneDeps));
  expect(Object.keys(DATA_ROUTES).sort()).toEqual(data.sort());
  const control = routesOf(createControlPlane({} as ControlPlaneDeps));
  const writes = [...COLLECTIONS.keys()].flatMap((path) => [
    `POST /v1/${path}`,
    ...['PUT', 'PATCH', 'DELETE'].map((method) => `${method} /v1/${path}/:name`),
  ]);
  expect(Object.keys(CONTROL_ROUTES).sort()).toEqual([...control, ...writes, 'GET /healthz'].sort());
});

test('every kind has a case', () => {
  expect(Object.keys(KIND_CASES).sort()).toEqual([...KINDS].sort());
});

describe.each([
  ['SQLite', async () => null],
  ['Postgres', () => databases.fresh()],
] as [string, () => Promise<string | null>][])('with %s, one tenant from the other', (_, urlOf) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(await urlOf());
  });
  afterAll(async () => world?.gateway.close());

  test.each(Object.entries({ ...DATA_ROUTES, ...CONTROL_ROUTES }))('%s', (_route, run) => run(world));
  test.each(Object.entries(KIND_CASES))('%s', (_kind, run) => run(world));

  test('the metrics tell of no tenant', async () => {
    const page = await (await fetch(`${world.gateway.metricsUrl()}/metrics`)).text();
    expect(page).toContain('seal_gateway_info');
    expect(page).not.toMatch(/acme|bolt/);
  });

  test('credentials are those of the tenant of the token, whatever an ApiSpec names', async () => {
    for (const tenant of NAMES) {
      expect((await call(world, 'lookup', { tenant })).status).toBe(200);
      expect(credentials.at(-1)).toBe(`Bearer ${secretOf(tenant)}`);
    }
    const api = manifestsOf('bolt').find(({ kind }) => kind === 'ApiSpec')!;
    const credential = { static_ref: { key: 'tenant-acme/crm', field: 'token' } };
    await writeFor(world, { ...api, name: 'bolt-thief', spec: { ...api.spec, credential } }, 'Ready');
    await writeFor(world, workflow('bolt', 'bolt.greedy', 'bolt-thief'), 'Ready');
    const before = credentials.length;
    const { status, body } = await call(world, 'bolt.greedy');
    expect([status, body.error.code]).toEqual([502, 4100]);
    expect(credentials).toHaveLength(before);
  });

  test('each event of a call has the tenant of its token', async () => {
    for (const tenant of NAMES) {
      const { body } = await call(world, 'lookup', { tenant });
      const events = await world.gateway.trail.query({ execution_id: body.meta.execution_id });
      expect(events.length).toBeGreaterThanOrEqual(3);
      expect(new Set(events.map((one) => one.tenant_id))).toEqual(new Set([tenant]));
    }
  });
});
