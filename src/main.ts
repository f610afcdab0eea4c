#!/usr/bin/env node
/** The composition root: builds everything top to bottom, closes it in reverse. Run as a program, it is the command line. */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { EventBody } from './audit/event.ts';
import { EXIT } from './cli/output.ts';
import { run } from './cli/program.ts';
import type { Gateway, StartOptions } from './cli/serve.ts';
import { isoTime, systemClock } from './clock.ts';
import { containerHosts, gitEnvironment, secretVariables } from './config.ts';
import type { Config } from './config-shape.ts';
import { createCredentials } from './credentials/call.ts';
import { createSources } from './credentials/sources.ts';
import { createCliRunner } from './execute/cli-run.ts';
import { createEngines } from './execute/container-engine.ts';
import { createLookAtContainer } from './execute/container-evidence.ts';
import { download } from './execute/download.ts';
import { createEgress } from './execute/egress.ts';
import { isDead, thisInstance } from './execute/instance.ts';
import { createSlicer } from './execute/slicer.ts';
import { newId } from './ids.ts';
import { createAttest } from './invoke/attest.ts';
import { createSessionMaker } from './invoke/establish.ts';
import { closeInterrupted } from './invoke/interrupted.ts';
import { createInvoker } from './invoke/invoke.ts';
import { createLimiter } from './invoke/limit.ts';
import { createRejections } from './invoke/rejections.ts';
import { remoteAddress, trustedProxies } from './invoke/remote-address.ts';
import { createRemoteLimit } from './invoke/remote-limit.ts';
import { createSessionFinder } from './invoke/session.ts';
import type { Log } from './log.ts';
import { createSource } from './reconcile/create-source.ts';
import { createDrafts } from './reconcile/draft.ts';
import { createGit } from './reconcile/git.ts';
import { writeInForce } from './reconcile/in-force.ts';
import { createProposals } from './reconcile/propose.ts';
import { createProposeChange } from './reconcile/propose-change.ts';
import { startReconciler } from './reconcile/reconcile.ts';
import { resourcesOf } from './reconcile/resources.ts';
import { createControlPlane } from './serve/http/control/control-plane.ts';
import { createDataPlane } from './serve/http/data-plane.ts';
import { type Listener, listen } from './serve/http/listener.ts';
import { createMetrics } from './serve/http/metrics.ts';
import { createHolder } from './snapshot/holder.ts';
import { openStore } from './store/open.ts';
import { startPresence } from './store/presence.ts';
import type { Replica } from './store/store.ts';
import { startUpkeep } from './store/upkeep.ts';
import { operatorVerifier, ownIssuer, userVerifier, workloadVerifier } from './trust.ts';
import { packageVersion } from './version.ts';

/** Milliseconds that the body of a request may take to come, after its headers. */
const BODY_MS = 10_000;
/** Milliseconds between two looks for calls that others were killed at. */
const INTERRUPTED_MS = 60_000;
/** Milliseconds between two events about rejections that were counted. */
const COUNTED_MS = 60_000;
/** Remote addresses and workloads that are remembered: their names are anybody's to make up. */
const MAX_UNKNOWN = 20_000;
/** Milliseconds that a shutdown waits for the removal of containers that have ended. */
const REMOVAL_MS = 5_000;
/**
 * Milliseconds that a lease is noted for beyond the longest call: what is still under way is not taken for a crash's,
 * also by a gateway whose clock is ahead.
 */
const LEASE_MARGIN_MS = 60_000;
/** Milliseconds that a shutdown waits for requests of the control listener, after the calls are drained. */
const CONTROL_DRAIN_MS = 1_000;

type ListenerKey = 'bind_addr' | 'control_bind_addr' | 'metrics_bind_addr';

