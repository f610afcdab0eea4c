/** Sessions as they were a moment ago: every call asks for one, and most ask for the same. */
import type { Clock } from '../clock.ts';
import type { Session } from './store.ts';

/** Milliseconds that a session is believed: what another gateway did to it is seen at most so much later. */
const BELIEVED_MS = 500;
const MAX_SESSIONS = 10_000;

export interface SessionCache {
  get(execution_id: string): Promise<Session | null>;
  /** What this gateway has changed is read anew. */
  forget(execution_id: string): void;
}

/** `read` asks the store. */
export function createSessionCache(
  clock: Clock,
  read: (execution_id: string) => Promise<Session | null>,
): SessionCache {
  const known = new Map<string, { readonly until: number; readonly session: Promise<Session | null> }>();
  return {
    get(execution_id) {
      const now = clock.monotonic();
      const there = known.get(execution_id);
      if (there !== undefined && there.until > now) return there.session;
      // From when it was asked: the answer may be as old as that.
      const session = read(execution_id);
      const entry = { until: now + BELIEVED_MS, session };
      known.delete(execution_id);
      known.set(execution_id, entry);
      if (known.size > MAX_SESSIONS) known.delete(known.keys().next().value!);
      session.catch(() => {
        if (known.get(execution_id) === entry) known.delete(execution_id);
      });
      return session;
    },
    forget(execution_id) {
      known.delete(execution_id);
    },
  };
}
