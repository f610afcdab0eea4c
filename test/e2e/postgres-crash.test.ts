/**
 * Power cuts of a shared service: Postgres or a gateway is killed in the midst of calls, again and again. What was
 * answered or done must be in the trail, and what was admitted once must never be done again.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../examples/cluster/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import type { ChainedEvent } from '../../src/audit/event.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { createEnvelope, type SealEnvelope } from '../../src/client.ts';
import { openPostgresReader } from '../../src/store/postgres.ts';
import { type Answer, postTo, writeManifest } from '../support/gateway.ts';

/** `make ci` makes more than 10,000 calls. */
const FULL = process.env.SEAL_TEST_FULL === '1';
const ROUNDS = FULL ? 48 : 4;
const AGENTS = FULL ? 24 : 10;
const CALLS_EACH = FULL ? 9 : 3;
const GATEWAYS = 2;

const FAULTS = ['postgres killed', 'gateway killed', 'postgres restarted', 'both killed'] as const;

interface SentCall {
  /** Unique, so that the request it becomes is found in the log of the CRM. */
  readonly email: string;
  readonly envelope: SealEnvelope;
  /** null: the gateway was gone before it answered. */
  readonly answer: Answer | null;
}

test(`kill -9 of Postgres and of gateways, ${ROUNDS * AGENTS * CALLS_EACH} calls`, {
  timeout: 60_000 + ROUNDS * 30_000,
}, async () => {
  const cluster = await startCluster(GATEWAYS, (example) => {
    writeManifest(join(example.dir, 'gateway.d'), {
      kind: 'ToolWorkflow',
      name: 'customer.probe',
      spec: {
        description: 'One request, which carries the argument.',
        api_spec: 'crm',
        input_schema: { type: 'object', required: ['email'], properties: { email: { type: 'string' } } },
        steps: [{ name: 'find', operation_id: 'searchCustomers', query: { email: '{{input.email}}' } }],
      },
    });
  });
  const gateways = [...cluster.gateways];
  const seen = { answered: 0, refused: 0, cut: 0, executed_again: 0 };
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const fault = FAULTS[round % FAULTS.length]!;
      const calls = await callThrough(cluster, gateways, round, fault);
      const events = await soundTrail(cluster);
      const admitted = new Set(
        events
          .filter(({ event_type }) => event_type === 'ToolCallAuthorized')
          .map(({ payload }) => payload.signature),
      );
      const reached = timesReached(cluster);
      for (const { email, envelope, answer } of calls) {
        const times = reached.get(email) ?? 0;
        expect(times, `requests of ${email} after: ${fault}`).toBeLessThanOrEqual(1);
        if (times > 0) expect(admitted, `the intent of ${email}`).toContain(envelope.signature);
        if (answer === null) {
          seen.cut += 1;
        } else if (answer.body.error?.code === 4501) {
          seen.refused += 1;
        } else {
          expect(answer.status, `${fault}: ${JSON.stringify(answer.body)}`).toBe(200);
          expect(times).toBe(1);
          const outcome = events.find(({ id }) => id === answer.body.meta!.event_id);
          expect(outcome?.event_type, `the outcome of ${email}`).toBe('WorkflowInvocationCompleted');
          seen.answered += 1;
        }
      }
      // Whoever captured them has nothing of it; who was refused before anything happened may try again.
      const again = await Promise.all(
        calls.map(({ envelope }, index) => postTo(gateways[index % GATEWAYS]!.url, envelope)),
      );
      expect(again.map(({ body }) => body.error?.code ?? 'executed')).toEqual(
        calls.map(({ envelope }) => (admitted.has(envelope.signature) ? 1007 : 'executed')),
      );
      seen.executed_again += again.filter(({ status }) => status === 200).length;
    }
    // The faults were in the midst indeed.
    expect(seen.answered).toBeGreaterThan(0);
    expect(seen.cut).toBeGreaterThan(0);
    if (FULL) console.log(seen);
  } finally {
    for (const gateway of gateways) await gateway.kill();
    await cluster.close();
  }
});

/** Lets the agents call, brings the fault about once the CRM has seen a part of their requests, and mends it. */
async function callThrough(
  cluster: Cluster,
  gateways: GatewayProcess[],
  round: number,
  fault: (typeof FAULTS)[number],
): Promise<SentCall[]> {
  const { example, postgres } = cluster;
  const { requests } = example.crm;
  const urls = gateways.map(({ url }) => url);
  const signed = await Promise.all(
    Array.from({ length: AGENTS }, (_, agent) => signCalls(cluster, `r${round}-a${agent}`)),
  );
  const until = requests.length + Math.floor(Math.random() * AGENTS * CALLS_EACH * 0.7);
  let ended = false;
  const calls = Promise.all(
    signed.map(async (ofOne, agent) => {
      const sent: SentCall[] = [];
      for (const call of ofOne) {
        sent.push({
          ...call,
          answer: await postTo(urls[agent % GATEWAYS]!, call.envelope).catch(() => null),
        });
      }
      return sent;
    }),
  ).finally(() => {
    ended = true;
  });
  while (requests.length < until && !ended) await nextTurn();
  if (fault === 'postgres restarted') await postgres.halt();
  if (fault === 'postgres killed' || fault === 'both killed') await postgres.kill();
  if (fault === 'gateway killed' || fault === 'both killed') await gateways[0]!.kill();
  await sleep(Math.random() * 200);
  if (fault !== 'gateway killed') await postgres.start();
  if (fault === 'gateway killed' || fault === 'both killed') gateways[0] = await example.startGateway();
  return (await calls).flat();
}

function signCalls({ example }: Cluster, agent: string): Promise<Omit<SentCall, 'answer'>[]> {
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

/** All events; every chain is sound, and there are no more chains than gateways and those that were killed. */
async function soundTrail({ postgres }: Cluster): Promise<ChainedEvent[]> {
  const trail = await openPostgresReader({ url: postgres.url });
  const events: ChainedEvent[] = [];
  const noted = async function* () {
    for await (const event of trail.scan()) {
      events.push(event);
      yield event;
    }
  };
  const { problems } = await verifyChain(noted());
  await trail.close();
  expect(problems).toEqual([]);
  return events;
}

function timesReached({ example }: Cluster): Map<string, number> {
  const times = new Map<string, number>();
  for (const request of example.crm.requests) {
    const email = new URL(request.split(' ')[1] ?? '/', 'http://crm').searchParams.get('email');
    if (email !== null) times.set(email, (times.get(email) ?? 0) + 1);
  }
  return times;
}
