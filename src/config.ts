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
  readonly network: {
    readonly bind_addr: string;
    readonly control_bind_addr: string;
    readonly metrics_bind_addr: string;
  };
  readonly tls: {
    readonly cert_file: string | null;
    readonly key_file: string | null;
    readonly client_ca_file: string | null;
  };
  readonly database: { readonly url: string };
  /** Operators of the control listener. */
  readonly auth: {
    readonly development: boolean;
    /** Together with the issuer; null: there are no operators' tokens. */
    readonly operator_jwks_uri: string | null;
    readonly operator_jwt_issuer: string | null;
    readonly operator_jwt_audience: string;
    readonly operator_role_claim: string;
    readonly operator_roles: readonly string[];
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
/** Published names of what this version has not: known, so that nobody looks for a slip of the pen. */
const UNUSED_NAMES = new Set([
  'SEAL_GATEWAY_OPENBAO_ADDR',
  'SEAL_GATEWAY_OPENBAO_TOKEN',
  'SEAL_GATEWAY_OPENBAO_KV_MOUNT',
  'SEAL_GATEWAY_SEMANTIC_JUDGE_URL',
]);
/** Environment names that belong to the program, not to a key. */
const OTHER_NAMES = new Set([
  'SEAL_GATEWAY_CONFIG_PATH',
  'SEAL_GATEWAY_URL',
  'SEAL_GATEWAY_CONTROL_URL',
  'SEAL_GATEWAY_OPERATOR_TOKEN',
]);

/** Settings that are safe to ignore: what they configure is absent and fails closed. */
const IGNORED = [
  'network.grpc_bind_addr',
  'network.trusted_proxies',
  'issuer',
  'attestation',
  'credentials',
  'cli',
  'audit',
  'ui',
];

const schema = JSON.parse(
  readFileSync(new URL('../schemas/GatewayConfig.schema.json', import.meta.url), 'utf8'),
);
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
  const spec = document.spec ?? {};
  const whole: Group = { ...document, spec };
  const warnings: string[] = [];
  if (isGroup(spec)) {
    warnings.push(...applyEnvironment(spec, env));
    throwAny(resolveReferences(spec, 'spec', SPEC, env), file);
  }
  const given = structuredClone(spec);
  if (!validate(whole)) throwAny((validate.errors ?? []).map(describe), file);
  for (const key of IGNORED) {
    if (differs(given, key)) warnings.push(`${where(file)}: spec.${key} has no effect in this version`);
  }
  const config = spec as unknown as Config;
  throwAny(check(config), file);
  return { config: deepFreeze(pick(config)), file, warnings };
}

/** The value of an environment variable that is not configuration but a command's default (such as the URL to call). */
export function environment(
  name:
    | 'SEAL_GATEWAY_URL'
    | 'SEAL_GATEWAY_CONTROL_URL'
    | 'SEAL_GATEWAY_OPERATOR_TOKEN'
    | 'GITHUB_STEP_SUMMARY'
    | 'GITHUB_WORKSPACE',
  env: NodeJS.ProcessEnv = process.env,
): string | null {
  return env[name] ?? null;
}

/** The environment for the system's git, which finds its programs and the credentials of remotes by it. */
export function gitEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string | undefined>> {
  return env;
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
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch {
    throw new ConfigError([`${file}: aliases are not accepted; write the value out`]);
  }
  if (!isGroup(value)) throw new ConfigError([`${file}: expected a mapping with apiVersion, kind and spec`]);
  return value;
}

/** Puts SEAL_GATEWAY_* values over those of the file; says which names it does not know. */
function applyEnvironment(spec: Group, env: NodeJS.ProcessEnv): string[] {
  const keys = environmentKeys();
  for (const [name, { path, node }] of keys) {
    const text = env[name];
    if (text !== undefined) setKey(spec, path, fromText(text, node));
  }
  // Kubernetes sets SEAL_GATEWAY_SERVICE_HOST and its like beside a service of this name: no reason to stop.
  return Object.keys(env)
    .filter((name) => name.startsWith('SEAL_GATEWAY_') && !keys.has(name) && !OTHER_NAMES.has(name))
    .map((name) =>
      UNUSED_NAMES.has(name)
        ? `environment variable ${name} has no effect in this version`
        : `environment variable ${name} names no setting; it is ignored`,
    );
}

/** Short names first, so that the whole name of a key wins over its short one. */
function environmentKeys(): Map<string, { path: string; node: SchemaNode }> {
  const long = new Map<string, { path: string; node: SchemaNode }>();
  for (const [group, { properties }] of Object.entries(SPEC.properties ?? {})) {
    for (const [name, node] of Object.entries(properties ?? {})) {
      const path = `${group}.${name}`;
      long.set(`SEAL_GATEWAY_${path.replaceAll('.', '_').toUpperCase()}`, { path, node });
    }
  }
  const byPath = new Map([...long.values()].map((key) => [key.path, key]));
  const short = Object.entries(SHORT_NAMES).map(([name, path]) => [name, byPath.get(path)!] as const);
  return new Map([...short, ...long]);
}

function fromText(text: string, node: SchemaNode): Value {
  const types = [node.type ?? 'string'].flat();
  if (types.includes('array')) return text === '' ? [] : text.split(',').map((part) => part.trim());
  if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  if ((types.includes('integer') || types.includes('number')) && /^\d+(\.\d+)?$/.test(text))
    return Number(text);
  return text;
}

