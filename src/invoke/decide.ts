/**
 * May this call be made: steps 8 to 10 of docs/concepts.md, and whether its arguments fit the tool. Reads, never
 * writes, so that it can be evaluated ahead of the replay claim and both be one commit.
 */
import { checkMayDelegate } from '../credentials/user-token.ts';
import { GatewayError, type Violation } from '../errors.ts';
import {
  type CliInvocation,
  type JudgedCli,
  judgeCliArguments,
  subcommandOf,
} from '../execute/cli-arguments.ts';
import { exploreCommand, prepareExploration } from '../execute/exploration.ts';
import type { Exploration } from '../execute/explorer.ts';
import { compileFields } from '../execute/fields.ts';
import { type Denial, evaluate, type PolicyCall, permitsCommand } from '../policy/evaluate.ts';
import { compileToolPattern, intersectPatterns } from '../policy/match.ts';
import { selectContext, selectOperatorContext, UNIFORM_DENIAL } from '../policy/select.ts';
import {
  type AnyTool,
  type Api,
  type Capability,
  type CliTool,
  type ExplorerTool,
  type JsonObject,
  type Matcher,
  type Query,
  type RateLimit,
  type SecurityContext,
  type Snapshot,
  type Tenant,
  toolNamed,
  type WorkflowTool,
} from '../snapshot/snapshot.ts';
import type { Count, Exhausted } from '../store/store.ts';
import type { Caller } from './authenticate.ts';
import { type Limiter, limitKey } from './limit.ts';

/** That a tenant has no place left for a call is told once in this time. */
const SLOTS_TOLD_SECONDS = 60;

/** The rights of a caller. */
export interface Rights {
  readonly context: SecurityContext;
  readonly tenant: Tenant | null;
  /** What the scopes of token and session leave, for they only narrow; null: they leave all. */
  readonly tool_patterns: readonly Matcher[] | null;
}

/** A call that may be made. */
export type Permit = WorkflowPermit | CliPermit | ExplorePermit;

export interface WorkflowPermit extends Allowed {
  readonly tool: WorkflowTool;
  /** What the result is cut down to; null: nothing of it is. */
  readonly fields: readonly Query[] | null;
}

export interface CliPermit extends Allowed {
  readonly tool: CliTool;
  readonly invocation: CliInvocation;
}

export interface ExplorePermit extends Allowed {
  readonly tool: ExplorerTool;
  readonly exploration: Exploration;
}

interface Allowed extends Rights {
  readonly arguments: JsonObject;
  readonly capability: Capability;
  /** What the call counts against. */
  readonly limits: readonly Limit[];
}

export interface Requested {
  readonly tool: string;
  readonly arguments: JsonObject;
  /** JSON pointer of a number that cannot be kept exactly; null: there is none. */
  readonly inexact: string | null;
  /** JSONPath expressions beside the arguments, not yet checked; undefined: there are none. */
  readonly fields?: unknown;
}

/** The context that the token names. Throws POLICY_TOOL_NOT_ALLOWED when it grants nothing. */
export function rightsOf(snapshot: Snapshot, { issuer, identity, session }: Caller): Rights {
  const { tenant_id, security_context } = identity;
  const selected =
    issuer === null || security_context === null
      ? selectOperatorContext(snapshot, security_context)
      : selectContext(snapshot, { iss: issuer.issuer, tenant_id, security_context });
  if ('error' in selected) {
    // An operator may know how the gateway is configured.
    const message = issuer === null ? selected.reason : UNIFORM_DENIAL;
    throw new GatewayError(selected.error, message, { cause: new Error(selected.reason) });
  }
  return {
    ...selected,
    tool_patterns: intersectPatterns(
      identity.tool_patterns?.map(scopePattern) ?? null,
      session?.allowed_tool_patterns?.map(scopePattern) ?? null,
    ),
  };
}

