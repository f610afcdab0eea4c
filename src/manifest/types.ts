/* Made from schemas/ by `node src/manifest/generate.ts types`; do not edit. */
/* eslint-disable */

export type AnyManifest =
  | ApiSpecManifest
  | CliToolManifest
  | SecurityContextManifest
  | SemanticJudgeManifest
  | TenantManifest
  | TokenIssuerManifest
  | ToolWorkflowManifest;

/**
 * An upstream REST API: its OpenAPI document, where it is, and how the gateway may call it. Workflows and the explorer name it.
 */
export interface ApiSpecManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'ApiSpec';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name, unique for the kind and tenant.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: ApiSpecSpec;
}
/**
 * What this ApiSpec is.
 */
export interface ApiSpecSpec {
  source: Source;
  /**
   * URL that the operations' paths are appended to. Absent: the first server of the document.
   */
  base_url?: string;
  credential?: Credential;
  inject?: Inject;
  /**
   * Headers of every request. Never a credential: that is what `credential` and `inject` are for. Not those that the gateway or the connection sets: Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, Trailer, Upgrade, Expect, Accept-Encoding, User-Agent, and where the credential goes.
   */
  headers?: {
    [k: string]: string;
  };
  /**
   * Milliseconds that one request may take, its reply included.
   */
  timeout_ms?: number;
  /**
   * Limit on the bytes of a reply, after decompression.
   */
  max_response_bytes?: number;
  retry?: Retry;
  /**
   * Which addresses the API may have beside public ones.
   */
  egress?: {
    /**
     * Loopback, private and carrier-grade NAT addresses may be called.
     */
    allow_private?: boolean;
    /**
     * Host names or addresses that may be called whatever their range.
     *
     * @maxItems 100
     */
    allow_hosts?: string[];
    /**
     * The credential may be sent over plain HTTP to a host that is not this machine: everybody on the way can read it.
     */
    plain_http_credentials?: boolean;
  };
  /**
   * Which operations the explorer (`api.explore`) may call, for callers whose security context allows them. Absent: all that read. `operations: []` allows none.
   */
  explorer?: {
    /**
     * Operation ids that may be explored, as patterns.
     *
     * @maxItems 1000
     */
    operations?: string[];
    /**
     * HTTP methods that may be explored.
     */
    methods?: ('GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS')[];
  };
  /**
   * Operations, as patterns, whose path values may hold `/`, which is sent as `%2F`. Elsewhere such a value is refused.
   *
   * @maxItems 1000
   */
  allow_slash?: string[];
}
/**
 * The OpenAPI 3.0 or 3.1 document: exactly one of `file`, `inline`, or `url` with `sha256`.
 */
export interface Source {
  /**
   * Path of the document relative to the manifest's own file; inside the directory, `.yaml`, `.yml` or `.json`.
   */
  file?: string;
  /**
   * The document itself, for small ones.
   */
  inline?: {
    [k: string]: unknown;
  };
  /**
   * Where the document is fetched from; only content with this `sha256` is taken.
   */
  url?: string;
  /**
   * SHA-256 of the document at `url`, in lower-case hex.
   */
  sha256?: string;
}
/**
 * Where the credential of every call comes from: exactly one form.
 */
export interface Credential {
  static_ref?: StaticRef;
  system_jit?: SystemJit;
  human_delegated?: HumanDelegated;
  /**
   * The user's own token when the call carries one, else a credential of the gateway.
   */
  auto?: {
    system_jit: SystemJit1;
    human_delegated: HumanDelegated1;
  };
  /**
   * A secret that a user has bound to this provider and granted to the calling agent or its context. Needs Postgres.
   */
  user_bound?: {
    /**
     * Provider of the user's stored binding.
     */
    provider: string;
    /**
     * Field of the secret that is the credential. Absent: the secret has one field, or the form of `inject` names the fields it wants.
     */
    field?: string;
  };
  /**
   * No credential.
   */
  none?: {};
}
/**
 * A secret that is kept in OpenBao.
 */
