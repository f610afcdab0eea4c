import { describe, expect, it } from 'vitest';
import { injectCredential, injectIntoContainer } from '../../src/credentials/inject.ts';
import type { ResolvedCredential } from '../../src/credentials/resolve.ts';
import { type RequestSecrets, reveal, Secret } from '../../src/credentials/secret.ts';

const token: ResolvedCredential = { value: new Secret('s3cret'), fields: {} };
const secretsOf = (map: Readonly<Record<string, Secret>>) =>
  Object.fromEntries(Object.entries(map).map(([name, secret]) => [name, reveal(secret)]));
const pair: ResolvedCredential = {
  value: null,
  fields: { user: new Secret('änn'), pass: new Secret('p:ss') },
};

function opened(secrets: RequestSecrets) {
  const open = (map: Readonly<Record<string, Secret>>) =>
    Object.fromEntries(Object.entries(map).map(([name, secret]) => [name, reveal(secret)]));
  return { headers: open(secrets.headers), query: open(secrets.query) };
}

describe('injectCredential', () => {
  it('makes a bearer token', () => {
    expect(opened(injectCredential({ kind: 'bearer' }, token))).toEqual({
      headers: { authorization: 'Bearer s3cret' },
      query: {},
    });
  });

  it('makes basic credentials in UTF-8', () => {
    const inject = { kind: 'basic', username_field: 'user', password_field: 'pass' } as const;
    const { headers } = opened(injectCredential(inject, pair));
    expect(Buffer.from(headers.authorization?.slice(6) ?? '', 'base64').toString()).toBe('änn:p:ss');
  });

  it('makes a header with a prefix, its name in lower case', () => {
    const inject = { kind: 'header', name: 'X-API-Key', prefix: 'key=' } as const;
    expect(opened(injectCredential(inject, token)).headers).toEqual({ 'x-api-key': 'key=s3cret' });
  });

  it('makes a query parameter', () => {
    expect(opened(injectCredential({ kind: 'query', name: 'api_key' }, token))).toEqual({
      headers: {},
      query: { api_key: 's3cret' },
    });
  });

  it('prints nothing of it', () => {
    const secrets = injectCredential({ kind: 'bearer' }, token);
    expect(JSON.stringify(secrets)).toBe('{"headers":{"authorization":"[secret]"},"query":{}}');
  });

  const bad: [string, () => RequestSecrets, RegExp][] = [
    [
      'several fields and none named',
      () => injectCredential({ kind: 'bearer' }, pair),
      /name the one to use/,
    ],
    [
      'a field that is not there',
      () => injectCredential({ kind: 'basic', username_field: 'login', password_field: 'pass' }, pair),
      /no field login/,
    ],
    [
      'a field name of the prototype',
      () => injectCredential({ kind: 'basic', username_field: 'constructor', password_field: 'pass' }, pair),
      /no field constructor/,
    ],
    [
      'a user name with a colon',
      () => injectCredential({ kind: 'basic', username_field: 'pass', password_field: 'user' }, pair),
      /colon/,
    ],
    [
      'a line end',
      () => injectCredential({ kind: 'bearer' }, { value: new Secret('s3cret\r\nx-admin: 1'), fields: {} }),
      /header authorization cannot carry/,
    ],
  ];
  it.each(bad)('refuses %s', (_, run, message) => {
    expect(run).toThrow(expect.objectContaining({ name: 'CREDENTIAL_UNAVAILABLE' }));
    expect(run).toThrow(message);
    expect(run).not.toThrow(/s3cret|p:ss/);
  });
});

describe('injectIntoContainer', () => {
  it('fills variables from fields', () => {
    const { env, files, stdin } = injectIntoContainer(
      { kind: 'env', fields: { A: 'user', B: 'pass' } },
      pair,
    );
    expect(secretsOf(env)).toEqual({ A: 'änn', B: 'p:ss' });
    expect([files, stdin]).toEqual([[], null]);
  });

  it('makes a file of a field, or of the only one', () => {
    const path = '/run/secrets/key';
    const named = injectIntoContainer({ kind: 'file', path, field: 'pass' }, pair);
    expect(named.files[0]?.path).toBe(path);
    expect(reveal(named.files[0]!.content)).toBe('p:ss');
    const only = injectIntoContainer({ kind: 'file', path }, token);
    expect(reveal(only.files[0]!.content)).toBe('s3cret');
  });

  it('writes to standard input', () => {
    expect(reveal(injectIntoContainer({ kind: 'stdin' }, token).stdin!)).toBe('s3cret');
  });

  it('refuses a field that is not there, several without a name, and a NUL in a variable', () => {
    const fail = (run: () => unknown) =>
      expect(run).toThrow(expect.objectContaining({ name: 'CREDENTIAL_UNAVAILABLE' }));
    fail(() => injectIntoContainer({ kind: 'env', fields: { A: 'none' } }, pair));
    fail(() => injectIntoContainer({ kind: 'stdin' }, pair));
    const nul = { value: null, fields: { a: new Secret('x\0y') } };
    fail(() => injectIntoContainer({ kind: 'env', fields: { A: 'a' } }, nul));
  });
});
