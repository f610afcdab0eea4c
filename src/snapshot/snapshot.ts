/**
 * The frozen runtime model. `reconcile/compile.ts` builds it, a call takes it once and keeps it to its end.
 * Everything that can be parsed, compiled or looked up ahead of a call is already done here.
 */
import type { KeyObject } from 'node:crypto';
import type { Operation } from '../openapi/operation.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Whether a text matches; compiled from a glob. */
export type Matcher = (text: string) => boolean;

/** A compiled structured template (`execute/template.ts`). */
export interface Template {
  /**
   * The value with every string leaf rendered. A leaf that is one expression keeps its type; one that has no
   * value is `undefined`, and such keys are left out of objects.
   */
  render(context: TemplateContext): unknown;
}

export interface TemplateContext {
  readonly input: Readonly<Record<string, unknown>>;
  /** What earlier steps left: their extracted variables and `status`. */
  readonly steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The element of `for_each`, whatever name templates call it by. */
  readonly item?: unknown;
}

/** A compiled RFC 9535 JSONPath (`execute/jsonpath.ts`). */
export interface Query {
  readonly text: string;
  /** True when the expression can match one node at most (names and indexes only). */
  readonly singular: boolean;
  /** All matched values, in order. Throws GatewayError when a limit is passed. */
  select(value: unknown): unknown[];
}

/** Where a credential comes from (one of); the value itself is never in a snapshot. */
export type CredentialRef =
  | { readonly kind: 'none' }
  | { readonly kind: 'static_ref'; readonly key: string; readonly field?: string | undefined }
  | {
      readonly kind: 'system_jit';
      readonly engine_path: string;
      readonly role: string;
      readonly field?: string | undefined;
    }
  | {
      readonly kind: 'human_delegated';
      readonly target_service: string;
      readonly scope?: string | undefined;
    }
  | { readonly kind: 'auto'; readonly system_jit: CredentialRef; readonly human_delegated: CredentialRef }
  | { readonly kind: 'user_bound'; readonly provider: string };

/** How a credential is put into a request (one of). */
export type Inject =
  | { readonly kind: 'bearer' }
  | { readonly kind: 'basic'; readonly username_field: string; readonly password_field: string }
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'query'; readonly name: string };

/** An upstream API, from one ApiSpec. */
export interface Api {
  readonly name: string;
  readonly tenant: string | null;
  /** Absolute http(s) URL without query or fragment; the path has no trailing slash. */
  readonly base_url: URL;
  /** Headers of every request; names are lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeout_ms: number;
  /** Limit on decoded bytes. */
  readonly max_response_bytes: number;
  readonly egress: {
    /** Loopback, private (RFC 1918, ULA) and CGNAT addresses are allowed. */
    readonly allow_private: boolean;
    /** Address literals allowed whatever their range. */
    readonly allow_addresses: readonly string[];
  };
  readonly credential: CredentialRef;
  readonly inject: Inject;
  /** Whether a path value of this operation may hold a slash, which is then sent as %2F. */
  readonly allow_slash: Matcher;
  /** Of requests for which nothing else is said; null: each is sent once. */
  readonly retry: RetryRule | null;
}

/** When and how often a request that failed is sent again. */
export interface Retry {
  /** How often it is sent in all, 2 at least. */
  readonly attempts: number;
  /** The longest wait before the second attempt; doubled before each further one. */
  readonly backoff_ms: number;
  /** Replies that are worth another attempt, beside connections that fail. */
  readonly statuses: readonly number[];
}

/** A {@link Retry} that is for some methods alone. */
export interface RetryRule extends Retry {
  readonly methods: readonly string[];
}

/** The list that a step is repeated over. */
export interface ForEach {
  readonly list: Template;
  /** Elements at work at once. */
  readonly concurrency: number;
  readonly max_items: number;
  /** Whose fault an unfit list is: the caller's where it is made of `input` alone, else the upstream's. */
  readonly blame: 'INVALID_ARGUMENTS' | 'UPSTREAM_FAILED';
}

/** Where the next page is (one of). `param` is a query parameter. */
export type NextPage =
  | { readonly kind: 'link' }
  | { readonly kind: 'url'; readonly query: Query }
  | { readonly kind: 'token'; readonly query: Query; readonly param: string }
  | { readonly kind: 'number'; readonly param: string };

export interface Pagination {
  readonly next: NextPage;
  readonly max_pages: number;
  /** The elements of one page. */
  readonly collect: Query;
}

/** One HTTP request of a workflow, or several alike: for each element of a list, or for each page. */
export interface Step {
  readonly name: string;
  readonly api: Api;
  readonly operation: Operation;
  readonly path_params: Readonly<Record<string, Template>>;
  readonly query: Readonly<Record<string, Template>>;
  readonly headers: Readonly<Record<string, Template>>;
  readonly body: Template | null;
  /** Variable name -> query on the decoded reply. */
  readonly extract: ReadonlyMap<string, Query>;
  readonly on_error: 'fail' | 'continue';
  /** Values of variables when the step fails and goes on, or when a singular path matches nothing. */
  readonly defaults: Readonly<Record<string, Json>>;
  /** Statuses that count as success; null: any 2xx. */
  readonly expect_status: readonly number[] | null;
  /** The step is skipped when this gives nothing, false, 0, or an empty text or list; null: it always runs. */
  readonly when: Template | null;
  readonly for_each: ForEach | null;
  readonly paginate: Pagination | null;
  /** null: the request is sent once. */
  readonly retry: Retry | null;
}

export interface Annotations {
  readonly read_only?: boolean | undefined;
  readonly destructive?: boolean | undefined;
  readonly idempotent?: boolean | undefined;
}

