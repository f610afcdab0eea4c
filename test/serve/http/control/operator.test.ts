import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { type OperatorIssuer, verifyOperator } from '../../../../src/envelope/operator.ts';
import { localKeys } from '../../../../src/reconcile/keys.ts';
import type { OperatorDeps } from '../../../../src/serve/http/control/operator.ts';
import {
  confusedToken,
  newOperatorKey,
  OPERATOR_ISSUER,
  operatorClaims,
  operatorToken,
  unsignedToken,
} from '../../../support/operator.ts';
import { sendRaw } from '../raw.ts';
import { serveControl } from './served.ts';

const key = newOperatorKey();
const issuer: OperatorIssuer = {
  issuer: OPERATOR_ISSUER,
  audience: 'seal-gateway',
  keys: localKeys(key.jwks, ['EdDSA', 'Ed25519']),
  role_claim: 'aegis_role',
  roles: ['aegis:operator'],
};
const CONFIGURED: OperatorDeps = {
  verifyOperator: (token) => verifyOperator(token, issuer, Date.now()),
  development: false,
};
const PATHS = ['/v1/status', '/v1/specs', '/v1/specs/x', '/v1/events', '/v1/no-such-route', '/'];

interface Answer {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly message: string | undefined;
}

/** With headers that fetch does not let one set. */
function get(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const challenge = response.headers['www-authenticate'];
        resolve({ status: response.statusCode ?? 0, challenge, message: JSON.parse(text).error?.message });
      });
    });
    sent.on('error', reject).end();
  });
}

