/**
 * `make bench`: a workflow of five steps, each of which needs the one before, beside the same five requests made by a
 * bare undici client, in one run and in turn. Both ask the upstream of `upstream.ts`, a process of its own; the
 * workflow is compiled from manifests as the gateway does. Prints a table, writes bench.workflow.json, gates nothing.
 */
import { writeFileSync } from 'node:fs';
import { Agent } from 'undici';
import { systemClock } from '../../src/clock.ts';
import { createEgress } from '../../src/execute/egress.ts';
import { runWorkflow, type WorkflowDeps } from '../../src/execute/workflow.ts';
import { visible, type WorkflowTool } from '../../src/snapshot/snapshot.ts';
import { createCompiler } from '../reconcile/compiled.ts';
import { startUpstream } from './processes.ts';

const STEPS = 5;
const ROUNDS = 10;
const WARM_UP = 3_000;
/** Of one round. An upstream that takes no time at all shows the engine's work alone; real ones take some. */
const LOADS: readonly Load[] = [
  { at_once: 1, wait_ms: 0, workflows: 400 },
  { at_once: 1, wait_ms: 5, workflows: 10 },
  { at_once: 32, wait_ms: 0, workflows: 2_000 },
  { at_once: 32, wait_ms: 5, workflows: 300 },
];

interface Load {
  /** Workflows under way. */
  readonly at_once: number;
  /** How long the upstream takes for each request. */
  readonly wait_ms: number;
  readonly workflows: number;
}

/** One workflow from its first request to its output. */
type Run = (wait_ms: number) => Promise<unknown>;

interface Speed {
  readonly at_once: number;
  readonly wait_ms: number;
  readonly who: string;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly per_second: number;
  readonly cpu_us: number;
}

/** The workflow's, in times the bare client's. */
interface Ratio {
  readonly at_once: number;
  readonly wait_ms: number;
  readonly p50: number;
  readonly elapsed: number;
}

interface Round {
  readonly latencies_ms: readonly number[];
  readonly elapsed_ms: number;
  readonly cpu_us: number;
}

function bare(agent: Agent, origin: string): Run {
  const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'bare' };
  return async (wait_ms) => {
    let id = 'c-0';
    for (let step = 0; step < STEPS; step += 1) {
      const wait = wait_ms === 0 ? '' : `&wait_ms=${wait_ms}`;
      const path = `/customers/${encodeURIComponent(id)}?step=${step}${wait}`;
      const { statusCode, body } = await agent.request({ origin, path, method: 'GET', headers });
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
      id = ((await body.json()) as { data: { id: string }[] }).data[0]!.id;
    }
    return { id };
  };
}

function engine(deps: WorkflowDeps, tool: WorkflowTool): Run {
  const { signal } = new AbortController();
  return (wait_ms) => {
    const input = wait_ms === 0 ? { id: 'c-0' } : { id: 'c-0', wait_ms };
    return runWorkflow(deps, tool, input, { signal, emit: () => {} });
  };
}

async function compileTool(base_url: string): Promise<WorkflowTool> {
  const manifest = (kind: string, name: string, spec: object) =>
    JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata: { name }, spec });
  const document = {
    openapi: '3.0.3',
    info: { title: 'CRM', version: '1' },
    paths: {
      '/customers/{id}': {
        get: {
          operationId: 'getCustomer',
          parameters: [
            { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
            { name: 'step', in: 'query', schema: { type: 'integer' } },
            { name: 'wait_ms', in: 'query', schema: { type: 'integer' } },
          ],
          responses: { 200: { description: 'Found.' } },
        },
      },
    },
  };
  const steps = Array.from({ length: STEPS }, (_, step) => ({
    name: `s${step}`,
    operation_id: 'getCustomer',
    path_params: { id: step === 0 ? '{{input.id}}' : `{{steps.s${step - 1}.id}}` },
    query: { step, wait_ms: '{{input.wait_ms}}' },
    extract: { id: '$.data[0].id' },
  }));
  const compiler = createCompiler();
  await compiler.next({
    'crm.json': manifest('ApiSpec', 'crm', {
      source: { inline: document },
      base_url,
      egress: { allow_private: true },
      retry: {},
    }),
    'five.json': manifest('ToolWorkflow', 'five', {
      description: 'Five steps.',
      api_spec: 'crm',
      input_schema: { type: 'object', properties: { id: { type: 'string' }, wait_ms: { type: 'integer' } } },
      steps,
      output: { id: `{{steps.s${STEPS - 1}.id}}` },
    }),
  });
  const tool = visible(compiler.snapshot().tools, null, 'five');
  if (tool?.kind !== 'workflow') throw new Error(compiler.said().join('\n'));
  return tool;
}

