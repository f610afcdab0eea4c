/**
 * The second half of `make bench`: a command that echoes, in a container of its own, on each engine that is there. Beside
 * it, in turn and in one run: the engine's own `run --rm`, and the bare sequence of its API with the same options.
 * Prints tables, writes bench-cli.json, gates nothing. `BENCH_FULL=1` makes 1,000 calls and looks at what they leave.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { judgeCliArguments } from '../../src/execute/cli-arguments.ts';
import { type CliRunner, createCliRunner } from '../../src/execute/cli-run.ts';
import { createOptions } from '../../src/execute/container-create.ts';
import { createEngines } from '../../src/execute/container-engine.ts';
import { createEgress } from '../../src/execute/egress.ts';
import { thisInstance } from '../../src/execute/instance.ts';
import { newId } from '../../src/ids.ts';
import { silentLog } from '../../src/log.ts';
import type { CliTool } from '../../src/snapshot/snapshot.ts';
import { cliTool } from '../support/cli-tool.ts';
import { BUSYBOX, containersLeft, ENGINES, haveBusybox, type TestEngine } from '../support/engines.ts';

const FULL = process.env.BENCH_FULL === '1';
const ROUNDS = FULL ? 40 : 24;
const CONCURRENT = 32;
const LEAK_CALLS = FULL ? 1_000 : 64;

interface Row {
  readonly what: string;
  readonly p50_ms: number;
  readonly p90_ms: number;
  readonly of_bare: number;
}

const settings = {
  mount_roots: [],
  networks: [],
  max_concurrency: 16,
  max_queue: 1_000,
  secrets_dir: '/dev/shm',
  semantic_judge_url: null,
};

const cold = cliTool({
  image: BUSYBOX,
  pull_policy: 'never',
  command: ['echo'],
  allowed_subcommands: ['hello'],
  resources: { memory: '64Mi' },
});
const warm: CliTool = { ...cold, prewarm: 1 };

const NO_CREDENTIALS = { forContainer: async () => null, resolve: async () => null };

async function call(runner: CliRunner, tool: CliTool): Promise<void> {
  const judged = judgeCliArguments(tool, { subcommand: 'hello' });
  if ('problem' in judged) throw new Error(judged.problem.message);
  const { result } = await runner.run({
    ...{
      tool,
      invocation: judged.invocation,
      call_id: newId(),
      security_context: 'bench',
      timeout_ms: 120_000,
    },
    credentials: NO_CREDENTIALS,
    signal: new AbortController().signal,
    onAllowed: async () => {},
  });
  if (result.stdout !== 'hello\n') throw new Error(JSON.stringify(result));
}

/** Create, attach, start, read to the end, wait, remove: with the same options, and nothing else. */
async function bareSequence(engines: ReturnType<typeof createEngines>, image: string): Promise<void> {
  const engine = await engines.use();
  const options = createOptions({
    ...{ engine: engine.name, tool: cold, argv: ['echo', 'hello'], binds: [], env_secrets: {}, stdin: false },
    image: { id: image, volumes: [], healthcheck: false },
    ...{ instance: thisInstance(), call_id: `bare-${newId()}`, deadline: Date.now() + 60_000 },
  });
  const { 'seal-gateway.instance': _, ...Labels } = options.Labels as Record<string, string>;
  const container = await engine.api.createContainer({ ...options, Labels });
  const socket = await engine.attach(container.id, 'output');
  const ended = once(socket.resume(), 'end');
  await container.start();
  await ended;
  await container.wait({ condition: 'not-running', interval: '10ms' } as object);
  await container.remove({ force: true, v: true });
}

async function runProgram({ name, address }: TestEngine): Promise<void> {
  const limits = ['--network=none', '--read-only', '--cap-drop=ALL', '--memory=64m', '--pids-limit=64'];
  const where = name === 'docker' ? ['--host', address] : ['--remote', '--url', address];
  const more = name === 'docker' ? [] : ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];
  const args = [...where, 'run', '--rm', ...limits, ...more, '--entrypoint', 'echo', BUSYBOX, 'hello'];
  const child = spawn(name, args, { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${name} run ended with ${code}`);
}

async function measure(engine: TestEngine): Promise<Record<string, unknown>> {
  await haveBusybox(engine);
  const engines = createEngines({ addresses: [engine.address], log: silentLog });
  const runner = createCliRunner({
    settings,
    engines,
    instance: thisInstance(),
    egress: createEgress(),
    clock: systemClock,
    log: silentLog,
  });
  const image = (await engine.api.getImage(BUSYBOX).inspect()).Id;
  let used = '';
  /**
   * Nothing is made or removed any more: one container waits, another than the last that was used. What the engine does
   * in the background would else be in the next figure.
   */
  const rested = async (): Promise<string> => {
    for (;;) {
      const [one = '', ...more] = await containersLeft(engine);
      if (more.length === 0 && one !== used && one.includes('warm-') && one.endsWith(' running')) {
        // Until the runner knows that as well.
        await sleep(300);
        return one;
      }
      await sleep(50);
    }
  };
  runner.prepare([warm], () => ({ ...NO_CREDENTIALS, end: async () => {} }));
  const kinds: readonly (readonly [string, () => Promise<void>])[] = [
    [`${engine.name} run --rm`, () => runProgram(engine)],
    ['bare API sequence', () => bareSequence(engines, image)],
    ['call, cold', () => call(runner, cold)],
    ['call, prewarmed', () => call(runner, warm)],
  ];
  const times = new Map(kinds.map(([what]) => [what, [] as number[]]));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [what, run] of round % 2 === 0 ? kinds : kinds.toReversed()) {
      const waiting = await rested();
      const started = performance.now();
      await run();
      if (round >= 0) times.get(what)?.push(performance.now() - started);
      if (what === 'call, prewarmed') used = waiting;
    }
  }
  runner.prepare([], () => ({ ...NO_CREDENTIALS, end: async () => {} }));
  const bare = quantile(times.get('bare API sequence') ?? [], 0.5);
  const rows: Row[] = [...times].map(([what, all]) => ({
    what,
    p50_ms: round1(quantile(all, 0.5)),
    p90_ms: round1(quantile(all, 0.9)),
    of_bare: Math.round((quantile(all, 0.5) / bare) * 100) / 100,
  }));
  console.log(`\n${engine.name} (${runner.state().version}), ${ROUNDS} calls each`);
  console.table(rows);

  const started = performance.now();
  await Promise.all(Array.from({ length: CONCURRENT }, () => call(runner, cold)));
  const concurrent_ms = Math.round(performance.now() - started);
  console.log(`${CONCURRENT} calls at one time, 16 containers at most: ${concurrent_ms} ms`);

  const before = heap();
  for (let done = 0; done < LEAK_CALLS; done += 16) {
    await Promise.all(Array.from({ length: 16 }, () => call(runner, cold)));
  }
  await runner.close(60_000);
  const left = await containersLeft(engine);
  const heap_growth_mb = round1((heap() - before) / 2 ** 20);
  console.log(`after ${LEAK_CALLS} more: ${left.length} containers left, heap ${heap_growth_mb} MB more`);
  return { engine: engine.name, rows, concurrent_ms, calls: LEAK_CALLS, left: left.length, heap_growth_mb };
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function quantile(all: readonly number[], q: number): number {
  const sorted = [...all].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

const results: Record<string, unknown>[] = [];
for (const engine of ENGINES) results.push(await measure(engine));
writeFileSync('bench-cli.json', `${JSON.stringify(results, null, 2)}\n`);
