/** The thread that reads what would be in the way of calls: many manifests, large files, OpenAPI documents. */
import { parentPort } from 'node:worker_threads';
import { readFile } from '../manifest/read-file.ts';
import { indexOf, type WiredIndex, wireIndex } from './document-wire.ts';
import { type WiredReadings, wireReadings } from './reading-wire.ts';
import type { Answer } from './thread-pool.ts';

/** Files that lie one after the other in `bytes`. */
export interface ReadManifests {
  readonly kind: 'manifests';
  readonly bytes: Uint8Array;
  readonly files: readonly { readonly path: string; readonly digest: string; readonly size: number }[];
}

export interface ReadOpenApi {
  readonly kind: 'openapi';
  readonly bytes: Uint8Array;
  /** Where it is from. */
  readonly place: { readonly url?: string };
}

const port = parentPort!;
const answer = (message: Answer, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);

port.on('message', (task: ReadManifests | ReadOpenApi) => {
  try {
    if (task.kind === 'manifests') {
      const result: WiredReadings = readManifests(task);
      answer({ kind: 'done', result }, [result.positions.buffer]);
    } else {
      const result: WiredIndex = wireIndex(indexOf(task.bytes, task.place));
      answer({ kind: 'done', result }, 'parts' in result ? result.parts.map(({ buffer }) => buffer) : []);
    }
  } catch (error) {
    answer({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
});
answer({ kind: 'ready' });

function readManifests({ bytes, files }: ReadManifests): WiredReadings {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  const readings = files.map(({ path, digest, size }) => {
    end += size;
    return readFile({ path, digest, bytes: all.subarray(end - size, end) });
  });
  return wireReadings(readings);
}
