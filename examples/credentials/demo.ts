/** Every path to a credential, each by a signed call, with what the trail says of it. Exit code 1 when one fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SealError } from '../../src/client.ts';
import { openReader } from '../../src/store/open.ts';
import { setUp } from './setup.ts';

const example = await setUp();
const gateway = await example.startGateway();
const client = example.client(gateway);
const user_token = await example.oidc.userToken({ sub: 'olga' });

async function show(heading: string, tool: string, user?: string): Promise<void> {
  console.log(`\n${heading}: ${tool}`);
  let execution_id: unknown;
  try {
    const { result, meta } = await client.call(tool, {}, { user_token: user });
    execution_id = meta.execution_id;
    console.log(`  answer: ${JSON.stringify(result)}`);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    execution_id = error.details.execution_id;
    console.log(`  refused: ${error.code} ${error.message}`);
  }
  const trail = await openReader({ url: example.database });
  for (const { event_type, payload } of await trail.query({ execution_id: String(execution_id) })) {
    if (event_type.startsWith('CredentialExchange'))
      console.log(`  trail: ${event_type} ${JSON.stringify(payload)}`);
  }
  await trail.close();
}

try {
  await show('A secret that OpenBao keeps', 'ledger.static');
  await show('A user that OpenBao makes for this call', 'ledger.jit');
  while (example.bao.alive().length > 0) await sleep(5);
  console.log('  revoked after the call');
  await show('In the name of a user', 'ledger.delegated', user_token);
  await show('In the name of a user, without one', 'ledger.delegated');
  await show('Automatic, without a user', 'ledger.auto');
  await show('Automatic, with a user', 'ledger.auto', user_token);
  await show('Bound by a user: not yet', 'ledger.bound');
  await example.cli(
    ...['bindings', 'add', '--owner', 'olga', '--provider', 'ledger'],
    ...['--secret', 'users/olga/ledger', '--agent', 'demo-agent'],
  );
  await show('Bound by a user, and granted to this agent', 'ledger.bound');
} finally {
  await gateway.stop();
  await example.close();
}
