import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli, scratch } from './run.ts';

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

test('writes the private key and prints the public one', async () => {
  const file = join(scratch(), 'agent.json');
  const { code, out, err } = await runCli(['keygen', '--out', file]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { d, ...publicKey } = read(file);
  expect(publicKey).toMatchObject({ kty: 'OKP', crv: 'Ed25519', kid: 'agent' });
  expect(out).toContain(`inline: ${JSON.stringify({ keys: [publicKey] })}`);
  expect(out).not.toContain(d);
});

test('as JSON, with another key id', async () => {
  const file = join(scratch(), 'agent.json');
  const { out } = await runCli(['keygen', '--out', file, '--kid', 'ci', '--output', 'json']);
  const { d: _, ...publicKey } = read(file);
  expect(JSON.parse(out)).toEqual({ private_key_file: file, jwks: { keys: [publicKey] } });
  expect(publicKey.kid).toBe('ci');
});

test('never replaces a key', async () => {
  const file = join(scratch(), 'agent.json');
  await runCli(['keygen', '--out', file]);
  const before = read(file);
  const { code, out, err } = await runCli(['keygen', '--out', file]);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain(`${file} exists; a key is never overwritten`);
  expect(read(file)).toEqual(before);
});
