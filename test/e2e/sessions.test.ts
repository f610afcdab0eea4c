/** docs/guides/sessions.md on a real gateway: sessions that an operator makes, and those that workloads ask for. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { canonical, type Key, newKey, signText, signToken, unixNow } from '../support/caller.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { startOpenBao } from '../support/openbao.ts';
import { type Body, type Served, serve } from './served.ts';

const issuerKey = newKey();
const KEY_FILE = JSON.stringify({ ...issuerKey.private_key.export({ format: 'jwk' }), kid: 'k1' });
const withKey = (dir: string) => ({ issuer: { key_file: join(dir, 'issuer.jwk') } });
const gatewayOf = (more: Parameters<typeof serve>[0] = {}) =>
  serve({ spec: withKey, ...more, files: { 'issuer.jwk': KEY_FILE, ...more.files } });

const rawKey = ({ jwk }: Key, encoding: BufferEncoding = 'base64'): string =>
  Buffer.from(String(jwk.x), 'base64url').toString(encoding);

function aSession(key: Key, more: Record<string, unknown> = {}) {
  return {
    ...{ execution_id: randomUUID(), agent_id: 'agent-7', security_context: 'plain' },
    ...{ public_key_b64: rawKey(key), ...more },
  };
}

/** An envelope of this session; each has a payload of its own. */
function envelope(key: Key, security_token: string, tool = 'plain.echo', timestamp = unixNow()) {
  const payload = {
    jsonrpc: '2.0',
    id: randomUUID(),
    method: 'tools/call',
    params: { name: tool, arguments: {} },
  };
  const signature = signText(canonical({ payload, security_token, timestamp }), key);
  return { protocol: 'seal/v1', security_token, signature, payload, timestamp };
}

async function provisioned(gateway: Served, key: Key, more: Record<string, unknown> = {}): Promise<Body> {
  const { status, body } = await gateway.ask('POST', '/v1/seal/sessions', aSession(key, more));
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
}

const codeOf = async (gateway: Served, sent: unknown): Promise<number | string> => {
  const { status, body } = await gateway.post('/v1/invoke', sent);
  return body.error?.code ?? `${status}`;
};

