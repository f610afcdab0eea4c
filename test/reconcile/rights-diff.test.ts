import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SpecOf } from '../../src/manifest/manifest.ts';
import { evaluate, type PolicyCall, type Usage } from '../../src/policy/evaluate.ts';
import { compileContext } from '../../src/reconcile/compile-context.ts';
import { createProblems } from '../../src/reconcile/problems.ts';
import { type ContextSide, diffRights, type SeenTool } from '../../src/reconcile/rights-diff.ts';

type Spec = SpecOf<'SecurityContext'>;
type WrittenCapability = Spec['capabilities'][number];

const TOOLS: readonly SeenTool[] = [
  { name: 'fs.read', subcommands: null },
  { name: 'fs.delete', subcommands: null },
  { name: 'kubectl', subcommands: ['get', 'rollout status', 'delete'] },
];

function side(spec: Spec | null, tools = TOOLS, apis: ContextSide['apis'] = []): ContextSide | null {
  if (spec === null) return null;
  const problems = createProblems();
  const manifest = { spec, name: 'c', tenant: null } as Parameters<typeof compileContext>[0];
  const context = compileContext(manifest, problems);
  expect(problems.findings).toEqual([]);
  return { manifest: { spec }, context, tools, apis };
}

function diff(before: Spec | null, after: Spec | null, ...tools: [SeenTool[]?, SeenTool[]?]): string[] {
  const changes = diffRights(side(before, tools[0]), side(after, tools[1] ?? tools[0]));
  return changes.map(({ direction, what, detail }) => `${direction} ${what}: ${detail}`);
}

describe('a tool that is not what it was', () => {
  const tool = (name: string, ...parts: [string, string][]): SeenTool => ({
    ...{ name, subcommands: null, definition: new Map(parts) },
  });
  const context: Spec = { capabilities: [{ tool_pattern: 'crm.*' }] };

  test('is a widening of each context that may call it, with what has changed', () => {
    const old = [tool('crm.find', ['ToolWorkflow crm.find', '1'], ['ApiSpec crm', '1'])];
    const now = [tool('crm.find', ['ToolWorkflow crm.find', '2'], ['ApiSpec crm', '1'])];
    expect(diff(context, context, old, now)).toEqual([
      'widened crm.find: may do something else, or take other arguments: ToolWorkflow crm.find changed',
    ]);
    expect(
      diff(context, context, old, [tool('crm.find', ['ToolWorkflow crm.find', '1'], ['ApiSpec new', '1'])]),
    ).toEqual([
      'widened crm.find: may do something else, or take other arguments: ApiSpec crm, ApiSpec new changed',
    ]);
    expect(diff(context, context, old, old)).toEqual([]);
    expect(
      diff(
        { capabilities: [{ tool_pattern: 'a.*' }] },
        { capabilities: [{ tool_pattern: 'a.*' }] },
        old,
        now,
      ),
    ).toEqual([]);
  });
});

