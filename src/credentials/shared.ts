/** Values that calls share: one request in flight for one key, kept as long as its maker says. */
import type { Clock } from '../clock.ts';

export interface Made<T> {
  readonly value: T;
  /** Milliseconds that it may be used again; 0: only by those who wait for it now. */
  readonly keep_ms: number;
}

export type Shared<T> = (
  key: string,
  make: () => Promise<Made<T>>,
) => Promise<{ readonly value: T; readonly cached: boolean }>;

/** Past `max` values the oldest is forgotten. What fails is not kept, and fails all who waited for it. */
export function createShared<T>({ clock, max }: { readonly clock: Clock; readonly max: number }): Shared<T> {
  const kept = new Map<string, { readonly value: T; readonly until: number }>();
  const pending = new Map<string, Promise<T>>();

  return async (key, make) => {
    const known = kept.get(key);
    if (known !== undefined && clock.monotonic() < known.until) return { value: known.value, cached: true };
    kept.delete(key);
    const running = pending.get(key);
    if (running !== undefined) return { value: await running, cached: true };
    const started = make()
      .then(({ value, keep_ms }) => {
        if (keep_ms > 0) kept.set(key, { value, until: clock.monotonic() + keep_ms });
        if (kept.size > max) kept.delete(kept.keys().next().value!);
        return value;
      })
      .finally(() => pending.delete(key));
    pending.set(key, started);
    return { value: await started, cached: false };
  };
}