export interface StaticRef {
  /**
   * Path of the secret in the key-value engine of OpenBao, below the mount of the process configuration.
   */
  key: string;
  /**
   * Field of the secret that is the credential. Absent: the secret has one field, or the form of `inject` names the fields it wants.
   */
  field?: string;
  /**
   * Seconds that a value may be used again without asking. 0: every call asks, so that a changed secret counts at once.
   */
  cache_seconds?: number;
}
/**
 * A credential made by OpenBao for this call.
 */
export interface SystemJit {
  /**
   * Mount path of the OpenBao engine that makes credentials on demand.
   */
  engine_path: string;
  /**
   * Role of that engine.
   */
  role: string;
  /**
   * Field of the reply that is the credential. Absent: the reply has one field, or the form of `inject` names the fields it wants.
   */
  field?: string;
  /**
   * What the engine needs to be told, sent as the body of a POST. Absent: a GET, as most engines take it.
   */
  parameters?: {
    [k: string]: string | number | boolean;
  };
}
/**
 * The calling user's own token, exchanged for the target service.
 */
export interface HumanDelegated {
  /**
   * Audience that the token is exchanged for.
   */
  target_service: string;
  /**
   * OAuth scopes to ask for, separated by spaces.
   */
  scope?: string;
}
/**
 * Used when the call carries no user.
 */
export interface SystemJit1 {
  /**
   * Mount path of the OpenBao engine that makes credentials on demand.
   */
  engine_path: string;
  /**
   * Role of that engine.
   */
  role: string;
  /**
   * Field of the reply that is the credential. Absent: the reply has one field, or the form of `inject` names the fields it wants.
   */
  field?: string;
  /**
   * What the engine needs to be told, sent as the body of a POST. Absent: a GET, as most engines take it.
   */
  parameters?: {
    [k: string]: string | number | boolean;
  };
}
/**
 * Used when the call carries a user token.
 */
export interface HumanDelegated1 {
  /**
   * Audience that the token is exchanged for.
   */
  target_service: string;
  /**
   * OAuth scopes to ask for, separated by spaces.
   */
  scope?: string;
}
/**
 * How the credential is put into the request: exactly one form.
 */
export interface Inject {
  /**
   * As `Authorization: Bearer`.
   */
  bearer?: {};
  /**
   * As `Authorization: Basic`, from two fields of the secret.
   */
  basic?: {
    /**
     * Field of the secret that is the user name.
     */
    username_field?: string;
    /**
     * Field of the secret that is the password.
     */
    password_field?: string;
  };
  /**
   * As a header of its own.
   */
  header?: {
    /**
     * Name of the header.
     */
    name: string;
    /**
     * Text before the credential, with its space.
     */
    prefix?: string;
  };
  /**
   * As a query parameter. Prefer a header: URLs end up in logs.
   */
  query?: {
    /**
     * Name of the query parameter.
     */
    name: string;
  };
}
/**
 * When a request that failed is sent again. Absent: never. A step may have its own, which replaces this one as a whole.
 */
export interface Retry {
  /**
   * How often the request is sent in all, the first time included.
   */
  attempts?: number;
  /**
   * Milliseconds before the second attempt at most; doubled before each further one, up to 30000. The wait itself is a random part of it, and never less than the reply's `Retry-After`.
   */
  backoff_ms?: number;
  /**
   * HTTP statuses that are worth another attempt, beside connections that fail and requests that are not answered in time.
   *
   * @minItems 1
   */
  statuses?: number[];
  /**
   * HTTP methods that are sent again. A request without a good reply may have been done all the same, so list POST or PATCH only where doing it twice does no harm.
   *
   * @minItems 1
   */
  methods?: ('GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS')[];
}
/**
 * A command line program that runs in a container of its own for each call.
 */
export interface CliToolManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'CliTool';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name of the tool. Workflows and CLI tools share one namespace; `api.explore` is reserved.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: CliToolSpec;
}
/**
 * What this CliTool is.
 */
