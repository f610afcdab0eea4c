import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { serveUpstream } from '../execute/upstream.ts';
import { directory, type Files } from '../manifest/directory.ts';
import { apiSpec, OPENAPI, workflow } from '../manifest/texts.ts';
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
      'expected allow, got TOOL_NOT_FOUND: policy allows it, but there is no tool customer.fnid (did you mean customer.find?)',
    ],
    [
      { ...call, arguments: {}, expect: 'allow' },
      'expected allow, got INVALID_ARGUMENTS: policy allows it, but arguments: email is missing',
    ],
    [{ ...call, arguments: {}, expect: 'INVALID_ARGUMENTS' }, null],
    [{ ...call, expect: 'allow', rule: 'capabilities[0].tool_pattern' }, null],
    [{ ...call, tool: 'customer.delete', expect: 'deny', rule: 'deny_list[0]' }, null],
    [
      { ...call, tool: 'customer.delete', expect: 'deny', rule: 'deny_list[1]' },
      'expected deny by deny_list[1], got POLICY_TOOL_DENIED: deny_list[0] "*.delete" denies this call at rights.yaml:4',
    ],
    [
      { ...call, arguments: {}, expect: 'INVALID_ARGUMENTS', rule: 'args.flags' },
      'expected INVALID_ARGUMENTS by args.flags, got INVALID_ARGUMENTS: policy allows it, but arguments: email is missing',
    ],
    // What the tool refuses is not what the policy denies.
    [
      { ...call, arguments: {}, expect: 'deny' },
      'expected deny, got INVALID_ARGUMENTS: policy allows it, but arguments: email is missing',
    ],
  ])('%j', async (one, failure) => {
    expect(await failureOf('policy', one)).toBe(failure);
  });
});

describe('a case of a CLI tool', () => {
  const manifests: Files = {
    'cat.yaml': `apiVersion: seal.gateway/v1
kind: CliTool
metadata: {name: box}
spec:
  description: A tool.
  image: tools/box:1
  command: [box]
  allowed_subcommands: [cat, rollout, "rollout status"]
  args:
    flags:
      cat: {"--file": {type: path}, "--lines": {type: integer, pattern: "[1-9]"}, "--all": {type: boolean}}
    positionals: {pattern: "[a-z]{1,9}", max: 2}
    deny: [secret]
    max_count: 4
---
apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: reader}
spec:
  deny_list: ["box:rollout undo*"]
  capabilities:
    - {tool_pattern: box, subcommand_allowlist: [cat], path_allowlist: [/srv]}
    - {tool_pattern: box, subcommand_allowlist: [rollout, "rollout status", drop]}
`,
  };
  const failure = async (subcommand: string, args: string[], expected: object): Promise<string | null> => {
    const one = { name: 'it', context: 'reader', tool: 'box', arguments: { subcommand, args }, ...expected };
    const { code, lines, err } = await run({ policy: [one] }, manifests);
    expect(err).toBe('');
    return code === 0 ? null : lines[1]!.trim();
  };

  test.each<[string, string[], string, string]>([
    ['drop', [], 'INVALID_ARGUMENTS', 'allowed_subcommands'],
    ['cat', ['--exec=id'], 'INVALID_ARGUMENTS', 'args.flags'],
    ['cat', ['--fil=/srv/x'], 'INVALID_ARGUMENTS', 'args.flags'],
    ['cat', ['-a'], 'INVALID_ARGUMENTS', 'args.flags'],
    ['cat', ['--file=/srv/x', '--lines=0'], 'INVALID_ARGUMENTS', 'args.flags'],
    ['cat', ['--file=/srv/../etc/x'], 'INVALID_ARGUMENTS', 'path'],
    ['rollout', ['A'], 'INVALID_ARGUMENTS', 'args.positionals'],
    ['rollout', ['a', 'b', 'c'], 'INVALID_ARGUMENTS', 'args.positionals'],
    ['rollout', ['a', 'secret'], 'INVALID_ARGUMENTS', 'args.deny'],
    ['rollout', ['a', 'a', 'a', 'a', 'a'], 'INVALID_ARGUMENTS', 'args.max_count'],
    ['rollout', ['a\nb'], 'INVALID_ARGUMENTS', 'characters'],
    ['cat', ['--file=/etc/passwd'], 'POLICY_PATH_NOT_ALLOWED', 'capabilities[0].path_allowlist'],
    ['rollout', ['undo', 'web'], 'POLICY_TOOL_DENIED', 'deny_list[0]'],
    ['cat', ['--file', '/srv/x', '--all'], 'allow', 'capabilities[0].tool_pattern'],
    ['rollout status', ['web'], 'allow', 'capabilities[1].tool_pattern'],
  ])('%s %j -> %s by %s', async (subcommand, args, expect_, rule) => {
    expect(await failure(subcommand, args, { expect: expect_ })).toBeNull();
    expect(await failure(subcommand, args, { expect: expect_, rule })).toBeNull();
    expect(await failure(subcommand, args, { expect: expect_, rule: `${rule}x` })).toMatch(
      `expected ${expect_} by ${rule}x, got ${expect_}: `,
    );
    const other = expect_ === 'allow' ? 'INVALID_ARGUMENTS' : 'allow';
    expect(await failure(subcommand, args, { expect: other })).toMatch(`expected ${other}, got ${expect_}: `);
  });

  test('tells the rule that refused', async () => {
    expect(await failure('rollout', ['web', '--force'], { expect: 'allow' })).toBe(
      'expected allow, got INVALID_ARGUMENTS: policy allows it, but args/1: this flag is not declared; rollout has no flags (args.flags)',
    );
    // No path can be read from them, and the context wants one; what is to be mended is the words.
    expect(await failure('cat', ['--file=/srv/x', '--lines=0'], { expect: 'allow' })).toBe(
      'expected allow, got INVALID_ARGUMENTS: args/1: the value of --lines does not match [1-9] (args.flags)',
    );
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

test('a workflow whose document is behind a URL is tested with --fetch alone', async () => {
  const { url, requests } = await serveUpstream((_, response) => response.end(OPENAPI));
  const source = `source: {url: "${url}", sha256: ${hash('sha256', OPENAPI, 'hex')}}`;
  const dir = directory({
    'api.yaml': apiSpec().replace(/source: \{.*?\}/, source),
    'find.yaml': workflow('find'),
    'a.test.yaml': tests({
      workflows: [{ tool: 'find', arguments: { id: '1' }, replies: { get: [{ body: 1 }] }, output: 1 }],
    }),
  });
  const offline = await runCli(['test', dir]);
  expect(offline).toMatchObject({ code: 1, err: '' });
  expect(offline.out).toContain('the document of ApiSpec crm is not fetched here; add --fetch');
  expect(requests).toHaveLength(0);
  expect(await runCli(['test', dir, '--fetch'])).toMatchObject({ code: 0, err: '' });
});
