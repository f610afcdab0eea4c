/** What a workflow that failed has done already: somebody may have to undo it, or must not do it again. */
import { GatewayError } from '../errors.ts';
import type { Step } from '../snapshot/snapshot.ts';
import { retold, type Tally } from './run.ts';

/** The requests of one step that writes. */
export interface Write {
  readonly step: string;
  readonly sent: number;
  /** Answered as the step expects; what became of the others is the upstream's to say. */
  readonly done: number;
}

/** null: the step only reads, or has sent nothing. */
export function writeOf({ name, operation }: Step, { attempts, done }: Tally): Write | null {
  return operation.safe || attempts === 0 ? null : { step: name, sent: attempts, done };
}

/** The error of a workflow, with what was done before it. */
export function withWrites(thrown: unknown, writes: readonly Write[]): unknown {
  if (!(thrown instanceof GatewayError) || writes.length === 0) return thrown;
  return retold(thrown, thrown.message, { ...thrown.details, writes });
}
