/** What a container writes: two streams in one, taken apart and cut at a limit while they come. */
import type { Readable } from 'node:stream';
import type { Mask, MaskStream } from '../credentials/mask.ts';

export interface Stream {
  readonly text: string;
  /** All that was written, also what was dropped. */
  readonly bytes: number;
}

export interface Output {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly truncated: boolean;
}

export interface OutputOptions {
  /** Masks the secrets of the call, also where they come in pieces; null: there are none. */
  readonly mask: Pick<Mask, 'stream'> | null;
  /** Bytes of each stream that are kept. */
  readonly max_bytes: number;
  /** Called once, when more was written than anybody would drain: {@link MAX_DRAINED}. */
  readonly onFlood: () => void;
}

/** Bytes that are read in all. Beyond, a call is no more than a load. */
export const MAX_DRAINED = 256 * 1024 * 1024;

const HEAD = 8;
const STDERR = 2;

/**
 * Reads to the end, and resolves then; also when the connection breaks, which the state of the container explains.
 * Reading never stops at the limit: a command that waits for a reader would not end.
 */
export function collectOutput(
  source: Readable,
  { mask, max_bytes, onFlood }: OutputOptions,
): Promise<Output> {
  const stdout = new Kept(max_bytes, mask?.stream() ?? null);
  const stderr = new Kept(max_bytes, mask?.stream() ?? null);
  let head = Buffer.alloc(0);
  let left = 0;
  let into = stdout;
  let drained = 0;
  const take = (bytes: Buffer): void => {
    drained += bytes.length;
    if (drained > MAX_DRAINED && drained - bytes.length <= MAX_DRAINED) onFlood();
    let rest = bytes;
    while (rest.length > 0) {
      if (left > 0) {
        const part = rest.subarray(0, left);
        into.add(part);
        left -= part.length;
        rest = rest.subarray(part.length);
        continue;
      }
      const missing = HEAD - head.length;
      head = Buffer.concat([head, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (head.length < HEAD) continue;
      // Stream, three zeros, length (Docker API, attach).
      into = head[0] === STDERR ? stderr : stdout;
      left = head.readUInt32BE(4);
      head = Buffer.alloc(0);
    }
  };
  return new Promise((resolve) => {
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      const streams = { stdout: stdout.stream(), stderr: stderr.stream() };
      resolve({ ...streams, truncated: stdout.truncated || stderr.truncated });
    };
    source.on('data', take);
    source.once('end', end);
    source.on('error', end);
    source.once('close', end);
    if (source.destroyed) end();
  });
}

class Kept {
  readonly #chunks: Buffer[] = [];
  readonly #max: number;
  /** Before the limit, so that it cuts no secret in two that would be known by its beginning. */
  readonly #mask: MaskStream | null;
  #kept = 0;
  #bytes = 0;
  #dropped = false;

  constructor(max: number, mask: MaskStream | null) {
    this.#max = max;
    this.#mask = mask;
  }

  get truncated(): boolean {
    return this.#dropped;
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#dropped) return;
    this.#keep(this.#mask === null ? chunk : this.#mask.push(chunk));
  }

  /** As UTF-8; bytes that are none come as U+FFFD. A character that the limit cuts in two is left out. */
  stream(): Stream {
    if (this.#mask !== null && !this.#dropped) this.#keep(this.#mask.end());
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const text = decoder.decode(Buffer.concat(this.#chunks), { stream: this.#dropped });
    return { text, bytes: this.#bytes };
  }

  #keep(chunk: Buffer): void {
    const part = chunk.subarray(0, this.#max - this.#kept);
    this.#kept += part.length;
    this.#dropped ||= part.length < chunk.length;
    // A copy of a small part, so that it does not hold the whole buffer of the socket.
    if (part.length > 0) this.#chunks.push(part.length < chunk.length ? Buffer.from(part) : part);
  }
}
