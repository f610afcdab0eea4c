/** What the container engine says of a container that runs beside the gateway: its labels, and what one of its files holds. */
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { GatewayError } from '../errors.ts';
import { type Engines, reasonOf, statusOf } from './container-engine.ts';
import { readFirstFile } from './tar.ts';

export interface ContainerEvidence {
  /** Whole, whatever part of it was asked for. */
  readonly id: string;
  readonly labels: Labels;
  /** Those that its image brought: whoever built that chose them. */
  readonly image_labels: Labels;
  /** Places in it that are not of its own file system, and may be shared with others. */
  readonly mounts: readonly string[];
  /** What the file holds; null: there is no such file, it is no regular one, or it is larger than {@link MAX_FILE}. */
  readonly file: string | null;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * `path`: absolute, in the container. Resolves to null for a container that is not there or does not run. Rejects with
 * ATTESTATION_FAILED when the engine cannot be asked, with OVERLOADED when it is asked too often already.
 */
export type LookAtContainer = (id: string, path: string) => Promise<ContainerEvidence | null>;

/** Milliseconds for all that the engine is asked. */
const LOOK_MS = 5_000;
/** At one time: whoever asks is nobody yet, and the engine has tools to run. */
const MAX_LOOKS = 4;
/** Bytes of the file. */
const MAX_FILE = 1024;
/** Bytes of the archive that it comes in. */
const MAX_ARCHIVE = 64 * 1024;

export function createLookAtContainer(engines: Engines): LookAtContainer {
  let looks = 0;
  return async (id, path) => {
    if (looks >= MAX_LOOKS)
      throw new GatewayError('OVERLOADED', 'too many workloads prove themselves by their containers now');
    looks += 1;
    try {
      const engine = await engines.use();
      return await look(engine.api, id, path).catch((error: unknown) => {
        engines.failed(engine, error);
        throw error;
      });
    } catch (cause) {
      const reason = cause instanceof GatewayError ? cause.cause : cause;
      throw new GatewayError('ATTESTATION_FAILED', 'the container engine cannot be asked at the moment', {
        cause: new Error(reasonOf(reason)),
      });
    } finally {
      looks -= 1;
    }
  };
}

async function look(api: Docker, id: string, path: string): Promise<ContainerEvidence | null> {
  // dockerode's types know the option of some methods alone.
  const options = { abortSignal: AbortSignal.timeout(LOOK_MS) } as object;
  const container = api.getContainer(id);
  const about = await unlessAbsent(container.inspect(options));
  if (about?.State.Running !== true) return null;
  // By its whole id from here on: a part of one may become a name.
  const itself = api.getContainer(about.Id);
  const image = await unlessAbsent(api.getImage(about.Image).inspect(options));
  // Which labels came with an image that is gone cannot be told.
  if (image === null) return null;
  const archive = await unlessAbsent(itself.getArchive({ path, ...options }) as Promise<Readable>);
  return {
    id: about.Id,
    labels: about.Config.Labels ?? {},
    image_labels: image.Config?.Labels ?? {},
    mounts: about.Mounts.map(({ Destination }) => Destination),
    file: archive === null ? null : readFirstFile(await beginning(archive), MAX_FILE),
  };
}

async function unlessAbsent<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

async function beginning(archive: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of archive) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    // Leaving the loop ends the stream.
    if (bytes >= MAX_ARCHIVE) break;
  }
  return Buffer.concat(chunks);
}
