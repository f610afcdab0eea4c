/**
 * The process configuration: gateway.yaml + environment -> one frozen object, validated once (design section 10).
 * The only place that reads the environment. Defaults, types and names live in schemas/GatewayConfig.schema.json.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv } from 'ajv';
import { parseDocument } from 'yaml';
import type { LogLevel } from './log.ts';

export interface Config {
  readonly manifests: { readonly dir: string };
  readonly network: { readonly bind_addr: string };
  readonly tls: {
    readonly cert_file: string | null;
    readonly key_file: string | null;
    readonly client_ca_file: string | null;
  };
  readonly database: { readonly url: string };
  readonly reconcile: { readonly watch: 'auto' | 'poll'; readonly resync_seconds: number };
  readonly limits: {
    readonly body_bytes: number;
    readonly header_timeout_ms: number;
    readonly call_timeout_ms: number;
    readonly max_in_flight: number;
    readonly drain_ms: number;
  };
  readonly log: { readonly level: LogLevel };
}

/** A configuration that cannot be used; each problem says what, where and how to mend it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read; null: defaults and environment alone. */
  readonly file: string | null;
  /** Settings that this version accepts but does not act on. */
  readonly warnings: readonly string[];
}

type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
type Group = { [key: string]: Value };
interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly default?: Value;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

/** The published short names of some environment variables. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  SEAL_GATEWAY_BIND: 'network.bind_addr',
  SEAL_GATEWAY_GRPC_BIND: 'network.grpc_bind_addr',
  SEAL_GATEWAY_DB: 'database.url',
  SEAL_GATEWAY_UI_ENABLED: 'ui.enabled',
};
/** Environment names that belong to the program, not to a key. */
const OTHER_NAMES = new Set(['SEAL_GATEWAY_CONFIG_PATH', 'SEAL_GATEWAY_URL']);

/** Settings that would promise what this version does not do: a start with them is refused. */
const REFUSED = ['reconcile.policy', 'reconcile.git', 'reconcile.verify', 'control.git'];
/** Settings that are safe to ignore: what they configure is absent and fails closed. */
const IGNORED = [
  'network.control_bind_addr',
  'network.grpc_bind_addr',
  'network.metrics_bind_addr',
  'network.trusted_proxies',
  'auth',
  'issuer',
  'attestation',
  'credentials',
  'cli',
  'audit',
  'ui',
];

const schema = JSON.parse(readFileSync(new URL('../schemas/GatewayConfig.schema.json', import.meta.url), 'utf8'));
const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: false, coerceTypes: false });
const validate = ajv.compile(schema);
const SPEC: SchemaNode = schema.properties.spec;

/**
 * Loads the configuration. `path`: the file of --config; without it SEAL_GATEWAY_CONFIG_PATH, ./gateway.yaml,
 * /etc/seal-gateway/gateway.yaml, else defaults. Throws {@link ConfigError}.
 */
