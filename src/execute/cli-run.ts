/** One call of a CLI tool: the judge, a place in the queue, the image, the credential, the container. */
import type { Clock } from '../clock.ts';
import { type ContainerSecrets, reveal, type Secret } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Log } from '../log.ts';
import type { CliInject, CliTool, CredentialRef, Judge, Tool } from '../snapshot/snapshot.ts';
import type { CliInvocation } from './cli-arguments.ts';
import { type Bind, createOptions, NAME_PREFIX } from './container-create.ts';
import type { Engine, EngineState, Engines } from './container-engine.ts';
import { mountsOf, removeOwnSecrets, removeStaleSecrets, writeSecrets } from './container-files.ts';
import { createImages, type ReadyImage } from './container-image.ts';
import { createQueue } from './container-queue.ts';
import { type ContainerResult, runContainer, runProcess } from './container-run.ts';
import { sweep } from './container-sweep.ts';
import { createWarmContainers, execIn, WARM_MS, type WarmContainer } from './container-warm.ts';
import type { Egress } from './egress.ts';
import { isDead } from './instance.ts';
import { askJudge, type Judgement, rejected } from './judge.ts';

/** `cli` of the process configuration. */
export interface CliSettings {
  readonly mount_roots: readonly string[];
  readonly networks: readonly string[];
  readonly max_concurrency: number;
  readonly max_queue: number;
  readonly secrets_dir: string;
  readonly semantic_judge_url: string | null;
}

export interface CliRunnerDeps {
  readonly settings: CliSettings;
  readonly engines: Engines;
  /** This process, as containers name it (`instance.ts`). */
  readonly instance: string;
  readonly egress: Egress;
  readonly clock: Clock;
  readonly log: Log;
}

/** The credentials of one call (`credentials/call.ts`): for its container, for a registry and for a judge. */
export interface CliCredentials {
  forContainer(ref: CredentialRef, inject: CliInject, target: string): Promise<ContainerSecrets | null>;
  resolve(
    ref: CredentialRef,
    target: string,
  ): Promise<{ readonly value: Secret | null; readonly fields: Readonly<Record<string, Secret>> } | null>;
}

/** Those of what is made ahead of calls; `end` is called when it is. */
export type OpenAhead = (tool: CliTool) => Pick<CliCredentials, 'resolve'> & { end(): Promise<void> };

