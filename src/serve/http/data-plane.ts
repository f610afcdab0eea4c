/** The data plane's routes. They only translate to and from the invoker. */
import type Koa from 'koa';
import type { Middleware, ParameterizedContext } from 'koa';
import { isoTime } from '../../clock.ts';
import { GatewayError } from '../../errors.ts';
import type { Attest } from '../../invoke/attest.ts';
import type { Operator } from '../../invoke/authenticate.ts';
import { asGatewayError } from '../../invoke/call.ts';
import type { Invoker } from '../../invoke/invoke.ts';
import type { Log } from '../../log.ts';
import {
  type ApplicationDeps,
  createApplication,
  createRouter,
  limitRemote,
  remoteOf,
} from './application.ts';
import { bearerOf } from './bearer.ts';
import { BodyTooLarge, readBody } from './body.ts';
import { successBody } from './reply.ts';

export interface DataPlaneDeps extends ApplicationDeps {
  readonly invoker: Invoker;
  readonly attest: Attest;
  /** The keys of the gateway's own tokens. */
  readonly jwks: () => Promise<{ readonly keys: readonly unknown[] }>;
  readonly limits: { readonly body_bytes: number };
  /** Who the bearer of an operator's token is; null: no operator. null itself: nobody can have such a token. */
  readonly verifyOperator: ((token: string) => Promise<Operator | null>) | null;
  /** Why the gateway cannot serve calls now; null: it can. */
  readonly notReady: () => string | null;
  readonly revision: () => string | null;
  /** How the OpenBao server is doing; null: there is none. */
  readonly openbao: () => string | null;
}

/** The Koa application of the data plane. */
export function createDataPlane(deps: DataPlaneDeps): Koa {
  const router = createRouter();

  router.post(['/v1/invoke', '/v1/seal/invoke'], async (context) => {
    const signal = whenGone(context.res);
    const body = () => readBody(context.req, deps.limits.body_bytes);
    const reply = await deps.invoker.invoke(body, signal, {
      user_token: userTokenOf(context.get('x-user-token')),
      remote_addr: remoteOf(context),
    });
    context.type = 'application/json';
    context.body = successBody(reply);
  });

  router.post('/v1/explorer', async (context) => {
    const signal = whenGone(context.res);
    const read = () => readBody(context.req, deps.limits.body_bytes);
    const { authorization } = context.headers;
    const remote_addr = remoteOf(context);
    // An operator proves itself by a header, everybody else by the envelope.
    const reply =
      authorization === undefined
        ? await deps.invoker.invoke(read, signal, {
            only: 'api.explore',
            user_token: userTokenOf(context.get('x-user-token')),
            remote_addr,
          })
        : await deps.invoker.explore(read, () => operatorOf(authorization, deps.verifyOperator), signal, {
            remote_addr,
          });
    context.type = 'application/json';
    context.body = successBody(reply);
  });

  router.get('/v1/tools', async (context) => {
    const token = bearerOf(context.get('Authorization'), 'the security token');
    context.body = await deps.invoker.tools(token, { remote_addr: remoteOf(context) });
  });

  router.post(ATTEST, async (context) => {
    const body = parseJson(await readBody(context.req, deps.limits.body_bytes));
    const proof = context.get('Authorization');
    const { session, security_token } = await deps.attest(
      body,
      proof === '' ? null : bearerOf(proof, 'the proof of the workload'),
      remoteOf(context),
    );
    context.body = {
      status: 'success',
      security_token,
      expires_at: isoTime(session.expires_at),
      session_id: session.execution_id,
    };
  });

  router.get('/.well-known/jwks.json', async (context) => {
    context.body = JSON.stringify(await deps.jwks());
    // RFC 7517 section 8.5.
    context.type = 'application/jwk-set+json';
    context.set('Cache-Control', `public, max-age=${JWKS_MAX_AGE_SECONDS}`);
  });

  router.get('/healthz', (context) => {
    context.body = { status: 'ok' };
  });

  router.get('/readyz', (context) => {
    const reason = deps.notReady();
    const openbao = deps.openbao();
    context.status = reason === null ? 200 : 503;
    context.body = {
      ...(reason === null ? { status: 'ready', revision: deps.revision() } : { status: 'not ready', reason }),
      ...(openbao !== null && { openbao }),
    };
  });

  return createApplication(router, deps, {
    challenge: 'SEAL',
    before: [answerAttestations(deps.log), limitRemote(deps)],
  });
}

const ATTEST = '/v1/seal/attest';
/** A new key is known to whoever asks again so much later; one that is taken out is believed no longer than that. */
const JWKS_MAX_AGE_SECONDS = 60;

/** Errors of attestation have a shape of their own, whoever throws them. */
function answerAttestations(log: Log): Middleware {
  return async (context, next) => {
    if (context.path !== ATTEST || context.method !== 'POST') return next();
    try {
      await next();
    } catch (error) {
      refuseAttestation(context, error, log);
    }
  };
}

function refuseAttestation(context: ParameterizedContext, thrown: unknown, log: Log): void {
  const error = asGatewayError(thrown);
  if (error.name === 'INTERNAL') log.error({ err: error.cause }, 'attestation failed');
  context.status = thrown instanceof BodyTooLarge ? 413 : error.row.http;
  if (error.retry_after_seconds !== null) context.set('Retry-After', String(error.retry_after_seconds));
  if (error.row.http === 401) context.set('WWW-Authenticate', 'Bearer');
  context.body = { status: 'error', error_code: error.row.code, message: error.message };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new GatewayError('INVALID_ARGUMENTS', 'the body is not JSON');
  }
}

/** The token alone, or as one writes a bearer. null: there is none; whether it is one is judged when it is needed. */
function userTokenOf(header: string): string | null {
  const token = header.replace(/^Bearer /i, '').trim();
  return token === '' ? null : token;
}

function operatorOf(
  authorization: string,
  verifyOperator: DataPlaneDeps['verifyOperator'],
): Promise<Operator | null> {
  if (verifyOperator === null) {
    const message =
      'this gateway knows no operators (auth.operator_jwks_uri); send an envelope, without Authorization';
    throw new GatewayError('TOKEN_VERIFICATION_FAILED', message);
  }
  return verifyOperator(bearerOf(authorization, "an operator's token"));
}

/** Aborts when the client goes away before the reply is sent. */
function whenGone(response: {
  once(event: 'close', listener: () => void): unknown;
  writableFinished: boolean;
}): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (response.writableFinished) return;
    // The code is one that nobody reads; the trail must not blame the upstream.
    const options = { layer: 'caller', details: { reason: 'caller_gone' } } as const;
    controller.abort(new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away', options));
  });
  return controller.signal;
}
