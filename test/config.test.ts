import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConfigError, containerHosts, environment, loadConfig, secretVariables } from '../src/config.ts';

/** The settings that the gateway cannot be without. */
const DEFAULTS = {
  manifests: { dir: './gateway.d' },
  network: { bind_addr: '127.0.0.1:8089', control_bind_addr: '127.0.0.1:8090', trusted_proxies: [] },
  tls: { cert_file: null, key_file: null, client_ca_file: null },
  database: { url: 'sqlite://data/gateway.db' },
  audit: { retention_days: 90, rejections_per_minute: 60 },
  auth: {
    development: false,
    operator_jwks_uri: null,
    operator_jwt_issuer: null,
    operator_jwt_audience: 'seal-gateway',
    operator_role_claim: 'aegis_role',
    operator_roles: ['aegis:admin', 'aegis:operator'],
    operator_security_context: null,
  },
  reconcile: {
    watch: 'auto',
    resync_seconds: 30,
    policy: 'keep-last-good',
    git: null,
    verify: null,
  },
  limits: {
    body_bytes: 1_048_576,
    header_timeout_ms: 5000,
    call_timeout_ms: 60_000,
    max_in_flight: 512,
    drain_ms: 10_000,
    per_remote_address: { calls: 6000, per_seconds: 60 },
  },
  log: { level: 'info' },
};

function scratch(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'seal-config-')));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A file with this text. */
function written(text: string, directory = scratch(), name = 'gateway.yaml'): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

/** The text of a configuration with these lines below `spec`. */
const withSpec = (...lines: string[]): string =>
  ['apiVersion: seal.gateway/v1', 'kind: GatewayConfig', 'spec:', ...lines.map((line) => `  ${line}`)].join(
    '\n',
  );

const load = (text: string, env: Record<string, string> = {}) => loadConfig(written(text), env);

/** The problems, without the place that begins each. */
function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  return placedProblemsOf(text, env).map((problem) =>
    problem.replace(/^(FILE(:\d+:\d+)?|environment variable \w+): /, ''),
  );
}

