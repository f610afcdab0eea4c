/**
 * The load generator, a process of its own: signs a round's calls first, then sends them over so many connections,
 * the next when the one before is answered. Bare sockets and prepared bytes, since what it uses up of the two cores
 * is missing from what is measured.
 */
import { createPrivateKey } from 'node:crypto';
import { connect } from 'node:net';
import { type Key, signedCall } from './envelopes.ts';

export interface Round {
  /** Connections go to these in turn. */
  readonly urls: readonly string[];
  readonly calls: number;
  readonly connections: number;
  readonly issuer: Key;
  readonly agent: Key;
  /** The tenant of the tokens; none unless told. */
  readonly tenant?: string;
}

export interface RoundResult {
  readonly elapsed_ms: number;
  /** One for each call, unordered. */
  readonly latencies_ms: readonly number[];
}

process.on('message', async (round: Round) => {
  try {
    process.send?.(await run(round));
  } catch (error) {
    process.send?.({ failure: error instanceof Error ? error.message : String(error) });
  }
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });

async function run({ urls, calls, connections, issuer, agent, tenant }: Round): Promise<RoundResult> {
  const targets = urls.map((url) => new URL(url));
  const [issuerKey, agentKey] = [issuer, agent].map(({ private_jwk }) =>
    createPrivateKey({ key: private_jwk, format: 'jwk' }),
  );
  const requests = Array.from({ length: calls }, (_, index) =>
    requestBytes(targets[0]!.host, signedCall(issuerKey!, agentKey!, index, tenant)),
  );
  const latencies_ms: number[] = [];
  let next = 0;
  const take = () => requests[next++];
  const started = performance.now();
  await Promise.all(
    Array.from({ length: connections }, (_, index) =>
      connection(targets[index % targets.length]!, take, (ms) => latencies_ms.push(ms)),
    ),
  );
  return { elapsed_ms: performance.now() - started, latencies_ms };
}

function requestBytes(host: string, body: string): Buffer {
  const head = [
    'POST /v1/invoke HTTP/1.1',
    `host: ${host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Sends one request after the other until there is none left. Rejects at the first answer that is not a 200. */
function connection(
  target: URL,
  take: () => Buffer | undefined,
  answered: (ms: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    let sent = 0;
    let text = '';
    const send = () => {
      const request = take();
      if (request === undefined) {
        socket.end();
        resolve();
        return;
      }
      text = '';
      sent = performance.now();
      socket.write(request);
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (!isWhole(text)) return;
      answered(performance.now() - sent);
      if (text.startsWith('HTTP/1.1 200 ')) return send();
      socket.destroy();
      reject(new Error(`${target.host} answered ${text}`));
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${target.host} closed a connection`)));
  });
}

/** Whether the whole reply is there: both servers say its length. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  if (length === undefined) throw new Error('a reply without a length');
  return text.length >= end + 4 + Number(length);
}
