/** An example of CLI tools as a whole: the gateway over its manifests, beside a container engine. */
import type { SealClient } from '../src/client.ts';
import { createExampleGateway } from './gateway.ts';

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
  const example = await createExampleGateway({
    name,
    manifests: new URL(`${name}/gateway.d`, import.meta.url).pathname,
    replace,
    contexts: ['*'],
    configuration: { cli: { container_host: address, mount_roots, networks } },
  });
  const gateway = await example.startGateway();
  return {
    client: (context) => example.client(gateway, { scp: context }),
    async close() {
      await gateway.stop();
      example.remove();
    },
  };
}
