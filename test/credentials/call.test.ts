import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type CredentialEvent, createCredentials } from '../../src/credentials/call.ts';
import type { CredentialProviders, Principal } from '../../src/credentials/resolve.ts';
import { type RequestSecrets, reveal, Secret } from '../../src/credentials/secret.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Api, CredentialRef } from '../../src/snapshot/snapshot.ts';
import { aPrincipal } from '../support/principal.ts';

const STATIC: CredentialRef = { kind: 'static_ref', key: 'crm' };
const JIT = { kind: 'system_jit', engine_path: 'database', role: 'reader' } as const;
const DELEGATED = { kind: 'human_delegated', target_service: 'crm-service' } as const;

function open(providers: CredentialProviders, more: Partial<Principal> = {}) {
  const events: CredentialEvent[] = [];
  const all = createCredentials({ providers, clock: systemClock });
  const credentials = all.open({
    principal: aPrincipal(more),
    emit: (event) => void events.push(event),
  });
  return { credentials, events, all };
}

function api(credential: CredentialRef, base_url = 'https://crm.example', more: Partial<Api> = {}): Api {
  return {
    name: 'crm',
    tenant: null,
    base_url: new URL(base_url),
    headers: {},
    timeout_ms: 1_000,
    max_response_bytes: 1_000,
    egress: { allow_private: true, allow_addresses: [] },
    credential,
    inject: { kind: 'bearer' },
    allow_slash: () => false,
    retry: null,
    ...more,
  };
}

const one = (text: string, release?: () => Promise<void>) => async () => ({
  value: new Secret(text),
  fields: { token: new Secret(text) },
  facts: { lease_id: 'l-1' },
  ...(release !== undefined && { release }),
});
const bearer = (secrets: RequestSecrets | null) => reveal(secrets!.headers.authorization!);