describe('a session that an operator makes', () => {
  test('one token is good for many calls, each envelope once, until it is revoked', async () => {
    const gateway = await gatewayOf();
    const key = newKey();
    const made = await provisioned(gateway, key);
    expect(made).toEqual({
      ...{ saved: true, status: 'success', session_status: 'Active', execution_id: expect.any(String) },
      ...{ security_token: expect.any(String), expires_at: expect.stringMatching(/Z$/) },
    });
    const { execution_id, security_token } = made;
    const first = envelope(key, security_token);
    const { body } = await gateway.post('/v1/invoke', first);
    expect(body).toMatchObject({ result: { path: '/echo' }, meta: { execution_id } });
    expect(await codeOf(gateway, first)).toBe(1007);
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    expect(await codeOf(gateway, envelope(newKey(), security_token))).toBe(1001);

    const path = `/v1/seal/sessions/${execution_id}`;
    expect((await gateway.ask('GET', path)).body).toMatchObject({
      session_status: 'Active',
      agent_id: 'agent-7',
    });
    const revoked = await gateway.ask('DELETE', path);
    expect(revoked).toMatchObject({
      status: 200,
      body: { status: 'success', execution_id, session_status: 'Revoked', revoked_at: expect.any(String) },
    });
    expect(await codeOf(gateway, envelope(key, security_token))).toBe(1006);
    // A second time it says the same, and nothing brings it back.
    expect((await gateway.ask('DELETE', path)).body).toEqual(revoked.body);
    const again = await gateway.ask('POST', '/v1/seal/sessions', aSession(key, { execution_id }));
    expect([again.status, again.body.error.code]).toEqual([401, 1006]);
    const shown = await gateway.ask('GET', '/v1/seal/sessions');
    expect(shown.body).toMatchObject({ sessions: [{ execution_id, session_status: 'Revoked' }], next: null });
    expect(JSON.stringify(shown.body)).not.toContain(security_token);
    expect((await gateway.events('SessionRevoked')).map(({ payload }) => payload)).toMatchObject([
      { agent_id: 'agent-7', revoked_by: 'olga@example.com' },
    ]);
    // The token itself is nowhere.
    expect(JSON.stringify(await gateway.events())).not.toContain(security_token);
  });

  test('patterns narrow: an empty list allows nothing, an absent one all that the context does', async () => {
    const gateway = await gatewayOf();
    const codes = async (allowed_tool_patterns: unknown): Promise<unknown[]> => {
      const key = newKey();
      const { security_token } = await provisioned(gateway, key, { allowed_tool_patterns });
      return Promise.all(
        ['plain.echo', 'plain.other'].map((tool) => codeOf(gateway, envelope(key, security_token, tool))),
      );
    };
    expect(await codes(undefined)).toEqual(['200', '200']);
    expect(await codes(['*'])).toEqual(['200', '200']);
    expect(await codes(['plain.e*'])).toEqual(['200', 2000]);
    expect(await codes([])).toEqual([2000, 2000]);
  });

  test('with a token of its own issuer the two must say the same', async () => {
    const orchestrator = newKey();
    const gateway = await gatewayOf({
      manifests: [
        {
          kind: 'TokenIssuer',
          name: 'orchestrator',
          spec: {
            issuer: 'https://orchestrator.example',
            audience: 'seal-gateway',
            algorithms: ['EdDSA'],
            jwks: { inline: { keys: [orchestrator.jwk] } },
          },
        },
      ],
    });
    const key = newKey();
    const execution_id = randomUUID();
    const token = (more: Record<string, unknown> = {}): string => {
      const claims = {
        ...{ iss: 'https://orchestrator.example', aud: 'seal-gateway', sub: 'agent-7', jti: randomUUID() },
        ...{ iat: unixNow(), exp: unixNow() + 300, scp: 'plain', exec_id: execution_id, ...more },
      };
      return signToken({ claims, token_header: { alg: 'EdDSA' }, token_key: orchestrator } as never);
    };
    // Without a session its tokens have no key to sign envelopes with.
    expect(await codeOf(gateway, envelope(key, token()))).toBe(1005);
    const security_token = token();
    expect(await provisioned(gateway, key, { execution_id, security_token })).toMatchObject({
      security_token,
    });
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    // A new token of the same execution is good too; one that says another thing is not.
    expect(await codeOf(gateway, envelope(key, token()))).toBe('200');
    for (const more of [{ sub: 'agent-8' }, { scp: 'none' }, { tenant_id: 'acme' }])
      expect(await codeOf(gateway, envelope(key, token(more))), JSON.stringify(more)).toBe(1004);
    for (const more of [{ sub: 'agent-8' }, { exec_id: 'other' }, { exp: unixNow() - 10 }]) {
      const { status, body } = await gateway.ask(
        'POST',
        '/v1/seal/sessions',
        aSession(key, { execution_id, security_token: token(more) }),
      );
      expect([status, body.error.code], JSON.stringify(more)).toEqual([400, 4000]);
    }
  });

  test('of a tenant: another tenant cannot take its id, and a suspended one has none', async () => {
    const gateway = await gatewayOf({
      manifests: [
        { kind: 'Tenant', name: 'other', spec: { display_name: 'Other' } },
        { kind: 'Tenant', name: 'gone', spec: { display_name: 'Gone', suspended: true } },
      ],
    });
    const key = newKey();
    const { execution_id, security_token } = await provisioned(gateway, key, { tenant_id: 'acme' });
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    const ask = async (more: object): Promise<unknown[]> => {
      const { status, body } = await gateway.ask(
        'POST',
        '/v1/seal/sessions',
        aSession(newKey(), { ...more }),
      );
      return [status, body.error?.code];
    };
    expect(await ask({ execution_id, tenant_id: 'other' })).toEqual([401, 1006]);
    expect(await ask({ tenant_id: 'gone' })).toEqual([400, 4000]);
    expect(await ask({ tenant_id: 'acme', security_context: 'none' })).toEqual([400, 4000]);
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    const { body } = await gateway.ask('GET', '/v1/seal/sessions?tenant=acme&active=true');
    expect(body.sessions.map((one: Body) => one.execution_id)).toEqual([execution_id]);
  });

  test('both spellings of its fields, keys in hex, times of both kinds; a new key takes the place of the old', async () => {
    const gateway = await gatewayOf();
    const [key, next] = [newKey(), newKey()];
    const execution_id = randomUUID();
    const soon = unixNow() + 100;
    const sent = { execution_id, sub: 'agent-7', security_context_name: 'plain', expires_at: soon };
    const first = await gateway.ask('POST', '/v1/seal/sessions', {
      ...sent,
      public_key_b64: rawKey(key, 'hex'),
    });
    expect(first.body.expires_at).toBe(new Date(soon * 1000).toISOString());
    const again = await provisioned(gateway, next, { execution_id, expires_at: new Date(soon * 1000) });
    expect(await codeOf(gateway, envelope(next, again.security_token))).toBe('200');
    expect(await codeOf(gateway, envelope(key, again.security_token))).toBe(1001);
    // The old token names the old key.
    expect(await codeOf(gateway, envelope(next, first.body.security_token))).toBe(1004);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      'a key of 31 bytes',
      { public_key_b64: Buffer.alloc(31, 7).toString('base64') },
      /public_key_b64: 31 bytes/,
    ],
    ['a key of small order', { public_key_b64: `01${'00'.repeat(31)}` }, /small order/],
    ['no key', { public_key_b64: undefined }, /public_key_b64: expected 32 bytes/],
    ['no agent', { agent_id: undefined }, /agent_id: missing/],
    ['two agents', { sub: 'agent-8' }, /agent_id and sub differ/],
    ['a field that is none', { allowed_tools: [] }, /allowed_tools: there is no such field/],
    [
      'patterns that are none',
      { allowed_tool_patterns: 'plain.*' },
      /allowed_tool_patterns: expected a list/,
    ],
    ['a time that has passed', { expires_at: 1 }, /expires_at is in the past/],
    ['a time that is none', { expires_at: 'tomorrow' }, /expires_at: expected ISO 8601/],
    ['a context that is none', { security_context: 'nowhere' }, /security_context nowhere grants nothing/],
    ['a token that is none', { security_token: 'x' }, /security_token: not a JWT/],
  ])('%s is refused, and says what is wrong', async (_, more, message) => {
    const gateway = await gatewayOf();
    const { status, body } = await gateway.ask('POST', '/v1/seal/sessions', aSession(newKey(), more));
    expect([status, body.error.code]).toEqual([400, 4000]);
    expect(body.error.message).toMatch(message);
    expect(await gateway.events('SessionCreated')).toEqual([]);
  });

  test('without a key of its own the gateway says how to get one', async () => {
    const gateway = await serve();
    const { status, body } = await gateway.ask('POST', '/v1/seal/sessions', aSession(newKey()));
    expect([status, body.error.message]).toEqual([400, expect.stringContaining('set issuer.key_file')]);
    expect(await fetch(`${gateway.data}/.well-known/jwks.json`).then((answer) => answer.json())).toEqual({
      keys: [],
    });
  });

  test('a token of the gateway is good within its session alone', async () => {
    const gateway = await gatewayOf();
    const key = newKey();
    const claims = {
      ...{
        iss: 'seal-gateway',
        aud: 'seal-gateway',
        sub: 'a',
        jti: 'j',
        iat: unixNow(),
        exp: unixNow() + 60,
      },
      ...{ scp: 'plain', cnf: { jwk: key.jwk } },
    };
    const forged = signToken({ claims, token_header: { alg: 'EdDSA' }, token_key: issuerKey } as never);
    expect(await codeOf(gateway, envelope(key, forged))).toBe(1005);
    const tools = await fetch(`${gateway.data}/v1/tools`, { headers: { authorization: `Bearer ${forged}` } });
    expect(tools.status).toBe(401);
  });
});

