/**
 * The process configuration: gateway.yaml + environment -> one frozen object, validated once (docs/reference/configuration.md).
 * The only place that reads the environment. Defaults, types and names live in schemas/GatewayConfig.schema.json.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv } from 'ajv';
import { problemsOf } from './config-check.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import type { Config } from './config-shape.ts';
import { suggest } from './manifest/suggest.ts';

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
  SEAL_GATEWAY_OPENBAO_ADDR: 'credentials.openbao.addr',
  SEAL_GATEWAY_OPENBAO_TOKEN: 'credentials.openbao.auth.token',
  SEAL_GATEWAY_OPENBAO_KV_MOUNT: 'credentials.openbao.kv_mount',
  SEAL_GATEWAY_SEMANTIC_JUDGE_URL: 'cli.semantic_judge_url',
};
/** Environment names that belong to the program, not to a key. */
const OTHER_NAMES = new Set([
  'SEAL_GATEWAY_CONFIG_PATH',
  'SEAL_GATEWAY_URL',
  'SEAL_GATEWAY_CONTROL_URL',
  'SEAL_GATEWAY_OPERATOR_TOKEN',
]);

/** Settings that are safe to ignore: what they configure is absent and fails closed. */
const IGNORED = ['network.grpc_bind_addr', 'ui'];

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
  return load(path, env, null);
}

export interface ConfiguredAddress {
  readonly bind_addr: string;
  readonly tls: boolean;
  /** The variable or the file that says so. */
  readonly from: string;
}

/**
 * Where a listener is, for commands that call it. Of the configuration nothing else is read: who calls a gateway need
 * not have its secrets. Throws {@link ConfigError}.
 */
export function configuredAddress(
  key: 'bind_addr' | 'control_bind_addr',
  path?: string,
  env: NodeJS.ProcessEnv = process.env,
): ConfiguredAddress {
  const setting = `network.${key}`;
  const { config, file } = load(path, env, ['network', 'tls']);
  const names = [...environmentKeys()].filter(([, { path: at }]) => at === setting);
  const variable = names.findLast(([name]) => env[name] !== undefined)?.[0];
  const bind_addr = config.network[key];
  const isDefault = file === null || bind_addr === names[0]?.[1].node.default;
  const from = variable ?? (isDefault ? `the default of ${setting}` : `${setting} of ${file}`);
  return { bind_addr, tls: config.tls.cert_file !== null, from };
}

