/** A listening HTTP or HTTPS server with time limits, and a close that drains. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';

export interface ListenerOptions {
  /** host:port; an IPv6 host in brackets; port 0 binds a free one. */
  readonly bind_addr: string;
  /** What the process configuration calls the address, for the message when it cannot be had. */
  readonly key?: string;
  readonly tls: {
    readonly cert_file: string | null;
    readonly key_file: string | null;
    readonly client_ca_file: string | null;
  };
  readonly header_timeout_ms: number;
  /** Milliseconds for the whole request to arrive. */
  readonly request_timeout_ms: number;
  readonly log: Log;
}

export interface Listener {
  /** Such as http://127.0.0.1:41234. */
  readonly url: string;
  /** Stops accepting, waits up to `drain_ms` for requests in flight, then cuts what is left. */
  close(drain_ms: number): Promise<void>;
}

/** The address cannot be had; the message says which setting names it, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Starts to listen. Rejects with {@link ListenError}, e.g. when the port is taken. */
export async function listen(handler: RequestListener, options: ListenerOptions): Promise<Listener> {
  const { host, port } = splitAddress(options.bind_addr);
  const { header_timeout_ms, request_timeout_ms, log } = options;
  const limits = {
    headersTimeout: header_timeout_ms,
    // Node refuses a request that may take less time than its headers.
    requestTimeout: Math.max(header_timeout_ms, request_timeout_ms),
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: Math.min(1_000, header_timeout_ms),
    maxHeaderSize: 32_768,
  };
  const { cert_file, key_file, client_ca_file } = options.tls;
  const secure = cert_file !== null && key_file !== null;
  const server: Server = secure
    ? createTlsServer(
        {
          ...limits,
          cert: readFileSync(cert_file),
          key: readFileSync(key_file),
          minVersion: 'TLSv1.2',
          handshakeTimeout: header_timeout_ms,
          ...(client_ca_file !== null && {
            ca: readFileSync(client_ca_file),
            requestCert: true,
            rejectUnauthorized: true,
          }),
        },
        handler,
      )
    : createServer(limits, handler);
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => reject(cannotListen(options, error));
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
  // Such as no file descriptor left for one more connection: those that are open go on.
  server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'));
  const bound = server.address() as AddressInfo;
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `${secure ? 'https' : 'http'}://${name}:${bound.port}`,
    close: (drain_ms) => drain(server, drain_ms),
  };
}

async function drain(server: Server, drain_ms: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept busy would go on asking until the time is over.
  server.prependListener('request', (_, response) => response.setHeader('Connection', 'close'));
  const ended = new AbortController();
  // Keep-alive connections that become idle while others drain would hold the server open.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  await Promise.race([closed, sleep(drain_ms, undefined, { signal: ended.signal }).catch(() => undefined)]);
  ended.abort();
  clearInterval(idle);
  server.closeAllConnections();
  await closed;
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; end it, or choose another port (0: any free one)',
  EADDRNOTAVAIL: 'this machine has no such address; choose one that it has, such as 127.0.0.1 or 0.0.0.0',
  ENOTFOUND: 'this host name leads to no address; write an IP address',
  EACCES: 'the process may not listen on this port; choose one from 1024 on',
};

function cannotListen({ bind_addr, key }: ListenerOptions, cause: Error): ListenError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  const setting = key === undefined ? '' : ` (${key}, or ${environmentName(key)})`;
  const remedy = REMEDIES[code] ?? cause.message;
  return new ListenError(`cannot listen on ${bind_addr}${setting}: ${code}: ${remedy}`, { cause });
}

function environmentName(key: string): string {
  return `SEAL_GATEWAY_${key.replaceAll('.', '_').toUpperCase()}`;
}

function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
