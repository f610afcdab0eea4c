/** What the audit trail hears of a step (protocol section 8): one event, however many requests it took. */
import type { Step } from '../snapshot/snapshot.ts';
import { placeOf } from './run.ts';
import type { Outcome, Result } from './step.ts';

export interface StepEvent {
  readonly event_type: 'WorkflowStepExecuted';
  readonly payload: Readonly<Record<string, unknown>>;
}

export function stepEvent(step: Step, outcome: Outcome): StepEvent {
  const { elements, error, tally, duration_ms } = outcome;
  return {
    event_type: 'WorkflowStepExecuted',
    payload: {
      step_name: step.name,
      ...(wasSkipped(outcome) && { skipped: true }),
      http_status: statusOf(outcome),
      duration_ms: Math.round(duration_ms),
      ...placeOf(step),
      attempts: tally.attempts,
      response_bytes: tally.bytes,
      ...(elements !== null && { items: elements.length, items_failed: elements.filter(hasFailed).length }),
      ...(step.paginate !== null && { pages: tally.pages, truncated: tally.truncated_by !== null }),
      ...(tally.truncated_by !== null && { truncated_by: tally.truncated_by }),
      ...(error !== null && { error: error.name, reason: error.message }),
    },
  };
}

function wasSkipped({ result, elements }: Outcome): boolean {
  return result === null && elements === null;
}

/** Of several elements the first that failed, else the last. */
function statusOf({ result, elements }: Outcome): number {
  const one = elements?.find(hasFailed) ?? elements?.at(-1) ?? result;
  return one?.status ?? 0;
}

function hasFailed({ error }: Result): boolean {
  return error !== null;
}
