/** What the parts of the engine share: what a step is given to work with, and what is counted on the way. */
import type { Clock } from '../clock.ts';
import type { RequestSecrets } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import type { Api, Step, TemplateContext } from '../snapshot/snapshot.ts';
import type { Egress } from './egress.ts';
import type { Place } from './exchange.ts';
import type { Gaps } from './gaps.ts';

export interface StepDeps {
  readonly egress: Egress;
  /** What an API's credential adds to a request (`credentials/inject.ts`); null: nothing. */
  readonly credentials: (api: Api) => Promise<RequestSecrets | null>;
  readonly clock: Clock;
  /** Waits before another attempt; rejects as soon as the signal is aborted. Default: a timer. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 up to 1, for the length of such waits. Default: random. */
  readonly random?: () => number;
}

/** The state of one workflow run that its steps share. */
export interface Run {
  readonly context: TemplateContext;
  /** Aborted at the workflow's deadline, or with the caller's signal. */
  readonly signal: AbortSignal;
  /** When the workflow's time is over, by the monotonic clock. */
  readonly ends_at: number;
  /** Of the variables that templates have read; cleared before each that may need its values. */
  readonly gaps: Gaps;
}

/** What one step has done so far, for its event. */
export interface Tally {
  /** Requests sent, whatever came of them. */
  attempts: number;
  /** Those of them that were answered as the step expects. */
  done: number;
  /** Of all replies. */
  bytes: number;
  /** Of the replies that the step keeps: pages and elements together. */
  kept_bytes: number;
  pages: number;
  /** Why there may be more pages than were read; null: those were all. */
  truncated_by: 'max_pages' | 'loop' | null;
}

export function newTally(): Tally {
  return { attempts: 0, done: 0, bytes: 0, kept_bytes: 0, pages: 0, truncated_by: null };
}

/** Where a step sends its requests. */
export function placeOf(step: Step): Place {
  return { method: step.operation.method, host: step.api.base_url.host, path: step.operation.path };
}

/** The same error with another message, and more details. */
export function retold(
  error: GatewayError,
  message: string,
  details: Readonly<Record<string, unknown>>,
): GatewayError {
  return new GatewayError(error.name, message, {
    details,
    layer: error.layer,
    ...(error.retry_after_seconds !== null && { retry_after_seconds: error.retry_after_seconds }),
    cause: error.cause,
  });
}
