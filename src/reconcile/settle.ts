/** Where no event tells when a change is complete, it is read until it stays the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reading, Source } from './source.ts';

/** Milliseconds between two readings, and how many of them a directory that never rests is given. */
const QUIET_MS = 100;
const READINGS = 20;

/** Rejects as {@link Source.read} does. `handled`: digest of the reading that was handled last. */
export async function readSettled(source: Source, handled: string | null): Promise<Reading> {
  let reading = await source.read();
  for (let count = 1; count < READINGS && reading.tree.digest !== handled; count += 1) {
    await sleep(QUIET_MS);
    const again = await source.read();
    if (again.tree.digest === reading.tree.digest) return again;
    reading = again;
  }
  return reading;
}
