import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestArguments, MAX_REDACTED_BYTES, redactArguments } from '../../src/audit/redact.ts';

// Put together here, so that no scanner takes this file for a leak.
const jwt = ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJ4In0', 'c2lnbmF0dXJl'].join('.');
const pem = ['-----BEGIN', 'PRIVATE KEY-----\nMC4CAQ==\n-----END', 'PRIVATE KEY-----'].join(' ');

test('what is no secret stays as it is', () => {
  const harmless = {
    email: 'ada@example.com',
    count: 3,
    ratio: 0.5,
    flag: true,
    nothing: null,
    list: ['a', 1, { deep: 'käse' }],
    url: 'https://api.example.com/v1/items?limit=10',
    author: 'Ada',
    text: 'The basic idea: bearer of news. e.g. s.t.',
    keyboard: 'qwerty',
    primary_key: 7,
    empty: {},
  };
  expect(redactArguments(harmless)).toEqual(harmless);
});

test.each([
  'password',
  'Password',
  'db_passwd',
  'PASSPHRASE',
  'token',
  'accessToken',
  'x-auth-token',
  'client_secret',
  'Authorization',
  'api_key',
  'apiKey',
  'X-API-Key',
  'Set-Cookie',
  'private_key',
  'privateKeyPem',
  'aws_access_key_id',
  'credentials',
  'session_id',
  'otp',
  'pass​word',
  'ｐａｓｓｗｏｒｄ',
])('the value of %s is hidden, wherever it is', (key) => {
  for (const value of ['hunter2', 1234, ['a'], { b: 'c' }]) {
    expect(redactArguments({ [key]: value })).toEqual({ [key]: '[redacted]' });
    expect(redactArguments({ a: [{ b: { [key]: value } }] })).toEqual({
      a: [{ b: { [key]: '[redacted]' } }],
    });
  }
});

test('that there is none, or whether, is no secret', () => {
  const args = { password: null, has_token: true, secret: '' };
  expect(redactArguments(args)).toEqual(args);
});

test.each([
  ['a JWT', jwt],
  ['a JWT in a sentence', `use ${jwt} please`],
  ['a private key', pem],
  ['an RSA key in text', `key: ${pem.replaceAll('PRIVATE', 'RSA PRIVATE')}`],
  ['GitHub', `ghp_${'a1B2'.repeat(9)}`],
  ['GitHub, fine-grained', `github_pat_${'a1B2'.repeat(9)}`],
  ['GitLab', `glpat-${'a1B2'.repeat(5)}`],
  ['Slack', `xoxb-${'1234'.repeat(5)}`],
  ['Stripe', `sk_live_${'a1B2'.repeat(6)}`],
  ['OpenAI', `sk-proj-${'a1B2'.repeat(6)}`],
  ['AWS', `AKIA${'ABCD'.repeat(4)}`],
  ['Google', `AIza${'a1B-'.repeat(9)}`],
  ['npm', `npm_${'a1B2'.repeat(9)}`],
  ['Vault', `hvs.${'a1B2'.repeat(6)}`],
  ['a bearer value', 'Bearer abcdef0123456789'],
  ['a basic value', 'basic dXNlcjpwYXNzd29yZA=='],
  ['a URL with a password', 'postgres://app:hunter2@db.example.com/x'],
  ['a query string', 'https://example.com/?a=1&access_token=abc'],
  ['JSON in a text', '{"user":"a","password": "hunter2"}'],
  ['an option', '--password=hunter2'],
])('a text that holds a secret is hidden: %s', (_, text) => {
  expect(redactArguments({ note: text, list: [text] })).toEqual({ note: '[redacted]', list: ['[redacted]'] });
  expect(redactArguments({ [text]: 1 })).not.toHaveProperty([text]);
});

test('a value beside its name is hidden', () => {
  expect(
    redactArguments({
      headers: [
        { name: 'Authorization', value: 'abc' },
        { name: 'Accept', value: 'text/plain' },
      ],
      args: ['--user', 'ada', '--password', 'hunter2', '--verbose'],
    }),
  ).toEqual({
    headers: [
      { name: 'Authorization', value: '[redacted]' },
      { name: 'Accept', value: 'text/plain' },
    ],
    args: ['--user', 'ada', '--password', '[redacted]', '--verbose'],
  });
});