test('keys are changed without ending a session: the new one signs, the old one is believed', async () => {
  const gateway = await gatewayOf();
  const key = newKey();
  const old = await provisioned(gateway, key);
  const second = { ...newKey().private_key.export({ format: 'jwk' }), kid: 'k2' };
  const next = join(gateway.dir, 'next.jwk');
  writeFileSync(next, JSON.stringify({ keys: [second, JSON.parse(KEY_FILE)] }), { mode: 0o600 });
  renameSync(next, join(gateway.dir, 'issuer.jwk'));
  const kids = async (): Promise<string[]> => {
    const answer = await fetch(`${gateway.data}/.well-known/jwks.json`);
    const { keys } = (await answer.json()) as { keys: { kid: string; d?: string }[] };
    expect(keys.every((one) => one.d === undefined)).toBe(true);
    return keys.map(({ kid }) => kid);
  };
  await expect.poll(kids, { ...PATIENTLY, interval: 500 }).toEqual(['k2', 'k1']);
  const made = await provisioned(gateway, key);
  expect(JSON.parse(Buffer.from(made.security_token.split('.')[0], 'base64url').toString()).kid).toBe('k2');
  expect(await codeOf(gateway, envelope(key, made.security_token))).toBe('200');
  expect(await codeOf(gateway, envelope(key, old.security_token))).toBe('200');
});