/** Throws the first error of steps 8 to 10, or of the tool and its arguments; else the permit. */
export function decide(snapshot: Snapshot, caller: Caller, requested: Requested, limiter: Limiter): Permit {
  const rights = rightsOf(snapshot, caller);
  const tool = toolNamed(snapshot, caller.identity.tenant_id, requested.tool);
  const judged = tool?.kind === 'cli' ? judgeCliArguments(tool, requested.arguments) : null;
  const decision = evaluate(
    rights.context,
    {
      tool: requested.tool,
      arguments: requested.arguments,
      ...policyNames(tool, requested, judged),
      tool_patterns: rights.tool_patterns,
    },
    {
      exhausted: (capability) =>
        capability.rate_limit !== null &&
        !limiter.peek(capabilityKey(caller, rights, capability, requested.tool), capability.rate_limit)
          .allowed,
    },
  );
  if (!decision.allow) {
    // Words that the manifest refuses name no paths, and "the path is absent" would be the wrong thing to mend.
    if (decision.error === 'POLICY_PATH_NOT_ALLOWED') invocationOf(requested.tool, judged);
    throw denied(decision, caller, rights, requested.tool, limiter);
  }
  const limits = limitsOf(caller, rights, decision.capability, requested.tool);
  checkLimits(limits, rights.tenant, limiter, limiter.peek)();
  const runnable = runnableTool(tool, requested.tool);
  const allowed = { ...rights, arguments: requested.arguments, capability: decision.capability, limits };
  if (runnable.kind !== 'workflow' && requested.fields !== undefined) {
    const what =
      runnable.kind === 'explorer' ? 'fields among its arguments' : 'no fields beside its arguments';
    throw new GatewayError('INVALID_ARGUMENTS', `${runnable.name} takes ${what}`);
  }
  if (runnable.kind === 'cli') {
    checkDelegation([runnable], decision.capability);
    return { ...allowed, tool: runnable, invocation: invocationOf(runnable.name, judged)! };
  }
  checkArguments(runnable, requested);
  if (runnable.kind === 'workflow') {
    checkDelegation(
      runnable.steps.map(({ api }) => api),
      decision.capability,
    );
    return { ...allowed, tool: runnable, fields: fieldsOf(runnable, requested.fields) };
  }
  const may = (command: string): boolean => permitsCommand(rights.context, runnable.name, command);
  const { tenant_id } = caller.identity;
  const exploration = prepareExploration(runnable, tenant_id, requested.arguments, may);
  checkDelegation([exploration.api], decision.capability);
  return { ...allowed, tool: runnable, exploration };
}

/** null: the call carries none. */
function fieldsOf(tool: WorkflowTool, fields: unknown): readonly Query[] | null {
  if (fields === undefined) return null;
  if (tool.allow_fields !== true) {
    throw new GatewayError('INVALID_ARGUMENTS', `${tool.name} takes no fields beside its arguments`);
  }
  return compileFields(fields);
}

/**
 * Counts the call against its limits and takes its place among the tenant's concurrent calls: step 10, once the
 * call is known to be no replay. Returns what gives the place back. Throws POLICY_RATE_LIMIT_EXCEEDED.
 */
export function occupy({ limits, tenant }: Permit, limiter: Limiter): () => void {
  // Again, because other calls came in between; and all before one is counted, so that a refused call uses none up.
  // Of others' calls the store has judged with the intent, where it counts them.
  const release = checkLimits(limits, tenant, limiter, limiter.own);
  for (const { key, limit } of limits) limiter.take(key, limit);
  return release;
}

/** The call's limits as the store counts them. */
export function countsOf({ limits }: Permit): Count[] {
  return limits.map(({ key, limit }) => ({ key, calls: limit.calls, per_seconds: limit.per_seconds }));
}

/** What the caller hears when the gateways of the store have used up a limit together. */
export function usedUp(
  { limits }: Permit,
  { key, retry_after_ms }: Exhausted,
  limiter: Limiter,
): GatewayError {
  const full = limits.find((one) => one.key === key)!;
  const { retry_after_seconds } = limiter.exhaust(key, full.limit, retry_after_ms);
  return tooMany(`${full.what} is used up`, retry_after_seconds, violationOf(full));
}

interface Limit {
  readonly what: string;
  readonly key: string;
  readonly limit: RateLimit;
}

function limitsOf(caller: Caller, rights: Rights, capability: Capability, tool: string): Limit[] {
  const limits: Limit[] = [];
  if (capability.rate_limit !== null) {
    const key = capabilityKey(caller, rights, capability, tool);
    limits.push({ what: 'the rate limit of this capability', key, limit: capability.rate_limit });
  }
  const { tenant } = rights;
  if (tenant?.rate_limit) {
    limits.push({ what: 'the rate limit of the tenant', key: tenantKey(tenant), limit: tenant.rate_limit });
  }
  return limits;
}

/** Counts nothing. Returns what gives back the place among the tenant's calls. Throws POLICY_RATE_LIMIT_EXCEEDED. */
function checkLimits(
  limits: readonly Limit[],
  tenant: Tenant | null,
  limiter: Limiter,
  look: Limiter['peek'],
): () => void {
  for (const one of limits) {
    const { allowed, retry_after_seconds } = look(one.key, one.limit);
    if (!allowed) throw tooMany(`${one.what} is used up`, retry_after_seconds, violationOf(one));
  }
  const slots = tenant?.max_concurrency ?? null;
  const release = slots === null ? () => {} : limiter.acquire(tenantKey(tenant), slots);
  if (release === null) {
    const violation = { key: limitKey('slots', tenant?.name ?? null), per_seconds: SLOTS_TOLD_SECONDS };
    throw tooMany('the tenant has as many calls at one time as it may', 1, violation);
  }
  return release;
}

