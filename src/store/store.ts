/** The store port. One implementation a file: `sqlite.ts`; one conformance suite runs against each. */
import type { AuditEvent, ChainedEvent, EventType, StoredEvent } from '../audit/event.ts';

/** A replay id to be used once, until it expires. */
export interface ReplayClaim {
  /** Digest that identifies the token or the envelope. */
  readonly id: string;
  /** Milliseconds since the Unix epoch; the id is kept until then at least. */
  readonly expires_at: number;
}

/** A limit that a call counts against, wherever it is made. */
export interface Count {
  readonly key: string;
  /** No more than these in any span of `per_seconds`. */
  readonly calls: number;
  readonly per_seconds: number;
}

/** A limit that the gateways of this store have used up together. */
export interface Exhausted {
  readonly key: string;
  /** Milliseconds until one more call may fit. */
  readonly retry_after_ms: number;
}

export type Admission = 'admitted' | 'replayed' | Exhausted;

export interface EventFilter {
  readonly event_type?: EventType | undefined;
  readonly execution_id?: string | undefined;
  readonly tenant_id?: string | undefined;
  /** Of the events that say who called what (ToolCallAuthorized, ToolCallRejected), those of this tool. */
  readonly tool_name?: string | undefined;
  /** Of the same events, those of this agent. */
  readonly agent_id?: string | undefined;
  /** Only events after this position of the store's own order (keyset paging, and following a live trail). */
  readonly after?: number | undefined;
  /** Only events before this position (keyset paging, back from the newest). */
  readonly before?: number | undefined;
  /** ISO 8601 UTC, inclusive. */
  readonly since?: string | undefined;
  /** ISO 8601 UTC, exclusive, so that one span begins where another ends. */
  readonly until?: string | undefined;
  /**
   * The newest `limit` events that match (in order of position), or with `after` the first ones; 100 unless
   * told, {@link MAX_QUERY_LIMIT} at most.
   */
  readonly limit?: number | undefined;
}

/** The most events that one query answers; page with `after` or `before` for more. */
export const MAX_QUERY_LIMIT = 10_000;

/** A stored event with its position in the store's own order. */
export interface PositionedEvent extends StoredEvent {
  readonly position: number;
}

/** Reads the trail; also beside a running gateway. */
export interface EventReader {
  /**
   * The events that match, in order of position. Rejects with INVALID_ARGUMENTS for a filter that makes no
   * sense, with AUDIT_UNAVAILABLE when the store cannot be read.
   */
  query(filter: EventFilter): Promise<PositionedEvent[]>;
  /** Every event, ordered by writer and seq, for verification. Memory does not grow with the trail. */
  scan(): AsyncIterable<ChainedEvent>;
  close(): Promise<void>;
}

/** Where one manifest version in force came from. */
export interface LastGoodRow {
  /** `kind/tenant/name`. */
  readonly key: string;
  readonly file: string;
  /** SHA-256 of the file's content. */
  readonly digest: string;
  /** Files that it refers to: the text of the reference, path, SHA-256. */
  readonly data: readonly (readonly [reference: string, path: string, digest: string])[];
  /** SHA-256 of the manifest and of the files that it refers to. */
  readonly manifest: string;
}

/** The manifest versions in force, as the reconciler keeps them across restarts. */
export interface LastGood {
  readonly rows: readonly LastGoodRow[];
  /** Content of files by SHA-256. */
  readonly contents: ReadonlyMap<string, string>;
}

export interface LastGoodChange {
  readonly set: readonly LastGoodRow[];
  /** Keys that are no longer in force. */
  readonly remove: readonly string[];
  /** Contents that rows of `set` name; those that are there already may be given again. */
  readonly contents: ReadonlyMap<string, string>;
}

/** A credential that OpenBao made for one call: noted before it is used, so that a crash does not leave it alive. */
export interface LeaseNote {
  readonly lease_id: string;
  /** The OpenBao namespace it is of; null: the root of the server. */
  readonly namespace: string | null;
  /** The run of a gateway that uses it. */
  readonly holder: string;
  /** Milliseconds since the Unix epoch; the call that uses it is over by then. */
  readonly in_use_until: number;
}

