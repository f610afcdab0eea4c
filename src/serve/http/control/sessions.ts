/** Sessions: an operator makes them for executions, looks at them, and revokes them (docs/guides/sessions.md). */
import type { Router } from '@koa/router';
import { type Clock, isoTime } from '../../../clock.ts';
import type { SessionMaker } from '../../../invoke/establish.ts';
import { readProvision } from '../../../invoke/session-request.ts';
import type { Session, Sessions } from '../../../store/store.ts';
import { readBody } from '../body.ts';
import { HttpRefusal } from '../reply.ts';
import type { Operator } from './operator.ts';
import { invalid, parametersOf, wholeNumber } from './parameters.ts';

export interface SessionsDeps {
  readonly sessions: Pick<Sessions, 'get' | 'list'>;
  readonly maker: SessionMaker;
  readonly clock: Clock;
  readonly limits: { readonly body_bytes: number };
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 999;
const PATH = '/v1/seal/sessions';

export function addSessions(router: Router, { sessions, maker, clock, limits }: SessionsDeps): void {
  router.post(PATH, async (context) => {
    const operator = context.state.operator as Operator;
    const wanted = readProvision(parseJson(await readBody(context.req, limits.body_bytes)));
    const { session, security_token } = await maker.establish({ ...wanted, created_by: operator.subject });
    context.body = {
      saved: true,
      status: 'success',
      execution_id: session.execution_id,
      security_token,
      expires_at: isoTime(session.expires_at),
      session_status: 'Active',
    };
  });

  router.get(PATH, async (context) => {
    const given = parametersOf(context.querystring, ['tenant', 'active', 'after', 'limit']);
    const limit = wholeNumber('limit', given.limit) ?? DEFAULT_LIMIT;
    if (limit < 1 || limit > MAX_LIMIT) throw invalid(`limit must be from 1 to ${MAX_LIMIT}`);
    if (given.active !== undefined && given.active !== 'true') throw invalid('active can only be true');
    const found = await sessions.list({
      tenant_id: given.tenant,
      active_at: given.active === undefined ? undefined : clock.now(),
      after: given.after === undefined ? undefined : readCursor(given.after),
      // One more tells whether there is a next page.
      limit: limit + 1,
    });
    const page = found.slice(0, limit);
    const parameters = new URLSearchParams(context.querystring);
    if (page.length > 0) parameters.set('after', cursorOf(page.at(-1)!));
    context.body = {
      sessions: page.map((session) => shown(session, clock.now())),
      next: found.length > limit ? `${PATH}?${parameters}` : null,
    };
  });

  router.get(`${PATH}/:execution_id`, async (context) => {
    const session = await sessions.get(context.params.execution_id!);
    if (session === null) throw unknownSession(context.params.execution_id!);
    context.body = shown(session, clock.now());
  });

  router.delete(`${PATH}/:execution_id`, async (context) => {
    const execution_id = context.params.execution_id!;
    const revoked_at = await maker.revoke(execution_id, (context.state.operator as Operator).subject);
    if (revoked_at === null) throw unknownSession(execution_id);
    context.body = {
      status: 'success',
      execution_id,
      session_status: 'Revoked',
      revoked_at: isoTime(revoked_at),
    };
  });
}

function unknownSession(execution_id: string): HttpRefusal {
  return new HttpRefusal('NOT_FOUND', `there is no session ${execution_id}`);
}

/** Where a page ends: the list is in order of creation, and ids tell those of one moment apart. */
function cursorOf({ created_at, execution_id }: Session): string {
  return `${created_at}.${execution_id}`;
}

function readCursor(text: string): Pick<Session, 'created_at' | 'execution_id'> {
  const [, created_at, execution_id] = /^(\d{1,15})\.(.+)$/s.exec(text) ?? [];
  if (created_at === undefined || execution_id === undefined)
    throw invalid('after is not from a page of sessions');
  return { created_at: Number(created_at), execution_id };
}

/** Without the digest of its token, which is for comparing alone. */
function shown(session: Session, now: number) {
  const { execution_id, created_at, expires_at, revoked_at } = session;
  const { tenant_id, agent_id, security_context, public_key, allowed_tool_patterns } = session;
  return {
    ...{ execution_id, session_status: statusOf(session, now), tenant_id, agent_id, security_context },
    ...{ public_key, allowed_tool_patterns },
    created_at: isoTime(created_at),
    expires_at: isoTime(expires_at),
    revoked_at: revoked_at === null ? null : isoTime(revoked_at),
  };
}

function statusOf({ revoked_at, expires_at }: Session, now: number): 'Active' | 'Expired' | 'Revoked' {
  if (revoked_at !== null) return 'Revoked';
  return expires_at <= now ? 'Expired' : 'Active';
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw invalid('the body is not JSON');
  }
}
