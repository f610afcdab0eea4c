/**
 * The pipeline. `invoke` is the way of a call of docs/concepts.md as a list, one line a step; the first failure
 * ends the call and writes one rejection event. Steps 8 to 10 are evaluated ahead of 7, because claim and intent
 * are one commit, but their answer is heard only when the claim was good.
 */

import type { EventBody } from '../audit/event.ts';
import { createRecorder, type Recorder } from '../audit/record.ts';
import { digestArguments, redactArguments } from '../audit/redact.ts';
import type { OpenCredentials } from '../credentials/call.ts';
import type { Principal } from '../credentials/resolve.ts';
import { Secret } from '../credentials/secret.ts';
import { checkFreshness } from '../envelope/freshness.ts';
import { type Asked, decodeBody, parseEnvelope, parseExplore } from '../envelope/parse.ts';
import { GatewayError } from '../errors.ts';
import { allowedTools } from '../policy/visible-tools.ts';
import type { SnapshotHolder } from '../snapshot/holder.ts';
import type { CliTool, EXPLORE, Snapshot } from '../snapshot/snapshot.ts';
import type { Count, ReplayClaim, Store } from '../store/store.ts';
import {
  authenticate,
  authenticateBearer,
  type Caller,
  type Operator,
  operatorCaller,
} from './authenticate.ts';
import {
  asGatewayError,
  type Call,
  CallError,
  type CallReply,
  callFacts,
  executionId,
  rejection,
  toolName,
} from './call.ts';
import { cliStarted } from './cli-events.ts';
import { countsOf, decide, occupy, type Permit, rightsOf, usedUp } from './decide.ts';
import { type ExecuteDeps, execute } from './execute.ts';
import { type Limiter, limitKey } from './limit.ts';
import { onceIn, type Refusal, type Rejections } from './rejections.ts';
import { ownClaim, replayClaim } from './replay.ts';
import type { SessionFinder } from './session.ts';
import { describeTools, type ToolDescription } from './tools.ts';

export interface InvokerDeps extends ExecuteDeps {
  readonly credentials: OpenCredentials;
  readonly holder: SnapshotHolder;
  readonly store: Store;
  readonly limiter: Limiter;
  readonly rejections: Rejections;
  readonly sessions: SessionFinder;
  readonly newId: () => string;
  /** This process, which the intent names (`execute/instance.ts`). */
  readonly instance: string;
  readonly limits: { readonly call_timeout_ms: number; readonly max_in_flight: number };
  /** The security context that operators explore in; null: they may not. */
  readonly operator_context: string | null;
}

export interface InvokeOptions {
  /** The one tool that may be called here; absent: any. */
  readonly only?: typeof EXPLORE;
  /** The token of the user for whom the agent acts; null: there is none. */
  readonly user_token?: string | null;
  /** Where the call comes from; null: the connection has gone. */
  readonly remote_addr?: string | null;
}

export interface Invoker {
  /**
   * One signed call. `read` gives the body; `signal` aborts when the caller goes away. Rejects with
   * {@link CallError}, after its rejection is in the audit trail.
   */
  invoke(read: () => Promise<Uint8Array>, signal: AbortSignal, options?: InvokeOptions): Promise<CallReply>;
  /**
   * One exploration of an operator, without an envelope. `verify` says who it is, null for one who is none. Rejects
   * as {@link Invoker.invoke} does.
   */
  explore(
    read: () => Promise<Uint8Array>,
    verify: () => Promise<Operator | null>,
    signal: AbortSignal,
    options?: Pick<InvokeOptions, 'remote_addr'>,
  ): Promise<CallReply>;
  /** What the bearer of this security token may call. */
  tools(security_token: string, options?: Pick<InvokeOptions, 'remote_addr'>): Promise<ToolDescription[]>;
}

