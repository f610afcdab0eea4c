/** Small valid manifests as their authors write them, one a kind. */

const head = (kind: string, name: string, tenant?: string): string =>
  `apiVersion: seal.gateway/v1\nkind: ${kind}\nmetadata: {name: ${name}${tenant === undefined ? '' : `, tenant: ${tenant}`}}\n`;

export const OPENAPI = `openapi: 3.0.3
info: {title: Small, version: "1"}
servers: [{url: "http://127.0.0.1:9001"}]
paths:
  /things/{id}:
    get:
      operationId: getThing
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: The thing.}}
`;

export function apiSpec(name = 'crm', file = './crm.openapi.yaml', tenant?: string): string {
  return `${head('ApiSpec', name, tenant)}spec: {source: {file: ${file}}, timeout_ms: 1000, egress: {allow_private: true}}\n`;
}

/** Of one step; `description` is what tells two versions apart. */
export function workflow(name: string, description = 'Get a thing.', tenant?: string, api = 'crm'): string {
  return `${head('ToolWorkflow', name, tenant)}spec:
  description: ${description}
  api_spec: ${api}
  input_schema: {type: object, properties: {id: {type: string}}}
  steps:
    - name: get
      operation_id: getThing
      path_params: {id: "{{input.id}}"}
`;
}

export function cliTool(name: string, tenant?: string, judge?: string): string {
  const spec = `description: Look., image: "example/tool:1", command: [tool], allowed_subcommands: [get]`;
  return `${head('CliTool', name, tenant)}spec: {${spec}${judge === undefined ? '' : `, require_semantic_judge: true, semantic_judge: ${judge}`}}\n`;
}

export function context(name: string, pattern = '*', tenant?: string): string {
  return `${head('SecurityContext', name, tenant)}spec: {capabilities: [{tool_pattern: "${pattern}"}]}\n`;
}

export function tenant(name: string, display_name = 'Somebody'): string {
  return `${head('Tenant', name)}spec: {display_name: ${display_name}}\n`;
}

export function judge(name: string): string {
  return `${head('SemanticJudge', name)}spec: {url: "http://127.0.0.1:9005/judge"}\n`;
}

/** The public key of RFC 8032, 7.1, test 1. */
export const PUBLIC_KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';

export function issuer(name: string, iss = `https://${name}.example`, tenant?: string): string {
  return `${head('TokenIssuer', name, tenant)}spec:
  issuer: ${iss}
  audience: seal-gateway
  algorithms: [EdDSA]
  jwks: {inline: {keys: [{kty: OKP, crv: Ed25519, kid: t1, x: ${PUBLIC_KEY}}]}}
`;
}

/** The documents of one file. */
export function documents(...texts: readonly string[]): string {
  return texts.join('---\n');
}
