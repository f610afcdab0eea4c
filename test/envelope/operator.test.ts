import { describe, expect, test } from 'vitest';
import { type OperatorIssuer, verifyOperator } from '../../src/envelope/operator.ts';
import { localKeys } from '../../src/reconcile/keys.ts';
import {
  confusedToken,
  newOperatorKey,
  OPERATOR_ISSUER,
  operatorClaims,
  operatorToken,
  unsignedToken,
} from '../support/operator.ts';

const key = newOperatorKey();
const issuer: OperatorIssuer = {
  issuer: OPERATOR_ISSUER,
  audience: 'seal-gateway',
  keys: localKeys(key.jwks, ['EdDSA', 'Ed25519']),
  role_claim: 'aegis_role',
  roles: ['aegis:admin', 'aegis:operator'],
};
const verify = (token: string, more: Partial<OperatorIssuer> = {}) =>
  verifyOperator(token, { ...issuer, ...more }, Date.now());
const now = (): number => Math.floor(Date.now() / 1000);

describe('a good token', () => {
  test.each([
    ['a role', 'aegis:operator', 'aegis:operator'],
    ['a list of roles', ['viewer', 'aegis:admin'], 'aegis:admin'],
    ['a list with what is no role', [7, null, { a: 1 }, 'aegis:admin'], 'aegis:admin'],
  ])('with %s is an operator', async (_, aegis_role, role) => {
    const token = operatorToken(key, operatorClaims({ aegis_role }));
    expect(await verify(token)).toEqual({ subject: 'olga@example.com', role, name: null, email: null });
  });

  test('may say what its operator is called, and where mail goes', async () => {
    const said = { name: 'Olga Operator', email: 'olga@mail.example' };
    expect(await verify(operatorToken(key, operatorClaims(said)))).toMatchObject(said);
    const odd = operatorToken(key, operatorClaims({ name: '', email: ['olga@mail.example'] }));
    expect(await verify(odd)).toMatchObject({ name: null, email: null });
  });

  test.each([
    ['no role', undefined],
    ['another role', 'viewer'],
    ['a role that only begins so', 'aegis:operator:viewer'],
    ['roles in one text', 'aegis:operator aegis:admin'],
    ['a role in another case', 'AEGIS:ADMIN'],
    ['an object', { 'aegis:operator': true }],
    ['a list in a list', [['aegis:operator']]],
    ['true', true],
  ])('with %s is none', async (_, aegis_role) => {
    expect(await verify(operatorToken(key, operatorClaims({ aegis_role })))).toBeNull();
  });

  test('may have its role in a claim of any name, but not in the prototype of the claims', async () => {
    const claims = operatorClaims({ 'https://id.example/roles': ['ops'] });
    const roles = ['ops'];
    expect(
      await verify(operatorToken(key, claims), { role_claim: 'https://id.example/roles', roles }),
    ).toMatchObject({ role: 'ops' });
    for (const role_claim of ['constructor', '__proto__', 'toString'])
      expect(await verify(operatorToken(key, claims), { role_claim, roles })).toBeNull();
  });

  test.each([
    ['among others', ['other', 'seal-gateway']],
    ['alone', 'seal-gateway'],
  ])('names the audience %s', async (_, aud) => {
    expect(await verify(operatorToken(key, operatorClaims({ aud })))).not.toBeNull();
  });
});

describe('a bad token', () => {
  const other = newOperatorKey();
  const [head, , tail] = operatorToken(key, operatorClaims({ aegis_role: 'viewer' })).split('.');
  const swapped = [head, operatorToken(key).split('.')[1], tail].join('.');
  const claimed = (more: Record<string, unknown>): string => operatorToken(key, operatorClaims(more));

  test.each([
    ['without a signature', unsignedToken(operatorClaims())],
    ['signed with the public key as a secret', confusedToken(key, operatorClaims())],
    ['of another key', operatorToken(other)],
    ['of an unknown kid', operatorToken(key, operatorClaims(), { alg: 'EdDSA', kid: 'op-2' })],
    ['with a critical extension', operatorToken(key, operatorClaims(), { alg: 'EdDSA', crit: ['x'], x: 1 })],
    ['with another payload than was signed', swapped],
    ['for another audience', claimed({ aud: 'other' })],
    ['for an audience of which ours is a part', claimed({ aud: 'seal-gateway-2' })],
    ['for no audience', claimed({ aud: undefined })],
    ['of another issuer', claimed({ iss: 'https://evil.example' })],
    ['of no issuer', claimed({ iss: undefined })],
    ['of nobody', claimed({ sub: undefined })],
    ['of an empty subject', claimed({ sub: '' })],
    ['that never expires', claimed({ exp: undefined })],
    ['that was never issued', claimed({ iat: undefined })],
    ['that is not good yet', claimed({ nbf: now() + 300 })],
    ['from the future', claimed({ iat: now() + 300, exp: now() + 600 })],
    ['that lives for longer than a day', claimed({ exp: now() + 90_000 })],
    ['that is none', 'a.b.c'],
    ['that is empty', ''],
  ])('%s is refused, and called by its name', async (_, token) => {
    await expect(verify(token)).rejects.toMatchObject({
      name: 'TOKEN_VERIFICATION_FAILED',
      message: expect.stringMatching(/^operator token: /),
    });
  });

  test('that has expired is told so, to the second', async () => {
    await expect(verify(claimed({ iat: now() - 600, exp: now() - 1 }))).rejects.toMatchObject({
      name: 'TOKEN_EXPIRED',
      message: expect.stringMatching(/^operator token: expired \d s ago/),
    });
  });
});