/** The problems, with FILE for the path of the file. */
function placedProblemsOf(text: string, env: Record<string, string> = {}): string[] {
  const file = written(text);
  try {
    loadConfig(file, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems.map((problem) => problem.replace(file, 'FILE'));
  }
  throw new Error('it was loaded');
}

/** Works in this directory until the test ends. */
function workIn(directory: string): void {
  const before = process.cwd();
  process.chdir(directory);
  onTestFinished(() => process.chdir(before));
}

describe('defaults', () => {
  test('are the page of the design', () => {
    expect(load('apiVersion: seal.gateway/v1\nkind: GatewayConfig\n').config).toMatchObject(DEFAULTS);
    expect(load(withSpec()).config).toMatchObject(DEFAULTS);
  });

  test('fill what a group does not say', () => {
    const { config } = load(withSpec('limits: {body_bytes: 2048}'));
    expect(config).toMatchObject({ ...DEFAULTS, limits: { ...DEFAULTS.limits, body_bytes: 2048 } });
  });

  test('and all else are frozen, at every depth, and one load does not see another', () => {
    const { config } = load(withSpec('log: {level: debug}'));
    expect(() => Object.assign(config, { log: null })).toThrow(TypeError);
    expect(() => Object.assign(config.limits, { body_bytes: 1 })).toThrow(TypeError);
    expect(load(withSpec()).config.log.level).toBe('info');
  });
});

describe('the file', () => {
  test('of the option comes first, then the one of the environment, then ./gateway.yaml, then none', () => {
    const directory = scratch();
    const level = (name: string, value: string) =>
      written(withSpec(`log: {level: ${value}}`), directory, name);
    const option = level('option.yaml', 'debug');
    const named = level('named.yaml', 'warn');
    const env = { SEAL_GATEWAY_CONFIG_PATH: named };
    workIn(directory);
    expect(loadConfig(undefined, {})).toMatchObject({ file: null, config: DEFAULTS });
    const here = level('gateway.yaml', 'error');
    expect(loadConfig(option, env)).toMatchObject({ file: option, config: { log: { level: 'debug' } } });
    expect(loadConfig(undefined, env)).toMatchObject({ file: named, config: { log: { level: 'warn' } } });
    expect(loadConfig(undefined, {})).toMatchObject({ file: here, config: { log: { level: 'error' } } });
  });

  test('that is named must be there', () => {
    const missing = join(scratch(), 'no.yaml');
    expect(() => loadConfig(missing, {})).toThrow(`${missing}: cannot be read: ENOENT`);
    expect(() => loadConfig(undefined, { SEAL_GATEWAY_CONFIG_PATH: missing })).toThrow(ConfigError);
  });

  test('that is there but cannot be read is not passed over', () => {
    const directory = scratch();
    workIn(directory);
    loadConfig(undefined, {});
    written('', directory);
    expect(() => loadConfig(undefined, {})).toThrow(ConfigError);
  });

  test.each([
    ['an empty file', '', 'expected a mapping with apiVersion, kind and spec'],
    ['a list', '- 1', 'expected a mapping with apiVersion, kind and spec'],
    ['another kind', 'apiVersion: seal.gateway/v1\nkind: Tenant', 'kind must be equal to constant'],
    ['no kind', 'apiVersion: seal.gateway/v1', "the document must have required property 'kind'"],
    [
      'a spec that is a text',
      'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: x',
      'spec must be object',
    ],
    [
      'a spec that is a list',
      'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: []',
      'spec must be object',
    ],
    ['a group that is a text', withSpec('log: debug'), 'spec.log must be object'],
  ])('%s is refused', (_, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  test.each([
    ['a duplicate key', 'a: 1\na: 2', 'Map keys must be unique'],
    ['bad syntax', 'a: [1', 'Flow sequence'],
    ['two documents', 'a: 1\n---\nb: 2', 'multiple documents'],
    ['an unknown tag', 'a: !secret x', 'Unresolved tag'],
    ['an alias', withSpec('log: &a {level: info}', 'ui: *a'), 'aliases are not accepted'],
  ])('%s is no YAML for it', (_, text, problem) => {
    expect(problemsOf(text).join()).toContain(problem);
  });

  test('is read as YAML 1.2: no is a text', () => {
    expect(problemsOf(withSpec('ui: {enabled: no}'))).toEqual(['spec.ui.enabled must be boolean']);
  });
});

describe('a key', () => {
  test.each([
    ['extra: 1', 'spec.extra: there is no such key; see docs/reference/configuration.md'],
    ['network: {bind_adr: x}', 'spec.network.bind_adr: there is no such key; did you mean bind_addr?'],
    ['__proto__: {a: 1}', 'spec.__proto__: there is no such key; see docs/reference/configuration.md'],
  ])('that is not known is an error: %s', (line, problem) => {
    expect(problemsOf(withSpec(line))).toEqual([problem]);
  });

  test('beside spec that is not known is an error', () => {
    expect(problemsOf(`${withSpec()}\nspecs: {}`)).toEqual([
      'specs: there is no such key; did you mean spec?',
    ]);
  });

  test.each([
    ['limits: {body_bytes: "1024"}', 'spec.limits.body_bytes must be integer'],
    ['limits: {body_bytes: 1}', 'spec.limits.body_bytes must be >= 1024'],
    [
      'log: {level: loud}',
      'spec.log.level must be equal to one of the allowed values: debug, info, warn, error, silent',
    ],
    ['network: {bind_addr: "8089"}', expect.stringMatching(/^spec\.network\.bind_addr must match pattern/)],
    ['network: {bind_addr: "127.0.0.1:70000"}', 'spec.network.bind_addr: port 70000 is over 65535'],
    [
      'network: {control_bind_addr: "127.0.0.1:70000"}',
      'spec.network.control_bind_addr: port 70000 is over 65535',
    ],
    [
      'auth: {operator_jwks_uri: /etc/jwks.json}',
      'spec.auth: operator_jwks_uri and operator_jwt_issuer go together',
    ],
    [
      'auth: {operator_jwt_issuer: "https://id.example"}',
      'spec.auth: operator_jwks_uri and operator_jwt_issuer go together',
    ],
    ['auth: {operator_roles: []}', 'spec.auth.operator_roles must NOT have fewer than 1 items'],
    [
      'auth: {operator_role_claim: ""}',
      'spec.auth.operator_role_claim must NOT have fewer than 1 characters',
    ],
    ['tls: {cert_file: a.pem}', 'spec.tls: cert_file and key_file go together'],
    ['tls: {key_file: a.pem}', 'spec.tls: cert_file and key_file go together'],
    ['tls: {client_ca_file: a.pem}', 'spec.tls.client_ca_file needs cert_file and key_file'],
    [
      'network: {trusted_proxies: [10.0.0.0/8, proxy.example]}',
      'spec.network.trusted_proxies[1]: expected an address, or a network such as 10.0.0.0/8',
    ],
    [
      'network: {trusted_proxies: [10.0.0.0/40]}',
      'spec.network.trusted_proxies[0]: the network of /40 is over /32',
    ],
  ])('with a value that cannot be is an error: %s', (line, problem) => {
    expect(problemsOf(withSpec(line))).toEqual([problem]);
  });

  test.each<[string, string, Record<string, string>, string[]]>([
    ['a value', withSpec('log:', '  level: loud'), {}, ['FILE:5:5: spec.log.level must be equal to one of']],
    ['a key that is none', withSpec('network:', '  bind_adr: x'), {}, ['FILE:5:5: spec.network.bind_adr: ']],
    [
      'one in a flow',
      withSpec('limits: {drain_ms: 1, body_bytes: 1}'),
      {},
      ['FILE:4:25: spec.limits.body_bytes must'],
    ],
    ['an entry of a list', withSpec('auth:', '  operator_roles:', '    - a', '    - 7'), {}, ['FILE:7:9: ']],
    ['what no schema can say', withSpec('', 'tls: {cert_file: a.pem}'), {}, ['FILE:5:3: spec.tls: ']],
    ['what is missing', 'apiVersion: seal.gateway/v1', {}, ['FILE: the document must']],
    ['what is no YAML', 'a: 1\nb: [1', {}, ['FILE:2:6: ']],
    [
      'the environment',
      withSpec('log: {level: info}'),
      { SEAL_GATEWAY_LOG_LEVEL: 'loud' },
      ['environment variable SEAL_GATEWAY_LOG_LEVEL: spec.log.level must be'],
    ],
    [
      'the environment, by its short name',
      withSpec(),
      { SEAL_GATEWAY_DB: 'mysql://x' },
      ['environment variable SEAL_GATEWAY_DB: spec.database.url: '],
    ],
  ])('is told with its place: %s', (_what, text, env, starts) => {
    const problems = placedProblemsOf(text, env);
    expect(problems).toEqual(starts.map((start) => expect.stringContaining(start)));
    for (const [index, start] of starts.entries()) expect(problems[index]!.startsWith(start)).toBe(true);
  });

  test('all of them are told at once', () => {
    const lines = ['limits: {body_bytes: 1, drain_ms: -1}', 'log: {level: loud}', 'extra: 1'];
    expect(problemsOf(withSpec(...lines))).toHaveLength(4);
    expect(problemsOf(withSpec('tls: {cert_file: a}', 'database: {url: x}'))).toHaveLength(2);
  });

  test.each(['[::1]:8089', 'localhost:0', '0.0.0.0:65535'])('bind_addr may be %s', (address) => {
    const { config } = load(withSpec(`network: {bind_addr: "${address}"}`));
    expect(config.network.bind_addr).toBe(address);
  });
});

describe('the database', () => {
  test.each(['mysql://me:hunter2@db/x', 'hunter2', 'sqlite://', 'sqlite:x.db'])(
    'cannot be %s, and the error keeps what may be a password',
    (url) => {
      const [problem = '', ...more] = problemsOf(withSpec(`database: {url: "${url}"}`));
      expect(more).toEqual([]);
      expect(problem).toMatch(/^spec\.database\.url: .*; use sqlite:\/\/ and a path/);
      expect(problem).not.toContain('hunter2');
    },
  );

  test.each(['postgres://me:hunter2@db/x', 'postgresql://db/x?sslmode=verify-full'])('may be %s', (url) => {
    expect(load(withSpec(`database: {url: "${url}"}`)).config.database.url).toBe(url);
  });

  test.each([
    ['postgres://me:hunter2@db', 'names no database'],
    ['postgres://me:hun/ter2@db/x', 'is no URL'],
  ])('cannot be %s: it %s', (url, reason) => {
    const [problem = '', ...more] = problemsOf(withSpec(`database: {url: "${url}"}`));
    expect(more).toEqual([]);
    expect(problem).toContain(reason);
    expect(problem).not.toMatch(/hun.?ter2/);
  });
});

describe("the operators' keys", () => {
  const withKeys = (uri: string): string =>
    withSpec(`auth: {operator_jwks_uri: ${JSON.stringify(uri)}, operator_jwt_issuer: "https://id.example"}`);

  test.each([
    'https://id.example/jwks',
    'http://127.0.0.1:8080/jwks',
    'http://localhost/jwks',
    'http://[::1]:1/jwks',
    'file:///etc/seal/jwks.json',
    '/etc/seal/jwks.json',
    './jwks.json',
  ])('may come from %s', (uri) => {
    expect(load(withKeys(uri)).config.auth.operator_jwks_uri).toBe(uri);
  });

  test.each([
    ['http://id.example/jwks', /^expected https/],
    ['http://127.0.0.1.evil.example/jwks', /^expected https/],
    ['ftp://id.example/jwks', /^expected https/],
    ['file://host/jwks', /^expected https/],
    ['https://me:hunter2@id.example/jwks', /^a URL with a user or password is not fetched$/],
    ['https://', /^this is no URL$/],
    ['{"keys": []}', /^the text of a key set; write a path/],
  ])('but not from %s', (uri, problem) => {
    const [text = '', ...more] = problemsOf(withKeys(uri));
    expect(more).toEqual([]);
    expect(text.replace('spec.auth.operator_jwks_uri: ', '')).toMatch(problem);
    expect(text).not.toContain('hunter2');
  });
});

describe('what workloads prove themselves with', () => {
  const verifiers = (...list: string[]) =>
    withSpec(
      'issuer: {key_file: /k}',
      `attestation: {verifiers: [${list.map((one) => `{${one}}`).join(', ')}]}`,
    );
  const allow = 'allow: [{subject: "*", security_contexts: ["*"]}]';
  const jwt = `issuer: "https://id.example", audience: a, jwks_uri: /jwks.json, ${allow}`;
  const label = `name: c, type: container_label, label: l, ${allow}`;

  test('is of four kinds', () => {
    const kinds = [
      'name: a, type: enrollment_token, file: /e.json',
      `name: b, type: oidc, ${jwt}`,
      `name: c, type: kubernetes, ${jwt}`,
      `${label.replace('name: c', 'name: d')}, container_file: /run/seal.pub`,
    ];
    expect(load(verifiers(...kinds)).config.attestation.verifiers).toHaveLength(4);
  });

  test.each([
    [verifiers('name: a, type: enrollment_token'), 'verifiers[0].file is missing'],
    [verifiers(`name: a, type: enrollment_token, file: /e, ${allow}`), '.allow is not for enrollment_token'],
    [verifiers(label), '.container_file is missing'],
    [verifiers(`${label}, container_file: seal.pub`), '.container_file: expected an absolute path'],
    [verifiers(`${label}, container_file: /run/../seal.pub`), '.container_file: expected an absolute path'],
    [verifiers(`${label}, container_file: /run/`), '.container_file: expected an absolute path'],
    [verifiers(`${label}, container_file: /x, issuer: i`), '.issuer is not for container_label'],
    [verifiers(`name: a, type: oidc, ${jwt}`, `name: a, type: oidc, ${jwt}`), '.name: a is taken'],
    [verifiers(`name: a, type: oidc, ${jwt.replace('/jwks.json', 'http://id.example')}`), 'expected https'],
  ])('%s is an error', (text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)]);
  });

  test('needs a key to sign the tokens of the sessions with', () => {
    const text = withSpec('attestation: {verifiers: [{name: a, type: enrollment_token, file: /e}]}');
    expect(problemsOf(text)).toEqual([expect.stringContaining('needs spec.issuer.key_file')]);
  });
});