export function loadConfig(path?: string, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const file = chooseFile(path, env);
  const document = file === null ? { apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig' } : readYaml(file);
  const spec = isGroup(document.spec) ? document.spec : {};
  const warnings = applyEnvironment(spec, env);
  const whole: Group = { ...document, spec };
  resolveReferences(spec, 'spec', env);
  const given = structuredClone(spec);
  if (!validate(whole)) throw new ConfigError((validate.errors ?? []).map((e) => describe(e, file)));
  const problems: string[] = [];
  for (const key of REFUSED) {
    if (differs(given, key))
      problems.push(`${where(file)}: spec.${key} is not available in this version; remove it`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  for (const key of IGNORED) {
    if (differs(given, key)) warnings.push(`${where(file)}: spec.${key} has no effect in this version`);
  }
  const config = spec as unknown as Config;
  check(config, file);
  return { config: deepFreeze(pick(config)), file, warnings };
}

/** The value of an environment variable that is not configuration but a command's default (such as the URL to call). */
export function environment(name: 'SEAL_GATEWAY_URL', env: NodeJS.ProcessEnv = process.env): string | null {
  return env[name] ?? null;
}

function chooseFile(path: string | undefined, env: NodeJS.ProcessEnv): string | null {
  const named = path ?? env.SEAL_GATEWAY_CONFIG_PATH;
  if (named !== undefined) return resolve(named);
  for (const candidate of ['gateway.yaml', '/etc/seal-gateway/gateway.yaml']) {
    try {
      readFileSync(candidate);
      return resolve(candidate);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new ConfigError([`${candidate}: cannot be read: ${(error as Error).message}`]);
      }
    }
  }
  return null;
}

function readYaml(file: string): Group {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read: ${(error as Error).message}`]);
  }
  const document = parseDocument(text, { version: '1.2', merge: false, stringKeys: true });
  const problems = [...document.errors, ...document.warnings].map((e) => `${file}: ${e.message}`);
  if (problems.length > 0) throw new ConfigError(problems);
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  if (!isGroup(value)) throw new ConfigError([`${file}: expected a mapping with apiVersion, kind and spec`]);
  return value;
}

/** Puts SEAL_GATEWAY_* values over those of the file; says which names it does not know. */
function applyEnvironment(spec: Group, env: NodeJS.ProcessEnv): string[] {
  const keys = environmentKeys();
  const warnings: string[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('SEAL_GATEWAY_') || text === undefined || OTHER_NAMES.has(name)) continue;
    const key = keys.get(name);
    if (key === undefined) warnings.push(`environment variable ${name} names no setting; it is ignored`);
    else setKey(spec, key.path, fromText(text, key.node));
  }
  return warnings;
}

function environmentKeys(): Map<string, { path: string; node: SchemaNode }> {
  const keys = new Map<string, { path: string; node: SchemaNode }>();
  for (const [group, { properties }] of Object.entries(SPEC.properties ?? {})) {
    for (const [name, node] of Object.entries(properties ?? {})) {
      const path = `${group}.${name}`;
      keys.set(`SEAL_GATEWAY_${path.replaceAll('.', '_').toUpperCase()}`, { path, node });
    }
  }
  for (const [name, path] of Object.entries(SHORT_NAMES)) {
    const [group = '', key = ''] = path.split('.');
    const node = SPEC.properties?.[group]?.properties?.[key];
    if (node !== undefined) keys.set(name, { path, node });
  }
  return keys;
}

function fromText(text: string, node: SchemaNode): Value {
  const types = [node.type ?? 'string'].flat();
  if (types.includes('array')) return text === '' ? [] : text.split(',').map((part) => part.trim());
  if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  if ((types.includes('integer') || types.includes('number')) && /^[0-9.]+$/.test(text)) return Number(text);
  return text;
}

/** env:NAME and file:PATH are read here, so that a secret need not stand in the file. */
function resolveReferences(group: Group, at: string, env: NodeJS.ProcessEnv): void {
  for (const [key, value] of Object.entries(group)) {
    if (isGroup(value)) resolveReferences(value, `${at}.${key}`, env);
    else if (typeof value === 'string' && value.startsWith('env:')) {
      const found = env[value.slice(4)];
      if (found === undefined)
        throw new ConfigError([`${at}.${key}: environment variable ${value.slice(4)} is not set`]);
      group[key] = found;
    } else if (typeof value === 'string' && value.startsWith('file:') && !value.startsWith('file://')) {
      try {
        group[key] = readFileSync(value.slice(5), 'utf8').trimEnd();
      } catch (error) {
        throw new ConfigError([
          `${at}.${key}: ${value.slice(5)} cannot be read: ${(error as Error).message}`,
        ]);
      }
    }
  }
}

function describe(
  error: { instancePath: string; message?: string; params: Record<string, unknown>; keyword: string },
  file: string | null,
): string {
  const at = error.instancePath.slice(1).replaceAll('/', '.') || 'the document';
  if (error.keyword === 'additionalProperties') {
    return `${where(file)}: ${at}: unknown key ${String(error.params.additionalProperty)}; see docs/reference/configuration.md`;
  }
  const allowed = Array.isArray(error.params.allowedValues)
    ? `: ${error.params.allowedValues.join(', ')}`
    : '';
  return `${where(file)}: ${at} ${error.message ?? 'is not valid'}${allowed}`;
}

function check(config: Config, file: string | null): void {
  const problems: string[] = [];
  const { url } = config.database;
  if (!url.startsWith('sqlite://') || url.length === 'sqlite://'.length) {
    const what = /^postgres(ql)?:/.test(url)
      ? 'Postgres is not available in this version'
      : `"${url}" is not known`;
    problems.push(
      `${where(file)}: spec.database.url: ${what}; use sqlite:// and a path, such as sqlite://data/gateway.db`,
    );
  }
  if ((config.tls.cert_file === null) !== (config.tls.key_file === null)) {
    problems.push(`${where(file)}: spec.tls: cert_file and key_file go together`);
  }
  if (config.tls.client_ca_file !== null && config.tls.cert_file === null) {
    problems.push(`${where(file)}: spec.tls.client_ca_file needs cert_file and key_file`);
  }
  const port = Number(config.network.bind_addr.slice(config.network.bind_addr.lastIndexOf(':') + 1));
  if (port > 65535) problems.push(`${where(file)}: spec.network.bind_addr: port ${port} is over 65535`);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** The settings that the gateway acts on. */
function pick(spec: Config): Config {
  const { manifests, network, tls, database, reconcile, limits, log } = spec;
  return {
    manifests,
    network: { bind_addr: network.bind_addr },
    tls,
    database,
    reconcile: { watch: reconcile.watch, resync_seconds: reconcile.resync_seconds },
    limits,
    log,
  };
}

function differs(spec: Group, path: string): boolean {
  let value: Value | undefined = spec;
  let node: SchemaNode | undefined = SPEC;
  for (const key of path.split('.')) {
    value = isGroup(value) ? value[key] : undefined;
    node = node?.properties?.[key];
  }
  return value !== undefined && differsFrom(value, node);
}

function differsFrom(value: Value, node: SchemaNode | undefined): boolean {
  if (isGroup(value) && node?.properties !== undefined) {
    return Object.entries(value).some(([key, inner]) => differsFrom(inner, node.properties?.[key]));
  }
  return JSON.stringify(value) !== JSON.stringify(node?.default);
}

function setKey(spec: Group, path: string, value: Value): void {
  const [group = '', key = ''] = path.split('.');
  const inner = spec[group];
  if (isGroup(inner)) inner[key] = value;
  else spec[group] = { [key]: value };
}

function where(file: string | null): string {
  return file ?? 'configuration';
}

function isGroup(value: unknown): value is Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