describe('with the key in the transit engine of OpenBao', () => {
  async function inTransit() {
    const bao = await startOpenBao();
    onTestFinished(() => bao.close());
    bao.transit('transit', 'gateway');
    bao.policy('issuer', { 'transit/keys/gateway': ['read'], 'transit/sign/gateway': ['update'] });
    const token = bao.token({ policies: ['issuer'] });
    const gateway = await serve({
      spec: () => ({
        issuer: { transit: { key: 'gateway' } },
        credentials: { openbao: { addr: bao.url, auth: { token } } },
      }),
    });
    const kids = async (): Promise<string[]> => {
      const answer = await fetch(`${gateway.data}/.well-known/jwks.json`);
      expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
      return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
    };
    return { bao, gateway, kids };
  }
  const kidOf = (token: string): string =>
    JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid;

  test('sessions are made and believed, and no private key is in the gateway', async () => {
    const { bao, gateway, kids } = await inTransit();
    const key = newKey();
    const { security_token } = await provisioned(gateway, key);
    expect(await kids()).toEqual([kidOf(security_token)]);
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    const signed = bao.requests.filter(({ path }) => path === 'transit/sign/gateway');
    expect(signed).toMatchObject([{ method: 'POST', body: { key_version: 1 } }]);
    // Calls need no word of OpenBao, also while it is away.
    const before = bao.requests.length;
    bao.seal(true);
    expect(await codeOf(gateway, envelope(key, security_token))).toBe('200');
    expect(bao.requests.slice(before).filter(({ path }) => path.startsWith('transit/'))).toEqual([]);
    const refused = await gateway.ask('POST', '/v1/seal/sessions', aSession(newKey()));
    expect([refused.status, refused.body.error.code]).toEqual([502, 4100]);
    expect(refused.body.error.message).toContain('sealed');
    expect(await gateway.events('SessionCreated')).toHaveLength(1);
  });

  test('a new version signs at once where the old one does not any more, and old tokens are good as long as it verifies', async () => {
    const { bao, gateway, kids } = await inTransit();
    const key = newKey();
    const old = await provisioned(gateway, key);
    bao.rotate('transit', 'gateway');
    const second = await provisioned(gateway, key);
    // Until it is asked again the gateway signs with the version that it knows.
    expect(kidOf(second.security_token)).toBe(kidOf(old.security_token));
    bao.retire('transit', 'gateway', 2);
    const third = await provisioned(gateway, key);
    expect(kidOf(third.security_token)).not.toBe(kidOf(old.security_token));
    expect(await kids()).toEqual([kidOf(third.security_token)]);
    expect(await codeOf(gateway, envelope(key, third.security_token))).toBe('200');
    expect(await codeOf(gateway, envelope(key, old.security_token))).toBe(1004);
  });
});

const ENROLLMENT = 'seal-enroll-abcdefghijklmnopqrstuvwxyz0123456789';
const enrollments = (token = ENROLLMENT, more: object = {}) =>
  JSON.stringify([
    {
      workload_id: 'ci-runner',
      token_sha256: createHash('sha256').update(token).digest('hex'),
      security_contexts: ['plain'],
      expires_at: new Date(Date.now() + 60_000).toISOString(),
      ...more,
    },
  ]);
const platform = newKey();
const attesting = (more: Parameters<typeof serve>[0] = {}) =>
  gatewayOf({
    ...more,
    files: {
      'enrollments.json': enrollments(),
      'platform.json': JSON.stringify({ keys: [platform.jwk] }),
      ...more.files,
    },
    spec: (dir) => ({
      ...withKey(dir),
      attestation: {
        verifiers: [
          { name: 'enrollment', type: 'enrollment_token', file: join(dir, 'enrollments.json') },
          {
            ...{
              name: 'cluster',
              type: 'kubernetes',
              issuer: 'https://cluster.example',
              audience: 'seal-gateway',
            },
            jwks_uri: join(dir, 'platform.json'),
            allow: [{ subject: 'agents/*', security_contexts: ['pl*'], tenant: 'acme' }],
          },
          {
            ...{ name: 'ci', type: 'oidc', issuer: 'https://ci.example', audience: 'seal-gateway' },
            jwks_uri: join(dir, 'platform.json'),
            allow: [{ subject: 'repo:acme/*', workload_ids: ['build-*'], security_contexts: ['plain'] }],
          },
        ],
      },
    }),
  });

