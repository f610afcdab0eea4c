import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { loadManifests } from '../../src/manifest/load.ts';
import { parseFile } from '../../src/manifest/parse.ts';
import { makeTree, treeFile } from '../../src/manifest/tree.ts';
import { type Applied, compileSet } from '../../src/reconcile/compile.ts';
import { createDocumentCache } from '../../src/reconcile/document-cache.ts';
import { createDrafts } from '../../src/reconcile/draft.ts';
import { statesOf } from '../../src/reconcile/states.ts';
import type { AskedChange, Draft } from '../../src/reconcile/status.ts';

type Files = Readonly<Record<string, string>>;

const OPENAPI = JSON.stringify({
  openapi: '3.0.3',
  info: { title: 'CRM', version: '1' },
  paths: {
    '/customers': { get: { operationId: 'listCustomers', responses: { 200: { description: 'ok' } } } },
  },
});

const manifest = (kind: string, metadata: object, spec: unknown): string =>
  JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata, spec });

const LIST = {
  description: 'All customers.',
  api_spec: 'crm',
  input_schema: { type: 'object', additionalProperties: false },
  steps: [{ name: 'all', operation_id: 'listCustomers' }],
};

const FILES: Files = {
  'crm.yaml': manifest(
    'ApiSpec',
    { name: 'crm' },
    { source: { file: './crm.openapi.yaml' }, base_url: 'https://crm.example' },
  ),
  'crm.openapi.yaml': OPENAPI,
  'workflows/mixed.yaml': [
    manifest('ToolWorkflow', { name: 'customer.list', labels: { team: 'billing' } }, LIST),
    manifest(
      'SecurityContext',
      { name: 'reader' },
      { description: 'Reads.', capabilities: [{ tool_pattern: 'customer.*' }] },
    ),
  ].join('\n---\n'),
};

/** Drafts beside these files, as the gateway has them in force. */
async function drafts(files: Files = FILES) {
  const tree = makeTree(
    Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))),
    [],
  );
  const deps = {
    indexFile: createDocumentCache().indexFile,
    remoteKeys: () => ({ candidates: async () => [] }),
  };
  const verdicts = compileSet(await loadManifests(tree), new Map(), deps);
  const applied = new Map<string, Applied>(
    [...verdicts].flatMap(([key, one]) => (one.applied === null ? [] : [[key, one.applied]])),
  );
  const states = [...statesOf(verdicts, new Map(), 'rev-1', '2026-01-01T00:00:00.000Z').values()];
  const draft = createDrafts({ applied: () => applied, states: () => states, indexFile: deps.indexFile });
  return (asked: Omit<Partial<AskedChange>, 'body'> & { body?: unknown }): Promise<Draft> => {
    const { body, ...more } = asked;
    const bytes =
      body === undefined ? null : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return draft({ action: 'create', kind: 'ToolWorkflow', tenant: null, name: null, ...more, body: bytes });
  };
}

const told = ({ diagnostics }: Draft): string[] => diagnostics.map(formatDiagnostic);
const read = ({ manifest_yaml }: Draft): unknown =>
  parseFile('read.yaml', Buffer.from(manifest_yaml ?? '')).documents[0]?.value;

describe('a new manifest', () => {
  test('is written out from a name and the fields of its spec', async () => {
    const draft = await drafts();
    expect(await draft({ body: { name: 'customer.all', ...LIST } })).toEqual({
      identity: { kind: 'ToolWorkflow', tenant: null, name: 'customer.all' },
      change: 'add',
      file: 'workflows/customer.all.yaml',
      shares_file_with: [],
      manifest_yaml: `apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata:
  name: customer.all
spec:
  description: All customers.
  api_spec: crm
  input_schema:
    type: object
    additionalProperties: false
  steps:
    - name: all
      operation_id: listCustomers
`,
      diagnostics: [],
    });
  });

  test('may come whole, as JSON or as YAML', async () => {
    const draft = await drafts();
    const whole = manifest('ToolWorkflow', { name: 'customer.all', labels: { a: 'b' } }, LIST);
    const asYaml = (await draft({ body: whole })).manifest_yaml!;
    expect(read(await draft({ body: whole }))).toEqual(JSON.parse(whole));
    expect(read(await draft({ body: asYaml }))).toEqual(JSON.parse(whole));
    expect(read(await draft({ body: JSON.stringify(JSON.parse(whole), null, '\t') }))).toEqual(
      JSON.parse(whole),
    );
  });

  test('needs not say what the request says already', async () => {
    const draft = await drafts();
    const { metadata, ...rest } = JSON.parse(manifest('ToolWorkflow', {}, LIST));
    expect(read(await draft({ name: 'x', tenant: 'acme', body: { spec: rest.spec } }))).toEqual({
      ...rest,
      metadata: { ...metadata, name: 'x', tenant: 'acme' },
    });
  });

  test.each([
    ['ApiSpec', null, 'crm-2', 'crm-2.yaml'],
    ['ToolWorkflow', null, 'a.b', 'workflows/a.b.yaml'],
    ['CliTool', null, 'kubectl', 'cli-tools/kubectl.yaml'],
    ['SecurityContext', 'acme', 'reader', 'tenants/acme/contexts/reader.yaml'],
    // A file of this name is for tests; the gateway would not read it.
    ['ToolWorkflow', null, 'a.test', 'workflows/a-test.yaml'],
    // These are taken, by a document and by other manifests.
    ['ApiSpec', null, 'crm.openapi', 'crm-openapi.yaml'],
    ['ToolWorkflow', null, 'mixed', 'workflows/mixed-toolworkflow.yaml'],
    // No name leads out of the directory.
    ['ToolWorkflow', '../..', '../../etc/passwd', 'tenants/-../workflows/-..-etc-passwd.yaml'],
  ] as const)('%s %s/%s goes to %s', async (kind, tenant, name, file) => {
    const draft = await drafts();
    expect(await draft({ kind, tenant, body: { name } })).toMatchObject({ change: 'add', file });
  });
});

