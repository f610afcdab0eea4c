import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSecretFiles } from '../../src/credentials/secret-files.ts';
import { aPrincipal, aTenant } from '../support/principal.ts';
import { opened } from './paths.ts';

let base: string;
let dir: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'seal-files-'));
  dir = join(base, 'secrets');
  mkdirSync(dir);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function put(key: string, field: string, text: string, mode = 0o400): void {
  mkdirSync(join(dir, key), { recursive: true });
  writeFileSync(join(dir, key, field), text, { mode });
  chmodSync(join(dir, key, field), mode);
}

const get = (key: string, field?: string, principal = aPrincipal()) =>
  createSecretFiles(dir, 'tenant-')({ kind: 'static_ref', key, field }, principal);

test('a field, or all of them', async () => {
  put('crm/api', 'token', 't-1\n');
  expect(opened(await get('crm/api', 'token')).value).toBe('t-1');
  expect(opened(await get('crm/api')).value).toBe('t-1');
  put('crm/api', 'user', 'u');
  expect(opened(await get('crm/api'))).toEqual({ value: null, fields: { token: 't-1', user: 'u' } });
});

test('a text of several lines is kept as it is', async () => {
  put('tls', 'key', 'a\nb\n');
  expect(opened(await get('tls', 'key')).value).toBe('a\nb\n');
});

test('a Secret as Kubernetes mounts it', async () => {
  mkdirSync(join(dir, 'crm', '..2026_01'), { recursive: true });
  writeFileSync(join(dir, 'crm', '..2026_01', 'token'), 't-1', { mode: 0o440 });
  chmodSync(join(dir, 'crm', '..2026_01', 'token'), 0o440);
  symlinkSync('..2026_01', join(dir, 'crm', '..data'));
  symlinkSync('..data/token', join(dir, 'crm', 'token'));
  expect(opened(await get('crm')).value).toBe('t-1');
});

test('a tenant has its own', async () => {
  put('tenant-acme/crm', 'token', 'of-acme');
  put('crm', 'token', 'of-nobody');
  const tenants = new Map([['acme', aTenant('acme')]]);
  expect(opened(await get('crm', 'token', aPrincipal({ tenant: aTenant('acme'), tenants }))).value).toBe(
    'of-acme',
  );
  expect(opened(await get('crm', 'token', aPrincipal({ tenants }))).value).toBe('of-nobody');
  await expect(get('tenant-acme/crm', 'token')).rejects.toThrow(/leads into the secrets of a tenant/);
});

describe('is refused', () => {
  test.each([0o644, 0o604, 0o420, 0o602])('a file of mode %i', async (mode) => {
    put('crm', 'token', 's3cret', mode);
    const failed = get('crm', 'token');
    await expect(failed).rejects.toThrow(/make it 0440 or 0400/);
    await expect(failed).rejects.not.toThrow(/s3cret/);
  });

  test.each(['../outside', '.', 'a//b', '/etc', '..'])('a key that leads elsewhere: %s', async (key) => {
    mkdirSync(join(base, 'outside'));
    writeFileSync(join(base, 'outside', 'token'), 's3cret', { mode: 0o400 });
    await expect(get(key, 'token')).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });

  test.each(['../other/token', '..', '.hidden', 'a/b'])('a field that leads elsewhere: %s', async (field) => {
    put('crm', 'token', 't');
    put('other', 'token', 's3cret');
    await expect(get('crm', field)).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });

  test('a link that leads out', async () => {
    writeFileSync(join(base, 'outside'), 's3cret', { mode: 0o400 });
    mkdirSync(join(dir, 'crm'));
    symlinkSync(join(base, 'outside'), join(dir, 'crm', 'token'));
    await expect(get('crm', 'token')).rejects.toThrow(/outside of the directory of secrets/);
    symlinkSync(base, join(dir, 'up'));
    await expect(get('up', 'outside')).rejects.toThrow(/outside of the directory of secrets/);
  });

  test('what is not there, and what is no file', async () => {
    await expect(get('none', 'token')).rejects.toThrow('there is no file for the secret none');
    put('crm', 'token', 't');
    await expect(get('crm', 'other')).rejects.toThrow(/there is no file for the field other/);
    mkdirSync(join(dir, 'crm', 'folder'), { mode: 0o700 });
    await expect(get('crm', 'folder')).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
  });
});