export interface CliToolSpec {
  /**
   * What the tool does, for the model that chooses it.
   */
  description: string;
  /**
   * Container image, by tag or better by digest.
   */
  image: string;
  /**
   * When the image is pulled.
   */
  pull_policy?: 'always' | 'if_not_present' | 'never';
  /**
   * The image is pulled when the manifest is applied, not by the first call.
   */
  prepull?: boolean;
  /**
   * Words before the subcommand: the program and what it always gets.
   *
   * @minItems 1
   * @maxItems 50
   */
  command: string[];
  /**
   * The subcommands that may be called, each as its whole path of words.
   *
   * @minItems 1
   * @maxItems 500
   */
  allowed_subcommands: string[];
  /**
   * What may follow the subcommand. Absent: nothing.
   */
  args?: {
    /**
     * Subcommand -> its flags. A flag that is not here is refused.
     */
    flags?: {
      /**
       * Flag -> what it may be given.
       */
      [k: string]: {
        [k: string]: Flag;
      };
    };
    /**
     * Words after the subcommand that are no flags. Absent: none are allowed.
     */
    positionals?: {
      /**
       * Regular expression that each whole word must match. A word that begins with `-` never does.
       */
      pattern: string;
      /**
       * How many there may be.
       */
      max?: number;
      /**
       * `path`: these words are paths, held against `path_allowlist` and `deny_list`.
       */
      type?: 'string' | 'path';
    };
    /**
     * Patterns of words that are refused wherever they stand.
     *
     * @maxItems 500
     */
    deny?: string[];
    /**
     * Words after the subcommand at most, flags and all.
     */
    max_count?: number;
  };
  /**
   * A call may bring text for standard input. Else the command reads an empty one.
   */
  stdin?: boolean;
  /**
   * Every call is judged before it runs; without a judgement it does not run.
   */
  require_semantic_judge?: boolean;
  /**
   * SemanticJudge that is asked. Absent: the one of `cli.semantic_judge_url` of the process configuration.
   */
  semantic_judge?: string;
  /**
   * Seconds until the command is killed.
   */
  default_timeout_seconds?: number;
  /**
   * What of the host the command sees.
   *
   * @maxItems 50
   *
   * Items: One mount.
   */
  mounts?: {
    /**
     * Directory or file of the host, below one of `cli.mount_roots` of the process configuration.
     */
    source: string;
    /**
     * Where it appears in the container.
     */
    target: string;
    /**
     * The command may not write to it.
     */
    read_only?: boolean;
  }[];
  /**
   * Working directory in the container. Absent: as the image says.
   */
  workdir?: string;
  /**
   * Environment beside the gateway's own clean one. Never a credential.
   */
  env?: {
    [k: string]: string;
  };
  credential?: Credential1;
  inject?: CliInject;
  registry_credential?: Credential2;
  /**
   * `none`, or the name of a network listed under `cli.networks` of the process configuration.
   */
  network?: string;
  /**
   * What the container may use.
   */
  resources?: {
    /**
     * Memory, swap included.
     */
    memory?: string;
    /**
     * CPUs, in parts if wanted.
     */
    cpus?: number;
    /**
     * Processes and threads at once.
     */
    pids?: number;
    /**
     * Files and sockets that one process may have open.
     */
    open_files?: number;
  };
  /**
   * Numeric user and group.
   */
  user?: string;
  /**
   * Runtime of the engine that the container must run with, such as a stronger sandbox. One that the engine does not use fails the call. Absent: the engine's own.
   */
  runtime?: string;
  /**
   * Bytes of standard output and of standard error that are kept, each; the rest is counted and dropped.
   */
  max_output_bytes?: number;
  /**
   * Containers that are started ahead of calls and wait; each serves one call and is destroyed. They hold memory while they wait. Not for a credential that is injected as a file.
   */
  prewarm?: number;
  /**
   * What a container runs while it waits: a program of the image that does not end by itself.
   *
   * @minItems 1
   * @maxItems 50
   */
  prewarm_idle?: string[];
  /**
   * Words to find the tool by.
   *
   * @maxItems 50
   */
  tags?: string[];
  /**
   * One heading to list the tool under.
   */
  category?: string;
  /**
   * Hints for clients, as MCP tool annotations; policy does not read them.
   */
  annotations?: {
    /**
     * The tool changes nothing.
     */
    read_only?: boolean;
    /**
     * The tool may delete or overwrite.
     */
    destructive?: boolean;
    /**
     * Calling it twice with the same arguments is like calling it once.
     */
    idempotent?: boolean;
  };
}
/**
 * What a flag may be given.
 */