describe('a manifest that is there', () => {
  test('is replaced where it is, and keeps what the request does not speak of', async () => {
    const draft = await drafts();
    const given = { ...LIST, description: 'Every customer.' };
    const replaced = await draft({ action: 'replace', name: 'customer.list', body: given });
    expect(replaced).toMatchObject({
      change: 'replace',
      file: 'workflows/mixed.yaml',
      shares_file_with: ['SecurityContext reader'],
      diagnostics: [],
    });
    const metadata = { name: 'customer.list', labels: { team: 'billing' } };
    expect(read(replaced)).toEqual(JSON.parse(manifest('ToolWorkflow', metadata, given)));
    const bare = manifest('ToolWorkflow', { name: 'customer.list' }, LIST);
    expect(read(await draft({ action: 'replace', name: 'customer.list', body: bare }))).toEqual(
      JSON.parse(bare),
    );
  });

  test('is amended by a merge patch', async () => {
    const draft = await drafts();
    const amend = (body: unknown) => draft({ action: 'amend', name: 'customer.list', body });
    const { description: _, ...rest } = LIST;
    expect(
      read(await amend({ timeout_ms: 5, description: null, input_schema: { properties: { a: {} } } })),
    ).toEqual(
      JSON.parse(
        manifest(
          'ToolWorkflow',
          { name: 'customer.list', labels: { team: 'billing' } },
          {
            ...rest,
            input_schema: { type: 'object', additionalProperties: false, properties: { a: {} } },
            timeout_ms: 5,
          },
        ),
      ),
    );
    expect(read(await amend({ metadata: { labels: { team: null, tier: '1' } } }))).toMatchObject({
      metadata: { name: 'customer.list', labels: { tier: '1' } },
      spec: LIST,
    });
  });

  test('is found where it is also when nothing of it is in force', async () => {
    const draft = await drafts({
      'old/bad.yaml': manifest('ToolWorkflow', { name: 'bad' }, { description: 1 }),
    });
    expect(await draft({ action: 'replace', name: 'bad', body: LIST })).toMatchObject({
      change: 'replace',
      file: 'old/bad.yaml',
    });
  });

  test('is removed from its file, and those that need it are named', async () => {
    const draft = await drafts();
    const removed = await draft({ action: 'remove', kind: 'ApiSpec', name: 'crm' });
    expect(removed).toMatchObject({ change: 'remove', file: 'crm.yaml', manifest_yaml: null });
    expect(told(removed)).toEqual([
      expect.stringMatching(/^workflows\/mixed\.yaml:1:\d+: there is no ApiSpec "crm"/),
    ]);
    expect(await draft({ action: 'remove', name: 'customer.list' })).toEqual({
      identity: { kind: 'ToolWorkflow', tenant: null, name: 'customer.list' },
      change: 'remove',
      file: 'workflows/mixed.yaml',
      shares_file_with: ['SecurityContext reader'],
      manifest_yaml: null,
      diagnostics: [],
    });
    expect(await draft({ action: 'remove', name: 'no' })).toMatchObject({ file: null, diagnostics: [] });
    expect(await draft({ action: 'remove' })).toMatchObject({ file: null, diagnostics: [] });
  });
});

