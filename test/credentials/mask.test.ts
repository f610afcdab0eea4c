import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMask, MASK, type Mask } from '../../src/credentials/mask.ts';
import { Secret } from '../../src/credentials/secret.ts';

function maskOf(...secrets: string[]): Mask {
  const mask = createMask();
  for (const secret of secrets) mask.add(new Secret(secret));
  return mask;
}

const SECRET = `p/ß+w"rd & 'more'=`;

describe('a text', () => {
  const forms: [string, string][] = [
    ['as it is', SECRET],
    ['in JSON', JSON.stringify(SECRET)],
    ['in JSON within JSON', JSON.stringify(JSON.stringify(SECRET))],
    ['in base64 of JSON', Buffer.from(JSON.stringify({ a: SECRET })).toString('base64')],
    ['in HTML', 'p/ß+w&quot;rd &amp; &#39;more&#39;='],
    ['URL-encoded', encodeURIComponent(SECRET)],
    [
      'URL-encoded in lower case',
      encodeURIComponent(SECRET).replace(/%../g, (digits) => digits.toLowerCase()),
    ],
    ['URL-encoded, slashes left', encodeURIComponent(SECRET).replaceAll('%2F', '/')],
    ['as a form field', new URLSearchParams({ a: SECRET }).toString()],
    ['in base64', Buffer.from(SECRET).toString('base64')],
    ['in base64url', Buffer.from(SECRET).toString('base64url')],
    ['in base64, URL-encoded', encodeURIComponent(Buffer.from(SECRET).toString('base64'))],
  ];
  it.each(forms)('hides it %s', (_, form) => {
    const masked = maskOf(SECRET).text(`before ${form} after`);
    expect(masked).toContain(MASK);
    expect(masked.startsWith('before ')).toBe(true);
    expect(masked.endsWith(' after')).toBe(true);
    expect(masked.length).toBeLessThan(40);
  });

  it('hides what is within longer base64, wherever it stands', () => {
    const secret = 'a-token-of-some-length';
    for (const before of ['', 'x', 'ab', 'user:']) {
      for (const after of ['', '!', '??']) {
        const text = Buffer.from(before + secret + after).toString('base64');
        const masked = maskOf(secret).text(text);
        expect(Buffer.from(masked.replace(MASK, ''), 'base64').toString()).not.toContain(secret.slice(2, -2));
        expect(masked).toContain(MASK);
      }
    }
  });

  it('hides secrets of any length, and no longer text for their sake', () => {
    expect(maskOf('7').text('PIN 7, room 12')).toBe('PIN [secret], room 12');
    expect(maskOf('').text('nothing')).toBe('nothing');
    expect(createMask().text('nothing')).toBe('nothing');
  });

  it('hides all of two secrets that overlap', () => {
    expect(maskOf('abcde', 'defgh').text('-abcdefgh-')).toBe('-[secret]-');
    expect(maskOf('abc', 'abcdef').text('-abcdef-')).toBe('-[secret]-');
  });

  it('hides the lines of a secret of several', () => {
    const key = '-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END KEY-----';
    expect(maskOf(key).text('  MC4CAQAwBQYDK2VwBCIEIA\n')).toBe('  [secret]\n');
  });
});

describe('a value', () => {
  it('is masked in texts, keys and numbers, at any depth', () => {
    const value = { list: ['a 4711', 4711, 12], 'key-4711': { x: null, y: true } };
    expect(maskOf('4711').value(value)).toEqual({
      list: ['a [secret]', MASK, 12],
      'key-[secret]': { x: null, y: true },
    });
  });

  it('is the same when there is nothing to mask', () => {
    const value = { list: [1, { a: 'b' }] };
    expect(maskOf('4711').value(value)).toBe(value);
    expect(createMask().value(value)).toBe(value);
  });

  it('keeps a key named __proto__', () => {
    const value = JSON.parse('{"__proto__":"s3cret"}');
    expect(JSON.stringify(maskOf('s3cret').value(value))).toBe('{"__proto__":"[secret]"}');
  });
});

describe('a stream', () => {
  const inPieces = (mask: Mask, bytes: Buffer, cuts: readonly number[]): string => {
    const stream = mask.stream();
    const out: Buffer[] = [];
    let from = 0;
    for (const cut of [...cuts.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
      out.push(stream.push(bytes.subarray(from, cut)));
      from = cut;
    }
    return Buffer.concat([...out, stream.end()]).toString('latin1');
  };

  it('shows what a mask of the whole shows, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(letters, { minLength: 1, maxLength: 3 }),
        fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (secrets, text, cuts) => {
          const mask = maskOf(...secrets);
          expect(inPieces(mask, Buffer.from(text), cuts)).toBe(
            mask.bytes(Buffer.from(text)).toString('latin1'),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('never shows a secret, in whatever form and pieces', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 4, maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (secret, cuts) => {
          fc.pre(!MASK.includes(secret) && Buffer.from(secret).toString() === secret);
          const forms = [secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)];
          const shown = Buffer.from(
            inPieces(maskOf(secret), Buffer.from(forms.join('\n')), cuts),
            'latin1',
          ).toString();
          expect(shown.split('\n').length).toBeLessThanOrEqual(forms.length);
          for (const form of forms) expect(shown).not.toContain(form);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('holds back no more than a secret may take', () => {
    const stream = maskOf('aa').stream();
    for (let round = 0; round < 100; round += 1) stream.push(Buffer.from('a'.repeat(1000)));
    expect(stream.end().length).toBeLessThanOrEqual(MASK.length);
  });

  it('is quick over a large secret and much output', () => {
    const secret = Array.from({ length: 400 }, (_, line) => `line ${line} of a kubeconfig`).join('\n');
    const stream = maskOf(secret).stream();
    const chunk = Buffer.from('a line of output that is like many others\n'.repeat(400));
    const started = performance.now();
    for (let round = 0; round < 20; round += 1) stream.push(chunk);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
