/**
 * A server on loopback that answers the steps of a workflow under test with canned replies, in order. Requests are
 * what they would be otherwise, their URLs too, but every connection ends here.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';

export interface CannedReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly disconnect?: boolean;
}

export interface CannedUpstream {
  /** Sends to the canned replies of this step, whatever the origin of the request. */
  dispatcherOf(step: string): Dispatcher;
  /** What is wrong with the test itself; null: nothing, so far. */
  problem(): string | null;
  /** The steps whose replies are not used up. */
  left(): string[];
  close(): Promise<void>;
}

/** Tells the server whose request it is; no upstream ever sees it. */
const STEP_HEADER = 'x-canned-step';

export async function serveCanned(
  replies: Readonly<Record<string, readonly CannedReply[]>>,
): Promise<CannedUpstream> {
  const queues = new Map(Object.entries(replies).map(([step, list]) => [step, [...list]]));
  let problem: string | null = null;
  const server = createServer((request, response) => {
    const step = String(request.headers[STEP_HEADER]);
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
  const agent = new Agent({ connect: connectorTo((server.address() as AddressInfo).port) });
  return {
    dispatcherOf: (step) =>
      agent.compose((dispatch) => (options, handler) => {
        const headers = { ...(options.headers as Record<string, string>), [STEP_HEADER]: step };
        return dispatch({ ...options, headers }, handler);
      }),
    problem: () => problem,
    left: () => [...queues].filter(([, list]) => list.length > 0).map(([step]) => step),
    async close() {
      await agent.destroy();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Dials the server in plain HTTP for every origin, also for those with https. */
function connectorTo(port: number): buildConnector.connector {
  const connect = buildConnector({ allowH2: false });
  return (_target, callback) =>
    connect({ protocol: 'http:', hostname: '127.0.0.1', host: '127.0.0.1', port: String(port) }, callback);
}

/** Throws for a header that is none. */
function send(response: ServerResponse, { status = 200, headers = {}, body, disconnect }: CannedReply): void {
  if (disconnect === true) return void response.destroy();
  const own = new Headers(headers);
  const json = body !== undefined && !own.has('content-type');
  if (json) own.set('content-type', 'application/json');
  response.writeHead(status, Object.fromEntries(own));
  response.end(body === undefined ? '' : json || typeof body !== 'string' ? JSON.stringify(body) : body);
}
