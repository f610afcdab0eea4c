import { describe, expect, test } from 'vitest';
import { scanSecrets, secretIn } from '../../src/manifest/secret-scan.ts';
import { fieldPath, quoted } from '../../src/manifest/words.ts';

const letters = (length: number): string => 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7'.repeat(9).slice(0, length);

describe('what looks like a secret', () => {
  // Put together here, so that no scanner finds them in this file.
  test.each([
    ['a private key', `-----BEGIN ${'RSA '}PRIVATE KEY-----\nMIIE`],
    ['a private key', `-----BEGIN ${'PGP '}PRIVATE KEY BLOCK-----`],
    ['an AWS access key', `AKIA${'ABCDEFGHIJKLMNOP'}`],
    ['a GitHub token', `ghp_${letters(36)}`],
    ['a GitHub token', `github_pat_${letters(22)}_x`],
    ['a GitLab token', `glpat-${letters(20)}`],
    ['a Slack token', `xoxb-${letters(12)}`],
    ['an API key', `sk-${letters(40)}`],
    ['a Stripe key', `sk_live_${letters(24)}`],
    ['a Google API key', `AIza${letters(35)}`],
    ['an npm token', `npm_${letters(36)}`],
    ['an OpenBao or Vault token', `hvs.${letters(24)}`],
    ['a JSON Web Token', `eyJ${letters(20)}.eyJ${letters(20)}.${letters(40)}`],
  ])('%s', (what, text) => {
    expect(secretIn(text)).toBe(what);
    expect(secretIn(`before ${text} after`)).toBe(what);
    expect(quoted(text)).toBe('"…"');
  });

  test.each([
    'sk-learn-is-a-library-for-python',
    'task-list-of-the-team-2026-01-31-final',
    'ghp_short',
    '-----BEGIN PUBLIC KEY-----',
    '-----BEGIN CERTIFICATE-----',
    '{{input.token}}',
    'eyJhbGciOiJFZERTQSJ9',
    'https://example.com/AKIAlooks/like',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  ])('not %j', (text) => {
    expect(secretIn(text)).toBeNull();
  });

  test('takes time in proportion to the length', () => {
    for (const piece of ['sk-', 'eyJ', 'ghp_', 'a.b.', '-----BEGIN ', 'eyJabcdefgh.', 'xoxb'])
      secretIn(piece.repeat(256 * 1024));
  });
});

describe('where it is found', () => {
  const found = (spec: object, metadata: object = {}): string[] =>
    scanSecrets({ metadata, spec }).map(({ pointer, what }) => `${pointer} ${what}`);
  const token = `ghp_${letters(36)}`;

  test('in any text, and in any key', () => {
    expect(found({ steps: [{ body: { a: ['x', token] } }] })).toEqual([
      '/spec/steps/0/body/a/1 looks like a GitHub token',
    ]);
    expect(found({}, { annotations: { note: `use ${token}` } })).toEqual([
      '/metadata/annotations/note looks like a GitHub token',
    ]);
    expect(found({}, { labels: { [token]: '1' } })).toEqual([
      `/metadata/labels/${token} looks like a GitHub token`,
    ]);
  });

  test('the message does not repeat it', () => {
    expect(fieldPath(`/metadata/labels/${token}`)).toBe('metadata.labels["…"]');
  });

  test('in headers that carry credentials', () => {
    expect(found({ headers: { Authorization: 'Bearer abcdefgh1234' } })).toEqual([
      '/spec/headers/Authorization is a credential written out',
    ]);
    expect(found({ headers: { 'X-Api-Key': 'abc' } })).toHaveLength(1);
    expect(found({ headers: { Cookie: 'a=b' } })).toHaveLength(1);
    expect(found({ headers: { 'X-Custom': 'Basic YWxhZGRpbjpvcGVu' } })).toHaveLength(1);
    expect(found({ steps: [{ headers: { authorization: 'token abcdefgh' } }] })).toEqual([
      '/spec/steps/0/headers/authorization is a credential written out',
    ]);
  });

  test('not where a header takes its value from elsewhere', () => {
    expect(found({ headers: { Authorization: '' } })).toEqual([]);
    expect(found({ steps: [{ headers: { Authorization: 'Bearer {{input.token}}' } }] })).toEqual([]);
    expect(found({ headers: { Accept: 'application/json' } })).toEqual([]);
  });

  test('in the environment of a command', () => {
    expect(found({ env: { DB_PASSWORD: 'correct horse' } })).toEqual([
      '/spec/env/DB_PASSWORD is named like a credential',
    ]);
    expect(found({ env: { GITHUB_TOKEN: 'abcdefgh' } })).toHaveLength(1);
    expect(found({ env: { TOKENIZER: 'abcdefgh', LANG: 'C.UTF-8', SECRET: 'no' } })).toEqual([]);
  });

  test('each once', () => {
    expect(found({ headers: { Authorization: `Bearer ${token}` } })).toHaveLength(1);
  });

  test('whatever the manifest is made of', () => {
    for (const value of [null, 3, 'x', [], { spec: 3 }, { spec: { steps: { a: 1 }, headers: [], env: 'x' } }])
      expect(scanSecrets(value)).toEqual([]);
  });
});