test('what is not an object is wrapped', () => {
  expect(redactArguments('x')).toEqual({ value: 'x' });
  expect(redactArguments(['x'])).toEqual({ value: ['x'] });
  expect(redactArguments(undefined)).toEqual({ value: null });
  expect(redactArguments(jwt)).toEqual({ value: '[redacted]' });
});

test('a key __proto__ is a key', () => {
  const args = JSON.parse('{"__proto__":{"polluted":1},"a":2}');
  expect(JSON.stringify(redactArguments(args))).toBe('{"__proto__":{"polluted":1},"a":2}');
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

describe('size', () => {
  test('a long text keeps its beginning', () => {
    const cut = redactArguments({ text: 'ü'.repeat(100_000), after: 1 });
    expect(cut.text).toMatch(/^ü{600,700}\[cut\]$/);
    expect(cut.after).toBe(1);
  });

  test('a secret at the end of a long text hides all of it', () => {
    expect(redactArguments({ text: 'x '.repeat(100_000) + jwt })).toEqual({ text: '[redacted]' });
  });

  test('more than fits is cut with a mark that says how much', () => {
    const list = redactArguments({ list: Array.from({ length: 10_000 }, (_, index) => index) })
      .list as unknown[];
    const shown = list.filter((item) => typeof item === 'number');
    expect(list.slice(0, 3)).toEqual([0, 1, 2]);
    expect(list.at(-1)).toBe(`[cut] ${10_000 - list.length + 1}`);
    expect(shown.length).toBeGreaterThan(2_000);

    const wide = redactArguments(
      Object.fromEntries(Array.from({ length: 9_999 }, (_, index) => [`k${index}`, 0])),
    );
    expect(wide['[cut]']).toBe(9_999 - Object.keys(wide).length + 1);
  });

  test('what is too deep is cut', () => {
    let deep: unknown = 'bottom';
    for (let level = 0; level < 50_000; level++) deep = level % 2 ? { deep } : [deep];
    const text = JSON.stringify(redactArguments({ deep }));
    expect(text).toContain('[cut]');
    expect(text.length).toBeLessThan(1_000);
  });

  test('never more than 16 KiB of JSON, whatever it is', () => {
    const json = fc.object({ maxDepth: 6, maxKeys: 60, key: fc.string({ unit: 'binary' }) });
    fc.assert(
      fc.property(json, fc.integer({ min: 1, max: 400 }), (value, times) => {
        const text = JSON.stringify(redactArguments({ list: Array.from({ length: times }, () => value) }));
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_REDACTED_BYTES);
      }),
    );
    const nested = (depth: number): unknown =>
      depth === 0 ? [] : Array.from({ length: 8 }, () => nested(depth - 1));
    for (const value of [
      nested(5),
      Array(100_000).fill({}),
      Array(100_000).fill('\0\0'),
      '\u2028"'.repeat(50_000),
    ]) {
      const bytes = Buffer.byteLength(JSON.stringify(redactArguments({ value })));
      expect(bytes).toBeLessThanOrEqual(MAX_REDACTED_BYTES);
      expect(bytes).toBeGreaterThan(1_000);
    }
  });

  test.each([
    'eyJ-',
    'eyJaaaaa.',
    'a://:',
    'bearer ',
    'password ',
    '-----BEGIN ',
    'aaaa+',
    'https://a:',
    'sk-a ',
  ])('a megabyte of %j is read in linear time', (piece) => {
    // Quadratic time would take minutes, and run into the limit of the test.
    expect(redactArguments({ text: piece.repeat(1_000_000 / piece.length) })).toBeTruthy();
  });
});

test('the digest is of the UTF-8 bytes', () => {
  expect(digestArguments('{"a":"ü"}')).toEqual({
    arguments_digest: 'sha256:fd621823002706e24604cb868a9f4f8850d6f01fb5040d49ba050482e1472437',
    arguments_bytes: 10,
  });
});