describe('a call', () => {
  test('gets a credential once for an API, however many of its steps ask at one time', async () => {
    let asked = 0;
    const { credentials, events } = open({
      system_jit: async () => {
        asked += 1;
        return one(`v-${asked}`)();
      },
    });
    const crm = api(JIT);
    const all = await Promise.all([
      credentials.forApi(crm),
      credentials.forApi(crm),
      credentials.forApi(crm),
    ]);
    expect(all.map(bearer)).toEqual(['Bearer v-1', 'Bearer v-1', 'Bearer v-1']);
    expect(bearer(await credentials.forApi(api(JIT)))).toBe('Bearer v-2');
    expect(events).toHaveLength(2);
  });

  test('does not ask again for what failed: a request that makes something is not repeated', async () => {
    let asked = 0;
    const { credentials } = open({
      system_jit: async () => {
        asked += 1;
        throw new Error('no');
      },
    });
    const crm = api(JIT);
    await expect(credentials.forApi(crm)).rejects.toThrow();
    await expect(credentials.forApi(crm)).rejects.toThrow();
    expect(asked).toBe(1);
  });

  test('tells the trail what it got and from where, never what it is', async () => {
    const { credentials, events } = open({ static_ref: one('s3cret-value') });
    await credentials.forApi(api(STATIC));
    expect(events).toEqual([
      {
        event_type: 'CredentialExchangeCompleted',
        payload: {
          resolution_path: 'static_ref',
          target_service: 'crm',
          duration_ms: expect.any(Number),
          lease_id: 'l-1',
        },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('s3cret-value');
  });

  test('tells the trail what it did not get', async () => {
    const { credentials, events } = open({
      human_delegated: async () => {
        throw new GatewayError('TOKEN_VERIFICATION_FAILED', 'user token: expired');
      },
    });
    await expect(credentials.forApi(api(DELEGATED))).rejects.toMatchObject({
      name: 'TOKEN_VERIFICATION_FAILED',
      details: { resolution_path: 'human_delegated' },
    });
    expect(events).toMatchObject([
      {
        event_type: 'CredentialExchangeFailed',
        payload: {
          resolution_path: 'human_delegated',
          target_service: 'crm-service',
          code: 1004,
          reason: 'user token: expired',
        },
      },
    ]);
  });

  test('needs no credential for none, and says nothing of it', async () => {
    const { credentials, events } = open({});
    expect(await credentials.forApi(api({ kind: 'none' }))).toBeNull();
    expect(await credentials.resolve({ kind: 'none' }, 'registry')).toBeNull();
    expect(events).toEqual([]);
  });

  test('masks what it got, and how it was sent', async () => {
    const pair = { value: null, fields: { username: new Secret('olga'), password: new Secret('p4ssw0rd') } };
    const { credentials } = open({ static_ref: async () => pair });
    const secrets = await credentials.forApi(
      api(STATIC, undefined, {
        inject: { kind: 'basic', username_field: 'username', password_field: 'password' },
      }),
    );
    const sent = reveal(secrets!.headers.authorization!);
    expect(secrets!.mask!.text(`${sent} p4ssw0rd`)).toBe('Basic [secret] [secret]');
    expect(credentials.mask.text('p4ssw0rd')).toBe('[secret]');
  });
});

test('a container gets what its manifest says, and a mask for its output', async () => {
  const { credentials, events } = open({ static_ref: one('s3cret-value') });
  const secrets = await credentials.forContainer(
    STATIC,
    { kind: 'env', fields: { TOKEN: 'token' } },
    'kubectl',
  );
  expect(reveal(secrets!.env.TOKEN!)).toBe('s3cret-value');
  const output = secrets!.mask!.stream();
  const shown = [output.push(Buffer.from('a s3cret')), output.push(Buffer.from('-value b')), output.end()];
  expect(Buffer.concat(shown).toString()).toBe('a [secret] b');
  expect(events).toMatchObject([{ payload: { target_service: 'kubectl' } }]);
});

describe('the end of a call', () => {
  test('ends what it got', async () => {
    const ended: string[] = [];
    const { credentials } = open({ system_jit: one('v', async () => void ended.push('l-1')) });
    await credentials.forApi(api(JIT));
    await credentials.resolve(JIT, 'registry');
    await credentials.end();
    expect(ended).toEqual(['l-1', 'l-1']);
  });

  test('ends what is only on its way', async () => {
    const ended: string[] = [];
    const arrives = Promise.withResolvers<void>();
    const { credentials, events, all } = open({
      system_jit: async () => {
        await arrives.promise;
        return one('v', async () => void ended.push('l-1'))();
      },
    });
    void credentials.forApi(api(JIT)).catch(() => {});
    void credentials.end();
    arrives.resolve();
    await all.ended();
    expect(ended).toEqual(['l-1']);
    expect(events).toHaveLength(1);
  });

  test('has nothing to end after a failure', async () => {
    const { credentials } = open({});
    await expect(credentials.forApi(api(STATIC))).rejects.toThrow();
    await credentials.end();
  });
});

describe('auto', () => {
  const auto: CredentialRef = { kind: 'auto', system_jit: JIT, human_delegated: DELEGATED };
  const providers: CredentialProviders = { system_jit: one('system'), human_delegated: one('delegated') };

  test('is the user’s when the call carries a token, else the system’s', async () => {
    const alone = open(providers);
    expect(bearer(await alone.credentials.forApi(api(auto)))).toBe('Bearer system');
    expect(alone.events[0]?.payload).toMatchObject({ resolution_path: 'system_jit', target_service: 'crm' });
    const withUser = open(providers, { user_token: new Secret('t') });
    expect(bearer(await withUser.credentials.forApi(api(auto)))).toBe('Bearer delegated');
    expect(withUser.events[0]?.payload).toMatchObject({
      resolution_path: 'human_delegated',
      target_service: 'crm-service',
    });
  });

  test('never falls back: a user’s token that cannot be used ends the call', async () => {
    const { credentials } = open({ system_jit: one('system') }, { user_token: new Secret('t') });
    await expect(credentials.forApi(api(auto))).rejects.toThrow(
      /no provider for the credential path human_delegated/,
    );
  });
});

describe('plain HTTP', () => {
  const providers: CredentialProviders = { static_ref: one('v') };

  test.each(['http://127.0.0.1:9001', 'http://localhost', 'http://[::1]:80', 'https://crm.example'])(
    'is no matter at %s',
    async (url) => {
      expect(bearer(await open(providers).credentials.forApi(api(STATIC, url)))).toBe('Bearer v');
    },
  );

  test.each([
    'http://crm.example',
    'http://10.0.0.1',
    'http://127.0.0.1.example',
    'http://localhost.example',
  ])('to %s gets no credential', async (url) => {
    const { credentials, events } = open(providers);
    await expect(credentials.forApi(api(STATIC, url))).rejects.toThrow(/is not sent over plain HTTP/);
    expect(events).toMatchObject([{ event_type: 'CredentialExchangeFailed', payload: { code: 4100 } }]);
  });

  test('gets one where the manifest says so', async () => {
    const egress = { allow_private: true, allow_addresses: [], plain_http_credentials: true };
    const { credentials } = open(providers);
    expect(bearer(await credentials.forApi(api(STATIC, 'http://crm.example', { egress })))).toBe('Bearer v');
  });
});
