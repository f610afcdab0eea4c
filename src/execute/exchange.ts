/** One HTTP exchange with an upstream: a request out, the whole reply in, under a deadline and a size limit. */
import { type Dispatcher, errors } from 'undici';
import { type ErrorName, GatewayError, type GatewayErrorOptions } from '../errors.ts';
import { abortError } from './abort.ts';

/** Where a request goes, in words fit for messages and events. */
export interface Place {
  readonly method: string;
  readonly host: string;
  /** The path template: it holds no values. */
  readonly path: string;
}

export interface RawReply {
  readonly status: number;
  /** Names are lower case; repeated headers are joined. Cookies are left out: they are credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** As sent, still encoded. */
  readonly body: Buffer;
}

export interface ExchangeLimits {
  /** Ends the exchange; a GatewayError as its reason is what the caller gets. */
  readonly signal: AbortSignal;
  /** For the whole exchange: waiting for a connection, resolving, connecting, sending and receiving. */
  readonly timeout_ms: number;
  /** On the body as sent. */
  readonly max_bytes: number;
}

/** An error about an upstream that says where. */
export function upstreamError(
  name: ErrorName,
  place: Place,
  what: string,
  options: GatewayErrorOptions = {},
): GatewayError {
  const { method, host, path } = place;
  return new GatewayError(name, `${method} ${host}${path} ${what}`, {
    ...options,
    details: { method, host, path, ...options.details },
  });
}

/**
 * Sends and receives. Redirects are replies like any other. Rejects with UPSTREAM_FAILED, UPSTREAM_TIMEOUT,
 * RESPONSE_TOO_LARGE, EGRESS_BLOCKED, or the signal's reason; the connection is destroyed then.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  place: Place,
  limits: ExchangeLimits,
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null;
    let ended = false;
    let status = 0;
    let headers: Record<string, string> = {};
    const chunks: Buffer[] = [];
    let bytes = 0;

    const end = () => {
      ended = true;
      clearTimeout(timer);
      limits.signal.removeEventListener('abort', onAbort);
    };
    // Not left to undici: before there is a connection it has nothing to abort, and would wait for one.
    const fail = (error: GatewayError) => {
      if (ended) return;
      end();
      reject(error);
      controller?.abort(error);
    };
    const onAbort = () => fail(abortError(limits.signal));
    const timer = setTimeout(() => {
      fail(upstreamError('UPSTREAM_TIMEOUT', place, `did not answer within ${limits.timeout_ms} ms`));
    }, limits.timeout_ms);
    limits.signal.addEventListener('abort', onAbort, { once: true });
    if (limits.signal.aborted) return onAbort();

    dispatcher.dispatch(request, {
      onRequestStart(started) {
        controller = started;
        if (ended) started.abort(new Error('ended while it waited for a connection'));
      },
      onResponseStart(_, statusCode, received) {
        // Called for informational (1xx) replies too; the last one counts.
        status = statusCode;
        headers = plainHeaders(received);
      },
      onResponseData(_, chunk) {
        bytes += chunk.length;
        if (bytes > limits.max_bytes) return fail(tooLarge(place, limits.max_bytes, status));
        chunks.push(chunk);
      },
      onResponseEnd() {
        if (ended) return;
        end();
        resolve({
          status,
          headers,
          body: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks),
        });
      },
      onResponseError(_, error) {
        fail(transportError(place, error, status));
      },
    });
  });
}

export function tooLarge(place: Place, limit: number, status: number): GatewayError {
  return upstreamError('RESPONSE_TOO_LARGE', place, `answered with more than ${limit} bytes`, {
    details: { status, limit_bytes: limit },
  });
}

function plainHeaders(received: Record<string, string | string[] | undefined>): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const name of Object.keys(received)) {
    const value = received[name];
    if (value === undefined || name === 'set-cookie') continue;
    headers[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return headers;
}

/** Causes by error code. Not by message: undici's and the system's name resolved addresses. */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'closed the connection before the reply was whole',
  EPIPE: 'closed the connection before the reply was whole',
  UND_ERR_SOCKET: 'closed the connection before the reply was whole',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'answered with a body of another length than it said',
  ENOTFOUND: 'could not be reached: the host name does not resolve',
  EAI_AGAIN: 'could not be reached: the host name does not resolve at present',
  EHOSTUNREACH: 'could not be reached: no route to the host',
  ENETUNREACH: 'could not be reached: no route to the host',
  UND_ERR_DESTROYED: 'was not asked: the gateway is shutting down',
  UND_ERR_CLOSED: 'was not asked: the gateway is shutting down',
  UND_ERR_HEADERS_OVERFLOW: 'answered with headers that are too large',
  ERR_TLS_CERT_ALTNAME_INVALID: 'showed a certificate for another name',
  CERT_HAS_EXPIRED: 'showed a certificate that has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'showed a certificate that the gateway does not trust',
  SELF_SIGNED_CERT_IN_CHAIN: 'showed a certificate that the gateway does not trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'showed a certificate that the gateway does not trust',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'showed a certificate that the gateway does not trust',
};

function transportError(place: Place, error: Error, status: number): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
    return upstreamError('UPSTREAM_TIMEOUT', place, 'could not be reached in time', { cause: error });
  }
  if (code === 'UND_ERR_INVALID_ARG') {
    return upstreamError('INVALID_ARGUMENTS', place, 'cannot be sent: HTTP does not allow it', {
      cause: error,
    });
  }
  const otherwise = error instanceof errors.HTTPParserError ? 'did not answer in HTTP' : 'failed to answer';
  const what = CAUSES[code] ?? otherwise;
  return upstreamError('UPSTREAM_FAILED', place, what, {
    details: { ...(status > 0 && { status }), ...(code !== '' && { error_code: code }) },
    cause: error,
  });
}
