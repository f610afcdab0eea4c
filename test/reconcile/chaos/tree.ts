/** What the chaos test writes into a directory, as facts that a model can judge, and as the bytes of a file. */

export type Kind =
  | 'ApiSpec'
  | 'CliTool'
  | 'SecurityContext'
  | 'SemanticJudge'
  | 'Tenant'
  | 'TokenIssuer'
  | 'ToolWorkflow';

/** One manifest as somebody wrote it. */
export interface Doc {
  readonly kind: Kind;
  readonly name: string;
  /** What `metadata.tenant` says; null: nothing. */
  readonly tenant: string | null;
  /** Tells two versions of it apart. */
  readonly tag: string;
  /** `schema`: a field that the kind has not. `compile`: fits the schema, and cannot be compiled. */
  readonly fault: 'schema' | 'compile' | null;
  /** What a workflow or a CLI tool needs: an ApiSpec, or a SemanticJudge. */
  readonly needs: string | null;
  /** The operation that a workflow calls. */
  readonly operation: string;
  /** The OpenAPI document of an ApiSpec, beside its file. */
  readonly document: string;
  /** Of an issuer. */
  readonly iss: string;
  /** Of a tenant. */
  readonly suspended: boolean;
  /** The annotation that confirms a removal. */
  readonly allow_prune: string | null;
}

export type Entry =
  | { readonly is: 'manifests'; readonly docs: readonly Doc[] }
  /** An OpenAPI document; `operations` null: it cannot be read. */
  | { readonly is: 'document'; readonly tag: string; readonly operations: readonly string[] | null }
  /** Bytes of which nobody knows whose they are. `half`: the first lines of a manifest. */
  | { readonly is: 'garbage'; readonly bytes: 'syntax' | 'binary' | 'half' | 'foreign'; readonly tag: string }
  /** An entry that is refused, and with it all that is below it. */
  | { readonly is: 'refused'; readonly what: 'leads-out' | 'leads-nowhere' | 'pipe' }
  /** An empty directory of this name. */
  | { readonly is: 'directory' };

/** By path below the root. */
export type Tree = ReadonlyMap<string, Entry>;

export const OPERATIONS = ['getThing', 'getMore'];

export function doc(kind: Kind, name: string, more: Partial<Doc> = {}): Doc {
  return {
    ...{ kind, name, tenant: null, tag: 'v0', fault: null, needs: null, operation: 'getThing' },
    ...{ document: 'crm.openapi.yaml', iss: `https://${name}.example`, suspended: false, allow_prune: null },
    ...more,
  };
}

export function fileOf(...docs: readonly Doc[]): Entry {
  return { is: 'manifests', docs };
}

/** The content of a file; null: it is none. */
export function bytesOf(entry: Entry): Buffer | null {
  switch (entry.is) {
    case 'manifests':
      return Buffer.from(entry.docs.map((one) => `${textOf(one)}\n`).join('---\n'));
    case 'document':
      return Buffer.from(documentText(entry.tag, entry.operations));
    case 'garbage':
      return GARBAGE[entry.bytes](entry.tag);
    default:
      return null;
  }
}

const GARBAGE = {
  syntax: (tag: string) => Buffer.from(`# ${tag}\na: [\n`),
  binary: (tag: string) => Buffer.concat([Buffer.from(tag), Buffer.from([0, 255, 254, 1, 2])]),
  half: (tag: string) => Buffer.from(`# ${tag}\napiVersion: seal.gateway/v1\nkind: Tool`),
  foreign: (tag: string) => Buffer.from(`remember: ${tag}\n`),
};

/** JSON is YAML. */
export function textOf(one: Doc): string {
  const annotations = one.allow_prune === null ? {} : { 'seal.gateway/allow-prune': one.allow_prune };
  const metadata = { name: one.name, ...(one.tenant !== null && { tenant: one.tenant }), annotations };
  const typo = one.fault === 'schema' ? { descritpion: 'x' } : {};
  const spec = { ...specOf(one), ...typo };
  return JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: one.kind, metadata, spec });
}

function specOf(one: Doc): Readonly<Record<string, unknown>> {
  const bad = one.fault === 'compile';
  switch (one.kind) {
    case 'ApiSpec':
      return {
        source: { file: `./${one.document}` },
        base_url: bad ? 'http://127.0.0.1:9001/?query' : 'http://127.0.0.1:9001',
        headers: { 'x-tag': one.tag },
        egress: { allow_private: true },
      };
    case 'ToolWorkflow':
      return {
        description: one.tag,
        api_spec: one.needs,
        input_schema: { type: 'object', properties: { id: { type: 'string' } } },
        steps: [
          {
            name: 'get',
            operation_id: one.operation,
            path_params: { id: bad ? '{{steps.none.id}}' : '{{input.id}}' },
          },
        ],
      };
    case 'CliTool':
      return {
        ...{ description: one.tag, image: 'example/tool:1', command: ['tool'], allowed_subcommands: ['get'] },
        ...(bad && { args: { positionals: { pattern: '(' } } }),
        ...(one.needs !== null && { semantic_judge: one.needs }),
      };
    case 'SecurityContext':
      return {
        deny_list: [`tag.${one.tag}`],
        capabilities: [
          {
            tool_pattern: bad ? 'a b' : '*',
            arguments: { properties: { id: { const: one.tag } } },
          },
        ],
      };
    case 'SemanticJudge':
      // There is nothing to compile in it.
      return { url: 'http://127.0.0.1:9005/judge', instructions: one.tag, ...(bad && { model: 7 }) };
    case 'Tenant':
      return {
        ...{ display_name: one.tag, suspended: one.suspended },
        ...(bad && { allowed_security_contexts: ['a b'] }),
      };
    case 'TokenIssuer':
      return {
        ...{ issuer: one.iss, audience: one.tag, algorithms: ['EdDSA'] },
        jwks: { inline: { keys: [{ kty: 'OKP', crv: 'Ed25519', kid: 't1', x: bad ? BAD_KEY : KEY }] } },
      };
  }
}

/** The public key of RFC 8032, 7.1, test 1; and the point at the origin, which signs for everybody. */
const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
const BAD_KEY = 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

function documentText(tag: string, operations: readonly string[] | null): string {
  if (operations === null) return `openapi: 3.0.3\n# ${tag}\npaths: [\n`;
  const parameters = [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }];
  const responses = { 200: { description: 'It.' } };
  const paths = operations.map((operationId) => [
    `/${tag}/${operationId}/{id}`,
    { get: { operationId, parameters, responses } },
  ]);
  return JSON.stringify({
    ...{ openapi: '3.0.3', info: { title: tag, version: '1' } },
    paths: Object.fromEntries(paths),
  });
}
