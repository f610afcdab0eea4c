import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type ManifestState, NOTHING_YET, type ReconcileStatus } from '../../../src/reconcile/status.ts';
import { createMetrics } from '../../../src/serve/http/metrics.ts';

async function scrape(
  status: ReconcileStatus,
  notReady: string | null = null,
  path = '/metrics',
  method = 'GET',
) {
  const app = createMetrics({ version: '9.9.9', status: () => status, notReady: () => notReady });
  const server = createServer(app.callback()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: response.status, text: await response.text() };
}

const state = (status: ManifestState['status']) => ({ status }) as ManifestState;

test('says what is in force, and that something is not as it should be', async () => {
  const manifests = [state('Ready'), state('Ready'), state('Stale')];
  const times = { last_success_at: '2026-01-01T00:00:00.500Z', last_error_at: null };
  const { text } = await scrape({ ...NOTHING_YET, ...times, revision: 'abc', generation: 3, manifests });
  expect(text).toContain('seal_gateway_info{version="9.9.9",revision="abc"} 1');
  expect(text).toContain('seal_gateway_manifests{status="Ready"} 2');
  expect(text).toContain('seal_gateway_manifests{status="Stale"} 1');
  expect(text).toContain('seal_gateway_manifests{status="Invalid"} 0');
  expect(text).toContain('seal_gateway_reconcile_degraded 1');
  expect(text).toContain('seal_gateway_reconcile_generation 3');
  expect(text).toContain('seal_gateway_reconcile_last_success_timestamp_seconds 1767225600.5');
  expect(text).toContain('seal_gateway_ready 1');
});

test('readiness follows', async () => {
  expect((await scrape(NOTHING_YET, 'no configuration')).text).toContain('seal_gateway_ready 0');
});

test('two applications in one process do not meet in one registry', async () => {
  await scrape(NOTHING_YET);
  expect((await scrape(NOTHING_YET)).status).toBe(200);
});

test.each([
  ['/', 'GET', 404],
  ['/metrics', 'POST', 405],
])('%s %s answers %i', async (path, method, status) => {
  expect((await scrape(NOTHING_YET, null, path, method)).status).toBe(status);
});
