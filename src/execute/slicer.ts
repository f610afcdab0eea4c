/**
 * Slices bodies without holding up the event loop: small ones in place, all others, and expressions that need more
 * than a moment, in a few threads that are started when they are needed. Bytes go there by transfer, and what comes
 * back is text (docs/decisions/0011-explorer.md).
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Mask } from '../credentials/mask.ts';
import { GatewayError } from '../errors.ts';
import type { Query } from '../snapshot/snapshot.ts';
import { abortError } from './abort.ts';
import { MAX_JSON_BYTES } from './reply.ts';
import { type Body, MOST, type SliceLimits, type Slices, sliceBody, type Unreadable } from './slice.ts';
import type { Refused, SliceJob } from './slice-worker.ts';

export interface Slicer {
  /** Throws OVERLOADED when no more could be taken on, so that nothing is sent for a reply that nobody would read. */
  checkRoom(): void;
  /**
   * The bytes are given away: they may be gone afterwards. Rejects with INVALID_ARGUMENTS or RESPONSE_TOO_LARGE when a
   * limit is passed, with OVERLOADED, or with the signal's reason.
   */
  slice(request: SliceRequest, signal: AbortSignal): Promise<Slices | Unreadable>;
  /** Ends the threads; what waits is refused. */
  close(): Promise<void>;
}

export interface SliceRequest {
  readonly body: Body;
  /** Of the secrets that may be in it; null: there are none. */
  readonly mask: Mask | null;
  readonly fields: readonly Query[];
  /** Singular queries whose first text or number is wanted too. */
  readonly probes: readonly Query[];
  /** Bytes of JSON that the slices may have. */
  readonly max_bytes: number;
}

export interface SlicerOptions {
  readonly threads?: number;
  /** Milliseconds that one body may take in a thread. */
  readonly timeout_ms?: number;
  /** Bodies that may wait for a thread. */
  readonly max_waiting?: number;
  /** The program of a thread; a test's own. */
  readonly spawn?: () => Worker;
}

/** Up to here a body is read in place: about 2 ms. Handing it to a thread costs the event loop half of one. */
export const IN_PLACE_BYTES = 256 * 1024;
/** The same where secrets are looked for, each in some twenty forms in every text. */
export const IN_PLACE_MASKED_BYTES = 64 * 1024;
/** What a body that is sliced in place may use; about 5 ms at worst. */
const IN_PLACE: SliceLimits = { visits: 50_000, matches: 10_000, bytes: 1024 * 1024 };

const MAX_THREADS = 2;
const TIMEOUT_MS = 5_000;
const MAX_WAITING = 64;
/** Of the bodies that wait; the other bound on memory. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;
/** The largest JSON that is taken cannot fill it. */
const HEAP_MB = 1_024;

interface Task {
  readonly request: SliceRequest;
  readonly signal: AbortSignal;
  resolve(slices: Slices | Unreadable): void;
  reject(error: GatewayError): void;
}

