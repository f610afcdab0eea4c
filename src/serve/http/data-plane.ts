/** The data plane's routes (design section 6). They only translate to and from the invoker. */
import { Router } from '@koa/router';
import Koa from 'koa';
import type { Clock } from '../../clock.ts';
import { GatewayError } from '../../errors.ts';
import type { Invoker } from '../../invoke/invoke.ts';
import type { Log } from '../../log.ts';
import { readBody } from './body.ts';
import { sendError, successBody } from './reply.ts';

export interface DataPlaneDeps {
  readonly invoker: Invoker;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly limits: { readonly body_bytes: number };
  /** Why the gateway cannot serve calls now; null: it can. */
  readonly notReady: () => string | null;
  readonly revision: () => string | null;
}

/** The Koa application of the data plane. */
export function createDataPlane(deps: DataPlaneDeps): Koa {
  const app = new Koa();
  // One spelling a route, so that a proxy's rules in front of it mean what they say.
  const router = new Router({ sensitive: true, strict: true });

  app.use(async (context, next) => {
    context.set('X-Content-Type-Options', 'nosniff');
    context.set('Cache-Control', 'no-store');
    try {
      await next();
    } catch (error) {
      sendError(context, error, { log: deps.log, now: deps.clock.now(), newId: deps.newId });
    }
  });

  router.post(['/v1/invoke', '/v1/seal/invoke'], async (context) => {
    const signal = whenGone(context.res);
    const reply = await deps.invoker.invoke(() => readBody(context.req, deps.limits.body_bytes), signal);
    context.type = 'application/json';
    context.body = successBody(reply);
  });

  router.get('/v1/tools', async (context) => {
    context.body = await deps.invoker.tools(bearerOf(context.get('Authorization')));
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

  app.use(router.routes());
  app.use((context) => {
    const known = router.match(context.path, context.method).path.flatMap((layer) => layer.methods);
    context.status = known.length > 0 ? 405 : 404;
    if (known.length > 0) context.set('Allow', known.join(', '));
    context.body = {
      status: 'error',
      error: {
        message: known.length > 0 ? `${context.path} takes ${known.join(', ')}` : `no route ${context.path}`,
      },
    };
  });
  app.on('error', (error) => deps.log.warn({ err: error }, 'http'));
  return app;
}

function bearerOf(header: string): string {
  const match = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(header);
  if (match?.[1] === undefined) {
    throw new GatewayError(
      'TOKEN_VERIFICATION_FAILED',
      'send the security token as "Authorization: Bearer <token>"',
    );
  }
  return match[1];
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
