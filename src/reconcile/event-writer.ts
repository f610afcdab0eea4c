/** Puts configuration events into the audit trail, in order; what cannot be written yet is tried again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditEvent } from '../audit/event.ts';
import { type Clock, isoTime } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Change } from './changes.ts';

export interface EventSink {
  append(events: readonly AuditEvent[]): Promise<void>;
}

export interface EventWriter {
  write(changes: readonly Change[], revision: string): void;
  /** Resolves when all is written, or the last attempt has failed. */
  close(): Promise<void>;
}

interface Deps {
  readonly store: EventSink;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

/** Events of one append; a first reading of a large directory makes many, and calls come in between. */
const BATCH = 200;
const RETRY_MS = 1_000;

export function createEventWriter({ store, clock, log, newId }: Deps): EventWriter {
  let last: Promise<void> = Promise.resolve();
  let closing = false;

  async function append(events: readonly AuditEvent[]): Promise<void> {
    for (;;) {
      try {
        return await store.append(events);
      } catch (error) {
        log.warn({ err: error, events: events.length }, 'configuration events could not be written');
        if (closing) return;
        await sleep(RETRY_MS);
      }
    }
  }

  return {
    write(changes, revision) {
      const created_at = isoTime(clock.now());
      const events = changes.map(({ event_type, tenant_id, payload }) => ({
        id: newId(),
        event_type,
        execution_id: null,
        tenant_id,
        revision,
        payload,
        created_at,
      }));
      for (let at = 0; at < events.length; at += BATCH) {
        const batch = events.slice(at, at + BATCH);
        last = last.then(() => append(batch));
      }
    },
    async close() {
      closing = true;
      await last;
    },
  };
}
