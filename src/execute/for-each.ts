/** Repeats a step for each element of a list: so many at once, and the results in the order of the list. */
import { GatewayError } from '../errors.ts';
import type { ForEach } from '../snapshot/snapshot.ts';
import { atMost } from './at-most.ts';
import { gapError, rendered } from './gaps.ts';
import type { Run } from './run.ts';

/**
 * The results of `task`, which must not reject. After one that does not go on no further element is begun; those
 * under way end as they end, so that of a request that writes it is known what came of it. `count` is how many elements
 * the list has. Throws for what is no list.
 */
export async function runEach<T>(
  run: Run,
  each: ForEach,
  task: (item: unknown, index: number) => Promise<{ readonly result: T; readonly goesOn: boolean }>,
): Promise<{ readonly results: readonly T[]; readonly count: number }> {
  const list = listOf(run, each);
  const results: T[] = [];
  await atMost(each.concurrency, list.length, async (index) => {
    const { result, goesOn } = await task(list[index], index);
    results[index] = result;
    return goesOn;
  });
  return { results, count: list.length };
}

function listOf(run: Run, { list, max_items }: ForEach): readonly unknown[] {
  const items = rendered(run.gaps, () => list.render(run.context));
  if (!Array.isArray(items)) {
    throw gapError(run.gaps) ?? new GatewayError(list.blame, 'for_each.in gives no list');
  }
  // A list of which every element failed: there is nothing to repeat anything over.
  if (run.gaps.size > 0 && items.every((item) => item === null)) throw gapError(run.gaps);
  if (items.length <= max_items) return items;
  throw new GatewayError(
    list.blame,
    `for_each.in gives ${items.length} elements; max_items is ${max_items}`,
    {
      details: { items: items.length, max_items },
    },
  );
}