interface ToolBase {
  readonly name: string;
  /** null: visible to every tenant. */
  readonly tenant: string | null;
  readonly description: string;
  readonly input_schema: JsonObject;
  readonly tags: readonly string[];
  readonly category: string | null;
  readonly annotations: Annotations;
}

export interface WorkflowTool extends ToolBase {
  readonly kind: 'workflow';
  readonly output_schema: JsonObject | null;
  /** The problems of these arguments, each `pointer: message`; empty when they fit the input schema. */
  validate(args: unknown): string[];
  /** The problems of this output; empty when it fits the output schema. null: there is no such schema. */
  readonly validate_output: ((output: unknown) => string[]) | null;
  /** As written. */
  readonly steps: readonly Step[];
  /** The same steps in the same order; those of one stage run at the same time. */
  readonly stages: readonly (readonly Step[])[];
  /** null: the last reply is the output. */
  readonly output: Template | null;
  readonly timeout_ms: number;
}

export interface CliTool extends ToolBase {
  readonly kind: 'cli';
  readonly image: string;
  readonly command: readonly string[];
  readonly allowed_subcommands: readonly string[];
}

/** A tool whose manifest is invalid or blocked: the name exists, calls answer 4002. */
export interface UnavailableTool {
  readonly kind: 'unavailable';
  readonly name: string;
  readonly tenant: string | null;
  readonly reason: string;
}

export type Tool = WorkflowTool | CliTool | UnavailableTool;

export interface RateLimit {
  readonly calls: number;
  readonly per_seconds: number;
}

export interface DenyRule {
  /** As written in the manifest. */
  readonly text: string;
  readonly tool: Matcher;
  /** Matched against path, command or subcommand; null: the tool alone decides. */
  readonly value: Matcher | null;
}

export interface Capability {
  /** Position in the manifest's list, from 0. */
  readonly index: number;
  readonly tool_pattern: string;
  readonly tool: Matcher;
  /** A present list constrains; null does not. */
  readonly path_allowlist: readonly Matcher[] | null;
  readonly command_allowlist: readonly Matcher[] | null;
  readonly subcommand_allowlist: readonly Matcher[] | null;
  readonly domain_allowlist: readonly Matcher[] | null;
  /** True when the arguments fit the capability's JSON Schema; null: no such constraint. */
  readonly arguments: ((args: unknown) => boolean) | null;
  readonly rate_limit: RateLimit | null;
  /** Bytes of the result as JSON. */
  readonly max_response_size: number | null;
  readonly allow_human_delegated: boolean;
  /** Names of top-level arguments (dotted for nested ones) that hold paths. */
  readonly path_arguments: readonly string[];
  /** The same for URLs or host names. */
  readonly url_arguments: readonly string[];
}

export interface SecurityContext {
  readonly name: string;
  readonly tenant: string | null;
  readonly deny: readonly DenyRule[];
  readonly capabilities: readonly Capability[];
  /** Record the arguments in clear, after redaction; else digest and size alone. */
  readonly audit_arguments: boolean;
}

/** An Ed25519 public key that may sign envelopes; checked strictly when it was loaded. */
export interface EnvelopeKey {
  readonly kid: string | null;
  readonly key: KeyObject;
}

/** The keys that sign an issuer's tokens: local ones, or a remote set with a bounded cache. */
export interface TokenKeys {
  /** Candidate keys for this header, best first, four at most. Rejects when a remote set cannot be had. */
  candidates(header: {
    readonly alg: string;
    readonly kid?: string | undefined;
  }): Promise<readonly KeyObject[]>;
}

export interface Issuer {
  readonly name: string;
  /** A tenant's issuer makes tokens of that tenant only. */
  readonly tenant: string | null;
  readonly issuer: string;
  readonly audience: readonly string[];
  /** JOSE names; `EdDSA` and `Ed25519` always come together. */
  readonly algorithms: readonly string[];
  readonly keys: TokenKeys;
  readonly envelope_keys: readonly EnvelopeKey[];
  readonly replay: 'token' | 'envelope';
  readonly default_security_context: string | null;
  /** null: any tenant. */
  readonly allowed_tenants: readonly string[] | null;
  /** null: any context. */
  readonly allowed_security_contexts: readonly Matcher[] | null;
  readonly max_token_ttl_seconds: number;
}

export interface Tenant {
  readonly name: string;
  readonly display_name: string;
  readonly suspended: boolean;
  readonly rate_limit: RateLimit | null;
  readonly max_concurrency: number | null;
  readonly allowed_security_contexts: readonly Matcher[] | null;
}

export interface Snapshot {
  /** The git commit or `sha256:` tree digest that this snapshot was built from. */
  readonly revision: string;
  /** Counts swaps since the process started, from 1. */
  readonly generation: number;
  /** By the `iss` claim. */
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly tenants: ReadonlyMap<string, Tenant>;
  /** By {@link scoped}. */
  readonly contexts: ReadonlyMap<string, SecurityContext>;
  /** By {@link scoped}. */
  readonly tools: ReadonlyMap<string, Tool>;
}

/** The key of a tenant's (or, with null, a global) resource. A tenant's name holds no slash. */
export function scoped(tenant: string | null, name: string): string {
  return `${tenant ?? ''}/${name}`;
}

/** The resource that a tenant sees under this name: its own, else the global one. */
export function visible<T>(map: ReadonlyMap<string, T>, tenant: string | null, name: string): T | undefined {
  return (tenant === null ? undefined : map.get(scoped(tenant, name))) ?? map.get(scoped(null, name));
}
