/** Holds the current snapshot: one reference, swapped whole. */
import type { Snapshot } from './snapshot.ts';

export interface SnapshotHolder {
  /** The snapshot in force; null before the first one. */
  current(): Snapshot | null;
  swap(next: Snapshot): void;
}

/** `onSwap` hears of each snapshot once it is in force. */
export function createHolder(onSwap: (next: Snapshot) => void = () => {}): SnapshotHolder {
  let snapshot: Snapshot | null = null;
  return {
    current: () => snapshot,
    swap(next) {
      snapshot = Object.freeze(next);
      onSwap(snapshot);
    },
  };
}
