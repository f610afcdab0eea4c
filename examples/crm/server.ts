/** A small CRM on node:http, the upstream of the demo. `node examples/crm/server.ts [port]` starts it alone. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Crm {
  readonly url: string;
  /** Every request so far, such as `GET /customers?email=a%40b.example`. */
  readonly requests: readonly string[];
  /** Notes written so far. */
  readonly notes: readonly { customer_id: string; text: string; count?: number }[];
  close(): Promise<void>;
}

const CUSTOMERS = [
  { id: 'c-1', name: 'Ada Lovelace', email: 'ada@example.com' },
  { id: 'c-2', name: 'Charles Babbage', email: 'charles@example.com' },
];

/** Twelve invoices of Ada, newest first; the last ten make 1234.50. */
const AMOUNTS = [199.9, 50.1, 300, 20.25, 79.75, 120, 80.5, 150, 100, 134, 999, 1];
const INVOICES = AMOUNTS.map((amount, index) => ({
  id: `i-${AMOUNTS.length - index}`,
  amount,
  issued_at: `2026-${String(12 - index).padStart(2, '0')}-01`,
}));

/** Starts the CRM on loopback; port 0 binds a free one. */
export async function startCrm(port = 0): Promise<Crm> {
  const requests: string[] = [];
  const notes: { customer_id: string; text: string; count?: number }[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    answer(request, response, notes).catch((error: Error) => send(response, 400, { error: error.message }));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    notes,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  notes: { customer_id: string; text: string; count?: number }[],
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://crm');
  const [, collection, id, inner] = url.pathname.split('/');
  const route = `${request.method} ${inner ?? (id === undefined ? collection : `${collection}/:id`)}`;
  if (route === 'GET openapi.yaml') {
    response.writeHead(200, { 'content-type': 'application/yaml' });
    response.end(readFileSync(new URL('crm.openapi.yaml', import.meta.url)));
  } else if (route === 'GET customers') {
    send(response, 200, { data: CUSTOMERS.filter((c) => c.email === url.searchParams.get('email')) });
  } else if (!CUSTOMERS.some((c) => c.id === id)) {
    send(response, 404, { error: 'no such customer' });
  } else if (route === 'GET invoices') {
    const limit = Number(url.searchParams.get('limit') ?? 20);
    send(response, 200, { data: id === 'c-1' ? INVOICES.slice(0, limit) : [] });
  } else if (route === 'POST notes') {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    notes.push({ customer_id: String(id), ...JSON.parse(Buffer.concat(chunks).toString()) });
    send(response, 201, { id: `n-${notes.length}` });
  } else if (route === 'DELETE customers/:id') {
    response.writeHead(204).end();
  } else {
    send(response, 405, { error: 'not allowed' });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

if (import.meta.main) {
  const crm = await startCrm(Number(process.argv[2] ?? 9001));
  console.log(`The CRM listens at ${crm.url}; its document is at ${crm.url}/openapi.yaml`);
}
