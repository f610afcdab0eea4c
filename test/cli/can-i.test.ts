import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directory, type Files } from '../manifest/directory.ts';
import { runCli } from './run.ts';

const GOLDEN = new URL('../golden/can-i/', import.meta.url).pathname;
const DIR = join(GOLDEN, 'manifests');

const onCall = (tool: string, ...more: string[]): string[] => [
  '--context',
  'on-call',
  '--tool',
  tool,
  ...more,
];
const onDuty = (...more: string[]): string[] => [
  ...['--context', 'on-duty', '--tenant', 'acme', '--tool', 'kubectl'],
  ...more,
];
const research = (operation: string, ...more: string[]): string[] => [
  ...['--context', 'researcher', '--tool', 'api.explore', '--arg', 'api_spec_id=crm'],
  ...[`operation_id=${operation}`, 'fields=["$"]', ...more],
];
/** Name of the golden file -> exit code and command line. */
const CASES: Readonly<Record<string, readonly [code: number, argv: readonly string[]]>> = {
  allowed: [0, onCall('customer.find', '--arg', 'email=ada@example.com')],
  'allowed-explained': [0, onCall('kubectl', '--arg', 'subcommand=rollout status', '--explain')],
  'allowed-of-a-tenant': [0, onDuty('--arg', 'subcommand=get')],
  'allowed-with-words-outside-of-the-manifest': [
    1,
    onDuty('--args-json', '{"subcommand":"get","args":["--kubeconfig=/tmp/x"]}'),
  ],
  '2001-words-denied': [
    1,
    onCall('kubectl', '--args-json', '{"subcommand":"get","args":["secrets"]}', '--explain'),
  ],
  'allowed-but-no-such-tool': [1, onCall('fs.read', '--arg', 'path=/workspace/x')],
  'allowed-with-wrong-arguments': [
    1,
    [
      '--context',
      'on-duty',
      '--tenant',
      'acme',
      '--tool',
      'customer.find',
      '--arg',
      'mail=x',
      '--arg',
      'n:=1',
    ],
  ],
  'allowed-to-explore': [0, research('searchCustomers', 'parameters={"email":"ada@example.com"}')],
  'allowed-but-the-api-does-not': [1, research('putCustomer')],
  'allowed-but-no-such-operation': [1, research('searchCustomer')],
  '2000-no-capability-names-it': [1, onCall('git', '--explain')],
  '2000-no-such-context': [1, ['--context', 'on-cal', '--tool', 'kubectl']],
  '2000-no-such-context-nor-any-near': [1, ['--context', 'nope', '--tool', 'kubectl']],
  '2000-context-of-a-tenant': [1, ['--context', 'on-duty', '--tool', 'kubectl']],
  '2000-no-such-tenant': [1, onCall('kubectl', '--tenant', 'coil')],
  '2000-tenant-suspended': [1, onCall('kubectl', '--tenant', 'bolt')],
  '2000-tenant-may-not-use-it': [1, ['--context', 'off-duty', '--tenant', 'acme', '--tool', 'kubectl']],
  '2001-tool-denied': [1, onCall('customer.delete')],
  '2001-value-denied': [1, onCall('kubectl', '--arg', 'subcommand=delete', '--explain')],
  '2001-exploration-denied': [1, research('deleteCustomer', '--explain')],
  '2003-exploration': [
    1,
    ['--context', 'researcher', '--tool', 'api.explore', '--arg', 'api_spec_id=hr', 'operation_id=x'],
  ],
  '2002-path': [1, onCall('fs.read', '--arg', 'path=/workspace/../etc/passwd', '--explain')],
  '2003-subcommand': [1, onCall('kubectl', '--arg', 'subcommand=exec', '--explain')],
  '2004-domain': [1, onCall('web.get', '--arg', 'url=https://example.com/x')],
  '2006-arguments': [1, onCall('customer.find', '--arg', 'email=eve@evil.org', '--explain')],
};

describe('golden answers (UPDATE=1 rewrites them)', () => {
  test.each(Object.entries(CASES))('%s', async (name, [expected, argv]) => {
    const { code, out, err } = await runCli(['can-i', '--dir', DIR, ...argv]);
    const file = join(GOLDEN, `${name}.txt`);
    if (process.env.UPDATE === '1') writeFileSync(file, out);
    expect(existsSync(file), 'UPDATE=1 writes it').toBe(true);
    expect(out).toBe(readFileSync(file, 'utf8'));
    expect({ code, err }).toEqual({ code: expected, err: '' });
    const denied = /^(\d{4})-/.exec(name)?.[1];
    expect(out.startsWith(denied === undefined ? 'allowed' : `denied: ${denied} POLICY_`)).toBe(true);
  });
});

test('as JSON, with the place of every rule', async () => {
  const argv = [
    'can-i',
    '--dir',
    DIR,
    ...onCall('kubectl', '--args-json', '{"subcommand": "get"}'),
    '-o',
    'json',
  ];
  const { code, out } = await runCli(argv);
  expect(code).toBe(0);
  const answer = JSON.parse(out);
  expect(answer).toMatchObject({
    allowed: true,
    code: null,
    name: null,
    problems: [],
    rule: { rule: 'capabilities[1].tool_pattern', file: 'contexts/on-call.yaml', line: 13 },
  });
  expect(answer.tried.map(({ rule, line }: { rule: string; line: number }) => [rule, line])).toEqual([
    ['deny_list[0]', 7],
    ['deny_list[1]', 8],
    ['deny_list[2]', 9],
    ['capabilities[0].tool_pattern', 11],
    ['capabilities[1].tool_pattern', 13],
    ['capabilities[1].subcommand_allowlist', 14],
  ]);
});

describe('a directory with errors', () => {
  const context = (name: string, pattern: string): string =>
    `apiVersion: seal.gateway/v1\nkind: SecurityContext\nmetadata: {name: ${name}}\nspec: {capabilities: [{tool_pattern: "${pattern}"}]}\n`;
  const ask = (files: Files, name: string) =>
    runCli(['can-i', '--dir', directory(files), '--context', name, '--tool', 'a.b', '-o', 'json']);

  test('is still asked for the rest of it, which is said', async () => {
    const { code, out, err } = await ask({ 'a.yaml': context('good', 'a'), 'b.yaml': 'x: [' }, 'good');
    expect(err).toMatch(/^seal-gateway: \S+ has errors \(see seal-gateway validate\); /);
    expect([code, JSON.parse(out).name]).toEqual([1, 'POLICY_TOOL_NOT_ALLOWED']);
  });

  test('grants nothing by a context that is not valid, and says where that is', async () => {
    const { code, out } = await ask({ 'a.yaml': context('bad', 'a b') }, 'bad');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      allowed: false,
      rule: null,
      reason: expect.stringMatching(/^the SecurityContext bad is not valid: a\.yaml:4:\d+: tool pattern /),
    });
  });
});

test('a directory that is not there, and a command line that lacks something', async () => {
  expect(await runCli(['can-i', '--dir', '/not/there', ...onCall('x')])).toEqual({
    code: 1,
    out: '',
    err: 'seal-gateway: /not/there is not there\n',
  });
  expect((await runCli(['can-i', '--tool', 'x'])).err).toContain("required option '--context <name>'");
});