describe('credentials', () => {
  const openbao = (more: string) =>
    withSpec(`credentials: {openbao: {addr: "https://bao.example", ${more}}}`);
  const exchange = (more: string) => withSpec(`credentials: {token_exchange: {${more}}}`);
  const users = 'user_issuer: a, user_audience: b, user_jwks_uri: "https://id.example/jwks"';

  test.each([
    openbao('auth: {token: x}'),
    openbao('auth: {approle: {role_id: r, secret_id: s}}'),
    openbao('auth: {approle: {role_id: r, secret_id_file: /s}}'),
    openbao('auth: {kubernetes: {role: r}}'),
    openbao('auth: {jwt: {role: r, jwt_file: /j}}'),
    withSpec('credentials: {openbao: {addr: "http://127.0.0.1:8200", auth: {token: x}}}'),
    exchange(`url: "https://id.example/token", client_id: c, client_secret: s, ${users}`),
    exchange(users),
    withSpec('credentials: {files: {dir: /secrets}}'),
    withSpec('credentials: {env: {prefix: MY_SECRET_}}'),
  ])('%s', (text) => {
    expect(load(text).warnings).toEqual([]);
  });

  test.each([
    [withSpec('credentials: {openbao: {addr: "http://bao.example", auth: {token: x}}}'), /expected https/],
    [
      withSpec('credentials: {openbao: {addr: "https://me:pw@bao.example", auth: {token: x}}}'),
      /user or password is not used/,
    ],
    [
      withSpec('credentials: {openbao: {addr: "https://bao.example/v1", auth: {token: x}}}'),
      /an origin, without a path/,
    ],
    [openbao(''), /exactly one of token, approle, kubernetes, jwt/],
    [openbao('auth: {token: x, kubernetes: {role: r}}'), /exactly one of/],
    [openbao('auth: {approle: {role_id: r}}'), /one of secret_id and secret_id_file/],
    [openbao('auth: {kubernetes: {}}'), /must have required property 'role'/],
    [openbao('auth: {token: x}, cert_file: /c'), /cert_file and key_file go together/],
    [openbao('auth: {token: x}, cluster_addrs: ["http://other.example"]'), /expected https/],
    [openbao('auth: {token: x}, kv_mount: "../x"'), /kv_mount must match pattern/],
    [openbao('auth: {token: x}, namespace: "a/../b"'), /namespace must match pattern/],
    [
      withSpec('credentials: {openbao: {addr: "https://bao.example", auth: {token: x}}, files: {dir: /s}}'),
      /static secrets come from one place/,
    ],
    [withSpec('credentials: {env: {prefix: lower_}}'), /prefix must match pattern/],
    [exchange(`url: "http://id.example/token", client_id: c, client_secret: s, ${users}`), /expected https/],
    [exchange(`url: "https://id.example/token", ${users}`), /client_id and client_secret are needed/],
    [
      exchange('url: "https://id.example/token", client_id: c, client_secret: s'),
      /user_issuer, user_audience and user_jwks_uri are needed/,
    ],
    [exchange('user_issuer: a'), /go together/],
  ])('%s is refused', (text, problem) => {
    expect(problemsOf(text).join('\n')).toMatch(problem);
  });

  test('come from the environment by their short names, and by whole ones at any depth', () => {
    const env = {
      SEAL_GATEWAY_OPENBAO_ADDR: 'https://bao.example',
      SEAL_GATEWAY_OPENBAO_TOKEN: 's.token',
      SEAL_GATEWAY_OPENBAO_KV_MOUNT: 'kv',
      SEAL_GATEWAY_CREDENTIALS_OPENBAO_KV_VERSION: '1',
      SEAL_GATEWAY_CREDENTIALS_OPENBAO_GATES_READINESS: 'true',
    };
    const { config, warnings } = load(withSpec('log: {level: info}'), env);
    expect(warnings).toEqual([]);
    expect(config.credentials.openbao).toMatchObject({
      addr: 'https://bao.example',
      auth: { token: 's.token' },
      kv_mount: 'kv',
      kv_version: 1,
      gates_readiness: true,
    });
  });

  test('of the environment are the variables with the prefix, and no others', () => {
    expect(secretVariables('MY_', { MY_A: '1', MY_B__C: '2', OTHER: '3', XMY_D: '4' })).toEqual({
      A: '1',
      B__C: '2',
    });
  });
});

