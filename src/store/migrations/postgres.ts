/** Schema of the Postgres store, forward only: a database is brought from its version to the last, never back. */
import { CREDENTIAL_BINDINGS, CREDENTIAL_LEASES } from './credential-bindings.ts';

/**
 * Text is compared by its bytes (`COLLATE "C"`), as SQLite and JavaScript do. An event's week is when it was stored, by
 * the database's clock, never earlier than the event before it in its chain: so that what a week holds is the beginning
 * of each chain, and can be dropped as a whole.
 */
const EVENTS = `
  CREATE TABLE gateway_meta (
    key   text PRIMARY KEY,
    value text NOT NULL
  );

  CREATE SEQUENCE gateway_events_position;

  CREATE TABLE gateway_events (
    position     bigint NOT NULL DEFAULT nextval('gateway_events_position'),
    id           text   COLLATE "C" NOT NULL,
    event_type   text   COLLATE "C" NOT NULL,
    execution_id text   COLLATE "C",
    tenant_id    text   COLLATE "C",
    revision     text   COLLATE "C",
    -- JSON as it was hashed: jsonb would change it.
    payload      text   COLLATE "C" NOT NULL,
    created_at   text   COLLATE "C" NOT NULL,
    writer       text   COLLATE "C" NOT NULL,
    seq          bigint NOT NULL,
    prev_hash    text   COLLATE "C" NOT NULL,
    hash         text   COLLATE "C" NOT NULL,
    week         date   NOT NULL,
    -- Created minutes away from when it was stored: time does not tell where in the trail it is.
    skewed       boolean NOT NULL,
    -- Of ToolCallAuthorized and ToolCallRejected, for filters; the truth is in the payload.
    tool_name    text   COLLATE "C",
    agent_id     text   COLLATE "C",
    PRIMARY KEY (position, week),
    UNIQUE (id, week),
    UNIQUE (writer, seq, week)
  ) PARTITION BY RANGE (week);

  CREATE INDEX gateway_events_type ON gateway_events (event_type, position);
  CREATE INDEX gateway_events_execution ON gateway_events (execution_id, position) WHERE execution_id IS NOT NULL;
  CREATE INDEX gateway_events_tenant ON gateway_events (tenant_id, position) WHERE tenant_id IS NOT NULL;
  CREATE INDEX gateway_events_tool ON gateway_events (tool_name, position) WHERE tool_name IS NOT NULL;
  CREATE INDEX gateway_events_agent ON gateway_events (agent_id, position) WHERE agent_id IS NOT NULL;
  CREATE INDEX gateway_events_created ON gateway_events (created_at) WHERE NOT skewed;
  CREATE INDEX gateway_events_skewed ON gateway_events (position) WHERE skewed;

  -- For weeks that nobody has prepared.
  CREATE TABLE gateway_events_other PARTITION OF gateway_events DEFAULT;

  CREATE FUNCTION gateway_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'gateway_events is append-only';
  END $$;

  CREATE TRIGGER gateway_events_no_change BEFORE UPDATE OR DELETE ON gateway_events
    FOR EACH ROW EXECUTE FUNCTION gateway_append_only();
  CREATE TRIGGER gateway_events_no_truncate BEFORE TRUNCATE ON gateway_events
    FOR EACH STATEMENT EXECUTE FUNCTION gateway_append_only();

  -- As events have it.
  CREATE FUNCTION gateway_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

  CREATE FUNCTION gateway_week(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS
    $$ SELECT date_trunc('week', at AT TIME ZONE 'UTC')::date $$;

  -- Makes the partition of the week that begins on this Monday; does nothing when it is there.
  CREATE FUNCTION gateway_prepare_week(monday date) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    name text := 'gateway_events_' || to_char(monday, 'YYYYMMDD');
  BEGIN
    PERFORM pg_advisory_xact_lock(1397047628, hashtext('weeks'));
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF gateway_events FOR VALUES FROM (%L) TO (%L)',
      name, monday, monday + 7);
  END $$;
`;

/**
 * A chain has one gateway at a time, and the epoch says which connection of it: a commit that is late, because its
 * connection was given up, finds another epoch and changes nothing.
 */
const WRITERS = `
  CREATE TABLE gateway_writers (
    writer     text   COLLATE "C" PRIMARY KEY,
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL,
    hash       text   NOT NULL,
    stored_at  timestamptz NOT NULL,
    -- The run of a gateway that writes it, or did last.
    instance   text   NOT NULL,
    version    text   NOT NULL,
    address    text,
    revision   text,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    closed_at  timestamptz
  ) WITH (fillfactor = 50);
`;

const CALLS = `
  CREATE TABLE replay_ids (
    id         text   COLLATE "C" PRIMARY KEY,
    expires_at bigint NOT NULL
  );
  CREATE INDEX replay_ids_expires ON replay_ids (expires_at);

  -- Calls of the last span in slots of a sixteenth of it, the newest first. Unlogged: after a crash of the database
  -- limits begin anew, and no commit pays for them.
  CREATE UNLOGGED TABLE rate_counters (
    key         text   COLLATE "C",
    per_seconds int,
    slot        bigint NOT NULL,
    calls       int[]  NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (key, per_seconds)
  ) WITH (fillfactor = 50);
`;

/**
 * All that the writer of a chain has to say at one time, in one round trip and one transaction. It fails as a whole, and
 * says why: SG001 the chain is not (any more) as the caller believes; SG002 replay ids are taken (detail: which);
 * SG003 limits are used up (detail: how far). The counters come last: their rows are what gateways wait for each other.
 */
