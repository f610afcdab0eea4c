/**
 * The floor, a process of its own: what a call cannot do without, and nothing else. A bare node:http server that
 * checks the same two signatures in the thread pool, writes one row that is on the disk before it goes on, asks the
 * same upstream through undici and answers. No canonical form, no claims but the time, no policy, no schema, no
 * template, no outcome event, no error but "no".
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import type { Key } from './envelopes.ts';
import { openPostgresRows, openRows } from './floor-rows.ts';

export interface FloorOptions {
  readonly upstream: string;
  /** A SQLite file, or the URL of a Postgres database. */
  readonly database: string;
  readonly issuer: Key;
  readonly agent: Key;
}

await serve(JSON.parse(process.argv[2] ?? '') as FloorOptions);

async function serve({ upstream, database, issuer, agent }: FloorOptions): Promise<void> {
  const rows = database.startsWith('postgres:') ? await openPostgresRows(database) : openRows(database);
  const issuerKey = createPublicKey({ key: issuer.public_jwk, format: 'jwk' });
  const agentKey = createPublicKey({ key: agent.public_jwk, format: 'jwk' });
  const dispatcher = new Agent({ connections: 128, pipelining: 1 });

  const answer = async (incoming: IncomingMessage): Promise<string> => {
    const { payload, security_token, signature, timestamp } = JSON.parse(await text(incoming));
    const seconds = Math.floor(Date.parse(timestamp) / 1000);
    const message = JSON.stringify({ payload, security_token, timestamp: seconds });
    const dot = security_token.lastIndexOf('.');
    const input = security_token.slice(0, dot);
    const [envelopeFits, tokenFits] = await Promise.all([
      fits(message, agentKey, Buffer.from(signature, 'base64')),
      fits(input, issuerKey, Buffer.from(security_token.slice(dot + 1), 'base64url')),
    ]);
    const claims = JSON.parse(Buffer.from(input.slice(input.indexOf('.') + 1), 'base64url').toString());
    if (!envelopeFits || !tokenFits || claims.exp * 1000 <= Date.now()) throw new Error('no');
    await rows.insert(claims.jti, JSON.stringify({ sub: claims.sub, tool: payload.params.name, signature }));
    const email = encodeURIComponent(payload.params.arguments.email);
    const reply = await get(dispatcher, upstream, `/customers?email=${email}`);
    const { data } = JSON.parse(reply) as { data: { name: string }[] };
    return JSON.stringify({ id: payload.id, result: { customer: data[0]?.name } });
  };

  const server = createServer({ keepAliveTimeout: 65_000 }, (incoming, response) => {
    answer(incoming).then(
      (reply) => {
        const length = Buffer.byteLength(reply);
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': length });
        response.end(reply);
      },
      (error: Error) =>
        response.writeHead(500, { 'content-length': error.message.length }).end(error.message),
    );
  });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
}

function text(incoming: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => resolve(Buffer.concat(chunks).toString()));
    incoming.on('error', reject);
  });
}

/** undici's `request` would make a stream of each reply; this is the shortest way through it. */
function get(dispatcher: Dispatcher, origin: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    dispatcher.dispatch(
      { origin, path, method: 'GET' },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_, chunk) => void chunks.push(chunk),
        onResponseEnd: () => resolve(Buffer.concat(chunks).toString()),
        onResponseError: (_, error) => reject(error),
      },
    );
  });
}

function fits(message: string, key: KeyObject, signature: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, Buffer.from(message), key, signature, (error, good) =>
      error === null ? resolve(good) : reject(error),
    );
  });
}
