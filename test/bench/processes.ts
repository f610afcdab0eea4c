/** Starts the processes of a benchmark run, and talks with them. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BareRequest } from './bare-request.ts';
import type { FloorOptions } from './floor.ts';
import type { Round, RoundResult } from './load.ts';
import type { Delay, Memory } from './probe.ts';

/** What is measured: something that answers signed calls, and tells what it has used. */
export interface Target {
  readonly name: 'floor' | 'gateway';
  readonly url: string;
  /** Microseconds of CPU so far, of all its threads. */
  cpu(): Promise<number>;
  memory(): Promise<Memory>;
  /** Of its event loop, since it was last asked. */
  delay(): Promise<Delay>;
  stop(): Promise<void>;
}

const HERE = import.meta.dirname;
const PROBED = ['--expose-gc', '--import', join(HERE, 'probe.ts')];

export async function startUpstream(): Promise<{ url: string; stop(): Promise<void> }> {
  const child = fork(join(HERE, 'upstream.ts'));
  const { url } = await heard<{ url: string }>(child);
  return { url, stop: () => stop(child) };
}

export async function startFloor(options: FloorOptions): Promise<Target> {
  const child = fork(join(HERE, 'floor.ts'), [JSON.stringify(options)], { execArgv: PROBED });
  const { url } = await heard<{ url: string }>(child);
  return target('floor', url, child);
}

/**
 * The gateway as `serve` runs it, with the gateway.yaml of this directory. BENCH_PROFILE names a directory for its CPU
 * profiles, one a thread.
 */
export async function startGateway(dir: string): Promise<Target> {
  const ready = join(dir, `ready-${randomUUID()}.json`);
  const main = join(HERE, '../../src/main.ts');
  const args = ['serve', '--config', join(dir, 'gateway.yaml'), '--ready-file', ready];
  const profiles = process.env.BENCH_PROFILE;
  const profiled = profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profiles];
  const child = fork(main, args, { execArgv: [...PROBED, ...profiled], silent: true });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  while (!existsSync(ready)) {
    if (child.exitCode !== null) throw new Error(`the gateway did not start:\n${log}`);
    await sleep(20);
  }
  const { data } = JSON.parse(readFileSync(ready, 'utf8')) as { data: string };
  return target('gateway', data, child);
}

function target(name: Target['name'], url: string, child: ChildProcess): Target {
  return {
    name,
    url,
    cpu: () => ask<number>(child, 'cpu'),
    memory: () => ask<Memory>(child, 'memory'),
    delay: () => ask<Delay>(child, 'delay'),
    stop: () => stop(child),
  };
}

/** A process that runs one of the programs beside this file to its end, and what it has to say. */
export async function runProgram<T>(name: string, args: readonly string[]): Promise<T> {
  const child = fork(join(HERE, name), [...args], { execArgv: PROBED });
  const exited = once(child, 'exit');
  const result = await heard<T>(child);
  await exited;
  return result;
}

export interface LoadGenerator {
  run(round: Round): Promise<RoundResult>;
  stop(): Promise<void>;
}

export async function startLoadGenerator(): Promise<LoadGenerator> {
  const child = fork(join(HERE, 'load.ts'));
  await heard(child);
  return {
    async run(round) {
      const result = await ask<RoundResult | { failure: string }>(child, round);
      if ('failure' in result) throw new Error(result.failure);
      return result;
    },
    stop: () => stop(child),
  };
}

export interface BareClient {
  /** Milliseconds of one GET. */
  get(asked: BareRequest): Promise<number>;
  stop(): Promise<void>;
}

/** Asks servers as the gateway does: from a process of its own. */
export async function startBareClient(): Promise<BareClient> {
  const child = fork(join(HERE, 'bare-request.ts'));
  await heard(child);
  return {
    get: async (asked) => (await ask<{ ms: number }>(child, asked)).ms,
    stop: () => stop(child),
  };
}

function ask<T>(child: ChildProcess, message: object | string): Promise<T> {
  const answer = heard<T>(child);
  child.send(message);
  return answer;
}

/** The next message of the child. Rejects when it ends instead. */
async function heard<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController();
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`process ${child.pid} ended with ${code}`);
  });
  exit.catch(() => {});
  try {
    const [message] = (await Promise.race([once(child, 'message'), exit])) as [T];
    return message;
  } finally {
    ended.abort();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
