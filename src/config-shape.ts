/** The process configuration as the program sees it; defaults and descriptions are in schemas/GatewayConfig.schema.json. */
import type { LogLevel } from './log.ts';

export interface Config {
  readonly manifests: { readonly dir: string };
  readonly network: {
    readonly bind_addr: string;
    readonly control_bind_addr: string;
    readonly metrics_bind_addr: string;
    /** Addresses and networks of proxies whose forwarded addresses are believed. */
    readonly trusted_proxies: readonly string[];
  };
  readonly tls: {
    readonly cert_file: string | null;
    readonly key_file: string | null;
    readonly client_ca_file: string | null;
  };
  readonly database: { readonly url: string };
  readonly audit: { readonly retention_days: number; readonly rejections_per_minute: number };
  /** Operators of the control listener. */
  readonly auth: {
    readonly development: boolean;
    /** Together with the issuer; null: there are no operators' tokens. */
    readonly operator_jwks_uri: string | null;
    readonly operator_jwt_issuer: string | null;
    readonly operator_jwt_audience: string;
    readonly operator_role_claim: string;
    readonly operator_roles: readonly string[];
    /** null: operators may not explore. */
    readonly operator_security_context: string | null;
  };
  readonly reconcile: {
    readonly watch: 'auto' | 'poll';
    readonly resync_seconds: number;
    readonly policy: 'keep-last-good' | 'atomic';
    readonly git: {
      readonly url: string;
      readonly ref: string;
      readonly path: string;
      /** Seconds. */
      readonly interval: number;
      readonly cache_dir: string;
    } | null;
    readonly verify: {
      readonly allowed_signers_file: string | null;
      readonly gnupg_home: string | null;
    } | null;
  };
  /** The gateway's own tokens. */
  readonly issuer: {
    /** One of the two; both null: it issues none. */
    readonly key_file: string | null;
    readonly transit: { readonly mount: string; readonly key: string } | null;
    readonly issuer: string;
    readonly audience: string;
    readonly token_ttl_seconds: number;
  };
  readonly attestation: { readonly verifiers: readonly VerifierConfig[] };
  readonly control: {
    /** Where writes become proposals; null: nowhere. */
    readonly git: {
      readonly repo: string;
      readonly base: string;
      readonly path: string;
      readonly branch_prefix: string;
      readonly cache_dir: string;
    } | null;
  };
  readonly cli: {
    /** null: the usual places are looked at ({@link containerHosts}). */
    readonly container_host: string | null;
    readonly mount_roots: readonly string[];
    readonly networks: readonly string[];
    readonly max_concurrency: number;
    readonly max_queue: number;
    readonly secrets_dir: string;
    readonly semantic_judge_url: string | null;
  };
  readonly credentials: {
    readonly openbao: {
      /** null: there is none. */
      readonly addr: string | null;
      readonly cluster_addrs: readonly string[];
      readonly namespace: string | null;
      /** Exactly one, where there is an address. */
      readonly auth: {
        readonly token: string | null;
        readonly approle: {
          readonly mount: string;
          readonly role_id: string;
          readonly secret_id?: string | null;
          readonly secret_id_file?: string | null;
        } | null;
        readonly kubernetes: {
          readonly mount: string;
          readonly role: string;
          readonly jwt_file: string;
        } | null;
        readonly jwt: { readonly mount: string; readonly role: string; readonly jwt_file: string } | null;
      };
      readonly kv_mount: string;
      readonly kv_version: 1 | 2;
      readonly tenancy: 'namespace' | 'path';
      readonly tenant_prefix: string;
      readonly timeout_ms: number;
      readonly ca_file: string | null;
      readonly cert_file: string | null;
      readonly key_file: string | null;
      readonly gates_readiness: boolean;
    };
    readonly token_exchange: {
      /** null: users' tokens are not exchanged. */
      readonly url: string | null;
      readonly client_id: string | null;
      readonly client_secret: string | null;
      readonly client_auth: 'basic' | 'post';
      readonly ca_file: string | null;
      readonly timeout_ms: number;
      /** All three or none. */
      readonly user_issuer: string | null;
      readonly user_audience: string | null;
      readonly user_jwks_uri: string | null;
      readonly user_tenant_claim: string;
    };
    readonly files: { readonly dir: string | null };
    readonly env: { readonly prefix: string | null };
    readonly user_bound: { readonly bind_url: string | null };
  };
  readonly limits: {
    readonly body_bytes: number;
    readonly header_timeout_ms: number;
    readonly call_timeout_ms: number;
    readonly max_in_flight: number;
    readonly drain_ms: number;
    readonly per_remote_address: {
      /** null: there is no limit. */
      readonly calls: number | null;
      readonly per_seconds: number;
    };
  };
  readonly log: { readonly level: LogLevel };
}

export type VerifierConfig = { readonly name: string } & (
  | { readonly type: 'enrollment_token'; readonly file: string }
  | {
      readonly type: 'oidc' | 'kubernetes';
      readonly issuer: string;
      readonly audience: string;
      readonly jwks_uri: string;
      readonly allow: readonly WorkloadRule[];
    }
  | {
      readonly type: 'container_label';
      readonly label: string;
      readonly container_file: string;
      readonly allow: readonly WorkloadRule[];
    }
);

interface WorkloadRule {
  readonly subject: string;
  readonly workload_ids?: readonly string[];
  readonly security_contexts: readonly string[];
  readonly tenant?: string;
}
