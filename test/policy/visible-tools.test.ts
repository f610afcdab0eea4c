import { expect, test } from 'vitest';
import { compileToolPattern } from '../../src/policy/match.ts';
import { allowedTools } from '../../src/policy/visible-tools.ts';
import { type Snapshot, scoped, type Tool } from '../../src/snapshot/snapshot.ts';
import { cliTool } from '../support/cli-tool.ts';
import { compileContext, type WrittenContext } from './written.ts';

function tool(name: string, tenant: string | null = null): Tool {
  return cliTool({ name, tenant });
}

const tools: Tool[] = [
  tool('fs.write'),
  tool('fs.read'),
  tool('fs.Zip'),
  tool('git'),
  tool('acme.report', 'acme'),
  tool('globex.report', 'globex'),
  { kind: 'unavailable', name: 'fs.broken', tenant: null, reason: 'invalid' },
  tool('shared'),
  { kind: 'unavailable', name: 'shared', tenant: 'acme', reason: 'invalid' },
];

const snapshot: Snapshot = {
  revision: 'r',
  generation: 1,
  issuers: new Map(),
  tenants: new Map(),
  contexts: new Map(),
  tools: new Map(tools.map((one) => [scoped(one.tenant, one.name), one])),
};

function names(
  written: WrittenContext,
  tenant: string | null = null,
  scopes: string[] | null = null,
): string[] {
  const context = compileContext(written);
  const patterns = scopes?.map(compileToolPattern) ?? null;
  return allowedTools(snapshot, tenant === null ? null : { name: tenant }, context, patterns).map(
    (one) => one.name,
  );
}

const ALL = { capabilities: [{ tool_pattern: '*' }] };

test('global tools, by name', () => {
  expect(names(ALL)).toEqual(['fs.Zip', 'fs.read', 'fs.write', 'git', 'shared']);
});

test("a tenant's own and global ones; its unavailable tool hides the global one", () => {
  expect(names(ALL, 'acme')).toEqual(['acme.report', 'fs.Zip', 'fs.read', 'fs.write', 'git']);
});

test('what a capability names', () => {
  expect(names({ capabilities: [{ tool_pattern: 'fs.*' }, { tool_pattern: 'git' }] })).toEqual([
    'fs.Zip',
    'fs.read',
    'fs.write',
    'git',
  ]);
  expect(names({})).toEqual([]);
});

test('what scopes include', () => {
  expect(names(ALL, null, ['fs.r*', 'git'])).toEqual(['fs.read', 'git']);
  expect(names(ALL, null, [])).toEqual([]);
});

test('not what a deny rule names, but what it denies only with some values', () => {
  expect(names({ ...ALL, deny_list: ['*.write', 'git:push*'] })).toEqual([
    'fs.Zip',
    'fs.read',
    'git',
    'shared',
  ]);
});

test('a tool whose constraints can only be judged in a call', () => {
  expect(names({ capabilities: [{ tool_pattern: 'fs.read', path_allowlist: [] }] })).toEqual(['fs.read']);
});