export function createInvoker(deps: InvokerDeps): Invoker {
  let inFlight = 0;

  async function invoke(
    read: () => Promise<Uint8Array>,
    gone: AbortSignal,
    { only, ...origin }: InvokeOptions = {},
  ): Promise<CallReply> {
    const call = begin(deps, origin);
    let body: Uint8Array;
    try {
      // A call counts once its body is here: slow senders, who need no token, must not hold the places of others.
      body = await read();
    } catch (error) {
      throw await reject(call, error);
    }
    inFlight += 1;
    try {
      if (inFlight > deps.limits.max_in_flight) throw overloaded(deps.limits.max_in_flight);
      const envelope = parseEnvelope(decodeBody(body)); //                                1
      call.envelope = envelope;
      call.asked = envelope;
      if (only !== undefined) checkTool(envelope, only);
      checkFreshness(envelope, deps.clock.now()); //                                      2
      const snapshot = snapshotOf(call);
      const caller = await authenticate(snapshot, deps.sessions, envelope, deps.clock.now()); // 3 to 6
      call.caller = caller;
      const verdict = attempt(() => permitOf(snapshot, caller, envelope)); //             8 to 10, heard below
      const admitted = await admit(call, replayClaim(caller, envelope), verdict); //      7, with the intent
      return await carryOut(call, caller, admitted, gone); //                             11
    } catch (error) {
      throw await reject(call, error);
    } finally {
      inFlight -= 1;
    }
  }

  /** There is no envelope that could be replayed; all else is as for any call. */
  async function explore(
    read: () => Promise<Uint8Array>,
    verify: () => Promise<Operator | null>,
    gone: AbortSignal,
    origin: Pick<InvokeOptions, 'remote_addr'> = {},
  ): Promise<CallReply> {
    const call = begin(deps, origin);
    try {
      const operator = await verify();
      if (operator === null) throw noOperator();
      call.caller = operatorCaller(operator, deps.operator_context);
      call.asked = parseExplore(decodeBody(await read()));
    } catch (error) {
      throw await reject(call, error);
    }
    inFlight += 1;
    try {
      if (inFlight > deps.limits.max_in_flight) throw overloaded(deps.limits.max_in_flight);
      const permit = permitOf(snapshotOf(call), call.caller, call.asked);
      const admitted = await admit(call, ownClaim(call, deps.clock.now()), { value: permit });
      return await carryOut(call, call.caller, admitted, gone);
    } catch (error) {
      throw await reject(call, error);
    } finally {
      inFlight -= 1;
    }
  }

  /** null: the call is a listing, which needs rights but no tool. */
  function permitOf(snapshot: Snapshot, caller: Caller, { payload, inexact }: Asked): Permit | null {
    if (payload.kind === 'call') return decide(snapshot, caller, { ...payload, inexact }, deps.limiter);
    rightsOf(snapshot, caller);
    return null;
  }

  /**
   * Claims the replay id, counts the call and writes the intent as one durable unit. A call that is refused is claimed
   * too, and then its refusal is heard.
   */
  async function admit(call: Call, claim: ReplayClaim, verdict: Attempt<Permit | null>): Promise<Admitted> {
    if ('error' in verdict) throw await refuse(call, claim, verdict.error);
    const permit = verdict.value;
    const events = intent(call, permit, deps.instance).map(recorderOf(call).event);
    const admission = await deps.store.admit(claim, events, permit === null ? [] : countsOf(permit));
    if (admission === 'replayed') throw replayed();
    if (admission !== 'admitted') {
      // Nothing of it was stored: the rejection takes the place of the intent.
      throw await refuse(call, claim, usedUp(permit!, admission, deps.limiter));
    }
    call.intended = true;
    return { permit, intent_id: events[0]!.id };
  }

  /** Claims the replay id, and writes the rejection in the same unit when the trail is to tell of it. */
  async function refuse(call: Call, claim: ReplayClaim, error: GatewayError): Promise<GatewayError> {
    const refusal = refusalOf(call, error);
    const told = deps.rejections.tells(refusal);
    const events = told ? [recorderOf(call).event(rejection(call, error))] : [];
    let admission = await deps.store.admit(claim, events, told ? toldCounts(error) : []);
    // Another gateway has told of this violation.
    const told_elsewhere = typeof admission === 'object';
    if (told_elsewhere) admission = await deps.store.admit(claim, []);
    if (admission === 'replayed') return replayed();
    if (!told || told_elsewhere) deps.rejections.count(refusal);
    call.recorded = true;
    return error;
  }

  async function carryOut(
    call: Call,
    caller: Caller,
    { permit, intent_id }: Admitted,
    gone: AbortSignal,
  ): Promise<CallReply> {
    if (permit === null) return replyOf(call, listing(snapshotOf(call), caller), intent_id);
    const { call_id } = call;
    const { call_timeout_ms: timeout_ms } = deps.limits;
    const recorder = recorderOf(call);
    const release = occupy(permit, deps.limiter);
    const credentials = deps.credentials({
      principal: principalOf(call, caller, permit),
      emit: ({ event_type, payload }) => recorder.record({ event_type, payload: { call_id, ...payload } }),
    });
    try {
      const outcome = await execute(deps, permit, { recorder, gone, timeout_ms, call_id, credentials });
      call.recorded = true;
      const event_id = await recorder.conclude(outcome.event);
      if ('error' in outcome) throw outcome.error;
      return replyOf(call, outcome.result_json, event_id);
    } finally {
      release();
      // However the call ended. The reply goes out first: nobody waits for it.
      setImmediate(() => void credentials.end());
    }
  }

  async function tools(
    security_token: string,
    origin: Pick<InvokeOptions, 'remote_addr'> = {},
  ): Promise<ToolDescription[]> {
    const call = begin(deps, origin);
    try {
      const snapshot = snapshotOf(call);
      call.caller = await authenticateBearer(snapshot, deps.sessions, security_token, deps.clock.now());
      return listTools(snapshot, call.caller);
    } catch (error) {
      throw await reject(call, error);
    }
  }

  /** The one exit of failures: the rejection is durable, or counted, before anybody hears of it. */
  async function reject(call: Call, thrown: unknown): Promise<CallError> {
    const error = asGatewayError(thrown);
    if (call.recorded) return new CallError(error, call);
    const refusal = refusalOf(call, error);
    // An intent has an outcome, however many there are.
    if (!call.intended && !deps.rejections.tells(refusal)) {
      deps.rejections.count(refusal);
      return new CallError(error, call);
    }
    try {
      await recorderOf(call).conclude(rejection(call, error));
    } catch (unwritten) {
      // The trail hears of it when it can be written again.
      deps.rejections.count(refusal);
      return new CallError(asGatewayError(unwritten), call);
    }
    return new CallError(error, call);
  }

  function recorderOf(call: Call): Recorder {
    return createRecorder(deps, {
      execution_id: executionId(call),
      tenant_id: call.caller?.identity.tenant_id ?? null,
      revision: call.snapshot?.revision ?? null,
    });
  }

  function replyOf(call: Call, result_json: string, event_id: string): CallReply {
    return {
      request_id: call.asked!.request_id,
      result_json,
      execution_id: executionId(call),
      event_id,
      revision: call.snapshot!.revision,
      duration_ms: Math.round(deps.clock.monotonic() - call.started),
    };
  }

  return { invoke, explore, tools };
}

