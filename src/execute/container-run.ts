/**
 * One container from its making to its end: create, attach, start, read to the end, wait, remove. Whatever happens
 * on the way, it is removed; what an engine that went away keeps, the sweep removes (`container-sweep.ts`).
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { CliTool } from '../snapshot/snapshot.ts';
import type { createOptions } from './container-create.ts';
import { type Engine, reasonOf, statusOf } from './container-engine.ts';
import { unlessAborted } from './container-image.ts';
import { collectOutput, MAX_DRAINED, type Output, type OutputOptions } from './container-output.ts';

export interface ContainerResult extends Output {
  readonly exit_code: number;
  /** Milliseconds from the start of the command to its end. */
  readonly run_ms: number;
}

/** A call's process: in a container that begins with it, or in one that waits for it. */
export interface CallProcess {
  /** Frames of stdout and stderr. */
  readonly output: Socket;
  /** Its stdin; the same connection as the output, or another. null: there is none to write to. */
  readonly input: Socket | null;
  /** The exit code, once the process has ended. */
  ended(): Promise<number>;
}

export interface RunOptions {
  readonly engine: Engine;
  readonly tool: CliTool;
  /** Begins the process in the container. */
  readonly begin: (container: Docker.Container) => Promise<CallProcess>;
  /** null: the command reads an empty one. */
  readonly stdin: string | null;
  /** Masks what the command prints of the secrets of the call; null: there are none. */
  readonly mask: OutputOptions['mask'];
  /** Aborted when the caller is gone or the call is out of time; its reason is what the call ends with. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface OwnContainer {
  readonly options: ReturnType<typeof createOptions>;
  /** Called when the container is gone, which the call does not wait for. */
  readonly onRemoved: () => void;
}

/** Milliseconds that an engine may take to end a killed container. */
const KILL_MS = 10_000;
const REMOVE_TRIES = 5;
const REMOVE_AGAIN_MS = 100;
/** Podman looks four times a second unless told otherwise. */
const UNTIL_ENDED = { condition: 'not-running', interval: '10ms' } as const;
/** 128 + SIGKILL. */
const KILLED = 137;

/**
 * Makes a container, runs the call in it and has it removed. Rejects with CONTAINER_FAILED, CLI_TIMEOUT,
 * RESPONSE_TOO_LARGE or the signal's reason.
 */
export async function runContainer(
  run: Omit<RunOptions, 'begin'>,
  { options, onRemoved }: OwnContainer,
): Promise<ContainerResult> {
  const { engine, signal, stdin } = run;
  const creating = engine.api.createContainer(options);
  try {
    const container = await unlessAborted(creating, signal).catch((error: unknown) => {
      throw explained(run, 'made', error);
    });
    await checkRuntime(run.tool, container).catch((error: unknown) => {
      throw explained(run, 'made', error);
    });
    return await runProcess({ ...run, begin: (made) => startWith(engine, made, stdin !== null) }, container);
  } finally {
    // Also one whose making was not waited for.
    creating.then(removeContainer, () => false).then(onRemoved);
  }
}

/** Attached before it starts, so that nothing that it writes is missed. */
async function startWith(engine: Engine, container: Docker.Container, stdin: boolean): Promise<CallProcess> {
  const output = await engine.attach(container.id, 'output');
  let input: Socket | null = null;
  try {
    if (stdin) input = await engine.attach(container.id, 'input');
    await container.start();
  } catch (error) {
    output.destroy();
    input?.destroy();
    throw error;
  }
  return { output, input, ended: async () => (await waitFor(container)).StatusCode };
}

