/** Steps that run at the same time: they only read, and none needs what another leaves. */
import { GatewayError } from '../errors.ts';
import type { Step } from '../snapshot/snapshot.ts';
import { cutFrom } from './abort.ts';
import { atMost } from './at-most.ts';
import type { Run, StepDeps } from './run.ts';
import { type Outcome, runStep } from './step.ts';

/** Steps of one stage that are under way at once; the others wait their turn. */
const MAX_AT_ONCE = 8;

export interface StageResult {
  readonly step: Step;
  readonly outcome: Outcome;
}

/**
 * The outcomes in the order of the steps. When one ends the workflow, those after it are cut short or not begun, while
 * those before it end by themselves: so the first error as written decides, whichever came first.
 */
export async function runStage(
  deps: StepDeps,
  run: Run,
  steps: readonly Step[],
): Promise<readonly StageResult[]> {
  const [only, ...more] = steps;
  if (more.length === 0) return [{ step: only!, outcome: await runStep(deps, run, only!) }];
  const cuts = steps.map(() => cutFrom(run.signal));
  const outcomes: Outcome[] = [];
  await atMost(MAX_AT_ONCE, steps.length, async (index) => {
    const step = steps[index]!;
    const outcome = await runStep(deps, { ...run, signal: cuts[index]!.signal }, step);
    cuts[index]!.release();
    outcomes[index] = outcome;
    if (!outcome.fatal) return true;
    const reason = new GatewayError('UPSTREAM_FAILED', `cancelled, because step ${step.name} failed`);
    for (const later of cuts.slice(index + 1)) later.abort(reason);
    return false;
  });
  for (const cut of cuts) cut.release();
  return outcomes.map((outcome, index) => ({ step: steps[index]!, outcome }));
}
