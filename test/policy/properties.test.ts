/** Laws of the decision, on random contexts and calls. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, explain, type PolicyCall, permitsName, type Usage } from '../../src/policy/evaluate.ts';
import { compileToolPattern, intersectPatterns } from '../../src/policy/match.ts';
import { compileContext, type WrittenCapability, type WrittenContext } from './written.ts';

const toolPattern = fc.constantFrom('*', 'fs.*', 'fs.read', '*.read', 'git', 'g*');
const paths = fc.constantFrom('/a', '/a/*', '/b/**', '/');
const words = fc.constantFrom('get', 'get*', '*', 'rollout status');
const hosts = fc.constantFrom('example.com', '*.example.com', '*');
const list = (item: fc.Arbitrary<string>): fc.Arbitrary<string[]> => fc.array(item, { maxLength: 2 });

/** Every constraint there is, each of which a capability may state. */
const constraints = {
  path_allowlist: list(paths),
  command_allowlist: list(words),
  subcommand_allowlist: list(words),
  domain_allowlist: list(hosts),
  arguments: fc.constantFrom(
    { type: 'object', required: ['path'] },
    { type: 'object', required: ['x'] },
    { type: 'object', maxProperties: 1 },
  ),
  rate_limit: fc.constant({ calls: 1, per_seconds: 1 }),
};

/** States two constraints at most: of a capability that states them all hardly a call would be allowed. */
const capability: fc.Arbitrary<WrittenCapability> = fc
  .record({
    tool_pattern: toolPattern,
    path_arguments: fc.constantFrom<string[]>(['path'], ['from', 'path']),
    stated: fc.subarray(Object.keys(constraints) as (keyof typeof constraints)[], { maxLength: 2 }),
    values: fc.record(constraints),
  })
  .map(({ stated, values, ...rest }) => ({
    ...rest,
    ...Object.fromEntries(stated.map((field) => [field, values[field]])),
  }));

const denyRule = fc.oneof(
  toolPattern,
  fc.tuple(toolPattern, fc.oneof(paths, words)).map((parts) => parts.join(':')),
);

const context: fc.Arbitrary<WrittenContext> = fc.record({
  deny_list: fc.array(denyRule, { maxLength: 1 }),
  capabilities: fc.array(capability, { minLength: 1, maxLength: 3 }),
});

const pathValue = fc.oneof(
  fc.constantFrom('/a', '/a/b', '/b/c', '/a/../b/c', '/..', 'a', '', '/b\\..\\a'),
  fc.constantFrom<unknown>(null, 1, ['/a', '/b/c'], {}),
);

const call: fc.Arbitrary<PolicyCall> = fc.record({
  tool: fc.constantFrom('fs.read', 'fs.write', 'git', 'db.read'),
  arguments: fc.record(
    {
      path: pathValue,
      from: pathValue,
      url: fc.constantFrom<unknown>('https://example.com', 'a.example.com', 'https://a@example.com', 3),
    },
    { requiredKeys: [] },
  ),
  command: fc.constantFrom(null, 'get', 'delete'),
  subcommand: fc.constantFrom(null, 'rollout status', 'get'),
  tool_patterns: fc.option(
    list(toolPattern).map((patterns) => patterns.map(compileToolPattern)),
    { freq: 1 },
  ),
});

const usage: fc.Arbitrary<Usage> = fc
  .subarray([0, 1, 2, 3])
  .map((used): Usage => ({ exhausted: ({ index }) => used.includes(index) }));

const RUNS = { numRuns: 3000 };

const allows = (written: WrittenContext, asked: PolicyCall, used: Usage): boolean =>
  evaluate(compileContext(written), asked, used).allow;

test('both answers are met in these contexts', () => {
  const answers = fc
    .sample(fc.tuple(context, call, usage), { numRuns: 2000, seed: 1 })
    .map(([written, asked, used]) => allows(written, asked, used));
  expect(answers.filter(Boolean).length).toBeGreaterThan(100);
  expect(answers.filter((allowed) => !allowed).length).toBeGreaterThan(100);
});

