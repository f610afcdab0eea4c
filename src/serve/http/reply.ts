/** The two shapes of a reply (docs/signing.md, The reply), and the one exit for errors of the HTTP transport. */
import type { ParameterizedContext } from 'koa';
import { isoTime } from '../../clock.ts';
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

/** Writes the error reply. An unknown error is logged with its stack and answered blank, with an id that both carry. */
export function sendError(
  context: ParameterizedContext,
  thrown: unknown,
  deps: { log: Log; now: number; newId: () => string; challenge: string },
): void {
  const error = thrown instanceof CallError ? thrown.error : asGatewayError(thrown);
  const request_id = thrown instanceof CallError ? thrown.request_id : deps.newId();
  const execution = thrown instanceof CallError ? { execution_id: thrown.execution_id } : {};
  if (error.row.http >= 500) {
    const level = error.name === 'INTERNAL' ? 'error' : 'warn';
    deps.log[level]({ err: error.cause ?? error, name: error.name, request_id, ...execution }, error.message);
  }
  context.status = error instanceof BodyTooLarge ? 413 : error.row.http;
  if (error.retry_after_seconds !== null) context.set('Retry-After', String(error.retry_after_seconds));
  if (error.row.http === 401) context.set('WWW-Authenticate', deps.challenge);
  context.type = 'application/json';
  context.body = JSON.stringify({
    protocol: 'seal/v1',
    status: 'error',
    error: {
      code: error.row.code,
      name: error.name,
      message: error.message,
      timestamp: isoTime(deps.now),
      request_id,
      details: { ...error.details, ...execution },
    },
  });
}

/** Writes a refusal that no row of the error table is about: it is HTTP's own. */
export function refuse(
  context: ParameterizedContext,
  status: number,
  message: string,
  details?: Readonly<Record<string, unknown>>,
): void {
  context.status = status;
  context.body = { status: 'error', error: { message, ...(details !== undefined && { details }) } };
}
