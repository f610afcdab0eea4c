import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directory, type Files } from '../manifest/directory.ts';
import { runCli } from './run.ts';

const crm = readFileSync(new URL('../golden/validate/valid/crm.openapi.yaml', import.meta.url), 'utf8');
const MANIFESTS: Files = {
  'crm.openapi.yaml': crm,
  'crm.yaml': `apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: crm}
spec: {source: {file: ./crm.openapi.yaml}, base_url: "https://crm.invalid/deep/v1", credential: {static_ref: {key: k}}, inject: {bearer: {}}}
`,
  'find.yaml': `apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: customer.find}
spec:
  description: A tool.
  api_spec: crm
  input_schema:
    type: object
    required: [email]
    properties: {email: {type: string}}
  steps:
    - name: find
      operation_id: searchCustomers
      query: {email: "{{input.email}}"}
      extract: {id: "$.data[0].id"}
    - name: more
      operation_id: getCustomer
      path_params: {customer_id: "{{steps.find.id}}"}
      extract: {name: "$.name"}
      on_error: continue
      defaults: {name: nobody}
  output: {id: "{{steps.find.id}}", name: "{{steps.more.name}}"}
`,
  'rights.yaml': `apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: reader}
spec: {deny_list: ["*.delete"], capabilities: [{tool_pattern: "customer.*"}]}
---
apiVersion: seal.gateway/v1
kind: Tenant
metadata: {name: acme}
spec: {display_name: Acme, suspended: true}
`,
  'tenants/bolt/own.yaml': `apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: own}
spec: {capabilities: []}
`,
};

const tests = (spec: object): string =>
  JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: 'GatewayTest', metadata: { name: 'g' }, spec });

/** Runs these cases; the lines that are said of them. */
async function run(spec: object, manifests = MANIFESTS) {
  const dir = directory({ ...manifests, 'a.test.yaml': tests(spec) });
  const { code, out, err } = await runCli(['test', dir]);
  return { code, lines: out.trimEnd().split('\n'), err: err.replaceAll(dir, 'DIR') };
}

/** Of one case: null when it passes, else why it fails. */
async function failureOf(kind: 'policy' | 'workflows', one: object): Promise<string | null> {
  const { code, lines, err } = await run({ [kind]: [{ name: 'it', ...one }] });
  expect(err).toBe('');
  expect(lines[0]).toBe(`${code === 0 ? 'ok  ' : 'FAIL'} a.test.yaml g: it`);
  return code === 0 ? null : lines[1]!.trim();
}

describe('a case of policy', () => {
  const call = { context: 'reader', tool: 'customer.find', arguments: { email: 'a@b' } };

  test.each<[object, string | null]>([
    [{ ...call, expect: 'allow' }, null],
    [{ ...call, tool: 'customer.delete', expect: 'deny' }, null],
    [{ ...call, tool: 'customer.delete', expect: 'POLICY_TOOL_DENIED' }, null],
    [{ ...call, tool: 'other', expect: 'POLICY_TOOL_NOT_ALLOWED' }, null],
    [{ ...call, tenant: 'acme', expect: 'deny' }, null],
    [{ context: 'own', tool: 'x', expect: 'deny' }, null],
    [
      { ...call, expect: 'deny' },
      'expected deny, got allow: capabilities[0] (customer.*) allows this call at rights.yaml:4',
    ],
    [
      { ...call, tool: 'customer.delete', expect: 'allow' },
      'expected allow, got POLICY_TOOL_DENIED: deny_list[0] "*.delete" denies this call at rights.yaml:4',
    ],
    [
      { ...call, tool: 'other', expect: 'POLICY_TOOL_DENIED' },
      'expected POLICY_TOOL_DENIED, got POLICY_TOOL_NOT_ALLOWED: no capability names this tool at rights.yaml:4',
    ],
    // A slip of the pen is denied, and must not pass for a rule.
    [{ ...call, context: 'raeder', expect: 'deny' }, 'there is no SecurityContext raeder'],
    [{ ...call, tenant: 'amce', expect: 'deny' }, 'there is no Tenant amce'],
    [
      { ...call, tool: 'customer.fnid', expect: 'allow' },
      'policy allows it, but the call is refused: 4001 TOOL_NOT_FOUND: there is no tool customer.fnid',
    ],
    [
      { ...call, arguments: {}, expect: 'allow' },
      'policy allows it, but the call is refused: 4000 INVALID_ARGUMENTS: arguments: email is missing',
    ],
  ])('%j', async (one, failure) => {
    expect(await failureOf('policy', one)).toBe(failure);
  });
});