describe('never more is allowed', () => {
  test('by another deny rule', () => {
    fc.assert(
      fc.property(context, denyRule, fc.nat(1), call, usage, (written, rule, at, asked, used) => {
        const stricter = { ...written, deny_list: (written.deny_list ?? []).toSpliced(at, 0, rule) };
        expect(!allows(stricter, asked, used) || allows(written, asked, used)).toBe(true);
      }),
      RUNS,
    );
  });

  test('by another constraint', () => {
    const oneMore = fc.record(constraints);
    const field = fc.constantFrom(...(Object.keys(constraints) as (keyof typeof constraints)[]));
    fc.assert(
      fc.property(
        context,
        oneMore,
        field,
        fc.nat(2),
        call,
        usage,
        (written, values, key, at, asked, used) => {
          const stricter = {
            ...written,
            capabilities: written.capabilities!.map((one, i) =>
              i === at && !(key in one) ? { ...one, [key]: values[key] } : one,
            ),
          };
          expect(!allows(stricter, asked, used) || allows(written, asked, used)).toBe(true);
        },
      ),
      RUNS,
    );
  });

  test('by scopes', () => {
    fc.assert(
      fc.property(context, list(toolPattern), call, usage, (written, patterns, asked, used) => {
        const scopes = patterns.map(compileToolPattern);
        const narrowed = { ...asked, tool_patterns: intersectPatterns(asked.tool_patterns, scopes) };
        const wide = { ...asked, tool_patterns: null };
        expect(!allows(written, narrowed, used) || allows(written, asked, used)).toBe(true);
        expect(!allows(written, asked, used) || allows(written, wide, used)).toBe(true);
      }),
      RUNS,
    );
  });

  test('by a rate that is used up', () => {
    fc.assert(
      fc.property(context, call, usage, (written, asked, used) => {
        expect(!allows(written, asked, used) || allows(written, asked, { exhausted: () => false })).toBe(
          true,
        );
      }),
      RUNS,
    );
  });

  test('than what the names permit', () => {
    fc.assert(
      fc.property(context, call, usage, (written, asked, used) => {
        const listed = permitsName(compileContext(written), asked.tool, asked.tool_patterns);
        expect(!allows(written, asked, used) || listed).toBe(true);
      }),
      RUNS,
    );
  });
});

test('nothing is allowed but by a capability that names the tool', () => {
  fc.assert(
    fc.property(context, call, usage, (written, asked, used) => {
      const decision = evaluate(compileContext(written), asked, used);
      if (decision.allow) expect(decision.capability.tool(asked.tool)).toBe(true);
      else expect(decision.error).toMatch(/^POLICY_/);
    }),
    RUNS,
  );
});

test('explain decides as evaluate does', () => {
  fc.assert(
    fc.property(context, call, usage, (written, asked, used) => {
      const compiled = compileContext(written);
      expect(explain(compiled, asked, used).decision).toEqual(evaluate(compiled, asked, used));
    }),
    RUNS,
  );
});

test('any arguments at all get an answer', () => {
  const compiled = compileContext({
    deny_list: ['*:/secret', '*:rm*'],
    capabilities: [
      {
        tool_pattern: '*',
        path_allowlist: ['/a/**'],
        domain_allowlist: ['*'],
        path_arguments: ['path', 'a.b'],
      },
    ],
  });
  const wild = fc.dictionary(
    fc.constantFrom('path', 'url', 'a', '__proto__'),
    fc.oneof(
      fc.json().map((text) => JSON.parse(text)),
      fc.string(),
      fc.anything(),
    ),
  );
  fc.assert(
    fc.property(wild, fc.string(), fc.option(fc.string()), (args, tool, command) => {
      const asked = { tool, arguments: args, command, subcommand: null, tool_patterns: null };
      expect(typeof evaluate(compiled, asked).allow).toBe('boolean');
    }),
    RUNS,
  );
});
