import { expect, test } from 'vitest';
import { permitsCommand, permitsSubcommand } from '../../src/policy/evaluate.ts';
import { compileContext, type WrittenContext } from './written.ts';

const permits = (context: WrittenContext, subcommand = 'get', tool = 'kubectl'): boolean =>
  permitsSubcommand(compileContext(context), tool, subcommand);

test.each<[string, boolean, WrittenContext]>([
  ['a capability that names the tool allows it', true, { capabilities: [{ tool_pattern: 'kube*' }] }],
  ['one of another tool does not', false, { capabilities: [{ tool_pattern: 'git' }] }],
  ['one that lists it does', true, { capabilities: [{ tool_pattern: '*', subcommand_allowlist: ['g*'] }] }],
  [
    'one that lists others does not',
    false,
    { capabilities: [{ tool_pattern: '*', subcommand_allowlist: ['top'] }] },
  ],
  [
    'any of several is enough',
    true,
    { capabilities: [{ tool_pattern: '*', subcommand_allowlist: [] }, { tool_pattern: '*' }] },
  ],
  [
    'a command list is of tools',
    false,
    { capabilities: [{ tool_pattern: '*', command_allowlist: ['get'] }] },
  ],
  ['and may list this one', true, { capabilities: [{ tool_pattern: '*', command_allowlist: ['kubectl'] }] }],
  [
    'what else a capability asks for may be given',
    true,
    {
      capabilities: [
        {
          tool_pattern: '*',
          path_allowlist: [],
          domain_allowlist: ['*'],
          arguments: { type: 'object', required: ['x'] },
        },
      ],
    },
  ],
  ['a deny of the tool denies all', false, { deny_list: ['kube*'], capabilities: [{ tool_pattern: '*' }] }],
  [
    'a deny of the subcommand denies it',
    false,
    { deny_list: ['kubectl:get'], capabilities: [{ tool_pattern: '*' }] },
  ],
  [
    'a deny of another one does not',
    true,
    { deny_list: ['kubectl:delete', '*:/secret'], capabilities: [{ tool_pattern: '*' }] },
  ],
])('%s', (_, expected, context) => {
  expect(permits(context)).toBe(expected);
});

test('a deny of the first word denies what follows it', () => {
  const context = { deny_list: ['kubectl:rollout'], capabilities: [{ tool_pattern: '*' }] };
  expect(permits(context, 'rollout status')).toBe(false);
  expect(permits(context, 'roll')).toBe(true);
});

test.each<[string, boolean, WrittenContext]>([
  [
    'a capability that names the tool allows every command',
    true,
    { capabilities: [{ tool_pattern: 'api.*' }] },
  ],
  ['one of other tools does not', false, { capabilities: [{ tool_pattern: 'crm.*' }] }],
  [
    'one that lists it does',
    true,
    { capabilities: [{ tool_pattern: '*', command_allowlist: ['crm:list*'] }] },
  ],
  [
    'one that lists others does not',
    false,
    { capabilities: [{ tool_pattern: '*', command_allowlist: ['crm:get*', 'hr:*'] }] },
  ],
  [
    'it has no subcommand that could be listed',
    false,
    { capabilities: [{ tool_pattern: '*', subcommand_allowlist: ['*'] }] },
  ],
  [
    'a deny rule of its value denies it',
    false,
    { deny_list: ['api.explore:crm:list*'], capabilities: [{ tool_pattern: '*' }] },
  ],
  [
    'one of another value does not',
    true,
    { deny_list: ['api.explore:crm:delete*', 'api.explore:hr:*'], capabilities: [{ tool_pattern: '*' }] },
  ],
])('of a command: %s', (_, allowed, context) => {
  expect(permitsCommand(compileContext(context), 'api.explore', 'crm:listInvoices')).toBe(allowed);
});
