/** The only place that reads the time; everybody else gets a {@link Clock} or a `now` as argument. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds of a clock that never goes back, for durations. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

let last = { ms: Number.NaN, text: '' };

/** ISO 8601 UTC with milliseconds. Under load many events share one of them, so its text is made once. */
export function isoTime(ms: number): string {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() };
  return last.text;
}
