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
  /** Whose values it is made of: the caller's alone, or also an upstream's or the manifest's. */
  readonly blame: Blame;
}

/** Who is to blame for a value that cannot be used. */
export type Blame = 'INVALID_ARGUMENTS' | 'UPSTREAM_FAILED';

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
  /** All matched values, in order; `allowance` is what is left for it. Throws GatewayError when a limit is passed. */
  select(value: unknown, allowance?: Allowance): unknown[];
}

/** Of the elements of a list. */
export interface ListQuery extends Query {
  /** Whether the place where the list should be is not in the value at all: an empty list and null are there. */
  isAbsent(value: unknown): boolean;
}

/** Nodes that several queries of one caller may visit together. */
export interface Allowance {
  visits: number;
}

/** Where a credential comes from (one of); the value itself is never in a snapshot. */
export type CredentialRef =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'static_ref';
      readonly key: string;
      readonly field?: string | undefined;
      readonly cache_seconds?: number | undefined;
    }
  | {
      readonly kind: 'system_jit';
      readonly engine_path: string;
      readonly role: string;
      readonly field?: string | undefined;
      /** Absent: the engine takes a GET. */
      readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
    }
  | {
      readonly kind: 'human_delegated';
      readonly target_service: string;
      readonly scope?: string | undefined;
    }
  | { readonly kind: 'auto'; readonly system_jit: CredentialRef; readonly human_delegated: CredentialRef }
  | { readonly kind: 'user_bound'; readonly provider: string; readonly field?: string | undefined };

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
    /** The credential may go over plain HTTP to another machine. */
    readonly plain_http_credentials?: boolean;
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
  readonly collect: ListQuery;
  /** A first page without the list is an empty one. */
  readonly allow_absent: boolean;
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
  /** A call may carry `fields`, and gets the slices of the output that they name; absent: it may not. */
  readonly allow_fields?: boolean;
}

/** The name of the explorer among the tools. */
export const EXPLORE = 'api.explore';

/** The explorer: any operation of the ApiSpecs that let it, as one tool. */
export interface ExplorerTool extends ToolBase {
  readonly kind: 'explorer';
  readonly name: typeof EXPLORE;
  /** The problems of these arguments, each `pointer: message`; empty when they fit the input schema. */
  validate(args: unknown): string[];
  /** Every ApiSpec, by {@link scoped}; one that has no version in force says why. */
  readonly apis: ReadonlyMap<string, ExploredApi | UnavailableApi>;
  /** What of `among` a mistyped name most likely means. */
  suggest(name: string, among: Iterable<string>): string | null;
}

/** What the explorer may know of one ApiSpec. */
export interface ExploredApi {
  readonly kind: 'explored';
  readonly api: Api;
  /** By id; as a caller fills them: without the parameters that the gateway sets itself. */
  readonly operations: ReadonlyMap<string, Operation>;
  /** What keeps an operation from being explored; null: nothing of the ApiSpec does. */
  limit(operation: Operation): ExploreLimit | null;
  /** Whether a header, in any case, is set by the ApiSpec or its credential, and no caller's. */
  readonly fixes: (header: string) => boolean;
}

export interface ExploreLimit {
  /** A field of the ApiSpec's `explorer`; `server`: the document sends the operation to another one. */
  readonly field: 'operations' | 'methods' | 'server';
  readonly reason: string;
}

export interface UnavailableApi {
  readonly kind: 'unavailable';
  readonly tenant: string | null;
  readonly reason: string;
}

/** What a flag of a CLI tool may be given. */
export interface FlagRule {
  /** A boolean flag takes no value. The values of `path` flags are the paths that policy sees. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'path';
  /** On the whole value; null: none is written. */
  readonly pattern: WordPattern | null;
  readonly enum: readonly string[] | null;
}

/** A regular expression of a manifest. */
export interface WordPattern {
  readonly text: string;
  /** Whether the whole word matches. */
  readonly fits: Matcher;
}

