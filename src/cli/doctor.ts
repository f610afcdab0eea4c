/** `seal-gateway doctor`: whether a gateway with this configuration would find all that it needs. It changes nothing. */
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { ConfigError, containerHosts, loadConfig } from '../config.ts';
import type { Config } from '../config-shape.ts';
import { isWell } from '../credentials/openbao.ts';
import { fileProblems } from '../credentials/secret-files.ts';
import { connect } from '../credentials/sources.ts';
import { createEngines } from '../execute/container-engine.ts';
import { silentLog } from '../log.ts';
import { openReader } from '../store/open.ts';
import { StoreOpenError } from '../store/store.ts';
import { CliError, type OutputOptions, print, table } from './output.ts';
import type { CliDeps } from './program.ts';
import { validateDirectory } from './validate.ts';

/** `warn`: it works, and somebody should know. */
export interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warn' | 'failed';
  readonly message: string;
}

type Check = (config: Config) => Promise<readonly Finding[]>;

const finding = (check: string, result: Finding['result'], message: string): Finding => ({
  check,
  result,
  message,
});

/** In the order that a start needs them. */
const CHECKS: readonly Check[] = [
  checkManifests,
  checkStore,
  checkOpenBao,
  checkTokenExchange,
  checkDevelopment,
  checkEngine,
];

export function addDoctor(program: Command, { console }: CliDeps): void {
  program
    .command('doctor')
    .description(
      'Check what a gateway needs: configuration, manifests, store, OpenBao, token exchange, container engine',
    )
    .option('--config <file>', 'gateway.yaml; else as serve finds it')
    .action(async (options: OutputOptions & { readonly config?: string }) => {
      const findings = await examine(options.config);
      const rows = findings.map(({ check, result, message }) => [result, check, message]);
      print(console, options, findings, table([['RESULT', 'CHECK', 'MESSAGE'], ...rows]));
      if (findings.some(({ result }) => result === 'failed')) throw new CliError('');
    });
}

/** Never rejects for what it finds. */
export async function examine(file: string | undefined): Promise<Finding[]> {
  let loaded: ReturnType<typeof loadConfig>;
  try {
    loaded = loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => finding('configuration', 'failed', problem));
  }
  const { config, warnings } = loaded;
  const found = [
    finding('configuration', 'ok', loaded.file ?? 'defaults'),
    ...warnings.map((warning) => finding('configuration', 'warn', warning)),
  ];
  for (const check of CHECKS) found.push(...(await check(config)));
  return found;
}

async function checkManifests({ manifests, reconcile, database }: Config): Promise<Finding[]> {
  if (reconcile.git !== null)
    return [finding('manifests', 'ok', `they come from ${reconcile.git.url}; not read here`)];
  try {
    const bindings = !database.url.startsWith('sqlite:');
    const { manifests: count, errors, warnings } = await validateDirectory(manifests.dir, { bindings });
    const said = `${manifests.dir}: ${count} manifests, ${errors} errors, ${warnings} warnings`;
    const result = errors > 0 ? 'failed' : warnings > 0 ? 'warn' : 'ok';
    return [
      finding('manifests', result, result === 'ok' ? said : `${said}; seal-gateway validate says which`),
    ];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [finding('manifests', 'failed', error.message)];
  }
}

async function checkStore({ database }: Config): Promise<Finding[]> {
  try {
    const reader = await openReader({ url: database.url });
    await reader.close();
    return [finding('store', 'ok', 'it can be read')];
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    if (error.reason === 'missing')
      return [finding('store', 'ok', 'there is none yet; the first start makes it')];
    return [finding('store', 'failed', error.message)];
  }
}

async function checkOpenBao({ credentials }: Config): Promise<Finding[]> {
  const { openbao: settings } = credentials;
  if (settings.addr === null) return [finding('openbao', 'ok', 'none is configured')];
  let openbao: ReturnType<typeof connect>;
  try {
    openbao = connect(settings, { clock: systemClock, log: silentLog });
  } catch (error) {
    return [finding('openbao', 'failed', `a file of its TLS cannot be read: ${(error as Error).message}`)];
  }
  if (openbao === null) return [];
  try {
    const { health, version, method, unreachable } = await openbao.check();
    const state = `${settings.addr} is ${health}${version === null ? '' : `, version ${version}`}`;
    if (unreachable !== null) return [finding('openbao', 'failed', `${settings.addr}: ${unreachable}`)];
    if (!isWell(health)) return [finding('openbao', 'failed', state)];
    const problem = await openbao.login();
    return [
      finding('openbao', 'ok', state),
      problem === null
        ? finding('openbao login', 'ok', `by ${method}`)
        : finding('openbao login', 'failed', problem),
    ];
  } finally {
    await openbao.close();
  }
}

async function checkTokenExchange({ credentials }: Config): Promise<Finding[]> {
  const { url, user_jwks_uri, timeout_ms } = credentials.token_exchange;
  const found = [
    finding(
      'token exchange',
      'ok',
      url === null ? 'none is configured' : `${url}; not asked here: it would exchange a token`,
    ),
  ];
  if (user_jwks_uri?.includes('://') && !user_jwks_uri.startsWith('file:')) {
    const problem = await keysProblem(user_jwks_uri, timeout_ms);
    const message = problem ?? `${user_jwks_uri} has keys`;
    found.push(finding('user keys', problem === null ? 'ok' : 'failed', message));
  }
  return found;
}

async function keysProblem(uri: string, timeout_ms: number): Promise<string | null> {
  try {
    const response = await fetch(uri, { redirect: 'manual', signal: AbortSignal.timeout(timeout_ms) });
    const { keys } = (await response.json()) as { keys?: unknown };
    return response.ok && Array.isArray(keys) && keys.length > 0
      ? null
      : `${uri} answers without keys (${response.status})`;
  } catch {
    return `${uri} cannot be fetched`;
  }
}

async function checkDevelopment({ auth, credentials }: Config): Promise<Finding[]> {
  const { files, env } = credentials;
  return [
    ...(auth.development
      ? [finding('development', 'warn', 'auth.development: everybody on this machine is an operator')]
      : []),
    ...(files.dir === null
      ? []
      : [
          finding('development', 'warn', `credentials.files: secrets are files below ${files.dir}`),
          ...(await fileProblems(files.dir)).map((problem) => finding('files', 'failed', problem)),
        ]),
    ...(env.prefix === null
      ? []
      : [finding('development', 'warn', `credentials.env: secrets are variables ${env.prefix}*`)]),
  ];
}

/** Whoever has no CLI tools needs no engine; one that was named by the configuration is wanted. */
async function checkEngine({ cli }: Config): Promise<Finding[]> {
  const engines = createEngines({ addresses: containerHosts(cli), log: silentLog });
  await engines.use().catch(() => {});
  const { name, version, address, error } = engines.state();
  if (error === null) return [finding('container engine', 'ok', `${name} ${version} at ${address}`)];
  const result = cli.container_host === null ? 'ok' : 'failed';
  return [finding('container engine', result, `there is none, so CLI tools answer 4002 (${error})`)];
}
