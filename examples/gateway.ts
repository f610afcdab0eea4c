/** What every example needs: a directory of its own with fresh development keys, and the gateway as a process over it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { importJWK, type JWK, SignJWT } from 'jose';
import { generateKeyPair, type KeyPair, SealClient } from '../src/client.ts';

const MAIN = new URL('../src/main.ts', import.meta.url).pathname;
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

export interface ExampleGateway {
  /** Holds gateway.yaml, gateway.d and data. */
  readonly dir: string;
  /** The URL of its store. */
  readonly database: string;
  readonly agent: KeyPair;
  /** A new security token, signed with the key of the example's issuer. */
  token(claims?: TokenClaims): Promise<string>;
  /** Starts it; several when they share a store. */
  startGateway(): Promise<GatewayProcess>;
  /** A client whose every call has a token of its own. */
  client(gateway: { readonly url: string }, claims?: TokenClaims): SealClient;
  /** Removes the directory. */
  remove(): void;
}

export interface ExampleGatewayOptions {
  /** In the name of its directory. */
  readonly name: string;
  /** The folder of manifests that it runs on a copy of. */
  readonly manifests: string;
  /** Text of the manifests -> what stands there in this run. */
  readonly replace: Readonly<Record<string, string>>;
  /** What tokens may name as their context: names, or patterns. */
  readonly contexts: readonly string[];
  /** The context of a token that is told none. */
  readonly context?: string;
  /** The URL of its store; a SQLite file in its directory unless told. */
  readonly database?: string | undefined;
  /** Sections of gateway.yaml beside those that every example has. */
  readonly configuration?: object;
}

export async function createExampleGateway(options: ExampleGatewayOptions): Promise<ExampleGateway> {
  const { name, manifests, replace, contexts, context, configuration = {} } = options;
  const dir = mkdtempSync(join(tmpdir(), `seal-${name}-`));
  const { database = `sqlite://${join(dir, 'data', 'gateway.db')}` } = options;
  const copy = join(dir, 'gateway.d');
  cpSync(manifests, copy, { recursive: true });
  for (const file of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.yaml')) replaceIn(join(copy, file), replace);
  }
  const issuer = await generateKeyPair();
  const agent = await generateKeyPair();
  writeJson(join(copy, 'issuer.yaml'), issuerManifest(issuer, agent, contexts));
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  writeJson(
    join(dir, 'gateway.yaml'),
    processConfiguration(dir, { database: { url: database }, ...configuration }),
  );
  const key = await importJWK({ ...issuer.jwk, d: issuer.private_key } as JWK, 'EdDSA');
  const token = (claims: TokenClaims = {}) => signToken(key, context, claims);
  return {
    dir,
    database,
    agent,
    token,
    startGateway: () => startGateway(dir),
    client: ({ url }, claims) =>
      new SealClient({
        gateway_url: url,
        private_key: agent.private_key,
        security_token: () => token(claims),
      }),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function replaceIn(file: string, replace: Readonly<Record<string, string>>): void {
  const before = readFileSync(file, 'utf8');
  const after = Object.entries(replace).reduce((text, [from, to]) => text.replaceAll(from, to), before);
  if (after !== before) writeFileSync(file, after);
}

/** JSON is YAML. */
function writeJson(file: string, value: object): void {
  writeFileSync(file, JSON.stringify(value, undefined, 2));
}

function issuerManifest(issuer: KeyPair, agent: KeyPair, contexts: readonly string[]): object {
  return {
    apiVersion: 'seal.gateway/v1',
    kind: 'TokenIssuer',
    metadata: { name: 'demo' },
    spec: {
      issuer: ISSUER,
      audience: 'seal-gateway',
      algorithms: ['EdDSA'],
      jwks: { inline: { keys: [{ ...issuer.jwk, kid: 'demo-issuer' }] } },
      envelope_keys: { inline: { keys: [{ ...agent.jwk, kid: 'demo-agent' }] } },
      replay: 'token',
      allowed_security_contexts: contexts,
    },
  };
}

function processConfiguration(dir: string, more: object): object {
  const free = '127.0.0.1:0';
  return {
    apiVersion: 'seal.gateway/v1',
    kind: 'GatewayConfig',
    spec: {
      manifests: { dir: join(dir, 'gateway.d') },
      network: { bind_addr: free, control_bind_addr: free, metrics_bind_addr: free },
      auth: { development: true },
      ...more,
    },
  };
}

function signToken(
  key: Parameters<SignJWT['sign']>[0],
  context: string | undefined,
  { ttl = 300, sub = 'demo-agent', ...claims }: TokenClaims,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ ...(context !== undefined && { scp: context }), ...claims })
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
async function startGateway(dir: string): Promise<GatewayProcess> {
  const ready = join(dir, `ready-${crypto.randomUUID()}.json`);
  const config = join(dir, 'gateway.yaml');
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', config, '--ready-file', ready], {
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