/** Starts a gateway. Rejects when the store or a listener cannot be had; a broken directory only makes it not ready. */
export async function startGateway(config: Config, log: Log, options: StartOptions = {}): Promise<Gateway> {
  const clock = options.clock ?? systemClock;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const store = await openStore({ url: config.database.url, clock, log });
    closers.push(() => store.close());

    const { call_timeout_ms } = config.limits;
    const interrupted = async (): Promise<void> => {
      const count = await closeInterrupted({ store, clock, newId, isDead, call_timeout_ms });
      if (count > 0) log.warn({ count }, 'calls were interrupted when their gateway ended');
    };
    await interrupted();

    const egress = createEgress({ version: packageVersion() });
    closers.push(() => egress.close());
    const instance = thisInstance();
    const engines = createEngines({ addresses: containerHosts(config.cli), log });
    const cli = createCliRunner({
      settings: config.cli,
      engines,
      instance,
      egress,
      clock,
      log,
    });
    closers.push(() => cli.close(REMOVAL_MS));

    const { prefix } = config.credentials.env;
    const sources = createSources({
      settings: config.credentials,
      variables: prefix === null ? null : secretVariables(prefix),
      verifyUser: userVerifier(config.credentials.token_exchange, clock, log),
      leases: store.leases,
      bindings: store.bindings,
      holder: newId(),
      longest_call_ms: call_timeout_ms + LEASE_MARGIN_MS,
      clock,
      log,
    });
    // After the calls are drained: their leases are revoked before the gateway ends.
    closers.push(() => sources.close());
    const credentials = createCredentials({ providers: sources.providers, clock });
    closers.push(() => credentials.ended());

    const holder = createHolder(({ tools, tenants }) => {
      // Before there is a call, in the name of the tool's own tenant.
      cli.prepare(tools.values(), ({ tenant }) =>
        credentials.open({
          principal: {
            ...{ tenant: tenants.get(tenant ?? '') ?? null, tenants, agent: 'seal-gateway', context: '' },
            ...{ user_token: null, allow_human_delegated: false },
          },
          emit: () => {},
        }),
      );
    });
    const own_issuer = ownIssuer(config.issuer, sources, { clock, log });
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
      own_issuer: own_issuer?.issuer ?? null,
      store,
      bindings: store.bindings !== null,
      fetchDocument: ({ url, egress: allowed }, limits) =>
        download(egress, url, { ...limits, egress: allowed }),
      clock,
      log,
      newId,
    });
    closers.push(() => reconciler.close());
    // A remote that does not answer is not waited for.
    closers.push(() => stopping.abort());

    const { header_timeout_ms, drain_ms } = config.limits;
    const listenAt = (key: ListenerKey, app: { callback(): RequestListener }): Promise<Listener> =>
      listen(app.callback(), {
        bind_addr: config.network[key],
        key: `network.${key}`,
        tls: config.tls,
        header_timeout_ms,
        request_timeout_ms: Math.min(call_timeout_ms, header_timeout_ms + BODY_MS),
        log,
      });

    const verifyOperatorToken = operatorVerifier(config.auth, clock, log);
    const { status, applied, indexFile } = reconciler;
    const states = () => status().manifests;
    const recordAtOnce = (event: EventBody, tenant_id: string | null): Promise<void> => {
      const at = { id: newId(), execution_id: null, tenant_id, revision: status().revision };
      return store.append([{ ...event, ...at, created_at: isoTime(clock.now()) }]);
    };
    // Known once the data plane has its address.
    let replicas: () => readonly Replica[] | null = () => null;
    const finder = createSessionFinder(store.sessions);
    const maker = createSessionMaker({ holder, store, own_issuer, clock, newId });
    const unknown = () => createLimiter(clock, MAX_UNKNOWN);
    const per_minute = config.audit.rejections_per_minute;
    const rejections = createRejections({ clock, limiter: unknown(), per_minute });
    const countedEvents = (): Promise<void> =>
      rejections
        .flush(recordAtOnce)
        .catch((error: unknown) => log.warn({ err: error }, 'counted rejections could not be written'));
    const counting = setInterval(countedEvents, COUNTED_MS);
    closers.push(() => {
      clearInterval(counting);
      return countedEvents();
    });
    const isTrusted = trustedProxies(config.network.trusted_proxies);
    const application = {
      ...{ clock, log, newId },
      remoteAddress: ({ socket, headers }: IncomingMessage) =>
        remoteAddress(
          {
            peer: socket.remoteAddress,
            x_forwarded_for: headers['x-forwarded-for'] as string | undefined,
            forwarded: headers.forwarded,
          },
          isTrusted,
        ),
      checkRemote: createRemoteLimit({
        limit: config.limits.per_remote_address,
        limiter: unknown(),
        revision: () => status().revision,
        ...{ rejections, store, clock, newId, log },
      }),
    };
    const controlPlane = createControlPlane({
      ...application,
      status,
      replicas: () => replicas(),
      credentials: sources.status,
      engine: cli.state,
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
      sessions: store.sessions,
      maker,
      verifyOperator: verifyOperatorToken,
      development: config.auth.development,
      limits: config.limits,
    });
    // Before the data plane and closed after it: how a start and a shutdown go can be seen.
    const control = await listenAt('control_bind_addr', controlPlane);
    closers.push(() => control.close(CONTROL_DRAIN_MS));
    tellOperators(config.auth, control.url, log);

    let draining = false;
    const notReady = () => (draining ? 'shutting down' : (reconciler.notReady() ?? sources.notReady()));
    const metricsPage = createMetrics({ version: packageVersion(), status, notReady });
    const metrics = await listenAt('metrics_bind_addr', metricsPage);
    closers.push(() => metrics.close(0));

    const slicer = createSlicer();
    closers.push(() => slicer.close());

    const limiter = createLimiter(clock);
    const invoker = createInvoker({
      holder,
      store,
      limiter,
      rejections,
      sessions: finder,
      egress,
      cli,
      slicer,
      credentials: credentials.open,
      clock,
      newId,
      instance,
      limits: config.limits,
      operator_context: config.auth.operator_security_context,
    });

    const revision = () => holder.current()?.revision ?? null;
    const look = createLookAtContainer(engines);
    const verifiers = config.attestation.verifiers.map((one) => workloadVerifier(one, { clock, log, look }));
    const dataPlane = createDataPlane({
      ...application,
      invoker,
      attest: createAttest({
        ...{ verifiers, maker, own_issuer, holder, store, limiter: unknown(), rejections, clock, newId },
      }),
      jwks: async () => own_issuer?.jwks() ?? { keys: [] },
      limits: config.limits,
      verifyOperator: verifyOperatorToken,
      notReady,
      revision,
      openbao: () => sources.status().openbao?.health ?? null,
    });
    const data = await listenAt('bind_addr', dataPlane);
    closers.push(() => {
      draining = true;
      return data.close(drain_ms);
    });

    const neighbours = startPresence(store, log, () => ({ address: data.url, revision: revision() }));
    closers.push(() => neighbours.close());
    replicas = neighbours.replicas;
    const { retention_days } = config.audit;
    closers.push(startUpkeep({ store, clock, log, retention_days }));
    const looking = setInterval(() => {
      interrupted().catch((error: unknown) =>
        log.warn({ err: error }, 'interrupted calls could not be looked for'),
      );
    }, INTERRUPTED_MS);
    closers.push(() => clearInterval(looking));

    return { addresses: { data: data.url, control: control.url, metrics: metrics.url }, close };
  } catch (error) {
    await close();
    throw error;
  }
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
  // Whoever read the output has gone, as `head` does when it has enough: an end like that by SIGPIPE, which Node ignores.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.pipe_closed);
  });
  // A gateway goes on without those who read its messages.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.exitCode = await run(process.argv.slice(2), { startGateway, console });
}
