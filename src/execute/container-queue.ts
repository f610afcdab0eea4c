/** How many calls run containers at one time, and how many may wait for their turn. */
import { GatewayError } from '../errors.ts';

export interface ContainerQueue {
  /**
   * Waits for a place, in the order of asking. Resolves to what gives it back (once; more do nothing). Rejects with
   * OVERLOADED when too many wait, or with the signal's reason.
   */
  enter(signal: AbortSignal): Promise<() => void>;
  /** Places taken now. */
  readonly running: number;
}

export function createQueue(max_concurrency: number, max_queue: number): ContainerQueue {
  let running = 0;
  const waiting = new Set<() => void>();

  const leave = (): (() => void) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const [next] = waiting;
      // The place goes from one to the next, so that nobody slips in between.
      if (next === undefined) running -= 1;
      else next();
    };
  };

  return {
    get running() {
      return running;
    },
    enter(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      if (running < max_concurrency) {
        running += 1;
        return Promise.resolve(leave());
      }
      if (waiting.size >= max_queue) {
        const message = `${max_concurrency} containers run and ${max_queue} calls wait, the limits; try again`;
        return Promise.reject(new GatewayError('OVERLOADED', message, { retry_after_seconds: 1 }));
      }
      return new Promise((resolve, reject) => {
        const turn = (): void => {
          waiting.delete(turn);
          signal.removeEventListener('abort', giveUp);
          resolve(leave());
        };
        const giveUp = (): void => {
          waiting.delete(turn);
          reject(signal.reason);
        };
        waiting.add(turn);
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
  };
}