describe('with an issuer of operators', () => {
  const status = async (headers: Readonly<Record<string, string>>, path = '/v1/status') =>
    get((await serveControl(CONFIGURED)) + path, headers);
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test('a good token is let on, also by a lower-case scheme', async () => {
    expect(await status(bearer(operatorToken(key)))).toMatchObject({ status: 200 });
    expect(await status({ authorization: `bearer ${operatorToken(key)}` })).toMatchObject({ status: 200 });
  });

  test('a good token without a role is forbidden, everywhere', async () => {
    const token = operatorToken(key, operatorClaims({ aegis_role: 'viewer' }));
    for (const path of PATHS) {
      expect(await status(bearer(token), path)).toMatchObject({
        status: 403,
        message: 'this token is good, but holds none of the roles in auth.operator_roles',
      });
    }
  });

  test.each([
    ['none', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }],
    ['two', { authorization: `Bearer ${operatorToken(key)}, Bearer ${operatorToken(key)}` }],
    ['alg none', bearer(unsignedToken(operatorClaims()))],
    ['the public key as a secret', bearer(confusedToken(key, operatorClaims()))],
    ['another key', bearer(operatorToken(newOperatorKey()))],
    ['another audience', bearer(operatorToken(key, operatorClaims({ aud: 'other' })))],
    ['another issuer', bearer(operatorToken(key, operatorClaims({ iss: 'https://evil.example' })))],
    ['no expiry', bearer(operatorToken(key, operatorClaims({ exp: undefined })))],
    ['an expired one', bearer(operatorToken(key, operatorClaims({ iat: 1, exp: 2 })))],
  ])('a token that is %s is not, everywhere', async (_, headers) => {
    for (const path of PATHS) {
      const answer = await status(headers, path);
      expect(answer).toMatchObject({ status: 401, challenge: 'Bearer' });
      expect(answer.message).toMatch(/^(operator token: |send an operator's token as )/);
    }
  });

  test('callers of this machine are nothing more', async () => {
    expect(await status({ host: 'localhost', origin: 'http://localhost' })).toMatchObject({ status: 401 });
  });
});

test('without an issuer and outside of development nobody is let on, and what to set is said', async () => {
  const url = await serveControl({ verifyOperator: null, development: false });
  for (const headers of [{}, { authorization: `Bearer ${operatorToken(key)}` }]) {
    for (const path of PATHS) {
      const { status, message } = await get(url + path, headers);
      expect(status).toBe(401);
      for (const name of ['auth.operator_jwks_uri', 'auth.operator_jwt_issuer', 'auth.development'])
        expect(message).toContain(name);
    }
  }
});

describe('in development', () => {
  const status = async (headers: Readonly<Record<string, string>>) =>
    get(`${await serveControl()}/v1/status`, headers);

  test.each([
    ['by address', {}],
    ['by name', { host: 'localhost' }],
    ['by name and port', { host: 'LOCALHOST:8090' }],
    ['by IPv6 address', { host: '[::1]:8090' }],
    ['by another loopback address', { host: '127.8.0.1:1' }],
    ['by typing the URL into a browser', { host: 'localhost:1', 'sec-fetch-site': 'none' }],
    [
      'from a page of its own',
      { host: 'localhost:1', origin: 'http://localhost:1', 'sec-fetch-site': 'same-origin' },
    ],
  ])('who is on this machine is let on: %s', async (_, headers) => {
    expect(await status(headers)).toMatchObject({ status: 200 });
  });

  const REBOUND = 'the Host of this request is not localhost, 127.0.0.1 or [::1]';
  const CROSSED = 'a page of another origin sent this request';
  const PROXIED = 'this request came through a proxy';
  test.each([
    ['a name of an attacker', { host: 'evil.example' }, REBOUND],
    ['a name that begins like ours', { host: 'localhost.evil.example' }, REBOUND],
    ['a name that ends like ours', { host: 'evil.localhost' }, REBOUND],
    ['an address that begins like ours', { host: '127.0.0.1.evil.example' }, REBOUND],
    ['the name of this machine', { host: 'gateway.internal:8090' }, REBOUND],
    ['any address', { host: '0.0.0.0:8090' }, REBOUND],
    ['a user in the name', { host: 'localhost@evil.example' }, REBOUND],
    ['a page of another site', { origin: 'https://evil.example' }, CROSSED],
    ['a page without an origin', { origin: 'null' }, CROSSED],
    ['a page of another port', { host: 'localhost:1', origin: 'http://localhost:2' }, CROSSED],
    ['a page of another scheme', { host: 'localhost:1', origin: 'https://localhost:1' }, CROSSED],
    ['an image of another site', { 'sec-fetch-site': 'cross-site' }, CROSSED],
    ['a page of another port, without an origin', { 'sec-fetch-site': 'same-site' }, CROSSED],
    ['a proxy', { 'x-forwarded-for': '10.0.0.1' }, PROXIED],
    ['a proxy that says loopback', { 'x-forwarded-for': '127.0.0.1' }, PROXIED],
    ['a proxy by the standard', { forwarded: 'for=127.0.0.1' }, PROXIED],
    ['a proxy that says only that it is one', { via: '1.1 proxy' }, PROXIED],
  ])('%s is not', async (_, headers, reason) => {
    expect(await status(headers)).toEqual({
      status: 401,
      challenge: 'Bearer',
      message: `development mode is for this machine alone, and ${reason}`,
    });
  });

  test('a request that names no host at all is not', async () => {
    const { answer } = await sendRaw(await serveControl(), 'GET /v1/status HTTP/1.0\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 401 .*the Host of this request/s);
  });

  test('a token that is sent is looked at all the same', async () => {
    const url = `${await serveControl({ ...CONFIGURED, development: true })}/v1/status`;
    expect(await get(url, {})).toMatchObject({ status: 200 });
    expect(await get(url, { authorization: `Bearer ${operatorToken(key)}` })).toMatchObject({ status: 200 });
    expect(await get(url, { authorization: `Bearer ${unsignedToken(operatorClaims())}` })).toMatchObject({
      status: 401,
    });
    // And a good one is good from anywhere.
    expect(
      await get(url, {
        authorization: `Bearer ${operatorToken(key)}`,
        host: 'gateway.internal',
        origin: 'https://ui.example',
      }),
    ).toMatchObject({ status: 200 });
  });
});
