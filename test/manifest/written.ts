/** A full manifest of each kind: every field that its schema has, forms of which one excludes the other apart. */
import { parse } from 'yaml';
import type { Kind } from '../../src/manifest/kind.ts';

const TEXT: Readonly<Record<Kind, string>> = {
  ApiSpec: `
spec:
  source: {file: ./crm.openapi.yaml}
  base_url: https://crm.example/v1
  credential: {system_jit: {engine_path: kubernetes/prod, role: reader, field: token}}
  inject: {header: {name: X-Token, prefix: "Token "}}
  headers: {Accept: application/json}
  timeout_ms: 5000
  max_response_bytes: 1000
  retry: {attempts: 2, backoff_ms: 100, statuses: [503], methods: [GET]}
  egress: {allow_private: true, allow_hosts: [crm.example]}
  explorer: {operations: ["list*"], methods: [GET]}
  allow_slash: ["get*"]
`,
  ToolWorkflow: `
spec:
  description: Find a customer.
  api_spec: crm
  input_schema: {type: object, properties: {email: {type: string}}}
  output_schema: {type: object}
  steps:
    - name: find
      operation_id: searchCustomers
      api_spec: crm
      path_params: {id: "{{input.email}}"}
      query: {q: 1}
      headers: {X-A: b}
      body: {a: 1}
      extract: {id: "$.id"}
      on_error: continue
      retry: {attempts: 2, backoff_ms: 100, statuses: [503], methods: [GET]}
      defaults: {id: null}
      expect_status: [200]
      when: true
      for_each: {in: "{{input.ids}}", as: one, concurrency: 2, max_items: 10}
      paginate: {next: "$.next", param: cursor, max_pages: 3, collect: "$.data"}
    - name: note
      method: POST
      path: /notes
      body_template: "{}"
  output: {id: "{{steps.find.id}}"}
  tags: [crm]
  category: crm
  annotations: {read_only: true, destructive: false, idempotent: true}
  timeout_ms: 1000
`,
  CliTool: `
spec:
  description: Look at the cluster.
  image: registry.example/kubectl:1.31
  pull_policy: always
  command: [kubectl]
  allowed_subcommands: [get, "rollout status"]
  args:
    flags: {get: {"--output": {type: string, pattern: "^j", enum: [json]}}}
    positionals: {pattern: "^[a-z]+$", max: 4}
    deny: ["--raw"]
    max_count: 10
  require_semantic_judge: true
  semantic_judge: house
  default_timeout_seconds: 30
  mounts: [{source: /srv/data, target: /data, read_only: true}]
  workdir: /data
  env: {LANG: C}
  credential: {static_ref: {key: k8s/prod, field: kubeconfig}}
  inject: {file: {path: /run/kubeconfig, field: kubeconfig}}
  registry_credential: {none: {}}
  network: cluster
  resources: {memory: 256Mi, cpus: 0.5, pids: 64}
  user: "1000:1000"
  max_output_bytes: 1000
  tags: [k8s]
  category: ops
  annotations: {read_only: true, destructive: false, idempotent: true}
`,
  SecurityContext: `
spec:
  description: Read customers.
  deny_list: ["*.delete"]
  capabilities:
    - tool_pattern: "customer.*"
      path_allowlist: [/srv]
      command_allowlist: [git]
      subcommand_allowlist: [get]
      domain_allowlist: [example.com]
      arguments: {type: object}
      rate_limit: {calls: 10, per_seconds: 60}
      max_response_size: 1000
      allow_human_delegated: false
      path_arguments: [path]
      url_arguments: [url]
  audit_arguments: false
`,
  SemanticJudge: `
spec:
  url: https://judge.example/judge
  protocol: openai_chat
  model: small
  instructions: Be strict.
  timeout_ms: 1000
  credential: {user_bound: {provider: github}}
`,
  Tenant: `
spec:
  display_name: Acme
  suspended: false
  rate_limit: {calls: 10, per_seconds: 60}
  max_concurrency: 5
  allowed_security_contexts: ["billing-*"]
  openbao_namespace: acme
`,
  TokenIssuer: `
spec:
  issuer: https://issuer.example
  audience: [seal-gateway]
  algorithms: [EdDSA]
  jwks:
    inline:
      keys: [{kty: OKP, crv: Ed25519, kid: t1, use: sig, alg: EdDSA, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]
  envelope_keys: {file: envelope.json}
  replay: envelope
  default_security_context: billing-read
  allowed_tenants: [acme]
  allowed_security_contexts: ["billing-*"]
  max_token_ttl_seconds: 3600
`,
};

/** The manifest of a kind, to be changed at will. */
export function written(kind: Kind): Record<string, unknown> {
  const labels = { labels: { team: 'a' }, annotations: { note: 'b' } };
  const metadata =
    kind === 'Tenant' ? { name: 'acme', ...labels } : { name: 'some.name', tenant: 'acme', ...labels };
  return { apiVersion: 'seal.gateway/v1', kind, metadata, ...parse(TEXT[kind]) };
}
