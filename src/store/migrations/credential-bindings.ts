/** Tables of `user_bound` credentials, for stores that gateways share (Postgres). */
export const CREDENTIAL_BINDINGS = `
  CREATE TABLE credential_bindings (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT,
    owner       TEXT        NOT NULL,
    provider    TEXT        NOT NULL,
    secret_path TEXT        NOT NULL,
    status      TEXT        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'revoked')),
    created_at  TIMESTAMPTZ NOT NULL
  );

  -- One secret of a user for a provider at one time; revoked ones stay, as a record.
  CREATE UNIQUE INDEX credential_bindings_one
    ON credential_bindings (COALESCE(tenant_id, ''), owner, provider) WHERE status = 'active';

  CREATE TABLE credential_grants (
    id           TEXT PRIMARY KEY,
    binding_id   TEXT NOT NULL REFERENCES credential_bindings (id) ON DELETE CASCADE,
    grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('agent', 'context')),
    grantee      TEXT NOT NULL,
    -- Absent: until the binding is revoked.
    expires_at   TIMESTAMPTZ,
    UNIQUE (binding_id, grantee_kind, grantee)
  );
`;

/** Leases of OpenBao in use, noted before they are used; SQLite's is in its own list. */
export const CREDENTIAL_LEASES = `
  CREATE TABLE credential_leases (
    lease_id     TEXT PRIMARY KEY NOT NULL,
    namespace    TEXT,
    holder       TEXT   NOT NULL,
    in_use_until BIGINT NOT NULL
  );
`;
