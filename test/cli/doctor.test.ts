import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor.ts';
import { startOpenBao } from '../support/openbao.ts';
import { runCli, scratch } from './run.ts';

async function examine(
  spec: Record<string, unknown>,
  manifest = '',
): Promise<{ code: number; findings: Finding[] }> {
  const dir = scratch();
  mkdirSync(join(dir, 'gateway.d'));
  if (manifest !== '') writeFileSync(join(dir, 'gateway.d', 'one.yaml'), manifest);
  const config = join(dir, 'gateway.yaml');
  const manifests = { dir: join(dir, 'gateway.d') };
  const database = { url: `sqlite://${join(dir, 'gateway.db')}` };
  const whole = {
    apiVersion: 'seal.gateway/v1',
    kind: 'GatewayConfig',
    spec: { manifests, database, ...spec },
  };
  writeFileSync(config, JSON.stringify(whole));
  const { code, out } = await runCli(['doctor', '--config', config, '--output', 'json']);
  return { code, findings: JSON.parse(out) as Finding[] };
}

const failed = ({ findings }: { findings: Finding[] }) =>
  findings.filter(({ result }) => result === 'failed');

test('finds nothing wrong with a fresh directory', async () => {
  const examined = await examine({});
  expect(failed(examined)).toEqual([]);
  expect(examined.code).toBe(0);
  expect(examined.findings).toContainEqual({
    check: 'store',
    result: 'ok',
    message: expect.stringContaining('first start'),
  });
});

test('finds a configuration that cannot be used', async () => {
  const examined = await examine({ credentials: { openbao: { addr: 'http://bao.example' } } });
  expect(examined.code).toBe(1);
  expect(
    failed(examined)
      .map(({ message }) => message)
      .join(),
  ).toMatch(/expected https .*exactly one of token/s);
});

test('finds manifests that are bad', async () => {
  const examined = await examine({}, 'kind: Nonsense');
  expect(failed(examined)).toMatchObject([
    { check: 'manifests', message: expect.stringContaining('2 errors') },
  ]);
});

test('finds an OpenBao that is sealed, one that does not let the gateway in, and one that is well', async () => {
  const bao = await startOpenBao();
  onTestFinished(() => bao.close());
  const openbao = (token: string) => ({ credentials: { openbao: { addr: bao.url, auth: { token } } } });
  expect(failed(await examine(openbao(bao.root_token)))).toEqual([]);
  expect(failed(await examine(openbao('s3cret-but-wrong')))).toMatchObject([{ check: 'openbao login' }]);
  bao.seal(true);
  const examined = await examine(openbao(bao.root_token));
  expect(failed(examined)).toMatchObject([
    { check: 'openbao', message: expect.stringContaining('is sealed') },
  ]);
  expect(JSON.stringify(examined)).not.toContain(bao.root_token);
});

test('says why an OpenBao cannot be reached', async () => {
  const bao = await startOpenBao();
  await bao.close();
  const examined = await examine({ credentials: { openbao: { addr: bao.url, auth: { token: 'any' } } } });
  expect(failed(examined)).toMatchObject([
    { check: 'openbao', message: `${bao.url}: OpenBao could not be reached (ECONNREFUSED)` },
  ]);
});

test('finds files of secrets that others may read, and a directory that is not there', async () => {
  const dir = scratch();
  mkdirSync(join(dir, 'crm'));
  writeFileSync(join(dir, 'crm', 'good'), 's3cret', { mode: 0o440 });
  expect(failed(await examine({ credentials: { files: { dir } } }))).toEqual([]);
  writeFileSync(join(dir, 'crm', 'token'), 's3cret', { mode: 0o644 });
  expect(failed(await examine({ credentials: { files: { dir } } }))).toMatchObject([
    { check: 'files', message: expect.stringMatching(/crm\/token has mode 0644: .* make it 0440 or 0400$/) },
  ]);
  const missing = await examine({ credentials: { files: { dir: join(dir, 'none') } } });
  expect(failed(missing)).toMatchObject([{ message: expect.stringContaining('cannot be read (ENOENT)') }]);
});

test('warns of what is for development', async () => {
  const { findings } = await examine({
    auth: { development: true },
    credentials: { files: { dir: '/run/secrets' } },
  });
  expect(findings.filter(({ result }) => result === 'warn').map(({ check }) => check)).toEqual([
    'development',
    'development',
  ]);
});

test('tells where the container engine is, and of one that was named and is not there', async () => {
  const engine = createServer((_, response) =>
    response
      .setHeader('content-type', 'application/json')
      .end('{"Version":"28.0","ApiVersion":"1.48","MinAPIVersion":"1.24","Components":[]}'),
  );
  const socket = join(scratch(), 'docker.sock');
  engine.listen(socket);
  await once(engine, 'listening');
  onTestFinished(() => void engine.close());
  const found = async (container_host: string) =>
    (await examine({ cli: { container_host } })).findings.find(({ check }) => check === 'container engine');
  expect(await found(`unix://${socket}`)).toMatchObject({
    result: 'ok',
    message: `docker 28.0 at unix://${socket}`,
  });
  expect(await found(`unix://${socket}.none`)).toMatchObject({
    result: 'failed',
    message: expect.stringContaining('ENOENT'),
  });
});
