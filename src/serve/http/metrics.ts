/** The metrics listener: `GET /metrics` in the Prometheus text format. What it tells is read when it is asked. */
import Koa from 'koa';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ManifestState, ReconcileStatus } from '../../reconcile/status.ts';

export interface MetricsDeps {
  readonly version: string;
  readonly status: () => ReconcileStatus;
  /** Why the gateway cannot serve calls now; null: it can. */
  readonly notReady: () => string | null;
}

const STATUSES: readonly ManifestState['status'][] = ['Ready', 'Stale', 'Invalid', 'Blocked'];

/** The Koa application of the metrics listener. */
export function createMetrics({ version, status, notReady }: MetricsDeps): Koa {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      ...{ name: `seal_gateway_${name}`, help, registers: [registry] },
      collect() {
        this.set(read());
      },
    });
  };
  new Gauge({
    ...{ name: 'seal_gateway_info', help: 'Version and revision in force, as labels of a constant 1.' },
    ...{ labelNames: ['version', 'revision'], registers: [registry] },
    collect() {
      this.reset();
      this.set({ version, revision: status().revision ?? '' }, 1);
    },
  });
  new Gauge({
    ...{
      name: 'seal_gateway_manifests',
      help: 'Manifests by status.',
      labelNames: ['status'],
      registers: [registry],
    },
    collect() {
      for (const one of STATUSES)
        this.set({ status: one }, status().manifests.filter((state) => state.status === one).length);
    },
  });
  gauge('ready', '1 when calls can be served.', () => Number(notReady() === null));
  gauge('reconcile_degraded', '1 when something is not as the source of manifests says.', () =>
    Number(status().degraded),
  );
  gauge('reconcile_generation', 'Snapshots since the start.', () => status().generation);
  gauge('reconcile_last_success_timestamp_seconds', 'When the source was last applied.', () =>
    seconds(status().last_success_at),
  );
  gauge('reconcile_last_error_timestamp_seconds', 'When something was last rejected.', () =>
    seconds(status().last_error_at),
  );

  const app = new Koa();
  app.use(async (context) => {
    if (context.path !== '/metrics') {
      context.status = 404;
    } else if (context.method !== 'GET' && context.method !== 'HEAD') {
      context.status = 405;
      context.set('Allow', 'GET, HEAD');
    } else {
      context.body = await registry.metrics();
      context.set('Content-Type', registry.contentType);
    }
  });
  return app;
}

/** 0: never. */
function seconds(time: string | null): number {
  return time === null ? 0 : Date.parse(time) / 1000;
}
