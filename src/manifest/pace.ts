/** Long work in slices: calls and timers get their turn in between. */
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../clock.ts';

/** Milliseconds of work without a break; what waits in the event loop waits that long. */
const SLICE_MS = 5;

/** To be awaited between two pieces of work; a turn of the event loop when the slice is used up. */
export type Pace = () => Promise<void> | undefined;

export function createPace(): Pace {
  let began = systemClock.monotonic();
  return () => {
    if (systemClock.monotonic() - began < SLICE_MS) return undefined;
    return turn().then(() => {
      began = systemClock.monotonic();
    });
  };
}
