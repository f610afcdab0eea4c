import { describe, expect, test } from 'vitest';
import { type Denial, evaluate, explain, type PolicyCall } from '../../src/policy/evaluate.ts';
import type { SecurityContext } from '../../src/snapshot/snapshot.ts';
import { compileContext } from './written.ts';

function call(tool: string, args: Record<string, unknown> = {}): PolicyCall {
  return { tool, arguments: args, command: null, subcommand: null, tool_patterns: null };
}

function boom(): never {
  throw new Error('boom');
}

/** A context with one part replaced, as no manifest could write it. */
function altered(context: SecurityContext, capability: object, deny: object = {}): SecurityContext {
  return {
    ...context,
    deny: context.deny.map((rule) => ({ ...rule, ...deny })),
    capabilities: context.capabilities.map((one) => ({ ...one, ...capability })),
  };
}

describe('a denial', () => {
  const context = compileContext({
    deny_list: ['fs.*:*.pem'],
    capabilities: [
      { tool_pattern: 'fs.*', path_allowlist: ['/workspace'], rate_limit: { calls: 1, per_seconds: 60 } },
      { tool_pattern: 'web.*', domain_allowlist: ['example.com'], url_arguments: ['target'] },
    ],
  });

  test('names the rule and the argument', () => {
    expect(evaluate(context, call('fs.read', { path: '/etc' }))).toMatchObject({
      reason: 'capabilities[0].path_allowlist: a path argument (path) is not listed',
    });
    expect(evaluate(context, call('web.get'))).toMatchObject({
      reason: 'capabilities[1].domain_allowlist: the URL argument (target) is absent',
    });
    expect(evaluate(context, call('fs.read', { path: 'a.pem' }))).toMatchObject({
      reason: 'deny_list[0] "fs.*:*.pem" denies this call',
    });
  });

  test('never holds an argument', () => {
    const secrets = [
      { path: '/s3cret' },
      { path: '/../s3cret' },
      { path: { s3cret: 1 } },
      { path: 's3cret.pem' },
    ];
    for (const args of secrets) {
      const told = explain(context, call('fs.read', args));
      expect((told.decision as Denial).reason + JSON.stringify(told.tried)).not.toContain('s3cret');
    }
    expect(JSON.stringify(evaluate(context, call('web.get', { target: 's3cret.example' })))).not.toContain(
      's3cret',
    );
  });

  test('carries the capability that failed, and none where none did', () => {
    const args = { path: '/workspace/a' };
    expect(evaluate(context, call('fs.read', args), { exhausted: () => true })).toMatchObject({
      error: 'POLICY_RATE_LIMIT_EXCEEDED',
      capability: context.capabilities[0],
    });
    expect(evaluate(context, call('git.log'))).toMatchObject({ capability: null });
  });
});

describe('the rate', () => {
  test('is asked for only where all else passes', () => {
    const context = compileContext({
      capabilities: [
        { tool_pattern: 'a', path_allowlist: ['/a'], rate_limit: { calls: 1, per_seconds: 1 } },
        { tool_pattern: 'b', rate_limit: { calls: 1, per_seconds: 1 } },
        { tool_pattern: 'a', rate_limit: { calls: 1, per_seconds: 1 } },
        { tool_pattern: 'a' },
      ],
    });
    const asked: number[] = [];
    const usage = { exhausted: ({ index }: { index: number }) => asked.push(index) > 0 };
    expect(evaluate(context, call('a', { path: '/b' }), usage)).toMatchObject({ allow: true });
    expect(asked).toEqual([2]);
  });
});

describe('what throws never allows', () => {
  const plain = compileContext({ capabilities: [{ tool_pattern: '*' }] });
  const denying = compileContext({ deny_list: ['other:value'], capabilities: [{ tool_pattern: '*' }] });

  test.each([
    ['a scope', plain, { tool_patterns: [boom] }, 'POLICY_TOOL_NOT_ALLOWED'],
    ['a tool pattern', altered(plain, { tool: boom }), {}, 'POLICY_TOOL_NOT_ALLOWED'],
    ['a deny pattern', altered(denying, {}, { tool: boom, value: null }), {}, 'POLICY_TOOL_DENIED'],
    ['a deny value', altered(denying, {}, { tool: () => true, value: boom }), {}, 'POLICY_TOOL_DENIED'],
    ['a path entry', altered(plain, { path_allowlist: [boom] }), {}, 'POLICY_PATH_NOT_ALLOWED'],
    ['a command entry', altered(plain, { command_allowlist: [boom] }), {}, 'POLICY_COMMAND_NOT_ALLOWED'],
    ['a schema', altered(plain, { arguments: boom }), {}, 'POLICY_NO_MATCHING_CAPABILITY'],
  ])('%s', (_, context, part, error) => {
    const full = { ...call('t', { path: '/a' }), command: 'c', ...part };
    expect(evaluate(context, full)).toMatchObject({ allow: false, error });
  });

  test('a counter', () => {
    const context = altered(plain, { rate_limit: { calls: 1, per_seconds: 1 } });
    expect(evaluate(context, call('t'), { exhausted: boom })).toMatchObject({
      error: 'POLICY_RATE_LIMIT_EXCEEDED',
      reason: 'capabilities[0].rate_limit: the rule could not be evaluated',
    });
  });
});

describe('inherited properties', () => {
  test('are no arguments', () => {
    const names = ['__proto__', 'constructor.name', 'toString', 'a.__proto__'];
    const context = compileContext({
      capabilities: [{ tool_pattern: '*', path_allowlist: ['**'], path_arguments: names }],
    });
    expect(evaluate(context, call('t', { a: {} }))).toMatchObject({
      reason: `capabilities[0].path_allowlist: the path argument (${names.join(', ')}) is absent`,
    });
  });

  test('an own __proto__ key, as JSON.parse makes it, is one', () => {
    const context = compileContext({
      capabilities: [{ tool_pattern: '*', path_allowlist: ['/a'], path_arguments: ['__proto__'] }],
    });
    expect(evaluate(context, call('t', JSON.parse('{"__proto__": "/a"}')))).toMatchObject({ allow: true });
  });
});

test('explain lists every rule that was tried, in order', () => {
  const context = compileContext({
    deny_list: ['*.delete', 'fs.*:/etc'],
    capabilities: [
      { tool_pattern: 'git.*' },
      { tool_pattern: 'fs.*', path_allowlist: ['/workspace'] },
      { tool_pattern: 'fs.read', path_allowlist: ['/public'], rate_limit: { calls: 1, per_seconds: 60 } },
      { tool_pattern: '*' },
    ],
  });
  const asked = { ...call('fs.read', { path: '/public/a' }), tool_patterns: [() => true] };
  const { decision, tried } = explain(context, asked);
  expect(decision).toEqual({ allow: true, capability: context.capabilities[2] });
  expect(tried.map(({ rule, outcome, detail }) => `${rule} ${outcome} ${detail}`.trim())).toEqual([
    'tool_patterns passed the scopes of the token or session include this tool',
    'deny_list[0] not_matched "*.delete"',
    'deny_list[1] not_matched "fs.*:/etc"',
    'capabilities[0].tool_pattern not_matched "git.*"',
    'capabilities[1].tool_pattern matched "fs.*"',
    'capabilities[1].path_allowlist failed a path argument (path) is not listed',
    'capabilities[2].tool_pattern matched "fs.read"',
    'capabilities[2].path_allowlist passed',
    'capabilities[2].rate_limit passed',
  ]);
});
