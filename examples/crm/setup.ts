/**
 * The example as a whole, in a directory of its own: the CRM, fresh development keys, the manifests of gateway.d, and
 * the gateway as a process. The demo and the tests run it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { importJWK, type JWK, SignJWT } from 'jose';
import { generateKeyPair, type KeyPair, SealClient } from '../../src/client.ts';
import { type Crm, startCrm } from './server.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const ISSUER = 'https://issuer.demo.invalid';

export interface TokenClaims {
  readonly scp?: string | readonly string[];
  readonly security_context?: string;
  readonly tenant_id?: string;
  readonly exec_id?: string;
  readonly sub?: string;
  /** Seconds until it expires; 300 unless told. */
  readonly ttl?: number;
}

export interface GatewayProcess {
  readonly url: string;
  /** The control listener, where whoever is on this machine is an operator. */
  readonly control_url: string;
  readonly process: ChildProcess;
  /** What it has logged so far. */
  log(): string;
  /** Its exit code, once it has ended; null: a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Ends it as an operator would; resolves to its exit code. */
  stop(): Promise<number | null>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

export interface Example {
  /** Holds gateway.yaml, gateway.d and data. */
  readonly dir: string;
  readonly crm: Crm;
  readonly agent: KeyPair;
  /** A new security token, signed with the key of the example's issuer. */
  token(claims?: TokenClaims): Promise<string>;
  startGateway(): Promise<GatewayProcess>;
  /** A client whose every call has a token of its own. */
  client(gateway: { readonly url: string }, claims?: TokenClaims): SealClient;
  close(): Promise<void>;
}

/**
 * Makes the directory and starts the CRM; the gateway is started by the caller, or several when they share a store.
 * `database`: the URL of that store; a SQLite file in the directory unless told.
 */
export async function setUp(database?: string): Promise<Example> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-crm-'));
  const crm = await startCrm();
  const issuer = await generateKeyPair();
  const agent = await generateKeyPair();
  const manifests = join(dir, 'gateway.d');
  cpSync(join(ROOT, 'gateway.d'), manifests, { recursive: true });
  const api = join(manifests, 'crm.yaml');
  writeFileSync(api, readFileSync(api, 'utf8').replace('http://127.0.0.1:9001', crm.url));
  writeFileSync(join(manifests, 'issuer.yaml'), issuerManifest(issuer, agent));
  writeFileSync(join(dir, 'gateway.yaml'), processConfiguration(dir, database));
  const signingKey = await importJWK({ ...issuer.jwk, d: issuer.private_key } as JWK, 'EdDSA');

  const token = (claims: TokenClaims = {}) => signToken(signingKey, claims);
  return {
    dir,
    crm,
    agent,
    token,
    startGateway: () => startGateway(dir),
    client: ({ url }, claims) =>
      new SealClient({
        gateway_url: url,
        private_key: agent.private_key,
        security_token: () => token(claims),
      }),
    async close() {
      await crm.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A new security token of the issuer of {@link issuerManifest}. */
export function signToken(key: Parameters<SignJWT['sign']>[0], claims: TokenClaims): Promise<string> {
  const { ttl = 300, sub = 'demo-agent', ...rest } = claims;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ scp: 'billing-read', ...rest })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'demo-issuer' })
    .setIssuer(ISSUER)
    .setAudience('seal-gateway')
    .setSubject(sub)
    .setJti(crypto.randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + ttl)
    .sign(key);
}

/** Runs the gateway of `<dir>/gateway.yaml`. */
export async function startGateway(dir: string): Promise<GatewayProcess> {
  const ready = join(dir, `ready-${crypto.randomUUID()}.json`);
  const config = join(dir, 'gateway.yaml');
  const main = join(ROOT, 'src/main.ts');
  const child = spawn(process.execPath, [main, 'serve', '--config', config, '--ready-file', ready], {
    cwd: dir,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  // Not 'exit': by then not all of its log need have come.
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const deadline = Date.now() + 20_000;
  while (!existsSync(ready)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`the gateway did not start:\n${log}`);
    }
    await sleep(20);
  }
  const { data, control } = JSON.parse(readFileSync(ready, 'utf8')) as { data: string; control: string };
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return await exited;
  };
  return {
    url: data,
    control_url: control,
    process: child,
    log: () => log,
    exited,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
    },
  };
}

/** An issuer whose tokens name contexts that match this pattern. */
export function issuerManifest(issuer: KeyPair, agent: KeyPair, contexts = 'billing-*'): string {
  return `apiVersion: seal.gateway/v1
kind: TokenIssuer
metadata: {name: demo}
spec:
  issuer: ${ISSUER}
  audience: seal-gateway
  algorithms: [EdDSA]
  jwks: {inline: {keys: [${JSON.stringify({ ...issuer.jwk, kid: 'demo-issuer' })}]}}
  envelope_keys: {inline: {keys: [${JSON.stringify({ ...agent.jwk, kid: 'demo-agent' })}]}}
  replay: token
  allowed_security_contexts: ["${contexts}"]
`;
}

function processConfiguration(dir: string, database?: string): string {
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  return `apiVersion: seal.gateway/v1
kind: GatewayConfig
spec:
  manifests: {dir: ${join(dir, 'gateway.d')}}
  network: {bind_addr: "127.0.0.1:0", control_bind_addr: "127.0.0.1:0", metrics_bind_addr: "127.0.0.1:0"}
  auth: {development: true}
  database: {url: "${database ?? `sqlite://${join(dir, 'data', 'gateway.db')}`}"}
`;
}
