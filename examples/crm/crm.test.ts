/** The example as its users run it: gateway.d before its own CRM, compared with expected.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { SealError } from '../../src/client.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { GatewayProcess, TokenClaims } from '../gateway.ts';
import { type Example, setUp } from './setup.ts';

interface ExpectedCall {
  readonly what: string;
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly claims?: TokenClaims;
  /** Of a call that succeeds. */
  readonly result?: unknown;
  /** Of one that does not. */
  readonly error?: { readonly code: number; readonly name: string };
  /** What reaches the CRM, in order. */
  readonly requests: readonly string[];
  readonly notes?: readonly unknown[];
  /** Types of the call's events, in order. */
  readonly events: readonly string[];
}

interface Expected {
  readonly tools: readonly object[];
  readonly calls: readonly ExpectedCall[];
}

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const expected = JSON.parse(read('expected.json')) as Expected;

let example: Example;
let gateway: GatewayProcess;
beforeAll(async () => {
  example = await setUp();
  gateway = await example.startGateway();
});
afterAll(async () => {
  const code = await gateway?.stop();
  await example.close();
  expect(code, gateway?.log()).toBe(0);
});

test('the gateway serves the very document of the CRM', () => {
  // Not to the letter: one of the two is formatted by the formatter.
  expect(parse(read('../../gateway.d/crm.openapi.yaml'))).toEqual(parse(read('crm.openapi.yaml')));
});

test('the tools that billing-read may call', async () => {
  const tools = await example.client(gateway).listTools();
  expect(tools).toMatchObject(expected.tools);
  expect(tools).toHaveLength(expected.tools.length);
});

describe('calls', () => {
  test.each(expected.calls)('$what', async (call) => {
    const { requests, notes } = example.crm;
    const [requestsBefore, notesBefore] = [requests.length, notes.length];
    const { reply, execution_id } = await answerTo(call);
    expect(reply).toEqual(call.error === undefined ? { result: call.result } : { error: call.error });
    expect(requests.slice(requestsBefore)).toEqual(call.requests);
    expect(notes.slice(notesBefore)).toEqual(call.notes ?? []);
    expect(await eventTypes(execution_id)).toEqual(call.events);
  });
});

/** The part of an answer that does not change from run to run, and its execution. */
async function answerTo({ tool, arguments: args, claims }: ExpectedCall) {
  try {
    const { result, meta } = await example.client(gateway, claims).call(tool, args);
    return { reply: { result }, execution_id: meta.execution_id };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    const { code, name, details } = error;
    return { reply: { error: { code, name } }, execution_id: details.execution_id };
  }
}

async function eventTypes(execution_id: unknown): Promise<string[]> {
  const trail = await openSqliteReader({ path: join(example.dir, 'data/gateway.db') });
  try {
    const events = await trail.query({ execution_id: String(execution_id) });
    return events.map(({ event_type }) => event_type);
  } finally {
    await trail.close();
  }
}
