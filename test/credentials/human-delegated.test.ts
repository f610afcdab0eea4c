import { createServer, type RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createHumanDelegated } from '../../src/credentials/human-delegated.ts';
import type { Principal } from '../../src/credentials/resolve.ts';
import { reveal, Secret } from '../../src/credentials/secret.ts';
import { createTokenExchange, type TokenExchangeOptions } from '../../src/credentials/token-exchange.ts';
import { USER_ALGORITHMS, verifyUser } from '../../src/envelope/user.ts';
import { silentLog } from '../../src/log.ts';
import { operatorKeys } from '../../src/reconcile/operator-keys.ts';
import { CLIENT, type OidcOptions, type OidcServer, startOidc } from '../support/oidc.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { startUpstream } from '../support/upstream.ts';

const REF = { kind: 'human_delegated', target_service: 'crm', scope: 'customers:read' } as const;

async function setUp(options: OidcOptions = {}, more: Partial<TokenExchangeOptions> = {}) {
  const oidc = await startOidc(options);
  const exchange = createTokenExchange({
    url: oidc.token_url,
    client_id: CLIENT.id,
    client_secret: new Secret(CLIENT.secret),
    client_auth: 'basic',
    timeout_ms: 2_000,
    ca: null,
    ...more,
  });
  onTestFinished(async () => {
    await exchange.close();
    await oidc.close();
  });
  const issuer = {
    issuer: oidc.issuer,
    audience: 'seal-gateway',
    keys: operatorKeys(oidc.jwks_uri, USER_ALGORITHMS, { clock: systemClock, log: silentLog }),
    tenant_claim: 'tenant_id',
  };
  const verify = (jwt: string) => verifyUser(jwt, issuer, systemClock.now());
  const get = createHumanDelegated({ exchange: exchange.exchange, verify, clock: systemClock });
  return { oidc, get };
}

async function forUser(
  oidc: OidcServer,
  user: Parameters<OidcServer['userToken']>[0] = {},
): Promise<Principal> {
  const tenant = user.tenant == null ? null : aTenant(user.tenant);
  return aPrincipal({
    tenant,
    user_token: new Secret(await oidc.userToken(user)),
    allow_human_delegated: true,
  });
}

describe('a user’s token', () => {
  test('is exchanged for one of the target service, with the scope that the manifest names', async () => {
    const { oidc, get } = await setUp();
    const principal = await forUser(oidc, { tenant: 'acme' });
    const { value, facts } = await get(REF, principal);
    expect(decodeJwt(reveal(value!))).toMatchObject({ sub: 'olga', aud: 'crm', tenant_id: 'acme' });
    expect(reveal(value!)).not.toBe(reveal(principal.user_token!));
    expect(facts).toEqual({ user: 'olga', cached: false });
    expect(oidc.exchanges).toEqual([
      { subject_token: reveal(principal.user_token!), audience: 'crm', scope: 'customers:read' },
    ]);
  });

  test('is exchanged once for all calls of its life, and again for another user, audience or scope', async () => {
    const { oidc, get } = await setUp({ audiences: ['crm', 'erp'] });
    const principal = await forUser(oidc);
    const all = await Promise.all(Array.from({ length: 50 }, () => get(REF, principal)));
    expect(new Set(all.map(({ value }) => reveal(value!))).size).toBe(1);
    expect((await get(REF, principal)).facts).toEqual({ user: 'olga', cached: true });
    expect(oidc.exchanges).toHaveLength(1);
    await get({ ...REF, target_service: 'erp' }, principal);
    await get({ ...REF, scope: 'other' }, principal);
    await get(REF, await forUser(oidc, { sub: 'ida' }));
    expect(oidc.exchanges).toHaveLength(4);
  });

  test('is exchanged again shortly before what it was exchanged for ends', async () => {
    const { oidc, get } = await setUp({ exchanged_ttl: 1 });
    const principal = await forUser(oidc);
    await get(REF, principal);
    await sleep(950);
    await get(REF, principal);
    expect(oidc.exchanges).toHaveLength(2);
  });
});