async function round(run: Run, { at_once, wait_ms, workflows }: Load): Promise<Round> {
  const latencies_ms: number[] = [];
  let left = workflows;
  const before = process.cpuUsage();
  const began = performance.now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      await run(wait_ms);
      latencies_ms.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: at_once }, worker));
  const elapsed_ms = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { latencies_ms, elapsed_ms, cpu_us: user + system };
}

function speedOf(who: string, { at_once, wait_ms }: Load, rounds: readonly Round[]): Speed {
  const latencies = rounds.flatMap(({ latencies_ms }) => latencies_ms).sort((a, b) => a - b);
  const total = (of: (one: Round) => number) => rounds.reduce((sum, one) => sum + of(one), 0);
  const quantile = (q: number) => latencies[Math.floor((latencies.length - 1) * q)]!;
  return {
    at_once,
    wait_ms,
    who,
    p50_ms: rounded(quantile(0.5)),
    p99_ms: rounded(quantile(0.99)),
    per_second: Math.round((latencies.length / total(({ elapsed_ms }) => elapsed_ms)) * 1000),
    cpu_us: Math.round(total(({ cpu_us }) => cpu_us) / latencies.length),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

async function main(): Promise<void> {
  const upstream = await startUpstream();
  const agent = new Agent({ connections: 128, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const egress = createEgress();
  try {
    const tool = await compileTool(upstream.url);
    const deps = { egress, credentials: async () => null, clock: systemClock };
    const runs: [string, Run][] = [
      ['bare client', bare(agent, upstream.url)],
      ['workflow', engine(deps, tool)],
    ];
    for (const [, run] of runs) await round(run, { at_once: 32, wait_ms: 0, workflows: WARM_UP });
    const speeds: Speed[] = [];
    const ratios: Ratio[] = [];
    for (const load of LOADS) {
      const made = runs.map((): Round[] => []);
      for (let i = 0; i < ROUNDS; i += 1) {
        // Each is first in every other round.
        for (const who of i % 2 === 0 ? [0, 1] : [1, 0]) made[who]!.push(await round(runs[who]![1], load));
      }
      const [floor, engineSpeed] = runs.map(([who], index) => speedOf(who, load, made[index]!));
      speeds.push(floor!, engineSpeed!);
      ratios.push({
        at_once: load.at_once,
        wait_ms: load.wait_ms,
        p50: rounded(engineSpeed!.p50_ms / floor!.p50_ms),
        elapsed: rounded(floor!.per_second / engineSpeed!.per_second),
      });
    }
    print(speeds, ratios);
    writeFileSync('bench.workflow.json', `${JSON.stringify({ speeds, ratios }, null, 2)}\n`);
  } finally {
    await Promise.all([agent.close(), egress.close(), upstream.stop()]);
  }
}

function print(speeds: readonly Speed[], ratios: readonly Ratio[]): void {
  console.log(
    `\nA workflow of ${STEPS} steps, each needing the one before, and the same requests by a bare client\n`,
  );
  const rows = [
    ['at once', 'upstream takes', 'who', 'p50 ms', 'p99 ms', 'per second', 'CPU us'],
    ...speeds.map((s) => [s.at_once, `${s.wait_ms} ms`, s.who, s.p50_ms, s.p99_ms, s.per_second, s.cpu_us]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows)
    console.log(`  ${row.map((cell, i) => String(cell).padStart(widths[i]!)).join('   ')}`);
  console.log('');
  for (const { at_once, wait_ms, p50, elapsed } of ratios)
    console.log(
      `  ${at_once} at once, ${wait_ms} ms: ${p50} times the p50 of the bare client, ${elapsed} times its time (goal: at most 1.15)`,
    );
}

await main();