describe('where writes become proposals', () => {
  test('a repository is enough; the rest has defaults', () => {
    expect(load(withSpec('control: {git: {repo: /srv/config.git}}')).config.control.git).toEqual({
      ...{ repo: '/srv/config.git', base: 'main', path: '', branch_prefix: 'seal-gateway/' },
      cache_dir: 'data/proposals',
    });
  });

  test.each([
    'base: -x',
    'base: a..b',
    'base: "a b"',
    'branch_prefix: /a',
    'branch_prefix: "a//"',
    'repo: --upload-pack=x',
  ])('no %s', (line) => {
    const [problem] = problemsOf(
      withSpec(`control: {git: {repo: x, ${line}}}`.replace('repo: x, repo', 'repo')),
    );
    expect(problem).toContain(`spec.control.git.${line.split(':')[0]} must match`);
  });
});

describe('what this version has not', () => {
  test.each([
    ['network: {grpc_bind_addr: "0.0.0.0:1"}', 'network.grpc_bind_addr'],
    ['ui: {enabled: false}', 'ui'],
  ])('is warned of where nothing depends on it: %s', (line, key) => {
    const { warnings } = load(withSpec(line));
    expect(warnings).toEqual([
      expect.stringMatching(new RegExp(`: spec\\.${key} has no effect in this version$`)),
    ]);
  });

  test('is no matter when it says what is so anyway', () => {
    const lines = ['reconcile: {policy: keep-last-good, git: null}', 'auth: {development: false}', 'ui: {}'];
    expect(load(withSpec(...lines)).warnings).toEqual([]);
  });
});

