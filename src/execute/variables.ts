/** What later steps see of one: its variables, `status`, and of one with pages `truncated`. */
import type { GatewayError } from '../errors.ts';
import type { Query, Step } from '../snapshot/snapshot.ts';
import type { Run } from './run.ts';
import type { Outcome, Result } from './step.ts';

/** A value, or why there is none, and which failure left it so. */
type Variable = { readonly value: unknown } | { readonly gap: string; readonly failure: GatewayError | null };

export function variablesOf(run: Run, step: Step, outcome: Outcome): Readonly<Record<string, unknown>> {
  const { result, elements, error, tally } = outcome;
  const seen: Record<string, unknown> = Object.create(null);
  for (const [name, query] of step.extract) {
    if (elements === null) {
      const variable = variableOf(step, name, query, result);
      if ('value' in variable) seen[name] = variable.value;
      else defineGap(run, seen, [step, name], variable, null);
    } else {
      const list = elements.map((one) => valueOrNull(variableOf(step, name, query, one)));
      const allFailed = error !== null && elements.every((one) => one.error !== null);
      if (allFailed && list.every((one) => one === null))
        defineGap(run, seen, [step, name], { gap: error.message, failure: error }, list);
      else seen[name] = list;
    }
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
  if (result === null) return { gap: `step ${step.name} was skipped`, failure: null };
  if (result.error !== null) return { gap: result.error.message, failure: result.error };
  const gap = `${query.text} ${found ? 'is null' : 'matched nothing'} in the reply of step ${step.name}`;
  return { gap, failure: null };
}

function valueOrNull(variable: Variable): unknown {
  return 'value' in variable ? variable.value : null;
}

/** Reading it is noted, so that a request that cannot do without it can say what is missing. */
function defineGap(
  { gaps }: Run,
  seen: Record<string, unknown>,
  [step, name]: readonly [Step, string],
  { gap, failure }: Extract<Variable, { readonly gap: string }>,
  instead: readonly null[] | null,
): void {
  const why = `steps.${step.name}.${name} has no value: ${gap}`;
  Object.defineProperty(seen, name, {
    enumerable: true,
    get: () => {
      gaps.set(why, failure);
      return instead;
    },
  });
}
