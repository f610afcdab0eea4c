/** Schema of the SQLite store, forward only: a database is brought from its version to the last, never back. */

/** Each entry brings the schema from the version of its index to the next one. Never change one that was released. */
export const SQLITE_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE gateway_events (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    event_type   TEXT    NOT NULL,
    execution_id TEXT,
    tenant_id    TEXT,
    revision     TEXT,
    payload      TEXT    NOT NULL,
    created_at   TEXT    NOT NULL,
    writer       TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    prev_hash    TEXT    NOT NULL,
    hash         TEXT    NOT NULL,
    UNIQUE (writer, seq)
  ) STRICT;

  CREATE INDEX gateway_events_type ON gateway_events (event_type);
  CREATE INDEX gateway_events_execution ON gateway_events (execution_id) WHERE execution_id IS NOT NULL;
  CREATE INDEX gateway_events_tenant ON gateway_events (tenant_id) WHERE tenant_id IS NOT NULL;
  CREATE INDEX gateway_events_created ON gateway_events (created_at);

  CREATE TRIGGER gateway_events_no_update BEFORE UPDATE ON gateway_events
  BEGIN SELECT RAISE(ABORT, 'gateway_events is append-only'); END;

  CREATE TRIGGER gateway_events_no_delete BEFORE DELETE ON gateway_events
  BEGIN SELECT RAISE(ABORT, 'gateway_events is append-only'); END;

  -- INSERT OR REPLACE removes rows without asking the trigger above. FAIL says no to a row as ABORT does, but needs no
  -- journal of the statement, which every insert would pay for (docs/decisions/0008-hot-path.md).
  CREATE TRIGGER gateway_events_no_replace BEFORE INSERT ON gateway_events
  WHEN EXISTS (SELECT 1 FROM gateway_events WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM gateway_events WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM gateway_events WHERE writer = NEW.writer AND seq = NEW.seq)
  BEGIN SELECT RAISE(FAIL, 'gateway_events is append-only: the event is there already'); END;

  CREATE TABLE replay_ids (
    id         TEXT    PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX replay_ids_expires ON replay_ids (expires_at);
  `,
  `
  -- The manifest versions in force: a restart over a broken directory serves them.
  CREATE TABLE last_good (
    key    TEXT PRIMARY KEY NOT NULL,
    file   TEXT NOT NULL,
    digest TEXT NOT NULL,
    data   TEXT NOT NULL,
    manifest TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Contents of the files that they were read from, by SHA-256; one file may hold many manifests.
  CREATE TABLE last_good_contents (
    digest  TEXT PRIMARY KEY NOT NULL,
    content TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- Credentials that OpenBao made for a call under way: what a crash leaves here is revoked at the next start.
  CREATE TABLE credential_leases (
    lease_id     TEXT    PRIMARY KEY NOT NULL,
    namespace    TEXT,
    holder       TEXT    NOT NULL,
    in_use_until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE sessions (
    execution_id          TEXT    PRIMARY KEY NOT NULL,
    agent_id              TEXT    NOT NULL,
    tenant_id             TEXT,
    security_context      TEXT    NOT NULL,
    public_key            TEXT    NOT NULL,
    token_digest          TEXT    NOT NULL,
    -- JSON; absent: every tool that the context allows.
    allowed_tool_patterns TEXT,
    created_at            INTEGER NOT NULL,
    expires_at            INTEGER NOT NULL,
    revoked_at            INTEGER
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX sessions_created ON sessions (created_at, execution_id);

  -- The oldest events may be removed once the trail itself says so (AuditTrimmed).
  DROP TRIGGER gateway_events_no_delete;
  CREATE TRIGGER gateway_events_no_delete BEFORE DELETE ON gateway_events
  WHEN OLD.position > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'trimmed_through'), 0)
  BEGIN SELECT RAISE(ABORT, 'gateway_events is append-only'); END;
  `,
  `
  -- Who called what, of the two events that say so; the expressions are those of sqlite-page-sql.ts.
  CREATE INDEX gateway_events_tool ON gateway_events
    (CASE WHEN json_valid(payload) THEN payload ->> '$.tool_name' END)
    WHERE event_type IN ('ToolCallAuthorized', 'ToolCallRejected');
  CREATE INDEX gateway_events_agent ON gateway_events
    (CASE WHEN json_valid(payload) THEN payload ->> '$.agent_id' END)
    WHERE event_type IN ('ToolCallAuthorized', 'ToolCallRejected');
  `,
];
