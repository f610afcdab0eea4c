/** Sessions in Postgres. */
import type { Query } from './postgres-connection.ts';
import { asGiven, kept } from './postgres-text.ts';
import type { Saved, Session, SessionFilter } from './store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const COLUMNS = `execution_id, agent_id, tenant_id, security_context, public_key, token_digest, allowed_tool_patterns,
  created_at, expires_at, revoked_at`;

type Row = Omit<Session, 'allowed_tool_patterns'> & { readonly allowed_tool_patterns: string | null };

/** Within the transaction that writes its events. */
export async function saveSession(client: Query, session: Session, now: number): Promise<Saved> {
  const { rows } = await client.query<{ fresh: boolean }>(
    `INSERT INTO sessions AS s (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       ON CONFLICT (execution_id) DO UPDATE SET agent_id = excluded.agent_id, tenant_id = excluded.tenant_id,
         security_context = excluded.security_context, public_key = excluded.public_key,
         token_digest = excluded.token_digest, allowed_tool_patterns = excluded.allowed_tool_patterns,
         created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at
       WHERE s.revoked_at IS NULL AND s.expires_at > $11 AND s.tenant_id IS NOT DISTINCT FROM excluded.tenant_id
       RETURNING xmax = 0 AS fresh`,
    [
      kept(session.execution_id),
      kept(session.agent_id),
      kept(session.tenant_id),
      kept(session.security_context),
      kept(session.public_key),
      kept(session.token_digest),
      session.allowed_tool_patterns === null ? null : JSON.stringify(session.allowed_tool_patterns),
      session.created_at,
      session.expires_at,
      session.revoked_at,
      Math.ceil(now),
    ],
  );
  if (rows[0] !== undefined) return rows[0].fresh ? 'created' : 'replaced';
  // The conflict has locked that row, so it is still what stood in the way.
  const { rowCount } = await client.query(
    'SELECT FROM sessions WHERE execution_id = $1 AND tenant_id IS DISTINCT FROM $2',
    [kept(session.execution_id), kept(session.tenant_id)],
  );
  return rowCount === 1 ? 'conflict' : 'ended';
}

/** Within the transaction that writes its events. */
export async function revokeSession(client: Query, execution_id: string, now: number): Promise<boolean> {
  const { rowCount } = await client.query(
    'UPDATE sessions SET revoked_at = $2 WHERE execution_id = $1 AND revoked_at IS NULL AND expires_at > $2',
    [kept(execution_id), Math.ceil(now)],
  );
  return rowCount === 1;
}

export async function readSession(client: Query, execution_id: string): Promise<Session | null> {
  const { rows } = await client.query<Row>({
    name: 'read_session',
    text: `SELECT ${COLUMNS} FROM sessions WHERE execution_id = $1`,
    values: [kept(execution_id)],
  });
  return rows[0] === undefined ? null : sessionOf(rows[0]);
}

export async function listSessions(client: Query, filter: SessionFilter): Promise<Session[]> {
  const { tenant_id, active_at, after, limit = DEFAULT_LIMIT } = filter;
  const values: unknown[] = [Math.min(limit, MAX_LIMIT)];
  const terms: string[] = [];
  const given = (value: unknown): string => `$${values.push(value)}`;
  if (tenant_id !== undefined) terms.push(`tenant_id IS NOT DISTINCT FROM ${given(kept(tenant_id))}`);
  if (active_at !== undefined)
    terms.push(`revoked_at IS NULL AND expires_at > ${given(Math.ceil(active_at))}`);
  if (after !== undefined) {
    terms.push(
      `(created_at, execution_id) < (${given(after.created_at)}, ${given(kept(after.execution_id))})`,
    );
  }
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM sessions ${terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : ''}
       ORDER BY created_at DESC, execution_id DESC LIMIT $1`,
    values,
  );
  return rows.map(sessionOf);
}

function sessionOf({ allowed_tool_patterns, ...row }: Row): Session {
  return {
    ...row,
    execution_id: asGiven(row.execution_id),
    agent_id: asGiven(row.agent_id),
    tenant_id: asGiven(row.tenant_id),
    security_context: asGiven(row.security_context),
    public_key: asGiven(row.public_key),
    token_digest: asGiven(row.token_digest),
    allowed_tool_patterns: allowed_tool_patterns === null ? null : JSON.parse(allowed_tool_patterns),
  };
}
