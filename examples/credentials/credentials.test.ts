/** The example as its users run it: every path, each by a signed call, compared with expected.json. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SealError } from '../../src/client.ts';
import { openReader } from '../../src/store/open.ts';
import type { EventReader } from '../../src/store/store.ts';
import type { GatewayProcess } from '../gateway.ts';
import { type Example, setUp } from './setup.ts';

interface Expected {
  readonly what: string;
  readonly tool: string;
  readonly user?: string;
  /** As whom the API saw the call. */
  readonly seen?: string;
  readonly error?: { readonly code: number; readonly message: string };
  /** Of the event about the credential. */
  readonly event: Readonly<Record<string, unknown>>;
}

const calls = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Expected[];

let example: Example;
let gateway: GatewayProcess;
let trail: EventReader;
/** All that the caller got, and what users gave. */
const answers: string[] = [];
const userTokens: string[] = [];
beforeAll(async () => {
  example = await setUp();
  gateway = await example.startGateway();
  trail = await openReader({ url: example.database });
}, 60_000);
afterAll(async () => {
  await trail?.close();
  const code = await gateway?.stop();
  await example?.close();
  expect(code, gateway?.log()).toBe(0);
});

async function call({
  tool,
  user,
}: Expected): Promise<{ execution_id: string; result?: unknown; error?: SealError }> {
  const user_token = user === undefined ? undefined : await example.oidc.userToken({ sub: user });
  if (user_token !== undefined) userTokens.push(user_token);
  try {
    const { result, meta } = await example.client(gateway).call(tool, {}, { user_token });
    answers.push(JSON.stringify({ result, meta }));
    return { execution_id: meta.execution_id!, result };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    answers.push(JSON.stringify([error.message, error.details]));
    return { execution_id: String(error.details.execution_id), error };
  }
}

async function check(expected: Expected): Promise<void> {
  const answer = await call(expected);
  if (expected.seen === undefined) expect(answer.error).toMatchObject(expected.error!);
  else expect(answer.result, answer.error?.message).toEqual({ you_are: expected.seen });
  const events = await trail.query({ execution_id: answer.execution_id });
  const [event, ...more] = events.filter(({ event_type }) => event_type.startsWith('CredentialExchange'));
  expect(more).toEqual([]);
  expect({ event_type: event?.event_type, ...event?.payload }).toMatchObject(expected.event);
}

describe('every path', () => {
  test.each(calls)('$what', check);
});

describe('a credential that a user has bound', () => {
  const expected: Expected = {
    what: 'bound',
    tool: 'ledger.bound',
    seen: 'olga, by a binding',
    event: { event_type: 'CredentialExchangeCompleted', resolution_path: 'user_bound', user: 'olga' },
  };
  const missing: Expected = {
    ...expected,
    seen: undefined as never,
    error: {
      code: 4100,
      message: expect.stringContaining('the user can grant it at https://connect.example/ledger') as never,
    },
    event: { event_type: 'CredentialExchangeFailed', resolution_path: 'user_bound' },
  };
  const add = (...more: string[]) =>
    example.cli(
      ...[
        'bindings',
        'add',
        '--owner',
        'olga',
        '--provider',
        'ledger',
        '--secret',
        'users/olga/ledger',
        '--output',
        'json',
      ],
      ...more,
    );

  test('serves the agent that it is granted to, until it is revoked', async () => {
    await check(missing);
    const { id } = JSON.parse(await add('--agent', 'demo-agent'));
    await check(expected);
    await check({ ...expected, user: 'olga' });
    // Another user's token: what is olga's is not theirs.
    await check({ ...missing, user: 'ida' });
    expect(await example.cli('bindings', 'list')).toContain('agent demo-agent');
    await example.cli('bindings', 'revoke', id);
    await check(missing);
    await expect(example.cli('bindings', 'revoke', id)).rejects.toThrow(/there is no active binding/);
    const changes = await trail.query({ event_type: 'CredentialBindingRevoked' });
    expect(changes.at(-1)?.payload).toMatchObject({ binding_id: id, owner: 'olga' });
  });

  test('serves whoever calls under a context that it is granted to', async () => {
    const { id } = JSON.parse(await add('--context', 'ledger-read'));
    await check(expected);
    await example.cli('bindings', 'revoke', id);
  });

  test.each([
    ['another agent', ['--agent', 'other-agent']],
    ['a time that has passed', ['--agent', 'demo-agent', '--expires', '2020-01-01T00:00:00Z']],
    ['an agent of another tenant', ['--agent', 'demo-agent', '--tenant', 'acme']],
  ])('does not serve when it is granted to %s', async (_, more) => {
    const { id } = JSON.parse(await add(...more));
    await check(missing);
    await example.cli('bindings', 'revoke', id);
  });
});

test('no lease outlives its call', async () => {
  expect(example.bao.leases.length).toBeGreaterThan(0);
  await expect.poll(() => example.bao.alive()).toEqual([]);
});

test('no secret of any path is in the log, in the trail or in an answer', async () => {
  const events = await trail.query({ limit: 1_000 });
  const paths = new Set(events.map(({ payload }) => payload.resolution_path).filter(Boolean));
  expect([...paths].sort()).toEqual(['human_delegated', 'static_ref', 'system_jit', 'user_bound']);
  const secrets = [...example.secrets(), ...userTokens];
  expect(secrets.length).toBeGreaterThan(6);
  const seen = [gateway.log(), JSON.stringify(events), ...answers].join('\n');
  // What of a JWT proves who it is about is its signature.
  for (const secret of secrets) expect(seen.includes(secret.split('.').at(-1)!)).toBe(false);
});

test('doctor finds all well', async () => {
  const findings = JSON.parse(await example.cli('doctor', '--output', 'json')) as {
    check: string;
    result: string;
  }[];
  expect(findings.filter(({ result }) => result === 'failed')).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual(
    expect.arrayContaining(['configuration', 'manifests', 'store', 'openbao', 'openbao login', 'user keys']),
  );
});
