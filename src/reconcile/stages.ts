/** Which steps of a workflow run at the same time: what they need of each other follows from their templates. */
import type { Step } from '../snapshot/snapshot.ts';
import type { Needs } from './compile-templates.ts';

/**
 * The steps in their order, those that may run at the same time as one stage: neighbours that only read, none of
 * which needs another of them. A step that writes is a stage of its own: it waits for all before it, and all after
 * wait for it.
 */
export function stagesOf(steps: readonly Step[], needs: readonly Needs[]): readonly (readonly Step[])[] {
  const stages: Step[][] = [];
  for (const [index, step] of steps.entries()) {
    const stage = stages.at(-1);
    const joins =
      stage !== undefined &&
      step.operation.safe &&
      stage.every(({ name, operation }) => operation.safe && !needs[index]!.steps.has(name));
    if (joins) stage.push(step);
    else stages.push([step]);
  }
  return stages;
}
