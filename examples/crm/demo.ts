/** `make demo`: a signed call through the whole pipeline, and what the gateway refuses. Exit code 1 when a step fails. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { createEnvelope } from '../../src/client.ts';
import type { GatewayProcess } from '../gateway.ts';
import { expect, heading, say, walk } from '../walk.ts';
import { type Example, setUp } from './setup.ts';

const TOOL = 'customer.invoice_total';
const ADA = { email: 'ada@example.com' };

interface Answer {
  readonly status: string;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly name: string; readonly message: string };
}

async function post(gateway: GatewayProcess, envelope: unknown): Promise<{ http: number; body: Answer }> {
  const response = await fetch(`${gateway.url}/v1/invoke`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(envelope),
  });
  return { http: response.status, body: (await response.json()) as Answer };
}

async function demo(example: Example, gateway: GatewayProcess): Promise<void> {
  say(
    `the CRM listens at ${example.crm.url}, the gateway at ${gateway.url}, its manifests are a copy of gateway.d`,
  );
  const sign = async (tool: string, args: Record<string, unknown>) =>
    createEnvelope({
      tool,
      arguments: args,
      security_token: await example.token(),
      private_key: example.agent.private_key,
    });

  heading(`A signed call of ${TOOL}: one envelope, three requests to the CRM, one answer`);
  const envelope = await sign(TOOL, ADA);
  const first = await post(gateway, envelope);
  for (const request of example.crm.requests) say(`  the CRM saw: ${request}`);
  expect('answer', first.body.result, { customer: 'Ada Lovelace', invoices: 10, total: 1234.5 });
  expect('requests to the CRM', example.crm.requests.length, 3);

  heading('The same envelope again: a captured call is worth nothing');
  const replayed = await post(gateway, envelope);
  expect(
    'refused',
    [replayed.http, replayed.body.error?.code, replayed.body.error?.name],
    [401, 1007, 'REPLAY_DETECTED'],
  );

  heading('A tampered envelope: another customer in a payload that was signed for Ada');
  const signed = await sign(TOOL, ADA);
  const tampered = JSON.parse(JSON.stringify(signed).replace(ADA.email, 'eve@example.com'));
  const forged = await post(gateway, tampered);
  expect(
    'refused',
    [forged.http, forged.body.error?.code, forged.body.error?.name],
    [401, 1001, 'INVALID_SIGNATURE'],
  );

  heading('A tool that the security context billing-read denies');
  const denied = await post(gateway, await sign('customer.delete', { customer_id: 'c-1' }));
  expect(
    'refused',
    [denied.http, denied.body.error?.code, denied.body.error?.name],
    [403, 2001, 'POLICY_TOOL_DENIED'],
  );
  expect('requests to the CRM, still', example.crm.requests.length, 3);

  heading('A manifest edited on disk is live, without a restart');
  const file = join(example.dir, 'gateway.d/workflows/customer-invoice-total.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('query: {limit: 10}', 'query: {limit: 2}'));
  say('gateway.d/workflows/customer-invoice-total.yaml: limit 10 -> 2');
  const edited = await untilChanged(
    async () => (await post(gateway, await sign(TOOL, ADA))).body.result,
    first.body.result,
  );
  expect('answer', edited, { customer: 'Ada Lovelace', invoices: 2, total: 250 });

  heading(
    'The audit trail: every call, every refusal, every change of configuration; and its chain of hashes',
  );
  const cli = (...args: string[]): string =>
    execFileSync(
      process.execPath,
      [
        join(import.meta.dirname, '../../src/main.ts'),
        ...args,
        '--config',
        join(example.dir, 'gateway.yaml'),
      ],
      { encoding: 'utf8' },
    );
  for (const line of cli('audit', 'list', '--limit', '14').trimEnd().split('\n')) say(line.slice(0, 150));
  const verification = JSON.parse(cli('audit', 'verify', '--output', 'json')) as {
    problems: unknown[];
    events: number;
  };
  expect('problems found in the chain', verification.problems, []);
  say(`  ${verification.events} events verified`);
  console.log('\nAll as it should be. The manifests are in gateway.d, this demo is examples/crm/demo.ts.');
}

/** Asks until the answer differs from `before`, for ten seconds. */
async function untilChanged(ask: () => Promise<unknown>, before: unknown): Promise<unknown> {
  let answer = before;
  for (let attempt = 0; attempt < 50 && isDeepStrictEqual(answer, before); attempt += 1) {
    await sleep(200);
    answer = await ask();
  }
  return answer;
}

console.log(
  'SEAL Gateway: the demo. A small CRM and the gateway start on loopback; nothing leaves this machine.',
);
await walk(await setUp(), demo);
