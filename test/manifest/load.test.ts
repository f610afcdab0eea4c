import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { loadManifests, type ManifestSet } from '../../src/manifest/load.ts';
import { readFiles } from '../../src/manifest/read-file.ts';
import { makeTree, treeFile } from '../../src/manifest/tree.ts';
import type { Files } from './directory.ts';
import { apiSpec, cliTool, context, documents, issuer, OPENAPI, tenant, workflow } from './texts.ts';

function treeOf(files: Files) {
  return makeTree(
    Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))),
    [],
  );
}

const load = (files: Files): Promise<ManifestSet> => loadManifests(treeOf(files));

/** Every line that is said, in order. */
function said(set: ManifestSet): string[] {
  const all = [...set.diagnostics, ...[...set.found.values()].flatMap(({ diagnostics }) => diagnostics)];
  return all.map(formatDiagnostic).sort();
}

/** Keys of what is sound, and of what is not. */
function keys(set: ManifestSet) {
  const found = [...set.found.values()];
  return {
    sound: found
      .filter(({ manifest }) => manifest !== null)
      .map(({ key }) => key)
      .sort(),
    bad: found
      .filter(({ manifest }) => manifest === null)
      .map(({ key }) => key)
      .sort(),
  };
}

describe('identity', () => {
  test('is kind, tenant and name; the file is no part of it', async () => {
    const [here, there] = await Promise.all([
      load({ 'a.yaml': workflow('x.y') }),
      load({ 'b/c.yml': workflow('x.y') }),
    ]);
    expect(keys(here)).toEqual({ sound: ['ToolWorkflow//x.y'], bad: [] });
    expect(there.found.get('ToolWorkflow//x.y')!.manifest!.digest).toBe(
      here.found.get('ToolWorkflow//x.y')!.manifest!.digest,
    );
  });

  test('several documents in a file, empty ones among them, in JSON too', async () => {
    const json = JSON.stringify({
      apiVersion: 'seal.gateway/v1',
      kind: 'Tenant',
      metadata: { name: 'bolt' },
      spec: { display_name: 'Bolt' },
    });
    const set = await load({
      'a.yaml': documents(workflow('a'), '', '# nothing\n', tenant('acme'), ''),
      'b.json': json,
    });
    expect(keys(set).sound).toEqual(['Tenant//acme', 'Tenant//bolt', 'ToolWorkflow//a']);
    expect(said(set)).toEqual([]);
    expect(set.found.get('Tenant//acme')).toMatchObject({ file: 'a.yaml', line: 16, column: 1 });
  });

  test('the digest does not depend on the order of keys, but on every value', async () => {
    const digest = async (spec: string): Promise<string> => {
      const text = `kind: SecurityContext\nmetadata: {name: a}\napiVersion: seal.gateway/v1\nspec: {capabilities: [{tool_pattern: a, arguments: ${spec}}]}\n`;
      return (await load({ 'a.yaml': text })).found.get('SecurityContext//a')!.manifest!.digest;
    };
    expect(await digest('{a: 1, b: 2}')).toBe(await digest('{b: 2, a: 1}'));
    const others = [
      '{a: 1, b: 3}',
      '{a: 1}',
      '{a: [1], b: 2}',
      '{enum: {a: 1}}',
      '{enum: [[a, 1]]}',
      '{enum: [a, 1]}',
      '{a: "1", b: 2}',
    ];
    const digests = await Promise.all(['{a: 1, b: 2}', ...others].map(digest));
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('two of one identity', () => {
  test('copies are told, and count once', async () => {
    const set = await load({
      'a.yaml': tenant('acme'),
      'b.yaml': tenant('acme'),
      'c.yaml': `# a copy\n${tenant('acme')}`,
    });
    expect(keys(set)).toEqual({ sound: ['Tenant//acme'], bad: [] });
    expect(said(set)).toEqual([
      'b.yaml:1:1: warning: Tenant acme is also in a.yaml:1 (remove one of them)',
      'c.yaml:2:1: warning: Tenant acme is also in a.yaml:1 (remove one of them)',
    ]);
  });

  test('of two that differ neither counts, and both are told', async () => {
    const set = await load({ 'a.yaml': tenant('acme', 'A'), 'b.yaml': tenant('acme', 'B') });
    expect(keys(set)).toEqual({ sound: [], bad: ['Tenant//acme'] });
    expect(said(set)).toEqual([
      'a.yaml:1:1: Tenant acme is also in b.yaml:1 (remove one of them)',
      'b.yaml:1:1: Tenant acme is also in a.yaml:1 (remove one of them)',
    ]);
  });

  test('also in one file, and whatever the order of three', async () => {
    const [one, copy, other] = [tenant('acme', 'A'), tenant('acme', 'A'), tenant('acme', 'B')];
    for (const texts of [
      [one, copy, other],
      [one, other, copy],
      [other, one, copy],
    ])
      expect(keys(await load({ 'a.yaml': documents(...texts) }))).toEqual({
        sound: [],
        bad: ['Tenant//acme'],
      });
  });

  test('copies that refer to different files are no copies', async () => {
    const set = await load({
      'a/crm.yaml': apiSpec(),
      'a/crm.openapi.yaml': OPENAPI,
      'b/crm.yaml': apiSpec(),
      'b/crm.openapi.yaml': `${OPENAPI}# more\n`,
    });
    expect(keys(set)).toEqual({ sound: [], bad: ['ApiSpec//crm'] });
  });
});

describe('names of tools', () => {
  test('workflows and CLI tools share them', async () => {
    const set = await load({
      'a.yaml': workflow('kubectl'),
      'b.yaml': cliTool('kubectl'),
      'c.yaml': cliTool('helm'),
    });
    expect(keys(set)).toEqual({
      sound: ['CliTool//helm'],
      bad: ['CliTool//kubectl', 'ToolWorkflow//kubectl'],
    });
    expect(said(set)).toEqual([
      'a.yaml:1:1: CliTool kubectl (b.yaml:1) has this name already; workflows and CLI tools share their names (choose another name)',
      'b.yaml:1:1: ToolWorkflow kubectl (a.yaml:1) has this name already; workflows and CLI tools share their names (choose another name)',
    ]);
  });

  test('a tenant may not shadow a global tool; other tenants are nothing to it', async () => {
    const set = await load({
      'a.yaml': workflow('find'),
      'tenants/acme/a.yaml': cliTool('find'),
      'tenants/acme/b.yaml': cliTool('own'),
      'tenants/bolt/b.yaml': workflow('own'),
    });
    expect(keys(set)).toEqual({
      sound: ['CliTool/acme/own', 'ToolWorkflow//find', 'ToolWorkflow/bolt/own'],
      bad: ['CliTool/acme/find'],
    });
    expect(said(set)).toEqual([
      'tenants/acme/a.yaml:1:1: the global ToolWorkflow find (a.yaml:1) has this name already; a tenant may not shadow it (choose another name)',
    ]);
  });

  test('a global tool that is not valid keeps its name', async () => {
    const set = await load({
      'a.yaml': workflow('find').replace('steps:', 'stps:'),
      'tenants/acme/a.yaml': cliTool('find'),
    });
    expect(keys(set).sound).toEqual([]);
  });

  test('the name of the explorer is taken', async () => {
    expect(said(await load({ 'a.yaml': cliTool('api.explore') }))).toEqual([
      'a.yaml:3:18: the name api.explore is taken by the gateway itself (choose another name)',
    ]);
    expect(said(await load({ 'a.yaml': context('api.explore') }))).toEqual([]);
  });
});

describe('directories of tenants', () => {
  test('give their tenant, whether it is said or not', async () => {
    const set = await load({
      'tenants/acme/a.yaml': context('a'),
      'tenants/acme/deep/b.yaml': context('b', '*', 'acme'),
      'c.yaml': context('c', '*', 'acme'),
      'tenants/d.yaml': context('d'),
    });
    expect(keys(set).sound).toEqual([
      'SecurityContext//d',
      'SecurityContext/acme/a',
      'SecurityContext/acme/b',
      'SecurityContext/acme/c',
    ]);
  });

  test('refuse another tenant', async () => {
    const set = await load({ 'tenants/acme/a.yaml': context('a', '*', 'bolt') });
    expect(keys(set)).toEqual({ sound: [], bad: ['SecurityContext/acme/a'] });
    expect(said(set)).toEqual([
      'tenants/acme/a.yaml:3:29: the file is below tenants/acme, so the manifest belongs to tenant acme, not "bolt" (remove metadata.tenant, or move the file)',
    ]);
  });

  test('must have the name of a tenant', async () => {
    expect(said(await load({ 'tenants/Acme Ltd/a.yaml': context('a') }))).toEqual([
      'tenants/Acme Ltd/a.yaml:1:1: no tenant can have the name of the directory tenants/Acme Ltd',
    ]);
  });

  test('hold no Tenant, and one there cannot stand in the way of the real one', async () => {
    const set = await load({ 'acme.yaml': tenant('acme'), 'tenants/evil/acme.yaml': tenant('acme', 'Evil') });
    expect(keys(set)).toEqual({ sound: ['Tenant//acme'], bad: [] });
    expect(said(set)).toEqual([
      'tenants/evil/acme.yaml:2:7: a Tenant manifest may not be in tenants/evil/: no tenant makes tenants (move the file out of tenants/)',
    ]);
  });

  test('a Tenant belongs to none', async () => {
    const text = tenant('acme').replace('{name: acme}', '{name: acme, tenant: bolt}');
    expect(said(await load({ 'a.yaml': text }))).toEqual([
      'a.yaml:3:24: metadata.tenant must not be given: a Tenant is global',
    ]);
  });
});

describe('files that a manifest refers to', () => {
  test('are read from where the manifest is, and are a part of it', async () => {
    const files = { 'apis/crm.yaml': apiSpec('crm', '../docs/crm.json'), 'docs/crm.json': OPENAPI };
    const one = (await load(files)).found.get('ApiSpec//crm')!.manifest!;
    expect([...one.data].map(([text, { path }]) => [text, path])).toEqual([
      ['../docs/crm.json', 'docs/crm.json'],
    ]);
    const two = (await load({ ...files, 'docs/crm.json': `${OPENAPI}# more\n` })).found.get('ApiSpec//crm')!
      .manifest!;
    expect(two.digest).not.toBe(one.digest);
    expect(two.data.get('../docs/crm.json')!.bytes.toString()).toContain('more');
  });

  test.each([
    [
      '/etc/passwd.json',
      'spec.source.file leaves the directory of the manifests (write a path relative to this file)',
    ],
    [
      '../crm.yaml',
      'spec.source.file leaves the directory of the manifests (write a path relative to this file)',
    ],
    [
      'a/../../crm.yaml',
      'spec.source.file leaves the directory of the manifests (write a path relative to this file)',
    ],
    ['./gone.openapi.yaml', 'there is no file gone.openapi.yaml'],
    ['./crm.opneapi.yaml', 'there is no file crm.opneapi.yaml (did you mean crm.openapi.yaml?)'],
    [
      './crm.txt',
      'spec.source.file names a file that is never read (its name must end with .yaml, .yml or .json, and no part of it may begin with ".")',
    ],
    [
      './.git/crm.yaml',
      'spec.source.file names a file that is never read (its name must end with .yaml, .yml or .json, and no part of it may begin with ".")',
    ],
    ['./tenants/acme/crm.yaml', 'spec.source.file is a file of tenant acme'],
  ])('%s', async (file, message) => {
    const set = await load({
      'a.yaml': apiSpec('crm', file),
      'crm.openapi.yaml': OPENAPI,
      'tenants/acme/crm.yaml': OPENAPI,
    });
    const [first] = said(set);
    expect(first).toBe(`a.yaml:4:23: ${message}`);
    expect(keys(set).bad).toEqual(['ApiSpec//crm']);
  });

  test("of a tenant are for that tenant's manifests alone; global ones for all", async () => {
    const set = await load({
      'tenants/acme/crm.openapi.yaml': OPENAPI,
      'tenants/acme/a.yaml': apiSpec('own'),
      'tenants/acme/b.yaml': apiSpec('global', '../../g.openapi.yaml'),
      'tenants/bolt/a.yaml': apiSpec('stolen', '../acme/crm.openapi.yaml'),
      'elsewhere.yaml': apiSpec('also', './tenants/acme/crm.openapi.yaml', 'acme'),
      'g.openapi.yaml': OPENAPI,
    });
    expect(keys(set)).toEqual({
      sound: ['ApiSpec/acme/also', 'ApiSpec/acme/global', 'ApiSpec/acme/own'],
      bad: ['ApiSpec/bolt/stolen'],
    });
    expect(said(set)).toEqual(['tenants/bolt/a.yaml:4:23: spec.source.file is a file of tenant acme']);
  });

  test('that could not be read say why', async () => {
    const tree = treeOf({ 'a.yaml': apiSpec() });
    const refused = {
      severity: 'error',
      rule: 'not-a-file',
      file: 'crm.openapi.yaml',
      line: 1,
      column: 1,
      message: 'this is no regular file',
      hint: null,
    } as const;
    const set = await loadManifests(makeTree([...tree.files.values()], [refused]));
    expect(said(set)).toEqual([
      'a.yaml:4:23: crm.openapi.yaml cannot be used: this is no regular file',
      'crm.openapi.yaml:1:1: this is no regular file',
    ]);
    expect([...set.broken]).toEqual(['crm.openapi.yaml']);
  });
});

describe('data', () => {
  test('is not taken for a manifest where one refers to it, whatever it holds', async () => {
    const jwks = '{"keys": [{"kty": "OKP"}]}';
    const set = await load({
      'a.yaml': issuer('ci').replace(/jwks: .*/, 'jwks: {file: keys.json}'),
      'keys.json': jwks,
      'b.yaml': apiSpec('aliased', './aliased.yaml'),
      'aliased.yaml': 'paths: &p {}\nx: *p\nopenapi: 3.0.0\n',
      'c.yaml': apiSpec('broken', './broken.yaml'),
      'broken.yaml': 'a: [\n',
    });
    expect(said(set)).toEqual([]);
    expect(keys(set).sound).toEqual(['ApiSpec//aliased', 'ApiSpec//broken', 'TokenIssuer//ci']);
  });

  test('that nobody refers to is told: OpenAPI documents as a warning', async () => {
    const set = await load({
      'crm.yaml': OPENAPI,
      'pretty.json': '{\n  "openapi": "3.0.0",\n  "paths": {}\n}\n',
      'old.json': '{"swagger":"2.0"}',
      'keys.json': '{"keys": []}',
      'list.yaml': '- a\n',
      'text.yaml': 'hello\n',
    });
    expect(said(set)).toEqual([
      'crm.yaml:1:1: warning: this looks like an OpenAPI document, but no ApiSpec refers to it',
      'keys.json:1:1: this is no manifest: apiVersion and kind are missing (no manifest refers to this file either)',
      'list.yaml:1:1: a manifest must be a mapping, not a list (no manifest refers to this file either)',
      'old.json:1:1: warning: this looks like an OpenAPI document, but no ApiSpec refers to it',
      'pretty.json:1:1: warning: this looks like an OpenAPI document, but no ApiSpec refers to it',
      'text.yaml:1:1: a manifest must be a mapping, not text (no manifest refers to this file either)',
    ]);
    expect([...set.broken].sort()).toEqual(['keys.json', 'list.yaml', 'text.yaml']);
  });

  test('a file of manifests stays one when a manifest refers to it', async () => {
    const set = await load({
      'a.yaml': apiSpec('crm', './b.yaml'),
      'b.yaml': `${tenant('acme')}---\na: [\n`,
    });
    expect(said(set)).toEqual([
      'b.yaml:7:1: YAML: "[" is still open here (close it with "]", or indent this line more)',
    ]);
    expect([...set.broken]).toEqual(['b.yaml']);
    expect(keys(set).sound).toEqual(['ApiSpec//crm', 'Tenant//acme']);
  });

  test('not even when nothing of it can be read', async () => {
    const set = await load({
      'tenants/evil/a.yaml': apiSpec('crm', '../../b.yaml'),
      'b.yaml': `%YAML 1.1\n---\n${context('all')}`,
    });
    expect(said(set)).toEqual([
      'b.yaml:1:1: directives are not allowed (remove the line that begins with %)',
    ]);
    expect([...set.broken]).toEqual(['b.yaml']);
  });
});

describe('one mistake, one message', () => {
  test.each<[string, string, string[]]>([
    [
      'a manifest of another program',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\n',
      ['a.yaml:1:13: apiVersion must be seal.gateway/v1, not "apps/v1"'],
    ],
    [
      'a later version',
      tenant('a').replace('/v1', '/v2'),
      ['a.yaml:1:13: apiVersion must be seal.gateway/v1, not "seal.gateway/v2"'],
    ],
    [
      'no version',
      tenant('a').replace(/^.*\n/, ''),
      ['a.yaml:1:1: apiVersion is missing (write apiVersion: seal.gateway/v1)'],
    ],
    [
      'no kind',
      tenant('a').replace('kind: Tenant\n', ''),
      [
        'a.yaml:1:1: kind is missing (the kinds are ApiSpec, CliTool, SecurityContext, SemanticJudge, Tenant, TokenIssuer or ToolWorkflow)',
      ],
    ],
    [
      'an unknown kind',
      tenant('a').replace('Tenant', 'Tennant'),
      ['a.yaml:2:7: there is no kind "Tennant" (did you mean Tenant?)'],
    ],
    [
      'a kind of another type',
      tenant('a').replace('Tenant', '[Tenant]'),
      ['a.yaml:2:7: kind must be text, not a list'],
    ],
    ['no name', tenant('a').replace('name: a', ''), ['a.yaml:3:1: metadata.name is missing']],
    ['no metadata', tenant('a').replace(/metadata.*\n/, ''), ['a.yaml:1:1: metadata is missing']],
    [
      'an alias for a value',
      tenant('a', '*x'),
      ['a.yaml:4:22: aliases are not allowed (write the value out)'],
    ],
    ['an open quote', tenant('a', '"x'), ['a.yaml:4:22: YAML: the quote that begins here is never closed']],
    [
      'a key given twice',
      tenant('a').replace('Somebody', 'A, display_name: B'),
      ['a.yaml:4:25: this key was given before, on line 4 (remove one)'],
    ],
    [
      'a merge key for a field',
      tenant('a').replace('display_name: Somebody', '<<: {display_name: A}'),
      ['a.yaml:4:8: merge keys are not allowed (write the fields out)'],
    ],
    [
      'a list of manifests',
      '- apiVersion: seal.gateway/v1\n  kind: Tenant\n',
      ['a.yaml:1:1: a manifest must be a mapping, not a list (no manifest refers to this file either)'],
    ],
  ])('%s', async (_what, text, lines) => {
    expect(said(await load({ 'a.yaml': text }))).toEqual(lines);
  });

  test('what is wrong beside an unreadable value is told with it', async () => {
    const text = tenant('a', '*x').replace('*x', '*x, suspended: 3, suspended: 4');
    expect(said(await load({ 'a.yaml': text }))).toEqual([
      'a.yaml:4:22: aliases are not allowed (write the value out)',
      'a.yaml:4:37: spec.suspended must be true or false, not a whole number',
      'a.yaml:4:40: this key was given before, on line 4 (remove one)',
    ]);
  });

  test('a syntax error is told of the manifest that has it, when that says who it is', async () => {
    const set = await load({ 'a.yaml': documents(tenant('a'), tenant('b', '"x'), tenant('c')) });
    expect(keys(set)).toEqual({ sound: ['Tenant//a'], bad: ['Tenant//b'] });
    expect(set.found.get('Tenant//b')!.diagnostics).toHaveLength(1);
    expect(set.diagnostics).toEqual([]);
    // There may be another manifest that the open quote has swallowed.
    expect([...set.broken]).toEqual(['a.yaml']);
  });
});

test('the order of files changes nothing', async () => {
  const files: Files = {
    'a.yaml': documents(tenant('acme'), workflow('one'), context('c')),
    'b.yaml': tenant('acme'),
    'c.yaml': documents(context('c', 'x'), cliTool('one')),
    'crm.yaml': apiSpec(),
    'crm.openapi.yaml': OPENAPI,
    'tenants/acme/t.yaml': workflow('one'),
    'broken.yaml': 'a: [\n',
  };
  const tree = treeOf(files);
  const expected = await loadManifests(tree);
  const order = fc.shuffledSubarray(Object.keys(files), { minLength: Object.keys(files).length });
  await fc.assert(
    fc.asyncProperty(order, async (paths) => {
      // A directory gives them in order of path; an order of reading of its own must not matter either.
      const set = await loadManifests(tree, async (all) => {
        const readings = await readFiles(paths.map((path) => all.find((file) => file.path === path)!));
        return all.map(({ path }) => readings.find(({ file }) => file === path)!);
      });
      expect(said(set)).toEqual(said(expected));
      expect(keys(set)).toEqual(keys(expected));
    }),
    { numRuns: 20 },
  );
});

test('nothing that a file holds makes it reject', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'apiVersion: seal.gateway/v1\n',
      'kind: ApiSpec\n',
      'kind: ToolWorkflow\n',
      'metadata: ',
      'spec: ',
      '{name: a}',
      '---\n',
      'steps: ',
      '- ',
      '  ',
      'null',
      '[]',
      '{}',
      'source: ',
      'file: ',
      '"',
      ': ',
      '*a',
      '&a ',
      '\n',
      '%',
      '\u0000',
      '\uFFFF',
      '!',
    ),
    fc.string({ maxLength: 8 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 30 }),
      fc.constantFrom('a.yaml', 'tenants/a/b.json', 'tenants/../x.yml'),
      async (pieces, path) => {
        const set = await load({ [path]: pieces.join('') });
        expect(said(set).filter((line) => line.includes('the gateway failed'))).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