describe('the environment', () => {
  test.each([
    ['SEAL_GATEWAY_DATABASE_URL', 'sqlite://b.db', { database: { url: 'sqlite://b.db' } }],
    ['SEAL_GATEWAY_DB', 'sqlite://c.db', { database: { url: 'sqlite://c.db' } }],
    [
      'SEAL_GATEWAY_NETWORK_BIND_ADDR',
      '0.0.0.0:1',
      { network: { ...DEFAULTS.network, bind_addr: '0.0.0.0:1' } },
    ],
    ['SEAL_GATEWAY_BIND', '0.0.0.0:2', { network: { ...DEFAULTS.network, bind_addr: '0.0.0.0:2' } }],
    [
      'SEAL_GATEWAY_NETWORK_CONTROL_BIND_ADDR',
      '0.0.0.0:3',
      { network: { ...DEFAULTS.network, control_bind_addr: '0.0.0.0:3' } },
    ],
    ['SEAL_GATEWAY_AUTH_DEVELOPMENT', 'true', { auth: { ...DEFAULTS.auth, development: true } }],
    ['SEAL_GATEWAY_AUTH_OPERATOR_ROLES', 'a, b', { auth: { ...DEFAULTS.auth, operator_roles: ['a', 'b'] } }],
    ['SEAL_GATEWAY_MANIFESTS_DIR', '/m', { manifests: { dir: '/m' } }],
    ['SEAL_GATEWAY_LIMITS_BODY_BYTES', '4096', { limits: { ...DEFAULTS.limits, body_bytes: 4096 } }],
    [
      'SEAL_GATEWAY_RECONCILE_RESYNC_SECONDS',
      '0.5',
      { reconcile: { ...DEFAULTS.reconcile, resync_seconds: 0.5 } },
    ],
    ['SEAL_GATEWAY_RECONCILE_WATCH', 'poll', { reconcile: { ...DEFAULTS.reconcile, watch: 'poll' } }],
    ['SEAL_GATEWAY_LOG_LEVEL', 'silent', { log: { level: 'silent' } }],
  ])('%s=%s is a setting', (name, value, changed) => {
    expect(load(withSpec(), { [name]: value })).toMatchObject({
      config: { ...DEFAULTS, ...changed },
      warnings: [],
    });
  });

  test('wins over the file, and a whole name over its short one', () => {
    const text = withSpec('database: {url: "sqlite://a.db"}', 'limits: {drain_ms: 1}');
    const env = { SEAL_GATEWAY_DATABASE_URL: 'sqlite://long.db', SEAL_GATEWAY_DB: 'sqlite://short.db' };
    for (const entries of [Object.entries(env), Object.entries(env).reverse()]) {
      const { config } = load(text, Object.fromEntries(entries));
      expect(config.database.url).toBe('sqlite://long.db');
      expect(config.limits.drain_ms).toBe(1);
    }
  });

  test('works without any file', () => {
    workIn(scratch());
    const { config } = loadConfig(undefined, { SEAL_GATEWAY_LOG_LEVEL: 'warn' });
    expect(config).toMatchObject({ ...DEFAULTS, log: { level: 'warn' } });
  });

  test.each([
    ['SEAL_GATEWAY_LIMITS_BODY_BYTES', 'many', 'spec.limits.body_bytes must be integer'],
    ['SEAL_GATEWAY_LIMITS_BODY_BYTES', '1.2.3', 'spec.limits.body_bytes must be integer'],
    ['SEAL_GATEWAY_UI_ENABLED', 'yes', 'spec.ui.enabled must be boolean'],
    ['SEAL_GATEWAY_LOG_LEVEL', '', expect.stringContaining('spec.log.level must be equal to one of')],
  ])('%s=%s is as wrong as in the file', (name, value, problem) => {
    expect(problemsOf(withSpec(), { [name]: value })).toEqual([problem]);
  });

  test('may be a list, and a number that may be absent', () => {
    const { config, warnings } = load(withSpec('limits: {per_remote_address: {calls: null}}'), {
      SEAL_GATEWAY_NETWORK_TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1',
      SEAL_GATEWAY_LIMITS_PER_REMOTE_ADDRESS_PER_SECONDS: '10',
    });
    expect(warnings).toEqual([]);
    expect(config.network.trusted_proxies).toEqual(['10.0.0.0/8', '2001:db8::1']);
    expect(config.limits.per_remote_address).toEqual({ calls: null, per_seconds: 10 });
  });

  test('does not mend a group that is none', () => {
    expect(problemsOf(withSpec('log: loud'), { SEAL_GATEWAY_LOG_LEVEL: 'info' })).toEqual([
      'spec.log must be object',
    ]);
  });

  test.each([
    ['SEAL_GATEWAY_GRPC_BIND', '0.0.0.0:1', /spec\.network\.grpc_bind_addr has no effect/],
    ['SEAL_GATEWAY_UI_ENABLED', 'false', /spec\.ui has no effect/],
    [
      'SEAL_GATEWAY_SERVICE_HOST',
      '10.0.0.1',
      /^environment variable SEAL_GATEWAY_SERVICE_HOST names no setting/,
    ],
  ])('%s is known or ignored, and told either way', (name, value, warning) => {
    const { warnings, config } = load(withSpec(), { [name]: value });
    expect(warnings).toEqual([expect.stringMatching(warning)]);
    expect(config).toMatchObject(DEFAULTS);
  });

  test('of other programs, and the names of the program itself, are no matter', () => {
    const env = {
      HOME: '/',
      SEAL_GATEWAYS: 'x',
      SEAL_GATEWAY_URL: 'http://a.example',
      SEAL_GATEWAY_CONTROL_URL: 'http://b.example',
      SEAL_GATEWAY_OPERATOR_TOKEN: 'a.b.c',
    };
    expect(load(withSpec(), env).warnings).toEqual([]);
    expect(environment('SEAL_GATEWAY_URL', env)).toBe('http://a.example');
    expect(environment('SEAL_GATEWAY_URL', {})).toBeNull();
  });
});