describe('what may be explored', () => {
  const explorer = (more: Omit<WrittenCapability, 'tool_pattern'> = {}, deny_list: string[] = []): Spec => ({
    deny_list,
    capabilities: [{ tool_pattern: 'api.*', ...more }],
  });
  const crm = (operations: string[], tenant: string | null = null) => ({ name: 'crm', tenant, operations });
  const explored = (before: ContextSide | null, after: ContextSide | null): string[] =>
    diffRights(before, after)
      .filter(({ what }) => what.startsWith('api.explore'))
      .map(({ direction, what, detail }) => `${direction} ${what}: ${detail}`);

  test('by a change of the API: its document, its `explorer`, its coming and going', () => {
    const context = explorer();
    const [old, now] = [side(context, [], [crm(['a', 'b'])]), side(context, [], [crm(['b', 'c', 'd'])])];
    expect(explored(old, now)).toEqual([
      'widened api.explore crm: c, d may be explored',
      'narrowed api.explore crm: a may no longer be explored',
    ]);
    expect(explored(now, now)).toEqual([]);
    expect(explored(side(context, [], []), old)).toEqual(['widened api.explore crm: a, b may be explored']);
    expect(explored(old, null)).toEqual(['narrowed api.explore crm: a, b may no longer be explored']);
  });

  test('by a change of the context', () => {
    const apis = [crm(['listA', 'getB', 'getC'])];
    const all = side(explorer(), [], apis);
    expect(explored(all, side(explorer({ command_allowlist: ['crm:get*'] }), [], apis))).toEqual([
      'narrowed api.explore crm: listA may no longer be explored',
    ]);
    expect(explored(side(explorer({}, ['api.explore:crm:get*']), [], apis), all)).toEqual([
      'widened api.explore crm: getB, getC may be explored',
    ]);
    // The explorer has no subcommands, so such a capability allows none of it.
    expect(explored(all, side(explorer({ subcommand_allowlist: ['x'] }), [], apis))).toEqual([
      'narrowed api.explore crm: listA, getB, getC may no longer be explored',
    ]);
    expect(explored(all, side({ capabilities: [{ tool_pattern: 'fs.*' }] }, [], apis))).toHaveLength(1);
  });

  test("a tenant's API is told apart from the global one, and a long list is cut", () => {
    const many = Array.from({ length: 12 }, (_, i) => `op${i}`);
    const [old, now] = [
      side(explorer(), [], [crm(many)]),
      side(explorer(), [], [crm(many), crm(many, 'acme')]),
    ];
    expect(explored(old, now)).toEqual([
      `widened api.explore crm of tenant acme: ${many.slice(0, 10).join(', ')} and 2 more may be explored`,
    ]);
  });
});

/** A context with one capability of `fs.*`. */
const withOne = (more: Omit<WrittenCapability, 'tool_pattern'>): Spec => ({
  capabilities: [{ tool_pattern: 'fs.*', ...more }],
});

