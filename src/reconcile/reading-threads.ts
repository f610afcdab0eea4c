/** Reads manifests and OpenAPI documents beside the event loop, where they are so many or so large that calls would wait. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Log } from '../log.ts';
import { createPace } from '../manifest/pace.ts';
import {
  type FileReading,
  failedReading,
  isParsed,
  type ReadFiles,
  readFiles,
} from '../manifest/read-file.ts';
import type { TreeFile } from '../manifest/tree.ts';
import type { DocumentIndex } from '../openapi/index-document.ts';
import { placeOf } from './document-cache.ts';
import { unwireIndex, type WiredIndex } from './document-wire.ts';
import type { ReadManifests, ReadOpenApi } from './reading-thread.ts';
import { unwireReadings, type WiredReadings } from './reading-wire.ts';
import { createThreadPool, type PoolOptions, ThreadLost } from './thread-pool.ts';

export interface ReadingThreads {
  readonly readFiles: ReadFiles;
  /** The index of an OpenAPI document. Rejects with DocumentError, or with ThreadLost. */
  indexFile(file: TreeFile): Promise<DocumentIndex>;
  close(): Promise<void>;
}

/** Bytes of a file that are read in a moment, whatever is in it: the worst takes the library 30 ms. */
export const SMALL_FILE = 12 * 1024;
/** Bytes of all that is to be read; to start a thread for less takes longer than to read it. */
const FEW_FILES = 512 * 1024;
/** Bytes that a thread is given at once. */
const CHUNK = 256 * 1024;
/** The largest file takes five seconds of work: whatever takes longer than this is wrong with the machine, or with us. */
const PATIENCE_MS = 120_000;
/** Editing goes on for a while; to start a thread takes a tenth of a second. */
const IDLE_MS = 10_000;
const MOST_THREADS = 4;

export interface ReadingOptions extends Partial<PoolOptions> {
  /** No calls wait for the event loop, so that it reads too. */
  readonly helps?: () => boolean;
}

export function createReadingThreads(log: Log, options: ReadingOptions = {}): ReadingThreads {
  // One core is left to the event loop; where there is no other, they take turns.
  const { helps = () => false, size = Math.max(1, Math.min(availableParallelism() - 1, MOST_THREADS)) } =
    options;
  const pool = createThreadPool({ spawn, patience_ms: PATIENCE_MS, idle_ms: IDLE_MS, ...options, size });
  let told = false;

  const readHere = (files: readonly TreeFile[], error: ThreadLost): Promise<readonly FileReading[]> => {
    if (!told)
      log.warn({ err: error }, 'threads cannot be started here; large changes are read between calls');
    told = true;
    return readFiles(files);
  };

  /** A thread that was lost takes its files with it: each is given another, and the one to blame is found. */
  const readThere = async (files: readonly TreeFile[]): Promise<readonly FileReading[]> => {
    try {
      const result = await pool.run(() => manifestsTask(files));
      return await unwireReadings(result as WiredReadings, createPace());
    } catch (error) {
      if (error instanceof ThreadLost && !error.worked) return readHere(files, error);
      if (files.length === 1) return [failedReading(files[0]!, (error as Error).message)];
      return (await Promise.all(files.map((file) => readThere([file])))).flat();
    }
  };

  return {
    async readFiles(files) {
      const { here, there } = await divide(files);
      const chunks = chunksOf(there);
      const threads = Array.from({ length: size }, () => readWhile(readThere, () => chunks.shift()));
      // From the end: large files come first.
      const help = readWhile(readFiles, () =>
        helps() && chunks.at(-1)?.every(isSmall) === true ? chunks.pop() : undefined,
      );
      const readings = await Promise.all([readFiles(here), help, ...threads]);
      const byPath = new Map(readings.flat().map((reading) => [reading.file, reading]));
      return files.map(({ path }) => byPath.get(path)!);
    },
    async indexFile(file) {
      const result = await pool.run(() => documentTask(file));
      return unwireIndex(result as WiredIndex, createPace());
    },
    close: pool.close,
  };
}

/** Reads one chunk after the other for as long as there is another. */
async function readWhile(
  read: ReadFiles,
  next: () => readonly TreeFile[] | undefined,
): Promise<FileReading[]> {
  const readings: FileReading[] = [];
  for (let chunk = next(); chunk !== undefined; chunk = next()) readings.push(...(await read(chunk)));
  return readings;
}

function isSmall({ bytes }: TreeFile): boolean {
  return bytes.length <= SMALL_FILE;
}

/** Which files are read on the event loop, and which beside it. */
async function divide(
  files: readonly TreeFile[],
): Promise<{ readonly here: readonly TreeFile[]; readonly there: readonly TreeFile[] }> {
  const breathe = createPace();
  const byEffort = { looks: [] as TreeFile[], small: [] as TreeFile[], large: [] as TreeFile[] };
  for (const file of files) {
    byEffort[!isParsed(file) ? 'looks' : isSmall(file) ? 'small' : 'large'].push(file);
    await breathe();
  }
  const { looks, small, large } = byEffort;
  return sizeOf(small) <= FEW_FILES
    ? { here: [...looks, ...small], there: large }
    : { here: looks, there: [...large, ...small] };
}

/** The source under Node's type stripping, the compiled file in dist. */
function spawn(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  // Flags of the process, such as --input-type, are not for its threads.
  return new Worker(new URL(`./reading-thread${extension}`, import.meta.url), {
    name: 'reading',
    execArgv: [],
  });
}

function manifestsTask(files: readonly TreeFile[]) {
  const bytes = new Uint8Array(sizeOf(files));
  let at = 0;
  for (const file of files) {
    bytes.set(file.bytes, at);
    at += file.bytes.length;
  }
  const written = files.map(({ path, digest, bytes: { length } }) => ({ path, digest, size: length }));
  const message: ReadManifests = { kind: 'manifests', bytes, files: written };
  return { message, transfer: [bytes.buffer] };
}

function documentTask(file: TreeFile) {
  const copy = new Uint8Array(file.bytes);
  const message: ReadOpenApi = { kind: 'openapi', bytes: copy, place: placeOf(file) };
  return { message, transfer: [copy.buffer] };
}

function sizeOf(files: readonly TreeFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function chunksOf(files: readonly TreeFile[]): TreeFile[][] {
  const chunks: TreeFile[][] = [];
  let size = CHUNK;
  for (const file of files) {
    if (size + file.bytes.length > CHUNK) {
      chunks.push([]);
      size = 0;
    }
    chunks.at(-1)!.push(file);
    size += file.bytes.length;
  }
  return chunks;
}
