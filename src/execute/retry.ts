/** Another attempt, where one helps and there is time for it (docs/decisions/0010-workflow-engine.md). */
import { GatewayError } from '../errors.ts';
import { randomFraction } from '../ids.ts';
import type { Retry } from '../snapshot/snapshot.ts';
import { pause } from './abort.ts';
import { type Run, retold, type StepDeps } from './run.ts';

/** However often a wait is doubled, it does not grow beyond this. */
const MAX_BACKOFF_MS = 30_000;

/** Connections that failed as they might not the next time. A certificate or a parser would say the same again. */
const TRANSIENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/**
 * What `send` gives, in the first attempt that succeeds. Rejects with the error of the last one; its message says
 * how many there were. A wait that the workflow has no time for is not begun: the error comes at once.
 */
export async function withRetry<T>(
  deps: Pick<StepDeps, 'clock' | 'pause' | 'random'>,
  run: Pick<Run, 'signal' | 'ends_at'>,
  retry: Retry | null,
  send: () => Promise<T>,
): Promise<T> {
  if (retry === null) return await send();
  for (let made = 1; ; made++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof GatewayError) || run.signal.aborted || !isPassing(error, retry)) throw error;
      if (made === retry.attempts) throw afterAttempts(error, made, '');
      const wait_ms = waitBefore(made + 1, retry, error, deps.random ?? randomFraction);
      const left_ms = run.ends_at - deps.clock.monotonic();
      if (wait_ms >= left_ms) throw afterAttempts(error, made, noTime(error, left_ms));
      await (deps.pause ?? pause)(wait_ms, run.signal);
    }
  }
}

/** Whether the next attempt may go better. */
function isPassing({ name, details }: GatewayError, { statuses }: Retry): boolean {
  if (name === 'UPSTREAM_TIMEOUT') return true;
  if (name !== 'UPSTREAM_FAILED') return false;
  if (details.error_code !== undefined) return TRANSIENT.has(details.error_code);
  return typeof details.status === 'number' && statuses.includes(details.status);
}

/**
 * Exponential, with full jitter: anything up to the doubled wait, so that clients who failed together do not come
 * back together. What the upstream asks for is the least.
 */
function waitBefore(attempt: number, retry: Retry, error: GatewayError, random: () => number): number {
  const most_ms = Math.min(MAX_BACKOFF_MS, retry.backoff_ms * 2 ** (attempt - 2));
  return Math.max(random() * most_ms, (error.retry_after_seconds ?? 0) * 1000);
}

function noTime({ retry_after_seconds: seconds }: GatewayError, left_ms: number): string {
  const left = `the call has ${Math.max(0, Math.floor(left_ms / 100) / 10)} s left`;
  return seconds === null || seconds === 0
    ? `; there is no time for another, ${left}`
    : `; it asks to wait ${seconds} s, and ${left}`;
}

function afterAttempts(error: GatewayError, made: number, why: string): GatewayError {
  const counted = made === 1 ? (why === '' ? '' : ', after 1 attempt') : `, after ${made} attempts`;
  return retold(error, `${error.message}${counted}${why}`, { ...error.details, attempts: made });
}