/** Runs the call's process in a container that is there already, and ends it in time; the container stays. */
export async function runProcess(run: RunOptions, container: Docker.Container): Promise<ContainerResult> {
  const { tool, stdin, mask, signal, clock } = run;
  const ending = new AbortController();
  const end = (reason: unknown): void => ending.abort(reason);
  const onAbort = (): void => end(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  let begun: CallProcess | undefined;
  try {
    if (signal.aborted) throw signal.reason;
    begun = await unlessAborted(run.begin(container), signal);
    const started = clock.monotonic();
    timer = setTimeout(() => end(timedOut(tool)), tool.timeout_ms);
    const { max_output_bytes: max_bytes } = tool;
    const output = collectOutput(begun.output, { mask, max_bytes, onFlood: () => end(flooded(tool)) });
    // A command that reads nothing closes its end.
    if (stdin !== null) begun.input?.end(stdin);
    const written = await unlessAborted(output, ending.signal);
    const exit_code = await unlessAborted(begun.ended(), ending.signal);
    const run_ms = Math.round(clock.monotonic() - started);
    if (exit_code === KILLED) await checkMemory(tool, container);
    return { ...written, exit_code, run_ms };
  } catch (error) {
    if (ending.signal.aborted || signal.aborted) {
      await killed(container);
      throw ending.signal.aborted ? ending.signal.reason : signal.reason;
    }
    throw explained(run, 'run', error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    begun?.output.destroy();
    begun?.input?.destroy();
  }
}

/** What was asked for and not given: Podman ignores a runtime. */
export async function checkRuntime({ name, runtime }: CliTool, container: Docker.Container): Promise<void> {
  if (runtime === null) return;
  const { HostConfig } = await container.inspect();
  if ((HostConfig as { readonly Runtime?: string }).Runtime === runtime) return;
  throw new GatewayError('CONTAINER_FAILED', `the engine would not run ${name} with the runtime ${runtime}`, {
    details: { reason: 'runtime' },
  });
}

/** Once it has ended; one that ended before is answered at once. */
function waitFor(container: Docker.Container): Promise<{ StatusCode: number }> {
  return container.wait(UNTIL_ENDED);
}

async function checkMemory({ name, resources }: CliTool, container: Docker.Container): Promise<void> {
  const { State } = await container.inspect();
  // Not every engine hears of it from every kernel, and nobody else kills what runs alone.
  const reason = State.OOMKilled ? 'out_of_memory' : 'killed';
  const what = State.OOMKilled
    ? 'used up its memory and was killed'
    : 'was killed, most likely for its memory';
  throw new GatewayError('CONTAINER_FAILED', `${name} ${what}`, {
    details: { reason, memory_bytes: resources.memory_bytes },
  });
}

/** SIGKILL, which no process ignores; resolves when the container has ended, or the engine takes too long. */
async function killed(container: Docker.Container): Promise<void> {
  const late = AbortSignal.timeout(KILL_MS);
  const kill = async (): Promise<void> => {
    await container.kill({ signal: 'SIGKILL' });
    await waitFor(container);
  };
  // One that has ended, or never began, cannot be killed; removing it ends it in any case.
  await unlessAborted(kill(), late).catch(() => {});
}

/** Volumes too. Resolves to whether it is gone; what is not is left to the sweep. Never rejects. */
export async function removeContainer(container: Docker.Container): Promise<boolean> {
  for (let attempt = 1; attempt <= REMOVE_TRIES; attempt += 1) {
    try {
      await container.remove({ force: true, v: true });
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return true;
      if (statusOf(error) === null) return false;
      // Podman refuses while it is still at the killing.
      await sleep(REMOVE_AGAIN_MS * attempt);
    }
  }
  return false;
}

function timedOut({ name, timeout_ms }: CliTool): GatewayError {
  return new GatewayError('CLI_TIMEOUT', `${name} did not end within ${timeout_ms} ms and was killed`, {
    details: { timeout_ms },
  });
}

function flooded({ name }: CliTool): GatewayError {
  return new GatewayError(
    'RESPONSE_TOO_LARGE',
    `${name} wrote more than ${MAX_DRAINED} bytes and was killed`,
    {
      layer: 'container',
      details: { limit_bytes: MAX_DRAINED },
    },
  );
}

function explained(
  { tool, signal }: Pick<RunOptions, 'tool' | 'signal'>,
  what: string,
  error: unknown,
): unknown {
  if (error instanceof GatewayError || signal.aborted) return error;
  const status = statusOf(error);
  // The engine's words name paths of the host: they are for the log.
  const why =
    status === null
      ? 'the container engine went away'
      : /executable file not found|no such file or directory/i.test(reasonOf(error))
        ? 'its program, a mount or its working directory is not there'
        : `the engine refused it (${status})`;
  return new GatewayError('CONTAINER_FAILED', `the container of ${tool.name} could not be ${what}: ${why}`, {
    details: { reason: status === null ? 'engine_gone' : 'refused' },
    cause: error,
  });
}
