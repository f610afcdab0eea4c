/**
 * The control and inspection listener (design section 6): what is in force, what happened, and how configuration is
 * changed. It looks; nothing that it serves changes what the gateway does.
 */
import type Koa from 'koa';
import type { Middleware } from 'koa';
import { GatewayError } from '../../../errors.ts';
import type { ReconcileStatus } from '../../../reconcile/status.ts';
import { type ApplicationDeps, createApplication, createRouter } from '../application.ts';
import { addEvents, type EventsDeps } from './events.ts';
import { type OperatorDeps, requireOperator } from './operator.ts';
import { addResources, type ResourcesDeps } from './resources.ts';
import { answerWrites, type WritesDeps } from './writes.ts';

export type ControlPlaneDeps = ApplicationDeps & OperatorDeps & ResourcesDeps & EventsDeps & WritesDeps;

/** Requests at one time: people and dashboards need few, and none may be in the way of calls. */
const MAX_IN_FLIGHT = 16;

/** The Koa application of the control listener. */
export function createControlPlane(deps: ControlPlaneDeps): Koa {
  const router = createRouter();
  router.get('/v1/status', answerStatus(deps.status));
  addResources(router, deps);
  addEvents(router, deps);
  return createApplication(router, deps, {
    challenge: 'Bearer',
    before: [answerHealth, limitInFlight(), requireOperator(deps), answerWrites(deps)],
  });
}

/** `status --watch` asks again and again, and thousands of manifests take longer to write out than a call may wait. */
function answerStatus(status: () => ReconcileStatus): Middleware {
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
    context.body = `${JSON.stringify(whole).slice(0, -1)},"manifests":${text}}`;
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
