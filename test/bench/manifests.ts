/** A large directory of manifests as a company would have it: every workflow has a schema and templates of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Tools of one API, and one security context for them. */
const TOOLS_OF_AN_API = 98;

export interface WrittenFile {
  readonly path: string;
  readonly text: string;
}

/** `count` manifests, one a file; beside them an OpenAPI document for each hundred. */
export function manifestFiles(count: number): WrittenFile[] {
  const files: WrittenFile[] = [];
  const documents: WrittenFile[] = [];
  for (let api = 0; files.length < count; api += 1) {
    const name = `crm${api}`;
    documents.push({ path: `apis/${name}.openapi.json`, text: openApi(api) });
    files.push({ path: `apis/${name}.yaml`, text: apiSpec(name) });
    files.push({ path: `contexts/${name}.yaml`, text: context(name) });
    for (let tool = 0; tool < TOOLS_OF_AN_API; tool += 1) files.push(workflowFile(name, tool, 0));
  }
  return [...files.slice(0, count), ...documents];
}

/** A workflow as it is after so many edits. */
export function workflowFile(api: string, tool: number, edits: number): WrittenFile {
  return { path: `workflows/${api}/tool-${tool}.yaml`, text: workflow(api, tool, edits) };
}

export function writeFiles(root: string, files: readonly WrittenFile[]): void {
  for (const directory of new Set(files.map(({ path }) => dirname(path))))
    mkdirSync(join(root, directory), { recursive: true });
  for (const { path, text } of files) writeFileSync(join(root, path), text);
}

function workflow(api: string, tool: number, edits: number): string {
  return `# yaml-language-server: $schema=../../schemas/ToolWorkflow.schema.json
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata:
  name: ${api}.total_${tool}
  labels: {team: team-${tool % 7}}
spec:
  description: Total of the last invoices of a customer, by way ${tool} of finding it (edition ${edits}).
  api_spec: ${api}
  category: billing
  tags: [customers, invoices]
  annotations: {read_only: true}
  input_schema:
    type: object
    required: [email_${tool}]
    additionalProperties: false
    properties:
      email_${tool}: {type: string, format: email, description: "The e-mail address of ${api}'s customer."}
      limit: {type: integer, minimum: 1, maximum: ${tool + 10}}
      state: {type: string, enum: [open, paid, overdue]}
  steps:
    - name: find
      operation_id: searchCustomers
      query: {email: "{{input.email_${tool}}}"}
      extract: {id: "$.data[0].id", name: "$.data[0].name"}
    - name: invoices
      operation_id: listInvoices
      path_params: {customer_id: "{{steps.find.id}}"}
      query: {limit: "{{default input.limit ${tool + 1}}}"}
      extract: {amounts: "$.data[*].amount"}
  output:
    customer: "{{steps.find.name}}"
    invoices: "{{count steps.invoices.amounts}}"
    total: "{{sum steps.invoices.amounts}}"
`;
}

function apiSpec(name: string): string {
  return `apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: ${name}}
spec:
  source: {file: ./${name}.openapi.json}
  base_url: http://127.0.0.1:9
  egress: {allow_private: true}
  timeout_ms: 5000
`;
}

function context(name: string): string {
  return `apiVersion: seal.gateway/v1
kind: SecurityContext
metadata: {name: ${name}-read}
spec:
  description: Read customers and invoices of ${name}.
  deny_list: ["*.delete"]
  capabilities:
    - tool_pattern: "${name}.*"
      rate_limit: {calls: 100, per_seconds: 60}
      max_response_size: 65536
`;
}

function openApi(api: number): string {
  const text = { schema: { type: 'string' } };
  const responses = { 200: { description: 'Found.' } };
  return JSON.stringify({
    openapi: '3.0.3',
    info: { title: `CRM ${api}`, version: '1' },
    paths: {
      '/customers': {
        get: {
          operationId: 'searchCustomers',
          parameters: [{ name: 'email', in: 'query', required: true, ...text }],
          responses,
        },
      },
      '/customers/{customer_id}/invoices': {
        get: {
          operationId: 'listInvoices',
          parameters: [
            { name: 'customer_id', in: 'path', required: true, ...text },
            { name: 'limit', in: 'query', schema: { type: 'integer' } },
          ],
          responses,
        },
      },
    },
  });
}
