/** Three gateways, one Postgres, a balancer before them: the example of a shared service as a whole. */
import { type Example, setUp } from '../crm/setup.ts';
import type { GatewayProcess } from '../gateway.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';

export interface Cluster {
  readonly postgres: PostgresServer;
  readonly example: Example;
  readonly gateways: readonly GatewayProcess[];
  readonly balancer: Balancer;
  /** One gateway more, with the same configuration. */
  addGateway(): Promise<GatewayProcess>;
  /** Stops everything, and removes what it has written. */
  close(): Promise<void>;
}

/** `prepare` may change the example's directory before its first gateway starts. */
export async function startCluster(
  size = 3,
  prepare: (example: Example) => void = () => {},
): Promise<Cluster> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const postgres = await startPostgres();
    closers.push(() => postgres.close());
    const example = await setUp({ database: postgres.url });
    closers.push(() => example.close());
    prepare(example);
    const gateways: GatewayProcess[] = [];
    closers.push(() => Promise.all(gateways.map((gateway) => gateway.stop())));
    const addGateway = async (): Promise<GatewayProcess> => {
      const gateway = await example.startGateway();
      gateways.push(gateway);
      return gateway;
    };
    // All at once: one of them makes the tables, the others wait for it.
    await Promise.all(Array.from({ length: size }, addGateway));
    const balancer = await startBalancer(() => gateways.map(({ url }) => url));
    closers.push(() => balancer.close());
    return { postgres, example, gateways, balancer, addGateway, close };
  } catch (error) {
    await close();
    throw error;
  }
}
