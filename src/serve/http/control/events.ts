/** The audit trail, page by page. */
import type { Router } from '@koa/router';
import type { EventType } from '../../../audit/event.ts';
import type { EventReader, PositionedEvent } from '../../../store/store.ts';
import { invalid, parametersOf, wholeNumber } from './parameters.ts';

export interface EventsDeps {
  readonly events: Pick<EventReader, 'query'>;
}

const PARAMETERS = [
  'type',
  'tool',
  'tenant',
  'agent',
  'execution_id',
  'since',
  'until',
  'after',
  'before',
  'limit',
] as const;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** The newest first, page by page into the past; with `after` the oldest first, page by page towards now. */
export function addEvents(router: Router, { events }: EventsDeps): void {
  router.get('/v1/events', async (context) => {
    const given = parametersOf(context.querystring, PARAMETERS);
    const limit = wholeNumber('limit', given.limit) ?? DEFAULT_LIMIT;
    if (limit < 1 || limit > MAX_LIMIT) throw invalid(`limit must be from 1 to ${MAX_LIMIT}`);
    const forward = given.after !== undefined;
    const found = await events.query({
      event_type: given.type as EventType | undefined,
      tool_name: given.tool,
      tenant_id: given.tenant,
      agent_id: given.agent,
      execution_id: given.execution_id,
      since: given.since,
      until: given.until,
      after: wholeNumber('after', given.after),
      before: wholeNumber('before', given.before),
      // One more tells whether there is a next page.
      limit: limit + 1,
    });
    if (!forward) found.reverse();
    const page = found.slice(0, limit);
    context.body = { events: page, next: found.length > limit ? nextPath(context, page, forward) : null };
  });
}

/** The same query from where this page ends: positions never change, so nothing is told twice or left out. */
function nextPath(
  { path, querystring }: { readonly path: string; readonly querystring: string },
  page: readonly PositionedEvent[],
  forward: boolean,
): string {
  const parameters = new URLSearchParams(querystring);
  parameters.set(forward ? 'after' : 'before', String(page.at(-1)!.position));
  return `${path}?${parameters}`;
}
