/** `seal-gateway import openapi`, run as its users run it: once, and again when document and manifests have changed. */
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { validateDirectory } from '../../../src/cli/validate.ts';
import { serveUpstream } from '../../execute/upstream.ts';
import { directory, put } from '../../manifest/directory.ts';
import { runCli, scratch } from '../run.ts';

type Json = Record<string, unknown>;

const parameter = (name: string, place: string, more: Json = {}): Json => ({
  ...{ name, in: place, required: place === 'path', schema: { type: 'string' } },
  ...more,
});

/** A small CRM; a test changes what it wants. */
// biome-ignore lint/suspicious/noExplicitAny: it is written down below
function crm(change: (document: any) => void = () => {}): string {
  const document = {
    openapi: '3.0.3',
    info: { title: 'The CRM API', version: '1' },
    servers: [{ url: 'https://crm.example/api' }],
    paths: {
      '/customers': {
        get: {
          operationId: 'searchCustomers',
          summary: 'Find customers.',
          tags: ['customers'],
          parameters: [
            parameter('email', 'query'),
            parameter('limit', 'query', { schema: { type: 'integer' } }),
          ],
        },
        post: {
          operationId: 'createCustomer',
          summary: 'Add a customer.',
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  required: ['name'],
                  properties: { name: { type: 'string' }, vip: { type: 'boolean' } },
                },
              },
            },
          },
        },
      },
      '/customers/{id}': {
        get: { operationId: 'getCustomer', parameters: [parameter('id', 'path')] },
        delete: {
          operationId: 'deleteCustomer',
          summary: 'Forget a customer.',
          parameters: [parameter('id', 'path')],
        },
      },
    },
  };
  change(document);
  return JSON.stringify(document, null, 2);
}

interface Imported {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** `action name`, and the note where there is one. */
  readonly rows: string[];
  readonly files: readonly string[];
}

/** A directory to import into, and a document beside it. */
function place() {
  const top = scratch();
  const out = join(top, 'gateway.d');
  const document = join(top, 'crm.json');
  const run = async (...options: string[]): Promise<Imported> => {
    const ran = await runCli(['import', 'openapi', document, '--out', out, '-o', 'json', ...options]);
    const said = ran.out.startsWith('{') ? JSON.parse(ran.out) : {};
    const rows = (said.rows ?? []) as {
      action: string;
      name: string | null;
      operation: string;
      note: string;
    }[];
    return {
      ...ran,
      rows: rows.map(
        ({ action, name, operation, note }) => `${action} ${name ?? operation}${note && `: ${note}`}`,
      ),
      files: said.files ?? [],
    };
  };
  const path = (name: string) => join(out, 'workflows/crm', name);
  return {
    ...{ top, out, document, run },
    write: (text: string) => writeFileSync(document, text),
    text: (name: string) => readFileSync(path(name), 'utf8'),
    edit(name: string, from: string, to: string) {
      const text = readFileSync(path(name), 'utf8');
      expect(text).toContain(from);
      writeFileSync(
        path(name),
        text.replace(from, () => to),
      );
    },
    path,
  };
}

/** All that a directory holds. */
const contentOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [
        join(entry.parentPath, entry.name),
        readFileSync(join(entry.parentPath, entry.name), 'utf8'),
      ]),
  );