const platformToken = (claims: Record<string, unknown>, key = platform): string => {
  const standard = { aud: ['seal-gateway'], iat: unixNow(), exp: unixNow() + 300, ...claims };
  return signToken({ claims: standard, token_header: { alg: 'EdDSA' }, token_key: key } as never);
};
const attest = async (gateway: Served, body: object, proof?: string) => {
  const sent = { public_key: rawKey(newKey()), security_context: 'plain', ...body };
  return gateway.post(
    '/v1/seal/attest',
    sent,
    proof === undefined ? {} : { authorization: `Bearer ${proof}` },
  );
};

describe('a workload that proves itself', () => {
  test('by a token that was made for it, once', async () => {
    const gateway = await attesting();
    const key = newKey();
    const asked = { public_key: rawKey(key), workload_id: 'ci-runner' };
    const { status, body } = await attest(gateway, asked, ENROLLMENT);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        ...{ status: 'success', security_token: expect.any(String), expires_at: expect.any(String) },
        session_id: expect.any(String),
      },
    });
    expect(await codeOf(gateway, envelope(key, body.security_token))).toBe('200');
    expect(await attest(gateway, asked, ENROLLMENT)).toMatchObject({
      status: 401,
      body: { status: 'error', error_code: 3000, message: expect.stringContaining('used before') },
    });
    const shown = await gateway.ask('GET', `/v1/seal/sessions/${body.session_id}`);
    expect(shown.body).toMatchObject({ agent_id: 'ci-runner' });
    const trail = await gateway.events();
    expect(trail.map(({ event_type }) => event_type).filter((type) => /Attest|Session/.test(type))).toEqual([
      'AttestationSucceeded',
      'SessionCreated',
      'AttestationFailed',
    ]);
    expect(JSON.stringify(trail)).not.toContain(ENROLLMENT);
  });

  test('of two that come with it at one moment one gets a session', async () => {
    const gateway = await attesting();
    const both = await Promise.all(
      [1, 2, 3].map(() => attest(gateway, { workload_id: 'ci-runner' }, ENROLLMENT)),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
  });

  test("by its platform's token, in the tenant that the rule says", async () => {
    const gateway = await attesting();
    const key = newKey();
    const pod = platformToken({ iss: 'https://cluster.example', sub: 'system:serviceaccount:agents:writer' });
    const { body } = await attest(gateway, { public_key: rawKey(key), workload_id: 'agents/writer' }, pod);
    expect(await codeOf(gateway, envelope(key, body.security_token))).toBe('200');
    const shown = await gateway.ask('GET', `/v1/seal/sessions/${body.session_id}`);
    expect(shown.body).toMatchObject({ tenant_id: 'acme', agent_id: 'agents/writer' });
    const ci = platformToken({ iss: 'https://ci.example', sub: 'repo:acme/app' });
    expect((await attest(gateway, { workload_id: 'build-7' }, ci)).status).toBe(200);
  });

  test.each<[string, number, object, string | undefined]>([
    ['nothing', 3000, { workload_id: 'ci-runner' }, undefined],
    ['a token of another workload', 3000, { workload_id: 'other' }, ENROLLMENT],
    ['a token that nobody made', 3000, { workload_id: 'ci-runner' }, `${ENROLLMENT}x`],
    [
      'a context that is not for it',
      3001,
      { workload_id: 'ci-runner', security_context: 'none' },
      ENROLLMENT,
    ],
    ['a context that is none', 3001, { workload_id: 'ci-runner', security_context: 'nowhere' }, ENROLLMENT],
    [
      "another service account's token",
      3000,
      { workload_id: 'agents/writer' },
      platformToken({ iss: 'https://cluster.example', sub: 'system:serviceaccount:agents:reader' }),
    ],
    [
      'a namespace that no rule names',
      3000,
      { workload_id: 'agents-evil/writer' },
      platformToken({ iss: 'https://cluster.example', sub: 'system:serviceaccount:agents-evil:writer' }),
    ],
    [
      'a token for somebody else',
      3000,
      { workload_id: 'agents/writer' },
      platformToken({
        iss: 'https://cluster.example',
        sub: 'system:serviceaccount:agents:writer',
        aud: 'other',
      }),
    ],
    [
      'an expired token',
      3000,
      { workload_id: 'agents/writer' },
      platformToken({
        iss: 'https://cluster.example',
        sub: 'system:serviceaccount:agents:writer',
        exp: unixNow() - 1,
      }),
    ],
    [
      'a forged token',
      3000,
      { workload_id: 'agents/writer' },
      platformToken({ iss: 'https://cluster.example', sub: 'system:serviceaccount:agents:writer' }, newKey()),
    ],
    [
      'a key of 31 bytes',
      4000,
      { workload_id: 'ci-runner', public_key: rawKey(newKey()).slice(2) },
      ENROLLMENT,
    ],
  ])('%s does not do', async (_, code, body, proof) => {
    const gateway = await attesting();
    const answer = await attest(gateway, body, proof);
    expect(answer.body).toEqual({ status: 'error', error_code: code, message: expect.any(String) });
    expect(await gateway.events('SessionCreated')).toEqual([]);
    expect(await gateway.events('AttestationFailed')).toHaveLength(code === 4000 ? 0 : 1);
    // What it could have done with it is still to be had.
    if (code === 3001 || code === 4000)
      expect((await attest(gateway, { workload_id: 'ci-runner' }, ENROLLMENT)).status).toBe(200);
  });

  test('five times a minute, no more; and the trail does not grow with what is over', async () => {
    const gateway = await attesting();
    const codes: unknown[] = [];
    for (let n = 0; n < 8; n += 1) {
      const { status, headers, body } = await attest(gateway, { workload_id: 'ci-runner' }, 'wrong');
      codes.push(
        status === 429 ? [body.error_code, Number(headers.get('retry-after')) > 0] : body.error_code,
      );
    }
    expect(codes).toEqual([3000, 3000, 3000, 3000, 3000, [2005, true], [2005, true], [2005, true]]);
    expect(await gateway.events('AttestationFailed')).toHaveLength(6);
    // Another workload has attempts of its own.
    expect((await attest(gateway, { workload_id: 'other' }, 'wrong')).body.error_code).toBe(3000);
  });

  test('an expired enrollment does not do; one that is put into the file does, without a restart', async () => {
    const gateway = await attesting({
      files: { 'enrollments.json': enrollments(ENROLLMENT, { expires_at: '2026-01-01T00:00:00Z' }) },
    });
    expect((await attest(gateway, { workload_id: 'ci-runner' }, ENROLLMENT)).body.message).toContain(
      'expired',
    );
    const next = join(gateway.dir, 'next.json');
    writeFileSync(next, enrollments());
    renameSync(next, join(gateway.dir, 'enrollments.json'));
    expect((await attest(gateway, { workload_id: 'ci-runner' }, ENROLLMENT)).status).toBe(200);
  });

  test('where no verifier is configured, attestation is off', async () => {
    const gateway = await gatewayOf();
    expect((await attest(gateway, { workload_id: 'w' }, ENROLLMENT)).body.error_code).toBe(3002);
  });
});

