/** The upstream, a process of its own: one JSON reply for every request, at once or after `wait_ms` of the query. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const REPLY = JSON.stringify({
  data: [
    {
      id: 'c-1',
      name: 'Ada Lovelace',
      email: 'ada@example.com',
      created_at: '2026-02-17T14:32:01Z',
      open_invoices: 3,
    },
  ],
});

const server = createServer({ keepAliveTimeout: 65_000 }, ({ url = '' }, response) => {
  const answer = (): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': REPLY.length });
    response.end(REPLY);
  };
  const wait_ms = url.indexOf('wait_ms=');
  if (wait_ms < 0) answer();
  else setTimeout(answer, Number.parseInt(url.slice(wait_ms + 'wait_ms='.length), 10));
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
process.on('disconnect', () => process.exit());
