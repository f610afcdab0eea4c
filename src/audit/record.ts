/** Builds the events of one call and writes them at the right moments. */
import { type Clock, isoTime } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { AuditEvent, EventBody } from './event.ts';

export interface RecorderDeps {
  /** The store port's `append`: resolves when the events are durable. */
  readonly store: { append(events: readonly AuditEvent[]): Promise<void> };
  readonly clock: Clock;
  readonly newId: () => string;
}

/** What every event of the call carries. */
export interface RecordedCall {
  readonly execution_id: string;
  readonly tenant_id: string | null;
  readonly revision: string | null;
}

export interface Recorder {
  /** The body as an event of this call, with its id and the time; nothing is written. */
  event(body: EventBody): AuditEvent;
  /**
   * A step on the way. The newest one is held back for `conclude`, those before it are written at once without
   * being awaited: a call of one step costs no commit of its own, and of several steps all but the newest are
   * on their way to the disk while the next request is out. What comes after `conclude`, from work that the call had
   * begun, is written at once.
   */
  record(body: EventBody): void;
  /** Writes an event at once. Resolves when it is durable; rejects with AUDIT_UNAVAILABLE. */
  announce(body: EventBody): Promise<void>;
  /**
   * Writes what is held back and the outcome in one append, and awaits all of the call's events. Resolves to the
   * id of the outcome's event. Rejects with AUDIT_UNAVAILABLE when any of them could not be written. Every call
   * ends with it.
   */
  conclude(outcome: EventBody): Promise<string>;
}

export function createRecorder(deps: RecorderDeps, call: RecordedCall): Recorder {
  const written: Promise<void>[] = [];
  let held: AuditEvent | null = null;
  let concluded = false;

  const event = (body: EventBody): AuditEvent => ({
    id: deps.newId(),
    event_type: body.event_type,
    execution_id: call.execution_id,
    tenant_id: call.tenant_id,
    revision: call.revision,
    payload: body.payload,
    created_at: isoTime(deps.clock.now()),
  });

  const write = (events: readonly AuditEvent[]): void => {
    const append = (async () => deps.store.append(events))();
    // `conclude` looks at the failure; until then it must not count as unhandled.
    append.catch(() => {});
    written.push(append);
  };

  return {
    event,
    record(body) {
      if (concluded) return write([event(body)]);
      if (held !== null) write([held]);
      held = event(body);
    },
    async announce(body) {
      await deps.store.append([event(body)]).catch((error: unknown) => {
        throw unavailable(error);
      });
    },
    async conclude(outcome) {
      const last = event(outcome);
      concluded = true;
      write(held === null ? [last] : [held, last]);
      held = null;
      for (const result of await Promise.allSettled(written)) {
        if (result.status === 'rejected') throw unavailable(result.reason);
      }
      return last.id;
    },
  };
}

function unavailable(reason: unknown): GatewayError {
  if (reason instanceof GatewayError && reason.name === 'AUDIT_UNAVAILABLE') return reason;
  return new GatewayError('AUDIT_UNAVAILABLE', 'the audit trail could not be written', { cause: reason });
}
