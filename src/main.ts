#!/usr/bin/env node
/** The composition root: builds everything top to bottom, closes it in reverse. Run as a program, it is the command line. */
import type { RequestListener } from 'node:http';
import type { EventBody } from './audit/event.ts';
import { run } from './cli/program.ts';
import type { Gateway, StartOptions } from './cli/serve.ts';
import { type Clock, isoTime, systemClock } from './clock.ts';
import { type Config, gitEnvironment } from './config.ts';
import { requestCredentials } from './credentials/inject.ts';
import {
  OPERATOR_ALGORITHMS,
  type Operator,
  type OperatorIssuer,
  verifyOperator,
} from './envelope/operator.ts';
import { createEgress } from './execute/egress.ts';
import { newId } from './ids.ts';
import { createInvoker } from './invoke/invoke.ts';
import { createLimiter } from './invoke/limit.ts';
import type { Log } from './log.ts';
import { createSource } from './reconcile/create-source.ts';
import { createDrafts } from './reconcile/draft.ts';
import { createGit } from './reconcile/git.ts';
import { writeInForce } from './reconcile/in-force.ts';
import { operatorKeys } from './reconcile/operator-keys.ts';
import { createProposals } from './reconcile/propose.ts';
import { createProposeChange } from './reconcile/propose-change.ts';
import { startReconciler } from './reconcile/reconcile.ts';
import { resourcesOf } from './reconcile/resources.ts';
import { createControlPlane } from './serve/http/control/control-plane.ts';
import { createDataPlane } from './serve/http/data-plane.ts';
import { type Listener, listen } from './serve/http/listener.ts';
import { createMetrics } from './serve/http/metrics.ts';
import { createHolder } from './snapshot/holder.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { packageVersion } from './version.ts';

/** Milliseconds between two sweeps of expired replay ids. */
const PURGE_MS = 60_000;
/** Milliseconds that the body of a request may take to come, after its headers. */
const BODY_MS = 10_000;
/** Milliseconds that a shutdown waits for requests of the control listener, after the calls are drained. */
const CONTROL_DRAIN_MS = 1_000;

/** Starts a gateway. Rejects when the store or a listener cannot be had; a broken directory only makes it not ready. */
export async function startGateway(config: Config, log: Log, options: StartOptions = {}): Promise<Gateway> {
  const clock = systemClock;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const path = config.database.url.slice('sqlite://'.length);
    const store = await openSqliteStore({ path, clock, log });
    closers.push(() => store.close());

    const holder = createHolder();
    const { dir } = config.manifests;
    const { watch, policy, resync_seconds, git: remote, verify } = config.reconcile;
    const stopping = new AbortController();
    const git = createGit({ env: gitEnvironment(), signal: stopping.signal });
    const reconciler = await startReconciler({
      watch,
      policy,
      resync_seconds: remote?.interval ?? resync_seconds,
      source: createSource({ dir, git: remote, verify }, git),
      dir: remote === null ? dir : null,
      allow_prune: options.allow_prune ?? false,
      holder,
      store,
      clock,
      log,
      newId,
    });
    closers.push(() => reconciler.close());
    // A remote that does not answer is not waited for.
    closers.push(() => stopping.abort());

    const { header_timeout_ms, call_timeout_ms, drain_ms } = config.limits;
    const listenAt = (bind_addr: string, app: { callback(): RequestListener }): Promise<Listener> =>
      listen(app.callback(), {
        bind_addr,
        tls: config.tls,
        header_timeout_ms,
        request_timeout_ms: Math.min(call_timeout_ms, header_timeout_ms + BODY_MS),
        log,
      });

    const { status, applied, indexFile } = reconciler;
    const states = () => status().manifests;
    const recordAtOnce = (event: EventBody, tenant_id: string | null): Promise<void> => {
      const at = { id: newId(), execution_id: null, tenant_id, revision: status().revision };
      return store.append([{ ...event, ...at, created_at: isoTime(clock.now()) }]);
    };
    const controlPlane = createControlPlane({
      status,
      resources: () => resourcesOf(states(), applied()),
      manifests: () => writeInForce(applied(), status().revision),
      draft: createDrafts({ applied, states, indexFile }),
      propose:
        config.control.git === null
          ? null
          : createProposeChange({
              propose: createProposals(config.control.git, git),
              applied,
              states,
              record: recordAtOnce,
              newId,
            }),
      events: store,
      verifyOperator: operatorVerifier(config.auth, clock, log),
      development: config.auth.development,
      clock,
      log,
      newId,
      limits: config.limits,
    });
    // Before the data plane and closed after it: how a start and a shutdown go can be seen.
    const control = await listenAt(config.network.control_bind_addr, controlPlane);
    closers.push(() => control.close(CONTROL_DRAIN_MS));
    tellOperators(config.auth, control.url, log);

    let draining = false;
    const notReady = () => (draining ? 'shutting down' : reconciler.notReady());
    const metricsPage = createMetrics({ version: packageVersion(), status, notReady });
    const metrics = await listenAt(config.network.metrics_bind_addr, metricsPage);
    closers.push(() => metrics.close(0));

    const egress = createEgress({ version: packageVersion() });
    closers.push(() => egress.close());

    const limiter = createLimiter(clock);
    const invoker = createInvoker({
      holder,
      store,
      limiter,
      egress,
      credentials: requestCredentials({}),
      clock,
      newId,
      limits: config.limits,
    });

    const revision = () => holder.current()?.revision ?? null;
    const dataPlane = createDataPlane({
      invoker,
      clock,
      log,
      newId,
      limits: config.limits,
      notReady,
      revision,
    });
    const data = await listenAt(config.network.bind_addr, dataPlane);
    closers.push(() => {
      draining = true;
      return data.close(drain_ms);
    });

    const purge = setInterval(() => {
      store
        .purgeReplay(clock.now())
        .catch((error: unknown) => log.warn({ err: error }, 'expired replay ids could not be purged'));
    }, PURGE_MS);
    closers.push(() => clearInterval(purge));

    return { addresses: { data: data.url, control: control.url, metrics: metrics.url }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Who the bearer of an operator's token is, null for one who is none. null itself: no issuer of such tokens is named. */
function operatorVerifier(
  auth: Config['auth'],
  clock: Clock,
  log: Log,
): ((token: string) => Promise<Operator | null>) | null {
  const { operator_jwks_uri, operator_jwt_issuer } = auth;
  if (operator_jwks_uri === null || operator_jwt_issuer === null) return null;
  const issuer: OperatorIssuer = {
    issuer: operator_jwt_issuer,
    audience: auth.operator_jwt_audience,
    keys: operatorKeys(operator_jwks_uri, OPERATOR_ALGORITHMS, { clock, log }),
    role_claim: auth.operator_role_claim,
    roles: auth.operator_roles,
  };
  return (token) => verifyOperator(token, issuer, clock.now());
}

function tellOperators(auth: Config['auth'], url: string, log: Log): void {
  if (auth.development) {
    log.warn(
      { url },
      'DEVELOPMENT MODE (auth.development): everybody on this machine is an operator of the control listener',
    );
  } else if (auth.operator_jwks_uri === null) {
    log.info({ url }, 'nobody is an operator of the control listener: auth names no issuer of their tokens');
  }
}

// Undefined before Node 24.2, which would end here without a word.
if (import.meta.main === undefined) {
  process.stderr.write(`seal-gateway: Node 24.2 or later is needed; this is ${process.versions.node}\n`);
  process.exitCode = 70;
} else if (import.meta.main) {
  const console = {
    out: (text: string) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
  };
  process.exitCode = await run(process.argv.slice(2), { startGateway, console });
}
