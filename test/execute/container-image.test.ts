import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/credentials/secret.ts';
import { newId } from '../../src/ids.ts';
import { capturedLog } from '../store/scratch.ts';
import type { TestEngine } from '../support/engines.ts';
import { describeWithRegistry, type Pushed, pushBusybox, REGISTRY } from '../support/registry.ts';
import { PULLER } from '../support/with-engines.ts';
import { callOf, prepare, type RunnerOptions, runnerOn, shell } from './cli-running.ts';

const nameOf = (): string => `tools/t${newId().slice(-12)}`;
const registry_credential = { static_ref: { key: 'registry' } };
const fieldsOf = (fields: Record<string, string>) => async (ref: { kind: string }) =>
  ref.kind === 'none'
    ? null
    : {
        value: null,
        fields: Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, new Secret(text)])),
      };

/** A way to the registry that counts what is asked for. */
async function counted(pushed: Pushed): Promise<{ image: string; manifests: () => number }> {
  const [host = '', port = ''] = REGISTRY!.split(':');
  let manifests = 0;
  const server = createServer((incoming, outgoing) => {
    if (
      // An engine that has the image asks for its digest alone.
      /^(GET|HEAD)$/.test(incoming.method ?? '') &&
      /\/manifests\//.test(incoming.url ?? '') &&
      'authorization' in incoming.headers
    )
      manifests += 1;
    const { method, url: path, headers } = incoming;
    const asked = request({ host, port, method, path, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    incoming.pipe(asked);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port: own } = server.address() as AddressInfo;
  return { image: pushed.by_tag.replace(REGISTRY!, `127.0.0.1:${own}`), manifests: () => manifests };
}

describeWithRegistry('an image', (engine: TestEngine) => {
  const { address } = engine;
  const runner = (more: Partial<RunnerOptions> = {}) =>
    runnerOn({ address, credentials: { resolve: fieldsOf(PULLER) }, ...more });
  const tool = (image: string, more = {}) =>
    shell('echo well', { image, pull_policy: 'if_not_present', registry_credential, ...more });

  test('is pulled by its digest, with the credential of its registry', async () => {
    const { by_digest } = await pushBusybox(nameOf());
    expect((await callOf(runner(), tool(by_digest))).result.stdout).toBe('well\n');
  });

  test('is pulled by a digest whatever the tag beside it says', async () => {
    const { by_digest } = await pushBusybox(nameOf());
    expect((await callOf(runner(), tool(by_digest.replace('@', ':other@')))).result.stdout).toBe('well\n');
  });

  test('of another digest is not run', async () => {
    const { by_digest } = await pushBusybox(nameOf());
    const other = by_digest.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'));
    await expect(callOf(runner(), tool(other))).rejects.toMatchObject({
      name: 'CONTAINER_FAILED',
      details: { reason: 'image' },
    });
  });

  describe('without the right credential', () => {
    test.each([
      ['none', { none: {} }, PULLER],
      ['a wrong one', registry_credential, { username: 'puller', password: 'wrong' }],
    ])('is not pulled: %s', async (_, registry, fields) => {
      const { by_tag } = await pushBusybox(nameOf());
      const call = callOf(
        runner({ credentials: { resolve: fieldsOf(fields) } }),
        tool(by_tag, { registry_credential: registry }),
      );
      await expect(call).rejects.toMatchObject({ name: 'CONTAINER_FAILED', details: { reason: 'image' } });
      await expect(call).rejects.not.toMatchObject({ message: expect.stringContaining('wrong') });
    });

    test('is not pulled: one that lacks a field', async () => {
      const { by_tag } = await pushBusybox(nameOf());
      const call = callOf(runner({ credentials: { resolve: fieldsOf({ token: 'x' }) } }), tool(by_tag));
      await expect(call).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
    });
  });

  test('is pulled once for calls that come together, and not again when it is there', async () => {
    const { image, manifests } = await counted(await pushBusybox(nameOf()));
    const shared = runner();
    const calls = await Promise.all([1, 2, 3, 4].map(() => callOf(shared, tool(image))));
    expect(calls.map(({ result }) => result.stdout)).toEqual(Array(4).fill('well\n'));
    const once = manifests();
    expect(once).toBeGreaterThan(0);
    await callOf(shared, tool(image));
    expect(manifests()).toBe(once);
    await callOf(shared, tool(image, { pull_policy: 'always' }));
    expect(manifests()).toBeGreaterThan(once);
  });

  test('is never pulled where the manifest says so', async () => {
    const { by_tag } = await pushBusybox(nameOf());
    await expect(callOf(runner(), tool(by_tag, { pull_policy: 'never' }))).rejects.toMatchObject({
      name: 'CONTAINER_FAILED',
      message: expect.stringContaining('never'),
    });
  });

  test('is there before the first call when the manifest says prepull', async () => {
    const { by_tag } = await pushBusybox(nameOf());
    const { log, lines } = capturedLog();
    prepare(runner({ log }), [tool(by_tag, { prepull: true }), tool(`${by_tag}2`)]);
    await expect
      .poll(() => lines.filter((line) => line.includes('pull')), { timeout: 20_000 })
      .toEqual(['info pulling an image', 'info pulled an image']);
    expect((await callOf(runner(), tool(by_tag, { pull_policy: 'never' }))).result.stdout).toBe('well\n');
  });

  test('cannot bring a writable volume of the host, or a command of its own', async () => {
    const { by_tag } = await pushBusybox(nameOf(), {
      Volumes: { '/data': {} },
      Entrypoint: ['echo', 'entrypoint'],
      Cmd: ['cmd'],
      User: '0',
      Env: ['PATH=/bin', 'FROM_IMAGE=1'],
      Healthcheck: { Test: ['CMD', 'touch', '/tmp/checked'], Interval: 1_000_000_000 },
    });
    const script = { image: by_tag, pull_policy: 'if_not_present', registry_credential } as const;
    const look = shell('mount | grep " /data "; id -u; sleep 1.5; ls /tmp', script);
    const { stdout } = (await callOf(runner(), look)).result;
    expect(stdout).toMatch(/^tmpfs on \/data type tmpfs \(rw,nosuid,nodev,noexec/);
    expect(stdout).toMatch(/\n65534\n$/);
  });
});
