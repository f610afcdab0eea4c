/** What later steps see of one: its variables, `status`, and of one with pages `truncated`. */
import type { Query, Step } from '../snapshot/snapshot.ts';
import type { Run } from './run.ts';
import type { Outcome, Result } from './step.ts';

/** A value, or why there is none. */
type Variable = { readonly value: unknown } | { readonly gap: string };

export function variablesOf(run: Run, step: Step, outcome: Outcome): Readonly<Record<string, unknown>> {
  const { result, elements, tally } = outcome;
  const seen: Record<string, unknown> = Object.create(null);
  for (const [name, query] of step.extract) {
    const variable =
      elements === null
        ? variableOf(step, name, query, result)
        : { value: elements.map((one) => valueOrNull(variableOf(step, name, query, one))) };
    if ('value' in variable) seen[name] = variable.value;
    else defineGap(run, seen, name, `steps.${step.name}.${name} has no value: ${variable.gap}`);
  }
  seen.status = elements === null ? (result?.status ?? 0) : elements.map(({ status }) => status);
  if (step.paginate !== null) seen.truncated = tally.truncated_by !== null;
  return seen;
}

function variableOf(step: Step, name: string, query: Query, result: Result | null): Variable {
  const found = result?.extracted.has(name) ?? false;
  const fallback = Object.hasOwn(step.defaults, name) ? step.defaults[name] : null;
  const value = found ? result?.extracted.get(name) : fallback;
  if (value !== null) return { value };
  if (result === null) return { gap: `step ${step.name} was skipped` };
  if (result.error !== null) return { gap: `step ${step.name} failed` };
  return { gap: `${query.text} ${found ? 'is null' : 'matched nothing'} in the reply of step ${step.name}` };
}

function valueOrNull(variable: Variable): unknown {
  return 'value' in variable ? variable.value : null;
}

/** Reading it is noted, so that a request that cannot do without it can say what is missing. */
function defineGap(run: Run, seen: Record<string, unknown>, name: string, why: string): void {
  Object.defineProperty(seen, name, {
    enumerable: true,
    get: () => {
      run.gaps.add(why);
      return null;
    },
  });
}
