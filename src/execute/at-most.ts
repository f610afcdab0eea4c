/** Several tasks at once, but not too many. */

/**
 * Runs tasks 0 to `count - 1`, begun in this order, at most `limit` at a time. After one that resolves to false no
 * further one begins; those under way are waited for. Tasks must not reject.
 */
export async function atMost(
  limit: number,
  count: number,
  task: (index: number) => Promise<boolean>,
): Promise<void> {
  let next = 0;
  let going = true;
  const worker = async (): Promise<void> => {
    while (going && next < count) {
      if (!(await task(next++))) going = false;
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
}