describe('the first run', () => {
  test('makes an ApiSpec with a copy of the document, and a tool for each operation', async () => {
    const { write, run, out, text, path } = place();
    write(crm());
    const { code, rows, files } = await run();
    expect(code).toBe(0);
    expect(rows).toEqual([
      'created crm',
      'created crm.customers.create',
      'created crm.customers.delete',
      'created crm.customers.get',
      'created crm.customers.search',
    ]);
    expect(files).toEqual([
      'crm.openapi.json',
      'crm.yaml',
      'workflows/crm/customers-create.yaml',
      'workflows/crm/customers-delete.yaml',
      'workflows/crm/customers-get.yaml',
      'workflows/crm/customers-search.yaml',
    ]);
    expect(await validateDirectory(out)).toMatchObject({ manifests: 5, errors: 0, warnings: 0 });
    expect(readFileSync(join(out, 'crm.openapi.json'), 'utf8')).toBe(crm());
    expect(parse(readFileSync(join(out, 'crm.yaml'), 'utf8')).spec).toEqual({
      source: { file: './crm.openapi.json' },
      base_url: 'https://crm.example/api',
    });
    expect(parse(text('customers-create.yaml')).spec).toEqual({
      description: 'Add a customer.',
      api_spec: 'crm',
      input_schema: {
        type: 'object',
        required: ['body'],
        additionalProperties: false,
        properties: {
          body: {
            type: 'object',
            properties: { name: { type: 'string' }, vip: { type: 'boolean' } },
            required: ['name'],
          },
        },
      },
      steps: [{ name: 'call', operation_id: 'createCustomer', body: '{{input.body}}' }],
    });
    expect(parse(text('customers-delete.yaml')).spec).toMatchObject({
      annotations: { destructive: true, idempotent: true },
      steps: [{ path_params: { id: '{{input.id}}' } }],
    });
    expect(parse(text('customers-get.yaml')).spec).toMatchObject({
      description: 'GET /customers/{id} of The CRM API.',
      annotations: { read_only: true, idempotent: true },
    });
    const search = text('customers-search.yaml');
    expect(search).toMatch(/^# Made by `seal-gateway import openapi`/);
    expect(parse(search).spec).toMatchObject({
      tags: ['customers'],
      input_schema: { properties: { email: { type: 'string' }, limit: { type: 'integer' } } },
      steps: [{ query: { email: '{{input.email}}', limit: '{{input.limit}}' } }],
    });
    expect(existsSync(path('customers-search.yaml'))).toBe(true);
  });

  test('says what it did in a table, and what comes next', async () => {
    const { write, document, out } = place();
    write(crm());
    const ran = await runCli([
      'import',
      'openapi',
      document,
      '--out',
      out,
      '--operations',
      'get*',
      '--dry-run',
    ]);
    expect(ran.code).toBe(0);
    expect(
      ran.out.replaceAll(out, 'DIR'),
    ).toBe(`         tool               operation            file                              note
created  ApiSpec crm                             crm.yaml
created  crm.customers.get  GET /customers/{id}  workflows/crm/customers-get.yaml

2 created; nothing was written (--dry-run)

Nobody may call a new tool until a SecurityContext says so, such as
  capabilities: [{tool_pattern: "crm.*"}]
Then: seal-gateway validate DIR, and seal-gateway plan shows what crm adds.
`);
    expect(existsSync(out)).toBe(false);
  });

  test('takes what the flags say', async () => {
    const { write, run, out } = place();
    write(crm());
    const flags = [
      '--name',
      'books',
      '--prefix',
      'b',
      '--tenant',
      'acme',
      '--base-url',
      'http://127.0.0.1:9001',
    ];
    const { rows, files } = await run(...flags, '--operations', 'GET /*', 'createCustomer');
    expect(rows).toEqual([
      'created books',
      'created b.customers.create',
      'created b.customers.get',
      'created b.customers.search',
    ]);
    expect(files.every((file) => file.startsWith('tenants/acme/'))).toBe(true);
    expect(parse(readFileSync(join(out, 'tenants/acme/books.yaml'), 'utf8')).spec).toEqual({
      source: { file: './books.openapi.json' },
      base_url: 'http://127.0.0.1:9001',
      egress: { allow_private: true },
    });
    expect(await validateDirectory(out)).toMatchObject({ errors: 0 });
    for (const [flag, value] of [
      ['--name', 'No'],
      ['--prefix', 'a b'],
      ['--tenant', 'a.b'],
      ['--operations', 'a\u0000'],
    ] as const)
      expect(await run(flag, value)).toMatchObject({ code: 1, out: expect.stringContaining(flag) });
  });

  test('leaves a document where it is, when that is in the directory', async () => {
    const out = directory({ 'docs/crm.json': crm() });
    const ran = await runCli(['import', 'openapi', join(out, 'docs/crm.json'), '--out', out]);
    expect(ran.code).toBe(0);
    expect(parse(readFileSync(join(out, 'crm.yaml'), 'utf8')).spec.source).toEqual({
      file: './docs/crm.json',
    });
    expect(existsSync(join(out, 'crm.openapi.json'))).toBe(false);
  });

  test('tells bad operations and leaves them out', async () => {
    const { write, run, out } = place();
    write(
      crm((document) => {
        document.paths['/customers'].get.parameters.push({ name: 'x', in: 'nowhere' });
        document.paths['/customers'].post.parameters = [parameter('session', 'cookie', { required: true })];
        document.paths['/customers/{id}'].get.parameters.push(
          parameter('X-Api-Key', 'header', { required: true }),
        );
        document.paths['/customers/{id}'].delete.parameters.push(
          parameter('filter[name]', 'query'),
          parameter('session', 'cookie'),
        );
        document.paths['no-slash'] = { get: {} };
      }),
    );
    const { code, rows, out: json } = await run();
    expect(code).toBe(0);
    expect(rows).toEqual([
      'created crm',
      'skipped crm.customers.create: it needs the cookie session, which a step cannot send',
      'created crm.customers.delete',
      'skipped crm.customers.get: it needs header parameter x-api-key, which looks like a credential: those come from credential and inject',
      expect.stringMatching(/^skipped searchCustomers: .*nowhere/),
    ]);
    expect(JSON.parse(json).warnings).toEqual([expect.stringContaining('/paths/no-slash')]);
    expect(await validateDirectory(out)).toMatchObject({ manifests: 2, errors: 0 });
    const schema = parse(readFileSync(join(out, 'workflows/crm/customers-delete.yaml'), 'utf8')).spec;
    // Clients of models take no brackets.
    expect(schema.input_schema.properties).toHaveProperty('filter_name');
    expect(schema.steps[0].query).toEqual({ 'filter[name]': '{{input.filter_name}}' });
  });

  test('leaves out what the gateway sets: its own headers, and where the credential goes', async () => {
    const { write, run, out, text } = place();
    write(
      crm((document) => {
        document.paths['/customers'].get.parameters.push(
          parameter('User-Agent', 'header', { required: true }),
          parameter('X-Key', 'header', { required: true }),
        );
      }),
    );
    await run('--operations', 'searchCustomers');
    expect(Object.keys(parse(text('customers-search.yaml')).spec.input_schema.properties)).toEqual([
      'email',
      'limit',
      'x-key',
    ]);
    const spec = readFileSync(join(out, 'crm.yaml'), 'utf8');
    const credential = '  credential: {static_ref: {key: crm}}\n  inject: {header: {name: X-Key}}\n';
    writeFileSync(join(out, 'crm.yaml'), `${spec}${credential}`);
    expect((await run()).rows).toContain(
      'updated crm.customers.search: changed: input_schema.required, input.x-key, steps.call.headers.x-key',
    );
    expect(parse(text('customers-search.yaml')).spec.steps).toEqual([
      {
        name: 'call',
        operation_id: 'searchCustomers',
        query: { email: '{{input.email}}', limit: '{{input.limit}}' },
      },
    ]);
    expect(await validateDirectory(out)).toMatchObject({ errors: 0, warnings: 0 });
  });

  test('says where the credential of the document belongs', async () => {
    const { write, run, out } = place();
    write(
      crm((document) => {
        document.components = {
          securitySchemes: {
            key: { type: 'apiKey', in: 'header', name: 'X-Key' },
            more: { type: 'http', scheme: 'bearer' },
          },
        };
      }),
    );
    expect((await run()).rows[0]).toBe('created crm: needs a credential; its file says which');
    expect(readFileSync(join(out, 'crm.yaml'), 'utf8')).toContain(
      '# The document asks for a credential: add spec.credential, and inject: {header: {name: X-Key}}; or inject: {bearer: {}}.\n',
    );
  });

  test('takes no name that somebody has', async () => {
    const { write, run, out } = place();
    const taken =
      'apiVersion: seal.gateway/v1\nkind: CliTool\nmetadata: {name: crm.customers.get}\nspec: {description: x, image: "a/b:1", command: [x], allowed_subcommands: [get]}\n';
    mkdirSync(out);
    writeFileSync(join(out, 'tool.yaml'), taken);
    write(crm());
    const { rows } = await run('--operations', 'getCustomer');
    expect(rows).toEqual(['created crm', 'created crm.customers.by_id.get']);
    expect(await validateDirectory(out)).toMatchObject({ errors: 0 });
  });

  test.each([
    ['no document', '{"a": 1}', /crm\.json: the field openapi is missing/],
    ['no JSON', '{"a": ', /crm\.json: line 1, column \d+: /],
    [
      'no server',
      crm((document) => (document.servers = [{ url: '/api' }])),
      /say where the API is \(--base-url/,
    ],
    ['no title', crm((document) => (document.info.title = 'The REST API')), /choose one \(--name/],
  ])('%s', async (_, text, said) => {
    const { write, run, out } = place();
    write(text);
    const { code, err, out: json } = await run();
    expect(code).toBe(1);
    expect(err + json).toMatch(said);
    expect(existsSync(out)).toBe(false);
  });
});

describe('--operations that name nothing', () => {
  test.each([
    [
      ['nothing'],
      /names no operation of the document; it has operations such as "searchCustomers" or "GET \/customers"/,
    ],
    [['getCustomers'], /did you mean "getCustomer"\?/],
    [['get *'], /upper and lower case count, and it has "GET \/customers" and "GET \/customers\/\{id\}"/],
    [['Customer'], /"\*Customer\*" does/],
    [['!deleteCustomers', 'GET *'], /"!deleteCustomers" names no .*; did you mean "!deleteCustomer"\?/],
    [['x1', 'GET *', 'x2'], /"x1" names no operation[^\n]*\n--operations "x2" names no operation/],
  ])('%j', async (patterns, said) => {
    const { write, document, out } = place();
    write(crm());
    const ran = await runCli(['import', 'openapi', document, '--out', out, '--operations', ...patterns]);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(said);
    expect(existsSync(out)).toBe(false);
  });

  test('may name what cannot become a tool, and what the document had before', async () => {
    const { write, run } = place();
    write(crm((document) => document.paths['/customers'].get.parameters.push({ name: 'x', in: 'nowhere' })));
    expect((await run('--operations', 'searchCustomers', 'deleteCustomer')).code).toBe(0);
    write(crm((document) => delete document.paths['/customers/{id}'].delete));
    for (const flags of [[], ['--operations', 'searchCustomers', 'deleteCustomer']]) {
      const { code, rows, out } = await run(...flags);
      expect(code).toBe(3);
      expect(rows).toContainEqual(expect.stringMatching(/^vanished crm\.customers\.delete/));
      expect(JSON.parse(out).warnings).toEqual([
        '--operations "deleteCustomer" names no operation of it any more',
      ]);
    }
  });
});

describe('a second run', () => {
  test('of the same document writes nothing', async () => {
    const { write, run, out } = place();
    write(crm());
    await run();
    const before = contentOf(out);
    const { code, rows, files } = await run('--exit-code');
    expect({ code, files }).toEqual({ code: 0, files: [] });
    expect(rows.every((row) => row.startsWith('unchanged '))).toBe(true);
    expect(contentOf(out)).toEqual(before);
  });

  test('changes what the document changed, and nothing else', async () => {
    const { write, run, out, text } = place();
    write(crm());
    await run();
    const before = contentOf(out);
    write(
      crm((document) => {
        const { get } = document.paths['/customers'];
        get.summary = 'Find customers by e-mail.';
        get.parameters = [parameter('email', 'query'), parameter('sort', 'query')];
        document.paths['/customers/{id}/notes'] = {
          get: { operationId: 'listNotes', parameters: [parameter('id', 'path')] },
        };
      }),
    );
    const { code, rows, files } = await run('--exit-code');
    expect(code).toBe(2);
    expect(rows).toEqual([
      'updated crm: the document',
      'unchanged crm.customers.create',
      'unchanged crm.customers.delete',
      'unchanged crm.customers.get',
      'created crm.customers.notes.list',
      'updated crm.customers.search: changed: description, input.limit, steps.call.query.limit, input.sort, steps.call.query.sort',
    ]);
    expect(files).toEqual([
      'crm.openapi.json',
      'workflows/crm/customers-notes-list.yaml',
      'workflows/crm/customers-search.yaml',
    ]);
    const search = text('customers-search.yaml').split('\n');
    const old = before[join(out, 'workflows/crm/customers-search.yaml')]!.split('\n');
    expect(search.filter((line) => !old.includes(line) && !line.includes('import-state'))).toEqual([
      '  description: Find customers by e-mail.',
      '      sort:',
      '        sort: "{{input.sort}}"',
    ]);
    expect(await validateDirectory(out)).toMatchObject({ errors: 0 });
  });

  test('keeps what was edited by hand: fields, comments, names, places', async () => {
    const { write, run, out, path, edit } = place();
    write(crm());
    await run();
    edit(
      'customers-search.yaml',
      'description: Find customers.',
      'description: Look a customer up. # for support',
    );
    edit('customers-search.yaml', '      limit:\n        type: integer\n', '');
    edit(
      'customers-search.yaml',
      '        limit: "{{input.limit}}"\n',
      '        limit: 10 # enough\n      extract: {ids: "$[*].id"}\n  timeout_ms: 5000\n',
    );
    edit(
      'customers-delete.yaml',
      'name: crm.customers.delete',
      'name: crm.customers.forget\n  labels: {team: support}',
    );
    mkdirSync(join(out, 'moved'));
    renameSync(path('customers-delete.yaml'), join(out, 'moved/forget.yaml'));
    const kept = readFileSync(path('customers-search.yaml'), 'utf8');
    expect((await run()).files).toEqual([]);
    write(
      crm((document) => {
        document.paths['/customers'].get.summary = 'Changed.';
        document.paths['/customers'].get.tags = ['people'];
        document.paths['/customers/{id}'].delete.summary = 'Forget a customer for good.';
      }),
    );
    const { code, rows } = await run();
    expect(code).toBe(0);
    expect(rows).toContain(
      'updated crm.customers.search: changed: tags; kept as edited by hand, though the document has changed it: description',
    );
    expect(rows).toContain('updated crm.customers.forget: changed: description');
    const search = readFileSync(path('customers-search.yaml'), 'utf8');
    const state = /^.*import-state.*\n/m;
    expect(search.replace(state, '')).toBe(
      kept.replace(state, '').replace('tags: [customers]', 'tags: [people]'),
    );
    expect(readFileSync(join(out, 'moved/forget.yaml'), 'utf8')).toContain(
      'description: Forget a customer for good.',
    );
    expect(readFileSync(join(out, 'moved/forget.yaml'), 'utf8')).toContain('labels: {team: support}');
    // It is told once.
    const again = await run();
    expect(again.files).toEqual([]);
    expect(again.rows).toContain(
      'unchanged crm.customers.search: as edited by hand: description, steps.call.query.limit, input.limit',
    );
    expect(await validateDirectory(out)).toMatchObject({ errors: 0 });
  });

  test('takes the last one’s flags when it has none', async () => {
    const { write, run, out } = place();
    write(crm());
    await run(
      '--name',
      'books',
      '--prefix',
      'b',
      '--base-url',
      'https://own.example',
      '--operations',
      'get*',
      'search*',
    );
    write(crm((document) => (document.servers = [{ url: 'https://elsewhere.example' }])));
    expect((await run()).rows).toEqual([
      'updated books: the document',
      'unchanged b.customers.get',
      'unchanged b.customers.search',
    ]);
    const more = await run('--operations', '*');
    expect(more.rows).toContain('created b.customers.delete');
    expect(more.rows).toContain('updated books: its flags');
    expect(await validateDirectory(out)).toMatchObject({ errors: 0 });
  });

  test('changes a copy that somebody has made of a tool as well', async () => {
    const { write, run, text, path, out } = place();
    write(crm());
    await run();
    const copy = text('customers-get.yaml').replace('name: crm.customers.get', 'name: customer.short');
    writeFileSync(path('short.yaml'), copy.replace('description: GET', 'description: Short for GET'));
    write(crm((document) => (document.paths['/customers/{id}'].get.tags = ['people'])));
    const { code, rows } = await run();
    expect(code).toBe(0);
    expect(rows).toContain('updated crm.customers.get: changed: tags');
    expect(rows).toContain('updated customer.short: changed: tags');
    expect(text('short.yaml')).toContain('description: Short for GET');
    expect(await validateDirectory(out)).toMatchObject({ manifests: 6, errors: 0 });
  });

  test('does not bring back what --operations leaves out', async () => {
    const { write, run, path } = place();
    write(crm());
    await run();
    rmSync(path('customers-delete.yaml'));
    expect((await run('--dry-run')).rows).toContain('created crm.customers.delete');
    expect((await run('--operations', '*', '!DELETE *')).files).toEqual(['crm.yaml']);
    expect((await run()).rows.join()).not.toContain('delete');
    const other = place();
    other.write(crm());
    expect((await other.run('--operations', '!get*', '!POST *')).rows).toEqual([
      'created crm',
      'created crm.customers.delete',
      'created crm.customers.search',
    ]);
  });

  test('tells what has vanished, and removes it when it is told to', async () => {
    const { write, run, out, path } = place();
    write(crm());
    await run();
    // Two manifests in one file.
    const both = `${readFileSync(path('customers-delete.yaml'), 'utf8')}---\n# Mine.\napiVersion: seal.gateway/v1\nkind: SecurityContext\nmetadata: {name: own}\nspec: {capabilities: []}\n`;
    writeFileSync(path('customers-delete.yaml'), both);
    write(
      crm((document) => {
        delete document.paths['/customers/{id}'].delete;
        delete document.paths['/customers'].post;
      }),
    );
    const held = await run();
    expect(held.code).toBe(3);
    expect(held.rows).toContain(
      'vanished crm.customers.delete: not in the document any more; --prune removes it',
    );
    expect(existsSync(path('customers-create.yaml'))).toBe(true);
    const pruned = await run('--prune');
    expect(pruned.code).toBe(0);
    expect(pruned.rows).toContain('removed crm.customers.create: not in the document any more');
    expect(existsSync(path('customers-create.yaml'))).toBe(false);
    expect(readFileSync(path('customers-delete.yaml'), 'utf8')).toMatch(/^(---\n)?# Mine\.\n/);
    expect(await validateDirectory(out)).toMatchObject({ manifests: 4, errors: 0 });
  });

  test('names what narrower --operations leave out, keeps it up to date, and removes it when told to', async () => {
    const { write, run, out, path, text } = place();
    write(crm());
    await run();
    write(crm((document) => (document.paths['/customers/{id}'].delete.summary = 'Forget.')));
    const kept = await run('--operations', 'GET *');
    expect(kept.code).toBe(0);
    expect(kept.rows).toEqual([
      'updated crm: the document; its flags',
      'unselected crm.customers.create: left out by --operations; --prune removes it',
      'unselected crm.customers.delete: left out by --operations; --prune removes it; changed: description',
      'unchanged crm.customers.get',
      'unchanged crm.customers.search',
    ]);
    expect(text('customers-delete.yaml')).toContain('description: Forget.');
    // The pattern is remembered, and so is what it leaves out.
    expect((await run()).rows).toContain(
      'unselected crm.customers.create: left out by --operations; --prune removes it',
    );
    const pruned = await run('--prune');
    expect(pruned.code).toBe(0);
    expect(pruned.rows).toContain('removed crm.customers.create: left out by --operations');
    expect(pruned.files).toEqual([
      'workflows/crm/customers-create.yaml',
      'workflows/crm/customers-delete.yaml',
    ]);
    expect(existsSync(path('customers-create.yaml'))).toBe(false);
    expect(await validateDirectory(out)).toMatchObject({ manifests: 3, errors: 0 });
  });

  test.each([
    ['a field', (text: string) => text.replace('Forget a customer.', 'Mine.'), ['description']],
    [
      'a field of their own',
      (text: string) => text.replace('spec:\n', 'spec:\n  timeout_ms: 7\n'),
      ['timeout_ms'],
    ],
    [
      'a field taken out',
      (text: string) =>
        text
          .replace(/ {2}description: .*\n/, '  description: x\n')
          .replace(/ {2}annotations:\n {4}destructive.*\n {4}idemp.*\n/, ''),
      ['description', '2 fields taken out'],
    ],
    ['a comment', (text: string) => text.replace('spec:\n', 'spec: # asked for by support\n'), ['a comment']],
    [
      'its mark taken out',
      (text: string) => text.replace(/ {4}seal\.gateway\/import-state: .*\n/, ''),
      ['all of it: it has no seal.gateway/import-state'],
    ],
  ])('prunes nothing that people have edited unless told to: %s', async (_, edit, edited) => {
    const { write, run, path, text } = place();
    write(crm());
    await run();
    writeFileSync(path('customers-delete.yaml'), edit(text('customers-delete.yaml')));
    const before = text('customers-delete.yaml');
    write(
      crm((document) => {
        delete document.paths['/customers/{id}'].delete;
        delete document.paths['/customers'].post;
      }),
    );
    const held = await run('--prune');
    expect(held.code).toBe(3);
    expect(held.rows).toContain('removed crm.customers.create: not in the document any more');
    const said = `edited by hand (${edited.join(', ')})`;
    expect(held.rows).toContain(
      `vanished crm.customers.delete: not in the document any more; ${said}: --prune-edited removes it`,
    );
    const rows = JSON.parse(held.out).rows as { name: string; edited?: string[] }[];
    expect(rows.find(({ name }) => name === 'crm.customers.delete')?.edited).toEqual(edited);
    expect(text('customers-delete.yaml')).toBe(before);
    const pruned = await run('--prune-edited');
    expect(pruned.code).toBe(0);
    expect(pruned.rows).toContain(`removed crm.customers.delete: not in the document any more; ${said}`);
    expect(existsSync(path('customers-delete.yaml'))).toBe(false);
  });

  test('holds what --operations leaves out and people have edited', async () => {
    const { write, run, edit, text } = place();
    write(crm());
    await run();
    edit('customers-delete.yaml', 'Forget a customer.', 'Mine.');
    const held = await run('--operations', '!DELETE *', '--prune');
    expect(held.code).toBe(3);
    expect(held.rows).toContain(
      'unselected crm.customers.delete: left out by --operations; edited by hand (description): --prune-edited removes it',
    );
    expect(text('customers-delete.yaml')).toContain('Mine.');
  });

  test('knows an operation again by its id when its path has changed, and by its path when its id has', async () => {
    const { write, run } = place();
    write(crm());
    await run();
    write(
      crm((document) => {
        document.paths['/people/{id}'] = { get: document.paths['/customers/{id}'].get };
        delete document.paths['/customers/{id}'].get;
        document.paths['/customers/{id}'].delete.operationId = 'forgetCustomer';
      }),
    );
    const { code, rows } = await run();
    expect(code).toBe(0);
    expect(rows).toContain('updated crm.customers.delete: changed: steps.call.operation_id');
    expect(rows).toContain('updated crm.customers.get: changed: description');
    expect((await run()).files).toEqual([]);
  });

  test('tells when an edit by hand does not fit the document any more', async () => {
    const { write, run, edit } = place();
    write(crm());
    await run();
    edit('customers-get.yaml', 'id: "{{input.id}}"', 'id: c-1');
    write(
      crm((document) => {
        document.paths['/customers/{key}'] = {
          get: { operationId: 'getCustomer', parameters: [parameter('key', 'path')] },
        };
        delete document.paths['/customers/{id}'].get;
      }),
    );
    const { code, rows } = await run();
    expect(code).toBe(1);
    expect(rows).toContainEqual(
      expect.stringMatching(
        /^invalid crm\.customers\.get: workflows\/crm\/customers-get\.yaml:\d+:\d+: .*"id"/,
      ),
    );
  });

  test('does not touch what has lost its mark, nor an ApiSpec of another document', async () => {
    const { write, run, edit, text } = place();
    write(crm());
    await run();
    edit(
      'customers-get.yaml',
      text('customers-get.yaml').match(/ {4}seal\.gateway\/import-state: .*\n/)![0],
      '',
    );
    write(crm((document) => (document.paths['/customers/{id}'].get.summary = 'Changed.')));
    expect((await run()).rows).toContain(
      'unchanged crm.customers.get: by hand alone: it has no seal.gateway/import-state',
    );
    const other = place();
    other.write(crm());
    put(other.out, {
      'crm.yaml':
        'apiVersion: seal.gateway/v1\nkind: ApiSpec\nmetadata: {name: crm}\nspec: {source: {inline: {openapi: 3.0.0, info: {}, paths: {}}}, base_url: "https://x.example"}\n',
    });
    const refused = await other.run();
    expect(refused.code).toBe(1);
    expect(refused.out).toContain('ApiSpec crm is there already, in crm.yaml, and is of another document');
  });

  test('adds tools to an ApiSpec that somebody wrote for the same document', async () => {
    const { out, run, write } = place();
    write(crm());
    put(out, {
      'crm.json': crm(),
      'api.yaml':
        'apiVersion: seal.gateway/v1\nkind: ApiSpec\nmetadata: {name: crm}\nspec: {source: {file: ./crm.json}, timeout_ms: 7}\n',
    });
    const before = readFileSync(join(out, 'api.yaml'), 'utf8');
    const { code, rows } = await run('--operations', 'get*');
    expect({ code, rows }).toEqual({
      code: 0,
      rows: [
        'unchanged crm: by hand alone: it has no seal.gateway/import-state',
        'created crm.customers.get',
      ],
    });
    expect(readFileSync(join(out, 'api.yaml'), 'utf8')).toBe(before);
    expect(existsSync(join(out, 'crm.openapi.json'))).toBe(false);
  });

  test('does not make a tool anew whose manifest is not valid', async () => {
    const { write, run, out, edit } = place();
    write(crm());
    await run();
    edit('customers-get.yaml', 'api_spec: crm', 'api_spec: ');
    const before = contentOf(out);
    const { code, out: json } = await run();
    expect(code).toBe(1);
    expect(JSON.parse(json).error.message).toMatch(
      /^ToolWorkflow crm\.customers\.get is not valid; mend it first:\n {2}workflows\/crm\/customers-get\.yaml:\d+:\d+: /,
    );
    expect(contentOf(out)).toEqual(before);
  });

  test('does not guess what is in a file that cannot be read', async () => {
    const { write, run, out } = place();
    write(crm());
    put(out, { 'broken.yaml': 'a: [\n' });
    const { code, out: json } = await run();
    expect(code).toBe(1);
    expect(json).toContain('has files that cannot be read; mend them first');
  });
});

describe('a document behind a URL', () => {
  test('is copied, or referred to with its digest', async () => {
    let text = crm((document) => (document.servers = [{ url: '../v2' }]));
    const { url } = await serveUpstream((_, response) => response.end(text));
    const at = `${url}/a/b/openapi.json`;
    const copied = scratch();
    expect((await runCli(['import', 'openapi', at, '--out', copied])).code).toBe(0);
    expect(parse(readFileSync(join(copied, 'crm.yaml'), 'utf8')).spec).toEqual({
      source: { file: './crm.openapi.json' },
      base_url: `${url}/a/v2`,
      egress: { allow_private: true },
    });
    const referred = scratch();
    const run = () => runCli(['import', 'openapi', at, '--out', referred, '--reference']);
    expect((await run()).code).toBe(0);
    const sourceNow = () => parse(readFileSync(join(referred, 'crm.yaml'), 'utf8')).spec.source;
    expect(sourceNow()).toEqual({ url: at, sha256: hash('sha256', text, 'hex') });
    expect(await validateDirectory(referred, { fetch: true })).toMatchObject({ errors: 0, warnings: 0 });
    text = text.replace('Find customers.', 'Find people.');
    expect((await run()).out).toMatch(/^updated +ApiSpec crm .*changed: source\.sha256$/m);
    expect(sourceNow().sha256).toBe(hash('sha256', text, 'hex'));
    expect(await validateDirectory(referred, { fetch: true })).toMatchObject({ errors: 0, warnings: 0 });
  });

  test('that cannot be had is an error, and so is a file', async () => {
    const { url } = await serveUpstream((_, response) => {
      response.statusCode = 404;
      response.end();
    });
    expect(await runCli(['import', 'openapi', `${url}/x`, '--out', scratch()])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^seal-gateway: GET 127\.0\.0\.1:\d+\/x answered 404\n$/),
    });
    expect((await runCli(['import', 'openapi', '/gone.json', '--out', scratch()])).err).toContain(
      '/gone.json cannot be read',
    );
    expect(
      (await runCli(['import', 'openapi', '/gone.json', '--reference', '--out', scratch()])).err,
    ).toContain('--reference');
  });
});

const examples = dirname(createRequire(import.meta.url).resolve('@readme/oas-examples/package.json'));

/** Every way to write a parameter, every type, unions, files, circles, security; e2e/import.test.ts takes them all. */
test.each([
  '3.0/json/parameters-style.json',
  '3.0/json/schema-types.json',
  '3.0/json/petstore.json',
  '3.0/json/complex-nesting.json',
  '3.0/json/file-uploads.json',
  '3.0/json/circular.json',
  '3.0/json/security.json',
  '3.1/json/webhooks.json',
  '3.1/json/petstore.json',
])('%s becomes manifests that are valid, and the same ones again', async (file) => {
  const out = scratch();
  const flags = ['--name', 'x', '--base-url', 'https://x.example', '-o', 'json'];
  const run = () => runCli(['import', 'openapi', join(examples, file), '--out', out, ...flags]);
  expect((await run()).code).toBe(0);
  const { errors, diagnostics } = await validateDirectory(out);
  expect(errors, JSON.stringify(diagnostics)).toBe(0);
  expect(JSON.parse((await run()).out).files).toEqual([]);
});
