import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadManifests } from '../../src/manifest/load.ts';
import { makeTree, treeFile } from '../../src/manifest/tree.ts';
import type { DocumentIndex } from '../../src/openapi/index-document.ts';
import { compileInSlices, compileSet } from '../../src/reconcile/compile.ts';
import { createDocumentCache } from '../../src/reconcile/document-cache.ts';
import type { WorkflowTool } from '../../src/snapshot/snapshot.ts';
import type { Files } from '../manifest/directory.ts';
import {
  apiSpec,
  cliTool,
  context,
  documents,
  issuer,
  judge,
  OPENAPI,
  PUBLIC_KEY,
  tenant,
  workflow,
} from '../manifest/texts.ts';
import { type Compiler, createCompiler } from './compiled.ts';

const GOOD: Files = {
  'crm.yaml': apiSpec(),
  'crm.openapi.yaml': OPENAPI,
  'find.yaml': workflow('find'),
  'kubectl.yaml': cliTool('kubectl', undefined, 'house'),
  'house.yaml': judge('house'),
  'rights.yaml': documents(context('all'), issuer('ci'), tenant('acme')),
};
const KEYS = [
  'ApiSpec//crm',
  'CliTool//kubectl',
  'SecurityContext//all',
  'SemanticJudge//house',
  'Tenant//acme',
  'TokenIssuer//ci',
  'ToolWorkflow//find',
];
const ready = (...keys: string[]): string[] => keys.map((key) => `${key} Ready`).sort();

async function compiled(...sets: Files[]): Promise<Compiler> {
  const compiler = createCompiler();
  for (const files of sets) await compiler.next(files);
  return compiler;
}

const without = (path: string): Files =>
  Object.fromEntries(Object.entries(GOOD).filter(([one]) => one !== path));
const toolOf = (compiler: Compiler, name: string): WorkflowTool =>
  compiler.snapshot().tools.get(name) as WorkflowTool;

