import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { newKey, type PrivateJwk, writeKey } from '../../src/cli/keys.ts';
import { GatewayError } from '../../src/errors.ts';
import { type Behaviour, serveGateway } from './gateway.ts';
import { type Ran, runCli, scratch } from './run.ts';

let agent: PrivateJwk;
let dir: string;
let keys: string[];

beforeEach(async () => {
  dir = scratch();
  agent = await newKey('agent');
  writeKey(join(dir, 'agent.json'), agent);
  writeKey(join(dir, 'issuer.json'), await newKey('issuer'));
  keys = ['--key', join(dir, 'agent.json'), '--issuer-key', join(dir, 'issuer.json')];
});

async function explore(options: readonly string[], behaviour: Behaviour = {}): Promise<Ran> {
  const gateway = await serveGateway(agent, behaviour);
  const what = ['--api-spec', 'crm', '--operation', 'listInvoices'];
  return runCli(['explore', '--gateway', gateway, ...keys, ...what, ...options]);
}

test('sends what is asked for as a signed call of api.explore, and prints the result', async () => {
  const { code, out, err } = await explore([
    ...['--param', 'customer_id=c-1', 'limit=5', '--param', 'note:=7'],
    ...['--field', '$.data[*].amount', '$.data[0]', '--field', '$.next', '--hints'],
  ]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(out)).toMatchObject({
    tool: 'api.explore',
    arguments: {
      api_spec_id: 'crm',
      operation_id: 'listInvoices',
      parameters: { customer_id: 'c-1', limit: 5, note: '7' },
      fields: ['$.data[*].amount', '$.data[0]', '$.next'],
      include_hints: true,
    },
  });
});

test('takes parameters as JSON, from a file too; hints only when they are asked for', async () => {
  const file = join(dir, 'parameters.json');
  writeFileSync(file, '{"query": {"limit": 5}}');
  const { out } = await explore(['--params-json', `@${file}`, '--field', '$']);
  expect(JSON.parse(out).arguments).toEqual({
    api_spec_id: 'crm',
    operation_id: 'listInvoices',
    parameters: { query: { limit: 5 } },
    fields: ['$'],
  });
});

test('prints the whole reply as JSON', async () => {
  const { out } = await explore(['--field', '$', '--output', 'json']);
  expect(JSON.parse(out)).toMatchObject({
    result: { tool: 'api.explore' },
    meta: { execution_id: 'exec-1', event_id: 'event-1' },
  });
});

test.each<[string[], RegExp]>([
  [[], /required option '--field <jsonpath...>' not specified/],
  [['--field', '$', '--param', 'x'], /--param x: expected key=value/],
  [['--field', '$', '--params-json', '[]'], /--params-json: expected a JSON object/],
  [['--field', '$', '--params-json', '@/nowhere.json'], /--params-json: \/nowhere\.json cannot be read/],
])('%j is told', async (options, message) => {
  const { code, err } = await explore(options);
  expect(code).toBe(1);
  expect(err).toMatch(message);
});

test('says what the gateway refused', async () => {
  const problems = ['listInvoices needs the path parameter "customer_id"'];
  const refusal = new GatewayError('INVALID_ARGUMENTS', problems[0]!, { details: { problems } });
  const { code, out, err } = await explore(['--field', '$'], { refusal });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain('4000 INVALID_ARGUMENTS: listInvoices needs the path parameter "customer_id"');
});
