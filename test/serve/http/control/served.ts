/** A control listener on loopback, over parts of which only those given are real. */

import { onTestFinished } from 'vitest';
import { systemClock } from '../../../../src/clock.ts';
import { silentLog } from '../../../../src/log.ts';
import type { ManifestState } from '../../../../src/reconcile/status.ts';
import { NOTHING_YET } from '../../../../src/reconcile/status.ts';
import {
  type ControlPlaneDeps,
  createControlPlane,
} from '../../../../src/serve/http/control/control-plane.ts';
import { listen } from '../../../../src/serve/http/listener.ts';
import type { PositionedEvent, Replica } from '../../../../src/store/store.ts';

export const BODY_LIMIT = 1024;
/** What {@link serveControl} says of the container engine. */
export const NO_ENGINE = { name: null, version: null, address: null, error: 'there is none' };

const unexpected = (): never => {
  throw new Error('this is not called');
};

/** Where credentials come from: nowhere. */
/** This gateway alone. */
export const REPLICAS: readonly Replica[] = [
  {
    instance: 'run-1',
    address: 'http://127.0.0.1:8089',
    revision: 'rev-1',
    version: '0.1.0',
    started_at: '2026-01-01T00:00:00.000Z',
    seen_at: '2026-01-01T00:00:01.000Z',
  },
];
export const CREDENTIALS = { openbao: null, development_providers: [], open_leases: 0 };

/** The URL. Whoever is on this machine is an operator, unless told otherwise. */
export async function serveControl(deps: Partial<ControlPlaneDeps> = {}): Promise<string> {
  const app = createControlPlane({
    status: () => NOTHING_YET,
    credentials: () => CREDENTIALS,
    replicas: () => REPLICAS,
    engine: () => NO_ENGINE,
    resources: () => [],
    manifests: () => [],
    draft: unexpected,
    propose: null,
    events: { query: unexpected },
    sessions: { get: unexpected, list: unexpected },
    maker: { establish: unexpected, prepare: unexpected, revoke: unexpected },
    verifyOperator: null,
    development: true,
    clock: systemClock,
    log: silentLog,
    newId: () => 'id-1',
    remoteAddress: () => '127.0.0.1',
    checkRemote: async () => {},
    limits: { body_bytes: BODY_LIMIT },
    ...deps,
  });
  const listener = await listen(app.callback(), {
    bind_addr: '127.0.0.1:0',
    tls: { cert_file: null, key_file: null, client_ca_file: null },
    header_timeout_ms: 5_000,
    request_timeout_ms: 5_000,
    log: silentLog,
  });
  onTestFinished(() => listener.close(0));
  return listener.url;
}

/** What the routes answer, each with some of these. */
export interface Body {
  readonly items: readonly unknown[];
  readonly events: readonly PositionedEvent[];
  readonly next: string | null;
  readonly error: {
    readonly code?: number;
    readonly name?: string;
    readonly message: string;
    readonly details?: unknown;
  };
}

export async function getJson(url: string): Promise<{ readonly status: number; readonly body: Body }> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as Body };
}

export function aState(more: Partial<ManifestState> = {}): ManifestState {
  return {
    kind: 'ApiSpec',
    tenant: null,
    name: 'crm',
    status: 'Ready',
    reason: null,
    file: 'crm.yaml',
    line: 1,
    column: 1,
    digest: 'd1',
    applied_digest: 'd1',
    revision_attempted: 'rev-1',
    revision_applied: 'rev-1',
    changed_at: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}