describe('one rule', () => {
  test.each<
    [string, Omit<WrittenCapability, 'tool_pattern'>, Omit<WrittenCapability, 'tool_pattern'>, string[]]
  >([
    ['nothing changed', { path_allowlist: ['/a'] }, { path_allowlist: ['/a'] }, []],
    ['another order', { path_allowlist: ['/a', '/b'] }, { path_allowlist: ['/b', '/a'] }, []],
    [
      'a list entry more',
      { path_allowlist: ['/a'] },
      { path_allowlist: ['/a', '/b'] },
      ['widened fs.* path_allowlist: gains /b'],
    ],
    [
      'a list entry less',
      { domain_allowlist: ['a.b', 'c.d'] },
      { domain_allowlist: ['a.b'] },
      ['narrowed fs.* domain_allowlist: loses c.d'],
    ],
    [
      'another list entry',
      { command_allowlist: ['a'] },
      { command_allowlist: ['b'] },
      ['widened fs.* command_allowlist: gains b', 'narrowed fs.* command_allowlist: loses a'],
    ],
    [
      'a list removed',
      { path_allowlist: ['/a'] },
      {},
      ['widened fs.* path_allowlist: removed: no longer constrains (was /a)'],
    ],
    [
      'an empty list removed',
      { path_allowlist: [] },
      {},
      ['widened fs.* path_allowlist: removed: no longer constrains (was nothing)'],
    ],
    [
      'a list added',
      {},
      { subcommand_allowlist: ['get'] },
      ['narrowed fs.* subcommand_allowlist: added: get'],
    ],
    ['an empty list added', {}, { path_allowlist: [] }, ['narrowed fs.* path_allowlist: added: nothing']],
    [
      'a higher rate',
      { rate_limit: { calls: 10, per_seconds: 60 } },
      { rate_limit: { calls: 20, per_seconds: 60 } },
      ['widened fs.* rate_limit: 10 calls in 60 s -> 20 calls in 60 s'],
    ],
    [
      'a lower rate',
      { rate_limit: { calls: 10, per_seconds: 60 } },
      { rate_limit: { calls: 9, per_seconds: 60 } },
      ['narrowed fs.* rate_limit: 10 calls in 60 s -> 9 calls in 60 s'],
    ],
    [
      'the same rate with more at once',
      { rate_limit: { calls: 10, per_seconds: 1 } },
      { rate_limit: { calls: 600, per_seconds: 60 } },
      ['widened fs.* rate_limit: 10 calls in 1 s -> 600 calls in 60 s'],
    ],
    [
      'the same rate with fewer at once',
      { rate_limit: { calls: 600, per_seconds: 60 } },
      { rate_limit: { calls: 10, per_seconds: 1 } },
      ['narrowed fs.* rate_limit: 600 calls in 60 s -> 10 calls in 1 s'],
    ],
    [
      'no rate',
      { rate_limit: { calls: 10, per_seconds: 1 } },
      {},
      ['widened fs.* rate_limit: 10 calls in 1 s -> no limit'],
    ],
    [
      'a rate',
      {},
      { rate_limit: { calls: 10, per_seconds: 1 } },
      ['narrowed fs.* rate_limit: no limit -> 10 calls in 1 s'],
    ],
    [
      'a larger response',
      { max_response_size: 10 },
      { max_response_size: 11 },
      ['widened fs.* max_response_size: 10 -> 11'],
    ],
    [
      'a smaller response',
      { max_response_size: 10 },
      { max_response_size: 9 },
      ['narrowed fs.* max_response_size: 10 -> 9'],
    ],
    ['any response', { max_response_size: 10 }, {}, ['widened fs.* max_response_size: 10 -> no limit']],
    [
      'the token of the user',
      {},
      { allow_human_delegated: true },
      ['widened fs.* allow_human_delegated: allowed'],
    ],
    [
      'what is the default',
      {},
      { allow_human_delegated: false, path_arguments: ['path'], url_arguments: ['url'] },
      [],
    ],
    [
      'other path arguments',
      {},
      { path_arguments: ['file'] },
      ['widened fs.* path_arguments: path -> file: look at it closely'],
    ],
    ['a schema', {}, { arguments: { type: 'object' } }, ['narrowed fs.* arguments: added']],
    [
      'another schema',
      { arguments: { type: 'object', maxProperties: 1 } },
      { arguments: { type: 'object', maxProperties: 0 } },
      ['widened fs.* arguments: changed: look at it closely'],
    ],
    [
      'the same schema',
      { arguments: { type: 'object', maxProperties: 1 } },
      { arguments: { maxProperties: 1, type: 'object' } },
      [],
    ],
    [
      'no schema',
      { arguments: { type: 'object' } },
      {},
      ['widened fs.* arguments: removed: no longer constrains'],
    ],
  ])('%s', (_, before, after, changes) => {
    expect(diff(withOne(before), withOne(after))).toEqual(changes);
  });
});

describe('tools', () => {
  const wide: Spec = { capabilities: [{ tool_pattern: 'fs.*' }, { tool_pattern: 'kubectl' }] };

  test('a new one that a wide pattern matches may be called', () => {
    const more = [...TOOLS, { name: 'fs.format', subcommands: null }];
    expect(diff(wide, wide, [...TOOLS], more)).toEqual(['widened fs.format: may be called']);
    expect(diff(wide, wide, more, [...TOOLS])).toEqual(['narrowed fs.format: may no longer be called']);
  });

  test('a subcommand more of a CLI tool may be called where nothing lists them', () => {
    const kubectl = (subcommands: string[]): SeenTool[] => [{ name: 'kubectl', subcommands }];
    const more = ['get', 'exec'];
    expect(diff(wide, wide, kubectl(['get']), kubectl(more))).toEqual([
      'widened kubectl exec: may be called',
    ]);
    const listed: Spec = { capabilities: [{ tool_pattern: 'kubectl', subcommand_allowlist: ['get'] }] };
    expect(diff(listed, listed, kubectl(['get']), kubectl(more))).toEqual([]);
    const denied: Spec = { ...wide, deny_list: ['kubectl:exec'] };
    expect(diff(denied, denied, kubectl(['get']), kubectl(more))).toEqual([]);
    expect(diff(denied, wide, kubectl(more))).toEqual([
      'widened kubectl exec: may be called',
      'widened deny_list: no longer denies kubectl:exec',
    ]);
  });

  test('a deny entry more or less', () => {
    const denied: Spec = { ...wide, deny_list: ['*.delete'] };
    expect(diff(denied, wide)).toEqual([
      'widened fs.delete: may be called',
      'widened deny_list: no longer denies *.delete',
    ]);
    expect(diff(wide, denied)).toEqual([
      'narrowed fs.delete: may no longer be called',
      'narrowed deny_list: denies *.delete',
    ]);
  });

  test('a context that comes, and one that goes', () => {
    const one: Spec = { deny_list: ['*.delete'], capabilities: [{ tool_pattern: 'fs.*' }] };
    expect(diff(null, one)).toEqual([
      'widened fs.read: may be called',
      'widened fs.*: capability added: without constraints',
    ]);
    expect(diff(one, null)).toEqual([
      'narrowed fs.read: may no longer be called',
      'narrowed fs.*: capability removed: without constraints',
    ]);
    expect(diff(null, null)).toEqual([]);
  });
});

