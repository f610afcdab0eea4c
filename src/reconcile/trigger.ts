/** When to reconcile: after a quiet time, never twice at once, and once more when something came meanwhile. */

/** Milliseconds without a hint before a reconcile begins, and the most that hints can put it off. */
const QUIET_MS = 100;
const LONGEST_MS = 2_000;

export interface Trigger {
  /** Runs when it has been quiet for a moment. */
  soon(): void;
  /** Runs at once, after the run under way; resolves when that run has ended. */
  now(): Promise<void>;
  /** Called after every run. */
  after(listener: () => void): void;
  /** Runs no more; resolves when the run under way has ended. */
  close(): Promise<void>;
}

export function createTrigger(run: () => Promise<void>, failed: (error: unknown) => void): Trigger {
  let quiet: NodeJS.Timeout | undefined;
  let longest: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let listener = (): void => {};
  let closed = false;

  const now = (): Promise<void> => {
    clearTimeout(quiet);
    clearTimeout(longest);
    longest = undefined;
    const next = running.then(async () => {
      if (closed) return;
      try {
        await run();
      } catch (error) {
        failed(error);
      }
      listener();
    });
    running = next;
    return next;
  };

  return {
    now,
    soon() {
      if (closed) return;
      clearTimeout(quiet);
      quiet = setTimeout(now, QUIET_MS);
      longest ??= setTimeout(now, LONGEST_MS);
    },
    after(next) {
      listener = next;
    },
    async close() {
      closed = true;
      clearTimeout(quiet);
      clearTimeout(longest);
      await running;
    },
  };
}
