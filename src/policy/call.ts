/** What policy is asked, what it may know, and what it answers. */
import type { ErrorName } from '../errors.ts';
import type { Capability, Matcher } from '../snapshot/snapshot.ts';

export interface PolicyCall {
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The program of a CLI tool, or `<api_spec_id>:<operation_id>` of the explorer; null: the call has none. */
  readonly command: string | null;
  /** A subcommand's words, joined by one space; null: the call has none. */
  readonly subcommand: string | null;
  /** The subcommand and the words after it that are no flags, for deny rules alone: they may be a longer subcommand. */
  readonly line?: string | null;
  /** Values that the manifest of a CLI tool declares as paths; they count beside the path arguments. */
  readonly paths?: readonly string[];
  /**
   * Token scopes and the session's patterns (joined by `intersectPatterns`); null does not narrow, an empty list
   * allows nothing.
   */
  readonly tool_patterns: readonly Matcher[] | null;
}

/** What policy may know of counters; reading it consumes nothing. */
export interface Usage {
  exhausted(capability: Capability): boolean;
}

export type PolicyErrorName = Extract<ErrorName, `POLICY_${string}`>;

export interface Denial {
  readonly allow: false;
  readonly error: PolicyErrorName;
  /** For the audit and the caller: names the rule and the argument, never an argument's value. */
  readonly reason: string;
  /** Where the rule stands in the manifest, as in `deny_list[0]` or `capabilities[2].path_allowlist`. */
  readonly rule: string;
  /** The capability whose constraint failed, which a 2005 needs for its Retry-After; null where none did. */
  readonly capability: Capability | null;
}

export type Decision = { readonly allow: true; readonly capability: Capability } | Denial;

/** One rule that was tried. */
export interface TriedRule {
  readonly rule: string;
  /** `matched` and `not_matched` of patterns and denials, `passed` and `failed` of constraints. */
  readonly outcome: 'matched' | 'not_matched' | 'passed' | 'failed';
  /** The pattern as written, or what stood in the way; empty when there is nothing to say. */
  readonly detail: string;
}
