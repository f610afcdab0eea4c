/** The directory that the gateway of a run serves: one workflow of one step, and what it takes to call it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIENCE, CONTEXT, ISSUER, type Key, TOOL } from './envelopes.ts';

export interface GatewaySetup {
  /** URL of the database; a SQLite file below `dir` unless told. */
  readonly database?: string;
  /** What a call counts against; its capability's limit unless told. */
  readonly limits?: 'none' | 'capability' | 'capability and tenant';
}

/** The tenant whose limit calls count against, where the set-up says so. */
export const TENANT = 'bench';

/** Writes gateway.yaml and gateway.d below `dir`. */
export function writeGateway(
  dir: string,
  upstream: string,
  issuer: Key,
  agent: Key,
  setup: GatewaySetup = {},
): void {
  mkdirSync(join(dir, 'gateway.d'));
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  writeFileSync(join(dir, 'gateway.yaml'), processConfiguration(dir, setup.database));
  writeFileSync(
    join(dir, 'gateway.d/bench.yaml'),
    manifests(upstream, issuer, agent, setup.limits ?? 'capability'),
  );
}

function processConfiguration(dir: string, database?: string): string {
  return `apiVersion: seal.gateway/v1
kind: GatewayConfig
spec:
  manifests: {dir: ${join(dir, 'gateway.d')}}
  network: {bind_addr: "127.0.0.1:0", control_bind_addr: "127.0.0.1:0", metrics_bind_addr: "127.0.0.1:0"}
  database: {url: "${database ?? `sqlite://${join(dir, 'data', 'gateway.db')}`}"}
  log: {level: warn}
`;
}

function manifests(
  upstream: string,
  issuer: Key,
  agent: Key,
  limits: NonNullable<GatewaySetup['limits']>,
): string {
  const limit = 'rate_limit: {calls: 1000000, per_seconds: 60}';
  return `apiVersion: seal.gateway/v1
kind: TokenIssuer
metadata: {name: bench}
spec:
  issuer: ${ISSUER}
  audience: ${AUDIENCE}
  algorithms: [EdDSA]
  jwks: {inline: {keys: [${JSON.stringify({ ...issuer.public_jwk, kid: 'bench-issuer' })}]}}
  envelope_keys: {inline: {keys: [${JSON.stringify({ ...agent.public_jwk, kid: 'bench-agent' })}]}}
  replay: token
  allowed_security_contexts: ["bench*"]
---
apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: ${CONTEXT}}
spec:
  description: Find customers.
  deny_list: ["*.delete"]
  capabilities:
    - tool_pattern: "customer.*"
      ${limits === 'none' ? '' : limit}
      max_response_size: 65536
---
apiVersion: seal.gateway/v1
kind: Tenant
metadata: {name: ${TENANT}}
spec:
  display_name: Bench
  ${limits === 'capability and tenant' ? limit : ''}
---
apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: crm}
spec:
  source:
    inline:
      openapi: 3.0.3
      info: {title: CRM, version: "1"}
      paths:
        /customers:
          get:
            operationId: searchCustomers
            parameters: [{name: email, in: query, required: true, schema: {type: string}}]
            responses: {"200": {description: Found.}}
  base_url: ${upstream}
  egress: {allow_private: true}
---
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: ${TOOL}}
spec:
  description: The customer with this e-mail address.
  api_spec: crm
  annotations: {read_only: true}
  input_schema:
    type: object
    required: [email]
    additionalProperties: false
    properties: {email: {type: string, format: email}}
  steps:
    - name: find
      operation_id: searchCustomers
      query: {email: "{{input.email}}"}
      extract: {name: "$.data[0].name"}
  output: {customer: "{{steps.find.name}}"}
`;
}
