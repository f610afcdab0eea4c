/** Ends of work before its time: a deadline, a caller that has gone, a neighbour that has failed. */
import { GatewayError } from '../errors.ts';

export interface Cut {
  readonly signal: AbortSignal;
  abort(reason: GatewayError): void;
  /** Lets go of the outer signal, which lives longer. */
  release(): void;
}

/** A signal that is aborted with the outer one, or by itself. */
export function cutFrom(outer: AbortSignal): Cut {
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  else outer.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => outer.removeEventListener('abort', onAbort),
  };
}

/** Why a signal was aborted: its own GatewayError, else a timeout. */
export function abortError(signal: AbortSignal): GatewayError {
  if (signal.reason instanceof GatewayError) return signal.reason;
  return new GatewayError('UPSTREAM_TIMEOUT', 'the call was ended before the upstream had answered');
}

/** The promise, or a rejection as soon as the signal is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Resolves after so long, or rejects as soon as the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal));
    const onAbort = () => {
      clearTimeout(timer);
      reject(abortError(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
