/**
 * Calls that were under way when their gateway was killed: each has an intent in the trail and no outcome. A later
 * gateway on the same store gives them one, so that nobody has to guess what became of them.
 */
import type { AuditEvent, EventType } from '../audit/event.ts';
import { type Clock, isoTime } from '../clock.ts';
import { MAX_QUERY_LIMIT, type PositionedEvent, type Store } from '../store/store.ts';

export interface InterruptedDeps {
  readonly store: Pick<Store, 'query' | 'admit'>;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Whether this process is known to have ended. */
  readonly isDead: (instance: string) => boolean;
  /** Milliseconds that a call takes at most. */
  readonly call_timeout_ms: number;
}

/** Events of a call that do not end it; every other event with its id does. */
const UNDER_WAY: ReadonlySet<EventType> = new Set<EventType>([
  'ToolCallAuthorized',
  'WorkflowInvocationStarted',
  'WorkflowStepExecuted',
  'CliToolInvocationStarted',
  'CredentialExchangeCompleted',
  'CredentialExchangeFailed',
]);

/** A living gateway has written the outcome this long after a call's time is up, however slow its disk. */
const GRACE_MS = 60_000;
/** By then everybody sees the outcome itself. */
const CLAIM_MS = 3_600_000;
/** Events written at once. */
const BATCH = 500;

/**
 * Writes a ToolCallInterrupted for each intent without an outcome whose gateway is dead; of a gateway that cannot be
 * seen from here (another machine or container) only when the call's time is long up. Looks at the end of the trail:
 * an older intent would have been seen by an earlier look. Of gateways that look at one moment, one writes each.
 * Resolves to how many were written. Rejects with AUDIT_UNAVAILABLE.
 */
export async function closeInterrupted(deps: InterruptedDeps): Promise<number> {
  const { store, clock, call_timeout_ms, isDead } = deps;
  const [newest] = await store.query({ limit: 1 });
  if (newest === undefined) return 0;
  // A call under way at a death began no earlier than this before the last thing that was heard.
  const end = Math.min(Date.parse(newest.created_at), clock.now());
  const open = await openIntents(store, isoTime(end - 2 * (call_timeout_ms + GRACE_MS)));
  const late = isoTime(clock.now() - call_timeout_ms - GRACE_MS);
  const interrupted = open.filter(
    ({ payload, created_at }) => isDead(String(payload.instance)) || created_at < late,
  );
  let written = 0;
  for (let at = 0; at < interrupted.length; at += BATCH) {
    const admissions = await Promise.all(
      interrupted.slice(at, at + BATCH).map((intent) => {
        const claim = { id: `interrupted:${intent.id}`, expires_at: clock.now() + CLAIM_MS };
        return store.admit(claim, [outcomeOf(intent, deps)]);
      }),
    );
    written += admissions.filter((one) => one === 'admitted').length;
  }
  return written;
}

async function openIntents(store: Pick<Store, 'query'>, since: string): Promise<readonly PositionedEvent[]> {
  const open = new Map<unknown, PositionedEvent>();
  for (let after = 0; ; ) {
    const page = await store.query({ since, after, limit: MAX_QUERY_LIMIT });
    for (const event of page) {
      const { call_id, rule } = event.payload;
      // A listing is answered from memory: it has no rule, and nothing to come of it.
      if (event.event_type === 'ToolCallAuthorized' && rule !== undefined) open.set(call_id, event);
      else if (!UNDER_WAY.has(event.event_type)) open.delete(call_id);
    }
    if (page.length < MAX_QUERY_LIMIT) return [...open.values()];
    after = page.at(-1)!.position;
  }
}

function outcomeOf(intent: PositionedEvent, { newId, clock }: InterruptedDeps): AuditEvent {
  const { call_id, tool_name, agent_id, instance } = intent.payload;
  return {
    id: newId(),
    event_type: 'ToolCallInterrupted',
    execution_id: intent.execution_id,
    tenant_id: intent.tenant_id,
    revision: intent.revision,
    payload: { call_id, tool_name, agent_id, intent_id: intent.id, instance, reason: 'interrupted' },
    created_at: isoTime(clock.now()),
  };
}
