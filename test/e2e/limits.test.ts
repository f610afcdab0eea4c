/** What callers may cost before anybody knows who they are, and what being refused may cost the disk. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../../src/audit/verify.ts';
import { draftCall, newKey, seal } from '../support/caller.ts';
import { type GatewayOptions, PATIENTLY, postTo } from '../support/gateway.ts';
import { GOOD_TOOL, goodCall, startWorld, type World } from './world.ts';

async function aWorld(options: Partial<GatewayOptions> = {}): Promise<World> {
  const world = await startWorld(options);
  onTestFinished(() => world.close());
  return world;
}

/** The counts that are written when the gateway ends, by name of the error. */
async function countedIn({ gateway }: World): Promise<Record<string, number>> {
  await gateway.restart();
  const events = await gateway.trail.query({ event_type: 'RejectionsCounted' });
  const counts: Record<string, number> = {};
  for (const { payload } of events) {
    for (const { name, count } of payload.rejections as { name: string; count: number }[])
      counts[name] = (counts[name] ?? 0) + count;
  }
  return counts;
}

const rejectedIn = async ({ gateway }: World) =>
  gateway.trail.query({ event_type: 'ToolCallRejected', limit: 1_000 });

describe('requests of one remote address', () => {
  const spec = {
    limits: { per_remote_address: { calls: 3, per_seconds: 600 } },
    auth: { development: true },
  };
  const network = (trusted_proxies: string[]) => ({
    ...Object.fromEntries(
      ['bind_addr', 'control_bind_addr', 'metrics_bind_addr'].map((name) => [name, '127.0.0.1:0']),
    ),
    trusted_proxies,
  });
  const behindProxy = { ...spec, network: network(['127.0.0.0/8']) };

  test('are limited before a signature is checked, whatever a client writes before its address', async () => {
    const world = await aWorld({ spec: behindProxy });
    const send = (forwarded: string, body: unknown = seal(goodCall(world))) =>
      postTo(world.gateway.url(), body, '/v1/invoke', { 'x-forwarded-for': forwarded });
    for (const spoofed of ['1.1.1.1, ', '2.2.2.2, 127.0.0.9, ', ''])
      expect((await send(`${spoofed}198.51.100.7`)).status).toBe(200);
    const refused = await send('3.3.3.3, 198.51.100.7', 'no envelope');
    expect(refused).toMatchObject({
      status: 429,
      body: { error: { code: 2005, name: 'POLICY_RATE_LIMIT_EXCEEDED' } },
    });
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(590);
    expect(seconds).toBeLessThanOrEqual(600);
    expect(refused.body.error?.details.retry_after_seconds).toBe(seconds);
    // Its envelope was not looked at, so it is good elsewhere.
    const envelope = seal(goodCall(world));
    expect((await send('198.51.100.7', envelope)).status).toBe(429);
    expect((await send('198.51.100.8', envelope)).status).toBe(200);
    // Told once; the other one is counted.
    expect(await rejectedIn(world)).toMatchObject([
      { payload: { layer: 'limit', code: 2005, remote_addr: '198.51.100.7' } },
    ]);
    expect(await countedIn(world)).toEqual({ POLICY_RATE_LIMIT_EXCEEDED: 1 });
    expect((await verifyChain(world.gateway.trail.scan())).problems).toEqual([]);
  });

  test('of an IPv6 network are those of one caller', async () => {
    const world = await aWorld({ spec: behindProxy });
    const send = (address: string) =>
      postTo(world.gateway.url(), 'x', '/v1/invoke', { forwarded: `for="[${address}]:4711"` });
    for (const host of ['1', '2', 'ffff:1:2:3']) expect((await send(`2001:db8::${host}`)).status).toBe(401);
    expect((await send('2001:db8::4')).status).toBe(429);
    expect((await send('2001:db8:0:1::4')).status).toBe(401);
  });

  test('are limited on every route of both listeners, save probes, each in its own shape', async () => {
    const world = await aWorld({ spec: behindProxy });
    const headers = { 'x-forwarded-for': '198.51.100.7' };
    const [data, control] = [world.gateway.url(), world.gateway.controlUrl()];
    const ask = (url: string, method = 'GET') => fetch(url, { method, headers });
    for (let sent = 0; sent < 3; sent += 1) await (await ask(`${data}/v1/tools`)).text();
    for (const [url, method] of [
      [`${data}/v1/tools`, 'GET'],
      [`${data}/v1/explorer`, 'POST'],
      [`${data}/nothing`, 'GET'],
      [`${control}/v1/status`, 'GET'],
      [`${control}/v1/seal/sessions`, 'POST'],
    ] as const) {
      const response = await ask(url, method);
      expect([url, response.status]).toEqual([url, 429]);
      expect(await response.json()).toMatchObject({ status: 'error', error: { code: 2005 } });
    }
    const attestation = await ask(`${data}/v1/seal/attest`, 'POST');
    expect(attestation.status).toBe(429);
    expect(Number(attestation.headers.get('retry-after'))).toBeGreaterThan(590);
    expect(await attestation.json()).toMatchObject({ status: 'error', error_code: 2005 });
    for (const url of [`${data}/healthz`, `${data}/readyz`, `${control}/healthz`])
      expect([url, (await ask(url)).status]).toEqual([url, 200]);
  });

  test('are those of the connection where no proxy is trusted, and programs of this machine are not counted', async () => {
    const world = await aWorld({ spec });
    for (let sent = 0; sent < 5; sent += 1) {
      const headers = { 'x-forwarded-for': '198.51.100.7', forwarded: 'for=198.51.100.7' };
      const answer = await postTo(world.gateway.url(), seal(goodCall(world)), '/v1/invoke', headers);
      expect(answer.status).toBe(200);
      const [authorized] = await world.gateway.eventsOf(answer);
      expect(authorized).toMatchObject({ payload: { remote_addr: '127.0.0.1' } });
    }
  });
});

