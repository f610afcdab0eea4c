/** A thread that slices replies: reading 10 MB of JSON takes longer than the event loop may stand still. */
import { parentPort } from 'node:worker_threads';
import { createMask } from '../credentials/mask.ts';
import { type ErrorName, GatewayError } from '../errors.ts';
import { compileQuery } from './jsonpath.ts';
import { type Body, type SliceLimits, type Slices, sliceBody, type Unreadable } from './slice.ts';

export interface SliceJob {
  readonly body: Body;
  /** What is masked in it, in clear; empty: nothing is. */
  readonly masked: readonly string[];
  readonly fields: readonly string[];
  readonly probes: readonly string[];
  readonly limits: SliceLimits;
}

/** An error does not survive the way between threads as what it is. */
export interface Refused {
  readonly refused: {
    readonly name: ErrorName;
    readonly message: string;
    readonly details: Readonly<Record<string, unknown>>;
  };
}

parentPort?.on('message', (job: SliceJob) => parentPort?.postMessage(answer(job)));

function answer({ body, masked, fields, probes, limits }: SliceJob): Slices | Unreadable | Refused {
  try {
    const mask = masked.length === 0 ? null : createMask(masked);
    return sliceBody(body, mask, fields.map(compileQuery), probes.map(compileQuery), limits);
  } catch (error) {
    // Anything else ends the thread, and with it the call, as a fault of ours.
    if (!(error instanceof GatewayError)) throw error;
    const { name, message, details } = error;
    return { refused: { name, message, details } };
  }
}
