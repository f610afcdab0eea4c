/** When to reconcile: after a quiet time, never twice at once, and once more when something came meanwhile. */

/** Milliseconds without a hint before a reconcile begins, and the most that hints can put it off. */
const QUIET_MS = 100;
export const LONGEST_MS = 2_000;

export interface Trigger {
  /** Runs when it has been quiet for a moment. */
  soon(): void;
  /** Runs at once, unless {@link Trigger.soon} will do it in a moment. */
  due(): void;
  /** Runs at once, after the run under way; resolves when that run has ended. */
  now(): Promise<void>;
  /** A hint has come that no run has answered yet. */
  readonly hinted: boolean;
  /** Called after every run; it must not throw. */
  after(listener: () => void): void;
  /** Runs no more; resolves when the run under way has ended. */
  close(): Promise<void>;
}

export function createTrigger(run: () => Promise<void>, failed: (error: unknown) => void): Trigger {
  let quiet: NodeJS.Timeout | undefined;
  let longest: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  /** The run that will begin when the one under way has ended; what comes until then is seen by it. */
  let waiting: Promise<void> | null = null;
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
    try {
      await run();
    } catch (error) {
      failed(error);
    }
    if (!closed) listener();
  };

  const now = (): Promise<void> => {
    clear();
    if (waiting === null) {
      waiting = running.then(once);
      running = waiting;
    }
    return waiting;
  };

  return {
    now,
    due() {
      if (!closed && quiet === undefined && waiting === null) void now();
    },
    soon() {
      if (closed) return;
      clearTimeout(quiet);
      quiet = setTimeout(now, QUIET_MS);
      longest ??= setTimeout(now, LONGEST_MS);
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
