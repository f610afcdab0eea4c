/** A workload in a container gets a session by the container's label, on a real engine and a whole gateway. */
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createEngines } from '../../src/execute/container-engine.ts';
import { createLookAtContainer } from '../../src/execute/container-evidence.ts';
import { silentLog } from '../../src/log.ts';
import { canonical, type Key, newKey, signText, unixNow } from '../support/caller.ts';
import { BUSYBOX, describeOnEngines, haveBusybox } from '../support/engines.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { serve } from './served.ts';

const LABEL = 'com.example.workload';
const FILE = '/seal.pub';
const rawKey = ({ jwk }: Key): string => Buffer.from(String(jwk.x), 'base64url').toString('base64');

const gatewayWith = (container_host: string) =>
  serve({
    files: { 'issuer.jwk': JSON.stringify(newKey().private_key.export({ format: 'jwk' })) },
    spec: (dir) => ({
      issuer: { key_file: join(dir, 'issuer.jwk') },
      cli: { container_host },
      attestation: {
        verifiers: [
          {
            ...{ name: 'containers', type: 'container_label', label: LABEL, container_file: FILE },
            allow: [{ subject: 'payments-*', security_contexts: ['plain'], tenant: 'acme' }],
          },
        ],
      },
    }),
  });

describeOnEngines('a container that proves itself by its label', (engine) => {
  beforeAll(() => haveBusybox(engine));

  async function workload(key: Key, label = 'payments-7'): Promise<string> {
    const container = await engine.api.createContainer({
      ...{ Image: BUSYBOX, Cmd: ['/bin/sh', '-c', `echo '${rawKey(key)}' > ${FILE}; sleep 120`] },
      Labels: { [LABEL]: label },
      HostConfig: {
        NetworkMode: 'none',
        Ulimits: ['nofile', 'nproc'].map((Name) => ({ Name, Soft: 1024, Hard: 1024 })),
      },
    });
    onTestFinished(() => container.remove({ force: true, v: true }));
    await container.start();
    return container.id;
  }

  test('gets a session; nobody else does by its id', async () => {
    const gateway = await gatewayWith(engine.address);
    const [key, thief] = [newKey(), newKey()];
    const [id, other] = [await workload(key), await workload(thief, 'builder')];
    const attest = (of: Key, container: string, more: object = {}) =>
      gateway.post(
        '/v1/seal/attest',
        { public_key: rawKey(of), security_context: 'plain', workload_id: 'payments-7', ...more },
        { authorization: `Bearer seal-container-${container}` },
      );
    // They write a moment after their start, and a workload has five attempts.
    const look = createLookAtContainer(createEngines({ addresses: [engine.address], log: silentLog }));
    for (const one of [id, other])
      await expect.poll(async () => (await look(one, FILE))?.file, PATIENTLY).toMatch(/=\n$/);
    const { status, body } = await attest(key, id);
    expect({ status, body }).toMatchObject({ status: 200, body: { status: 'success' } });
    const { security_token } = body;
    const payload = { tool: 'plain.echo', arguments: {} };
    const timestamp = unixNow();
    const signature = signText(canonical({ payload, security_token, timestamp }), key);
    const called = await gateway.post('/v1/invoke', {
      ...{ protocol: 'seal/v1', security_token, signature, payload, timestamp },
    });
    expect(called.status).toBe(200);
    const shown = await gateway.ask('GET', `/v1/seal/sessions/${body.session_id}`);
    expect(shown.body).toMatchObject({ tenant_id: 'acme', agent_id: 'payments-7' });

    const refused = { status: 401, body: { status: 'error', error_code: 3000 } };
    // Another container's id; its own, of another workload; as a client sends it that knows three fields.
    expect(await attest(thief, id)).toMatchObject(refused);
    expect(await attest(thief, other)).toMatchObject(refused);
    expect(await attest(key, id, { workload_id: 'payments-8' })).toMatchObject(refused);
    const reasons = (await gateway.events('AttestationFailed')).map(({ payload }) => String(payload.reason));
    expect(reasons).toEqual([
      expect.stringContaining('holds another public key'),
      expect.stringContaining('no rule allows'),
      expect.stringContaining('no rule allows'),
    ]);
    await engine.api.getContainer(id).stop({ t: 0 });
    expect(await attest(key, id)).toMatchObject(refused);
  });
});

test('without an engine nobody does, and the answer says what is wrong', async () => {
  const gateway = await gatewayWith('unix:///nothing/here.sock');
  const proof = `seal-container-${'0'.repeat(64)}`;
  const sent = { public_key: rawKey(newKey()), security_context: 'plain', workload_id: proof };
  expect(await gateway.post('/v1/seal/attest', sent)).toMatchObject({
    status: 401,
    body: { error_code: 3002, message: 'the container engine cannot be asked at the moment' },
  });
  const [event] = await gateway.events('AttestationFailed');
  expect(event?.payload.reason).toContain('here.sock');
});