export interface Leases {
  /** Resolves when the note is durable. Rejects with AUDIT_UNAVAILABLE. */
  note(lease: LeaseNote): Promise<void>;
  /** After they were revoked; those that are not noted are none of its business. Rejects with AUDIT_UNAVAILABLE. */
  forget(lease_ids: readonly string[]): Promise<void>;
  /**
   * Leases that no call uses any more: those past `in_use_until`, and those of holders that are known to be gone.
   * SQLite is one gateway's own, so every other holder is; where gateways share a store, a living one cannot be told
   * from a dead one, and time alone decides. Rejects with AUDIT_UNAVAILABLE.
   */
  abandoned(holder: string, now: number): Promise<LeaseNote[]>;
}

/** Whom a binding may serve: an agent by the `sub` of its token, or whoever calls under a security context. */
export type Grantee = { readonly kind: 'agent' | 'context'; readonly name: string };

export interface CredentialGrant {
  readonly id: string;
  readonly grantee: Grantee;
  /** Milliseconds since the Unix epoch; null: until the binding is revoked. */
  readonly expires_at: number | null;
}

/** That a user has put a secret for a provider into OpenBao, and whom it may serve. The secret is not in it. */
export interface CredentialBinding {
  readonly id: string;
  readonly tenant_id: string | null;
  /** The `sub` of the user. */
  readonly owner: string;
  readonly provider: string;
  /** Key of the secret in the tenant's part of OpenBao's KV store. */
  readonly secret_path: string;
  readonly status: 'active' | 'revoked';
  /** ISO 8601 UTC. */
  readonly created_at: string;
  readonly grants: readonly CredentialGrant[];
}

