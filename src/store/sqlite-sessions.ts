/** The sessions of the SQLite store: how its two threads write and read them. */
import type { Database } from 'better-sqlite3';
import type { PositionedSession, Session, SessionFilter } from './store.ts';

type Row = Omit<PositionedSession, 'allowed_tool_patterns'> & {
  readonly allowed_tool_patterns: string | null;
};

const COLUMNS = [
  'execution_id',
  'tenant_id',
  'agent_id',
  'security_context',
  'public_key',
  'token_digest',
  'allowed_tool_patterns',
  'workload_id',
  'created_by',
  'created_at',
  'expires_at',
  'revoked_at',
] as const;

export interface SessionWriter {
  /** Rows changed: 0 when the session that is there must stay. */
  put(session: Session): number;
  revoke(execution_id: string, revoked_at: number): number;
  purge(time: number, limit: number): number;
}

export function prepareSessionWriter(db: Database): SessionWriter {
  const put = db.prepare(
    `INSERT INTO sessions (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((name) => `@${name}`).join(', ')})
       ON CONFLICT (execution_id) DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(', ')}
       WHERE sessions.revoked_at IS NULL AND sessions.expires_at > excluded.created_at
         AND sessions.tenant_id IS excluded.tenant_id`,
  );
  const revoke = db.prepare<[number, string]>(
    'UPDATE sessions SET revoked_at = ? WHERE execution_id = ? AND revoked_at IS NULL',
  );
  const purge = db.prepare<[number, number]>(
    `DELETE FROM sessions WHERE position IN
       (SELECT position FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`,
  );
  return {
    put: (session) =>
      put.run({ ...session, allowed_tool_patterns: toText(session.allowed_tool_patterns) }).changes,
    revoke: (execution_id, revoked_at) => revoke.run(revoked_at, execution_id).changes,
    purge: (time, limit) => purge.run(time, limit).changes,
  };
}

/** null: there is none. */
export function readSession(db: Database, execution_id: string): PositionedSession | null {
  const row = db.prepare<[string], Row>('SELECT * FROM sessions WHERE execution_id = ?').get(execution_id);
  return row === undefined ? null : toSession(row);
}

export function listSessions(db: Database, filter: SessionFilter): PositionedSession[] {
  const { tenant_id, agent_id, active_at, before, limit } = filter;
  const terms: [sql: string, value: string | number | undefined][] = [
    ['tenant_id = ?', tenant_id],
    ['agent_id = ?', agent_id],
    ['revoked_at IS NULL AND expires_at > ?', active_at],
    ['position < ?', before],
  ];
  const given = terms.filter(([, value]) => value !== undefined);
  const where = given.length === 0 ? '' : `WHERE ${given.map(([sql]) => sql).join(' AND ')}`;
  return db
    .prepare<unknown[], Row>(`SELECT * FROM sessions ${where} ORDER BY position DESC LIMIT ?`)
    .all(...given.map(([, value]) => value), limit)
    .map(toSession);
}

function toText(patterns: Session['allowed_tool_patterns']): string | null {
  return patterns === null ? null : JSON.stringify(patterns);
}

function toSession({ allowed_tool_patterns, ...row }: Row): PositionedSession {
  return {
    ...row,
    allowed_tool_patterns: allowed_tool_patterns === null ? null : JSON.parse(allowed_tool_patterns),
  };
}
