/** Whether a request was made by somebody on this machine, and not by a web page or a proxy on behalf of others. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** Headers of which a proxy sets at least one. Their content is anybody's claim; that they are there is enough. */
const PROXIED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];
/** A name that leads to another machine may be made to lead here (DNS rebinding), so only these count. */
const LOOPBACK_HOST = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?$/i;
const LOOPBACK_ADDRESS = /^((::ffff:)?127(\.[0-9]{1,3}){3}|::1)$/i;

/** Why this is no request of somebody on this machine; null: it is one. */
export function foreignReason({ headers, socket }: IncomingMessage): string | null {
  const { host, origin } = headers;
  const site = headers['sec-fetch-site'];
  if (!LOOPBACK_ADDRESS.test(socket.remoteAddress ?? '')) return 'this request came from another one';
  if (PROXIED.some((name) => headers[name] !== undefined)) return 'this request came through a proxy';
  if (host === undefined || !LOOPBACK_HOST.test(host))
    return 'the Host of this request is not localhost, 127.0.0.1 or [::1]';
  const own = `${(socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http'}://${host}`;
  const foreign = origin !== undefined && origin.toLowerCase() !== own.toLowerCase();
  if (foreign || (site !== undefined && site !== 'same-origin' && site !== 'none'))
    return 'a page of another origin sent this request';
  return null;
}
