/** The structured domain events of the audit trail (docs/reference/audit.md). */

export type EventType =
  | 'ToolCallAuthorized'
  | 'ToolCallRejected'
  | 'RejectionsCounted'
  | 'WorkflowInvocationStarted'
  | 'WorkflowStepExecuted'
  | 'WorkflowInvocationCompleted'
  | 'WorkflowInvocationFailed'
  | 'ExplorerRequestExecuted'
  | 'ExplorerRequestFailed'
  | 'CliToolInvocationStarted'
  | 'CliToolInvocationCompleted'
  | 'CliToolInvocationFailed'
  | 'CliToolSemanticRejected'
  | 'ToolCallInterrupted'
  | 'CredentialExchangeCompleted'
  | 'CredentialExchangeFailed'
  | 'CredentialBindingAdded'
  | 'CredentialBindingRevoked'
  | 'ApiSpecRegistered'
  | 'WorkflowRegistered'
  | 'CliToolRegistered'
  | 'ManifestApplied'
  | 'ManifestRejected'
  | 'ManifestRemoved'
  | 'AuditTrimmed'
  | 'ManifestProposed'
  | 'ManifestProposalFailed'
  | 'ReconcileCompleted'
  | 'SessionCreated'
  | 'SessionRevoked'
  | 'AttestationSucceeded'
  | 'AttestationFailed';

/** What a part of the gateway has to say; the recorder adds the rest. */
export interface EventBody {
  readonly event_type: EventType;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** An event before it is stored. */
export interface AuditEvent extends EventBody {
  /** UUID. */
  readonly id: string;
  /** The call it belongs to; null for configuration events. */
  readonly execution_id: string | null;
  readonly tenant_id: string | null;
  /** Revision of the snapshot in force; null before there is one. */
  readonly revision: string | null;
  /** ISO 8601 UTC. */
  readonly created_at: string;
}

/** An event as a row of `gateway_events`, linked into its writer's chain. */
export interface StoredEvent extends AuditEvent {
  readonly writer: string;
  /** From 1, without gaps, for each writer. */
  readonly seq: number;
  /** Hex SHA-256 of the writer's previous event; 64 zeros for the first. */
  readonly prev_hash: string;
  readonly hash: string;
}

/** A stored event together with its payload as it was stored: the hash covers that text, not the object. */
export interface ChainedEvent extends StoredEvent {
  readonly payload_text: string;
}
