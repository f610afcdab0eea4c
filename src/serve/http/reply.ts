/** The two shapes of a reply (docs/signing.md, The reply), and the one exit for errors of the HTTP transport. */
import type { ParameterizedContext } from 'koa';
import { isoTime } from '../../clock.ts';
import type { GatewayError } from '../../errors.ts';
import { asGatewayError, CallError, type CallReply } from '../../invoke/call.ts';
import type { Log } from '../../log.ts';
import { BodyTooLarge } from './body.ts';

/** Success for every client family at once: the JSON-RPC payload and the bare result. */
export function successBody(reply: CallReply): string {
  const meta = JSON.stringify({
    execution_id: reply.execution_id,
    event_id: reply.event_id,
    revision: reply.revision,
    duration_ms: reply.duration_ms,
  });
  // The result is JSON text already; it is not parsed and written again for each place it stands in.
  return `{"protocol":"seal/v1","status":"success","payload":{"jsonrpc":"2.0","id":${JSON.stringify(reply.request_id)},"result":${reply.result_json}},"result":${reply.result_json},"meta":${meta}}`;
}

/**
 * A refusal that no row of the error table is about: it is HTTP's own. Its code is the HTTP status, which no row has:
 * theirs begin at 1000.
 */
export class HttpRefusal extends Error {
  declare readonly name: keyof typeof REFUSALS;
  readonly status: number;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(name: keyof typeof REFUSALS, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    Object.defineProperty(this, 'name', { value: name });
    this.status = REFUSALS[name];
    this.details = details;
  }
}

const REFUSALS = { FORBIDDEN: 403, NOT_FOUND: 404, METHOD_NOT_ALLOWED: 405, CONFLICT: 409 } as const;

interface ErrorDeps {
  readonly log: Log;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly newId: () => string;
  readonly challenge: string;
  readonly remote_addr: string | null;
}

/** Writes the error reply. An unknown error is logged with its stack and answered blank, with an id that both carry. */
export function sendError(context: ParameterizedContext, thrown: unknown, deps: ErrorDeps): void {
  if (thrown instanceof HttpRefusal) {
    const { status, name, message, details } = thrown;
    send(context, status, { code: status, name, message, request_id: deps.newId(), details }, deps);
    return;
  }
  const error = thrown instanceof CallError ? thrown.error : asGatewayError(thrown);
  const request_id = thrown instanceof CallError ? thrown.request_id : deps.newId();
  const execution = thrown instanceof CallError ? { execution_id: thrown.execution_id } : {};
  if (error.row.http >= 500) {
    const facts = { name: error.name, request_id, remote_addr: deps.remote_addr, ...execution };
    deps.log[levelOf(error)]({ err: error.cause ?? error, ...facts }, error.message);
  }
  if (error.retry_after_seconds !== null) context.set('Retry-After', String(error.retry_after_seconds));
  if (error.row.http === 401) context.set('WWW-Authenticate', deps.challenge);
  const { name, message, row } = error;
  const details = { ...error.details, ...execution };
  const status = error instanceof BodyTooLarge ? 413 : row.http;
  send(context, status, { code: row.code, name, message, request_id, details }, deps);
}

/** Anybody can ask for more than there is: that is in the trail, bounded, and nobody fills the log with it. */
function levelOf({ name }: GatewayError): 'error' | 'warn' | 'debug' {
  if (name === 'INTERNAL') return 'error';
  return name === 'OVERLOADED' ? 'debug' : 'warn';
}

interface ErrorFacts {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  readonly request_id: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The one shape of an error. */
function send(context: ParameterizedContext, status: number, facts: ErrorFacts, { now }: ErrorDeps): void {
  const { code, name, message, request_id, details } = facts;
  context.status = status;
  context.type = 'application/json';
  context.body = JSON.stringify({
    protocol: 'seal/v1',
    status: 'error',
    error: { code, name, message, timestamp: isoTime(now), request_id, details },
  });
}
