/** Workflows as they are written: compiled as the reconciler does, and run against servers on loopback. */
import { requestCredentials } from '../../src/credentials/inject.ts';
import { runWorkflow, type StepEvent, type WorkflowDeps } from '../../src/execute/workflow.ts';
import { type Json, visible, type WorkflowTool } from '../../src/snapshot/snapshot.ts';
import { createCompiler } from '../reconcile/compiled.ts';
import { bodyOf, serveUpstream, testEgress, type Upstream } from './upstream.ts';

type Fields = Readonly<Record<string, unknown>>;

const DOCUMENT = { openapi: '3.0.3', info: { title: 'Small', version: '1' }, paths: {} };

/**
 * The tool of this spec. `apis` are URLs, or whole specs of an ApiSpec; the first is that of steps that name none.
 * Throws with what is said of the manifests when they are not valid.
 */
export async function toolOf(
  apis: Readonly<Record<string, string | Fields>>,
  spec: Fields & { readonly steps: readonly Fields[] },
): Promise<WorkflowTool> {
  const manifest = (kind: string, name: string, body: Fields) =>
    JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata: { name }, spec: body });
  const files: Record<string, string> = {
    'tool.json': manifest('ToolWorkflow', 'tool', {
      description: 'A tool.',
      api_spec: Object.keys(apis)[0],
      input_schema: { type: 'object' },
      ...spec,
    }),
  };
  for (const [name, api] of Object.entries(apis)) {
    const own = typeof api === 'string' ? { base_url: api } : api;
    files[`${name}.json`] = manifest('ApiSpec', name, {
      source: { inline: DOCUMENT },
      egress: { allow_private: true },
      ...own,
    });
  }
  const compiler = createCompiler();
  await compiler.next(files);
  const tool = visible(compiler.snapshot().tools, null, 'tool');
  if (tool?.kind !== 'workflow') throw new Error(compiler.said().join('\n'));
  return tool;
}

/** What is said of a workflow that is not valid, without the place. */
export async function faultsOf(spec: Fields & { readonly steps: readonly Fields[] }): Promise<string[]> {
  return await toolOf({ crm: 'http://127.0.0.1:9' }, spec).then(
    () => [],
    (error: Error) => error.message.split('\n').map((line) => line.replace(/^[^ ]* /, '')),
  );
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly timeout_ms?: number;
  readonly emit?: (event: StepEvent) => void | Promise<void>;
  readonly deps?: Partial<WorkflowDeps>;
}

/** Runs a tool; `events` are the payloads so far, also when it fails; `pauses` the waits before attempts. */
export function run(tool: WorkflowTool, input: Record<string, unknown> = {}, options: RunOptions = {}) {
  const events: StepEvent['payload'][] = [];
  const pauses: number[] = [];
  const deps: WorkflowDeps = {
    egress: testEgress(),
    credentials: requestCredentials({}),
    clock: { now: () => 0, monotonic: () => performance.now() },
    random: () => 1,
    pause: async (ms) => void pauses.push(ms),
    ...options.deps,
  };
  const output = runWorkflow(deps, tool, input, {
    signal: options.signal ?? new AbortController().signal,
    ...(options.timeout_ms !== undefined && { timeout_ms: options.timeout_ms }),
    emit: (event) => {
      events.push(event.payload);
      return options.emit?.(event);
    },
  }).then((done) => done.output);
  return { events, pauses, output };
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** As JSON. */
  readonly body?: Json;
  /** The connection ends without a reply. */
  readonly disconnect?: boolean;
}

export interface Asked {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** An upstream that answers by a function of the request, and tells what it was asked. */
export async function serve(
  answer: (asked: Asked, count: number) => Answer | Promise<Answer>,
): Promise<{ url: string; asked: Asked[]; upstream: Upstream }> {
  const asked: Asked[] = [];
  const upstream = await serveUpstream(async (request, response) => {
    const one = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: await bodyOf(request),
    };
    const { status = 200, headers = {}, body, disconnect } = await answer(one, asked.push(one));
    if (disconnect === true) return void response.destroy();
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body === undefined ? '' : JSON.stringify(body));
  });
  return { url: upstream.url, asked, upstream };
}
