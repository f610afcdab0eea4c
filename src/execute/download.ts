/** Fetches a public document by URL, under the egress rules of upstream calls and without any credential. */
import type { Api } from '../snapshot/snapshot.ts';
import type { Egress } from './egress.ts';
import { exchange, type Place, tooLarge, upstreamError } from './exchange.ts';
import { decodeBody } from './reply.ts';

export interface DownloadOptions {
  /** Which addresses may be dialled. */
  readonly egress: Api['egress'];
  readonly signal: AbortSignal;
  /** For the whole of it, in milliseconds. */
  readonly timeout_ms: number;
  /** Of the content, decoded. */
  readonly max_bytes: number;
}

/**
 * The content behind an http or https URL. Redirects are not followed: the URL that somebody has reviewed is the one
 * that is asked. Rejects with UPSTREAM_FAILED, UPSTREAM_TIMEOUT, RESPONSE_TOO_LARGE or EGRESS_BLOCKED; messages leave
 * out the query of the URL, which may hold a key.
 */
export async function download(egress: Egress, text: string, options: DownloadOptions): Promise<Buffer> {
  const url = new URL(text);
  const place: Place = { method: 'GET', host: url.host, path: url.pathname };
  const { signal, timeout_ms, max_bytes } = options;
  const { status, headers, body } = await exchange(
    egress.dispatcherFor(options),
    {
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      headers: {
        accept: 'application/json, application/yaml, */*;q=0.5',
        'accept-encoding': 'identity',
        'user-agent': egress.user_agent,
      },
    },
    place,
    { signal, timeout_ms, max_bytes },
  );
  if (status !== 200) throw upstreamError('UPSTREAM_FAILED', place, answered(status, headers.location, url));
  const content = await decodeBody(body, headers['content-encoding'], max_bytes);
  if (content === 'too large') throw tooLarge(place, max_bytes, status);
  if (content === 'unreadable')
    throw upstreamError('UPSTREAM_FAILED', place, 'answered in a content coding that cannot be read');
  return content;
}

function answered(status: number, location: string | undefined, url: URL): string {
  if (status < 300 || status > 399 || location === undefined || !URL.canParse(location, url.href))
    return `answered ${status}`;
  const { host, pathname } = new URL(location, url);
  return `answered ${status} with a redirect to ${host}${pathname}, which is not followed`;
}
