import { createPrivateKey, createPublicKey } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { newKey, type PrivateJwk, publicHalf, readKey, writeKey } from '../../src/cli/keys.ts';
import { CliError } from '../../src/cli/output.ts';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { scratch } from './run.ts';

const KEY = await newKey('agent');

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

/** A key file with this content, which its owner alone may read. */
function keyFile(text: string): string {
  const file = join(scratch(), 'key.json');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe('a new key', () => {
  test('is an Ed25519 pair, and its public half says nothing more', () => {
    expect(Object.keys(KEY)).toEqual(['kty', 'crv', 'x', 'd', 'kid']);
    const made = createPublicKey(createPrivateKey({ key: { ...KEY }, format: 'jwk' })).export({
      format: 'jwk',
    });
    expect(publicHalf(KEY)).toEqual({ ...made, kid: 'agent' });
    expect(importEnvelopeKey(publicHalf(KEY)).kid).toBe('agent');
  });

  test('is new each time', async () => {
    expect((await newKey('agent')).d).not.toBe(KEY.d);
  });
});

describe('a key file', () => {
  test('is for its owner alone, as is the directory made for it, and reads back', () => {
    const file = join(scratch(), '.seal', 'agent.jwk.json');
    writeKey(file, KEY);
    expect(modeOf(file)).toBe('600');
    expect(modeOf(join(file, '..'))).toBe('700');
    expect(readKey(file, 'agent key')).toEqual(KEY);
  });

  test('is never replaced', async () => {
    const file = join(scratch(), 'key.json');
    writeKey(file, KEY);
    const other = await newKey('other');
    expect(() => writeKey(file, other)).toThrow(`${file} exists; a key is never overwritten`);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(KEY);
  });

  test('that cannot be written is told', () => {
    const file = keyFile('');
    expect(() => writeKey(join(file, 'below'), KEY)).toThrow(CliError);
    expect(() => writeKey(join(file, 'below'), KEY)).toThrow('cannot be written');
  });

  test('that is not there is told with how to make it', () => {
    const file = join(scratch(), 'no.json');
    expect(() => readKey(file, 'issuer key')).toThrow(
      `no issuer key at ${file}: make one with "seal-gateway keygen --out ${file}"`,
    );
  });

  test.each([0o640, 0o604, 0o620, 0o601])('that others may use (mode %i) is refused', (mode) => {
    const file = keyFile(JSON.stringify(KEY));
    chmodSync(file, mode);
    expect(() => readKey(file, 'agent key')).toThrow(`chmod 600 ${file}`);
  });

  test('that is a directory is told, not said to be missing', () => {
    const file = join(scratch(), 'dir');
    mkdirSync(file, { mode: 0o700 });
    expect(() => readKey(file, 'agent key')).toThrow(`${file} cannot be read`);
  });

  const { d, x, kid, ...rest } = KEY;
  test.each([
    ['no JSON', 'not JSON'],
    ['null', 'null'],
    ['a public key', JSON.stringify(publicHalf(KEY))],
    ['another curve', JSON.stringify({ ...KEY, crv: 'X25519' })],
    ['another kind', JSON.stringify({ ...KEY, kty: 'EC' })],
    ['no public half', JSON.stringify({ ...rest, d, kid })],
    ['a short private half', JSON.stringify({ ...KEY, d: d.slice(1) })],
    ['a private half that is no base64url', JSON.stringify({ ...KEY, d: `${d.slice(1)}=` })],
  ])('that is no private key is refused: %s', (_, text) => {
    const file = keyFile(text);
    expect(() => readKey(file, 'agent key')).toThrow(`${file} is not an Ed25519 private JWK`);
  });

  test('may be without a key id', () => {
    const read: PrivateJwk = readKey(keyFile(JSON.stringify({ ...rest, d, x })), 'agent key');
    expect(read).toEqual({ ...rest, d, x, kid: 'key' });
  });
});
