/** Runs the cases of GatewayTest files: policy by the real evaluator, workflows by the real engine on canned replies. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { createEgress } from '../execute/egress.ts';
import { runWorkflow } from '../execute/workflow.ts';
import type { Side } from '../reconcile/plan.ts';
import {
  type JsonObject,
  type Snapshot,
  type Step,
  visible,
  type WorkflowTool,
} from '../snapshot/snapshot.ts';
import { ask } from './can-i.ts';

export interface PolicyCase {
  readonly name?: string;
  readonly context: string;
  readonly tenant?: string;
  readonly tool: string;
  readonly arguments?: JsonObject;
  readonly expect: string;
}

export interface CannedReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
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

/** One call held against the policy. */
export function runPolicyCase(side: Side, snapshot: Snapshot, one: PolicyCase): CaseResult {
  const call = { tool: one.tool, arguments: one.arguments ?? {} };
  const answer = ask(side, snapshot, one.context, one.tenant ?? null, call);
  const got = answer.allowed ? 'allow' : answer.name!;
  const passed = one.expect === got || (one.expect === 'deny' && !answer.allowed);
  const rule = answer.rule === null ? '' : ` at ${answer.rule.file}:${answer.rule.line}`;
  return {
    name: one.name ?? `${one.context}: ${one.tool} -> ${one.expect}`,
    failure: passed ? null : `expected ${one.expect}, got ${got}: ${answer.reason}${rule}`,
  };
}

/** One run of a workflow against a server on loopback that gives the canned replies. */
export async function runWorkflowCase(snapshot: Snapshot, one: WorkflowCase): Promise<CaseResult> {
  const name = one.name ?? `${one.tool} -> ${one.error ?? 'output'}`;
  const tool = visible(snapshot.tools, one.tenant ?? null, one.tool);
  if (tool?.kind !== 'workflow') return { name, failure: `there is no ToolWorkflow ${one.tool}` };
  const unknown = Object.keys(one.replies ?? {}).filter(
    (step) => !tool.steps.some((known) => known.name === step),
  );
  if (unknown.length > 0) return { name, failure: `${one.tool} has no step ${unknown.join(', ')}` };
  const got = await outcomeOf(tool, one);
  if ('error' in got) {
    const passed = one.error === got.error.name;
    return {
      name,
      failure: passed
        ? null
        : `expected ${one.error ?? 'an output'}, got ${got.error.name}: ${got.error.message}`,
    };
  }
  if (one.error !== undefined)
    return { name, failure: `expected ${one.error}, got the output ${JSON.stringify(got.output)}` };
  const passed = isDeepStrictEqual(JSON.parse(JSON.stringify(got.output ?? null)), one.output);
  return {
    name,
    failure: passed
      ? null
      : `expected the output ${JSON.stringify(one.output)}, got ${JSON.stringify(got.output)}`,
  };
}

type Outcome = { readonly output: unknown } | { readonly error: GatewayError };

async function outcomeOf(
  tool: WorkflowTool,
  { arguments: args = {}, replies = {} }: WorkflowCase,
): Promise<Outcome> {
  const [problem] = tool.validate(args);
  if (problem !== undefined) return { error: new GatewayError('INVALID_ARGUMENTS', problem) };
  const queues = new Map(Object.entries(replies).map(([step, list]) => [step, [...list]]));
  const server = createServer((request, response) => answer(request, response, queues));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const egress = createEgress();
  try {
    const canned = { ...tool, steps: tool.steps.map((step) => redirected(step, port)) };
    const deps = { egress, credentials: async () => null, clock: systemClock };
    return await runWorkflow(deps, canned, args, { signal: new AbortController().signal, emit: () => {} });
  } catch (error) {
    if (error instanceof GatewayError) return { error };
    throw error;
  } finally {
    await egress.close();
    server.closeAllConnections();
    server.close();
  }
}

/** The step's requests go to the server, below a path that tells whose they are. */
function redirected(step: Step, port: number): Step {
  const base_url = new URL(`http://127.0.0.1:${port}/${step.name}`);
  return { ...step, api: { ...step.api, base_url, egress: { allow_private: true, allow_addresses: [] } } };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  queues: Map<string, CannedReply[]>,
): void {
  const step = request.url?.split('/')[1] ?? '';
  const reply = queues.get(step)?.shift();
  if (reply === undefined) {
    response.writeHead(501, { 'content-type': 'text/plain' });
    response.end(`the test has no more replies for step ${step}`);
    return;
  }
  const { status = 200, headers = {}, body } = reply;
  const json = body !== undefined && headers['content-type'] === undefined;
  response.writeHead(status, { ...(json && { 'content-type': 'application/json' }), ...headers });
  response.end(body === undefined ? '' : json || typeof body !== 'string' ? JSON.stringify(body) : body);
}