export interface Flag {
  /**
   * Type of the value; a boolean flag takes none and is given or not. The value of a `path` flag is held against `path_allowlist` and `deny_list`.
   */
  type?: 'string' | 'integer' | 'number' | 'boolean' | 'path';
  /**
   * Regular expression that the whole value must match.
   */
  pattern?: string;
  /**
   * The values that are allowed.
   *
   * @minItems 1
   */
  enum?: (string | number | boolean)[];
}
/**
 * Where the credential of the command comes from: exactly one form.
 */
export interface Credential1 {
  static_ref?: StaticRef;
  system_jit?: SystemJit;
  human_delegated?: HumanDelegated;
  /**
   * The user's own token when the call carries one, else a credential of the gateway.
   */
  auto?: {
    system_jit: SystemJit1;
    human_delegated: HumanDelegated1;
  };
  /**
   * A secret that a user has bound to this provider and granted to the calling agent or its context. Needs Postgres.
   */
  user_bound?: {
    /**
     * Provider of the user's stored binding.
     */
    provider: string;
    /**
     * Field of the secret that is the credential. Absent: the secret has one field, or the form of `inject` names the fields it wants.
     */
    field?: string;
  };
  /**
   * No credential.
   */
  none?: {};
}
/**
 * How the credential is put into the container: exactly one form.
 */
export interface CliInject {
  /**
   * Environment variable -> field of the secret.
   */
  env?: {
    /**
     * Field of the secret.
     */
    [k: string]: string;
  };
  /**
   * As a file in memory, readable by the command alone. Prefer it to `env`: environments are easy to see.
   */
  file?: {
    /**
     * Where the command finds the file, in the container.
     */
    path: string;
    /**
     * Field of the secret that is the content of the file. Absent: the secret has one field.
     */
    field?: string;
  };
  /**
   * As the standard input of the command, which then ends.
   */
  stdin?: {
    /**
     * Field of the secret that is written. Absent: the secret has one field.
     */
    field?: string;
  };
}
/**
 * Credential that the image is pulled with: a secret with the fields `username` and `password`.
 */
export interface Credential2 {
  static_ref?: StaticRef;
  system_jit?: SystemJit;
  human_delegated?: HumanDelegated;
  /**
   * The user's own token when the call carries one, else a credential of the gateway.
   */
  auto?: {
    system_jit: SystemJit1;
    human_delegated: HumanDelegated1;
  };
  /**
   * A secret that a user has bound to this provider and granted to the calling agent or its context. Needs Postgres.
   */
  user_bound?: {
    /**
     * Provider of the user's stored binding.
     */
    provider: string;
    /**
     * Field of the secret that is the credential. Absent: the secret has one field, or the form of `inject` names the fields it wants.
     */
    field?: string;
  };
  /**
   * No credential.
   */
  none?: {};
}
/**
 * What the bearers of tokens of this context may call. The deny list comes first; then any capability that names the tool and whose constraints all pass allows; else the call is denied.
 */
export interface SecurityContextManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'SecurityContext';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name, unique for the kind and tenant.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: SecurityContextSpec;
}
/**
 * What this SecurityContext is.
 */
export interface SecurityContextSpec {
  /**
   * Whom the context is for and why.
   */
  description?: string;
  /**
   * Patterns of tools that are denied whatever the capabilities say; `tool_pattern:value_pattern` denies by path, command or subcommand.
   *
   * @maxItems 1000
   */
  deny_list?: string[];
  /**
   * The rights; none means no rights.
   *
   * @maxItems 1000
   */
  capabilities: Capability[];
  /**
   * Record the arguments of calls in clear, after redaction; else their digest and size alone.
   */
  audit_arguments?: boolean;
}
/**
 * One right: the tools that it names, under all of its constraints.
 */