describe('a reference', () => {
  test('env:NAME is the value of that variable', () => {
    const { config } = load(withSpec('database: {url: "env:DB"}'), { DB: 'sqlite://e.db' });
    expect(config.database.url).toBe('sqlite://e.db');
  });

  test('file:PATH is what the file holds, without the line end', () => {
    const secret = written('sqlite://f.db\n', scratch(), 'url');
    const { config } = load(withSpec(`database: {url: "file:${secret}"}`));
    expect(config.database.url).toBe('sqlite://f.db');
  });

  test('stands in the environment too', () => {
    const env = { SEAL_GATEWAY_DB: 'env:DB', DB: 'sqlite://g.db' };
    expect(load(withSpec(), env).config.database.url).toBe('sqlite://g.db');
  });

  test('gives a number where the key is one', () => {
    const { config } = load(withSpec('limits: {body_bytes: "env:BODY"}'), { BODY: '2048' });
    expect(config.limits.body_bytes).toBe(2048);
  });

  test('is not looked for in what it gives', () => {
    const env = { A: 'env:B', B: 'sqlite://h.db' };
    expect(problemsOf(withSpec('database: {url: "env:A"}'), env)).toEqual([
      expect.stringMatching(/^spec\.database\.url: /),
    ]);
  });

  test('to nothing is an error that names it, and all are told', () => {
    const missing = join(scratch(), 'no');
    const lines = ['database: {url: "env:NO_SUCH"}', `tls: {cert_file: "file:${missing}", key_file: k}`];
    expect(problemsOf(withSpec(...lines))).toEqual([
      'spec.database.url: environment variable NO_SUCH is not set',
      expect.stringContaining(`spec.tls.cert_file: ${missing} cannot be read: ENOENT`),
    ]);
  });
});

