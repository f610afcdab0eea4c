/** Calls of CLI tools on a real engine, for tests. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type CliInvocation, judgeCliArguments } from '../../src/execute/cli-arguments.ts';
import {
  type CliCredentials,
  type CliOutcome,
  type CliRunner,
  type CliRunnerDeps,
  createCliRunner,
} from '../../src/execute/cli-run.ts';
import { createEngines } from '../../src/execute/container-engine.ts';
import { thisInstance } from '../../src/execute/instance.ts';
import { newId } from '../../src/ids.ts';
import { silentLog } from '../../src/log.ts';
import type { CliTool } from '../../src/snapshot/snapshot.ts';
import { cliTool, type WrittenCliTool } from '../support/cli-tool.ts';
import { BUSYBOX } from '../support/engines.ts';
import { testEgress } from './upstream.ts';

export interface RunnerOptions {
  readonly address: string;
  readonly settings?: Partial<CliRunnerDeps['settings']>;
  /** Of every call, and of what is made ahead. */
  readonly credentials?: Partial<CliCredentials>;
  /** Another than this process: it is what containers are labelled with. */
  readonly instance?: string;
  readonly log?: CliRunnerDeps['log'];
}

/** Ends with the test, and waits for its containers to be gone. */
export function runnerOn({
  address,
  settings,
  credentials,
  instance,
  log = silentLog,
}: RunnerOptions): CliRunner {
  const runner = createCliRunner({
    settings: {
      mount_roots: [],
      networks: [],
      max_concurrency: 16,
      max_queue: 64,
      secrets_dir: '/dev/shm',
      semantic_judge_url: null,
      ...settings,
    },
    engines: createEngines({ addresses: [address], log }),
    // Apart from other test files, whose runners sweep what they do not know.
    instance: instance ?? `${thisInstance()}.${nextNumber()}`,
    egress: testEgress(),
    clock: systemClock,
    log,
  });
  given.set(runner, { ...NONE, ...credentials });
  onTestFinished(() => runner.close(20_000));
  return runner;
}

/** No credential leads to anything. */
const NONE: CliCredentials = { forContainer: async () => null, resolve: async () => null };
const given = new WeakMap<CliRunner, CliCredentials>();

/** Has images pulled and containers started for these tools. */
export function prepare(runner: CliRunner, tools: readonly CliTool[]): void {
  runner.prepare(tools, () => ({ ...given.get(runner)!, end: async () => {} }));
}

let runners = 0;
function nextNumber(): number {
  runners += 1;
  return runners;
}

/** A tool that runs this script in busybox. */
export function shell(script: string, written: WrittenCliTool = {}): CliTool {
  return cliTool({
    name: 'shell',
    image: BUSYBOX,
    pull_policy: 'never',
    command: ['sh', '-c', script],
    allowed_subcommands: ['run'],
    resources: { memory: '64Mi' },
    stdin: true,
    ...written,
  });
}

export interface CallOptions {
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  readonly timeout_ms?: number;
  readonly call_id?: string;
}

export function callOf(runner: CliRunner, tool: CliTool, options: CallOptions = {}): Promise<CliOutcome> {
  const { stdin, signal = new AbortController().signal, timeout_ms = 60_000, call_id = newId() } = options;
  return runner.run({
    tool,
    invocation: invocationOf(tool, { subcommand: 'run', stdin: stdin ?? null }),
    call_id,
    security_context: 'tests',
    credentials: given.get(runner)!,
    signal,
    timeout_ms,
    onAllowed: async () => {},
  });
}

export function invocationOf(tool: CliTool, args: Record<string, unknown>): CliInvocation {
  const judged = judgeCliArguments(tool, args);
  if ('problem' in judged) throw new Error(judged.problem.message);
  return judged.invocation;
}
