/** Requests to the REST APIs behind the gateway. */
import type { Mask } from '../credentials/mask.ts';
import { type RequestSecrets, reveal } from '../credentials/secret.ts';
import { GatewayError } from '../errors.ts';
import { RESERVED_HEADERS } from '../openapi/reserved-headers.ts';
import type { Api } from '../snapshot/snapshot.ts';
import type { Egress } from './egress.ts';
import { excerpt } from './excerpt.ts';
import { exchange, type Place, type RawReply, tooLarge, upstreamError } from './exchange.ts';
import { maskRead } from './mask-reply.ts';
import { decodeBody, mediaType, readBody } from './reply.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** The operation's path template, for messages: it holds no values. */
  readonly path: string;
  /** Path and query below the API's base URL, encoded; begins with a slash. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** What the credential adds; opened here and nowhere else. */
  readonly secrets?: RequestSecrets | null;
}

export interface SendOptions {
  /** The caller is gone, or the call's deadline has passed. */
  readonly signal: AbortSignal;
  /** For the whole exchange; default: the API's. */
  readonly timeout_ms?: number;
}

export interface Reply {
  readonly status: number;
  /** Names are lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Media type without parameters, in lower case. */
  readonly content_type: string | null;
  /** JSON when the body is JSON, else text, or `{base64}` for binary; null for an empty body. */
  readonly value: unknown;
  /** Decoded bytes of the body. */
  readonly bytes: number;
  /** Its beginning, for messages: short, on one line, without secrets; null: there is nothing to show. */
  excerpt(): string | null;
}

/** A reply whose body nobody has read yet. */
export interface ByteReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly content_type: string | null;
  /** Decoded. */
  readonly body: Buffer;
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5, without line ends and other control characters. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Sends one request to `api` and reads the whole reply, whatever its status; redirects are not followed.
 * Rejects with INVALID_ARGUMENTS (a header that HTTP cannot carry), EGRESS_BLOCKED, UPSTREAM_FAILED,
 * UPSTREAM_TIMEOUT, RESPONSE_TOO_LARGE, or the signal's reason.
 */
export async function sendRequest(
  deps: { readonly egress: Egress },
  api: Api,
  request: UpstreamRequest,
  options: SendOptions,
): Promise<Reply> {
  return readReply(await sendForBytes(deps, api, request, options), placeOf(api, request), request.secrets);
}

/** {@link sendRequest} without reading the body, which takes its time when it is large. */
export async function sendForBytes(
  deps: { readonly egress: Egress },
  api: Api,
  request: UpstreamRequest,
  options: SendOptions,
): Promise<ByteReply> {
  const place = placeOf(api, request);
  const raw = await exchange(
    deps.egress.dispatcherFor(api),
    {
      origin: api.base_url.origin,
      path: pathOf(api, request),
      method: request.method,
      headers: headersOf(api, request, deps.egress.user_agent),
      body: request.body,
    },
    place,
    {
      signal: options.signal,
      timeout_ms: options.timeout_ms ?? api.timeout_ms,
      max_bytes: api.max_response_bytes,
    },
  );
  return decodeReply(raw, place, api.max_response_bytes);
}

function placeOf(api: Api, { method, path }: UpstreamRequest): Place {
  return { method, host: api.base_url.host, path };
}

async function decodeReply(raw: RawReply, place: Place, limit: number): Promise<ByteReply> {
  const { status, headers } = raw;
  const body = await decodeBody(raw.body, headers['content-encoding'], limit);
  if (body === 'too large') throw tooLarge(place, limit, status);
  if (body === 'unreadable') {
    throw upstreamError('UPSTREAM_FAILED', place, 'answered in a content coding that cannot be read', {
      details: { status },
    });
  }
  return { status, headers, content_type: mediaType(headers['content-type']), body };
}

/** The beginning of a reply for a message, redacted by its fields where it is JSON. */
export function replyExcerpt(
  { headers, content_type, body }: ByteReply,
  secrets: RequestSecrets | null,
): string | null {
  return excerpt(readMasked(body, headers, secrets).value, content_type, secrets);
}

/** A body without the credential that it may repeat; with a problem, the text of what says that it is something else. */
function readMasked(
  body: Buffer,
  headers: RawReply['headers'],
  secrets: RequestSecrets | null,
): { readonly value: unknown; readonly problem: string | null; readonly max_bytes?: number | undefined } {
  const mask = secrets?.mask ?? null;
  const read = readBody(body, headers['content-type']);
  if ('value' in read)
    return { value: mask === null ? read.value : maskRead(read, body, mask), problem: null };
  const plain = body.toString('utf8');
  return { value: mask?.text(plain) ?? plain, problem: read.problem, max_bytes: read.max_bytes };
}