const COMMIT = `
  CREATE FUNCTION gateway_commit(
    its_writer text, its_epoch bigint, from_seq bigint, from_hash text, to_seq bigint, to_hash text,
    claims text[], claims_expire bigint[],
    ids text[], types text[], executions text[], tenants text[], revisions text[], payloads text[], times text[],
    prev_hashes text[], hashes text[], tools text[], agents text[],
    count_keys text[], count_spans int[], count_limits int[], count_calls int[]
  ) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    at timestamptz;
    early text := gateway_time(now() - interval '2 minutes') COLLATE "C";
    late text := gateway_time(now() + interval '2 minutes') COLLATE "C";
    taken text;
    over text;
  BEGIN
    UPDATE gateway_writers w
      SET seq = to_seq, hash = to_hash, stored_at = greatest(w.stored_at, now()), seen_at = now()
      WHERE w.writer = its_writer AND w.epoch = its_epoch AND w.seq = from_seq AND w.hash = from_hash
        AND w.closed_at IS NULL
      RETURNING w.stored_at INTO at;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the chain % has another writer', its_writer USING ERRCODE = 'SG001';
    END IF;

    IF cardinality(claims) > 0 THEN
      -- In one order everywhere, so that two gateways never wait for each other.
      WITH won AS (
        INSERT INTO replay_ids (id, expires_at)
        SELECT c.id, c.expires_at FROM unnest(claims, claims_expire) AS c (id, expires_at) ORDER BY 1
        ON CONFLICT DO NOTHING RETURNING id
      )
      SELECT json_agg(c.id) INTO taken FROM unnest(claims) AS c (id) WHERE c.id NOT IN (SELECT id FROM won);
      IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'replay ids are taken' USING ERRCODE = 'SG002', DETAIL = taken;
      END IF;
    END IF;

    IF cardinality(ids) > 0 THEN
      INSERT INTO gateway_events (id, event_type, execution_id, tenant_id, revision, payload, created_at,
        writer, seq, prev_hash, hash, week, skewed, tool_name, agent_id)
      SELECT e.id, e.event_type, e.execution_id, e.tenant_id, e.revision, e.payload, e.created_at,
        its_writer, from_seq + e.n, e.prev_hash, e.hash, gateway_week(at),
        e.created_at COLLATE "C" NOT BETWEEN early AND late, e.tool_name, e.agent_id
      FROM unnest(ids, types, executions, tenants, revisions, payloads, times, prev_hashes, hashes, tools, agents)
        WITH ORDINALITY AS e (id, event_type, execution_id, tenant_id, revision, payload, created_at, prev_hash,
          hash, tool_name, agent_id, n);
    END IF;

    IF cardinality(count_keys) > 0 THEN
      WITH asked AS (
        SELECT c.*, floor(extract(epoch FROM clock_timestamp()) * 16 / c.per_seconds)::bigint AS slot
        FROM unnest(count_keys, count_spans, count_limits, count_calls) AS c (key, per_seconds, most, calls)
      ), counted AS (
        INSERT INTO rate_counters AS r (key, per_seconds, slot, calls, expires_at)
        SELECT key, per_seconds, slot, ARRAY[calls], now() + make_interval(secs => per_seconds * 2)
        FROM asked ORDER BY key, per_seconds
        ON CONFLICT (key, per_seconds) DO UPDATE SET
          slot = greatest(r.slot, excluded.slot),
          calls = CASE
            WHEN excluded.slot <= r.slot THEN (r.calls[1] + excluded.calls[1]) || r.calls[2:]
            WHEN excluded.slot - r.slot > 16 THEN excluded.calls
            ELSE (excluded.calls || array_fill(0, ARRAY[(excluded.slot - r.slot - 1)::int]) || r.calls)[1:17]
          END,
          expires_at = excluded.expires_at
        RETURNING key, per_seconds, calls
      )
      SELECT json_agg(json_build_object('key', key, 'per_seconds', per_seconds, 'before',
          counted.calls[1] - asked.calls || counted.calls[2:],
          'into', extract(epoch FROM clock_timestamp()) * 16 / per_seconds % 1)) INTO over
      FROM counted JOIN asked USING (key, per_seconds)
      WHERE (SELECT sum(c) FROM unnest(counted.calls) AS c) > asked.most;
      IF over IS NOT NULL THEN
        RAISE EXCEPTION 'limits are used up' USING ERRCODE = 'SG003', DETAIL = over;
      END IF;
    END IF;
  END $$;
`;

const KEPT = `
  -- The manifest versions in force: a restart over a broken directory serves them.
  CREATE TABLE last_good (
    key      text COLLATE "C" PRIMARY KEY,
    file     text NOT NULL,
    digest   text COLLATE "C" NOT NULL,
    data     text NOT NULL,
    manifest text NOT NULL
  );

  -- Contents of the files that they were read from, by SHA-256; one file may hold many manifests.
  CREATE TABLE last_good_contents (
    digest  text COLLATE "C" PRIMARY KEY,
    content text NOT NULL
  );

  CREATE TABLE sessions (
    execution_id          text COLLATE "C" PRIMARY KEY,
    agent_id              text NOT NULL,
    tenant_id             text COLLATE "C",
    security_context      text NOT NULL,
    public_key            text NOT NULL,
    token_digest          text NOT NULL,
    -- JSON; absent: every tool that the context allows.
    allowed_tool_patterns text,
    created_at            bigint NOT NULL,
    expires_at            bigint NOT NULL,
    revoked_at            bigint
  );
  CREATE INDEX sessions_created ON sessions (created_at, execution_id);
`;

/** Each entry brings the schema from the version of its index to the next one. Never change one that was released. */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  [EVENTS, WRITERS, CALLS, COMMIT, KEPT, CREDENTIAL_LEASES, CREDENTIAL_BINDINGS].join('\n'),
];