export function createSlicer(options: SlicerOptions = {}): Slicer {
  const {
    threads = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1)),
    timeout_ms = TIMEOUT_MS,
    max_waiting = MAX_WAITING,
    spawn = spawnThread,
  } = options;
  const running = new Set<Worker>();
  const idle = new Set<Worker>();
  let waiting: Task[] = [];
  let waitingBytes = 0;
  let closed = false;

  function start(): Worker {
    const thread = spawn();
    running.add(thread);
    thread.once('exit', () => {
      running.delete(thread);
      idle.delete(thread);
    });
    // Heard by whoever waits for it; a thread that dies idle is only replaced.
    thread.on('error', () => {});
    return thread;
  }

  /** Gives what waits to threads that do nothing, or to new ones. */
  function pump(): void {
    while (waiting.length > 0) {
      const [known] = idle;
      const thread = known ?? (running.size < threads ? start() : null);
      if (thread === null) return;
      idle.delete(thread);
      const task = waiting.shift()!;
      waitingBytes -= task.request.body.bytes.byteLength;
      run(thread, task);
    }
  }

  function run(thread: Worker, task: Task): void {
    const size = task.request.body.bytes.byteLength;
    const end = (): void => {
      clearTimeout(timer);
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    const fail = (error: GatewayError): void => {
      end();
      running.delete(thread);
      thread.terminate();
      task.reject(error);
      pump();
    };
    const onMessage = (answer: Slices | Unreadable | Refused): void => {
      end();
      // An idle thread keeps no process alive.
      thread.unref();
      idle.add(thread);
      if ('refused' in answer) task.reject(asError(answer));
      else task.resolve(answer);
      pump();
    };
    const onError = (cause: unknown): void => fail(threadError(cause));
    const onExit = (): void => fail(threadError(new Error('the slicing thread ended')));
    // The expressions are bounded by themselves, so what takes so long is the body.
    const timer = setTimeout(() => {
      const message = `the reply of ${size} bytes could not be sliced within ${timeout_ms} ms`;
      fail(new GatewayError('RESPONSE_TOO_LARGE', message, { details: { bytes: size, timeout_ms } }));
    }, timeout_ms);
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.ref();
    const bytes = transferable(task.request.body.bytes);
    thread.postMessage(jobOf(task.request, bytes), [bytes.buffer]);
  }

  function inThread(request: SliceRequest, signal: AbortSignal): Promise<Slices | Unreadable> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        if (waiting.includes(task)) {
          waiting = waiting.filter((one) => one !== task);
          waitingBytes -= request.body.bytes.byteLength;
        }
        // One that runs already ends within its time, and nobody hears of it.
        task.reject(abortError(signal));
      };
      const done = (): void => signal.removeEventListener('abort', onAbort);
      const task: Task = {
        request,
        signal,
        resolve: (slices) => {
          done();
          resolve(slices);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(task);
      waitingBytes += request.body.bytes.byteLength;
      pump();
    });
  }

  function checkRoom(): void {
    if (closed) throw new GatewayError('OVERLOADED', 'the gateway is shutting down');
    if (waiting.length >= max_waiting || waitingBytes >= MAX_WAITING_BYTES) {
      const message = `${waiting.length} large replies wait to be sliced, the limit; try again`;
      throw new GatewayError('OVERLOADED', message, { retry_after_seconds: 1 });
    }
  }

  return {
    checkRoom,
    async slice(request, signal) {
      if (signal.aborted) throw abortError(signal);
      const slices = isSmall(request) ? inPlace(request) : null;
      if (slices !== null) return slices;
      checkBody(request.body);
      checkRoom();
      return inThread(request, signal);
    },
    async close() {
      closed = true;
      for (const task of waiting.splice(0)) {
        task.reject(new GatewayError('OVERLOADED', 'the gateway is shutting down'));
      }
      waitingBytes = 0;
      await Promise.all([...running].map((thread) => thread.terminate()));
    },
  };
}

function checkBody({ bytes: { byteLength } }: Body): void {
  if (byteLength <= MAX_JSON_BYTES) return;
  const message = `the reply has ${byteLength} bytes; up to ${MAX_JSON_BYTES} are sliced`;
  throw new GatewayError('RESPONSE_TOO_LARGE', message, { details: { bytes: byteLength } });
}

function isSmall({ body, mask }: SliceRequest): boolean {
  const masks = mask !== null && !mask.isEmpty();
  return body.bytes.byteLength <= (masks ? IN_PLACE_MASKED_BYTES : IN_PLACE_BYTES);
}

/** null: it needs more than may be used in place. */
function inPlace({ body, mask, fields, probes, max_bytes }: SliceRequest): Slices | Unreadable | null {
  const limits = { ...IN_PLACE, bytes: Math.min(IN_PLACE.bytes, max_bytes) };
  try {
    return sliceBody(body, mask, fields, probes, limits);
  } catch (error) {
    if (error instanceof GatewayError) return null;
    throw error;
  }
}

function jobOf({ body, mask, fields, probes, max_bytes }: SliceRequest, bytes: Uint8Array): SliceJob {
  return {
    body: { bytes, content_type: body.content_type },
    masked: mask?.forms() ?? [],
    fields: fields.map((field) => field.text),
    probes: probes.map((probe) => probe.text),
    limits: { ...MOST, bytes: Math.min(MOST.bytes, max_bytes) },
  };
}

/** The bytes alone in their buffer, which can then go to another thread as it is; small ones share a buffer of Node's. */
function transferable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const alone = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return alone ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

function asError({ refused: { name, message, details } }: Refused): GatewayError {
  return new GatewayError(name, message, { details });
}

function threadError(cause: unknown): GatewayError {
  return new GatewayError('INTERNAL', 'internal error', { cause });
}

/** The source under Node's type stripping, the compiled file in dist. */
function spawnThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new Worker(new URL(`./slice-worker${extension}`, import.meta.url), {
    name: 'slicer',
    // Flags of the process, such as --input-type, are not for its threads.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
}
