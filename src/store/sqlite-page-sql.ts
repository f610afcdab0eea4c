/** The SQL of one page of events, and what a filter may ask for. */

/** A call's events that say who called what; as the indexes on tool and agent have it, or they are not used. */
const CALLS = "event_type IN ('ToolCallAuthorized', 'ToolCallRejected')";
// A row that was tampered with may hold anything; it must not stop a query.
const said = (field: string): string => `CASE WHEN json_valid(payload) THEN payload ->> '$.${field}' END`;

const TERMS = {
  event_type: 'event_type = ?',
  execution_id: 'execution_id = ?',
  tenant_id: 'tenant_id = ?',
  tool_name: `${CALLS} AND ${said('tool_name')} = ?`,
  agent_id: `${CALLS} AND ${said('agent_id')} = ?`,
  since: 'created_at >= ?',
  until: 'created_at < ?',
  within: 'position > ? AND position < ?',
  // With the position, so that not even a row forged with a number that exists already is skipped.
  after_link: '(writer, seq, position) > (?, ?, ?)',
};

const ORDERS = {
  oldest: 'position',
  newest: 'position DESC',
  chain: 'writer, seq, position',
};

export type Order = keyof typeof ORDERS;
/** A term and its operands. */
export type Term = readonly [keyof typeof TERMS, ...(string | number)[]];

// By the index on times alone, whatever the planner thinks: it would walk the trail.
const BY_TIME =
  'FROM gateway_events INDEXED BY gateway_events_created WHERE created_at >= ? AND created_at < ?';

/** First and last position of the events from one time up to another, and how many there are; of the third parameter's at most. */
export const WITHIN_TIMES = `SELECT min(position), max(position), count(*)
  FROM (SELECT position ${BY_TIME} LIMIT ?)`;
/** The last position alone, of all of them. */
export const LAST_WITHIN_TIMES = `SELECT max(position) ${BY_TIME}`;

/** Its parameters are the operands of the terms, and then the most rows. */
export function pageSql(where: readonly Term[], order: Order): string {
  const terms = where.map(([name]) => TERMS[name]);
  return `SELECT position, id, event_type, execution_id, tenant_id, revision, payload, created_at, writer, seq,
      prev_hash, hash
    FROM gateway_events ${terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''}
    ORDER BY ${ORDERS[order]} LIMIT ?`;
}
