/**
 * The example as a whole, in a directory of its own: stand-ins of OpenBao and of the users' identity provider, the API
 * behind, PostgreSQL for the bindings, and the gateway as a process.
 */

import { join } from 'node:path';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { run } from '../../src/cli/program.ts';
import { createEnvelope, type SealEnvelope } from '../../src/client.ts';
import { CLIENT, type OidcServer, startOidc } from '../../test/support/oidc.ts';
import { type OpenBaoStandIn, startOpenBao } from '../../test/support/openbao.ts';
import { startPostgres } from '../cluster/postgres.ts';
import { createExampleGateway, type ExampleGateway } from '../gateway.ts';
import { type Ledger, startLedger } from './server.ts';

const MANIFESTS = new URL('gateway.d', import.meta.url).pathname;
const KEYS = { gateway: 'ledger-key-of-the-gateway', olga: 'ledger-key-of-olga' } as const;
const SECRET_ID = 'secret-id-of-the-example';

export interface Example extends Omit<ExampleGateway, 'remove'> {
  readonly bao: OpenBaoStandIn;
  readonly oidc: OidcServer;
  readonly ledger: Ledger;
  /** Every secret that the gateway was given so far, from a server or by its configuration. */
  secrets(): readonly string[];
  /** A signed call, ready to send. */
  sign(tool: string): Promise<SealEnvelope>;
  /** Runs `seal-gateway`; resolves to what it printed. */
  cli(...argv: string[]): Promise<string>;
  close(): Promise<void>;
}

/** `store`: without PostgreSQL there are no bindings. */
export async function setUp(store: 'postgres' | 'sqlite' = 'postgres'): Promise<Example> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const bao = await startOpenBao();
    closers.push(() => bao.close());
    furnish(bao);
    const oidc = await startOidc({ audiences: ['ledger'] });
    closers.push(() => oidc.close());
    const ledger = await startLedger(await whoMayAsk(bao, oidc));
    closers.push(() => ledger.close());
    let database: string | undefined;
    if (store === 'postgres') {
      const postgres = await startPostgres();
      closers.push(() => postgres.close());
      database = postgres.url;
    }
    const { remove, ...gateway } = await createExampleGateway({
      name: 'credentials',
      manifests: MANIFESTS,
      replace: { 'http://127.0.0.1:9002': ledger.url },
      contexts: ['ledger-*'],
      context: 'ledger-read',
      database,
      configuration: configuration(bao, oidc),
    });
    closers.push(remove);
    const { agent, dir, token } = gateway;
    return {
      ...gateway,
      bao,
      oidc,
      ledger,
      secrets: () => [
        ...[KEYS.gateway, KEYS.olga, SECRET_ID, CLIENT.secret],
        ...bao.leases.map(({ data }) => String(data.password)),
      ],
      sign: async (tool) =>
        createEnvelope({ tool, security_token: await token(), private_key: agent.private_key }),
      cli: (...argv) => cli([...argv, '--config', join(dir, 'gateway.yaml')]),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whom the ledger lets in: the keys it has given out, the users that OpenBao has made for it, exchanged tokens. */
async function whoMayAsk(bao: OpenBaoStandIn, oidc: OidcServer): Promise<Parameters<typeof startLedger>[0]> {
  const keys = createLocalJWKSet((await (await fetch(oidc.jwks_uri)).json()) as JSONWebKeySet);
  // A token is looked at once: the example is about the gateway.
  const bearers = new Map<string, Promise<string | null>>();
  return {
    keys: { [KEYS.gateway]: 'the gateway', [KEYS.olga]: 'olga, by a binding' },
    lives: (password, username) =>
      bao
        .alive()
        .some(({ data }) => data.password === password && (username ?? data.username) === data.username),
    bearer(token) {
      const known = bearers.get(token) ?? userOf(token, oidc.issuer, keys);
      bearers.set(token, known);
      return known;
    },
  };
}

/** What an administrator of OpenBao sets up: engines, secrets, a policy that allows no more than is needed, a login. */
function furnish(bao: OpenBaoStandIn): void {
  bao.kv('secret', 2);
  bao.put('secret', 'ledger/api', { token: KEYS.gateway });
  bao.put('secret', 'users/olga/ledger', { token: KEYS.olga });
  bao.dynamic('database', { ttl: 600 });
  bao.policy('seal-gateway', {
    'secret/data/*': ['read'],
    'database/creds/ledger-reader': ['read'],
    'sys/leases/revoke': ['update'],
  });
  bao.login('approle', {
    policies: ['seal-gateway'],
    accepts: ({ role_id, secret_id }) => role_id === 'seal-gateway' && secret_id === SECRET_ID,
  });
}

/** The user of a token that is meant for the ledger; null: it is not. */
async function userOf(token: string, issuer: string, keys: JWTVerifyGetKey): Promise<string | null> {
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: 'ledger' });
    return `${payload.sub}, by an exchanged token`;
  } catch {
    return null;
  }
}

/** The sections of gateway.yaml that say where credentials come from. */
function configuration(bao: OpenBaoStandIn, oidc: OidcServer): object {
  return {
    credentials: {
      openbao: { addr: bao.url, auth: { approle: { role_id: 'seal-gateway', secret_id: SECRET_ID } } },
      token_exchange: {
        url: oidc.token_url,
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        user_issuer: oidc.issuer,
        user_audience: 'seal-gateway',
        user_jwks_uri: oidc.jwks_uri,
      },
      user_bound: { bind_url: 'https://connect.example/{provider}' },
    },
  };
}

async function cli(argv: readonly string[]): Promise<string> {
  let out = '';
  const console = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      out += text;
    },
  };
  const code = await run(argv, { startGateway: () => Promise.reject(new Error('not here')), console });
  if (code !== 0) throw new Error(`seal-gateway ${argv[0]} ended with ${code}: ${out}`);
  return out;
}