describe('clients in the world', () => {
  const run = promisify(execFile);
  const CALLS = [
    ['plain.echo', { text: 'ü\u{1F600}', n: 1.5, list: [{ b: 1, a: null }] }],
    ['plain.other', {}],
    ['plain.echo', { text: 'again' }],
    ['nothing.at.all', {}],
  ];
  // Python and its `cryptography` are no part of a machine that has Node: make ci installs them.
  const clients = [['JavaScript', process.execPath, 'client.mjs']] as [string, string, string][];
  if (process.env.SEAL_TEST_FULL === '1') clients.push(['Python', 'python3', 'client.py']);
  test.each(clients)('%s: attest(), then several calls with one token', async (_, program, file) => {
    const gateway = await attesting();
    // Its class knows three fields: the proof stands in the place of the workload's id.
    const args = [
      join(import.meta.dirname, 'clients', file),
      gateway.data,
      ENROLLMENT,
      'plain',
      JSON.stringify(CALLS),
    ];
    const { stdout } = await run(program, args);
    const [attested, ...answers] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(attested).toEqual([
      200,
      expect.objectContaining({ status: 'success', session_id: expect.any(String) }),
    ]);
    expect(answers.map(([status, body]) => [status, body.payload?.result ?? body.error.code])).toEqual([
      [200, { path: '/echo' }],
      [200, { path: '/echo' }],
      [200, { path: '/echo' }],
      [403, 2000],
    ]);
  });
});
