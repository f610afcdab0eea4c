/** What a container is made of: the options that hold on Docker and Podman alike, and nothing that is not said here. */
import type { ContainerCreateOptions } from 'dockerode';
import { type ContainerSecrets, reveal } from '../credentials/secret.ts';
import type { CliTool } from '../snapshot/snapshot.ts';
import type { Engine } from './container-engine.ts';
import type { ReadyImage } from './container-image.ts';

/** Labels of every container of ours. */
export const LABELS = {
  /** The process that made it (`instance.ts`). */
  instance: 'seal-gateway.instance',
  call: 'seal-gateway.call',
  tool: 'seal-gateway.tool',
  /** Milliseconds since the Unix epoch, after which no call waits for it any more. */
  deadline: 'seal-gateway.deadline',
} as const;

/** Names of our containers begin so. */
export const NAME_PREFIX = 'seal-';

/** Of the writable /tmp; in memory, and counted as the container's. */
const TMP_BYTES = 64 * 1024 * 1024;

/** Of all containers of one user together, so that it must not be what stops one of them. */
const NPROC = 30_000;

export interface Bind {
  /** A real path. */
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
}

export interface Plan {
  readonly engine: Engine['name'];
  readonly tool: CliTool;
  readonly argv: readonly string[];
  readonly image: ReadyImage;
  readonly binds: readonly Bind[];
  readonly env_secrets: ContainerSecrets['env'];
  readonly stdin: boolean;
  readonly instance: string;
  readonly call_id: string;
  readonly deadline: number;
}

/** Secrets of the environment are opened here. */
export function createOptions(plan: Plan): ContainerCreateOptions & { name: string } {
  const { tool, argv, image, stdin } = plan;
  const [program = '', ...rest] = argv;
  const secrets = Object.entries(plan.env_secrets).map(([name, secret]) => `${name}=${reveal(secret)}`);
  return {
    name: `${NAME_PREFIX}${plan.call_id}`,
    // By id: a tag may have moved since it was looked at.
    Image: image.id,
    // The image's own entrypoint would come before the words that were judged.
    Entrypoint: [program],
    Cmd: rest,
    Env: ['HOME=/tmp', ...Object.entries(tool.env).map(([name, value]) => `${name}=${value}`), ...secrets],
    User: tool.user,
    ...(tool.workdir !== null && { WorkingDir: tool.workdir }),
    Labels: {
      [LABELS.instance]: plan.instance,
      [LABELS.call]: plan.call_id,
      [LABELS.tool]: tool.name,
      [LABELS.deadline]: String(plan.deadline),
    },
    // Podman asks a running container to stop before it removes it, and waits ten seconds for the answer.
    StopSignal: 'SIGKILL',
    Tty: false,
    AttachStdout: true,
    AttachStderr: true,
    AttachStdin: stdin,
    OpenStdin: stdin,
    StdinOnce: stdin,
    // One that the image brings would run commands of its own. Podman sets up timers even for `NONE`.
    ...(image.healthcheck && { Healthcheck: { Test: ['NONE'] } }),
    HostConfig: hostConfig(plan),
  };
}

function hostConfig({ engine, tool, image, binds }: Plan): ContainerCreateOptions['HostConfig'] {
  const { memory_bytes, cpus, pids, open_files } = tool.resources;
  const [uid, gid] = tool.user.split(':');
  // runc gives it the mode of the image's own directory, so that it has to be the user's. Podman takes no owner; there
  // the directory of the image decides, and a /tmp is writable in all but the smallest.
  const owner = gid === undefined ? `,uid=${uid}` : `,uid=${uid},gid=${gid}`;
  const tmpfs = `rw,noexec,nosuid,nodev,size=${TMP_BYTES},mode=1777${engine === 'podman' ? '' : owner}`;
  const targets = new Set(binds.map(({ target }) => target));
  // A volume that the image declares would be a writable piece of the host's disk without a limit.
  const volumes = image.volumes.filter((path) => !targets.has(path));
  return {
    AutoRemove: false,
    Privileged: false,
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges:true'],
    NetworkMode: tool.network ?? 'none',
    Memory: memory_bytes,
    // No swap beside it.
    MemorySwap: memory_bytes,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: pids,
    Ulimits: [
      { Name: 'nofile', Soft: open_files, Hard: open_files },
      { Name: 'core', Soft: 0, Hard: 0 },
      // `PidsLimit` is the limit. Podman sets this one in any case, to more than an engine in a sandbox may.
      { Name: 'nproc', Soft: NPROC, Hard: NPROC },
    ],
    Tmpfs: Object.fromEntries(['/tmp', ...volumes].map((path) => [path, tmpfs])),
    Mounts: binds.map(({ source, target, read_only }) => ({
      // Not `Binds`: they create a source that is missing.
      Type: 'bind',
      Source: source,
      Target: target,
      ReadOnly: read_only,
      BindOptions: { Propagation: 'rprivate' },
    })),
    LogConfig: { Type: 'none', Config: {} },
    RestartPolicy: { Name: 'no' },
    ...(tool.runtime !== null && { Runtime: tool.runtime }),
  };
}