describe('several capabilities of one pattern', () => {
  const a: WrittenCapability = { tool_pattern: 'fs.*', path_allowlist: ['/a'] };
  const b: WrittenCapability = { tool_pattern: 'fs.*', path_allowlist: ['/b'] };

  test('of which one changed are compared by that one', () => {
    const changed = { ...b, path_allowlist: ['/b', '/c'] };
    expect(diff({ capabilities: [a, b] }, { capabilities: [changed, a] })).toEqual([
      'widened fs.* path_allowlist: gains /c',
    ]);
  });

  test('are compared as wholes when more changed', () => {
    const other = { tool_pattern: 'fs.*', max_response_size: 1 };
    expect(diff({ capabilities: [a] }, { capabilities: [b, other] })).toEqual([
      'widened fs.*: capability added: {"path_allowlist":["/b"]}',
      'widened fs.*: capability added: {"max_response_size":1}',
      'narrowed fs.*: capability removed: {"path_allowlist":["/a"]}',
    ]);
    expect(diff({ capabilities: [a, b] }, { capabilities: [b, a] })).toEqual([]);
  });

  test('the same once more has a rate of its own', () => {
    const limited = { tool_pattern: 'fs.*', rate_limit: { calls: 1, per_seconds: 1 } };
    expect(diff({ capabilities: [limited] }, { capabilities: [limited, limited] })).toEqual([
      'widened fs.*: capability added: {"rate_limit":{"calls":1,"per_seconds":1}}',
    ]);
  });
});

test('a capability that goes takes the arguments with it that the deny list is held against', () => {
  const named: WrittenCapability = {
    tool_pattern: 'fs.*',
    path_arguments: ['file'],
    path_allowlist: ['/tmp'],
  };
  const plain: WrittenCapability = { tool_pattern: '*' };
  const before: Spec = { deny_list: ['*:/secret'], capabilities: [named, plain] };
  const after: Spec = { deny_list: ['*:/secret'], capabilities: [plain] };
  expect(diff(before, after)).toEqual([
    'narrowed fs.*: capability removed: {"path_allowlist":["/tmp"],"path_arguments":["file"]}',
    'widened fs.*: deny_list no longer sees the argument file',
  ]);
  // Nothing is held against it.
  expect(diff({ ...before, deny_list: ['x'] }, { ...after, deny_list: ['x'] })).toHaveLength(1);
});

