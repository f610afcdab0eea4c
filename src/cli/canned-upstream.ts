/** A server on loopback that answers the steps of a workflow under test with canned replies, in order. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CannedReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface CannedUpstream {
  readonly port: number;
  /** What is wrong with the test itself; null: nothing, so far. */
  problem(): string | null;
  /** The steps whose replies are not used up. */
  left(): string[];
  close(): Promise<void>;
}

/** The first part of a request's path is its step. */
export async function serveCanned(
  replies: Readonly<Record<string, readonly CannedReply[]>>,
): Promise<CannedUpstream> {
  const queues = new Map(Object.entries(replies).map(([step, list]) => [step, [...list]]));
  let problem: string | null = null;
  const server = createServer((request, response) => {
    const step = decodeURIComponent(request.url?.split(/[/?]/)[1] ?? '');
    const reply = queues.get(step)?.shift();
    try {
      if (reply === undefined) throw new Error('the test has too few replies');
      send(response, reply);
    } catch (error) {
      problem ??= `step ${step}: ${(error as Error).message}`;
      response.writeHead(501).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    problem: () => problem,
    left: () => [...queues].filter(([, list]) => list.length > 0).map(([step]) => step),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Throws for a header that is none. */
function send(response: ServerResponse, { status = 200, headers = {}, body }: CannedReply): void {
  const own = new Headers(headers);
  const json = body !== undefined && !own.has('content-type');
  if (json) own.set('content-type', 'application/json');
  response.writeHead(status, Object.fromEntries(own));
  response.end(body === undefined ? '' : json || typeof body !== 'string' ? JSON.stringify(body) : body);
}