describe('being refused', () => {
  const spec = { audit: { rejections_per_minute: 5 } };

  test('fills no disk: garbage, forged signatures, unknown issuers, expired tokens', async () => {
    const world = await aWorld({ spec });
    const { callers, gateway } = world;
    const forged = () => ({ ...goodCall(world), envelope_key: newKey() });
    const unknown = () => draftCall({ ...callers.main, iss: 'https://nobody.invalid' }, GOOD_TOOL);
    const late = () => ({ ...goodCall(world), timestamp: 1_700_000_000 });
    const bodies = Array.from({ length: 20 }, () => [
      '{',
      seal(forged()),
      seal(unknown()),
      seal(late()),
    ]).flat();
    const answers = await Promise.all(bodies.map((body) => gateway.post(body)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(await rejectedIn(world)).toHaveLength(4 * 5);
    expect(await countedIn(world)).toEqual({
      MALFORMED_ENVELOPE: 15,
      INVALID_SIGNATURE: 15,
      SESSION_NOT_FOUND: 15,
      TOKEN_EXPIRED: 15,
    });
  });

  test('fills no disk: one who proves who he is and may not, and his replays', async () => {
    const world = await aWorld({ spec });
    const { callers, gateway } = world;
    const denied = () => gateway.post(seal(draftCall(callers.main, 'plain.denied')));
    for (let sent = 0; sent < 20; sent += 1) expect((await denied()).body.error?.code).toBe(2001);
    const used = seal(goodCall(world));
    expect((await gateway.post(used)).status).toBe(200);
    for (let sent = 0; sent < 20; sent += 1) expect((await gateway.post(used)).body.error?.code).toBe(1007);
    expect(await rejectedIn(world)).toHaveLength(10);
    expect(await countedIn(world)).toEqual({ POLICY_TOOL_DENIED: 15, REPLAY_DETECTED: 15 });
  });

  test('for a limit is told once in its window, and claims the replay id all the same', async () => {
    const world = await aWorld({ spec });
    const { callers, gateway } = world;
    const rated = () => draftCall(callers.main, 'rated.call');
    expect((await world.send(rated())).status).toBe(200);
    const refused = Array.from({ length: 10 }, () => seal(rated()));
    for (const envelope of refused) expect((await gateway.post(envelope)).body.error?.code).toBe(2005);
    for (const envelope of refused.slice(0, 3))
      expect((await gateway.post(envelope)).body.error?.code).toBe(1007);
    const codes = (await rejectedIn(world)).map(({ payload }) => payload.code);
    expect(codes).toEqual([2005, 1007, 1007, 1007]);
    expect(await countedIn(world)).toEqual({ POLICY_RATE_LIMIT_EXCEEDED: 9 });
  });

  test('for the calls of a tenant at one time is told once', async () => {
    const world = await aWorld({ spec });
    const narrow = (tool: string) => {
      const draft = draftCall(world.callers.main, tool);
      draft.claims.tenant_id = 'narrow';
      return draft;
    };
    const held = world.send(narrow('plain.held'));
    await expect.poll(() => world.upstream.requests, PATIENTLY).toEqual(['GET /held']);
    for (let sent = 0; sent < 8; sent += 1) {
      const answer = await world.send(narrow(GOOD_TOOL));
      expect(answer).toMatchObject({ status: 429, body: { error: { code: 2005 } } });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(await rejectedIn(world)).toMatchObject([{ tenant_id: 'narrow', payload: { code: 2005 } }]);
    world.release();
    expect((await held).status).toBe(200);
    await world.gateway.restart();
    const counted = await world.gateway.trail.query({ event_type: 'RejectionsCounted' });
    expect(counted).toMatchObject([
      { tenant_id: 'narrow', payload: { count: 7, rejections: [{ agent_id: 'agent-7', count: 7 }] } },
    ]);
  });

  test('as one call too many in flight is 503, with Retry-After, and fills no disk', async () => {
    const world = await aWorld({ spec: { ...spec, limits: { max_in_flight: 1 } } });
    const held = world.send(draftCall(world.callers.main, 'plain.held'));
    await expect.poll(() => world.upstream.requests, PATIENTLY).toEqual(['GET /held']);
    for (let sent = 0; sent < 20; sent += 1) {
      const answer = await world.gateway.post('{');
      expect(answer).toMatchObject({ status: 503, body: { error: { code: 4400, name: 'OVERLOADED' } } });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(await rejectedIn(world)).toHaveLength(5);
    world.release();
    expect((await held).status).toBe(200);
    expect(await countedIn(world)).toEqual({ OVERLOADED: 15 });
  });

  test('at attestation fills no disk, by however many names', async () => {
    const world = await aWorld({ spec });
    for (let sent = 0; sent < 30; sent += 1) {
      const workload = {
        workload_id: `workload-${sent}`,
        security_context: 'main',
        public_key: Buffer.alloc(32, 1).toString('base64'),
      };
      const answer = await postTo(world.gateway.url(), workload, '/v1/seal/attest');
      expect(answer.status).toBeGreaterThanOrEqual(400);
    }
    const failed = await world.gateway.trail.query({ event_type: 'AttestationFailed' });
    expect(failed.length).toBeLessThanOrEqual(5);
    expect(failed.length).toBeGreaterThan(0);
  });
});
