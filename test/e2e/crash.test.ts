/**
 * Power cuts: the gateway is killed in the midst of calls, again and again. What it answered or did must be in the
 * trail, and what it admitted once it must never admit again.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Example, setUp } from '../../examples/crm/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import type { ChainedEvent } from '../../src/audit/event.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { createEnvelope, type SealEnvelope } from '../../src/client.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { type Answer, postTo, writeManifest } from '../support/gateway.ts';

/** `make ci` takes the hundred. */
const ROUNDS = process.env.SEAL_TEST_FULL === '1' ? 100 : 5;
/** Agents that call at one time, and the calls that each makes one after another. */
const AGENTS = 12;
const CALLS_EACH = 3;
/** Of one call to the CRM. */
const REQUESTS = 2;

interface SentCall {
  /** Unique, so that the request it becomes is found in the log of the CRM. */
  readonly email: string;
  readonly envelope: SealEnvelope;
  /** null: the gateway was gone before it answered. */
  readonly answer: Answer | null;
}

test(`kill -9 in the midst of calls, ${ROUNDS} times`, { timeout: ROUNDS * 15_000 }, async () => {
  const example = await setUp();
  writeManifest(join(example.dir, 'gateway.d'), {
    kind: 'ToolWorkflow',
    name: 'customer.probe',
    spec: {
      description: 'Two requests, the first of which carries the argument.',
      api_spec: 'crm',
      input_schema: { type: 'object', required: ['email'], properties: { email: { type: 'string' } } },
      steps: [
        { name: 'find', operation_id: 'searchCustomers', query: { email: '{{input.email}}' } },
        {
          name: 'invoices',
          operation_id: 'listInvoices',
          path_params: { customer_id: 'c-1' },
          query: { limit: 1 },
        },
      ],
    },
  });
  let gateway = await example.startGateway();
  const seen = { answered: 0, cut: 0, cut_after_admission: 0 };
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const calls = await callUntilKilled(example, gateway, round);
      const reached = new Set(example.crm.requests.flatMap(emailOf));
      gateway = await example.startGateway();
      const events = await soundTrail(example);
      const admitted = new Set(
        events.filter(({ event_type }) => event_type === 'ToolCallAuthorized').map(signatureOf),
      );

      for (const { email, envelope, answer } of calls) {
        if (answer !== null) expect(outcomeOf(events, answer), `the outcome of ${email}`).toBe(true);
        if (reached.has(email)) expect(admitted, `the intent of ${email}`).toContain(envelope.signature);
        if (answer?.status === 200) expect(reached, `an answer to ${email}`).toContain(email);
        seen.answered += answer === null ? 0 : 1;
        seen.cut += answer === null ? 1 : 0;
        seen.cut_after_admission += answer === null && admitted.has(envelope.signature) ? 1 : 0;
      }

      const again = await Promise.all(calls.map(({ envelope }) => postTo(gateway.url, envelope)));
      expect(again.map(({ body }) => body.error?.code ?? 'executed')).toEqual(
        calls.map(({ envelope }) => (admitted.has(envelope.signature) ? 1007 : 'executed')),
      );
    }
    // The kills were in the midst indeed.
    expect(Object.entries(seen).filter(([, count]) => count === 0)).toEqual([]);
  } finally {
    await gateway.kill();
    await example.close();
  }
});

/** Lets the agents call, and kills the gateway once the CRM has seen a random part of their requests. */
async function callUntilKilled(
  example: Example,
  gateway: GatewayProcess,
  round: number,
): Promise<SentCall[]> {
  const { requests } = example.crm;
  const until = requests.length + Math.floor(Math.random() * AGENTS * CALLS_EACH * REQUESTS);
  const agents = Array.from({ length: AGENTS }, (_, agent) => `r${round}-a${agent}`);
  const signed = await Promise.all(agents.map((agent) => signCalls(example, agent)));
  let ended = false;
  const calls = Promise.all(
    signed.map(async (ofOne) => {
      const sent: SentCall[] = [];
      for (const call of ofOne) {
        sent.push({ ...call, answer: await postTo(gateway.url, call.envelope).catch(() => null) });
      }
      return sent;
    }),
  ).finally(() => {
    ended = true;
  });
  while (requests.length < until && !ended) await nextTurn();
  await gateway.kill();
  return (await calls).flat();
}

function signCalls(example: Example, agent: string): Promise<Omit<SentCall, 'answer'>[]> {
  return Promise.all(
    Array.from({ length: CALLS_EACH }, async (_, index) => {
      const email = `${agent}-${index}@example.com`;
      const envelope = await createEnvelope({
        tool: 'customer.probe',
        arguments: { email },
        security_token: await example.token({ sub: agent }),
        private_key: example.agent.private_key,
      });
      return { email, envelope };
    }),
  );
}

/** All events; the chain of the trail is sound, and there is one. */
async function soundTrail(example: Example): Promise<ChainedEvent[]> {
  const trail = await openSqliteReader({ path: join(example.dir, 'data/gateway.db') });
  const events: ChainedEvent[] = [];
  const noted = async function* () {
    for await (const event of trail.scan()) {
      events.push(event);
      yield event;
    }
  };
  const { problems, writers } = await verifyChain(noted());
  await trail.close();
  expect(problems).toEqual([]);
  expect(writers).toHaveLength(1);
  return events;
}

const OUTCOMES = ['WorkflowInvocationCompleted', 'WorkflowInvocationFailed', 'ToolCallRejected'];

/** Whether the trail holds how this call ended: the very event that a success names. */
function outcomeOf(events: readonly ChainedEvent[], { body }: Answer): boolean {
  const execution_id = body.meta?.execution_id ?? body.error?.details.execution_id;
  return events.some(
    (event) =>
      event.execution_id === execution_id &&
      OUTCOMES.includes(event.event_type) &&
      (body.meta === undefined || event.id === body.meta.event_id),
  );
}

function signatureOf({ payload }: ChainedEvent): unknown {
  return payload.signature;
}

function emailOf(request: string): string[] {
  const email = new URL(request.split(' ')[1] ?? '/', 'http://crm').searchParams.get('email');
  return email === null ? [] : [email];
}
