/** Requests as bytes on a socket, for what no HTTP client would send. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Raw {
  readonly socket: Socket;
  /** All that came until the other side ended the connection. */
  readonly answer: Promise<string>;
}

/** Opens a connection and sends this; the test's end closes it. */
export async function sendRaw(url: string, text: string): Promise<Raw> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ''));
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  let came = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    came += chunk;
  });
  // A connection that is cut has ended too.
  socket.on('error', () => undefined);
  const answer = new Promise<string>((resolve) => socket.on('close', () => resolve(came)));
  if (text !== '') socket.write(text);
  return { socket, answer };
}
