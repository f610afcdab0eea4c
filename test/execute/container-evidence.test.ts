/** What a real engine says of containers; and what is said where there is none. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createEngines } from '../../src/execute/container-engine.ts';
import { createLookAtContainer } from '../../src/execute/container-evidence.ts';
import { silentLog } from '../../src/log.ts';
import { BUSYBOX, describeOnEngines, haveBusybox } from '../support/engines.ts';

/** Podman's defaults for the second are above what this machine may set. */
const QUIET = {
  NetworkMode: 'none',
  Ulimits: ['nofile', 'nproc'].map((Name) => ({ Name, Soft: 1024, Hard: 1024 })),
};
const lookOn = (address: string) =>
  createLookAtContainer(createEngines({ addresses: [address], log: silentLog }));
const awayWith = (reason: RegExp) =>
  expect.objectContaining({
    name: 'ATTESTATION_FAILED',
    cause: expect.objectContaining({ message: expect.stringMatching(reason) }),
  });

describeOnEngines('evidence of a container', (engine) => {
  beforeAll(() => haveBusybox(engine));

  async function started(script: string, more: object = {}) {
    const container = await engine.api.createContainer({
      ...{ Image: BUSYBOX, Cmd: ['/bin/sh', '-c', `${script}; sleep 120`], ...more },
    });
    onTestFinished(() => container.remove({ force: true, v: true }));
    await container.start();
    return container;
  }

  test('its whole id, its labels, its mounts, and the file that it has written', async () => {
    const container = await started('echo hello > /seal.pub', {
      Labels: { 'com.example.workload': 'payments' },
      HostConfig: { ...QUIET, Binds: ['/usr/share:/data:ro'] },
    });
    const look = lookOn(engine.address);
    await expect
      .poll(() => look(container.id.slice(0, 12), '/seal.pub'), { timeout: 10_000 })
      .toMatchObject({ file: 'hello\n' });
    const found = await look(container.id, '/seal.pub');
    expect(found).toMatchObject({ id: container.id, mounts: ['/data'] });
    expect(found?.labels).toMatchObject({ 'com.example.workload': 'payments' });
    expect(found?.image_labels).toEqual({});
    for (const path of ['/nothing', '/bin', '/bin/sh', '/bin/busybox'])
      expect(await look(container.id, path), path).toMatchObject({ file: null });
    await container.stop({ t: 0 });
    expect(await look(container.id, '/seal.pub')).toBeNull();
  });

  test('what its image brings is told apart', async () => {
    const first = await started('true', { HostConfig: QUIET });
    const { Id } = await first.commit({ changes: 'LABEL com.example.workload=payments' });
    onTestFinished(() => engine.api.getImage(Id).remove({ force: true }));
    const second = await started('true', { Image: Id, HostConfig: QUIET });
    const found = await lookOn(engine.address)(second.id, '/seal.pub');
    expect(found?.labels).toMatchObject({ 'com.example.workload': 'payments' });
    expect(found?.image_labels).toMatchObject({ 'com.example.workload': 'payments' });
  });

  test('a container that is none', async () => {
    expect(await lookOn(engine.address)('0'.repeat(64), '/x')).toBeNull();
  });
});

describe('where the engine cannot be asked', () => {
  test('there is none', async () => {
    const look = lookOn('unix:///nothing/here.sock');
    await expect(look('0'.repeat(64), '/x')).rejects.toEqual(awayWith(/nothing\/here\.sock/));
  });

  test('it fails, and the next one who asks is heard', async () => {
    let failing = true;
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      if (request.url?.endsWith('/version'))
        return response.end('{"Version": "1", "ApiVersion": "1.44", "MinAPIVersion": "1.24"}');
      response.statusCode = failing ? 500 : 404;
      response.end('{"message": "the disk is full"}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const look = lookOn(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(look('0'.repeat(64), '/x')).rejects.toEqual(awayWith(/the disk is full/));
    failing = false;
    expect(await look('0'.repeat(64), '/x')).toBeNull();
  });

  test('four ask at one time, no more', async () => {
    const held: (() => void)[] = [];
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      if (request.url?.endsWith('/version')) return response.end('{"Version": "1", "ApiVersion": "1.44"}');
      response.statusCode = 404;
      held.push(() => response.end('{}'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const look = lookOn(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const all = Promise.allSettled([1, 2, 3, 4, 5].map(() => look('0'.repeat(64), '/x')));
    await expect.poll(() => held.length).toBe(4);
    for (const release of held) release();
    const outcomes = (await all).map((one) => (one.status === 'fulfilled' ? one.value : one.reason.name));
    expect(outcomes).toEqual([null, null, null, null, 'OVERLOADED']);
  });
});
