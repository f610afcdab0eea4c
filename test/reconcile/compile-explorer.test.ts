import { describe, expect, test } from 'vitest';
import type { ExploredApi } from '../../src/snapshot/snapshot.ts';
import { createCompiler } from './compiled.ts';

const DOCUMENT = {
  openapi: '3.0.3',
  info: { title: 'CRM', version: '1' },
  paths: {
    '/a': {
      get: {
        operationId: 'listA',
        parameters: [
          { name: 'key', in: 'query', required: true, schema: {} },
          { name: 'q', in: 'query', schema: {} },
          { name: 'X-Version', in: 'header', required: true, schema: {} },
          { name: 'X-Key', in: 'header', required: true, schema: {} },
        ],
      },
      head: { operationId: 'headA' },
      post: { operationId: 'createA' },
      options: { operationId: 'optionsA' },
    },
    '/b': { get: { servers: [{ url: 'https://other.example' }] } },
    '/c': { get: { servers: [{ url: 'https://crm.example/v2' }] } },
  },
};

const manifest = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata: { name }, spec });
const api = (more: object = {}): string =>
  manifest('ApiSpec', 'crm', { source: { inline: DOCUMENT }, base_url: 'https://crm.example', ...more });

async function explored(more: object = {}): Promise<ExploredApi> {
  const compiler = createCompiler();
  await compiler.next({ 'crm.yaml': api(more) });
  expect(compiler.said()).toEqual([]);
  return compiler.snapshot().explorer?.apis.get('/crm') as ExploredApi;
}

async function mayExplore(explorer?: object): Promise<string[]> {
  const { operations, limit } = await explored(explorer === undefined ? {} : { explorer });
  return [...operations.values()].filter((one) => limit(one) === null).map(({ id }) => id);
}

describe('what an ApiSpec lets the explorer call', () => {
  test.each<[string, object | undefined, string[]]>([
    ['reads, when it says nothing', undefined, ['listA', 'headA', 'GET /c']],
    ['reads, when it says nothing of methods', { operations: ['*A'] }, ['listA', 'headA']],
    [
      'all that it lists',
      { methods: ['GET', 'POST', 'OPTIONS'] },
      ['listA', 'createA', 'optionsA', 'GET /c'],
    ],
    ['by method and path where there is no id', { operations: ['GET /*'] }, ['GET /c']],
    ['both count', { operations: ['create*', 'listA'], methods: ['POST'] }, ['createA']],
    ['no operation', { operations: [] }, []],
    ['no method', { methods: [] }, []],
  ])('%s', async (_, explorer, ids) => {
    expect((await mayExplore(explorer)).sort()).toEqual([...ids].sort());
  });

  test('says which part of it stands in the way', async () => {
    const { operations, limit } = await explored({ explorer: { operations: ['*A', 'GET /b'] } });
    const why = (id: string) => limit(operations.get(id)!);
    expect(why('GET /c')).toEqual({
      field: 'operations',
      reason: 'ApiSpec crm does not let the explorer call GET /c',
    });
    expect(why('createA')).toEqual({
      field: 'methods',
      reason: 'createA is POST, and ApiSpec crm lets the explorer call GET or HEAD',
    });
    expect(why('GET /b')).toMatchObject({ field: 'server' });
  });

  test('a bad pattern is told at its place', async () => {
    const compiler = createCompiler();
    await compiler.next({ 'crm.yaml': api({ explorer: { operations: ['ok', ' bad'] } }) });
    expect(compiler.statuses()).toEqual(['ApiSpec//crm Invalid']);
    expect(compiler.said().join()).toContain('begins or ends with white space');
  });
});

describe("what the gateway sets itself is not the caller's to give", () => {
  const names = async (more: object): Promise<string[]> =>
    (await explored(more)).operations.get('listA')!.parameters.map(({ name }) => name);

  test.each<[string, object, string[]]>([
    ['nothing is set', {}, ['key', 'q', 'x-version', 'x-key']],
    ['a fixed header', { headers: { 'X-VERSION': '2' } }, ['key', 'q', 'x-key']],
    ['a credential in a header', { inject: { header: { name: 'x-Key' } } }, ['key', 'q', 'x-version']],
    ['a credential in the query', { inject: { query: { name: 'key' } } }, ['q', 'x-version', 'x-key']],
  ])('%s', async (_, more, left) => {
    const credential = 'inject' in more ? { credential: { static_ref: { key: 'k' } } } : {};
    expect(await names({ ...more, ...credential })).toEqual(left);
  });
});

describe('the tool', () => {
  test('is there with the first ApiSpec, valid or not', async () => {
    const compiler = createCompiler();
    await compiler.next({ 'a.yaml': manifest('SecurityContext', 'all', { capabilities: [] }) });
    expect(compiler.snapshot().explorer).toBeUndefined();
    await compiler.next({ 'crm.yaml': manifest('ApiSpec', 'crm', { source: { inline: { openapi: '2' } } }) });
    expect(compiler.snapshot().explorer?.apis.get('/crm')).toEqual({
      kind: 'unavailable',
      tenant: null,
      reason: 'its manifest is not valid',
    });
  });

  test.each([
    ['ToolWorkflow', { description: 'x', api_spec: 'crm', steps: [{ name: 's', operation_id: 'headA' }] }],
    ['CliTool', { description: 'x', image: 'a:1', command: ['a'], allowed_subcommands: ['b'] }],
  ])("its name is no %s's", async (kind, spec) => {
    const compiler = createCompiler();
    await compiler.next({ 'crm.yaml': api(), 'tool.yaml': manifest(kind, 'api.explore', spec) });
    expect(compiler.verdict(`${kind}//api.explore`).status).toBe('Invalid');
    expect(compiler.said(`${kind}//api.explore`).join()).toContain(
      'the name api.explore is taken by the gateway itself',
    );
    expect(compiler.snapshot().explorer).toMatchObject({ kind: 'explorer' });
  });

  test('a workflow says whether it takes fields', async () => {
    const steps = [{ name: 's', operation_id: 'headA' }];
    const compiler = createCompiler();
    await compiler.next({
      'crm.yaml': api(),
      'a.yaml': manifest('ToolWorkflow', 'a', {
        description: 'x',
        api_spec: 'crm',
        allow_fields: true,
        steps,
      }),
      'b.yaml': manifest('ToolWorkflow', 'b', { description: 'x', api_spec: 'crm', steps }),
    });
    const { tools } = compiler.snapshot();
    expect([tools.get('/a'), tools.get('/b')]).toMatchObject([
      { allow_fields: true },
      { allow_fields: false },
    ]);
  });
});