export interface Capability {
  /**
   * Pattern of tool names: `*`, a name, or a name with `*` in it such as `customer.*`.
   */
  tool_pattern: string;
  /**
   * Patterns of paths; every path argument must match one. A present list constrains, an empty one allows nothing; an absent one does not constrain.
   *
   * @maxItems 1000
   */
  path_allowlist?: string[];
  /**
   * Patterns of commands. A present list constrains, an empty one allows nothing; an absent one does not constrain.
   *
   * @maxItems 1000
   */
  command_allowlist?: string[];
  /**
   * Patterns of subcommands, each the whole path of words. A present list constrains, an empty one allows nothing; an absent one does not constrain.
   *
   * @maxItems 1000
   */
  subcommand_allowlist?: string[];
  /**
   * Host names, or `*.` and a host name; every URL argument must match one. A present list constrains, an empty one allows nothing; an absent one does not constrain.
   *
   * @maxItems 1000
   */
  domain_allowlist?: string[];
  /**
   * JSON Schema that the arguments must fit.
   */
  arguments?: {
    [k: string]: unknown;
  };
  rate_limit?: RateLimit;
  /**
   * Limit on the bytes of the result as JSON.
   */
  max_response_size?: number;
  /**
   * The call may use the calling user's own token (`credential.human_delegated`).
   */
  allow_human_delegated?: boolean;
  /**
   * Arguments that hold paths, nested ones dotted.
   *
   * @maxItems 100
   */
  path_arguments?: string[];
  /**
   * Arguments that hold URLs or host names, nested ones dotted.
   *
   * @maxItems 100
   */
  url_arguments?: string[];
}
/**
 * Calls that this capability allows, in a period.
 */
export interface RateLimit {
  /**
   * Calls allowed in the period.
   */
  calls: number;
  /**
   * Length of the period in seconds.
   */
  per_seconds: number;
}
/**
 * An endpoint that judges whether what a command is about to do is meant to be allowed.
 */
export interface SemanticJudgeManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'SemanticJudge';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name, unique for the kind and tenant.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: SemanticJudgeSpec;
}
/**
 * What this SemanticJudge is.
 */
export interface SemanticJudgeSpec {
  /**
   * Where the question is posted to.
   */
  url: string;
  /**
   * `http_json`: the call as JSON, the judgement as JSON. `openai_chat`: a chat completion.
   */
  protocol?: 'http_json' | 'openai_chat';
  /**
   * Model that is asked for; needed with `openai_chat`.
   */
  model?: string;
  /**
   * What the judge is told to hold calls to, beside the description of the tool.
   */
  instructions?: string;
  /**
   * Milliseconds that a judgement may take; none in time means rejected.
   */
  timeout_ms?: number;
  credential?: Credential3;
}
/**
 * Where the credential of the judge comes from, sent as a bearer token: exactly one form.
 */
export interface Credential3 {
  static_ref?: StaticRef;
  system_jit?: SystemJit;
  human_delegated?: HumanDelegated;
  /**
   * The user's own token when the call carries one, else a credential of the gateway.
   */
  auto?: {
    system_jit: SystemJit1;
    human_delegated: HumanDelegated1;
  };
  /**
   * A secret that a user has bound to this provider and granted to the calling agent or its context. Needs Postgres.
   */
  user_bound?: {
    /**
     * Provider of the user's stored binding.
     */
    provider: string;
    /**
     * Field of the secret that is the credential. Absent: the secret has one field, or the form of `inject` names the fields it wants.
     */
    field?: string;
  };
  /**
   * No credential.
   */
  none?: {};
}
/**
 * A tenant: a name that tokens, manifests and credentials are kept apart by. Always global; a token of a tenant that has no manifest grants nothing.
 */
export interface TenantManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'Tenant';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * The tenant's id, as in the `tenant_id` claim of tokens.
     */
    name: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: TenantSpec;
}
/**
 * What this Tenant is.
 */
export interface TenantSpec {
  /**
   * Name for people.
   */
  display_name: string;
  /**
   * Tokens of the tenant grant nothing.
   */
  suspended?: boolean;
  rate_limit?: RateLimit1;
  /**
   * Calls of the tenant in flight at once. Absent: no such limit.
   */
  max_concurrency?: number;
  /**
   * Patterns of the contexts that the tenant's tokens may name. Absent: any.
   *
   * @maxItems 1000
   */
  allowed_security_contexts?: string[];
  /**
   * OpenBao namespace of the tenant's secrets. Absent: made from its name as the process configuration says.
   */
  openbao_namespace?: string;
}
/**
 * Calls of the whole tenant, in a period. Absent: no such limit.
 */