function violationOf({ key, limit }: Pick<Limit, 'key' | 'limit'>): Violation {
  return { key, per_seconds: limit.per_seconds };
}

function tenantKey(tenant: Tenant | null): string {
  return limitKey('tenant', tenant?.name ?? null);
}

function denied(
  denial: Denial,
  caller: Caller,
  rights: Rights,
  tool: string,
  limiter: Limiter,
): GatewayError {
  const { capability, rule, error, reason } = denial;
  if (error === 'POLICY_RATE_LIMIT_EXCEEDED' && capability?.rate_limit) {
    const key = capabilityKey(caller, rights, capability, tool);
    return tooMany(
      'the rate limit of this capability is used up',
      limiter.peek(key, capability.rate_limit).retry_after_seconds,
      violationOf({ key, limit: capability.rate_limit }),
      rule,
    );
  }
  // A tool that is not allowed and one that does not exist look the same, so that names cannot be probed.
  const message = error === 'POLICY_TOOL_NOT_ALLOWED' ? UNIFORM_DENIAL : reason;
  return new GatewayError(error, message, {
    ...(error !== 'POLICY_TOOL_NOT_ALLOWED' && { details: { rule } }),
    cause: new Error(reason),
  });
}

function tooMany(
  message: string,
  retry_after_seconds: number,
  violation: Violation,
  rule?: string,
): GatewayError {
  return new GatewayError('POLICY_RATE_LIMIT_EXCEEDED', message, {
    retry_after_seconds,
    violation,
    details: { retry_after_seconds, ...(rule !== undefined && { rule }) },
  });
}

function runnableTool(tool: AnyTool | undefined, name: string): WorkflowTool | CliTool | ExplorerTool {
  if (tool === undefined) throw new GatewayError('TOOL_NOT_FOUND', `there is no tool ${name}`);
  if (tool.kind === 'unavailable') {
    throw new GatewayError('TOOL_UNAVAILABLE', `${name}: ${tool.reason}`);
  }
  return tool;
}

/** What can only act in a user's name is refused before its first request, not in the midst. */
function checkDelegation(apis: readonly Pick<Api, 'credential'>[], capability: Capability): void {
  if (apis.some(({ credential }) => credential.kind === 'human_delegated')) checkMayDelegate(capability);
}

function checkArguments(tool: WorkflowTool | ExplorerTool, { arguments: args, inexact }: Requested): void {
  const problems =
    inexact === null ? tool.validate(args) : [`${inexact}: this number loses digits; send it as a string`];
  if (problems.length > 0) {
    throw new GatewayError('INVALID_ARGUMENTS', `${tool.name}: ${problems[0]}`, { details: { problems } });
  }
}

/** null: the call is none of a CLI tool. Throws INVALID_ARGUMENTS with the rule that refuses its words. */
function invocationOf(tool: string, judged: JudgedCli | null): CliInvocation | null {
  if (judged === null || 'invocation' in judged) return judged?.invocation ?? null;
  const { rule, message } = judged.problem;
  throw new GatewayError('INVALID_ARGUMENTS', `${tool}: ${message}`, {
    details: { rule, problems: [message] },
  });
}

/**
 * What policy matches as command, subcommand and paths: a CLI tool's own name and words (`judged` by its manifest;
 * null: it is none), the API and operation of the explorer, else the plain arguments.
 */
export function policyNames(
  tool: AnyTool | undefined,
  { arguments: args }: Pick<Requested, 'arguments'>,
  judged: JudgedCli | null,
): Pick<PolicyCall, 'command' | 'subcommand' | 'line' | 'paths'> {
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  if (tool?.kind === 'cli') {
    const names = { command: tool.name, subcommand: subcommandOf(args) };
    if (judged === null || 'problem' in judged) return names;
    const { subcommand, words, paths } = judged.invocation;
    const plain = words.filter((word) => !word.startsWith('-'));
    return { ...names, line: [subcommand, ...plain].join(' '), paths };
  }
  if (tool?.kind === 'explorer') return { command: exploreCommand(args), subcommand: null };
  return { command: text(args.command), subcommand: text(args.subcommand) };
}

/** Counted by tenant, context, agent and tool. */
function capabilityKey(caller: Caller, rights: Rights, capability: Capability, tool: string): string {
  const { tenant_id, subject, issuer } = caller.identity;
  return limitKey(
    tenant_id,
    rights.context.tenant,
    rights.context.name,
    String(capability.index),
    issuer,
    subject,
    tool,
  );
}

/** A scope that is not a pattern matches nothing. */
function scopePattern(text: string): Matcher {
  try {
    return compileToolPattern(text);
  } catch {
    return () => false;
  }
}
