/** What no schema can say of the process configuration: which keys go together, and which addresses may be trusted. */
import { isAbsolute, normalize } from 'node:path';
import type { Config, VerifierConfig } from './config-shape.ts';
import { networkProblem } from './invoke/remote-address.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** What is wrong with a configuration that its schema cannot say; each begins with the key. */
export function problemsOf({
  database,
  tls,
  network,
  auth,
  issuer,
  attestation,
  credentials,
  cli,
}: Config): string[] {
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
  for (const [index, proxy] of network.trusted_proxies.entries()) {
    const problem = networkProblem(proxy);
    if (problem !== null) problems.push(`spec.network.trusted_proxies[${index}]: ${problem}`);
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
  if (issuer.transit !== null && issuer.key_file !== null)
    problems.push('spec.issuer: key_file and transit: the key is in one place');
  if (issuer.transit !== null && credentials.openbao.addr === null)
    problems.push('spec.issuer.transit needs spec.credentials.openbao.addr');
  const names = new Set<string>();
  for (const [index, verifier] of attestation.verifiers.entries()) {
    const at = `spec.attestation.verifiers[${index}]`;
    if (issuer.key_file === null && issuer.transit === null)
      problems.push(`${at} needs spec.issuer.key_file or spec.issuer.transit: sessions get a token`);
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
  container_label: ['label', 'container_file', 'allow'],
} as const;

function verifierProblems(verifier: VerifierConfig): string[] {
  const wanted: readonly string[] = VERIFIER_KEYS[verifier.type];
  const given = Object.keys(verifier).filter((key) => key !== 'name' && key !== 'type');
  const problems = [
    ...wanted.filter((key) => !given.includes(key)).map((key) => `.${key} is missing`),
    ...given.filter((key) => !wanted.includes(key)).map((key) => `.${key} is not for ${verifier.type}`),
  ];
  const file = 'container_file' in verifier ? verifier.container_file : '/x';
  if (!isAbsolute(file) || normalize(file) !== file || file.endsWith('/'))
    problems.push('.container_file: expected an absolute path without dot segments');
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
