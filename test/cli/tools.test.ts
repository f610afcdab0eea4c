import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { newKey, type PrivateJwk, writeKey } from '../../src/cli/keys.ts';
import { GatewayError } from '../../src/errors.ts';
import type { ToolDescription } from '../../src/invoke/tools.ts';
import { type Behaviour, serveGateway } from './gateway.ts';
import { type Ran, runCli, scratch } from './run.ts';

let agent: PrivateJwk;
let keys: string[];

beforeEach(async () => {
  const dir = scratch();
  agent = await newKey('agent');
  writeKey(join(dir, 'agent.json'), agent);
  writeKey(join(dir, 'issuer.json'), await newKey('issuer'));
  keys = ['--key', join(dir, 'agent.json'), '--issuer-key', join(dir, 'issuer.json')];
});

async function tools(behaviour: Behaviour, ...options: string[]): Promise<Ran> {
  return runCli(['tools', '--gateway', await serveGateway(agent, behaviour), ...keys, ...options]);
}

const tool = (name: string, description: string, input_schema: object): ToolDescription => ({
  name,
  description,
  kind: 'workflow',
  input_schema: input_schema as ToolDescription['input_schema'],
  tags: [],
  category: null,
  annotations: { read_only: true, destructive: false, idempotent: true },
});

const TOOLS = [
  tool('customer.total', 'Total of\n  a customer.\u001b[31m', {
    type: 'object',
    required: ['email'],
    properties: { email: {}, limit: {} },
  }),
  { ...tool('ping', 'Is it up?', { type: 'object' }), allow_fields: true as const },
];

test('are a table, a line for each', async () => {
  const { code, out, err } = await tools({ tools: TOOLS });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.split('\n')).toEqual([
    'NAME            KIND      ARGUMENTS      DESCRIPTION',
    'customer.total  workflow  email, limit?  Total of a customer. [31m',
    'ping            workflow  - (+ fields)   Is it up?',
    '',
  ]);
});

test('are as JSON what the gateway answered', async () => {
  const { out } = await tools({ tools: TOOLS }, '--output', 'json');
  expect(JSON.parse(out)).toEqual(TOOLS);
});

test('may be none', async () => {
  expect((await tools({})).out).toBe('this token may call no tool\n');
  expect((await tools({}, '-o', 'json')).out).toBe('[]\n');
});

test('are refused as a call is', async () => {
  const refusal = new GatewayError('TOKEN_EXPIRED', 'the token has expired');
  const { code, out, err } = await tools({ refusal });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe('seal-gateway: 1003 TOKEN_EXPIRED: the token has expired\n');
});
