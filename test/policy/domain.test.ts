import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostOf } from '../../src/policy/domain.ts';

describe('a host', () => {
  test.each([
    ['https://example.com', 'example.com'],
    ['http://Example.COM:8080/a?b=c@d#e', 'example.com'],
    ['https://example.com?a=b', 'example.com'],
    ['https://example.com#a', 'example.com'],
    ['ws://example.com/', 'example.com'],
    ['wss://example.com/', 'example.com'],
    ['ftp://example.com/', 'example.com'],
    ['https://example.com./', 'example.com'],
    ['https://example.com/@user', 'example.com'],
    ['example.com', 'example.com'],
    ['example.com:443', 'example.com'],
    ['localhost', 'localhost'],
    ['under_score.example', 'under_score.example'],
    ['https://bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['http://127.0.0.1/', '127.0.0.1'],
    ['http://2130706433/', '127.0.0.1'],
    ['http://0x7f000001/', '127.0.0.1'],
    ['http://127.1/', '127.0.0.1'],
    ['http://[::1]:80/', '[::1]'],
    ['http://[0:0::0:1]/', '[::1]'],
    ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]'],
  ])('%s names %s', (text, host) => {
    expect(hostOf(text)).toBe(host);
  });
});

describe('nothing that is one host to all', () => {
  test.each([
    [''],
    ['https://'],
    ['https:///example.com'],
    ['https:example.com'],
    ['https:/example.com'],
    ['//example.com'],
    ['example.com/a'],
    ['example.com?a'],
    ['example.com:'],
    ['example.com:99999'],
    ['https://example.com:port/'],
    ['file:///etc/passwd'],
    ['javascript://example.com/%0aalert(1)'],
    ['mailto:me@example.com'],
    ['git+ssh://example.com/a'],
    ['me@example.com'],
    ['https://me@example.com/'],
    ['https://@example.com/'],
    ['https://example.com@evil.com'],
    ['https://example.com#@evil.com'],
    ['https://example.com?@evil.com'],
    ['https://example.com\\@evil.com'],
    ['https:\\\\example.com'],
    ['https://example.com\\.evil.com'],
    [' https://example.com'],
    ['https://example.com\n'],
    ['https://exa\tmple.com'],
    ['https://example.com\0.evil.com'],
    ['https://example.com /'],
    ['https://ex%61mple.com/'],
    ['https://example.com%00.evil.com/'],
    ['https://example..com/'],
    ['https://.example.com/'],
    ['https://example.com../'],
    ['https://ｅxample.com/'],
    ['https://example。com/'],
    ['https://example．com/'],
    ['https://exam\u00adple.com/'],
    ['https://evil.com／.example.com/'],
    ['https://büｃher.example/'],
    ['http://0177.0.0.1/'],
    ['http://010.0.0.1/'],
    ['http://１２７.0.0.1/'],
    ['http://256.0.0.1/'],
    ['http://[::1/'],
    ['http://[fe80::1%25eth0]/'],
    ['::1'],
    ['http://a b.example/'],
  ])('%j', (text) => {
    expect(hostOf(text)).toBeNull();
  });
});

test('a host is always the one that URL reads, in its one spelling', () => {
  const part = fc.constantFrom(
    'https://',
    'http:',
    '/',
    '\\',
    '@',
    ':',
    '.',
    '#',
    '?',
    '%2e',
    'example',
    'com',
    '1',
    '0x',
    '[',
    ']',
    'é',
    '。',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
        fc.array(part, { maxLength: 8 }).map((parts) => `https://example.com${parts.join('')}`),
        fc.webUrl({ withFragments: true, withQueryParameters: true }),
        fc.domain(),
      ),
      (text) => {
        const host = hostOf(text);
        if (host === null) return;
        const url = new URL(text.includes('://') ? text : `http://${text}`);
        expect(url.hostname.replace(/\.$/, '')).toBe(host);
        expect(url.username).toBe('');
        expect(hostOf(host)).toBe(host);
      },
    ),
    { numRuns: 2000 },
  );
});

test('every ordinary URL names its host', () => {
  fc.assert(
    fc.property(fc.domain(), fc.stringMatching(/^(\/[a-z0-9@:.]{0,8}){0,3}$/), (domain, path) => {
      expect(hostOf(`https://${domain}${path}`)).toBe(domain.toLowerCase());
    }),
  );
});
