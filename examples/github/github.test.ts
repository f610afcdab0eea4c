/** The example as its users run it: the demo, the tests beside the manifests, and the import made again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SealError } from '../../src/client.ts';
import { runCli } from '../../test/cli/run.ts';
import type { GatewayProcess } from '../gateway.ts';
import { type Context, type Example, MANIFESTS, setUp } from './setup.ts';

test('the demo', async () => {
  const demo = spawn(process.execPath, [new URL('demo.ts', import.meta.url).pathname]);
  let said = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk) => (said += chunk));
  const [code] = await once(demo, 'close');
  expect(said).toContain('All as it should be.');
  expect(code, said).toBe(0);
});

test('the manifests are valid, and their own tests pass', async () => {
  expect((await runCli(['validate', MANIFESTS])).out).toMatch(/: 7 manifests, 0 errors, 0 warnings\n$/);
  expect((await runCli(['test', MANIFESTS])).out).toMatch(/\n12 passed, 0 failed\n$/);
});

test('what was imported is what would be imported', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'seal-import-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  cpSync(MANIFESTS, dir, { recursive: true });
  const ran = await runCli([
    'import',
    'openapi',
    join(dir, 'github.openapi.yaml'),
    '--out',
    dir,
    '--exit-code',
  ]);
  expect(ran).toMatchObject({
    code: 0,
    err: '',
    out: expect.stringContaining('3 unchanged; nothing to write'),
  });
});

describe('calls', () => {
  let example: Example;
  let gateway: GatewayProcess;
  beforeAll(async () => {
    example = await setUp();
    gateway = await example.startGateway();
  });
  afterAll(async () => {
    const code = await gateway?.stop();
    await example.close();
    expect(code, gateway?.log()).toBe(0);
  });

  const call = async (context: Context, tool: string, args: Record<string, unknown>): Promise<unknown> => {
    try {
      return (await example.client(gateway, { scp: context }).call(tool, args)).result;
    } catch (error) {
      if (error instanceof SealError) return { code: error.code, message: error.message };
      throw error;
    }
  };
  const repository = (more: object = {}) => ({
    ...{ org: 'acme', name: 'svc-a', description: 'A service of ours.' },
    teams: [
      { slug: 'sre', permission: 'push' },
      { slug: 'nobody', permission: 'pull' },
    ],
    ...more,
  });

  test('each context sees its own tools', async () => {
    const names = async (context: Context) =>
      (await example.client(gateway, { scp: context }).listTools()).map(({ name }) => name).sort();
    expect(await names('platform-bot')).toEqual(['github.repos.get', 'repository.create']);
    expect(await names('issue-triage')).toEqual(['issues.list_open']);
  });

  test('a team that is not there does not keep the other one out', async () => {
    expect(await call('platform-bot', 'repository.create', repository())).toMatchObject({
      granted: [204, 404],
    });
    expect(example.github.grants).toEqual(['acme/svc-a sre: push']);
  });

  test('a name that is taken ends it before anybody is given anything', async () => {
    const before = example.github.requests.length;
    const answer = await call('platform-bot', 'repository.create', repository());
    expect(answer).toMatchObject({ code: 4200, message: expect.stringContaining('answered 422') });
    // Not sent again either: a POST may have been done.
    expect(example.github.requests.slice(before)).toEqual(['POST /orgs/acme/repos']);
  });

  test('what is refused reaches nobody', async () => {
    const before = example.github.requests.length;
    const refused: readonly (readonly [Context, string, object, number])[] = [
      ['platform-bot', 'repository.create', repository({ org: 'globex' }), 2006],
      ['platform-bot', 'repository.create', repository({ name: 'mine' }), 2006],
      ['platform-bot', 'repository.create', repository({ name: 'svc-b', visibility: 'public' }), 4000],
      ['platform-bot', 'repository.create', repository({ name: 'svc-b', teams: [] }), 4000],
      ['platform-bot', 'github.repos.delete', { owner: 'acme', repo: 'svc-a' }, 2001],
      ['platform-bot', 'issues.list_open', { owner: 'acme', repo: 'website' }, 2000],
      ['issue-triage', 'repository.create', repository({ name: 'svc-b' }), 2001],
      ['issue-triage', 'issues.list_open', { owner: 'globex', repo: 'website' }, 2006],
    ];
    for (const [context, tool, args, code] of refused)
      expect(await call(context, tool, args as Record<string, unknown>), JSON.stringify(args)).toMatchObject({
        code,
      });
    expect(example.github.requests).toHaveLength(before);
  });

  test('issues of all pages, three fields of each', async () => {
    const before = example.github.requests.length;
    const list = (await call('issue-triage', 'issues.list_open', {
      owner: 'acme',
      repo: 'website',
    })) as Record<string, readonly unknown[]>;
    expect(Object.keys(list).sort()).toEqual(['incomplete', 'number', 'title', 'url']);
    expect([list.number?.length, list.title?.length, list.url?.length]).toEqual([198, 198, 198]);
    expect(list.number?.some((number) => Number(number) % 7 === 0)).toBe(false);
    expect(example.github.requests.slice(before)).toHaveLength(3);
  });

  test('an imported tool is one like any other', async () => {
    expect(await call('platform-bot', 'github.repos.get', { owner: 'acme', repo: 'website' })).toMatchObject({
      full_name: 'acme/website',
    });
    expect(
      await call('platform-bot', 'github.repos.get', { owner: 'acme', repo: '../../orgs' }),
    ).toMatchObject({
      code: 4000,
    });
  });
});
