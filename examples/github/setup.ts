/**
 * The example as a whole, in a directory of its own: the stand-in for GitHub, fresh development keys, the manifests of
 * gateway.d, and the gateway as a process.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importJWK, type JWK, SignJWT } from 'jose';
import { generateKeyPair, type KeyPair, SealClient } from '../../src/client.ts';
import { type GatewayProcess, startGateway } from '../crm/setup.ts';
import { type GitHub, startGitHub } from './server.ts';

export const MANIFESTS = new URL('gateway.d', import.meta.url).pathname;
const ISSUER = 'https://issuer.demo.invalid';

export type Context = 'platform-bot' | 'issue-triage';

export interface Example {
  /** Holds gateway.yaml, gateway.d and data. */
  readonly dir: string;
  readonly github: GitHub;
  startGateway(): Promise<GatewayProcess>;
  /** A client whose every call has a token of its own, for this context. */
  client(gateway: { readonly url: string }, context: Context): SealClient;
  close(): Promise<void>;
}

/** Makes the directory and starts the stand-in; the gateway is started by the caller. */
export async function setUp(): Promise<Example> {
  const dir = mkdtempSync(join(tmpdir(), 'seal-github-'));
  const github = await startGitHub();
  const issuer = await generateKeyPair();
  const agent = await generateKeyPair();
  const manifests = join(dir, 'gateway.d');
  cpSync(MANIFESTS, manifests, { recursive: true });
  const api = join(manifests, 'github.yaml');
  writeFileSync(api, readFileSync(api, 'utf8').replaceAll('http://127.0.0.1:9002', github.url));
  writeFileSync(join(manifests, 'issuer.yaml'), issuerManifest(issuer, agent));
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  writeFileSync(join(dir, 'gateway.yaml'), processConfiguration(dir));
  const key = await importJWK({ ...issuer.jwk, d: issuer.private_key } as JWK, 'EdDSA');
  return {
    dir,
    github,
    startGateway: () => startGateway(dir),
    client: ({ url }, context) =>
      new SealClient({
        gateway_url: url,
        private_key: agent.private_key,
        security_token: () =>
          new SignJWT({ scp: context })
            .setProtectedHeader({ alg: 'EdDSA', kid: 'demo-issuer' })
            .setIssuer(ISSUER)
            .setAudience('seal-gateway')
            .setSubject('demo-agent')
            .setJti(crypto.randomUUID())
            .setIssuedAt()
            .setExpirationTime('5 minutes')
            .sign(key),
      }),
    async close() {
      await github.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function issuerManifest(issuer: KeyPair, agent: KeyPair): string {
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
  allowed_security_contexts: [platform-bot, issue-triage]
`;
}

function processConfiguration(dir: string): string {
  return `apiVersion: seal.gateway/v1
kind: GatewayConfig
spec:
  manifests: {dir: ${join(dir, 'gateway.d')}}
  network: {bind_addr: "127.0.0.1:0", control_bind_addr: "127.0.0.1:0", metrics_bind_addr: "127.0.0.1:0"}
  auth: {development: true}
  database: {url: "sqlite://${join(dir, 'data', 'gateway.db')}"}
`;
}
