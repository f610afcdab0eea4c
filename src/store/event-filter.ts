/** What a filter asks for, checked: the same for every database. */
import { isoTime } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { type EventFilter, MAX_QUERY_LIMIT } from './store.ts';

const DEFAULT_LIMIT = 100;
const NAMES = ['event_type', 'execution_id', 'tenant_id', 'tool_name', 'agent_id'] as const;

export type FilterTerm = readonly [(typeof NAMES)[number] | 'since' | 'until', string];

export interface Asked {
  readonly where: FilterTerm[];
  /** `newest`: the last `limit` of them. */
  readonly order: 'oldest' | 'newest';
  readonly limit: number;
  /** Positions from the first to the second, without either. */
  readonly span: readonly [after: number, before: number];
}

/** Throws INVALID_ARGUMENTS for a filter that makes no sense. */
export function translate(filter: EventFilter): Asked {
  const limit = filter.limit ?? DEFAULT_LIMIT;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_QUERY_LIMIT) {
    throw invalid(`limit must be a whole number from 1 to ${MAX_QUERY_LIMIT}`);
  }
  const where: FilterTerm[] = [];
  for (const name of NAMES) {
    if (filter[name] !== undefined) where.push([name, filter[name]]);
  }
  for (const name of ['since', 'until'] as const) {
    if (filter[name] !== undefined) where.push([name, canonicalTime(name, filter[name])]);
  }
  const { after = 0, before = Number.MAX_SAFE_INTEGER } = filter;
  for (const [name, position] of Object.entries({ after, before })) {
    if (!Number.isSafeInteger(position))
      throw invalid(`${name} must be the position of an event, a whole number`);
  }
  const order = filter.after === undefined ? ('newest' as const) : ('oldest' as const);
  return { where, order, limit, span: [after, before] };
}

/** As the events have it, so that the texts compare as the times do (2026-01-01T00:00:00Z has no `.000`). */
function canonicalTime(name: string, text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalid(`${name} must be a time such as 2026-01-31T12:00:00Z`);
  return isoTime(ms);
}

function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}