describe('a sound set', () => {
  test('is ready, and all of it is in the snapshot', async () => {
    const compiler = await compiled(GOOD);
    expect(compiler.statuses()).toEqual(ready(...KEYS));
    expect(compiler.said()).toEqual([]);
    const { issuers, tenants, contexts, tools } = compiler.snapshot();
    expect([issuers, tenants, contexts, tools].map((map) => [...map.keys()])).toEqual([
      ['https://ci.example'],
      ['acme'],
      ['/all'],
      ['/kubectl', '/find'],
    ]);
  });

  test('is the same whatever file each manifest is in, and whatever the order', async () => {
    const texts = [
      workflow('find'),
      workflow('get', 'x'),
      cliTool('kubectl', undefined, 'house'),
      judge('house'),
      context('all'),
      issuer('ci'),
      issuer('bot', 'https://ci.example'),
      tenant('acme'),
      workflow('lost', 'x', undefined, 'gone'),
      apiSpec(),
    ];
    const arrangement = fc.tuple(
      fc.shuffledSubarray(texts, { minLength: texts.length }),
      fc.array(fc.constantFrom('a', 'b', 'c', 'z'), { minLength: texts.length, maxLength: texts.length }),
    );
    const told = async (files: Files): Promise<unknown> => {
      const verdicts = await createCompiler().next(files);
      return [...verdicts.values()].map(({ key, status, digest, diagnostics }) => [
        key,
        status,
        digest,
        diagnostics.map(({ message, hint }) => [message, hint]),
      ]);
    };
    const expected = await told({ 'a.yaml': documents(...texts), 'crm.openapi.yaml': OPENAPI });
    await fc.assert(
      fc.asyncProperty(arrangement, async ([order, names]) => {
        const files: Record<string, string> = { 'crm.openapi.yaml': OPENAPI };
        for (const [index, text] of order.entries()) {
          const path = `${names[index]}.yaml`;
          files[path] = files[path] === undefined ? text : documents(files[path], text);
        }
        expect(await told(files)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('is the same in slices', async () => {
    const tree = makeTree(
      Object.entries(GOOD).map(([path, text]) => treeFile(path, Buffer.from(text))),
      [],
    );
    const deps = {
      indexFile: createDocumentCache().indexFile,
      remoteKeys: () => ({ candidates: async () => [] }),
    };
    const set = await loadManifests(tree);
    const [whole, slices] = [compileSet(set, new Map(), deps), await compileInSlices(set, new Map(), deps)];
    expect([...slices.values()].map(({ key, status }) => [key, status])).toEqual(
      [...whole.values()].map(({ key, status }) => [key, status]),
    );
  });
});

describe('what has not changed', () => {
  test('is not compiled again', async () => {
    const compiler = await compiled(GOOD);
    const before = KEYS.map((key) => compiler.verdict(key).applied!.resource);
    await compiler.next({ ...GOOD, 'more.yaml': workflow('more') });
    expect(KEYS.map((key) => compiler.verdict(key).applied!.resource)).toEqual(before);
    for (const [index, key] of KEYS.entries())
      expect(compiler.verdict(key).applied!.resource, key).toBe(before[index]);
  });

  test('is not compiled again when it moves, and is told at its new place', async () => {
    const warning = workflow('find').replace('{{input.id}}', '{{input.idd}}');
    const compiler = await compiled({ ...GOOD, 'find.yaml': warning });
    expect(compiler.said()).toEqual([
      'find.yaml:11:25: warning: input_schema does not name "idd" (did you mean id?)',
    ]);
    const { resource } = compiler.verdict('ToolWorkflow//find').applied!;
    await compiler.next({ ...without('find.yaml'), 'moved/here.yaml': `# moved\n${warning}` });
    expect(compiler.said()).toEqual([
      'moved/here.yaml:12:25: warning: input_schema does not name "idd" (did you mean id?)',
    ]);
    expect(compiler.verdict('ToolWorkflow//find').applied!.resource).toBe(resource);
  });

  test('is compiled again with what it uses', async () => {
    const compiler = await compiled(GOOD);
    const before = toolOf(compiler, '/find');
    await compiler.next({ ...GOOD, 'crm.yaml': apiSpec().replace('1000', '2000') });
    const after = toolOf(compiler, '/find');
    expect([before.steps[0]!.api.timeout_ms, after.steps[0]!.api.timeout_ms]).toEqual([1000, 2000]);
    expect(compiler.statuses()).toEqual(ready(...KEYS));
  });

  test('is compiled again when a tenant gets an ApiSpec of its own', async () => {
    const files = { ...GOOD, 'tenants/acme/own.yaml': workflow('own') };
    const compiler = await compiled(files);
    expect(toolOf(compiler, 'acme/own').steps[0]!.api.tenant).toBeNull();
    await compiler.next({ ...files, 'tenants/acme/crm.yaml': apiSpec('crm', '../../crm.openapi.yaml') });
    expect(toolOf(compiler, 'acme/own').steps[0]!.api.tenant).toBe('acme');
    expect(toolOf(compiler, '/find').steps[0]!.api.tenant).toBeNull();
    await compiler.next(files);
    expect(toolOf(compiler, 'acme/own').steps[0]!.api.tenant).toBeNull();
  });

  test('does not hold on to the versions before', async () => {
    const compiler = await compiled(GOOD);
    await compiler.next({ ...GOOD, 'more.yaml': tenant('more') });
    const [used] = compiler.verdict('ToolWorkflow//find').applied!.uses;
    expect(used).toBe(compiler.verdict('ApiSpec//crm').applied);
  });
});

describe('one bad manifest', () => {
  const BAD = { ...GOOD, 'find.yaml': workflow('find', 'Changed.').replace('getThing', 'getThink') };

  test('does not stop the others', async () => {
    const compiler = await compiled(BAD);
    expect(compiler.statuses()).toEqual([
      ...ready(...KEYS.filter((key) => key !== 'ToolWorkflow//find')),
      'ToolWorkflow//find Invalid',
    ]);
    expect(compiler.said()).toEqual([
      'find.yaml:10:21: ApiSpec crm has no operation "getThink" (did you mean getThing?)',
    ]);
  });

  test('keeps its last good version, and is good again when it is mended', async () => {
    const compiler = await compiled(GOOD, BAD, { ...BAD, 'other.yaml': tenant('other') });
    expect(compiler.verdict('ToolWorkflow//find')).toMatchObject({
      status: 'Stale',
      applied: { manifest: { spec: { description: 'Get a thing.' } } },
    });
    expect(compiler.said('ToolWorkflow//find')).toHaveLength(1);
    expect(toolOf(compiler, '/find').description).toBe('Get a thing.');
    await compiler.next({ ...GOOD, 'find.yaml': workflow('find', 'Mended.') });
    expect(toolOf(compiler, '/find').description).toBe('Mended.');
    expect(compiler.statuses()).toEqual(ready(...KEYS));
  });

  test('its last good version goes on with what it uses as that is now', async () => {
    const compiler = await compiled(GOOD, { ...BAD, 'crm.yaml': apiSpec().replace('1000', '2000') });
    expect(compiler.verdict('ToolWorkflow//find').status).toBe('Stale');
    expect(toolOf(compiler, '/find').steps[0]!.api.timeout_ms).toBe(2000);
    // The operation is gone: then as it was.
    await compiler.next({
      ...BAD,
      'crm.yaml': apiSpec().replace('1000', '3000'),
      'crm.openapi.yaml': OPENAPI.replace('getThing', 'other'),
    });
    expect(toolOf(compiler, '/find').steps[0]!.api.timeout_ms).toBe(2000);
  });

  test('those that use it go on with its last good version', async () => {
    const bad = { ...GOOD, 'crm.yaml': apiSpec().replace('1000', '0') };
    const compiler = await compiled(GOOD, bad, { ...bad, 'more.yaml': workflow('more') });
    expect(compiler.statuses()).toEqual(
      ['ApiSpec//crm Stale', ...ready(...KEYS.slice(1), 'ToolWorkflow//more')].sort(),
    );
    expect(toolOf(compiler, '/more').steps[0]!.api.timeout_ms).toBe(1000);
  });

  test('without one, those that use it are blocked, and say by what', async () => {
    const compiler = await compiled({
      ...GOOD,
      'crm.yaml': apiSpec().replace('1000', '0'),
      'house.yaml': judge('house').replace('http', 'ftp'),
    });
    expect(compiler.statuses()).toEqual([
      'ApiSpec//crm Invalid',
      'CliTool//kubectl Blocked',
      ...ready('SecurityContext//all'),
      'SemanticJudge//house Invalid',
      ...ready('Tenant//acme', 'TokenIssuer//ci'),
      'ToolWorkflow//find Blocked',
    ]);
    expect(compiler.said('ToolWorkflow//find')).toEqual([
      'find.yaml:6:13: ApiSpec crm is not valid (crm.yaml:1)',
    ]);
    // What is also wrong by itself is not only blocked.
    await compiler.next({
      ...GOOD,
      'crm.yaml': apiSpec().replace('1000', '0'),
      'find.yaml': workflow('find').replace('input.id', 'steps.x'),
    });
    expect(compiler.verdict('ToolWorkflow//find').status).toBe('Invalid');
  });

  test('a good version that meets a bad one it needs keeps its last good version', async () => {
    const compiler = await compiled(GOOD, {
      ...GOOD,
      'find.yaml': workflow('find', 'x', undefined, 'bad'),
      'bad.yaml': apiSpec('bad').replace('1000', '0'),
    });
    expect(compiler.verdict('ToolWorkflow//find')).toMatchObject({
      status: 'Stale',
      applied: { manifest: { spec: { api_spec: 'crm' } } },
    });
  });

  test('what is used and deleted leaves its users as they were, and they say so', async () => {
    const compiler = await compiled(GOOD, without('crm.yaml'));
    expect(compiler.verdict('ToolWorkflow//find').status).toBe('Stale');
    expect(compiler.said('ToolWorkflow//find')).toEqual([
      'find.yaml:6:13: there is no ApiSpec "crm" that this manifest may use',
    ]);
    expect(toolOf(compiler, '/find').kind).toBe('workflow');
  });

  test('a fault of ours in one does not stop the others', async () => {
    const compiler = createCompiler({ indexFile: () => ({}) as DocumentIndex });
    await compiler.next(GOOD);
    expect(compiler.said('ApiSpec//crm')).toEqual([
      expect.stringMatching(
        /^crm\.yaml:1:1: the gateway failed to compile this manifest: .* \(please report it\)$/,
      ),
    ]);
    expect(compiler.verdict('Tenant//acme').status).toBe('Ready');
  });
});

describe('files that cannot be read', () => {
  test('leave the tools that were in them as they were', async () => {
    const broken = { ...GOOD, 'find.yaml': 'a: [\n' };
    const compiler = await compiled(GOOD, broken, { ...broken, 'more.yaml': tenant('more') });
    expect(compiler.verdict('ToolWorkflow//find')).toMatchObject({
      status: 'Stale',
      file: 'find.yaml',
      line: 2,
      column: 1,
      digest: null,
    });
    expect(compiler.said('ToolWorkflow//find')).toHaveLength(1);
    await compiler.next(without('find.yaml'));
    expect(compiler.verdict('ToolWorkflow//find')).toBeUndefined();
  });

  test('a manifest that has moved out of one is where it is now', async () => {
    const compiler = await compiled(GOOD, { ...GOOD, 'find.yaml': 'a: [\n', 'found.yaml': workflow('find') });
    expect(compiler.verdict('ToolWorkflow//find')).toMatchObject({ status: 'Ready', file: 'found.yaml' });
  });

  test('in a directory that cannot be read', async () => {
    const compiler = createCompiler();
    await compiler.next({ 'a/b/c.yaml': tenant('acme'), 'ab.yaml': tenant('bolt') });
    const set = await loadManifests(
      makeTree(
        [],
        [
          {
            severity: 'error',
            rule: 'unreadable',
            file: 'a',
            line: 1,
            column: 1,
            message: 'the directory cannot be read (EACCES)',
            hint: null,
          },
        ],
      ),
    );
    const known = new Map([
      ['Tenant//acme', compiler.verdict('Tenant//acme')],
      ['Tenant//bolt', compiler.verdict('Tenant//bolt')],
    ]);
    const verdicts = compileSet(
      set,
      new Map(),
      { indexFile: createDocumentCache().indexFile, remoteKeys: () => ({ candidates: async () => [] }) },
      known,
    );
    expect(
      [...verdicts.values()].map(({ key, status, diagnostics }) => [key, status, diagnostics[0]!.message]),
    ).toEqual([['Tenant//acme', 'Invalid', 'the directory cannot be read (EACCES)']]);
  });
});

describe('rights that are not valid grant nothing', () => {
  const rights = (compiler: Compiler): string[] => {
    const { contexts, issuers, tenants } = compiler.snapshot();
    return [...contexts.keys(), ...issuers.keys(), ...tenants.keys()];
  };
  const ALL = ['/all', 'https://ci.example', 'acme'];
  const [all, ci, acme] = [context('all'), issuer('ci'), tenant('acme')];

  test.each<[string, string[], string[]]>([
    [
      'an invalid context',
      [context('all').replace('capabilities', 'capabilites'), ci, acme],
      ['https://ci.example', 'acme'],
    ],
    ['a context with a bad pattern', [context('all', 'a b'), ci, acme], ['https://ci.example', 'acme']],
    ['an invalid issuer', [all, issuer('ci').replace('EdDSA', 'none'), acme], ['/all', 'acme']],
    [
      'an issuer with a bad key',
      [all, issuer('ci').replace(PUBLIC_KEY, `AQ${'A'.repeat(41)}`), acme],
      ['/all', 'acme'],
    ],
    [
      'an invalid tenant',
      [all, ci, tenant('acme').replace('display_name', 'name')],
      ['/all', 'https://ci.example'],
    ],
    ['a context of another version', [all.replace('/v1', '/v2'), ci, acme], ['https://ci.example', 'acme']],
    ['a deleted context', [ci, acme], ['https://ci.example', 'acme']],
    ['a deleted issuer', [all, acme], ['/all', 'acme']],
    ['a deleted tenant', [all, ci], ['/all', 'https://ci.example']],
    ['a context given twice', [all, ci, acme, context('all', 'x')], ['https://ci.example', 'acme']],
    ['a file that cannot be read from some place on', [all, '"', ci], ['/all']],
    ['a file that cannot be read', ['a: [\n'], []],
    ['nothing at all', [], []],
  ])('%s', async (_what, texts, left) => {
    const changed = { ...GOOD, 'rights.yaml': documents(...texts) };
    const compiler = await compiled(GOOD);
    expect(rights(compiler)).toEqual(ALL);
    await compiler.next(changed);
    expect(rights(compiler)).toEqual(left);
    // And so it stays, whatever else changes.
    await compiler.next({ ...changed, 'more.yaml': workflow('more') });
    expect(rights(compiler)).toEqual(left);
    await compiler.next(GOOD);
    expect(rights(compiler)).toEqual(ALL);
  });

  test('in a file that cannot be read they are listed as bad, not forgotten', async () => {
    const broken = { ...GOOD, 'rights.yaml': 'a: [\n' };
    const compiler = await compiled(GOOD, broken, { ...broken, 'more.yaml': workflow('more') });
    expect(compiler.statuses().filter((line) => line.endsWith('Invalid'))).toEqual([
      'SecurityContext//all Invalid',
      'Tenant//acme Invalid',
      'TokenIssuer//ci Invalid',
    ]);
  });
});

describe('tools that cannot run', () => {
  const API = { 'crm.yaml': apiSpec(), 'crm.openapi.yaml': OPENAPI };

  test('are there by name, and say why', async () => {
    const compiler = await compiled({
      ...GOOD,
      'crm.yaml': apiSpec().replace('1000', '0'),
      'kubectl.yaml': cliTool('kubectl').replace('image', 'imgae'),
    });
    const { tools } = compiler.snapshot();
    expect(tools.get('/find')).toEqual({
      kind: 'unavailable',
      name: 'find',
      tenant: null,
      reason: 'its manifest is waiting for another one that is not valid',
    });
    expect(tools.get('/kubectl')).toMatchObject({ kind: 'unavailable', reason: 'its manifest is not valid' });
  });

  test("a tenant's tool does not hide the global one that has its name", async () => {
    const files = { ...GOOD, 'tenants/acme/find.yaml': cliTool('find') };
    const compiler = await compiled(files);
    expect(compiler.verdict('CliTool/acme/find').status).toBe('Invalid');
    expect([...compiler.snapshot().tools.keys()].sort()).toEqual(['/find', '/kubectl']);
  });

  test('not even when it was there first', async () => {
    const first = { ...without('find.yaml'), 'tenants/acme/find.yaml': workflow('find') };
    const compiler = await compiled(first);
    expect([...compiler.snapshot().tools.keys()].sort()).toEqual(['/kubectl', 'acme/find']);
    await compiler.next({ ...first, 'find.yaml': workflow('find') });
    expect(compiler.verdict('ToolWorkflow/acme/find')).toMatchObject({ status: 'Invalid', applied: null });
    expect([...compiler.snapshot().tools.keys()].sort()).toEqual(['/find', '/kubectl']);
  });

  test('nobody takes the name of a tool whose file cannot be read', async () => {
    const compiler = await compiled({ ...API, 'find.yaml': workflow('find', 'Global.') });
    await compiler.next({
      ...API,
      'find.yaml': 'a: [\n',
      'own.yaml': workflow('find', 'Own.', 'acme'),
      'cli.yaml': cliTool('find'),
    });
    expect(compiler.statuses()).toContain('ToolWorkflow//find Stale');
    expect(compiler.statuses()).toContain('ToolWorkflow/acme/find Invalid');
    expect(compiler.statuses()).toContain('CliTool//find Invalid');
    expect([...compiler.snapshot().tools.keys()]).toEqual(['/find']);
  });

  test('of two kinds under one name the one that was there goes on', async () => {
    const both = { ...GOOD, 'cli.yaml': cliTool('find') };
    const compiler = await compiled(GOOD, both);
    expect([compiler.verdict('ToolWorkflow//find').status, compiler.verdict('CliTool//find').status]).toEqual(
      ['Stale', 'Invalid'],
    );
    expect(toolOf(compiler, '/find').kind).toBe('workflow');
    const fresh = await compiled(both);
    expect(fresh.snapshot().tools.get('/find')).toMatchObject({ kind: 'unavailable' });
  });
});

describe('issuers', () => {
  test('of one iss none counts, whichever comes first', async () => {
    const compiler = await compiled({
      'a.yaml': issuer('a', 'https://x.example'),
      'b.yaml': issuer('b', 'https://x.example'),
    });
    expect(compiler.snapshot().issuers.size).toBe(0);
    expect(compiler.said()).toEqual([
      'a.yaml:5:11: TokenIssuer b has this issuer too (make one manifest of them)',
      'b.yaml:5:11: TokenIssuer a has this issuer too (make one manifest of them)',
    ]);
  });

  test('no tenant takes the global one from all', async () => {
    const compiler = await compiled({
      'a.yaml': issuer('a', 'https://x.example'),
      'tenants/evil/b.yaml': issuer('b', 'https://x.example'),
    });
    expect(compiler.statuses()).toEqual(['TokenIssuer//a Ready', 'TokenIssuer/evil/b Invalid']);
    expect(compiler.snapshot().issuers.get('https://x.example')!.tenant).toBeNull();
  });

  test('keep what they have compiled while others come and go', async () => {
    const compiler = await compiled({ 'a.yaml': issuer('a') });
    const { resource } = compiler.verdict('TokenIssuer//a').applied!;
    await compiler.next({ 'a.yaml': issuer('a'), 'b.yaml': issuer('b', 'https://a.example') });
    expect(compiler.verdict('TokenIssuer//a').status).toBe('Invalid');
    await compiler.next({ 'a.yaml': issuer('a'), 'b.yaml': issuer('b') });
    expect(compiler.verdict('TokenIssuer//a').applied!.resource).not.toBe(resource);
    const again = compiler.verdict('TokenIssuer//a').applied!.resource;
    await compiler.next({ 'a.yaml': issuer('a') });
    expect(compiler.verdict('TokenIssuer//a').applied!.resource).toBe(again);
  });

  test('warn of a default context that nobody has', async () => {
    const text = issuer('a').replace('  audience', '  default_security_context: al\n  audience');
    const compiler = await compiled({ 'a.yaml': text, 'b.yaml': context('all') });
    expect(compiler.said()).toEqual([
      'a.yaml:6:29: warning: there is no SecurityContext al; tokens that name none are granted nothing (did you mean all?)',
    ]);
    await compiler.next({ 'a.yaml': text, 'b.yaml': context('al') });
    expect(compiler.said()).toEqual([]);
    // A tenant's own may be meant.
    await compiler.next({ 'a.yaml': text, 'tenants/acme/b.yaml': context('al') });
    expect(compiler.said()).toEqual([]);
  });
});

describe('the index of documents', () => {
  const file = (text: string) => treeFile('a.yaml', Buffer.from(text));

  test('is made once for each content, and a fault is found once', () => {
    const index = createDocumentCache().indexFile;
    expect(index(file(OPENAPI))).toBe(index(file(OPENAPI)));
    const fault = (): unknown => {
      try {
        return index(file('openapi: 3.0.0\nx: [\n'));
      } catch (error) {
        return error;
      }
    };
    expect(fault()).toBeInstanceOf(Error);
    expect(fault()).toBe(fault());
  });

  test('forgets what was not asked for in a long time', () => {
    const index = createDocumentCache().indexFile;
    const large = (name: string) =>
      file(`{"openapi": "3.0.0", "info": {"title": "${name}"}, "x": "${'x'.repeat(15 * 1024 * 1024)}"}`);
    const files = ['a', 'b', 'c', 'd', 'e'].map(large);
    const [first] = files.slice(0, 4).map(index);
    expect(index(files[0]!)).toBe(first);
    index(files[4]!);
    expect(index(files[0]!)).toBe(first);
    const second = index(files[1]!);
    expect(index(files[1]!)).toBe(second);
  });
});