/** What may follow the subcommand of a CLI tool. */
export interface CliArguments {
  /** By subcommand, then by full name. */
  readonly flags: ReadonlyMap<string, ReadonlyMap<string, FlagRule>>;
  /** Words that are no flags; null: none are allowed. */
  readonly positionals: {
    readonly pattern: WordPattern;
    readonly type: 'string' | 'path';
    readonly max: number;
  } | null;
  /** Words that are refused wherever they stand. */
  readonly deny: readonly { readonly text: string; readonly matches: Matcher }[];
  /** Words at most, flags and all. */
  readonly max_count: number;
}

/** How a credential is put into a container (one of). */
export type CliInject =
  | { readonly kind: 'env'; readonly fields: Readonly<Record<string, string>> }
  | { readonly kind: 'file'; readonly path: string; readonly field?: string | undefined }
  | { readonly kind: 'stdin'; readonly field?: string | undefined };

/** An endpoint that judges calls, from one SemanticJudge. */
export interface Judge {
  readonly name: string;
  readonly url: URL;
  readonly protocol: 'http_json' | 'openai_chat';
  readonly model: string | null;
  readonly instructions: string | null;
  readonly timeout_ms: number;
  readonly credential: CredentialRef;
}

export interface CliTool extends ToolBase {
  readonly kind: 'cli';
  readonly image: string;
  readonly pull_policy: 'always' | 'if_not_present' | 'never';
  readonly prepull: boolean;
  readonly registry_credential: CredentialRef;
  /** argv before the subcommand. */
  readonly command: readonly string[];
  readonly allowed_subcommands: readonly string[];
  readonly arguments: CliArguments;
  /** Whether a call may bring standard input. */
  readonly stdin: boolean;
  readonly require_judge: boolean;
  /** null: the one of the process configuration. */
  readonly judge: Judge | null;
  readonly timeout_ms: number;
  readonly mounts: readonly {
    readonly source: string;
    readonly target: string;
    readonly read_only: boolean;
  }[];
  /** null: as the image says. */
  readonly workdir: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly credential: CredentialRef;
  /** null: there is no credential. */
  readonly inject: CliInject | null;
  /** null: no network. */
  readonly network: string | null;
  readonly resources: {
    readonly memory_bytes: number;
    readonly cpus: number;
    readonly pids: number;
    readonly open_files: number;
  };
  /** `uid` or `uid:gid`. */
  readonly user: string;
  /** null: the engine's own. */
  readonly runtime: string | null;
  /** Of each stream. */
  readonly max_output_bytes: number;
  /** Containers that wait for calls. */
  readonly prewarm: number;
  /** What they run until then. */
  readonly prewarm_idle: readonly string[];
}

/** A tool whose manifest is invalid or blocked: the name exists, calls answer 4002. */
export interface UnavailableTool {
  readonly kind: 'unavailable';
  readonly name: string;
  readonly tenant: string | null;
  readonly reason: string;
}

/** What a manifest makes. */
export type Tool = WorkflowTool | CliTool | UnavailableTool;
/** What a name may stand for. */
export type AnyTool = Tool | ExplorerTool;

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
  /** Its tokens are good within a session alone: those of the gateway itself. */
  readonly sessions_only: boolean;
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
  /** Absent: made from its name (`credentials/openbao-path.ts`). */
  readonly openbao_namespace?: string | undefined;
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
  /** Those of manifests, by {@link scoped}. */
  readonly tools: ReadonlyMap<string, Tool>;
  /** The tool that no manifest makes; absent: there is no ApiSpec. */
  readonly explorer?: ExplorerTool;
}

/** The key of a tenant's (or, with null, a global) resource. A tenant's name holds no slash. */
export function scoped(tenant: string | null, name: string): string {
  return `${tenant ?? ''}/${name}`;
}

/** The resource that a tenant sees under this name: its own, else the global one. */
export function visible<T>(map: ReadonlyMap<string, T>, tenant: string | null, name: string): T | undefined {
  return (tenant === null ? undefined : map.get(scoped(tenant, name))) ?? map.get(scoped(null, name));
}

/** The tool that callers of a tenant mean by this name. */
export function toolNamed(snapshot: Snapshot, tenant: string | null, name: string): AnyTool | undefined {
  return name === EXPLORE ? snapshot.explorer : visible(snapshot.tools, tenant, name);
}
