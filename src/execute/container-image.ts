/** Images: there already, or pulled; a digest is checked, and what is checked is what runs. */
import type Docker from 'dockerode';
import type { Clock } from '../clock.ts';
import { reveal, type Secret } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CliTool, CredentialRef } from '../snapshot/snapshot.ts';
import { type Engine, reasonOf, statusOf } from './container-engine.ts';

export interface ReadyImage {
  readonly id: string;
  /** Paths that the image declares as volumes. */
  readonly volumes: readonly string[];
  /** The image declares one. */
  readonly healthcheck: boolean;
}

export type ImageOf = Pick<CliTool, 'name' | 'tenant' | 'image' | 'pull_policy' | 'registry_credential'>;

export interface Images {
  /** Rejects with CONTAINER_FAILED, CREDENTIAL_UNAVAILABLE or the signal's reason. A pull goes on without its caller. */
  ready(
    engine: Engine,
    tool: ImageOf,
    credentials: RegistryCredentials,
    signal: AbortSignal,
  ): Promise<ReadyImage>;
}

export interface RegistryCredentials {
  resolve(
    ref: CredentialRef,
    target: string,
  ): Promise<{ readonly fields: Readonly<Record<string, Secret>> } | null>;
}

export interface ImagesOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two log lines of one pull. */
const PROGRESS_MS = 5_000;

interface Progress {
  readonly error?: string;
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

export function createImages({ log, clock }: ImagesOptions): Images {
  const pulls = new Map<string, Promise<void>>();

  async function pull(engine: Engine, tool: ImageOf, credentials: RegistryCredentials): Promise<void> {
    const image = withoutTag(tool.image);
    log.info({ image, tool: tool.name }, 'pulling an image');
    try {
      const authconfig = await authOf(tool, credentials);
      const stream = await engine.api.pull(image, authconfig === null ? {} : { authconfig });
      await finished(engine.api, stream, image);
    } catch (error) {
      if (error instanceof GatewayError) throw error;
      throw failure(tool, `cannot be pulled: ${reasonOf(error)}`);
    }
    log.info({ image, tool: tool.name }, 'pulled an image');
  }

  /** Callers with one right to one image share a pull. */
  function shared(engine: Engine, tool: ImageOf, credentials: RegistryCredentials): Promise<void> {
    const key = JSON.stringify([engine.address, tool.tenant, tool.image, tool.registry_credential]);
    const known = pulls.get(key) ?? pull(engine, tool, credentials).finally(() => pulls.delete(key));
    pulls.set(key, known);
    return known;
  }

  async function authOf(
    { registry_credential, image }: ImageOf,
    credentials: RegistryCredentials,
  ): Promise<Docker.AuthConfig | null> {
    const credential = await credentials.resolve(registry_credential, image);
    if (credential === null) return null;
    const { username, password } = credential.fields;
    if (username === undefined || password === undefined) {
      const message = 'the registry credential has no fields username and password';
      throw new GatewayError('CREDENTIAL_UNAVAILABLE', message);
    }
    return { username: reveal(username), password: reveal(password), serveraddress: '' } as Docker.AuthConfig;
  }

  function finished(api: Docker, stream: NodeJS.ReadableStream, image: string): Promise<void> {
    let told = clock.monotonic();
    return new Promise((resolve, reject) => {
      api.modem.followProgress(
        stream,
        (error: Error | null, events: Progress[] | null) => {
          // Podman says it in the stream alone.
          const bad = events?.find((event) => event.error !== undefined);
          if (error !== null || bad !== undefined) reject(error ?? new Error(bad?.error));
          else resolve();
        },
        ({ id, status, progressDetail }: Progress) => {
          const now = clock.monotonic();
          if (now - told < PROGRESS_MS) return;
          told = now;
          log.info({ image, layer: id, status, ...progressDetail }, 'still pulling an image');
        },
      );
    });
  }

  return {
    async ready(engine, tool, credentials, signal) {
      const { pull_policy } = tool;
      const before = pull_policy === 'always' ? null : await inspect(engine, tool);
      if (before !== null) return before;
      if (pull_policy === 'never') {
        throw failure(tool, 'is not there, and its pull policy is never');
      }
      await unlessAborted(shared(engine, tool, credentials), signal);
      const after = await inspect(engine, tool);
      if (after === null) throw failure(tool, 'was pulled and is not there');
      return after;
    },
  };
}

/** null: the engine has no such image. */
async function inspect(engine: Engine, tool: ImageOf): Promise<ReadyImage | null> {
  const image = withoutTag(tool.image);
  try {
    const { Id, RepoDigests, Config } = await engine.api.getImage(image).inspect();
    const digest = digestOf(image);
    if (digest !== null && !(RepoDigests ?? []).some((one) => one.endsWith(`@${digest}`))) {
      throw failure(tool, 'does not have the digest that the manifest names');
    }
    const { Volumes, Healthcheck } = Config as typeof Config & { readonly Healthcheck?: unknown };
    return { id: Id, volumes: Object.keys(Volumes ?? {}), healthcheck: Healthcheck != null };
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

/** `name:tag@sha256:...` is that digest, whatever the tag says. */
function withoutTag(image: string): string {
  return image.replace(/:[^:/@]+(?=@)/, '');
}

function digestOf(image: string): string | null {
  return image.includes('@') ? image.slice(image.indexOf('@') + 1) : null;
}

function failure(tool: ImageOf, what: string): GatewayError {
  return new GatewayError('CONTAINER_FAILED', `the image of ${tool.name} ${what}`, {
    details: { reason: 'image', image: tool.image },
  });
}

/** The promise, or the signal's reason; the promise goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