describe('a case of a workflow', () => {
  const replies = { find: [{ body: { data: [{ id: 7 }] } }], more: [{ body: { name: 'Ada' } }] };
  const one = { tool: 'customer.find', arguments: { email: 'a@b' }, replies };

  test.each<[string, object, string | null]>([
    ['the output', { output: { id: 7, name: 'Ada' } }, null],
    ['in another order of keys', { output: { name: 'Ada', id: 7 } }, null],
    [
      'another output',
      { output: { id: 8 } },
      'expected the output {"id":8}, got the output {"id":7,"name":"Ada"}',
    ],
    [
      'an error in its place',
      { error: 'UPSTREAM_FAILED' },
      'expected UPSTREAM_FAILED, got the output {"id":7,"name":"Ada"}',
    ],
    [
      'a step that fails and goes on',
      { replies: { ...replies, more: [{ status: 500 }] }, output: { id: 7, name: 'nobody' } },
      null,
    ],
    ['a step that fails', { replies: { find: [{ status: 404 }] }, error: 'UPSTREAM_FAILED' }, null],
    [
      'a step that fails unasked',
      { replies: { find: [{ status: 404 }] }, output: {} },
      expect.stringMatching(/^expected the output \{\}, got UPSTREAM_FAILED: /),
    ],
    ['arguments that do not fit', { arguments: {}, replies: {}, error: 'INVALID_ARGUMENTS' }, null],
    [
      'too few replies',
      { replies: { find: replies.find }, output: { id: 7, name: 'nobody' } },
      'step more: the test has too few replies',
    ],
    [
      'too few replies where an error is expected',
      { replies: {}, error: 'UPSTREAM_FAILED' },
      'step find: the test has too few replies',
    ],
    [
      'too many replies',
      { replies: { ...replies, find: [...replies.find, {}] }, output: { id: 7, name: 'Ada' } },
      'no request took the last replies of step find',
    ],
    [
      'a step that is none',
      { replies: { ...replies, fnid: [{}] }, output: {} },
      'customer.find has no step fnid',
    ],
    ['a tool that is none', { tool: 'customer.fnid', output: {} }, 'there is no ToolWorkflow customer.fnid'],
    [
      'text that is no JSON',
      {
        replies: { ...replies, more: [{ headers: { 'Content-Type': 'text/plain' }, body: 'Ada' }] },
        output: { id: 7, name: 'nobody' },
      },
      null,
    ],
    [
      'a header that is none',
      { replies: { ...replies, find: [{ headers: { 'x y': '1' } }] }, error: 'UPSTREAM_FAILED' },
      expect.stringMatching(/^step find: .*x y/),
    ],
    [
      'a header with a line end',
      { replies: { ...replies, find: [{ headers: { x: 'a\nb' } }] }, error: 'UPSTREAM_FAILED' },
      expect.stringMatching(/^step find: /),
    ],
  ])('%s', async (_, more, failure) => {
    expect(await failureOf('workflows', { ...one, ...more })).toEqual(failure);
  });
});

