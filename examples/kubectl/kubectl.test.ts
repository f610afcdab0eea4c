/** The example as its users run it: `get` is allowed, `delete` refused at three depths, and allowed where all agree. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../test/cli/run.ts';
import { describeOnEngines } from '../../test/support/engines.ts';
import { type CliExample, setUpCli } from '../cli-setup.ts';
import { haveImage } from '../images.ts';
import { type StandIn, startApiServer, startJudge } from './servers.ts';

test('the manifests are valid, and their own tests pass', async () => {
  const manifests = new URL('gateway.d', import.meta.url).pathname;
  expect(await runCli(['validate', manifests])).toMatchObject({ code: 0, err: '' });
  expect(await runCli(['test', manifests])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/[1-9]\d* passed, 0 failed\n$/),
  });
});

describeOnEngines('examples/kubectl', ({ address }) => {
  const root = mkdtempSync(join(tmpdir(), 'seal-kubernetes-'));
  let cluster: StandIn;
  let judge: StandIn;
  let example: CliExample;
  beforeAll(async () => {
    cluster = await startApiServer();
    judge = await startJudge();
    mkdirSync(join(root, 'kubernetes'));
    writeFileSync(join(root, 'kubernetes/config'), kubeconfig(cluster.url));
    await haveImage('kubectl', address);
    example = await setUpCli({
      name: 'kubectl',
      address,
      replace: { 'http://127.0.0.1:9005': judge.url, '/srv/kubernetes': join(root, 'kubernetes') },
      mount_roots: [root],
      networks: ['host'],
    });
  }, 120_000);
  afterAll(async () => {
    await example?.close();
    cluster?.close();
    judge?.close();
    rmSync(root, { recursive: true });
  });

  const call = async (context: string, tool: string, args: Record<string, unknown>) =>
    (await example.client(context).call(tool, args)).result;
  const pods = { subcommand: 'get', args: ['pods', '--namespace', 'staging', '--output=name'] };
  const deletion = (namespace: string) => ({
    subcommand: 'delete pod',
    args: ['web-5d9c', `--namespace=${namespace}`],
  });

  test('get is allowed, and reaches the cluster', async () => {
    expect(await call('on-call-read', 'kubectl', pods)).toEqual({
      exit_code: 0,
      stdout: 'pod/web-5d9c\npod/web-7f21\n',
      stderr: '',
      truncated: false,
    });
    expect(cluster.requests).toContain('GET /api/v1/namespaces/staging/pods');
  });

  test.each([
    ['the manifest', 'on-call', 'kubectl', { subcommand: 'delete', args: ['pods'] }, 2003],
    [
      'the manifest, of a context that lists nothing',
      'on-call-read',
      'kubectl',
      { subcommand: 'drain' },
      4000,
    ],
    ['the context', 'on-call-read', 'kubectl.change', deletion('staging'), 2001],
    ['the judge', 'on-call', 'kubectl.change', deletion('production'), 2007],
    [
      'the manifest: another cluster',
      'on-call',
      'kubectl',
      { ...pods, args: ['pods', '--kubeconfig=/tmp/x'] },
      4000,
    ],
    ['the manifest: secrets', 'on-call', 'kubectl', { ...pods, args: ['secrets'] }, 4000],
  ])('refused by %s', async (_, context, tool, args, code) => {
    const before = cluster.requests.length;
    await expect(call(context, tool, args)).rejects.toMatchObject({ code });
    expect(cluster.requests).toHaveLength(before);
  });

  test('delete is allowed where manifest, context and judge agree', async () => {
    const result = await call('on-call', 'kubectl.change', deletion('staging'));
    // The stand-in has no such page; what counts is that kubectl asked for it.
    expect(cluster.requests).toContain('DELETE /api/v1/namespaces/staging/pods/web-5d9c');
    expect(result).toMatchObject({ exit_code: 1 });
  });
});

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'stand-in', cluster: { server } }],
    contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'nobody' } }],
    users: [{ name: 'nobody', user: {} }],
    'current-context': 'stand-in',
  });
}
