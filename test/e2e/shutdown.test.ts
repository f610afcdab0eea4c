import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Example, setUp } from '../../examples/crm/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import { createEnvelope, type SealEnvelope } from '../../src/client.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { type Answer, PATIENTLY, postTo, writeManifest } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

interface Slow {
  readonly example: Example;
  readonly gateway: GatewayProcess;
  readonly upstream: Upstream;
  /** A call that is at the upstream now. */
  readonly envelope: SealEnvelope;
  readonly answer: Promise<Answer>;
  /** Lets the upstream answer. */
  release(): void;
}

test('SIGTERM: the call in flight is answered, new connections are refused, exit code 0', async () => {
  const { example, gateway, answer, release } = await callInFlight();
  gateway.process.kill('SIGTERM');
  await expect.poll(() => health(gateway), PATIENTLY).toBe('refused');
  expect(gateway.process.exitCode).toBeNull();
  release();
  expect(await answer).toMatchObject({ status: 200, body: { result: { ok: true } } });
  expect(await gateway.exited).toBe(0);
  expect(await lastEvent(example)).toBe('WorkflowInvocationCompleted');
  expect(gateway.log()).toContain('"msg":"stopped"');

  const next = await example.startGateway();
  onTestFinished(() => next.kill());
  expect(next.log()).not.toContain('did not end cleanly');
});

test('a second signal ends it at once; what it admitted stays admitted', async () => {
  const { example, gateway, envelope, answer } = await callInFlight();
  const cut = expect(answer).rejects.toThrow();
  gateway.process.kill('SIGINT');
  await expect.poll(() => gateway.log(), PATIENTLY).toContain('shutting down');
  expect(await gateway.stop()).toBe(1);
  await cut;
  expect(await lastEvent(example)).toBe('WorkflowInvocationStarted');

  const next = await example.startGateway();
  onTestFinished(() => next.kill());
  expect((await postTo(next.url, envelope)).body.error?.name).toBe('REPLAY_DETECTED');
});

test('a call that outlasts the drain is cut off, and the trail says so', async () => {
  const { example, gateway, answer } = await callInFlight({ drain_ms: 200 });
  const cut = expect(answer).rejects.toThrow();
  expect(await gateway.stop()).toBe(0);
  await cut;
  expect(await lastEvent(example)).toBe('WorkflowInvocationFailed');
});

/** The example with one tool more, of an upstream that waits, and a call of it. */
async function callInFlight(limits: Readonly<Record<string, number>> = {}): Promise<Slow> {
  const held: ServerResponse[] = [];
  const upstream = await startUpstream((_, response) => held.push(response));
  const example = await setUp({ configuration: { limits } });
  const manifests = join(example.dir, 'gateway.d');
  const document = {
    openapi: '3.1.0',
    info: { title: 'Slow', version: '1' },
    paths: { '/slow': { get: { responses: { 200: { description: 'At last.' } } } } },
  };
  writeManifest(manifests, {
    kind: 'ApiSpec',
    name: 'slow',
    spec: { source: { inline: document }, base_url: upstream.url, egress: { allow_private: true } },
  });
  writeManifest(manifests, {
    kind: 'ToolWorkflow',
    name: 'customer.slow',
    spec: {
      description: 'Waits.',
      api_spec: 'slow',
      steps: [{ name: 'wait', method: 'GET', path: '/slow' }],
    },
  });
  const gateway = await example.startGateway();
  onTestFinished(async () => {
    await gateway.kill();
    await upstream.close();
    await example.close();
  });
  const envelope = await createEnvelope({
    tool: 'customer.slow',
    security_token: await example.token(),
    private_key: example.agent.private_key,
  });
  const answer = postTo(gateway.url, envelope);
  await expect.poll(() => held.length, PATIENTLY).toBe(1);
  const release = (): void => {
    held[0]?.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  };
  return { example, gateway, upstream, envelope, answer, release };
}

async function health({ url }: GatewayProcess): Promise<string> {
  try {
    await fetch(`${url}/healthz`, { headers: { connection: 'close' } });
    return 'answered';
  } catch (error) {
    const code = ((error as Error).cause as { code?: string } | undefined)?.code;
    return code === 'ECONNREFUSED' ? 'refused' : String(code);
  }
}

async function lastEvent(example: Example): Promise<string | undefined> {
  const trail = await openSqliteReader({ path: join(example.dir, 'data/gateway.db') });
  const [event] = await trail.query({ limit: 1 });
  await trail.close();
  return event?.event_type;
}
