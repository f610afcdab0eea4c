/**
 * The example as a whole, in a directory of its own: stand-ins of OpenBao and of the users' identity provider, the API
 * behind, PostgreSQL for the bindings, and the gateway as a process.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createLocalJWKSet,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
  jwtVerify,
  SignJWT,
} from 'jose';
import { run } from '../../src/cli/program.ts';
import { createEnvelope, generateKeyPair, SealClient, type SealEnvelope } from '../../src/client.ts';
import { CLIENT, type OidcServer, startOidc } from '../../test/support/oidc.ts';
import { type OpenBaoStandIn, startOpenBao } from '../../test/support/openbao.ts';
import { startPostgres } from '../cluster/postgres.ts';
import { type GatewayProcess, startGateway } from '../crm/setup.ts';
import { type Ledger, startLedger } from './server.ts';

const HERE = new URL('.', import.meta.url).pathname;
const ISSUER = 'https://issuer.demo.invalid';
const KEYS = { gateway: 'ledger-key-of-the-gateway', olga: 'ledger-key-of-olga' } as const;
const SECRET_ID = 'secret-id-of-the-example';

export interface Example {
  /** Holds gateway.yaml, gateway.d and data. */
  readonly dir: string;
  readonly bao: OpenBaoStandIn;
  readonly oidc: OidcServer;
  readonly ledger: Ledger;
  /** `database.url` of the gateway. */
  readonly database: string;
  startGateway(): Promise<GatewayProcess>;
  /** A client whose every call has a token of its own. */
  client(gateway: { readonly url: string }): SealClient;
  /** A signed call, ready to send. */
  sign(tool: string): Promise<SealEnvelope>;
  /** Runs `seal-gateway`; resolves to what it printed. */
  cli(...argv: string[]): Promise<string>;
  close(): Promise<void>;
}

/** `database`: the gateway's; a PostgreSQL of its own unless told, for without it there are no bindings. */
export async function setUp(database?: (dir: string) => string): Promise<Example> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const dir = mkdtempSync(join(tmpdir(), 'seal-credentials-'));
    closers.push(() => rmSync(dir, { recursive: true, force: true }));
    const bao = await startOpenBao();
    closers.push(() => bao.close());
    furnish(bao);
    const oidc = await startOidc({ audiences: ['ledger'] });
    closers.push(() => oidc.close());
    const keys = createLocalJWKSet((await (await fetch(oidc.jwks_uri)).json()) as JSONWebKeySet);
    // A token is looked at once: the example is about the gateway.
    const bearers = new Map<string, Promise<string | null>>();
    const ledger = await startLedger({
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
    });
    closers.push(() => ledger.close());
    let url = database?.(dir);
    if (url === undefined) {
      const postgres = await startPostgres();
      closers.push(() => postgres.close());
      url = postgres.url;
    }
    const { agent, token } = await writeGateway(dir, ledger.url, configuration(dir, url, bao, oidc));
    return {
      dir,
      bao,
      oidc,
      ledger,
      database: url,
      startGateway: () => startGateway(dir),
      client: (gateway) =>
        new SealClient({ gateway_url: gateway.url, private_key: agent.private_key, security_token: token }),
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

async function writeGateway(dir: string, ledger_url: string, config: object) {
  const issuer = await generateKeyPair();
  const agent = await generateKeyPair();
  const manifests = join(dir, 'gateway.d');
  cpSync(join(HERE, 'gateway.d'), manifests, { recursive: true });
  const apis = join(manifests, 'apis.yaml');
  writeFileSync(apis, readFileSync(apis, 'utf8').replaceAll('http://127.0.0.1:9002', ledger_url));
  const trust = {
    apiVersion: 'seal.gateway/v1',
    kind: 'TokenIssuer',
    metadata: { name: 'demo' },
    spec: {
      issuer: ISSUER,
      audience: 'seal-gateway',
      algorithms: ['EdDSA'],
      jwks: { inline: { keys: [{ ...issuer.jwk, kid: 'demo' }] } },
      envelope_keys: { inline: { keys: [agent.jwk] } },
      allowed_security_contexts: ['ledger-*'],
    },
  };
  writeFileSync(join(manifests, 'issuer.yaml'), JSON.stringify(trust));
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  writeFileSync(join(dir, 'gateway.yaml'), JSON.stringify(config));
  const key = await importJWK({ ...issuer.jwk, d: issuer.private_key } as JWK, 'EdDSA');
  const token = () =>
    new SignJWT({ scp: 'ledger-read' })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'demo' })
      .setIssuer(ISSUER)
      .setAudience('seal-gateway')
      .setSubject('demo-agent')
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(key);
  return { agent, token };
}

function configuration(dir: string, url: string, bao: OpenBaoStandIn, oidc: OidcServer): object {
  const any = '127.0.0.1:0';
  return {
    apiVersion: 'seal.gateway/v1',
    kind: 'GatewayConfig',
    spec: {
      manifests: { dir: join(dir, 'gateway.d') },
      network: { bind_addr: any, control_bind_addr: any, metrics_bind_addr: any },
      auth: { development: true },
      database: { url },
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