/** Who asks for a user's credential. */
export interface BindingQuery {
  readonly tenant_id: string | null;
  readonly provider: string;
  /** Only bindings of this user; null: of anybody who granted it to this agent or context. */
  readonly owner: string | null;
  readonly agent: string;
  readonly context: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

export interface BindingFilter {
  /** undefined: of every tenant; null: of none. */
  readonly tenant_id?: string | null | undefined;
  readonly owner?: string | undefined;
  readonly provider?: string | undefined;
}

/** The tables `credential_bindings` and `credential_grants` (migrations/credential-bindings.ts). */
export interface CredentialBindings {
  /** One durable unit with its grants. Rejects with INVALID_ARGUMENTS when its owner has an active one of the provider. */
  add(binding: CredentialBinding): Promise<void>;
  /** In order of creation, revoked ones too. */
  list(filter: BindingFilter): Promise<CredentialBinding[]>;
  /** Active bindings with a grant in force for the agent or the context; two at most, to tell one from several. */
  granted(query: BindingQuery): Promise<CredentialBinding[]>;
  /** Whether there was an active one of this id. */
  revoke(id: string): Promise<boolean>;
}

export interface Store extends EventReader {
  readonly sessions: Sessions;
  readonly leases: Leases;
  /** null: this store keeps none. SQLite does not: they belong to users, who outlive one machine's file. */
  readonly bindings: CredentialBindings | null;
  /** Rejects with AUDIT_UNAVAILABLE when the store cannot be read. */
  loadLastGood(): Promise<LastGood>;
  /** One durable unit; contents that no row names any more are forgotten. Rejects with AUDIT_UNAVAILABLE. */
  saveLastGood(change: LastGoodChange): Promise<void>;
  /** Resolves when the events are durable. Rejects with AUDIT_UNAVAILABLE, and then none of them is stored. */
  append(events: readonly AuditEvent[]): Promise<void>;
  /**
   * One atomic unit: claims the replay id and, when it was free, counts the call and appends the events. Resolves,
   * when that is durable, to how it went; unless `admitted`, neither event nor count is stored, and when a limit is
   * used up the id stays free. A store of one gateway leaves limits to that gateway's memory and finds none used up.
   * Rejects with AUDIT_UNAVAILABLE, and then nothing is stored.
   */
  admit(claim: ReplayClaim, events: readonly AuditEvent[], counts?: readonly Count[]): Promise<Admission>;
  /** Forgets replay ids that expired before `now` (milliseconds since the Unix epoch); resolves to how many. */
  purgeReplay(now: number): Promise<number>;
  /**
   * Forgets the oldest events, those stored before `before` (milliseconds since the Unix epoch); a store may keep some
   * of them a few days longer. Where the chains begin from then on is said in an event of its own, AuditTrimmed.
   * Resolves to how many were forgotten. Rejects with AUDIT_UNAVAILABLE.
   */
  trim(before: number): Promise<number>;
  /** Says what this gateway is now; every few seconds, or the others take it for gone. Rejects with AUDIT_UNAVAILABLE. */
  announce(presence: Presence): Promise<void>;
  /** The gateways that use this store now, the longest running first. Rejects with AUDIT_UNAVAILABLE. */
  replicas(): Promise<Replica[]>;
}

/** What a gateway says of itself. */
export interface Presence {
  /** Where its data plane listens. */
  readonly address: string;
  /** Of the snapshot in force; null: there is none. */
  readonly revision: string | null;
}

export interface Replica extends Presence {
  /** One run of a gateway. */
  readonly instance: string;
  readonly version: string;
  /** ISO 8601 UTC, by the clock of the store. */
  readonly started_at: string;
  readonly seen_at: string;
}

/** An agent's run, provisioned or attested: its key, and what its token may do. The token itself is not kept. */
export interface Session {
  readonly execution_id: string;
  /** The `sub` of its token. */
  readonly agent_id: string;
  readonly tenant_id: string | null;
  readonly security_context: string;
  /** The Ed25519 key that signs its envelopes: 32 bytes as base64url. */
  readonly public_key: string;
  /** SHA-256 of the security token, hex. */
  readonly token_digest: string;
  /** null: every tool that the context allows; an empty list allows none. */
  readonly allowed_tool_patterns: readonly string[] | null;
  /** Milliseconds since the Unix epoch, as all times of a session. */
  readonly created_at: number;
  readonly expires_at: number;
  readonly revoked_at: number | null;
}

export interface SessionFilter {
  /** undefined: of every tenant; null: of none. */
  readonly tenant_id?: string | null | undefined;
  /** Only those that are neither revoked nor expired at this time. */
  readonly active_at?: number | undefined;
  /** Only those after this one, in the order of the list (keyset paging). */
  readonly after?: Pick<Session, 'created_at' | 'execution_id'> | undefined;
  /** 100 unless told, 1,000 at most. */
  readonly limit?: number | undefined;
}

/**
 * A new session, or one in place of an active one of the same execution and tenant. `conflict`: that one is of another
 * tenant; `ended`: it was revoked or has expired. Then nothing is stored.
 */
export type Saved = 'created' | 'replaced' | 'conflict' | 'ended';

/** All of them reject with AUDIT_UNAVAILABLE. A session that was revoked or has expired is never active again. */
export interface Sessions {
  /** One durable unit with its events, which are stored when the session is: `created` or `replaced`. */
  save(session: Session, now: number, events: readonly AuditEvent[]): Promise<Saved>;
  /** null: there is none. What another gateway did is seen within half a second, what this one did at once. */
  get(execution_id: string): Promise<Session | null>;
  /** In order of creation, the newest first. */
  list(filter: SessionFilter): Promise<Session[]>;
  /** One durable unit with its events, which are stored when it was active. Resolves to whether it was. */
  revoke(execution_id: string, now: number, events: readonly AuditEvent[]): Promise<boolean>;
}

export type OpenFailure =
  /** There is no such database. */
  | 'missing'
  /** It is a file of another program, or no database at all. */
  | 'not_a_database'
  /** It is damaged. */
  | 'corrupt'
  /** Its schema is of another version of the gateway. */
  | 'schema'
  /** It cannot be opened or made: permissions, a read-only disk, no space. */
  | 'unavailable';

/** Why a store could not be opened. The message is for the operator: it names the file and how to mend it. */
export class StoreOpenError extends Error {
  readonly reason: OpenFailure;

  constructor(reason: OpenFailure, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'StoreOpenError';
    this.reason = reason;
  }
}