/** What a caller gets (protocol section 4). */
export interface CliResult {
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

export interface CliOutcome {
  readonly result: CliResult;
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
  readonly run_ms: number;
}

export interface CliCall {
  readonly tool: CliTool;
  readonly invocation: CliInvocation;
  readonly call_id: string;
  readonly security_context: string;
  readonly credentials: CliCredentials;
  /** The caller is gone; its reason is what the call ends with. */
  readonly signal: AbortSignal;
  /** Milliseconds for the whole. */
  readonly timeout_ms: number;
  /** Called after a judge has allowed the call, and awaited before anything runs; never for a call without a judge. */
  readonly onAllowed: (judge: string, judgement: Judgement) => Promise<void>;
}

export interface CliRunner {
  run(call: CliCall): Promise<CliOutcome>;
  /** Pulls images and starts containers for the tools that ask for it, and for no others; logs what fails. */
  prepare(tools: Iterable<Tool>, open: OpenAhead): void;
  state(): EngineState;
  /** Waits for the removal of containers that have ended, for this long at most. */
  close(timeout_ms: number): Promise<void>;
}

/** What a container of a tool needs of the machine. */
interface Ground {
  readonly engine: Engine;
  readonly binds: readonly Bind[];
  readonly image: ReadyImage;
}

const NEVER = new AbortController().signal;
/** Between two looks for containers that were left behind. */
const SWEEP_MS = 30_000;

export function createCliRunner(deps: CliRunnerDeps): CliRunner {
  const { settings, engines, instance, clock, log } = deps;
  const queue = createQueue(settings.max_concurrency, settings.max_queue);
  const images = createImages({ clock, log });
  const active = new Set<string>();
  const removals = new Set<Promise<void>>();
  const fallback = settings.semantic_judge_url === null ? null : defaultJudge(settings.semantic_judge_url);

  const sweepNow = (engine: Engine): void => {
    sweep(engine, { instance, active, clock, log }).catch((error: unknown) => engines.failed(engine, error));
  };
  const warm = createWarmContainers({
    make: makeWarm,
    onRemoved: (name) => void active.delete(name),
    onFailure: (tool, error) =>
      log.warn({ err: error, tool: tool.name }, 'no container could be started ahead'),
    clock,
  });

  let ahead: readonly CliTool[] = [];
  let openAhead: OpenAhead | null = null;
  const pullAhead = (engine: Engine): void => {
    for (const tool of ahead) {
      withCredentials(tool, (credentials) => images.ready(engine, tool, credentials, NEVER)).catch(
        (error: unknown) => {
          engines.failed(engine, error);
          log.warn({ err: error, tool: tool.name }, 'an image could not be pulled ahead');
        },
      );
    }
  };
  engines.onFound(sweepNow);
  engines.onFound(pullAhead);
  engines.onFound(() => warm.refresh({ all: true }));
  const look = (): void => {
    // Also finds an engine that came after the start.
    const known = engines.state().error === null;
    engines.use().then(
      (engine) => known && sweepNow(engine),
      () => {},
    );
    warm.refresh({ all: false });
    removeStaleSecrets(settings.secrets_dir, isDead).catch(() => {});
  };
  look();
  const sweeping = setInterval(look, SWEEP_MS);
  sweeping.unref();

  async function run(call: CliCall): Promise<CliOutcome> {
    const deadline = startDeadline(call);
    try {
      await judge(call, deadline.signal);
      const leave = await queue.enter(deadline.signal);
      const found = warm.take(call.tool, { stdin: readsStdin(call) });
      if (found !== null) return await inWarmContainer(call, found, deadline.signal, leave);
      return await inOwnContainer(call, deadline.signal, leave);
    } finally {
      deadline.end();
    }
  }

  async function judge(
    { tool, invocation, security_context, credentials, onAllowed }: CliCall,
    signal: AbortSignal,
  ): Promise<void> {
    if (!tool.require_judge) return;
    const asked = tool.judge ?? fallback;
    if (asked === null) throw rejected(null, 'the tool requires a judge, and there is none');
    const { name: tool_name, description } = tool;
    const { subcommand, words: args, stdin } = invocation;
    const question = { tool_name, description, subcommand, args, stdin, security_context };
    const judgement = await askJudge({ egress: deps.egress, credentials }, asked, question, signal);
    await onAllowed(asked.name, judgement);
  }

  /** What a container of this tool needs of the machine. Rejects as {@link CliRunner.run}. */
  async function groundFor(
    tool: CliTool,
    credentials: Pick<CliCredentials, 'resolve'>,
    signal: AbortSignal,
  ): Promise<Ground> {
    checkNetwork(tool);
    const engine = await engines.use();
    const binds = await mountsOf(tool, settings.mount_roots);
    const image = await images
      .ready(engine, tool, credentials, signal)
      .catch((error: unknown) => throwLost(engine, error));
    return { engine, binds, image };
  }

  /** What is made ahead of calls has no caller, in whose name a registry could be asked. */
  async function withCredentials<T>(
    tool: CliTool,
    use: (credentials: Pick<CliCredentials, 'resolve'>) => Promise<T>,
  ): Promise<T> {
    const credentials = openAhead!(tool);
    try {
      return await use(credentials);
    } finally {
      await credentials.end();
    }
  }

  async function makeWarm(tool: CliTool): Promise<WarmContainer> {
    const { engine, binds, image } = await withCredentials(tool, (credentials) =>
      groundFor(tool, credentials, NEVER),
    );
    const call_id = `warm-${newId()}`;
    const options = createOptions({
      ...{ engine: engine.name, tool, image, binds, instance, call_id },
      argv: tool.prewarm_idle,
      env_secrets: {},
      stdin: false,
      deadline: clock.now() + WARM_MS + SWEEP_MS + tool.timeout_ms,
    });
    active.add(options.name);
    try {
      return { name: options.name, engine, tool, container: await engine.api.createContainer(options) };
    } catch (error) {
      active.delete(options.name);
      return throwLost(engine, error);
    }
  }

  /** `leave` is called when the container is gone, also when that is after the answer. */
  async function inOwnContainer(
    { tool, invocation, call_id, credentials }: CliCall,
    signal: AbortSignal,
    leave: () => void,
  ): Promise<CliOutcome> {
    const name = `${NAME_PREFIX}${call_id}`;
    const gone = Promise.withResolvers<void>();
    let removeFiles = async (): Promise<void> => {};
    let begun = false;
    active.add(name);
    afterwards(gone.promise, async () => {
      await removeFiles();
      active.delete(name);
      leave();
    });
    try {
      const { engine, binds, image } = await groundFor(tool, credentials, signal);
      // Last: it may be made for this call.
      const secrets = await secretsOf(tool, credentials);
      const place = { dir: settings.secrets_dir, instance, call_id };
      const files = await writeSecrets(secrets?.files ?? [], place);
      removeFiles = files.remove;
      const { argv } = invocation;
      const stdin = stdinOf(invocation, secrets);
      const options = createOptions({
        ...{ engine: engine.name, tool, argv, image, instance, call_id },
        binds: [...binds, ...files.binds],
        env_secrets: secrets?.env ?? {},
        stdin: stdin !== null,
        deadline: clock.now() + tool.timeout_ms,
      });
      begun = true;
      const running = runContainer(
        { engine, tool, stdin, mask: secrets?.mask ?? null, signal, clock },
        { options, onRemoved: gone.resolve },
      );
      return outcomeOf(await running.catch((error: unknown) => throwLost(engine, error)));
    } finally {
      if (!begun) gone.resolve();
    }
  }

  async function inWarmContainer(
    { tool, invocation, credentials }: CliCall,
    found: WarmContainer,
    signal: AbortSignal,
    leave: () => void,
  ): Promise<CliOutcome> {
    const { engine, container } = found;
    try {
      const secrets = await secretsOf(tool, credentials);
      const { argv } = invocation;
      const stdin = stdinOf(invocation, secrets);
      const exec = { tool, argv, env_secrets: secrets?.env ?? {}, stdin: stdin !== null };
      const begin = () => execIn(container, exec);
      const running = runProcess(
        { engine, tool, begin, stdin, mask: secrets?.mask ?? null, signal, clock },
        container,
      );
      return outcomeOf(await running.catch((error: unknown) => throwLost(engine, error)));
    } finally {
      afterwards(warm.remove(found), async () => leave());
    }
  }

  /** What a call does not wait for; a shutdown does. */
  function afterwards(gone: Promise<void>, clean: () => Promise<void>): void {
    const removal: Promise<void> = gone
      .then(clean)
      .catch(() => {})
      .finally(() => removals.delete(removal));
    removals.add(removal);
  }

  function throwLost(engine: Engine, error: unknown): never {
    engines.failed(engine, error);
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('CONTAINER_FAILED', 'the container engine failed', { cause: error });
  }

  function checkNetwork({ name, network }: CliTool): void {
    if (network === null || settings.networks.includes(network)) return;
    const message = `${name}: its network is none of cli.networks`;
    throw new GatewayError('TOOL_UNAVAILABLE', message, { layer: 'container' });
  }

  return {
    run,
    prepare(tools, open) {
      openAhead = open;
      const cli = [...tools].filter((tool) => tool.kind === 'cli');
      ahead = cli.filter((tool) => tool.prepull);
      // Later too, when an engine comes.
      if (ahead.length > 0) engines.use().then(pullAhead, () => {});
      warm.keep(cli);
    },
    state: engines.state,
    async close(timeout_ms) {
      clearInterval(sweeping);
      const closing = warm.close();
      const late = new Promise((resolve) => setTimeout(resolve, timeout_ms).unref());
      await Promise.race([Promise.allSettled([closing, ...removals]), late]);
      await removeOwnSecrets(settings.secrets_dir, instance);
    },
  };
}

function defaultJudge(url: string): Judge {
  return {
    name: 'cli.semantic_judge_url',
    url: new URL(url),
    protocol: 'http_json',
    model: null,
    instructions: null,
    timeout_ms: 5_000,
    credential: { kind: 'none' },
  };
}

/** What the tool's credential gives; null: it has none. */
function secretsOf(tool: CliTool, credentials: CliCredentials): Promise<ContainerSecrets | null> {
  const { credential, inject, name } = tool;
  return inject === null ? Promise.resolve(null) : credentials.forContainer(credential, inject, name);
}

function readsStdin({ tool, invocation }: CliCall): boolean {
  return invocation.stdin !== null || tool.inject?.kind === 'stdin';
}

/** A secret on standard input is opened here. */
function stdinOf({ stdin }: CliInvocation, secrets: ContainerSecrets | null): string | null {
  return secrets === null || secrets.stdin === null ? stdin : reveal(secrets.stdin);
}

function outcomeOf({ exit_code, stdout, stderr, truncated, run_ms }: ContainerResult): CliOutcome {
  return {
    result: { exit_code, stdout: stdout.text, stderr: stderr.text, truncated },
    stdout_bytes: stdout.bytes,
    stderr_bytes: stderr.bytes,
    run_ms,
  };
}

/** A signal that is aborted with the caller's, or when the call has used up its time. */
function startDeadline({ tool, signal, timeout_ms }: CliCall): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(gone(signal.reason));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    const message = `${tool.name} did not end within ${timeout_ms} ms, the limit of a whole call (limits.call_timeout_ms)`;
    controller.abort(new GatewayError('CLI_TIMEOUT', message, { details: { timeout_ms } }));
  }, timeout_ms);
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

function gone(reason: unknown): GatewayError {
  if (reason instanceof GatewayError) return reason;
  return new GatewayError('CLI_TIMEOUT', 'the call was ended before the command had', {
    details: { reason: 'caller_gone' },
  });
}