export interface RateLimit1 {
  /**
   * Calls allowed in the period.
   */
  calls: number;
  /**
   * Length of the period in seconds.
   */
  per_seconds: number;
}
/**
 * Whose security tokens are believed, by which keys, and for what.
 */
export interface TokenIssuerManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'TokenIssuer';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name, unique for the kind and tenant.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: TokenIssuerSpec;
}
/**
 * What this TokenIssuer is.
 */
export interface TokenIssuerSpec {
  /**
   * The `iss` claim of its tokens.
   */
  issuer: string;
  /**
   * The `aud` claim that its tokens must have, or several of which one must be there.
   *
   * @minItems 1
   */
  audience: string | string[];
  /**
   * Signature algorithms that are believed. `EdDSA` and `Ed25519` are two names of one.
   *
   * @minItems 1
   */
  algorithms: ('EdDSA' | 'Ed25519' | 'RS256' | 'ES256')[];
  /**
   * The keys that sign its tokens: exactly one of `file`, `inline`, `url`.
   */
  jwks: {
    /**
     * Path of a JWKS relative to the manifest's own file; inside the directory, `.yaml`, `.yml` or `.json`.
     */
    file?: string;
    inline?: Jwks;
    /**
     * Where the key set is fetched from and kept fresh: over https, or over http from a loopback address.
     */
    url?: string;
  };
  /**
   * Ed25519 keys that sign envelopes which carry its tokens, for tokens that name no key of their own (`cnf`) and no session: exactly one of `file`, `inline`, `url`.
   */
  envelope_keys?: {
    /**
     * Path of a JWKS relative to the manifest's own file; inside the directory, `.yaml`, `.yml` or `.json`.
     */
    file?: string;
    inline?: EnvelopeJwks;
    /**
     * Where the key set is fetched from and kept fresh: over https, or over http from a loopback address.
     */
    url?: string;
  };
  /**
   * `token`: a token is good for one call. `envelope`: a token is good for many, each envelope for one.
   */
  replay?: 'token' | 'envelope';
  /**
   * SecurityContext of tokens that name none.
   */
  default_security_context?: string;
  /**
   * Tenants that its tokens may name. Absent: any.
   *
   * @maxItems 10000
   */
  allowed_tenants?: string[];
  /**
   * Patterns of the contexts that its tokens may name. Absent: any.
   *
   * @maxItems 1000
   */
  allowed_security_contexts?: string[];
  /**
   * Longest life of a token, from `iat` to `exp`; longer ones are refused.
   */
  max_token_ttl_seconds?: number;
}
/**
 * The key set itself.
 */
export interface Jwks {
  /**
   * The public keys.
   *
   * @minItems 1
   * @maxItems 100
   */
  keys: Jwk[];
  [k: string]: unknown;
}
/**
 * A public key (RFC 7517). Members that are not named here are ignored.
 */
export interface Jwk {
  /**
   * Key type. Symmetric keys (`oct`) are refused.
   */
  kty: 'OKP' | 'RSA' | 'EC';
  /**
   * Key id, matched with the token header's `kid`.
   */
  kid?: string;
  /**
   * Algorithm that the key is for.
   */
  alg?: string;
  /**
   * Use of the key.
   */
  use?: string;
  /**
   * Curve of an OKP or EC key.
   */
  crv?: string;
  /**
   * Public coordinate of an OKP or EC key, base64url.
   */
  x?: string;
  /**
   * Second coordinate of an EC key, base64url.
   */
  y?: string;
  /**
   * Modulus of an RSA key, base64url.
   */
  n?: string;
  /**
   * Exponent of an RSA key, base64url.
   */
  e?: string;
  [k: string]: unknown;
}
/**
 * The key set itself.
 */
export interface EnvelopeJwks {
  /**
   * The public keys.
   *
   * @minItems 1
   * @maxItems 100
   */
  keys: EnvelopeJwk[];
  [k: string]: unknown;
}
/**
 * An Ed25519 public key that may sign envelopes.
 */