function begin(
  { holder, clock, newId }: InvokerDeps,
  { user_token = null, remote_addr = null }: InvokeOptions,
): Call {
  return {
    call_id: newId(),
    snapshot: holder.current(),
    started: clock.monotonic(),
    envelope: null,
    asked: null,
    caller: null,
    user_token: user_token === null ? null : new Secret(user_token),
    remote_addr,
    intended: false,
    recorded: false,
  };
}

function refusalOf({ caller, remote_addr }: Call, error: GatewayError): Refusal {
  return { error, caller: caller?.identity ?? null, remote_addr };
}

/** That a violation is told, as gateways of one store count it. */
function toldCounts({ violation }: GatewayError): Count[] {
  return violation === null ? [] : [{ key: limitKey('told', violation.key), ...onceIn(violation) }];
}

/** On whose behalf the credentials of the call are got. */
function principalOf(call: Call, { identity }: Caller, { tenant, context, capability }: Permit): Principal {
  return {
    tenant,
    tenants: call.snapshot!.tenants,
    agent: identity.subject,
    context: context.name,
    user_token: call.user_token,
    allow_human_delegated: capability.allow_human_delegated,
  };
}

function snapshotOf(call: Call): Snapshot {
  if (call.snapshot === null) {
    throw new GatewayError('TOOL_UNAVAILABLE', 'the gateway has no configuration yet; /readyz says why');
  }
  return call.snapshot;
}

