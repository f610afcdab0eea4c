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
/** Workflows of one round, by how many are under way at once. */
const LOADS: readonly (readonly [at_once: number, workflows: number])[] = [
  [1, 400],
  [32, 2_000],
];

/** One workflow from its first request to its output. */
type Run = () => Promise<unknown>;

interface Speed {
  readonly at_once: number;
  readonly who: string;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly per_second: number;
  readonly cpu_us: number;
}

interface Round {
  readonly latencies_ms: readonly number[];
  readonly elapsed_ms: number;
  readonly cpu_us: number;
}

function bare(agent: Agent, origin: string): Run {
  const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'bare' };
  return async () => {
    let id = 'c-0';
    for (let step = 0; step < STEPS; step += 1) {
      const path = `/customers/${encodeURIComponent(id)}?step=${step}`;
      const { statusCode, body } = await agent.request({ origin, path, method: 'GET', headers });
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
      id = ((await body.json()) as { data: { id: string }[] }).data[0]!.id;
    }
    return { id };
  };
}

function engine(deps: WorkflowDeps, tool: WorkflowTool): Run {
  const { signal } = new AbortController();
  return () => runWorkflow(deps, tool, { id: 'c-0' }, { signal, emit: () => {} });
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
    query: { step },
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
      input_schema: { type: 'object', properties: { id: { type: 'string' } } },
      steps,
      output: { id: `{{steps.s${STEPS - 1}.id}}` },
    }),
  });
  const tool = visible(compiler.snapshot().tools, null, 'five');
  if (tool?.kind !== 'workflow') throw new Error(compiler.said().join('\n'));
  return tool;
}

async function round(run: Run, at_once: number, workflows: number): Promise<Round> {
  const latencies_ms: number[] = [];
  let left = workflows;
  const before = process.cpuUsage();
  const began = performance.now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      await run();
      latencies_ms.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: at_once }, worker));
  const elapsed_ms = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { latencies_ms, elapsed_ms, cpu_us: user + system };
}

function speedOf(who: string, at_once: number, rounds: readonly Round[]): Speed {
  const latencies = rounds.flatMap(({ latencies_ms }) => latencies_ms).sort((a, b) => a - b);
  const total = (of: (one: Round) => number) => rounds.reduce((sum, one) => sum + of(one), 0);
  const quantile = (q: number) => latencies[Math.floor((latencies.length - 1) * q)]!;
  return {
    at_once,
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
    for (const [, run] of runs) await round(run, 32, WARM_UP);
    const speeds: Speed[] = [];
    const ratios: { at_once: number; p50: number; elapsed: number }[] = [];
    for (const [at_once, workflows] of LOADS) {
      const made = runs.map((): Round[] => []);
      for (let i = 0; i < ROUNDS; i += 1) {
        // Each is first in every other round.
        for (const who of i % 2 === 0 ? [0, 1] : [1, 0])
          made[who]!.push(await round(runs[who]![1], at_once, workflows));
      }
      const [floor, engineSpeed] = runs.map(([who], index) => speedOf(who, at_once, made[index]!));
      speeds.push(floor!, engineSpeed!);
      ratios.push({
        at_once,
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

function print(
  speeds: readonly Speed[],
  ratios: readonly { at_once: number; p50: number; elapsed: number }[],
): void {
  console.log(
    `\nA workflow of ${STEPS} steps, each needing the one before, and the same requests by a bare client\n`,
  );
  console.log('  at once   who           p50 ms   p99 ms   per second   CPU us');
  for (const { at_once, who, p50_ms, p99_ms, per_second, cpu_us } of speeds) {
    const cells = [String(p50_ms).padStart(6), String(p99_ms).padStart(6), String(per_second).padStart(10)];
    console.log(`  ${String(at_once).padStart(7)}   ${who.padEnd(11)}   ${cells.join('   ')}   ${cpu_us}`);
  }
  console.log('');
  for (const { at_once, p50, elapsed } of ratios)
    console.log(
      `  ${at_once} at once: ${p50} times the p50 of the bare client, ${elapsed} times its time (goal: 1.15)`,
    );
}

await main();
