/** What the HTTP listeners share: the headers of every answer, the one exit of errors, the answer to what is no route. */
import type { IncomingMessage } from 'node:http';
import { Router } from '@koa/router';
import Koa, { type Middleware } from 'koa';
import type { Clock } from '../../clock.ts';
import type { CheckRemote } from '../../invoke/remote-limit.ts';
import type { Log } from '../../log.ts';
import { HttpRefusal, sendError } from './reply.ts';

export interface ApplicationDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  /** Where a request comes from (invoke/remote-address.ts); null: the connection has gone. */
  readonly remoteAddress: (request: IncomingMessage) => string | null;
  /** Rejects when that address has sent too many. */
  readonly checkRemote: CheckRemote;
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

/** Probes have no token and cost nothing, so that no limit is for them. */
const PROBES = ['/healthz', '/readyz'];

/** Before anything of a request is read, save where it comes from. */
export function limitRemote({ checkRemote }: ApplicationDeps): Middleware {
  return async (context, next) => {
    if (!PROBES.includes(context.path)) await checkRemote(remoteOf(context));
    await next();
  };
}

/** Where the request comes from; null: the connection has gone. */
export function remoteOf({ state }: { readonly state: { readonly remote_addr?: unknown } }): string | null {
  return (state.remote_addr ?? null) as string | null;
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
    const remote_addr = deps.remoteAddress(context.req);
    context.state.remote_addr = remote_addr;
    try {
      await next();
    } catch (error) {
      const { log, newId } = deps;
      sendError(context, error, { log, newId, now: deps.clock.now(), challenge, remote_addr });
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
