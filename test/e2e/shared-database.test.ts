/** Two gateways of one machine on one SQLite file, over the same manifests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../../src/audit/verify.ts';
import { loadConfig } from '../../src/config.ts';
import { startGateway } from '../../src/main.ts';
import { capturedLog } from '../store/scratch.ts';
import { seal } from '../support/caller.ts';
import { postTo } from '../support/gateway.ts';
import { goodCall, startWorld } from './world.ts';

test('two gateways on one database share replay ids and one sound chain, and the second says what it found', async () => {
  const world = await startWorld();
  onTestFinished(() => world.close());
  const dir = mkdtempSync(join(tmpdir(), 'seal-second-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const { database, trail } = world.gateway;
  const listeners = ['bind_addr', 'control_bind_addr', 'metrics_bind_addr', 'grpc_bind_addr'];
  const spec = {
    manifests: { dir: join(dirname(dirname(database)), 'gateway.d') },
    network: Object.fromEntries(listeners.map((name) => [name, '127.0.0.1:0'])),
    database: { url: `sqlite://${database}` },
  };
  const file = join(dir, 'gateway.yaml');
  writeFileSync(file, JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig', spec }));
  const { log, lines } = capturedLog();
  const second = await startGateway(loadConfig(file, {}).config, log);
  onTestFinished(() => second.close());
  expect(lines).toContainEqual(expect.stringMatching(/^warn .*another gateway uses this database/));

  const calls = Array.from({ length: 20 }, () => seal(goodCall(world)));
  const answers = await Promise.all(
    calls.map((envelope) =>
      Promise.all([world.gateway.post(envelope), postTo(second.addresses.data!, envelope)]),
    ),
  );
  for (const pair of answers) {
    const codes = pair.map(({ status, body }) => body.error?.code ?? status).sort((a, b) => a - b);
    // Executed by one of them, a replay to the other.
    expect(codes).toEqual([200, 1007]);
  }
  expect(world.upstream.requests).toHaveLength(20);
  const { problems, events } = await verifyChain(trail.scan(), []);
  expect(problems).toEqual([]);
  expect(events).toBeGreaterThan(20 * 3);
});
