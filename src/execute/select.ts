/** JSONPath of manifests on the replies of upstreams. */
import { GatewayError } from '../errors.ts';
import type { Query } from '../snapshot/snapshot.ts';

/** All that matches. Throws UPSTREAM_FAILED: the expression is the manifest's and the data the upstream's. */
export function selectFrom(query: Query, value: unknown, what: string): unknown[] {
  try {
    return query.select(value);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError('UPSTREAM_FAILED', `cannot extract ${what} by ${query.text}: ${error.message}`);
  }
}

/** Values by variable; a variable whose singular query matched nothing is absent. */
export function extractFrom(
  queries: ReadonlyMap<string, Query>,
  value: unknown,
): ReadonlyMap<string, unknown> {
  const extracted = new Map<string, unknown>();
  for (const [name, query] of queries) {
    const matched = selectFrom(query, value, name);
    if (!query.singular) extracted.set(name, matched);
    else if (matched.length > 0) extracted.set(name, matched[0]);
  }
  return extracted;
}
