import { expect, test } from 'vitest';
import { createSecretEnvironment } from '../../src/credentials/secret-environment.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { opened } from './paths.ts';

const variables = { CRM_API: 't-1', ERP__USER: 'u', ERP__PASS: 'p', HASOWN: 'x' };
const get = (key: string, field?: string, principal = aPrincipal()) =>
  createSecretEnvironment(variables)({ kind: 'static_ref', key, field }, principal);

test('a variable is a secret, or a field of one', async () => {
  expect(opened(await get('crm/api')).value).toBe('t-1');
  expect(opened(await get('erp', 'pass')).value).toBe('p');
  expect(opened(await get('erp'))).toEqual({ value: null, fields: { user: 'u', pass: 'p' } });
});

test('what is not there', async () => {
  await expect(get('none')).rejects.toThrow('no environment variable holds the secret none');
  await expect(get('constructor')).rejects.toThrow('no environment variable holds the secret constructor');
  await expect(get('erp', 'none')).rejects.toThrow('the secret has no field none');
});

test('a tenant has none there', async () => {
  await expect(get('crm/api', undefined, aPrincipal({ tenant: aTenant('acme') }))).rejects.toThrow(
    /without a tenant/,
  );
});
