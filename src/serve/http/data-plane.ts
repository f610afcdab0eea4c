/** The data plane's routes. They only translate to and from the invoker. */
import type Koa from 'koa';
import { GatewayError } from '../../errors.ts';
import type { Invoker } from '../../invoke/invoke.ts';
import { type ApplicationDeps, createApplication, createRouter } from './application.ts';
import { bearerOf } from './bearer.ts';
import { readBody } from './body.ts';
import { successBody } from './reply.ts';

export interface DataPlaneDeps extends ApplicationDeps {
  readonly invoker: Invoker;
  readonly limits: { readonly body_bytes: number };
  /** Why the gateway cannot serve calls now; null: it can. */
  readonly notReady: () => string | null;
  readonly revision: () => string | null;
}

/** The Koa application of the data plane. */
export function createDataPlane(deps: DataPlaneDeps): Koa {
  const router = createRouter();

  router.post(['/v1/invoke', '/v1/seal/invoke'], async (context) => {
    const signal = whenGone(context.res);
    const reply = await deps.invoker.invoke(() => readBody(context.req, deps.limits.body_bytes), signal);
    context.type = 'application/json';
    context.body = successBody(reply);
  });

  router.get('/v1/tools', async (context) => {
    context.body = await deps.invoker.tools(bearerOf(context.get('Authorization'), 'the security token'));
  });

  router.get('/healthz', (context) => {
    context.body = { status: 'ok' };
  });

  router.get('/readyz', (context) => {
    const reason = deps.notReady();
    context.status = reason === null ? 200 : 503;
    context.body =
      reason === null ? { status: 'ready', revision: deps.revision() } : { status: 'not ready', reason };
  });

  return createApplication(router, deps, { challenge: 'SEAL', before: [] });
}

/** Aborts when the client goes away before the reply is sent. */
function whenGone(response: {
  once(event: 'close', listener: () => void): unknown;
  writableFinished: boolean;
}): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished)
      controller.abort(new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away'));
  });
  return controller.signal;
}
