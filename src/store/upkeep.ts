/** Forgets what a store need not keep any more: expired replay ids, events past their retention. */
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Store } from './store.ts';

const PURGE_MS = 60_000;
const TRIM_MS = 3_600_000;
/** Milliseconds after the start until events are forgotten: a start has other things to do. */
const FIRST_TRIM_MS = 60_000;
const DAY_MS = 86_400_000;
/**
 * Milliseconds that a replay id outlives its token: the clocks of gateways that share a store may be so far apart, and
 * what has expired for the one that purges is still good at another.
 */
const CLOCKS_APART_MS = 60_000;

export interface UpkeepOptions {
  readonly store: Pick<Store, 'purgeReplay' | 'trim'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly retention_days: number;
}

/** Resolves nothing and fails nothing: what could not be done is done the next time. Returns what ends it. */
export function startUpkeep({ store, clock, log, retention_days }: UpkeepOptions): () => void {
  const purge = (): void => {
    store
      .purgeReplay(clock.now() - CLOCKS_APART_MS)
      .catch((error: unknown) => log.warn({ err: error }, 'expired replay ids could not be purged'));
  };
  const trim = async (): Promise<void> => {
    try {
      const events = await store.trim(clock.now() - retention_days * DAY_MS);
      if (events > 0) log.info({ events, retention_days }, 'events past their retention were forgotten');
    } catch (error) {
      log.warn({ err: error }, 'events past their retention could not be forgotten');
    }
  };
  const timers = [setInterval(purge, PURGE_MS), setInterval(trim, TRIM_MS), setTimeout(trim, FIRST_TRIM_MS)];
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}
