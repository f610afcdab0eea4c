/**
 * When the trail cannot be written, nothing is executed and nothing is answered as done: 4501, until the store can be
 * written again, which needs no restart.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { setUp } from '../../examples/crm/setup.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { SealError } from '../../src/client.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { draftCall, newKey, seal } from '../support/caller.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { goodCall, startWorld } from './world.ts';

test('a database that is moved away under the gateway', async () => {
  const world = await startWorld();
  onTestFinished(() => world.close());
  const { gateway, upstream, callers } = world;
  const aside = `${gateway.database}.aside`;
  const refused = expect.objectContaining({ status: 503, body: errorOf('AUDIT_UNAVAILABLE') });

  // One is at the upstream already.
  const held = world.send(draftCall(callers.main, 'plain.held'));
  await expect.poll(() => upstream.requests, PATIENTLY).toEqual(['GET /held']);
  renameSync(gateway.database, aside);

  const envelopes = [seal(goodCall(world)), seal(draftCall(callers.main, 'plain.failing'))];
  for (const envelope of envelopes) expect(await gateway.post(envelope)).toEqual(refused);
  // What would be refused anyway is not told why: its rejection could not be recorded.
  const forged = goodCall(world);
  forged.envelope_key = newKey();
  expect(await world.send(forged)).toEqual(refused);
  expect(await world.send(draftCall(callers.main, 'plain.denied'))).toEqual(refused);
  expect(await gateway.post('{')).toEqual(refused);
  expect(upstream.requests).toEqual(['GET /held']);

  // It was executed, but the trail does not say how it ended: so nobody is told that it succeeded.
  world.release();
  expect(await held).toEqual(refused);

  renameSync(aside, gateway.database);
  const [good, failing] = [await gateway.post(envelopes[0]), await gateway.post(envelopes[1])];
  expect(good.status).toBe(200);
  expect(failing.body).toEqual(errorOf('UPSTREAM_FAILED'));
  expect((await verifyChain(gateway.trail.scan())).problems).toEqual([]);
  const unfinished = (await gateway.eventsOf(await held)).map(({ event_type }) => event_type);
  expect(unfinished).toEqual(['ToolCallAuthorized', 'WorkflowInvocationStarted']);
});

test('a disk that is full', async ({ skip }) => {
  const limitable = spawnSync('prlimit', ['--version']).status === 0;
  skip(!limitable, 'SKIPPED: a full disk cannot be had here, for there is no prlimit (util-linux)');
  const example = await setUp();
  const gateway = await example.startGateway();
  onTestFinished(async () => {
    await gateway.kill();
    await example.close();
  });
  const client = example.client(gateway);
  const call = () => client.call('customer.invoice_total', { email: 'ada@example.com' });
  const errorName = () =>
    call().then(
      () => null,
      (error: unknown) => (error instanceof SealError ? error.name : error),
    );
  /** No file may grow past this; what is written beyond fails as on a full disk. */
  const limitFiles = (bytes: number | 'unlimited'): void => {
    execFileSync('prlimit', ['--pid', String(gateway.process.pid), `--fsize=${bytes}:`]);
  };
  const database = join(example.dir, 'data/gateway.db');

  await call();
  const before = example.crm.requests.length;
  limitFiles(statSync(`${database}-wal`).size);
  const full = await Promise.all(Array.from({ length: 10 }, errorName));
  expect(full).toEqual(Array(10).fill('AUDIT_UNAVAILABLE'));
  expect(example.crm.requests.length).toBe(before);

  limitFiles('unlimited');
  expect(await errorName()).toBeNull();
  expect(await gateway.stop(), gateway.log()).toBe(0);
  const trail = await openSqliteReader({ path: database });
  expect((await verifyChain(trail.scan())).problems).toEqual([]);
  await trail.close();
});

function errorOf(name: string): unknown {
  return expect.objectContaining({ error: expect.objectContaining({ name }) });
}
