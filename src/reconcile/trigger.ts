/** When to reconcile: after a quiet time, never twice at once, and once more when something came meanwhile. */
import type { Effort } from './source.ts';

/** Milliseconds without a hint before a reconcile begins, and the most that hints can put it off. */
const QUIET_MS = 100;
export const LONGEST_MS = 2_000;

export interface Trigger {
  /** Runs quickly when it has been quiet for a moment. */
  soon(): void;
  /** Runs as a whole at once, unless {@link Trigger.soon} will do it in a moment. */
  due(): void;
  /** Runs as a whole at once, after the run under way; resolves when that run has ended. */
  now(): Promise<void>;
  /** A hint has come that no run has answered yet. */
  readonly hinted: boolean;
  /** Called after every run; it must not throw. */
  after(listener: () => void): void;
  /** Runs no more; resolves when the run under way has ended. */
  close(): Promise<void>;
}

export function createTrigger(
  run: (effort: Effort) => Promise<void>,
  failed: (error: unknown) => void,
): Trigger {
  let quiet: NodeJS.Timeout | undefined;
  let longest: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  /** The run that will begin when the one under way has ended; what comes until then is seen by it. */
  let waiting: Promise<void> | null = null;
  /** Of the next run: what several ask for is done by one. */
  let effort: Effort = 'quick';
  let listener = (): void => {};
  let closed = false;

  const clear = (): void => {
    clearTimeout(quiet);
    clearTimeout(longest);
    quiet = undefined;
    longest = undefined;
  };

  const once = async (): Promise<void> => {
    waiting = null;
    if (closed) return;
    const asked = effort;
    effort = 'quick';
    try {
      await run(asked);
    } catch (error) {
      failed(error);
    }
    if (!closed) listener();
  };

  const begin = (): Promise<void> => {
    clear();
    if (waiting === null) {
      waiting = running.then(once);
      running = waiting;
    }
    return waiting;
  };

  return {
    now() {
      effort = 'whole';
      return begin();
    },
    due() {
      effort = 'whole';
      if (!closed && quiet === undefined && waiting === null) void begin();
    },
    soon() {
      if (closed) return;
      clearTimeout(quiet);
      quiet = setTimeout(begin, QUIET_MS);
      longest ??= setTimeout(begin, LONGEST_MS);
    },
    get hinted() {
      return quiet !== undefined;
    },
    after(next) {
      listener = next;
    },
    async close() {
      closed = true;
      clear();
      await running;
    },
  };
}
