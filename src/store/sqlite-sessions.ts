/** Sessions in SQLite: what the writing thread and the reading thread do with them. */
import type { Database } from 'better-sqlite3';
import type { Saved, Session, SessionFilter } from './store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** A session as a row of the table: patterns as JSON, the rest as it is. */
export type SessionRow = [
  execution_id: string,
  agent_id: string,
  tenant_id: string | null,
  security_context: string,
  public_key: string,
  token_digest: string,
  allowed_tool_patterns: string | null,
  created_at: number,
  expires_at: number,
  revoked_at: number | null,
];
export const SESSION_SLOTS = 10;

const COLUMNS = `execution_id, agent_id, tenant_id, security_context, public_key, token_digest, allowed_tool_patterns,
  created_at, expires_at, revoked_at`;

export function sessionRow(session: Session): SessionRow {
  const { allowed_tool_patterns: patterns } = session;
  return [
    session.execution_id,
    session.agent_id,
    session.tenant_id,
    session.security_context,
    session.public_key,
    session.token_digest,
    patterns === null ? null : JSON.stringify(patterns),
    session.created_at,
    session.expires_at,
    session.revoked_at,
  ];
}

/** What became of a session, as the writing thread answers it. */
export const SAVED = ['created', 'replaced', 'conflict', 'ended'] as const satisfies readonly Saved[];

export interface SessionWriter {
  /** Index of {@link SAVED}; the first two stored the session. */
  save(row: SessionRow, now: number): 0 | 1 | 2 | 3;
  /** 1: it was active. */
  revoke(execution_id: string, now: number): number;
}

export function prepareSessions(db: Database): SessionWriter {
  const find = db.prepare<[string], Pick<Session, 'tenant_id' | 'revoked_at' | 'expires_at'>>(
    'SELECT tenant_id, revoked_at, expires_at FROM sessions WHERE execution_id = ?',
  );
  const put = db.prepare<unknown[]>(
    `INSERT OR REPLACE INTO sessions (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const end = db.prepare<[number, string, number]>(
    'UPDATE sessions SET revoked_at = ? WHERE execution_id = ? AND revoked_at IS NULL AND expires_at > ?',
  );
  return {
    save(row, now) {
      const there = find.get(row[0]);
      if (there !== undefined && there.tenant_id !== row[2]) return 2;
      if (there !== undefined && (there.revoked_at !== null || there.expires_at <= now)) return 3;
      put.run(...row);
      return there === undefined ? 0 : 1;
    },
    revoke: (execution_id, now) => end.run(now, execution_id, now).changes,
  };
}

export function readSession(db: Database, execution_id: string): Session[] {
  return db
    .prepare<[string], SessionRow>(`SELECT ${COLUMNS} FROM sessions WHERE execution_id = ?`)
    .raw()
    .all(execution_id)
    .map(sessionOf);
}

export function readSessions(db: Database, filter: SessionFilter): Session[] {
  const { tenant_id, active_at, after, limit = DEFAULT_LIMIT } = filter;
  const terms: [term: string, ...values: unknown[]][] = [];
  if (tenant_id !== undefined) terms.push(['tenant_id IS ?', tenant_id]);
  if (active_at !== undefined) terms.push(['revoked_at IS NULL AND expires_at > ?', active_at]);
  if (after !== undefined) {
    terms.push(['(created_at, execution_id) < (?, ?)', after.created_at, after.execution_id]);
  }
  const where = terms.length > 0 ? `WHERE ${terms.map(([term]) => term).join(' AND ')}` : '';
  return db
    .prepare<unknown[], SessionRow>(
      `SELECT ${COLUMNS} FROM sessions ${where} ORDER BY created_at DESC, execution_id DESC LIMIT ?`,
    )
    .raw()
    .all(...terms.flatMap(([, ...values]) => values), Math.min(limit, MAX_LIMIT))
    .map(sessionOf);
}

function sessionOf(row: SessionRow): Session {
  const [execution_id, agent_id, tenant_id, security_context, public_key, token_digest, patterns] = row;
  const [, , , , , , , created_at, expires_at, revoked_at] = row;
  return {
    execution_id,
    agent_id,
    tenant_id,
    security_context,
    public_key,
    token_digest,
    allowed_tool_patterns: patterns === null ? null : JSON.parse(patterns),
    created_at,
    expires_at,
    revoked_at,
  };
}
