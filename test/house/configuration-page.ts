/** docs/reference/configuration.md, from schemas/GatewayConfig.schema.json. */
import { code, markdownTable, readText } from './page.ts';

interface Setting {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Setting>>;
}

export interface Key {
  readonly group: string;
  /** Below the group, such as `git.url`. */
  readonly name: string;
  readonly setting: Setting;
  /** Its environment variable; null where a text cannot hold the value, and deeper in. */
  readonly variable: string | null;
}

/** Published names that are shorter than the rule makes them. */
export const SHORT_NAMES: Readonly<Record<string, string>> = {
  SEAL_GATEWAY_BIND: 'network.bind_addr',
  SEAL_GATEWAY_GRPC_BIND: 'network.grpc_bind_addr',
  SEAL_GATEWAY_DB: 'database.url',
  SEAL_GATEWAY_UI_ENABLED: 'ui.enabled',
  SEAL_GATEWAY_OPENBAO_ADDR: 'credentials.openbao.addr',
  SEAL_GATEWAY_OPENBAO_TOKEN: 'credentials.openbao.auth.token',
  SEAL_GATEWAY_OPENBAO_KV_MOUNT: 'credentials.openbao.kv_mount',
};

const groups: Readonly<Record<string, Setting>> = JSON.parse(readText('schemas/GatewayConfig.schema.json'))
  .properties.spec.properties;

export const KEYS: readonly Key[] = Object.entries(groups).flatMap(([group, setting]) =>
  keysOf(group, '', setting, group !== 'attestation'),
);

/** `named`: no group on the way is absent unless somebody writes it. */
function keysOf(group: string, prefix: string, { properties = {} }: Setting, named: boolean): Key[] {
  return Object.entries(properties).flatMap(([name, setting]) => {
    const path = prefix + name;
    const isText = named && setting.properties === undefined && !isOf(setting, 'object');
    const variable = isText ? `SEAL_GATEWAY_${group}_${path}`.replaceAll('.', '_').toUpperCase() : null;
    const inner = keysOf(group, `${path}.`, setting, named && !isOf(setting, 'null'));
    return [{ group, name: path, setting, variable }, ...inner];
  });
}

function isOf({ type }: Setting, name: string): boolean {
  return [type ?? []].flat().includes(name);
}

export function renderConfiguration(): string {
  const parts = Object.entries(groups).map(([group, { description = '' }]) => {
    const rows = KEYS.filter((key) => key.group === group).map(({ name, setting, variable }) => [
      code(`${group}.${name}`),
      typeOf(setting),
      code(setting.default),
      setting.description ?? '',
      code(setting.examples?.[0]),
      variable === null ? '' : code(variable),
    ]);
    const head = ['key', 'type', 'default', 'description', 'example', 'environment'];
    return `## ${group}\n\n${description}\n\n${markdownTable(head, rows)}`;
  });
  const short = Object.entries(SHORT_NAMES).map(([variable, key]) => [code(variable), code(key)]);
  return `${INTRODUCTION}\n${parts.join('\n\n')}\n\n## Short names\n\n${markdownTable(['environment', 'key'], short)}\n`;
}

function typeOf({ type, enum: words, minimum, maximum }: Setting): string {
  if (words !== undefined) return words.map(code).join(', ');
  const names = [type ?? []].flat().map((one) => {
    if (one === 'integer') return `whole number, ${minimum} to ${maximum}`;
    if (one === 'number') return `number, ${minimum} to ${maximum}`;
    return { string: 'text', boolean: 'true or false', array: 'list', null: 'null' }[one] ?? one;
  });
  return names.join(' or ');
}

const INTRODUCTION = `# Process configuration

<!-- Made from schemas/GatewayConfig.schema.json by \`make generate\`; do not edit. -->

\`\`\`yaml
apiVersion: seal.gateway/v1
kind: GatewayConfig
spec:
  manifests: {dir: ./gateway.d}
  network: {bind_addr: 127.0.0.1:8089}
  database: {url: sqlite://data/gateway.db}
\`\`\`

- The file is that of \`serve --config FILE\`; else of \`SEAL_GATEWAY_CONFIG_PATH\`; else \`./gateway.yaml\`; else
  \`/etc/seal-gateway/gateway.yaml\`. Without a file the defaults hold: no setting is required.
- Each key has an environment variable, which wins over the file, save those of groups that are absent by default. A list is written with commas.
- A text value may be \`env:NAME\` (the value of another variable) or \`file:PATH\` (the content of a file, the last line
  break cut), so that a secret need not stand in the file.
- An unknown key is an error. An unknown \`SEAL_GATEWAY_\` variable is a warning in the log.
- Keys of what this version does not have are known. Where ignoring one is safe, the log says that it has no effect;
  where it would promise what is not kept, the start is refused.
- Relative paths begin at the working directory. Which tools there are and who may call them is not configured here, but
  by [manifests](manifests.md).

\`seal-gateway schema GatewayConfig\` prints the schema, for editors.
`;
