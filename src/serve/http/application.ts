/** What the HTTP listeners share: the headers of every answer, the one exit of errors, the answer to what is no route. */
import { Router } from '@koa/router';
import Koa, { type Middleware } from 'koa';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { HttpRefusal, sendError } from './reply.ts';

export interface ApplicationDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

export interface ApplicationOptions {
  /** `WWW-Authenticate` of a 401. */
  readonly challenge: 'SEAL' | 'Bearer';
  /** Run in this order before the routes. */
  readonly before: readonly Middleware[];
}

/** An empty table of routes. One spelling a route, so that a proxy's rules in front of it mean what they say. */
export function createRouter(): Router {
  return new Router({ sensitive: true, strict: true });
}

/** The Koa application of one listener. */
export function createApplication(
  router: Router,
  deps: ApplicationDeps,
  { challenge, before }: ApplicationOptions,
): Koa {
  const app = new Koa();
  app.use(async (context, next) => {
    context.set('X-Content-Type-Options', 'nosniff');
    context.set('Cache-Control', 'no-store');
    try {
      await next();
    } catch (error) {
      sendError(context, error, { log: deps.log, now: deps.clock.now(), newId: deps.newId, challenge });
    }
  });
  for (const middleware of before) app.use(middleware);
  app.use(router.routes());
  app.use((context) => {
    const known = router.match(context.path, context.method).path.flatMap((layer) => layer.methods);
    if (known.length === 0) {
      throw new HttpRefusal('NOT_FOUND', `no route ${context.path}`);
    }
    context.set('Allow', known.join(', '));
    throw new HttpRefusal('METHOD_NOT_ALLOWED', `${context.path} takes ${known.join(', ')}`);
  });
  // What goes wrong with a connection is the client's doing: nobody fills the log with it.
  app.on('error', (error: Error) => deps.log.debug({ err: error }, 'http'));
  return app;
}
