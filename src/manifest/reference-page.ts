/** The reference page of the manifests, from the schemas. For development alone (see generate.ts). */
import { stringify } from 'yaml';
import type { JsonSchema } from './kind.ts';
import type { KindSchema } from './schema-types.ts';

const INTRODUCTION = `# Manifests

<!-- Made from schemas/ by \`node src/manifest/generate.ts docs\`; do not edit. -->

A manifest is a YAML document (or a JSON file) below the watched directory. A file may hold several, apart by
\`---\`. Its identity is kind, tenant and name; the file is not part of it, so moving a file changes nothing.

- Below \`tenants/<t>/\` every manifest belongs to tenant \`<t>\`; elsewhere to \`metadata.tenant\`, or to nobody, which
  makes it visible to every tenant. Workflows and CLI tools share one namespace of tools, in which a tenant may not
  take the name of a global tool.
- A file that a manifest refers to (\`source.file\`, \`jwks.file\`, \`envelope_keys.file\`) is data: an OpenAPI document or
  a key set. Its path is relative to the manifest's own file and stays inside the directory; a tenant's files
  (\`tenants/<t>/\`) may be referred to by that tenant's manifests alone.
- No manifest holds a secret. What looks like one is refused, wherever it stands.
- Names that begin with a dot and \`*.test.yaml\` files are not read. A file may have 256 KiB, inline OpenAPI
  documents apart, and those 8 MiB. YAML is 1.2: \`yes\` and \`no\` are text; aliases, merge keys, tags and duplicate keys
  are refused.
- The table's defaults hold where a field is absent. Patterns are text with \`*\`.

For completion and checks in an editor, put a line such as
\`# yaml-language-server: $schema=../schemas/ApiSpec.schema.json\` at the top of a file;
\`seal-gateway schema ApiSpec\` prints the schema, \`seal-gateway validate\` checks a whole directory.
`;

const METADATA = `## Every manifest

| field | type | required | default | description | example |
|---|---|---|---|---|---|
`;

/** The whole page as Markdown. */
export function renderReference(kinds: readonly KindSchema[]): string {
  const shared = sharedDefinitions(kinds);
  const [first] = kinds;
  const { spec: _spec, ...common } = first!.schema.properties!;
  const top = rows({ type: 'object', properties: common, required: Object.keys(common) }, '');
  const parts = [INTRODUCTION, METADATA + top.join('\n')];
  for (const { kind, schema } of kinds) parts.push(renderKind(kind, schema, shared));
  parts.push('## Shared forms');
  for (const [name, schema] of shared) parts.push(renderDefinition(name, schema));
  return `${parts.join('\n\n').replaceAll(/\n{3,}/g, '\n\n')}\n`;
}

/** The definitions that several kinds have. */
function sharedDefinitions(kinds: readonly KindSchema[]): Map<string, JsonSchema> {
  const seen = new Map<string, number>();
  for (const { schema } of kinds) {
    for (const name of Object.keys(schema.definitions ?? {})) seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  const all = kinds.flatMap(({ schema }) => Object.entries(schema.definitions ?? {}));
  return new Map(all.filter(([name]) => seen.get(name)! > 1));
}

function renderKind(kind: string, schema: JsonSchema, shared: ReadonlyMap<string, JsonSchema>): string {
  const { [`${kind}Spec`]: spec, ...definitions } = schema.definitions ?? {};
  const example = stringify(schema.examples?.[0], { lineWidth: 110, aliasDuplicateObjects: false });
  const own = Object.entries(definitions).filter(([name]) => !shared.has(name));
  return [
    `## ${kind}`,
    schema.description,
    table(spec!, 'spec.'),
    ...own.map(([name, definition]) => renderDefinition(name, definition)),
    `### A ${kind}`,
    `\`\`\`yaml\n${example}\`\`\``,
  ].join('\n\n');
}

function renderDefinition(name: string, schema: JsonSchema): string {
  const more = schema.additionalProperties === true ? ' Other members may be there.' : '';
  return `### ${name}\n\n${schema.description}${more}\n\n${table(schema, '')}`;
}

function table(schema: JsonSchema, prefix: string): string {
  const head = '| field | type | required | default | description | example |\n|---|---|---|---|---|---|';
  return [head, ...rows(schema, prefix)].join('\n');
}

/** A row for each field, and for the fields of fields that have no section of their own. */
function rows(schema: JsonSchema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (field.not !== undefined) return [];
    const path = `${prefix}${name}`;
    const cells = [
      `\`${path}\``,
      typeOf(field),
      schema.required?.includes(name) ? 'yes' : '',
      field.default === undefined ? '' : code(field.default),
      field.description ?? '',
      code(field.examples?.[0]),
    ];
    return [`| ${cells.map(cell).join(' | ')} |`, ...rows(field, `${path}.`), ...itemRows(field, path)];
  });
}

function itemRows(field: JsonSchema, path: string): string[] {
  return field.items?.properties === undefined ? [] : rows(field.items, `${path}[].`);
}

function typeOf(schema: JsonSchema): string {
  const reference = schema.$ref ?? schema.allOf?.find((part) => part.$ref)?.$ref;
  if (reference !== undefined) {
    const name = reference.split('/').pop()!;
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  const types = [schema.type ?? []].flat();
  if (types.length === 0) return 'anything';
  return types.map((type) => typeName(type, schema)).join(' or ');
}

function typeName(type: string, schema: JsonSchema): string {
  switch (type) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `${schema.minimum} to ${schema.maximum}`;
    case 'array':
      return schema.items === undefined ? 'list' : `list of ${typeOf(schema.items)}`;
    case 'object':
      return mapOrObject(schema);
    default:
      return type;
  }
}

function mapOrObject(schema: JsonSchema): string {
  if (typeof schema.additionalProperties === 'object') return `map of ${typeOf(schema.additionalProperties)}`;
  return schema.maxProperties === 1 ? 'one of' : 'object';
}

function code(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const fence = text.includes('`') ? '``' : '`';
  return text === '' ? '`""`' : `${fence}${text}${fence}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
