/**
 * A client of one bare request, a process of its own as the gateway is: asked `{url, headers}`, it answers with the
 * milliseconds that a GET took until its whole reply was there.
 */
import { Agent, request } from 'undici';

export interface BareRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const agent = new Agent();

process.on('message', ({ url, headers }: BareRequest) => {
  const started = performance.now();
  request(url, { dispatcher: agent, headers })
    .then((reply) => reply.body.text())
    .then(() => process.send?.({ ms: performance.now() - started }));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