/**
 * Reads env:NAME and file:PATH, so that a secret need not stand in the file, and gives each value the type of its
 * key. Says what cannot be read.
 */
function resolveReferences(
  group: Group,
  at: string,
  node: SchemaNode | undefined,
  env: NodeJS.ProcessEnv,
): string[] {
  return Object.entries(group).flatMap(([key, value]) => {
    const inner = node?.properties?.[key];
    if (isGroup(value)) return resolveReferences(value, `${at}.${key}`, inner, env);
    if (typeof value !== 'string') return [];
    try {
      const text = referenced(value, env);
      if (text !== null) group[key] = inner === undefined ? text : fromText(text, inner);
      return [];
    } catch (error) {
      return [`${at}.${key}: ${(error as Error).message}`];
    }
  });
}

/** What a reference stands for; null: the value is none. Throws when it stands for nothing. */
function referenced(value: string, env: NodeJS.ProcessEnv): string | null {
  if (value.startsWith('env:')) {
    const name = value.slice('env:'.length);
    const text = env[name];
    if (text === undefined) throw new Error(`environment variable ${name} is not set`);
    return text;
  }
  if (!value.startsWith('file:') || value.startsWith('file://')) return null;
  const file = value.slice('file:'.length);
  try {
    return readFileSync(file, 'utf8').trimEnd();
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function describe(error: {
  instancePath: string;
  message?: string;
  params: Record<string, unknown>;
  keyword: string;
}): string {
  const at = error.instancePath.slice(1).replaceAll('/', '.') || 'the document';
  if (error.keyword === 'additionalProperties') {
    return `${at}: unknown key ${String(error.params.additionalProperty)}; see docs/reference/configuration.md`;
  }
  const allowed = Array.isArray(error.params.allowedValues)
    ? `: ${error.params.allowedValues.join(', ')}`
    : '';
  return `${at} ${error.message ?? 'is not valid'}${allowed}`;
}

/** What no schema can say. */
function check({ database, tls, network, auth }: Config): string[] {
  const problems: string[] = [];
  const [scheme = '', path] = database.url.split('://');
  if (scheme !== 'sqlite' || !path) {
    // The rest of the URL may hold a password.
    const what = /^postgres(ql)?$/.test(scheme)
      ? 'Postgres is not available in this version'
      : 'this is no database that the gateway knows';
    problems.push(`spec.database.url: ${what}; use sqlite:// and a path, such as sqlite://data/gateway.db`);
  }
  if ((tls.cert_file === null) !== (tls.key_file === null)) {
    problems.push('spec.tls: cert_file and key_file go together');
  }
  if (tls.client_ca_file !== null && tls.cert_file === null) {
    problems.push('spec.tls.client_ca_file needs cert_file and key_file');
  }
  for (const key of ['bind_addr', 'control_bind_addr', 'metrics_bind_addr'] as const) {
    const port = Number(network[key].slice(network[key].lastIndexOf(':') + 1));
    if (port > 65535) problems.push(`spec.network.${key}: port ${port} is over 65535`);
  }
  if ((auth.operator_jwks_uri === null) !== (auth.operator_jwt_issuer === null)) {
    problems.push('spec.auth: operator_jwks_uri and operator_jwt_issuer go together');
  }
  const jwks = auth.operator_jwks_uri === null ? null : jwksProblem(auth.operator_jwks_uri);
  if (jwks !== null) problems.push(`spec.auth.operator_jwks_uri: ${jwks}`);
  return problems;
}

/** Why keys cannot be had from there: they decide who an operator is, so nobody on the way may change them. */
function jwksProblem(uri: string): string | null {
  if (!uri.includes('://')) {
    const given = 'the text of a key set; write a path, or file:// and an absolute one';
    return uri.trimStart().startsWith('{') ? given : null;
  }
  const url = URL.parse(uri);
  if (url === null) return 'this is no URL';
  if (url.username !== '' || url.password !== '') return 'a URL with a user or password is not fetched';
  if (url.protocol === 'https:' || (url.protocol === 'file:' && url.host === '')) return null;
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && loopback) return null;
  return 'expected https (http to a loopback address alone), file:// and an absolute path, or a path';
}

/** The settings that the gateway acts on. */
function pick(spec: Config): Config {
  const { manifests, network, tls, database, auth, reconcile, control, limits, log } = spec;
  return {
    manifests,
    network: {
      bind_addr: network.bind_addr,
      control_bind_addr: network.control_bind_addr,
      metrics_bind_addr: network.metrics_bind_addr,
    },
    tls,
    database,
    auth,
    reconcile,
    control,
    limits,
    log,
  };
}

function differs(spec: Value, path: string): boolean {
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

/** A group that the file has as something else stays, for the schema to refuse. */
function setKey(spec: Group, path: string, value: Value): void {
  const [group = '', key = ''] = path.split('.');
  const inner = spec[group];
  if (isGroup(inner)) inner[key] = value;
  else if (inner === undefined) spec[group] = { [key]: value };
}

function throwAny(problems: readonly string[], file: string | null): void {
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => `${where(file)}: ${problem}`));
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
