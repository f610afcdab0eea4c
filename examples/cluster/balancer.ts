/**
 * The smallest load balancer that is one: it asks the gateways in turn, and leaves out those that are not ready. A request
 * that could not be sent goes to the next gateway; one that was sent is never sent again, for it may have been carried out.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Balancer {
  readonly url: string;
  /** The gateways that calls go to now. */
  ready(): readonly string[];
  close(): Promise<void>;
}

const PROBE_MS = 250;

/** `gateways`: their URLs, as they are at any time. */
export async function startBalancer(gateways: () => readonly string[]): Promise<Balancer> {
  let ready: string[] = [];
  let turn = 0;
  const probe = async (): Promise<void> => {
    const answers = await Promise.all(gateways().map(async (url) => ((await isReady(url)) ? [url] : [])));
    ready = answers.flat();
  };
  await probe();
  let probing = Promise.resolve();
  const timer = setInterval(() => {
    probing = probing.then(probe);
  }, PROBE_MS);

  const server = createServer(async (incoming, outgoing) => {
    const body = await bytesOf(incoming);
    turn += 1;
    const order = ready.map((_, index) => ready[(turn + index) % ready.length]!);
    for (const gateway of order) if (await forward(gateway, incoming, body, outgoing)) return;
    outgoing.writeHead(503, { 'content-type': 'application/json' });
    outgoing.end('{"status":"error","error":{"message":"no gateway is ready"}}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ready: () => ready,
    async close() {
      clearInterval(timer);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

/** Resolves to whether the request was answered; false: it never reached this gateway. */
function forward(
  gateway: string,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
  outgoing: ServerResponse,
): Promise<boolean> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(gateway);
    const out = request({ hostname, port, method, path: url, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      answer.once('error', () => outgoing.destroy());
      outgoing.once('close', () => resolve(true));
    });
    out.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') return resolve(false);
      outgoing.destroy();
      resolve(true);
    });
    out.end(body);
  });
}

async function bytesOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
