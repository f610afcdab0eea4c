/** The API behind the example: it says as whom it sees a caller, by the credential that came, and never the credential. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Ledger {
  readonly url: string;
  /** As whom the calls came, in order. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

export interface LedgerOptions {
  /** API keys and whose they are. */
  readonly keys: Readonly<Record<string, string>>;
  /** Whether this user name and password live now; alone, whether somebody has this password. */
  readonly lives: (password: string, username?: string) => boolean;
  /** Whose bearer token this is; null: nobody's. */
  readonly bearer: (token: string) => Promise<string | null>;
}

export async function startLedger(options: LedgerOptions): Promise<Ledger> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    void whoIs(request, options).then((who) => {
      seen.push(who ?? 'nobody');
      response.writeHead(who === null ? 401 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(who === null ? { error: 'who are you?' } : { you_are: who }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function whoIs({ headers }: IncomingMessage, options: LedgerOptions): Promise<string | null> {
  const key = headers['x-api-key'];
  if (typeof key === 'string') return options.keys[key] ?? null;
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ');
  if (scheme === 'Basic') {
    const [username = '', password = ''] = Buffer.from(value, 'base64').toString().split(':');
    return options.lives(password, username) ? 'a user of this call' : null;
  }
  if (options.keys[value] !== undefined) return options.keys[value];
  return options.lives(value) ? 'a user of this call' : options.bearer(value);
}
