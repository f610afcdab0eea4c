/**
 * `node examples/cluster/run.ts`: three gateways, one Postgres, a balancer; what they do together, step by step, and then
 * they stay until Ctrl-C. `--once` ends after the steps. Exit code 1 when a step does not come out as it says.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyChain } from '../../src/audit/verify.ts';
import { createEnvelope } from '../../src/client.ts';
import { openPostgresReader } from '../../src/store/postgres.ts';
import type { Replica } from '../../src/store/store.ts';
import { expect, heading, say } from '../walk.ts';
import { type Cluster, startCluster } from './setup.ts';

const TOOL = 'customer.invoice_total';
const ADA = { email: 'ada@example.com' };

async function demo(cluster: Cluster): Promise<void> {
  const { example, balancer, gateways } = cluster;
  const client = example.client(balancer);
  const total = async () => (await client.call(TOOL, ADA)).result;
  const answer = { customer: 'Ada Lovelace', invoices: 10, total: 1234.5 };

  heading('Calls through the balancer: whichever gateway answers, the answer is the same');
  for (let call = 1; call <= 6; call += 1) expect(`call ${call}`, await total(), answer);

  heading('One envelope at all three gateways at the same instant: it is executed once');
  const envelope = await createEnvelope({
    tool: TOOL,
    arguments: ADA,
    security_token: await example.token(),
    private_key: example.agent.private_key,
  });
  const before = example.crm.requests.length;
  const codes = await Promise.all(gateways.map(({ url }) => codeOf(url, envelope)));
  expect('answers', codes.sort(), [1007, 1007, 200]);
  expect('requests to the CRM', example.crm.requests.length - before, 3);

  heading('Every gateway knows the others, and which revision each has in force');
  const replicas = await waitForReplicas(cluster, 3);
  for (const { address, revision } of replicas) say(`  ${address} has ${revision?.slice(0, 19)}`);
  expect('revisions', new Set(replicas.map(({ revision }) => revision)).size, 1);

  heading('A gateway is killed: the balancer leaves it out, and calls go on');
  await gateways[0]!.kill();
  while (balancer.ready().length > 2) await sleep(50);
  for (let call = 1; call <= 4; call += 1) expect(`call ${call}`, await total(), answer);

  heading('Postgres is restarted under them: calls wait for it, and none is refused');
  await cluster.postgres.halt();
  const waiting = total();
  await cluster.postgres.start();
  expect('answer', await waiting, answer);

  heading('The audit trail: a chain for each gateway, and all of them verify');
  const trail = await openPostgresReader({ url: cluster.postgres.url });
  const { problems, writers, events } = await verifyChain(trail.scan());
  await trail.close();
  say(`  ${events} events in ${writers.length} chains`);
  expect('problems', problems, []);
}

/** 200, or the SEAL code of the error. */
async function codeOf(url: string, envelope: unknown): Promise<number> {
  const response = await fetch(`${url}/v1/invoke`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(envelope),
  });
  const body = (await response.json()) as { error?: { code: number } };
  return body.error?.code ?? response.status;
}

async function waitForReplicas({ gateways }: Cluster, count: number): Promise<readonly Replica[]> {
  for (;;) {
    const response = await fetch(`${gateways[0]!.control_url}/v1/status`);
    const { replicas } = (await response.json()) as { replicas: readonly Replica[] | null };
    if (replicas?.filter(({ revision }) => revision !== null).length === count) {
      return replicas;
    }
    await sleep(200);
  }
}

const cluster = await startCluster();
try {
  await demo(cluster);
  if (!process.argv.includes('--once')) {
    const { balancer, gateways, postgres, example } = cluster;
    console.log(`\nThe cluster stays until Ctrl-C.`);
    say(`balancer   ${balancer.url}`);
    for (const { url, control_url } of gateways.slice(1))
      say(`gateway    ${url}, status at ${control_url}/v1/status`);
    say(`Postgres   ${postgres.url}`);
    say(`manifests  ${join(example.dir, 'gateway.d')}`);
    await new Promise((resolve) => process.once('SIGINT', resolve));
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await cluster.close();
}