describe('a case of a workflow of many requests', () => {
  const manifests: Files = {
    ...MANIFESTS,
    'all.yaml': `apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: customer.all}
spec:
  description: A tool.
  api_spec: crm
  input_schema: {type: object, properties: {again: {type: boolean}}}
  steps:
    - name: list
      method: GET
      path: /customers
      retry: {attempts: 3, backoff_ms: 30000}
      paginate: {next: link, collect: "$[*]"}
      extract: {ids: "$[*].id"}
    - name: each
      operation_id: getCustomer
      path_params: {customer_id: "{{item}}"}
      for_each: {in: "{{steps.list.ids}}", concurrency: 8}
      extract: {name: "$.name"}
      on_error: continue
    - name: again
      method: GET
      path: /customers
      when: "{{input.again}}"
  output: {names: "{{steps.each.name}}", truncated: "{{steps.list.truncated}}"}
`,
  };
  const page = (id: number, next?: string) => ({
    body: [{ id }],
    ...(next !== undefined && { headers: { link: `<${next}>; rel="next"` } }),
  });
  const replies = {
    list: [
      page(1, 'https://crm.invalid/deep/v1/customers?page=2'),
      page(2, '/deep/v1/customers?page=3'),
      page(3),
    ],
    each: [{ body: { name: 'Ada' } }, { status: 404 }, { body: { name: 'Grace' } }],
  };
  const output = { names: ['Ada', null, 'Grace'], truncated: false };
  const failure = async (one: object): Promise<string | undefined> => {
    const { code, lines } = await run({ workflows: [{ tool: 'customer.all', output, ...one }] }, manifests);
    return code === 0 ? undefined : lines[1]?.trim();
  };

  test('takes the replies of its pages and elements in order', async () => {
    expect(await failure({ replies })).toBeUndefined();
  });

  test('does not wait for another attempt', { timeout: 20_000 }, async () => {
    const [first, ...more] = replies.list;
    const list = [
      { status: 503 },
      { disconnect: true },
      first,
      { status: 429, headers: { 'retry-after': '9' } },
      ...more,
    ];
    expect(await failure({ replies: { ...replies, list } })).toBeUndefined();
    const down = [{ status: 503 }, { status: 503 }, { disconnect: true }];
    expect(
      await failure({ replies: { list: down }, output: undefined, error: 'UPSTREAM_FAILED' }),
    ).toBeUndefined();
  });

  test('tells of replies that nobody took', async () => {
    expect(await failure({ replies: { ...replies, again: [{}] } })).toBe(
      'no request took the last replies of step again',
    );
    expect(
      await failure({ replies: { ...replies, again: [{}] }, arguments: { again: true } }),
    ).toBeUndefined();
  });

  test('goes to no other origin', async () => {
    const list = [page(1, 'https://evil.invalid/deep/v1/customers'), page(2)];
    expect(await failure({ replies: { list }, output: undefined, error: 'UPSTREAM_FAILED' })).toBeUndefined();
  });
});

describe('a run', () => {
  test('counts, names what has no name, and is JSON on demand', async () => {
    const spec = {
      policy: [
        { context: 'reader', tool: 'customer.delete', expect: 'deny' },
        { context: 'reader', tool: 'customer.delete', expect: 'allow' },
      ],
      workflows: [{ tool: 'customer.find', error: 'INVALID_ARGUMENTS' }],
    };
    const { code, lines } = await run(spec);
    expect({ code, lines }).toMatchObject({
      code: 1,
      lines: [
        'ok   a.test.yaml g: reader: customer.delete -> deny',
        'FAIL a.test.yaml g: reader: customer.delete -> allow',
        expect.any(String),
        'ok   a.test.yaml g: customer.find -> INVALID_ARGUMENTS',
        '2 passed, 1 failed',
      ],
    });
    const dir = directory({ ...MANIFESTS, 'a.test.yaml': tests({ policy: spec.policy.slice(0, 1) }) });
    const json = await runCli(['test', dir, '-o', 'json']);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.out)).toEqual({
      passed: 1,
      failed: 0,
      results: [{ file: 'a.test.yaml', group: 'g', name: 'reader: customer.delete -> deny', failure: null }],
    });
  });

  test('takes every file of a directory, hidden ones apart, and every document of a file', async () => {
    const one = tests({ policy: [{ context: 'reader', tool: 'customer.delete', expect: 'deny' }] });
    const dir = directory({
      ...MANIFESTS,
      'a.test.yaml': `${one}\n---\n${one}`,
      'deep/er/B.TEST.YML': one,
      '.hidden/c.test.yaml': 'x',
      'deep/.d.test.yaml': 'x',
    });
    const { code, out } = await runCli(['test', dir]);
    expect(code).toBe(0);
    expect([...out.matchAll(/^ok {3}(\S+) g: /gm)].map(([, file]) => file)).toEqual([
      'a.test.yaml',
      'a.test.yaml',
      'deep/er/B.TEST.YML',
    ]);
    expect(out).toContain('3 passed, 0 failed');
  });

  test('of the tests of this repository passes', async () => {
    const { code, out } = await runCli(['test', new URL('../../gateway.d', import.meta.url).pathname]);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/, 0 failed\n$/) });
  });
});

