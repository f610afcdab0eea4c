/** Repeats a step for each element of a list: so many at once, and the results in the order of the list. */
import { GatewayError } from '../errors.ts';
import type { ForEach } from '../snapshot/snapshot.ts';
import { atMost } from './at-most.ts';
import type { Run } from './run.ts';

/**
 * The results of `task`, which must not reject. After one that does not go on no further element is begun; those
 * under way end as they end, so that of a request that writes it is known what came of it. Throws for what is no list.
 */
export async function runEach<T>(
  run: Run,
  each: ForEach,
  task: (item: unknown, index: number) => Promise<{ readonly result: T; readonly goesOn: boolean }>,
): Promise<readonly T[]> {
  const list = listOf(run, each);
  const results: T[] = [];
  await atMost(each.concurrency, list.length, async (index) => {
    const { result, goesOn } = await task(list[index], index);
    results[index] = result;
    return goesOn;
  });
  return results;
}

function listOf(run: Run, { list, max_items, blame }: ForEach): readonly unknown[] {
  run.gaps.clear();
  const items = list.render(run.context);
  if (!Array.isArray(items)) {
    const why = run.gaps.size > 0 ? [...run.gaps].join('; ') : 'for_each.in gives no list';
    throw new GatewayError(blame, why);
  }
  if (items.length <= max_items) return items;
  throw new GatewayError(blame, `for_each.in gives ${items.length} elements; max_items is ${max_items}`, {
    details: { items: items.length, max_items },
  });
}
