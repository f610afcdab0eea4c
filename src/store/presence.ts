/** Tells the other gateways of this store that this one lives, and learns of them. */
import type { Log } from '../log.ts';
import type { Presence, Replica, Store } from './store.ts';

const ANNOUNCE_MS = 2_000;

export interface Neighbours {
  /** As of the last announcement; null: the store could not be asked. */
  replicas(): readonly Replica[] | null;
  close(): void;
}

export function startPresence(
  store: Pick<Store, 'announce' | 'replicas'>,
  log: Pick<Log, 'warn'>,
  presence: () => Presence,
): Neighbours {
  let known: readonly Replica[] | null = null;
  let failing = false;
  const announce = async (): Promise<void> => {
    try {
      await store.announce(presence());
      known = await store.replicas();
      failing = false;
    } catch (error) {
      known = null;
      if (!failing) log.warn({ err: error }, 'the other gateways cannot be told that this one lives');
      failing = true;
    }
  };
  let last = announce();
  const timer = setInterval(() => {
    last = last.then(announce);
  }, ANNOUNCE_MS);
  return {
    replicas: () => known,
    close: () => clearInterval(timer),
  };
}