describe('an error', () => {
  test('of a file is told with its place, all at once', async () => {
    const dir = directory({
      ...MANIFESTS,
      'a.test.yaml':
        'apiVersion: seal.gateway/v1\nkind: GatewayTest\nmetadata: {name: g}\nspec:\n  policy:\n    - {context: reader, tool: x, expect: maybe}\n    - {context: reader, expects: deny}\n  workflows:\n    - {tool: x}\n    - {tool: x, output: 1, error: A}\n',
      'b.test.yaml': 'apiVersion: seal.gateway/v1\nkind: ToolWorkflow\nmetadata: {name: x}\nspec: {}\n',
      'c.test.yaml': 'kind: [\n',
    });
    const { code, out, err } = await runCli(['test', dir]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    const places = [...err.matchAll(/^ {2}(\w\.test\.yaml:\d+):\d+: /gm)].map(([, place]) => place);
    expect(places).toEqual(
      expect.arrayContaining([
        'a.test.yaml:6',
        'a.test.yaml:7',
        'a.test.yaml:9',
        'a.test.yaml:10',
        'b.test.yaml:2',
        'c.test.yaml:2',
      ]),
    );
    expect(err).toContain('expect must be');
  });

  test('is to have no tests', async () => {
    for (const files of [
      MANIFESTS,
      { ...MANIFESTS, 'a.test.yaml': '' },
      { ...MANIFESTS, 'a.test.yaml': tests({}) },
    ]) {
      const dir = directory(files);
      expect(await runCli(['test', dir])).toEqual({
        code: 1,
        out: '',
        err: `seal-gateway: ${dir} holds no tests (GatewayTest, in files *.test.yaml)\n`,
      });
    }
  });

  test('of the manifests stops the tests: they would be of something else', async () => {
    const { code, err } = await run(
      { policy: [{ context: 'reader', tool: 'x', expect: 'deny' }] },
      { ...MANIFESTS, 'bad.yaml': 'kind: Nothing\n' },
    );
    expect(code).toBe(1);
    expect(err).toMatch(/^seal-gateway: DIR is not valid:\n {2}bad\.yaml:1:/);
  });

  test('is what cannot be read: nothing waits for it', async () => {
    const dir = directory(MANIFESTS);
    execFileSync('mkfifo', [join(dir, 'pipe.test.yaml')]);
    expect(await runCli(['test', dir])).toMatchObject({
      code: 1,
      err: expect.stringContaining('pipe.test.yaml cannot be read: this is no regular file'),
    });
    const other = directory(MANIFESTS);
    mkdirSync(join(other, 'dir.test.yaml'));
    expect((await runCli(['test', other])).err).toContain('dir.test.yaml cannot be read');
    expect((await runCli(['test', join(other, 'gone')])).err).toContain('gone cannot be read: ENOENT');
  });
});
