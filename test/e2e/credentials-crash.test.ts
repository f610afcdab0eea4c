/** A power cut between the minting of a credential and its revocation: the next start revokes it. */
import { expect, onTestFinished, test } from 'vitest';
import { setUp } from '../../examples/credentials/setup.ts';
import { openReader } from '../../src/store/open.ts';
import { PATIENTLY } from '../support/gateway.ts';

/** `make ci` takes more. */
const ROUNDS = process.env.SEAL_TEST_FULL === '1' ? 20 : 2;

test(`kill -9 while credentials are in use, ${ROUNDS} times`, { timeout: ROUNDS * 20_000 }, async () => {
  const example = await setUp('sqlite');
  onTestFinished(() => example.close());
  const { bao } = example;
  let gateway = await example.startGateway();
  onTestFinished(() => gateway.kill());
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = bao.leases.length;
    // Nothing is revoked any more, as if the cut came first.
    const held = Promise.withResolvers<void>();
    bao.intercept(({ path }) => {
      if (path !== 'sys/leases/revoke') return false;
      held.resolve();
      return true;
    });
    const client = example.client(gateway);
    const calls = Array.from({ length: 5 }, () => client.call('ledger.jit').catch(() => null));
    await held.promise;
    await expect.poll(() => bao.leases.length, PATIENTLY).toBe(before + 5);
    // The lease that is noted last is noted when its call has reached the API.
    await expect.poll(() => example.ledger.seen.length, PATIENTLY).toBe((round + 1) * 5);
    await gateway.kill();
    await Promise.all(calls);
    expect(bao.alive().length).toBeGreaterThanOrEqual(5);

    bao.intercept(null);
    gateway = await example.startGateway();
    await expect.poll(() => bao.alive(), PATIENTLY).toEqual([]);
    expect(gateway.log()).toContain('revoking leases that no call uses any more');
  }
  const trail = await openReader({ url: example.database });
  const noted = await trail.query({ event_type: 'CredentialExchangeCompleted', limit: 1_000 });
  await trail.close();
  const leases = new Set(bao.leases.map(({ lease_id }) => lease_id));
  expect(noted.every(({ payload }) => leases.has(String(payload.lease_id)))).toBe(true);
  expect(await gateway.stop()).toBe(0);
});