test('without a widening no call is allowed that was denied', () => {
  const some = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.uniqueArray(values, { maxLength: 2 });
  const path = fc.constantFrom('/a', '/a/b', '/a/*', '**/b', '/c');
  const field = <K extends keyof WrittenCapability>(
    name: K,
    values: fc.Arbitrary<NonNullable<WrittenCapability[K]>>,
  ) => fc.tuple(fc.constant(name), values);
  const fields = fc.oneof(
    field('path_allowlist', some(path)),
    field('command_allowlist', some(fc.constantFrom('kubectl', 'git', '*'))),
    field('subcommand_allowlist', some(fc.constantFrom('get', 'rollout', 'r*'))),
    field('domain_allowlist', some(fc.constantFrom('a.com', '*.a.com', '*'))),
    field('arguments', fc.constantFrom({ type: 'object', required: ['path'] }, { maxProperties: 1 })),
    field('rate_limit', fc.constantFrom({ calls: 1, per_seconds: 1 }, { calls: 2, per_seconds: 2 })),
    field('path_arguments', fc.constantFrom(['path'], ['file'], ['path', 'file'])),
    field('url_arguments', fc.constantFrom(['url'], ['host'])),
  );
  // Few constraints each, or nearly every call is denied by both.
  const capability: fc.Arbitrary<WrittenCapability> = fc
    .tuple(
      fc.constantFrom('*', 'fs.*', 'fs.read', 'kubectl'),
      fc.uniqueArray(fields, { maxLength: 2, selector: ([name]) => name }),
    )
    .map(([tool_pattern, more]) => ({ tool_pattern, ...Object.fromEntries(more) }));
  const deny = fc.constantFrom('fs.read', '*.delete', 'kubectl:rollout', '*:/a/b', 'fs.*:/c', '*:git');
  const context: fc.Arbitrary<Spec> = fc.record({
    deny_list: fc.array(deny, { maxLength: 2 }),
    capabilities: fc.array(capability, { maxLength: 3 }),
  });
  /** Small edits of a context, since two that have nothing in common always widen. */
  const edited = context.chain((before) =>
    fc
      .record({
        drop: fc.nat(3),
        dropDeny: fc.option(fc.nat(2)),
        addDeny: fc.option(deny),
        edit: fc.option(capability),
        again: fc.boolean(),
      })
      .map(({ drop, dropDeny, addDeny, edit, again }): [Spec, Spec] => {
        const denies = (before.deny_list ?? []).filter((_, i) => i !== dropDeny);
        const capabilities = before.capabilities
          .filter((_, i) => i !== drop)
          .map((one, i) =>
            edit !== null && i === 0 ? { ...one, ...edit, tool_pattern: one.tool_pattern } : one,
          );
        return [
          before,
          {
            deny_list: addDeny === null ? denies : [...denies, addDeny],
            capabilities: again ? capabilities.toReversed() : capabilities,
          },
        ];
      }),
  );
  const call: fc.Arbitrary<PolicyCall> = fc.record({
    tool: fc.constantFrom('fs.read', 'fs.delete', 'kubectl', 'other'),
    arguments: fc.record(
      {
        path: fc.constantFrom('/a', '/a/b', '/c', '/x/b'),
        file: fc.constantFrom('/a/b', '/c'),
        url: fc.constantFrom('https://a.com', 'https://b.a.com/x', 'https://b.org'),
        host: fc.constantFrom('a.com', 'b.org'),
      },
      { requiredKeys: [] },
    ),
    command: fc.option(fc.constantFrom('kubectl', 'git')),
    subcommand: fc.option(fc.constantFrom('get', 'rollout', 'rollout status')),
    tool_patterns: fc.constant(null),
  });
  /** Limits of one call a second are used up. */
  const usage: Usage = { exhausted: ({ rate_limit }) => rate_limit?.calls === 1 };
  let compared = 0;
  fc.assert(
    fc.property(
      fc.oneof(edited, fc.tuple(context, context)),
      fc.array(call, { minLength: 20, maxLength: 20 }),
      ([before, after], calls) => {
        const [old, now] = [side(before)!, side(after)!];
        if (diffRights(old, now).some(({ direction }) => direction === 'widened')) return;
        for (const one of calls) {
          compared += 1;
          if (evaluate(now.context, one, usage).allow)
            expect(evaluate(old.context, one, usage).allow, JSON.stringify(one)).toBe(true);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(compared).toBeGreaterThan(500);
});