function listTools(snapshot: Snapshot, caller: Caller): ToolDescription[] {
  const rights = rightsOf(snapshot, caller);
  const { tenant, context, tool_patterns } = rights;
  return describeTools(allowedTools(snapshot, tenant, context, tool_patterns), rights);
}

/** The intent: who may do what by which rule, with what proves the call later. */
function intent(call: Call, permit: Permit | null, instance: string): EventBody[] {
  const { envelope } = call;
  const proof = {
    ...callFacts(call),
    execution_id: executionId(call),
    instance,
    ...(envelope !== null && { signature: Buffer.from(envelope.signature).toString('base64') }),
    ...digestArguments(call.asked!.arguments_canonical),
  };
  if (permit === null) return [{ event_type: 'ToolCallAuthorized', payload: proof }];
  const { capability, context } = permit;
  const rule = `capabilities[${capability.index}]`;
  const clear = context.audit_arguments ? { arguments: redactArguments(permit.arguments) } : {};
  const authorized: EventBody = {
    event_type: 'ToolCallAuthorized',
    payload: { ...proof, ...targetOf(permit), rule, ...clear },
  };
  const started = startedOf(call.call_id, permit);
  return started === null ? [authorized] : [authorized, started];
}

/** What the intent names beside the tool. */
function targetOf(permit: Permit): Readonly<Record<string, unknown>> {
  if ('exploration' in permit) {
    const { api, operation } = permit.exploration;
    return { api_spec_id: api.name, operation_id: operation.id };
  }
  return 'invocation' in permit && permit.tool.require_judge
    ? { semantic_judge: judgeName(permit.tool) }
    : {};
}

/** null: the one of the process configuration. */
function judgeName({ judge }: CliTool): string | null {
  return judge?.name ?? null;
}

/** null: it has no beginning apart from the intent, or a judge is asked before it begins. */
function startedOf(call_id: string, permit: Permit): EventBody | null {
  if ('exploration' in permit) return null;
  if ('invocation' in permit) return permit.tool.require_judge ? null : cliStarted(call_id, permit);
  const { name, steps } = permit.tool;
  return {
    event_type: 'WorkflowInvocationStarted',
    payload: { call_id, name, total_steps: steps.length },
  };
}

/** The result of MCP's tools/list: our description, with the name that MCP gives the schema. */
function listing(snapshot: Snapshot, caller: Caller): string {
  const tools = listTools(snapshot, caller);
  return JSON.stringify({ tools: tools.map((tool) => ({ ...tool, inputSchema: tool.input_schema })) });
}

function checkTool(asked: Asked, only: string): void {
  const tool = toolName(asked);
  if (tool === only) return;
  throw new GatewayError('MALFORMED_ENVELOPE', `this route takes calls of ${only} alone; use /v1/invoke`);
}

function noOperator(): GatewayError {
  const message = 'this token is good, but holds none of the roles in auth.operator_roles';
  return new GatewayError('POLICY_TOOL_NOT_ALLOWED', message, { cause: new Error(message) });
}

function replayed(): GatewayError {
  const message = 'this envelope or its token has been used before; sign a new one';
  return new GatewayError('REPLAY_DETECTED', message);
}

function overloaded(limit: number): GatewayError {
  return new GatewayError('OVERLOADED', `the gateway has ${limit} calls in flight, its limit; try again`, {
    retry_after_seconds: 1,
  });
}

/** A call whose intent is in the trail; `permit` is null for a listing. */
interface Admitted {
  readonly permit: Permit | null;
  readonly intent_id: string;
}

type Attempt<T> = { readonly value: T } | { readonly error: GatewayError };

/** The outcome of a step that is judged now and heard later. */
function attempt<T>(step: () => T): Attempt<T> {
  try {
    return { value: step() };
  } catch (error) {
    return { error: asGatewayError(error) };
  }
}