/** `only`: the keys of `spec` that count; null: all. */
function load(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
  only: readonly string[] | null,
): LoadedConfig {
  const file = chooseFile(path, env);
  const read = file === null ? null : readConfigFile(file);
  if (read !== null && read.problems.length > 0) throw new ConfigError(read.problems);
  const document = read === null ? { apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig' } : read.value;
  if (!isGroup(document))
    throw new ConfigError([`${file}: expected a mapping with apiVersion, kind and spec`]);
  const where = (problem: string): string => placed(problem, read, env);
  const spec = document.spec ?? {};
  const whole: Group = { ...document, spec };
  const warnings: string[] = [];
  if (isGroup(spec)) {
    warnings.push(...applyEnvironment(spec, env));
    for (const key of only === null ? [] : Object.keys(spec)) if (!only!.includes(key)) delete spec[key];
    throwAny(resolveReferences(spec, 'spec', SPEC, env), where);
  }
  const given = structuredClone(spec);
  if (!validate(whole)) throwAny((validate.errors ?? []).map(describe), where);
  for (const key of IGNORED) {
    if (differs(given, key)) warnings.push(where(`spec.${key} has no effect in this version`));
  }
  const config = spec as unknown as Config;
  throwAny(problemsOf(config), where);
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

/** Secrets of `credentials.env`: the variables with this prefix, without it. */
export function secretVariables(
  prefix: string,
  env: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith(prefix) && value !== undefined ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}

/** The environment for the system's git, which finds its programs and the credentials of remotes by it. */
export function gitEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string | undefined>> {
  return env;
}

/**
 * Where a container engine may listen, in the order to try: the configured address alone, else that of the engines'
 * own variables, else the usual sockets, first the machine's and then the user's own.
 */
export function containerHosts(
  { container_host }: Pick<Config['cli'], 'container_host'>,
  env: NodeJS.ProcessEnv = process.env,
): readonly string[] {
  const told = container_host ?? env.DOCKER_HOST ?? env.CONTAINER_HOST;
  if (told !== undefined) return [told];
  const sockets = ['/var/run/docker.sock', '/run/podman/podman.sock'];
  const { XDG_RUNTIME_DIR: runtime, HOME: home } = env;
  if (runtime !== undefined) sockets.push(`${runtime}/docker.sock`, `${runtime}/podman/podman.sock`);
  if (home !== undefined) sockets.push(`${home}/.docker/run/docker.sock`);
  return sockets.map((path) => `unix://${path}`);
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
    .map((name) => `environment variable ${name} names no setting; it is ignored`);
}

/** Short names first, so that the whole name of a key wins over its short one. */
function environmentKeys(): Map<string, { path: string; node: SchemaNode }> {
  const long = new Map(
    leavesOf(SPEC, '').map((key) => [`SEAL_GATEWAY_${key.path.replaceAll('.', '_').toUpperCase()}`, key]),
  );
  const byPath = new Map([...long.values()].map((key) => [key.path, key]));
  const short = Object.entries(SHORT_NAMES).map(([name, path]) => [name, byPath.get(path)!] as const);
  return new Map([...short, ...long]);
}

/** Every key whose value a text can be. A group that is absent unless somebody writes it has none. */
function leavesOf(node: SchemaNode, path: string): { path: string; node: SchemaNode }[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, inner]) => {
    const at = path === '' ? name : `${path}.${name}`;
    if (inner.properties === undefined || [inner.type ?? []].flat().includes('null'))
      return [{ path: at, node: inner }];
    return leavesOf(inner, at);
  });
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
    const key = String(error.params.additionalProperty);
    const near = suggest(key, keysAt(error.instancePath));
    const whole = [...error.instancePath.split('/').slice(1), key].join('.');
    const hint = near === null ? 'see docs/reference/configuration.md' : `did you mean ${near}?`;
    return `${whole}: there is no such key; ${hint}`;
  }
  const allowed = Array.isArray(error.params.allowedValues)
    ? `: ${error.params.allowedValues.join(', ')}`
    : '';
  return `${at} ${error.message ?? 'is not valid'}${allowed}`;
}

/** The keys that there are at a JSON pointer of the file. */
function keysAt(pointer: string): string[] {
  const [, ...names] = pointer.split('/');
  const root: SchemaNode = { properties: schema.properties };
  const node = names.reduce<SchemaNode | undefined>((above, name) => above?.properties?.[name], root);
  return Object.keys(node?.properties ?? {});
}

/** The settings that the gateway acts on. */
function pick(spec: Config): Config {
  const { manifests, network, tls, database, audit, auth, issuer, attestation } = spec;
  const { reconcile, control, credentials, cli, limits, log } = spec;
  return {
    manifests,
    network: {
      bind_addr: network.bind_addr,
      control_bind_addr: network.control_bind_addr,
      metrics_bind_addr: network.metrics_bind_addr,
      trusted_proxies: network.trusted_proxies,
    },
    tls,
    database,
    audit,
    auth,
    issuer,
    attestation,
    reconcile,
    control,
    credentials,
    cli,
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
  const names = path.split('.');
  const last = names.pop()!;
  let group = spec;
  for (const name of names) {
    group[name] ??= {};
    const inner = group[name];
    if (!isGroup(inner)) return;
    group = inner;
  }
  group[last] = value;
}

/** A problem begins with the key that it is about; this puts before it where that was set. */
function placed(problem: string, file: ConfigFile | null, env: NodeJS.ProcessEnv): string {
  const [key = ''] = problem.split(/[: ]/, 1);
  // The whole name of a key comes after its short one, and wins over it.
  const name = [...environmentKeys()].findLast(
    ([one, { path }]) => env[one] !== undefined && `${key}.`.startsWith(`spec.${path}.`),
  )?.[0];
  const place = name !== undefined ? `environment variable ${name}` : (file?.place(key) ?? 'configuration');
  return `${place}: ${problem}`;
}

function throwAny(problems: readonly string[], where: (problem: string) => string): void {
  if (problems.length > 0) throw new ConfigError(problems.map(where));
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