export interface EnvelopeJwk {
  /**
   * Key type; envelopes are signed with Ed25519.
   */
  kty: 'OKP';
  /**
   * Key id, matched with the token header's `kid`.
   */
  kid?: string;
  /**
   * Algorithm that the key is for.
   */
  alg?: string;
  /**
   * Use of the key.
   */
  use?: string;
  /**
   * Curve.
   */
  crv: 'Ed25519';
  /**
   * The public key, 32 bytes as base64url.
   */
  x: string;
  /**
   * Second coordinate of an EC key, base64url.
   */
  y?: string;
  /**
   * Modulus of an RSA key, base64url.
   */
  n?: string;
  /**
   * Exponent of an RSA key, base64url.
   */
  e?: string;
  [k: string]: unknown;
}
/**
 * A tool made of HTTP requests: one call by the agent, one or more requests by the gateway, one audit trail.
 */
export interface ToolWorkflowManifest {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'seal.gateway/v1';
  /**
   * Kind of the manifest.
   */
  kind: 'ToolWorkflow';
  /**
   * What the manifest is called and to whom it belongs. Identity is kind, tenant and name; the file is not part of it.
   */
  metadata: {
    /**
     * Name of the tool. Workflows and CLI tools share one namespace; `api.explore` is reserved.
     */
    name: string;
    /**
     * The tenant that the manifest belongs to. Absent: below `tenants/<t>/` that tenant, elsewhere none, which makes it visible to every tenant.
     */
    tenant?: string;
    /**
     * Labels for people and programs; the gateway reads none.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Notes for people and programs.
     */
    annotations?: {
      [k: string]: string;
    };
  };
  spec: ToolWorkflowSpec;
}
/**
 * What this ToolWorkflow is.
 */
export interface ToolWorkflowSpec {
  /**
   * What the tool does, for the model that chooses it.
   */
  description: string;
  /**
   * ApiSpec of the steps that name none of their own.
   */
  api_spec?: string;
  /**
   * JSON Schema of the tool's arguments, enforced on every call.
   */
  input_schema?: {
    /**
     * Arguments are always an object.
     */
    type: 'object';
    [k: string]: unknown;
  };
  /**
   * JSON Schema of the result, told to clients and enforced: a result that does not fit fails the call.
   */
  output_schema?: {
    [k: string]: unknown;
  };
  /**
   * The requests, in order. Neighbours that only read (GET, HEAD) and do not refer to each other are sent at the same time; one that writes waits for all before it.
   *
   * @minItems 1
   * @maxItems 100
   */
  steps: Step[];
  /**
   * The result as structure, with templates as in `body`. Absent: the reply of the last step that succeeded.
   */
  output?: {
    [k: string]: unknown;
  };
  /**
   * Words to find the tool by.
   *
   * @maxItems 50
   */
  tags?: string[];
  /**
   * One heading to list the tool under.
   */
  category?: string;
  /**
   * Hints for clients, as MCP tool annotations; policy does not read them.
   */
  annotations?: {
    /**
     * The tool changes nothing.
     */
    read_only?: boolean;
    /**
     * The tool may delete or overwrite.
     */
    destructive?: boolean;
    /**
     * Calling it twice with the same arguments is like calling it once.
     */
    idempotent?: boolean;
  };
  /**
   * Milliseconds that the whole workflow may take.
   */
  timeout_ms?: number;
  /**
   * A call may carry `fields`, JSONPath expressions, and then gets only the slices of the result that they name.
   */
  allow_fields?: boolean;
}
/**
 * One HTTP request.
 */
