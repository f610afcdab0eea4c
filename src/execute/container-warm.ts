/**
 * Containers that wait for calls, so that a call need not pay for the making of one. Each is as a call's own would be,
 * runs a program that does nothing, serves one call by `exec` and is destroyed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { Clock } from '../clock.ts';
import { type ContainerSecrets, reveal } from '../credentials/secret.ts';
import type { CliTool } from '../snapshot/snapshot.ts';
import type { Engine } from './container-engine.ts';
import { type CallProcess, checkRuntime, removeContainer } from './container-run.ts';

export interface WarmContainer {
  readonly name: string;
  readonly container: Docker.Container;
  readonly engine: Engine;
  readonly tool: CliTool;
}

export interface WarmDeps {
  /** Makes one that is not started. `name` is known to the caller as long as the container may exist. */
  make(tool: CliTool): Promise<WarmContainer>;
  /** The container is gone. */
  onRemoved(name: string): void;
  onFailure(tool: CliTool, error: unknown): void;
  readonly clock: Clock;
}

export interface WarmContainers {
  /**
   * One for this call alone; null: none waits that could serve it. The caller gives it to
   * {@link WarmContainers.remove} after it.
   */
  take(tool: CliTool, call: { readonly stdin: boolean }): WarmContainer | null;
  /** Resolves when it is gone; another one is made in its place. */
  remove(warm: WarmContainer): Promise<void>;
  /** From now on containers wait for these tools, and for no others. */
  keep(tools: readonly CliTool[]): void;
  /** Replaces what has waited too long, or all of them, and makes what is missing. */
  refresh(which: { readonly all: boolean }): void;
  close(): Promise<void>;
}

/** After it a waiting container is replaced: the image behind its tag, or a mount, may be another one by now. */
export const WARM_MS = 10 * 60_000;
const POLL_MS = 5;

interface Waiting extends WarmContainer {
  readonly since: number;
}

export function createWarmContainers({ make, onRemoved, onFailure, clock }: WarmDeps): WarmContainers {
  /** By the tool of a snapshot: a changed manifest is another tool. */
  const waiting = new Map<CliTool, Waiting[]>();
  const making = new Map<CliTool, number>();

  const remove = async (warm: WarmContainer): Promise<void> => {
    await removeContainer(warm.container);
    onRemoved(warm.name);
  };

  function fill(tool: CliTool): void {
    const list = waiting.get(tool);
    if (list === undefined) return;
    for (let missing = tool.prewarm - list.length - (making.get(tool) ?? 0); missing > 0; missing -= 1) {
      making.set(tool, (making.get(tool) ?? 0) + 1);
      start(tool)
        .catch((error: unknown) => onFailure(tool, error))
        .finally(() => making.set(tool, making.get(tool)! - 1));
    }
  }

  async function start(tool: CliTool): Promise<void> {
    const warm = await make(tool);
    try {
      await checkRuntime(tool, warm.container);
      await warm.container.start();
    } catch (error) {
      await remove(warm);
      throw error;
    }
    const list = waiting.get(tool);
    // The tool may be gone by now.
    if (list === undefined) await remove(warm);
    else list.push({ ...warm, since: clock.monotonic() });
  }

  const drop = (list: readonly Waiting[]): Promise<unknown> => Promise.all(list.map(remove));

  return {
    take(tool, { stdin }) {
      const list = waiting.get(tool) ?? [];
      // An `exec` has one connection, and Podman ends that when nobody reads its stdin: with the output.
      if (stdin && list[0]?.engine.name === 'podman') return null;
      return list.shift() ?? null;
    },
    async remove(warm) {
      await remove(warm);
      // Not before: the making of it would be in the way of the call.
      fill(warm.tool);
    },
    keep(tools) {
      const kept = new Set(tools.filter(({ prewarm }) => prewarm > 0));
      for (const [tool, list] of waiting) {
        if (kept.has(tool)) continue;
        waiting.delete(tool);
        void drop(list);
      }
      for (const tool of kept) {
        if (!waiting.has(tool)) waiting.set(tool, []);
        fill(tool);
      }
    },
    refresh({ all }) {
      for (const [tool, list] of waiting) {
        const old = list.filter(({ since }) => all || clock.monotonic() - since > WARM_MS);
        waiting.set(
          tool,
          list.filter((warm) => !old.includes(warm)),
        );
        void drop(old);
        fill(tool);
      }
    },
    async close() {
      const all = [...waiting.values()].flat();
      waiting.clear();
      await drop(all);
    },
  };
}

/** Begins the call's process beside the one that waits; secrets of the environment are opened here. */
export async function execIn(
  container: Docker.Container,
  call: {
    readonly tool: CliTool;
    readonly argv: readonly string[];
    readonly env_secrets: ContainerSecrets['env'];
    readonly stdin: boolean;
  },
): Promise<CallProcess> {
  const { tool, argv, env_secrets, stdin } = call;
  const exec = await container.exec({
    Cmd: [...argv],
    Env: Object.entries(env_secrets).map(([name, secret]) => `${name}=${reveal(secret)}`),
    User: tool.user,
    ...(tool.workdir !== null && { WorkingDir: tool.workdir }),
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
  });
  const socket = (await exec.start({ hijack: true, stdin })) as CallProcess['output'];
  socket.on('error', () => {});
  return {
    output: socket,
    input: stdin ? socket : null,
    async ended() {
      for (;;) {
        const { Running, ExitCode } = await exec.inspect();
        if (!Running && ExitCode !== null) return ExitCode;
        await sleep(POLL_MS);
      }
    },
  };
}
