/**
 * The process configuration: gateway.yaml + environment -> one frozen object, validated once (docs/reference/configuration.md).
 * The only place that reads the environment. Defaults, types and names live in schemas/GatewayConfig.schema.json.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import type { LogLevel } from './log.ts';
import { suggest } from './manifest/suggest.ts';

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
  readonly audit: { readonly retention_days: number };
  /** Operators of the control listener. */
  readonly auth: {
    readonly development: boolean;
    /** Together with the issuer; null: there are no operators' tokens. */
    readonly operator_jwks_uri: string | null;
    readonly operator_jwt_issuer: string | null;
    readonly operator_jwt_audience: string;
    readonly operator_role_claim: string;
    readonly operator_roles: readonly string[];
    /** null: operators may not explore. */
    readonly operator_security_context: string | null;
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
  /** The gateway's own tokens. */
  readonly issuer: {
    /** null: it issues none. */
    readonly key_file: string | null;
    readonly issuer: string;
    readonly audience: string;
    readonly token_ttl_seconds: number;
  };
  readonly attestation: { readonly verifiers: readonly VerifierConfig[] };
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
  readonly cli: {
    /** null: the usual places are looked at ({@link containerHosts}). */
    readonly container_host: string | null;
    readonly mount_roots: readonly string[];
    readonly networks: readonly string[];
    readonly max_concurrency: number;
    readonly max_queue: number;
    readonly secrets_dir: string;
    readonly semantic_judge_url: string | null;
  };
  readonly credentials: {
    readonly openbao: {
      /** null: there is none. */
      readonly addr: string | null;
      readonly cluster_addrs: readonly string[];
      readonly namespace: string | null;
      /** Exactly one, where there is an address. */
      readonly auth: {
        readonly token: string | null;
        readonly approle: {
          readonly mount: string;
          readonly role_id: string;
          readonly secret_id?: string | null;
          readonly secret_id_file?: string | null;
        } | null;
        readonly kubernetes: {
          readonly mount: string;
          readonly role: string;
          readonly jwt_file: string;
        } | null;
        readonly jwt: { readonly mount: string; readonly role: string; readonly jwt_file: string } | null;
      };
      readonly kv_mount: string;
      readonly kv_version: 1 | 2;
      readonly tenancy: 'namespace' | 'path';
      readonly tenant_prefix: string;
      readonly timeout_ms: number;
      readonly ca_file: string | null;
      readonly cert_file: string | null;
      readonly key_file: string | null;
      readonly gates_readiness: boolean;
    };
    readonly token_exchange: {
      /** null: users' tokens are not exchanged. */
      readonly url: string | null;
      readonly client_id: string | null;
      readonly client_secret: string | null;
      readonly client_auth: 'basic' | 'post';
      readonly ca_file: string | null;
      readonly timeout_ms: number;
      /** All three or none. */
      readonly user_issuer: string | null;
      readonly user_audience: string | null;
      readonly user_jwks_uri: string | null;
      readonly user_tenant_claim: string;
    };
    readonly files: { readonly dir: string | null };
    readonly env: { readonly prefix: string | null };
    readonly user_bound: { readonly bind_url: string | null };
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

export type VerifierConfig = { readonly name: string } & (
  | { readonly type: 'enrollment_token'; readonly file: string }
  | {
      readonly type: 'oidc' | 'kubernetes';
      readonly issuer: string;
      readonly audience: string;
      readonly jwks_uri: string;
      readonly allow: readonly {
        readonly subject: string;
        readonly workload_ids?: readonly string[];
        readonly security_contexts: readonly string[];
        readonly tenant?: string;
      }[];
    }
);

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
const IGNORED = ['network.grpc_bind_addr', 'network.trusted_proxies', 'ui'];

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

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
    throwAny(resolveReferences(spec, 'spec', SPEC, env), where);
  }
  const given = structuredClone(spec);
  if (!validate(whole)) throwAny((validate.errors ?? []).map(describe), where);
  for (const key of IGNORED) {
    if (differs(given, key)) warnings.push(where(`spec.${key} has no effect in this version`));
  }
  const config = spec as unknown as Config;
  throwAny(check(config), where);
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

/** What no schema can say. */
function check({ database, tls, network, auth, issuer, attestation, credentials, cli }: Config): string[] {
  const problems: string[] = [];
  const database_problem = databaseProblem(database.url);
  if (database_problem !== null) problems.push(`spec.database.url: ${database_problem}`);
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
  const host = cli.container_host === null ? null : containerHostProblem(cli.container_host);
  if (host !== null) problems.push(`spec.cli.container_host: ${host}`);
  for (const [index, root] of cli.mount_roots.entries()) {
    if (!isAbsolute(root)) problems.push(`spec.cli.mount_roots[${index}]: expected an absolute path`);
  }
  const judge = cli.semantic_judge_url;
  if (judge !== null && !/^https?:$/.test(URL.parse(judge)?.protocol ?? '')) {
    problems.push('spec.cli.semantic_judge_url: expected an absolute http or https URL');
  }
  problems.push(...checkOpenBao(credentials), ...checkTokenExchange(credentials.token_exchange));
  const jwks = auth.operator_jwks_uri === null ? null : jwksProblem(auth.operator_jwks_uri);
  if (jwks !== null) problems.push(`spec.auth.operator_jwks_uri: ${jwks}`);
  const names = new Set<string>();
  for (const [index, verifier] of attestation.verifiers.entries()) {
    const at = `spec.attestation.verifiers[${index}]`;
    if (issuer.key_file === null) problems.push(`${at} needs spec.issuer.key_file: sessions get a token`);
    if (names.has(verifier.name)) problems.push(`${at}.name: ${verifier.name} is taken`);
    names.add(verifier.name);
    problems.push(...verifierProblems(verifier).map((problem) => `${at}${problem}`));
  }
  return problems;
}

const VERIFIER_KEYS = {
  enrollment_token: ['file'],
  oidc: ['issuer', 'audience', 'jwks_uri', 'allow'],
  kubernetes: ['issuer', 'audience', 'jwks_uri', 'allow'],
} as const;

function verifierProblems(verifier: VerifierConfig): string[] {
  const wanted: readonly string[] = VERIFIER_KEYS[verifier.type];
  const given = Object.keys(verifier).filter((key) => key !== 'name' && key !== 'type');
  const problems = [
    ...wanted.filter((key) => !given.includes(key)).map((key) => `.${key} is missing`),
    ...given.filter((key) => !wanted.includes(key)).map((key) => `.${key} is not for ${verifier.type}`),
  ];
  const jwks = 'jwks_uri' in verifier ? jwksProblem(verifier.jwks_uri) : null;
  return jwks === null ? problems : [...problems, `.jwks_uri: ${jwks}`];
}

/** Who can talk to an engine is root on its machine, so nobody on a network may be in between. */
function containerHostProblem(address: string): string | null {
  if (address.startsWith('unix:///')) return null;
  const url = URL.parse(address.replace(/^tcp:/, 'http:'));
  if (!address.startsWith('tcp://') || url === null)
    return 'expected unix:// and a path, or tcp:// and an address';
  return LOOPBACK.test(url.hostname)
    ? null
    : 'tcp:// is not encrypted; forward the socket to a loopback address';
}

function checkOpenBao({ openbao, files, env }: Config['credentials']): string[] {
  const at = 'spec.credentials';
  const problems: string[] = [];
  const sources = { 'openbao.addr': openbao.addr, 'files.dir': files.dir, 'env.prefix': env.prefix };
  const set = Object.entries(sources).flatMap(([key, value]) => (value === null ? [] : [`${at}.${key}`]));
  if (set.length > 1) problems.push(`${set.join(' and ')}: static secrets come from one place`);
  if ((openbao.cert_file === null) !== (openbao.key_file === null)) {
    problems.push(`${at}.openbao: cert_file and key_file go together`);
  }
  if (openbao.addr === null) return problems;
  for (const addr of [openbao.addr, ...openbao.cluster_addrs]) {
    const problem = serverProblem(addr);
    if (problem !== null) problems.push(`${at}.openbao: ${problem}`);
    else if (!/^\/?$/.test(new URL(addr).pathname))
      problems.push(`${at}.openbao: an address is an origin, without a path`);
  }
  const methods = Object.entries(openbao.auth).filter(([, method]) => method !== null);
  if (methods.length !== 1)
    problems.push(`${at}.openbao.auth: exactly one of token, approle, kubernetes, jwt`);
  const { approle } = openbao.auth;
  if (approle !== null && (approle.secret_id == null) === (approle.secret_id_file == null)) {
    problems.push(`${at}.openbao.auth.approle: one of secret_id and secret_id_file`);
  }
  return problems;
}

function checkTokenExchange(settings: Config['credentials']['token_exchange']): string[] {
  const at = 'spec.credentials.token_exchange';
  const problems: string[] = [];
  const { url, client_id, client_secret, user_issuer, user_audience, user_jwks_uri } = settings;
  const users = [user_issuer, user_audience, user_jwks_uri];
  if (users.some((one) => one === null) && users.some((one) => one !== null)) {
    problems.push(`${at}: user_issuer, user_audience and user_jwks_uri go together`);
  }
  const jwks = user_jwks_uri === null ? null : jwksProblem(user_jwks_uri);
  if (jwks !== null) problems.push(`${at}.user_jwks_uri: ${jwks}`);
  if (url === null) return problems;
  const problem = serverProblem(url);
  if (problem !== null) problems.push(`${at}.url: ${problem}`);
  if (client_id === null || client_secret === null)
    problems.push(`${at}: client_id and client_secret are needed`);
  if (user_issuer === null) problems.push(`${at}: user_issuer, user_audience and user_jwks_uri are needed`);
  return problems;
}

/** Why secrets cannot be sent there. */
function serverProblem(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return 'this is no URL';
  if (url.username !== '' || url.password !== '') return 'a URL with a user or password is not used';
  if (url.protocol === 'https:') return null;
  return url.protocol === 'http:' && LOOPBACK.test(url.hostname)
    ? null
    : 'expected https (http to a loopback address alone)';
}

/** Why this names no database. The URL is not repeated: it may hold a password. */
function databaseProblem(text: string): string | null {
  const [scheme = '', path] = text.split('://');
  if (scheme === 'sqlite' && path) return null;
  if (!/^postgres(ql)?$/.test(scheme)) {
    return 'this is no database that the gateway knows; use sqlite:// and a path, such as sqlite://data/gateway.db, or postgres://user@host/database';
  }
  const url = URL.parse(text);
  if (url === null)
    return 'this is no URL; characters such as @ and / in a password are written as %40 and %2F';
  return url.pathname.length > 1 ? null : 'it names no database; write postgres://user@host/database';
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
  if (url.protocol === 'http:' && LOOPBACK.test(url.hostname)) return null;
  return 'expected https (http to a loopback address alone), file:// and an absolute path, or a path';
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