describe('is refused', () => {
  const faults: [string, (oidc: OidcServer) => Promise<Principal>, string, RegExp][] = [
    [
      'where no capability allows it',
      async (oidc) => ({ ...(await forUser(oidc)), allow_human_delegated: false }),
      'POLICY_NO_MATCHING_CAPABILITY',
      /allow_human_delegated/,
    ],
    [
      'without a token',
      async () => aPrincipal({ allow_human_delegated: true }),
      'TOKEN_VERIFICATION_FAILED',
      /x-user-token/,
    ],
    [
      'with what is no token',
      async () => aPrincipal({ allow_human_delegated: true, user_token: new Secret('garbage') }),
      'TOKEN_VERIFICATION_FAILED',
      /user token: not a JWT/,
    ],
    [
      'for another audience',
      (oidc) => forUser(oidc, { audience: 'crm' }),
      'TOKEN_VERIFICATION_FAILED',
      /"aud" does not fit/,
    ],
    [
      'of another tenant',
      async (oidc) => ({ ...(await forUser(oidc, { tenant: 'globex' })), tenant: aTenant('acme') }),
      'TOKEN_VERIFICATION_FAILED',
      /its tenant is not the caller's/,
    ],
    [
      'of a tenant, for a caller without',
      async (oidc) => ({ ...(await forUser(oidc, { tenant: 'globex' })), tenant: null }),
      'TOKEN_VERIFICATION_FAILED',
      /tenant/,
    ],
    [
      'without tenant, for a caller of one',
      async (oidc) => ({ ...(await forUser(oidc)), tenant: aTenant('acme') }),
      'TOKEN_VERIFICATION_FAILED',
      /tenant/,
    ],
  ];
  test.each(faults)('%s', async (_, make, name, message) => {
    const { oidc, get } = await setUp();
    const principal = await make(oidc);
    const failed = get(REF, principal);
    await expect(failed).rejects.toMatchObject({ name });
    await expect(failed).rejects.toThrow(message);
    expect(oidc.requests).toHaveLength(0);
  });

  test('once it has expired, and then an exchanged token that is left does not help', async () => {
    const { oidc, get } = await setUp();
    const principal = await forUser(oidc, { ttl: 1 });
    await get(REF, principal);
    await sleep(1_100);
    const failed = get(REF, principal);
    await expect(failed).rejects.toMatchObject({ name: 'TOKEN_VERIFICATION_FAILED' });
    await expect(failed).rejects.toThrow(/expired/);
  });

  test('when another issuer signed it', async () => {
    const { get } = await setUp();
    const other = await startOidc();
    onTestFinished(() => other.close());
    await expect(get(REF, await forUser(other))).rejects.toMatchObject({ name: 'TOKEN_VERIFICATION_FAILED' });
  });
});

describe('an exchange that fails is 4100', () => {
  test('an audience that is not granted', async () => {
    const { oidc, get } = await setUp({ audiences: ['erp'] });
    await expect(get(REF, await forUser(oidc))).rejects.toThrow(
      /the audience is not granted \(invalid_target\)/,
    );
  });

  test('an audience that was left aside in silence', async () => {
    const { oidc, get } = await setUp({ audience_given: 'erp' });
    await expect(get(REF, await forUser(oidc))).rejects.toThrow(/its audience was not granted/);
  });

  test('a client that is not known', async () => {
    const { oidc, get } = await setUp({}, { client_secret: new Secret('wrong-client-secret') });
    const failed = get(REF, await forUser(oidc));
    await expect(failed).rejects.toThrow(/not known there as a client \(invalid_client\)/);
    await expect(failed).rejects.not.toThrow(/wrong-client-secret/);
  });

  const answers: [string, RequestListener, RegExp][] = [
    ['garbage', (_, response) => response.end('<html>'), /answered without a token/],
    ['no token', (_, response) => response.end('{"token_type":"Bearer"}'), /answered without a token/],
    [
      'another type of token',
      (_, response) => response.end('{"access_token":"a","token_type":"DPoP"}'),
      /a type that cannot be used/,
    ],
    [
      'a refresh token',
      (_, response) =>
        response.end(
          '{"access_token":"a","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:refresh_token"}',
        ),
      /something else than an access token/,
    ],
    [
      'a redirect',
      (_, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
      /the exchange is refused \(307\)/,
    ],
    [
      'words that nobody should see',
      (_, response) => response.writeHead(400).end('{"error":"s3cret","error_description":"s3cret"}'),
      /the exchange is refused \(400\)$/,
    ],
    [
      'access_denied',
      (_, response) => response.writeHead(403).end('{"error":"access_denied"}'),
      /not meant for this gateway \(access_denied\)/,
    ],
    ['silence', () => {}, /did not answer in time/],
    ['a hang-up', (request) => request.socket.destroy(), /could not be reached/],
  ];
  test.each(answers)('%s', async (_, listener, message) => {
    const server = await startUpstream(listener);
    onTestFinished(() => server.close());
    const { oidc, get } = await setUp({}, { url: server.url, timeout_ms: 300 });
    const failed = get(REF, await forUser(oidc));
    await expect(failed).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
    await expect(failed).rejects.toThrow(message);
    expect(server.requests).toHaveLength(1);
  });

  test('the user’s own token', async () => {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        const access_token = new URLSearchParams(body).get('subject_token');
        response.end(JSON.stringify({ access_token, token_type: 'Bearer' }));
      });
    });
    const upstream = await startUpstream(
      (request, response) => void server.emit('request', request, response),
    );
    onTestFinished(() => upstream.close());
    const { oidc, get } = await setUp({}, { url: upstream.url });
    await expect(get(REF, await forUser(oidc))).rejects.toThrow(/answered with the user's own token/);
  });
});

test('the client may prove itself in the body', async () => {
  let body = '';
  const upstream = await startUpstream((request, response) => {
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => response.end('{"access_token":"opaque","token_type":"bearer"}'));
  });
  onTestFinished(() => upstream.close());
  const { oidc, get } = await setUp({}, { url: upstream.url, client_auth: 'post' });
  const principal = await forUser(oidc);
  expect(reveal((await get(REF, principal)).value!)).toBe('opaque');
  expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: reveal(principal.user_token!),
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience: 'crm',
    scope: 'customers:read',
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
  });
  // It did not say how long it lives.
  await get(REF, principal);
  expect(upstream.requests).toHaveLength(2);
});
