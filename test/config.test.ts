import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConfigError, environment, loadConfig } from '../src/config.ts';

/** What design section 10 says of the settings that the gateway cannot be without. */
const DEFAULTS = {
  manifests: { dir: './gateway.d' },
  network: { bind_addr: '127.0.0.1:8089', control_bind_addr: '127.0.0.1:8090' },
  tls: { cert_file: null, key_file: null, client_ca_file: null },
  database: { url: 'sqlite://data/gateway.db' },
  auth: {
    development: false,
    operator_jwks_uri: null,
    operator_jwt_issuer: null,
    operator_jwt_audience: 'seal-gateway',
    operator_role_claim: 'aegis_role',
    operator_roles: ['aegis:admin', 'aegis:operator'],
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

/** The problems, without the name of the file that begins each. */
function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  const file = written(text);
  try {
    loadConfig(file, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems.map((problem) => {
      expect(problem).toContain(`${file}: `);
      return problem.slice(`${file}: `.length);
    });
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
    ['extra: 1', 'spec: unknown key extra; see docs/reference/configuration.md'],
    ['network: {bind_adr: x}', 'spec.network: unknown key bind_adr; see docs/reference/configuration.md'],
    ['__proto__: {a: 1}', 'spec: unknown key __proto__; see docs/reference/configuration.md'],
  ])('that is not known is an error: %s', (line, problem) => {
    expect(problemsOf(withSpec(line))).toEqual([problem]);
  });

  test('beside spec that is not known is an error', () => {
    expect(problemsOf(`${withSpec()}\nspecs: {}`)).toEqual([
      'the document: unknown key specs; see docs/reference/configuration.md',
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
  ])('with a value that cannot be is an error: %s', (line, problem) => {
    expect(problemsOf(withSpec(line))).toEqual([problem]);
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
  test.each(['postgres://me:hunter2@db/x', 'mysql://me:hunter2@db/x', 'hunter2', 'sqlite://', 'sqlite:x.db'])(
    'cannot be %s, and the error keeps what may be a password',
    (url) => {
      const [problem = '', ...more] = problemsOf(withSpec(`database: {url: "${url}"}`));
      expect(more).toEqual([]);
      expect(problem).toMatch(/^spec\.database\.url: .*; use sqlite:\/\/ and a path/);
      expect(problem).not.toContain('hunter2');
    },
  );
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
    ['cli: {max_concurrency: 2}', 'cli'],
    ['credentials: {openbao: {addr: "http://bao.example"}}', 'credentials'],
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

  test('does not mend a group that is none', () => {
    expect(problemsOf(withSpec('log: loud'), { SEAL_GATEWAY_LOG_LEVEL: 'info' })).toEqual([
      'spec.log must be object',
    ]);
  });

  test.each([
    ['SEAL_GATEWAY_GRPC_BIND', '0.0.0.0:1', /spec\.network\.grpc_bind_addr has no effect/],
    ['SEAL_GATEWAY_UI_ENABLED', 'false', /spec\.ui has no effect/],
    [
      'SEAL_GATEWAY_NETWORK_TRUSTED_PROXIES',
      '10.0.0.1, 10.0.0.2',
      /spec\.network\.trusted_proxies has no effect/,
    ],
    ['SEAL_GATEWAY_OPENBAO_ADDR', 'x', /^environment variable SEAL_GATEWAY_OPENBAO_ADDR has no effect/],
    [
      'SEAL_GATEWAY_SEMANTIC_JUDGE_URL',
      'x',
      /^environment variable SEAL_GATEWAY_SEMANTIC_JUDGE_URL has no effect/,
    ],
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
