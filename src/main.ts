#!/usr/bin/env node
/** The composition root: builds everything top to bottom, closes it in reverse. Run as a program, it is the command line. */
import { run } from './cli/program.ts';
import type { Gateway, StartOptions } from './cli/serve.ts';
import { systemClock } from './clock.ts';
import { type Config, gitEnvironment } from './config.ts';
import { requestCredentials } from './credentials/inject.ts';
import { createEgress } from './execute/egress.ts';
import { newId } from './ids.ts';
import { createInvoker } from './invoke/invoke.ts';
import { createLimiter } from './invoke/limit.ts';
import type { Log } from './log.ts';
import { createSource } from './reconcile/create-source.ts';
import { createGit } from './reconcile/git.ts';
import { startReconciler } from './reconcile/reconcile.ts';
import { createDataPlane } from './serve/http/data-plane.ts';
import { listen } from './serve/http/listener.ts';
import { createHolder } from './snapshot/holder.ts';
import { openSqliteStore } from './store/sqlite.ts';

/** Milliseconds between two sweeps of expired replay ids. */
const PURGE_MS = 60_000;

/** Starts a gateway. Rejects when the store or the listener cannot be had; a broken directory only makes it not ready. */
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
    const reconciler = await startReconciler({
      watch,
      policy,
      resync_seconds: remote?.interval ?? resync_seconds,
      source: createSource({ dir, git: remote, verify }, createGit({ env: gitEnvironment() })),
      dir: remote === null ? dir : null,
      allow_prune: options.allow_prune ?? false,
      holder,
      store,
      clock,
      log,
      newId,
    });
    closers.push(() => reconciler.close());

    const egress = createEgress();
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

    let draining = false;
    const notReady = () => (draining ? 'shutting down' : reconciler.notReady());
    const revision = () => holder.current()?.revision ?? null;
    const app = createDataPlane({ invoker, clock, log, newId, limits: config.limits, notReady, revision });
    const { header_timeout_ms, call_timeout_ms, drain_ms } = config.limits;
    const data = await listen(app.callback(), {
      bind_addr: config.network.bind_addr,
      tls: config.tls,
      header_timeout_ms,
      request_timeout_ms: call_timeout_ms,
      log,
    });
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

    return { addresses: { data: data.url }, close };
  } catch (error) {
    await close();
    throw error;
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
