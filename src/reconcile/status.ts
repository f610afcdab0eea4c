/** What the reconciler says of itself: of the whole, and of each manifest. */
import type { Diagnostic } from '../manifest/diagnostic.ts';
import type { Kind } from '../manifest/kind.ts';
import type { Identity } from '../manifest/manifest.ts';
import type { ManifestStatus } from './compile.ts';

export interface ManifestState {
  readonly kind: Kind;
  readonly tenant: string | null;
  readonly name: string;
  readonly status: ManifestStatus;
  /** The first error, or warning; null: there is nothing to say. */
  readonly reason: string | null;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Digest of the version that was tried last; null: it has errors by itself. */
  readonly digest: string | null;
  /** Digest of the version in force; null: none is. */
  readonly applied_digest: string | null;
  /** The revision that was tried last, and the one in force; null: none is, or it is of an earlier run. */
  readonly revision_attempted: string;
  readonly revision_applied: string | null;
  /** ISO 8601 UTC, of the last change of this state. */
  readonly changed_at: string;
}

export interface ReconcileStatus {
  /** The revision of the snapshot in force; null before the first. */
  readonly revision: string | null;
  readonly revision_attempted: string | null;
  /** Counts snapshots, from 1; 0 before the first. */
  readonly generation: number;
  /** Who signed the commit in force; null: signatures are not asked for. */
  readonly signer: { readonly signer: string; readonly fingerprint: string } | null;
  /** How changes are noticed. */
  readonly watch: 'events' | 'scanning';
  /** Something is not as the directory says: see `error` and the manifests. */
  readonly degraded: boolean;
  /** Why the last reconcile could not be made; null: it was. */
  readonly error: string | null;
  readonly last_success_at: string | null;
  readonly last_error_at: string | null;
  readonly manifests: readonly ManifestState[];
  /** What belongs to no manifest. */
  readonly diagnostics: readonly Diagnostic[];
}

/** The status before anything was read. */
export const NOTHING_YET: ReconcileStatus = {
  revision: null,
  revision_attempted: null,
  generation: 0,
  signer: null,
  watch: 'events',
  degraded: true,
  error: 'the directory has not been read yet',
  last_success_at: null,
  last_error_at: null,
  manifests: [],
  diagnostics: [],
};

/** Why the gateway cannot serve calls; null: it can, with what is in force. */
export function notReadyReason(status: ReconcileStatus): string | null {
  if (status.generation === 0) return status.error ?? 'there is no configuration yet';
  const serves = status.manifests.some(({ applied_digest }) => applied_digest !== null);
  return serves || !status.degraded ? null : 'no manifest is valid; the status says why';
}

/** A manifest beside what of it is in force. */
export interface AppliedResource {
  readonly state: ManifestState;
  /** Its `spec` in the version in force, as written; null: nothing is. */
  readonly spec: unknown;
}

/** A change that somebody asked of an API instead of git. */
export interface AskedChange {
  readonly action: 'create' | 'replace' | 'amend' | 'remove';
  readonly kind: Kind;
  readonly tenant: string | null;
  /** null: the manifest says it. */
  readonly name: string | null;
  /** A manifest, or its name and the fields of its spec, as JSON or YAML; null when it is to be removed. */
  readonly body: Uint8Array | null;
}

/** The same change as a manifest, for git. */
export interface Draft {
  /** Whose manifest it is; null: it cannot be told. */
  readonly identity: Identity | null;
  readonly change: 'add' | 'replace' | 'remove';
  /** Where the manifest is or belongs, below the root; null: it is nowhere, or cannot be told who it is. */
  readonly file: string | null;
  /** Other manifests that stand in this file. */
  readonly shares_file_with: readonly string[];
  /** The manifest, ready to commit; null: nothing to write. */
  readonly manifest_yaml: string | null;
  /** What is wrong with it, and with those that it would break. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Says what would make a change in git; nothing is applied and nothing written. */
export type DraftChange = (asked: AskedChange) => Promise<Draft>;

/** A draft that could be in force once it is merged. */
export interface SoundDraft extends Draft {
  readonly identity: Identity;
  readonly file: string;
}

/** Who asks; the author of the commit. */
export interface ProposalAuthor {
  readonly subject: string;
  /** From the claims of the operator's token; null: it does not say. */
  readonly name: string | null;
  readonly email: string | null;
}

export interface Proposed {
  readonly branch: string;
  readonly commit: string;
}

/** The base branch is not where the gateway is, or says already what was asked. */
export class ProposalConflict extends Error {}

/**
 * Commits a draft to a branch of its own; the runtime is not touched. Rejects with {@link ProposalConflict}, or a
 * GatewayError: UPSTREAM_FAILED (git said no), OVERLOADED, AUDIT_UNAVAILABLE.
 */
export type ProposeChange = (
  draft: SoundDraft,
  action: AskedChange['action'],
  author: ProposalAuthor,
) => Promise<Proposed>;
