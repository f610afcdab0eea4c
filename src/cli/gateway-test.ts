/** Runs the cases of GatewayTest files: policy by the real evaluator, workflows by the real engine on canned replies. */
import { isDeepStrictEqual } from 'node:util';
import type { Dispatcher } from 'undici';
import { systemClock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { runWorkflow, type WorkflowDeps } from '../execute/workflow.ts';
import { keyOf } from '../manifest/manifest.ts';
import type { Side } from '../reconcile/plan.ts';
import {
  type Api,
  type JsonObject,
  type Snapshot,
  type Step,
  visible,
  type WorkflowTool,
} from '../snapshot/snapshot.ts';
import { packageVersion } from '../version.ts';
import { type Answer, ask } from './can-i.ts';
import { type CannedReply, type CannedUpstream, serveCanned } from './canned-upstream.ts';
import type { LocalSet } from './local-side.ts';

export interface PolicyCase {
  readonly name?: string;
  readonly context: string;
  readonly tenant?: string;
  readonly tool: string;
  readonly arguments?: JsonObject;
  readonly expect: string;
  readonly rule?: string;
}

export interface WorkflowCase {
  readonly name?: string;
  readonly tool: string;
  readonly tenant?: string;
  readonly arguments?: JsonObject;
  readonly replies?: Readonly<Record<string, readonly CannedReply[]>>;
  readonly output?: unknown;
  readonly error?: string;
}

export interface CaseResult {
  readonly name: string;
  /** null: it passed. */
  readonly failure: string | null;
}

/** One call held against the policy and its tool. `allow` means that the call would be made. */
export function runPolicyCase(set: Pick<LocalSet, 'side' | 'snapshot'>, one: PolicyCase): CaseResult {
  const { context, tenant = null, tool, arguments: args = {}, expect, rule } = one;
  const name = one.name ?? `${context}: ${tool} -> ${expect}`;
  const unknown = unknownName(set.snapshot, context, tenant);
  if (unknown !== null) return { name, failure: unknown };
  const answer = ask(set, { context, tenant, tool, arguments: args });
  const got = verdictOf(answer);
  const expected = expect === got.name || (expect === 'deny' && !answer.allowed);
  if (expected && (rule === undefined || rule === got.rule)) return { name, failure: null };
  const wanted = rule === undefined ? expect : `${expect} by ${rule}`;
  return { name, failure: `expected ${wanted}, got ${got.name}: ${got.reason}` };
}

interface Verdict {
  /** `allow`, or the name of the error. */
  readonly name: string;
  /** null: no rule is what decided. */
  readonly rule: string | null;
  readonly reason: string;
}

function verdictOf({ allowed, name, reason, rule, problems }: Answer): Verdict {
  const [problem] = problems;
  if (problem !== undefined) {
    const by = problem.rule === null ? '' : ` (${problem.rule})`;
    const reason = `${allowed ? 'policy allows it, but ' : ''}${problem.message}${by}`;
    return { name: problem.name, rule: problem.rule, reason };
  }
  const at = rule === null ? '' : ` at ${rule.file}:${rule.line}`;
  return { name: allowed ? 'allow' : name!, rule: rule?.rule ?? null, reason: reason + at };
}

/** A slip of the pen is denied everything, and must not pass for a rule that holds. */
function unknownName({ contexts, tenants }: Snapshot, context: string, tenant: string | null): string | null {
  if (![...contexts.values()].some(({ name }) => name === context))
    return `there is no SecurityContext ${context}`;
  return tenant === null || tenants.has(tenant) ? null : `there is no Tenant ${tenant}`;
}

/** One run of a workflow against a server on loopback that gives the canned replies. */
export async function runWorkflowCase(
  { side, snapshot }: Pick<LocalSet, 'side' | 'snapshot'>,
  one: WorkflowCase,
): Promise<CaseResult> {
  const name = one.name ?? `${one.tool} -> ${one.error ?? 'output'}`;
  const tool = visible(snapshot.tools, one.tenant ?? null, one.tool);
  if (tool?.kind !== 'workflow') return { name, failure: `there is no ToolWorkflow ${one.tool}` };
  const unchecked = uncheckedApi(side, tool);
  if (unchecked !== null)
    return { name, failure: `the document of ApiSpec ${unchecked} is not fetched here; add --fetch` };
  const steps = new Set(tool.steps.map((step) => step.name));
  const unknown = Object.keys(one.replies ?? {}).filter((step) => !steps.has(step));
  if (unknown.length > 0) return { name, failure: `${one.tool} has no step ${unknown.join(', ')}` };
  const upstream = await serveCanned(one.replies ?? {});
  try {
    const got = await outcomeOf(tool, one.arguments ?? {}, upstream);
    return { name, failure: upstream.problem() ?? failureOf(one, got, upstream.left()) };
  } finally {
    await upstream.close();
  }
}

/** An API of the tool whose operations are not known; null: there is none. */
function uncheckedApi({ verdicts }: Side, { tenant, name }: WorkflowTool): string | null {
  const uses = verdicts.get(keyOf({ kind: 'ToolWorkflow', tenant, name }))?.applied?.uses ?? [];
  const api = uses.find(({ resource }) => resource.kind === 'ApiSpec' && resource.compiled.unchecked);
  return api?.manifest.name ?? null;
}

type Outcome = { readonly output: unknown } | { readonly error: GatewayError };

function failureOf({ error, output }: WorkflowCase, got: Outcome, left: readonly string[]): string | null {
  const expected = error ?? `the output ${JSON.stringify(output)}`;
  if ('error' in got) {
    const { name, message } = got.error;
    return name === error ? null : `expected ${expected}, got ${name}: ${message}`;
  }
  const text = JSON.stringify(got.output ?? null);
  if (error !== undefined || !isDeepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(output))))
    return `expected ${expected}, got the output ${text}`;
  return left.length === 0 ? null : `no request took the last replies of step ${left.join(', ')}`;
}

async function outcomeOf(tool: WorkflowTool, args: JsonObject, upstream: CannedUpstream): Promise<Outcome> {
  const [problem] = tool.validate(args);
  if (problem !== undefined) return { error: new GatewayError('INVALID_ARGUMENTS', problem) };
  const { tool: canned, dispatchers } = detached(tool, upstream);
  const deps: WorkflowDeps = {
    egress: {
      user_agent: `seal-gateway/${packageVersion()}`,
      dispatcherFor: (api) => dispatchers.get(api)!,
      close: async () => {},
    },
    credentials: async () => null,
    clock: systemClock,
    // A test of what is done when an upstream is down is not to take as long as that.
    pause: async () => {},
  };
  try {
    return await runWorkflow(deps, canned, args, { signal: new AbortController().signal, emit: () => {} });
  } catch (error) {
    if (error instanceof GatewayError) return { error };
    throw error;
  }
}

/** The tool with an API for each step, so that the API tells whose replies a request gets; and these, in order. */
function detached(tool: WorkflowTool, upstream: CannedUpstream) {
  const dispatchers = new Map<Pick<Api, 'egress'>, Dispatcher>();
  const detach = (step: Step): Step => {
    const api = { ...step.api };
    dispatchers.set(api, upstream.dispatcherOf(step.name));
    // One after the other, so that the replies meet the elements that they are written for.
    return { ...step, api, for_each: step.for_each === null ? null : { ...step.for_each, concurrency: 1 } };
  };
  return { tool: { ...tool, stages: tool.stages.map((stage) => stage.map(detach)) }, dispatchers };
}
