import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { operatorKeys } from '../../src/reconcile/operator-keys.ts';
import { newOperatorKey } from '../support/operator.ts';

const HEADER = { alg: 'EdDSA', kid: 'op-1' };
const keysOf = (uri: string) =>
  operatorKeys(uri, ['EdDSA', 'Ed25519'], { clock: systemClock, log: silentLog });

function written(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'seal-operator-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'jwks.json'), text);
  return join(dir, 'jwks.json');
}

test('a file is named by path or by URL, and what it says now counts', async () => {
  const [first, second] = [newOperatorKey(), newOperatorKey()];
  const file = written(JSON.stringify(first.jwks));
  for (const uri of [file, pathToFileURL(file).href]) {
    writeFileSync(file, JSON.stringify(first.jwks));
    const keys = keysOf(uri);
    const [one] = await keys.candidates(HEADER);
    expect(one?.equals(first.public_key)).toBe(true);
    writeFileSync(file, JSON.stringify(second.jwks));
    const [two, ...more] = await keys.candidates(HEADER);
    expect(two?.equals(second.public_key)).toBe(true);
    expect(more).toEqual([]);
  }
});

test('a file that is gone or spoiled has no keys, also none that it had before', async () => {
  const file = written(JSON.stringify(newOperatorKey().jwks));
  const keys = keysOf(file);
  expect(await keys.candidates(HEADER)).toHaveLength(1);
  const unusable = { name: 'TOKEN_VERIFICATION_FAILED', message: expect.stringContaining('log says why') };
  for (const text of ['{"keys": [', '{}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}']) {
    writeFileSync(file, text);
    await expect(keys.candidates(HEADER), text).rejects.toMatchObject(unusable);
  }
  rmSync(file);
  await expect(keys.candidates(HEADER)).rejects.toMatchObject(unusable);
});

test('a URL is fetched, where that is safe', async () => {
  const key = newOperatorKey();
  const server = createServer((_, response) => response.end(JSON.stringify(key.jwks))).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await keysOf(`http://127.0.0.1:${port}/jwks`).candidates(HEADER)).toHaveLength(1);
  expect(() => keysOf('http://id.example/jwks')).toThrow('not https');
});
