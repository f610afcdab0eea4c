/** A way to Postgres that can be cut at the worst moment. */
import { createServer, connect as dial, type Socket } from 'node:net';

export interface CuttingProxy {
  readonly url: string;
  /** Cuts the connection that commits next: before the server has it, or after, with its answer. */
  cutNextCommit(when: 'before' | 'after'): void;
  /** Resolves when a cut has happened. */
  cut(): Promise<void>;
  /** Holds back what the server answers from now on, until {@link CuttingProxy.release}. */
  hold(): void;
  release(): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(url: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let next: 'before' | 'after' | null = null;
  let told: () => void = () => {};
  let happened = Promise.resolve();
  let held: (() => void)[] | null = null;

  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname);
    let deaf = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        // What was sent to the server is to arrive.
        upstream.end();
      });
    }
    client.on('data', (chunk) => {
      if (next !== null && chunk.includes('gateway_commit')) {
        const when = next;
        next = null;
        if (when === 'after') {
          deaf = true;
          upstream.write(chunk);
        } else {
          client.destroy();
          told();
        }
        return;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (deaf) {
        // The server has answered, so it is done; nobody will hear of it.
        client.destroy();
        told();
      } else if (held !== null) {
        held.push(() => client.write(chunk));
      } else {
        client.write(chunk);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = new URL(url);
  way.port = String((server.address() as { port: number }).port);
  return {
    url: way.href,
    cutNextCommit(when) {
      next = when;
      happened = new Promise((resolve) => {
        told = resolve;
      });
    },
    cut: () => happened,
    hold() {
      held = [];
    },
    release() {
      for (const send of held ?? []) send();
      held = null;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