export interface Step {
  /**
   * Name of the step; templates call its results `steps.<name>`.
   */
  name: string;
  /**
   * Operation of the API's document. Instead of `method` and `path`.
   */
  operation_id?: string;
  /**
   * HTTP method. With `path`, instead of `operation_id`.
   */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /**
   * Path below the API's base URL, with `{names}` for path parameters. With `method`.
   */
  path?: string;
  /**
   * ApiSpec of this step, when it is not the workflow's.
   */
  api_spec?: string;
  /**
   * Path parameters; each text is a template.
   */
  path_params?: {
    [k: string]: string | number | boolean;
  };
  /**
   * Query parameters; each text is a template. Lists repeat as the document says.
   */
  query?: {
    [k: string]: unknown;
  };
  /**
   * Request headers; each text is a template. Never a credential. Not those that the gateway or the connection sets: Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, Trailer, Upgrade, Expect, Accept-Encoding, User-Agent, and where the credential goes.
   */
  headers?: {
    [k: string]: string;
  };
  /**
   * Request body as structure: every text in it is a template, and a text that is one expression keeps its type. Not with `body_template`.
   */
  body?: {
    [k: string]: unknown;
  };
  /**
   * Request body as text that is parsed as JSON after rendering; values are escaped so that none can leave its string. Not with `body`.
   */
  body_template?: string;
  /**
   * Variable -> JSONPath on the reply. Templates call it `steps.<step>.<variable>`.
   */
  extract?: {
    [k: string]: string;
  };
  /**
   * Whether a step that failed ends the workflow, or leaves its `defaults` and goes on. What the caller got wrong always ends it.
   */
  on_error?: 'fail' | 'continue';
  retry?: Retry1;
  /**
   * Values of extracted variables when the step failed and the workflow goes on, when it was skipped, or when the reply lacks them.
   */
  defaults?: {
    [k: string]: unknown;
  };
  /**
   * HTTP statuses that count as success. Absent: 200 to 299.
   *
   * @minItems 1
   */
  expect_status?: number[];
  /**
   * Condition as a template: the step is skipped when it gives nothing, false, 0, or an empty text or list; any other text is true, `"false"` too. Its variables then have no value, save for `defaults`, and its `status` is 0. With `for_each` it is asked once.
   */
  when?: string | boolean;
  /**
   * Repeats the step for each element of a list; each variable, and `status`, then is a list in the order of the elements. With `on_error: continue` an element that failed has its `defaults`, else null; otherwise no further element is begun.
   */
  for_each?: {
    /**
     * List to repeat the step over: a template of one expression, or the list itself. What gives no list fails the step.
     */
    in: string | unknown[];
    /**
     * Name by which templates call the current element.
     */
    as?: string;
    /**
     * Elements at work at once. More than 1 gives up the order in which requests that write arrive.
     */
    concurrency?: number;
    /**
     * A longer list fails the step before anything is sent.
     */
    max_items?: number;
  };
  /**
   * Follows a list over its pages, with GET, below the API's base URL only. All pages together may have the ApiSpec's `max_response_bytes`.
   */
  paginate?: {
    /**
     * Where the next page is: `link` for the `Link` header's `rel="next"`; a JSONPath to its URL or, with `param`, to its token; or `page` for a page number, until a page is empty.
     */
    next: string;
    /**
     * Query parameter that the token or page number goes to. The first page has what `query` gives it; page numbers begin with that, or with 1.
     */
    param?: string;
    /**
     * Pages read at most. Where there are more, `steps.<name>.truncated` is true.
     */
    max_pages?: number;
    /**
     * JSONPath to the elements of a page. The elements of all pages, as one list, are what `extract` sees.
     */
    collect: string;
    /**
     * The API leaves an empty list out: a first page in which `collect` leads nowhere is empty. Else the step fails there.
     */
    allow_absent?: boolean;
  };
}
/**
 * When the step's request is sent again before it counts as failed. Absent: as the ApiSpec says. `attempts: 1`: never.
 */
export interface Retry1 {
  /**
   * How often the request is sent in all, the first time included.
   */
  attempts?: number;
  /**
   * Milliseconds before the second attempt at most; doubled before each further one, up to 30000. The wait itself is a random part of it, and never less than the reply's `Retry-After`.
   */
  backoff_ms?: number;
  /**
   * HTTP statuses that are worth another attempt, beside connections that fail and requests that are not answered in time.
   *
   * @minItems 1
   */
  statuses?: number[];
  /**
   * HTTP methods that are sent again. A request without a good reply may have been done all the same, so list POST or PATCH only where doing it twice does no harm.
   *
   * @minItems 1
   */
  methods?: ('GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS')[];
}