describe('the container engine', () => {
  const hosts = (env: NodeJS.ProcessEnv, container_host: string | null = null) =>
    containerHosts({ container_host }, env);

  test('is where the configuration says, and nowhere else', () => {
    expect(hosts({ DOCKER_HOST: 'unix:///b.sock' }, 'unix:///a.sock')).toEqual(['unix:///a.sock']);
  });

  test('else where the variables of the engines say', () => {
    expect(hosts({ DOCKER_HOST: 'unix:///b.sock', HOME: '/h' })).toEqual(['unix:///b.sock']);
    expect(hosts({ CONTAINER_HOST: 'unix:///c.sock' })).toEqual(['unix:///c.sock']);
  });

  test('else at one of the usual sockets, those of the user last', () => {
    expect(hosts({ HOME: '/h', XDG_RUNTIME_DIR: '/r' })).toEqual([
      'unix:///var/run/docker.sock',
      'unix:///run/podman/podman.sock',
      'unix:///r/docker.sock',
      'unix:///r/podman/podman.sock',
      'unix:///h/.docker/run/docker.sock',
    ]);
  });

  test.each([
    ['cli: {container_host: "tcp://10.0.0.1:2375"}', /container_host: tcp:\/\/ is not encrypted/],
    ['cli: {container_host: "ssh://host"}', /container_host must match pattern/],
    ['cli: {container_host: /var/run/docker.sock}', /container_host must match pattern/],
    ['cli: {mount_roots: [data]}', /mount_roots\[0\]: expected an absolute path/],
    ['cli: {semantic_judge_url: judge}', /semantic_judge_url: expected an absolute http or https URL/],
  ])('is refused where it cannot be right: %s', (line, message) => {
    expect(() => load(withSpec(line))).toThrow(message);
  });

  test('may be reached at a loopback address', () => {
    const { config } = load(withSpec('cli: {container_host: "tcp://127.0.0.1:2375"}'));
    expect(config.cli.container_host).toBe('tcp://127.0.0.1:2375');
  });
});