/** The reply as everybody may see it: an upstream that echoes a credential must not pass it on to the caller. */
function readReply(
  { status, headers, content_type, body }: ByteReply,
  place: Place,
  secrets: RequestSecrets | null = null,
): Reply {
  const mask = secrets?.mask ?? null;
  const { value, problem, max_bytes } = readMasked(body, headers, secrets);
  // Of an error reply the status is what matters; proxies label their pages as they like.
  if (problem !== null && status < 400) {
    const what = `answered ${status} with ${content_type} that ${problem}`;
    const name = max_bytes === undefined ? 'UPSTREAM_FAILED' : 'RESPONSE_TOO_LARGE';
    throw upstreamError(name, place, what, {
      details: {
        status,
        ...(max_bytes !== undefined && { limit_bytes: max_bytes }),
        excerpt: excerpt(value, content_type, secrets),
      },
    });
  }
  return {
    status,
    headers: mask === null ? headers : maskHeaders(headers, mask),
    content_type,
    value,
    bytes: body.length,
    excerpt: () => excerpt(value, content_type, secrets),
  };
}

function maskHeaders(headers: RawReply['headers'], mask: Mask): RawReply['headers'] {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, mask.text(value)]));
}

/** A target that is its own normal form: no segment of it has a dot or is encoded. */
const NORMAL = /^(?:\/[A-Za-z0-9_-]+)+(?:\?[A-Za-z0-9_.~%&=-]*)?$/;

/** Path and query on the wire. What is checked here is what is sent: the URL's normal form. */
function pathOf(api: Api, request: UpstreamRequest): string {
  const { origin, pathname } = api.base_url;
  const base = pathname.endsWith('/') ? pathname.slice(0, -1) : pathname;
  if (request.secrets == null && NORMAL.test(request.target)) return base + request.target;
  const url = new URL(origin + base + request.target);
  const inside = request.target.startsWith('/') && url.origin === origin && url.hash === '';
  if (!inside || !url.pathname.startsWith(`${base}/`)) {
    throw new GatewayError('INVALID_ARGUMENTS', `the request leaves the base URL of API ${api.name}`);
  }
  const query = request.secrets == null ? url.search : secretQuery(url.search, request.secrets);
  return url.pathname + query;
}

/** The query with the credential's parameters in place of any others of their names. */
function secretQuery(search: string, secrets: RequestSecrets): string {
  const added = Object.entries(secrets.query);
  if (added.length === 0) return search;
  const kept = search
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '' && !added.some(([name]) => names(pair, name)));
  const pairs = added.map(
    ([name, secret]) => `${encodeURIComponent(name)}=${encodeURIComponent(reveal(secret))}`,
  );
  return `?${[...kept, ...pairs].join('&')}`;
}

/** Whether a pair of a query has this name, however it is encoded. */
function names(pair: string, name: string): boolean {
  return new URLSearchParams(pair).has(name);
}

/** The API's headers, over them the request's own, over them those that only the gateway sets. */
function headersOf(api: Api, request: UpstreamRequest, userAgent: string): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  headers.accept = 'application/json, */*;q=0.5';
  addHeaders(headers, api.headers);
  addHeaders(headers, request.headers);
  headers['accept-encoding'] = 'identity';
  headers['user-agent'] = userAgent;
  if (request.secrets != null) {
    for (const [name, secret] of Object.entries(request.secrets.headers)) {
      if (RESERVED_HEADERS.has(name)) {
        throw new GatewayError('CREDENTIAL_UNAVAILABLE', `a credential cannot be sent as header ${name}`);
      }
      headers[name] = reveal(secret);
    }
  }
  return headers;
}

function addHeaders(headers: Record<string, string>, more: Readonly<Record<string, string>>): void {
  for (const given of Object.keys(more)) {
    const name = given.toLowerCase();
    if (RESERVED_HEADERS.has(name)) continue;
    const value = more[given] ?? '';
    if (!TOKEN.test(name)) {
      throw new GatewayError(
        'INVALID_ARGUMENTS',
        `${JSON.stringify(given)} is not a name that an HTTP header can have`,
      );
    }
    if (!FIELD_VALUE.test(value)) {
      throw new GatewayError(
        'INVALID_ARGUMENTS',
        `the value of header ${name} holds a character that HTTP does not allow there`,
        { details: { header: name } },
      );
    }
    headers[name] = value;
  }
}
