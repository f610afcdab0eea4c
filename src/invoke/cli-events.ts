/** What the audit trail hears of a CLI tool's call (protocol section 8). */
import type { EventBody } from '../audit/event.ts';
import { redactArguments } from '../audit/redact.ts';
import type { GatewayError } from '../errors.ts';
import type { CliPermit } from './decide.ts';

/**
 * With the intent when nobody else is asked, after the judgement when there is a judge: from here on a container may
 * run. The words are there in clear only where the context says so.
 */
export function cliStarted(
  call_id: string,
  { tool, invocation, context }: CliPermit,
  judged: Readonly<Record<string, unknown>> = {},
): EventBody {
  const { subcommand, words } = invocation;
  const clear = context.audit_arguments ? redactArguments({ args: words }) : {};
  return {
    event_type: 'CliToolInvocationStarted',
    payload: {
      call_id,
      name: tool.name,
      docker_image: tool.image,
      command: [...tool.command, ...subcommand.split(' ')],
      args_count: words.length,
      ...clear,
      ...judged,
    },
  };
}

/** What a judge refused is an event of its own: it is a decision, and no fault. */
export function cliFailed(
  facts: Readonly<Record<string, unknown>>,
  { invocation, context }: CliPermit,
  error: GatewayError,
): EventBody {
  const failure = { layer: error.layer, code: error.row.code, error: error.name };
  if (error.name === 'SEMANTIC_JUDGE_REJECTED') {
    const { judge, reason } = error.details;
    const clear = context.audit_arguments ? redactArguments({ args: invocation.words }) : {};
    const about = { requested_subcommand: invocation.subcommand, judge, rejection_reason: reason, ...clear };
    return { event_type: 'CliToolSemanticRejected', payload: { ...facts, ...failure, ...about } };
  }
  return {
    event_type: 'CliToolInvocationFailed',
    payload: { ...facts, ...failure, reason: error.message, ...causeOf(error) },
  };
}

/** `reason` of the details says which fault of the container it was. */
function causeOf({ details }: GatewayError): Readonly<Record<string, unknown>> {
  return typeof details.reason === 'string' ? { failure: details.reason } : {};
}
