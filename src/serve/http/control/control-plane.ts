/**
 * The control and inspection listener: what is in force, what happened, and how configuration is changed. It looks;
 * nothing that it serves changes what the gateway does, save that sessions are made and revoked here.
 */
import type Koa from 'koa';
import type { Middleware } from 'koa';
import { GatewayError } from '../../../errors.ts';
import type { ReconcileStatus } from '../../../reconcile/status.ts';
import type { Replica } from '../../../store/store.ts';
import { type ApplicationDeps, createApplication, createRouter, limitRemote } from '../application.ts';
import { addEvents, type EventsDeps } from './events.ts';
import { type OperatorDeps, requireOperator } from './operator.ts';
import { addResources, type ResourcesDeps } from './resources.ts';
import { addSessions, type SessionsDeps } from './sessions.ts';
import { answerWrites, type WritesDeps } from './writes.ts';

/** The engine that runs CLI tools. */
interface EngineState {
  readonly name: string | null;
  readonly version: string | null;
  readonly address: string | null;
  /** Why there is none; null: there is one. */
  readonly error: string | null;
}

export interface StatusDeps {
  readonly status: () => ReconcileStatus;
  /** Where credentials come from, and how that is doing. */
  readonly credentials: () => object;
  /** The gateways that share the store, this one too; null: they cannot be told now. */
  readonly replicas: () => readonly Replica[] | null;
  readonly engine: () => EngineState;
}

export type ControlPlaneDeps = ApplicationDeps &
  OperatorDeps &
  StatusDeps &
  ResourcesDeps &
  EventsDeps &
  SessionsDeps &
  WritesDeps;

/** Requests at one time: people and dashboards need few, and none may be in the way of calls. */
const MAX_IN_FLIGHT = 16;

/** The Koa application of the control listener. */
export function createControlPlane(deps: ControlPlaneDeps): Koa {
  const router = createRouter();
  router.get('/v1/status', answerStatus(deps));
  addResources(router, deps);
  addEvents(router, deps);
  addSessions(router, deps);
  return createApplication(router, deps, {
    challenge: 'Bearer',
    before: [answerHealth, limitRemote(deps), limitInFlight(), requireOperator(deps), answerWrites(deps)],
  });
}

/** `status --watch` asks again and again, and thousands of manifests take longer to write out than a call may wait. */
function answerStatus({ status, credentials, replicas, engine }: StatusDeps): Middleware {
  let known: ReconcileStatus['manifests'] = [];
  let text = '[]';
  return (context) => {
    const { manifests, ...whole } = status();
    // Another list after every reconcile, the same one in between.
    if (manifests !== known) {
      text = JSON.stringify(manifests);
      known = manifests;
    }
    context.type = 'application/json';
    const asides = { credentials: credentials(), replicas: replicas(), container_engine: engine() };
    const head = JSON.stringify({ ...whole, ...asides });
    context.body = `${head.slice(0, -1)},"manifests":${text}}`;
  };
}

/** For probes, which have no token. */
const answerHealth: Middleware = (context, next) => {
  if (context.path !== '/healthz' || !/^(GET|HEAD)$/.test(context.method)) return next();
  context.body = { status: 'ok' };
};

function limitInFlight(): Middleware {
  let inFlight = 0;
  return async (_, next) => {
    if (inFlight >= MAX_IN_FLIGHT) {
      const message = `the control listener has ${MAX_IN_FLIGHT} requests in flight, its limit; try again`;
      throw new GatewayError('OVERLOADED', message, { retry_after_seconds: 1 });
    }
    inFlight += 1;
    try {
      await next();
    } finally {
      inFlight -= 1;
    }
  };
}