describe('what would be wrong with it is told', () => {
  const of = async (asked: Parameters<Awaited<ReturnType<typeof drafts>>>[0], files?: Files) =>
    told(await (await drafts(files))(asked));

  test.each([
    [
      'a field that is none',
      { name: 'x', ...LIST, tag: [] },
      /^workflows\/x\.yaml:\d+:\d+: spec has no field "tag"/,
    ],
    ['a name that is none', { name: '../x', ...LIST }, /metadata\.name must be lower-case/],
    [
      'an unknown ApiSpec',
      { name: 'x', ...LIST, api_spec: 'crn' },
      /there is no ApiSpec "crn".*did you mean crm/,
    ],
    [
      'an unknown operation',
      { name: 'x', ...LIST, steps: [{ name: 'all', operation_id: 'listCustomer' }] },
      /listCustomer.*did you mean listCustomers/,
    ],
    [
      'a likely secret',
      { name: 'x', ...LIST, description: `AKIA${'A'.repeat(16)}` },
      /looks like an AWS access key/,
    ],
  ])('%s', async (_, body, message) => {
    expect(await of({ body })).toEqual([expect.stringMatching(message)]);
  });

  test('a tenant that is none, which would be put elsewhere', async () => {
    expect(await of({ body: { name: 'x', tenant: '../../y', ...LIST } })).toEqual([
      expect.stringMatching(/no tenant can have the name of the directory/),
      expect.stringMatching(/metadata\.tenant must be lower-case/),
    ]);
  });

  test('a name that another tool has', async () => {
    const cli = {
      name: 'customer.list',
      description: 'x',
      image: 'a:1',
      command: ['a'],
      allowed_subcommands: ['b'],
    };
    expect(await of({ kind: 'CliTool', body: cli })).toContainEqual(
      expect.stringContaining('has this name already'),
    );
    expect(await of({ tenant: 'acme', body: { name: 'customer.list', ...LIST } })).toContainEqual(
      expect.stringContaining('a tenant may not shadow it'),
    );
  });

  test('that others would break', async () => {
    const source = { inline: { openapi: '3.0.3', info: { title: 'x', version: '1' }, paths: {} } };
    const body = { source, base_url: 'https://crm.example' };
    expect(await of({ kind: 'ApiSpec', action: 'replace', name: 'crm', body })).toContainEqual(
      expect.stringMatching(/^workflows\/mixed\.yaml:1:\d+: .*listCustomers/),
    );
  });

  test('a document that is known is read, and one that is not is only warned of', async () => {
    const api = (file: string) => ({
      kind: 'ApiSpec' as const,
      body: { name: 'crm-2', source: { file }, base_url: 'https://x.example' },
    });
    expect(await of(api('./crm.openapi.yaml'))).toEqual([]);
    expect(await of(api('./new.json'))).toEqual([
      expect.stringMatching(/^crm-2\.yaml:\d+:\d+: warning: no manifest in force refers to this file/),
    ]);
    expect(await of(api('../../etc/passwd'))).toEqual([expect.stringContaining('leaves the directory')]);
  });

  test.each([
    ['nothing', '', 'body:1:1: send one manifest'],
    ['a text', '"x"', 'body:1:1: send one manifest'],
    ['a list', '[]', 'body:1:1: send one manifest'],
    ['two documents', 'a: 1\n---\nb: 2', 'body:1:1: send one manifest'],
    ['half of one', '{"name": "x', 'body:1:'],
    ['a key twice', '{"name": "x", "name": "y"}', 'body:1:15: this key was given before'],
    ['an alias', 'a: &x 1\nb: *x', 'aliases are not allowed'],
    ['a deep one', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'nested more than 64 deep'],
    [
      'a large one',
      JSON.stringify({ name: 'x', description: 'y'.repeat(300_000) }),
      'manifests may have 256 KiB',
    ],
    ['no name', '{"description": "x"}', 'the name of the ToolWorkflow must be given'],
    ['a name that is a number', '{"name": 7}', 'the name of the ToolWorkflow must be given'],
    ['a tenant that is a number', '{"name": "x", "tenant": 7}', 'body:1:25: a tenant is named by text'],
    ['another kind', '{"kind": "CliTool", "metadata": {"name": "x"}}', 'body:1:10: this is no ToolWorkflow'],
  ])('and %s is no manifest', async (_, body, message) => {
    const refused = await (await drafts())({ body });
    expect(refused).toMatchObject({ file: null, manifest_yaml: null });
    expect(told(refused)[0]).toContain(message);
  });

  test('another name or tenant than the path has', async () => {
    expect(await of({ name: 'x', body: { name: 'y' } })).toEqual(['body:1:9: the path says x']);
    const metadata = { name: 'x', tenant: 'acme' };
    expect(await of({ tenant: 'bolt', body: { metadata } })).toEqual(['body:1:34: ?tenant= says bolt']);
  });
});

test('whatever a manifest says, its file says the same', async () => {
  const draft = await drafts();
  const text = fc.string({ unit: 'grapheme' });
  const json = fc
    .jsonValue({ maxDepth: 5, stringUnit: 'grapheme' })
    .filter((value) => !JSON.stringify(value).includes('__proto__'));
  const spec = fc.dictionary(
    text.filter((key) => !['__proto__', '<<', 'name', 'tenant'].includes(key)),
    json,
  );
  await fc.assert(
    fc.asyncProperty(spec, async (given) => {
      const drafted = await draft({ body: { spec: given, metadata: { name: 'x' } } });
      expect(read(drafted)).toEqual({
        apiVersion: 'seal.gateway/v1',
        kind: 'ToolWorkflow',
        metadata: { name: 'x' },
        spec: JSON.parse(JSON.stringify(given)),
      });
    }),
    { numRuns: 200 },
  );
});
