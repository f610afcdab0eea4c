/** An example of CLI tools as a whole, in a directory of its own: fresh development keys, its manifests, the gateway. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importJWK, type JWK } from 'jose';
import { generateKeyPair, SealClient } from '../src/client.ts';
import { issuerManifest, signToken, startGateway } from './crm/setup.ts';

export interface CliExample {
  /** A client that acts in this security context. */
  client(context: string): SealClient;
  close(): Promise<void>;
}

export interface CliExampleOptions {
  /** Its folder below examples/. */
  readonly name: string;
  /** The engine, as `cli.container_host` has it. */
  readonly address: string;
  /** Text of the manifests -> what stands there in this run. */
  readonly replace: Readonly<Record<string, string>>;
  readonly mount_roots: readonly string[];
  readonly networks?: readonly string[];
}

export async function setUpCli(options: CliExampleOptions): Promise<CliExample> {
  const { name, address, replace, mount_roots, networks = [] } = options;
  const dir = mkdtempSync(join(tmpdir(), `seal-${name}-`));
  const manifests = join(dir, 'gateway.d');
  cpSync(new URL(`${name}/gateway.d`, import.meta.url), manifests, { recursive: true });
  for (const file of readdirSync(manifests)) {
    const text = Object.entries(replace).reduce(
      (whole, [from, to]) => whole.replaceAll(from, to),
      readFileSync(join(manifests, file), 'utf8'),
    );
    writeFileSync(join(manifests, file), text);
  }
  const issuer = await generateKeyPair();
  const agent = await generateKeyPair();
  writeFileSync(join(manifests, 'issuer.yaml'), issuerManifest(issuer, agent, '*'));
  mkdirSync(join(dir, 'data'), { mode: 0o700 });
  const spec = {
    manifests: { dir: manifests },
    network: {
      bind_addr: '127.0.0.1:0',
      control_bind_addr: '127.0.0.1:0',
      metrics_bind_addr: '127.0.0.1:0',
    },
    auth: { development: true },
    database: { url: `sqlite://${join(dir, 'data', 'gateway.db')}` },
    cli: { container_host: address, mount_roots, networks },
  };
  writeFileSync(
    join(dir, 'gateway.yaml'),
    JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig', spec }),
  );
  const key = await importJWK({ ...issuer.jwk, d: issuer.private_key } as JWK, 'EdDSA');
  const gateway = await startGateway(dir);
  return {
    client: (context) =>
      new SealClient({
        gateway_url: gateway.url,
        private_key: agent.private_key,
        security_token: () => signToken(key, { scp: context }),
      }),
    async close() {
      await gateway.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
