/** Everything that this gateway gets credentials from, built from its configuration and closed with it. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import type { Config } from '../config-shape.ts';
import type { Log } from '../log.ts';
import { createHumanDelegated } from './human-delegated.ts';
import { createLeaseKeeper, type LeaseKeeper, type LeaseNotes } from './lease.ts';
import { createOpenBao, isWell, type OpenBao, type OpenBaoStatus } from './openbao.ts';
import type { OpenBaoAuth } from './openbao-login.ts';
import type { Tenancy } from './openbao-path.ts';
import { createTransitKey, type TransitKey, type TransitOptions } from './openbao-transit.ts';
import { unavailable } from './problem.ts';
import type { CredentialProviders } from './resolve.ts';
import { Secret } from './secret.ts';
import { createSecretEnvironment } from './secret-environment.ts';
import { createSecretFiles } from './secret-files.ts';
import { createReadSecret, createStaticRef } from './static-ref.ts';
import { createSystemJit } from './system-jit.ts';
import { createTokenExchange, type TokenExchange } from './token-exchange.ts';
import { type Bindings, createUserBound } from './user-bound.ts';
import type { VerifyUser } from './user-token.ts';

type Settings = Config['credentials'];
type OpenBaoSettings = Settings['openbao'];

export interface SourcesDeps {
  /** `credentials` of gateway.yaml. */
  readonly settings: Settings;
  /** Secrets of `credentials.env`; null: it is not switched on. */
  readonly variables: Readonly<Record<string, string>> | null;
  /** null: no issuer of users' tokens is configured. */
  readonly verifyUser: VerifyUser | null;
  readonly leases: LeaseNotes;
  /** null: the store keeps none. */
  readonly bindings: Bindings | null;
  /** The run of this gateway, for its leases. */
  readonly holder: string;
  /** Milliseconds that a call may last. */
  readonly longest_call_ms: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** For `/v1/status`: no secret, and nothing that helps to get one. */
export interface CredentialStatus {
  readonly openbao: OpenBaoStatus | null;
  /** Made for development: secrets lie on this machine. */
  readonly development_providers: readonly ('files' | 'env')[];
  /** Leases in use or still to be revoked. */
  readonly open_leases: number;
}

export interface CredentialSources {
  readonly providers: CredentialProviders;
  /** A key that signs in OpenBao. Throws CREDENTIAL_UNAVAILABLE without a server, or for names that are no path. */
  transitKey(named: Pick<TransitOptions, 'mount' | 'key'>): TransitKey;
  status(): CredentialStatus;
  /** Why the gateway should get no calls; null: nothing speaks against it. */
  notReady(): string | null;
  close(): Promise<void>;
}

/** Throws the error of the system when a certificate or key file cannot be read. */
export function createSources(deps: SourcesDeps): CredentialSources {
  const { settings, clock, log } = deps;
  const openbao = connect(settings.openbao, { clock, log });
  const leases = openbao === null ? null : createLeaseKeeper({ ...deps, openbao, notes: deps.leases });
  const exchange = exchangeOf(settings.token_exchange);
  const development = [
    ...(settings.files.dir === null ? [] : ['files' as const]),
    ...(deps.variables === null ? [] : ['env' as const]),
  ];
  if (development.length > 0) {
    log.warn({ providers: development }, 'DEVELOPMENT: secrets come from this machine, not from OpenBao');
  }
  return {
    providers: providersOf(deps, openbao, leases, exchange),
    transitKey(named) {
      if (openbao === null) throw unavailable('no OpenBao is configured (credentials.openbao.addr)');
      return createTransitKey({ openbao, namespace: settings.openbao.namespace, ...named });
    },
    status: () => ({
      openbao: openbao?.status() ?? null,
      development_providers: development,
      open_leases: leases?.open() ?? 0,
    }),
    notReady() {
      if (openbao === null || !settings.openbao.gates_readiness) return null;
      const { health, logged_in } = openbao.status();
      if (!isWell(health)) return `OpenBao is ${health}`;
      return logged_in ? null : 'the gateway is not logged in to OpenBao';
    },
    async close() {
      await leases?.close();
      await exchange?.close();
      await openbao?.close();
    },
  };
}

/** null: no server is configured. Throws the error of the system when a file of its TLS cannot be read. */
export function connect(settings: OpenBaoSettings, deps: { clock: Clock; log: Log }): OpenBao | null {
  if (settings.addr === null) return null;
  const { addr, cluster_addrs, timeout_ms, namespace, ca_file, cert_file, key_file } = settings;
  const tls = { ca: pem(ca_file), cert: pem(cert_file), key: pem(key_file) };
  return createOpenBao(
    { addr, cluster_addrs, timeout_ms, namespace, tls, auth: authOf(settings.auth) },
    deps,
  );
}

function providersOf(
  { settings, variables, verifyUser, bindings, clock }: SourcesDeps,
  openbao: OpenBao | null,
  leases: LeaseKeeper | null,
  exchange: TokenExchange | null,
): CredentialProviders {
  const {
    tenancy: by,
    tenant_prefix: prefix,
    namespace,
    kv_mount: mount,
    kv_version: version,
  } = settings.openbao;
  const tenancy: Tenancy = { namespace, by, prefix };
  const read = openbao === null ? null : createReadSecret({ openbao, tenancy, mount, version });
  return {
    ...(settings.files.dir !== null && { static_ref: createSecretFiles(settings.files.dir, prefix) }),
    ...(variables !== null && { static_ref: createSecretEnvironment(variables) }),
    ...(read !== null && { static_ref: createStaticRef(read, clock) }),
    ...(openbao !== null && leases !== null && { system_jit: createSystemJit({ openbao, leases, tenancy }) }),
    ...(exchange !== null &&
      verifyUser !== null && {
        human_delegated: createHumanDelegated({ exchange: exchange.exchange, verify: verifyUser, clock }),
      }),
    ...(read !== null &&
      bindings !== null && {
        user_bound: createUserBound({ bindings, read, verify: verifyUser, clock, ...settings.user_bound }),
      }),
  };
}

function exchangeOf(settings: Settings['token_exchange']): TokenExchange | null {
  const { url, client_id, client_secret, client_auth, timeout_ms, ca_file } = settings;
  if (url === null || client_id === null || client_secret === null) return null;
  const secret = new Secret(client_secret);
  return createTokenExchange({
    url,
    client_id,
    client_secret: secret,
    client_auth,
    timeout_ms,
    ca: pem(ca_file),
  });
}

function authOf({ token, approle, kubernetes, jwt }: OpenBaoSettings['auth']): OpenBaoAuth {
  if (approle !== null) {
    const { mount, role_id, secret_id, secret_id_file } = approle;
    return {
      method: 'approle',
      mount,
      role_id,
      secret_id: secret_id_file == null ? new Secret(secret_id ?? '') : { file: secret_id_file },
    };
  }
  if (kubernetes !== null) return { method: 'kubernetes', ...kubernetes };
  if (jwt !== null) return { method: 'jwt', ...jwt };
  return { method: 'token', token: new Secret(token ?? '') };
}

function pem(file: string | null): string | null {
  return file === null ? null : readFileSync(file, 'utf8');
}
