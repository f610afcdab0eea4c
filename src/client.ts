/**
 * The client library (`seal-gateway/client`): signs calls and sends them. Web APIs alone (fetch, WebCrypto), so that
 * it runs in browsers, workers and edge runtimes as well as in Node.
 */
import { getPublicKeyAsync, signAsync, utils } from '@noble/ed25519';
import { isoTime, systemClock } from './clock.ts';
import { canonicalMessage, parseTokens } from './envelope/canonical.ts';
import { ERRORS, GatewayError } from './errors.ts';

/** An Ed25519 public key as a JWK (RFC 8037), for `cnf.jwk` or an issuer's `envelope_keys`. */
export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
}

export interface KeyPair {
  /** The 32-byte seed, base64url. Keep it secret. */
  readonly private_key: string;
  /** 32 bytes, base64url. */
  readonly public_key: string;
  readonly jwk: PublicJwk;
}

/** A signed envelope, ready for JSON.stringify. */
export interface SealEnvelope {
  readonly protocol: 'seal/v1';
  readonly security_token: string;
  /** 64 bytes, base64. */
  readonly signature: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** ISO 8601 UTC; signed as whole Unix seconds. */
  readonly timestamp: string;
}

/** What to sign: a tool with its arguments (sent as an MCP `tools/call`), or a payload made elsewhere. */
export type EnvelopeContent =
  | {
      readonly tool: string;
      readonly arguments?: Readonly<Record<string, unknown>> | undefined;
      /** JSONPath expressions: only these slices of the result are wanted. */
      readonly fields?: readonly string[] | undefined;
      readonly payload?: undefined;
    }
  | {
      readonly payload: Readonly<Record<string, unknown>>;
      readonly tool?: undefined;
      readonly arguments?: undefined;
      readonly fields?: undefined;
    };

export type EnvelopeOptions = EnvelopeContent & {
  readonly security_token: string;
  /** The 32-byte seed, base64url. */
  readonly private_key: string;
  /** Milliseconds since the Unix epoch; the system clock unless told. */
  readonly now?: number | undefined;
};

export interface SealMeta {
  readonly execution_id?: string;
  readonly event_id?: string;
  readonly revision?: string;
  readonly duration_ms?: number;
}

/** A successful reply. */
export interface SealReply {
  /** The workflow's output, the explorer's slices, or a CLI tool's exit code and output. */
  readonly result: unknown;
  readonly meta: SealMeta;
  /** The JSON-RPC id that the call was sent with. */
  readonly request_id: string;
}

/** A tool that the token may call. */
export interface SealTool {
  readonly name: string;
  readonly description: string;
  readonly kind: string;
  readonly input_schema: Readonly<Record<string, unknown>>;
  readonly output_schema?: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly category: string | null;
  readonly annotations: Readonly<Record<string, unknown>>;
  /** A call may carry `fields`. */
  readonly allow_fields?: boolean;
}

/** What to explore, and which parts of the reply are wanted. */
export interface Exploration {
  /** Name of the ApiSpec. */
  readonly api_spec_id: string;
  readonly operation_id: string;
  /** By their names, or grouped under `path`, `query`, `header` and `body`. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** JSONPath expressions (RFC 9535). */
  readonly fields: readonly string[];
  readonly include_hints?: boolean | undefined;
}

export interface SealClientOptions {
  /** Base URL of the data plane, such as `https://gateway.example`. */
  readonly gateway_url: string;
  /** The 32-byte seed, base64url. */
  readonly private_key: string;
  /** The token, or a function that gives one for each request (a token of an issuer is good for one call). */
  readonly security_token: string | (() => string | Promise<string>);
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Of the whole request, 60,000 unless told. */
  readonly timeout_ms?: number | undefined;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** The token of the user for whom the agent acts, for tools that act in the user's name. */
  readonly user_token?: string | undefined;
}

export interface CallOptions extends RequestOptions {
  /** JSONPath expressions: only these slices of the result are wanted. For tools with `allow_fields`. */
  readonly fields?: readonly string[] | undefined;
}

interface SealErrorFields {
  readonly code: number | null;
  readonly status: number | null;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly request_id?: string | null;
  readonly retry_after_seconds?: number | null;
  readonly cause?: unknown;
}

/**
 * A call that failed. `name` and `code` are a row of the gateway's error table; without an answer of a gateway the
 * name is `NETWORK_FAILED`, `TIMEOUT` or `BAD_REPLY` and the code null.
 */
export class SealError extends Error {
  /** SEAL error code; null without an answer of a gateway. */
  readonly code: number | null;
  /** HTTP status; null when there was no answer. */
  readonly status: number | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly request_id: string | null;
  /** Seconds until a retry may succeed. */
  readonly retry_after_seconds: number | null;

  constructor(name: string, message: string, fields: SealErrorFields) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = name;
    this.code = fields.code;
    this.status = fields.status;
    this.details = fields.details ?? {};
    this.request_id = fields.request_id ?? null;
    this.retry_after_seconds = fields.retry_after_seconds ?? null;
  }
}

/** A new Ed25519 key pair. */
export async function generateKeyPair(): Promise<KeyPair> {
  const private_key = toBase64url(utils.randomSecretKey());
  const jwk = await publicJwk(private_key);
  return { private_key, public_key: jwk.x, jwk };
}

/** The public key of a private key (32-byte seed, base64url). Rejects with a TypeError for anything else. */
export async function publicJwk(private_key: string): Promise<PublicJwk> {
  return { kty: 'OKP', crv: 'Ed25519', x: toBase64url(await getPublicKeyAsync(readSeed(private_key))) };
}

/**
 * Signs a call (docs/signing.md). What is signed is what JSON.stringify makes of the payload. Rejects with a
 * SealError MALFORMED_ENVELOPE for a payload that no gateway takes, with a TypeError for a bad private key.
 */
export async function createEnvelope(options: EnvelopeOptions): Promise<SealEnvelope> {
  const { security_token } = options;
  const seed = readSeed(options.private_key);
  const now = options.now ?? systemClock.now();
  const text = JSON.stringify(options.payload ?? callPayload(options.tool, options, newRequestId()));
  const message = canonicalMessage(readTokens(text), security_token, Math.floor(now / 1000), 'code_point');
  const signature = await signAsync(new TextEncoder().encode(message), seed);
  return {
    protocol: 'seal/v1',
    security_token,
    signature: toBase64(signature),
    payload: JSON.parse(text) as Record<string, unknown>,
    timestamp: isoTime(now),
  };
}

/** Calls the tools of one gateway. It never retries: whether a call may be repeated is the caller's to know. */
export class SealClient {
  readonly #options: SealClientOptions;

  constructor(options: SealClientOptions) {
    if (!URL.canParse(options.gateway_url)) throw new TypeError('gateway_url is not an absolute URL');
    readSeed(options.private_key);
    this.#options = options;
  }

  /** Calls a tool. Rejects with a SealError, or with the reason of `signal` when the caller aborts. */
  async call(
    tool: string,
    args: Readonly<Record<string, unknown>> = {},
    { fields, ...options }: CallOptions = {},
  ): Promise<SealReply> {
    return this.#invoke('v1/invoke', tool, { arguments: args, fields }, options);
  }

  /** Calls one operation of an API and gets only slices of its reply. Rejects as {@link SealClient.call} does. */
  async explore(exploration: Exploration, options: RequestOptions = {}): Promise<SealReply> {
    return this.#invoke('v1/explorer', 'api.explore', { arguments: { ...exploration } }, options);
  }

  async #invoke(
    path: string,
    tool: string,
    params: CallParams,
    { signal, user_token }: RequestOptions,
  ): Promise<SealReply> {
    const request_id = newRequestId();
    const envelope = await createEnvelope({
      payload: callPayload(tool, params, request_id),
      security_token: await this.#token(),
      private_key: this.#options.private_key,
    });
    const body = await this.#send(path, signal, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...(user_token !== undefined && { 'x-user-token': user_token }),
      },
      body: JSON.stringify(envelope),
    });
    if (!isObject(body) || body.status !== 'success' || !Object.hasOwn(body, 'result')) throw badReply(200);
    const meta: SealMeta = isObject(body.meta) ? body.meta : {};
    return { result: body.result, meta, request_id };
  }

  /** The tools that the token may call. Uses no envelope, and does not use a one-call token up. */
  async listTools(options: RequestOptions = {}): Promise<readonly SealTool[]> {
    const authorization = `Bearer ${await this.#token()}`;
    const body = await this.#send('v1/tools', options.signal, {
      headers: { accept: 'application/json', authorization },
    });
    if (!Array.isArray(body)) throw badReply(200);
    return body as SealTool[];
  }

  async #token(): Promise<string> {
    const { security_token } = this.#options;
    return typeof security_token === 'function' ? await security_token() : security_token;
  }

  /** The decoded JSON of a 2xx answer. */
  async #send(path: string, signal: AbortSignal | undefined, init: RequestInit): Promise<unknown> {
    const { gateway_url, timeout_ms = 60_000, fetch = globalThis.fetch } = this.#options;
    const timeout = AbortSignal.timeout(timeout_ms);
    let response: Response;
    let text: string;
    try {
      response = await fetch(endpoint(gateway_url, path), {
        ...init,
        // A redirect would carry the token to another place.
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      const late = timeout.aborted;
      throw new SealError(
        late ? 'TIMEOUT' : 'NETWORK_FAILED',
        late ? `no answer within ${timeout_ms} ms` : 'the gateway could not be reached',
        { code: null, status: null, cause },
      );
    }
    const body = parseJson(text);
    if (response.ok) return body;
    throw failure(response, body);
  }
}

function failure(response: Response, body: unknown): SealError {
  const error = isObject(body) ? body.error : undefined;
  if (!isObject(error) || typeof error.name !== 'string' || typeof error.code !== 'number') {
    return badReply(response.status);
  }
  const retry = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new SealError(error.name, typeof error.message === 'string' ? error.message : error.name, {
    code: error.code,
    status: response.status,
    details: isObject(error.details) ? error.details : {},
    request_id: typeof error.request_id === 'string' ? error.request_id : null,
    retry_after_seconds: Number.isFinite(retry) ? retry : null,
  });
}

function badReply(status: number): SealError {
  return new SealError('BAD_REPLY', `the answer (HTTP ${status}) is not one of a seal/v1 gateway`, {
    code: null,
    status,
  });
}

interface CallParams {
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
  readonly fields?: readonly string[] | undefined;
}

function callPayload(tool: string, { arguments: args = {}, fields }: CallParams, id: string) {
  const params = { name: tool, arguments: args, ...(fields !== undefined && { fields }) };
  return { jsonrpc: '2.0', id, method: 'tools/call', params };
}

function readTokens(text: string) {
  try {
    return parseTokens(text).root;
  } catch (cause) {
    if (!(cause instanceof GatewayError)) throw cause;
    const { code } = ERRORS[cause.name];
    throw new SealError(cause.name, `payload: ${cause.message}`, { code, status: null, cause });
  }
}

function endpoint(gateway_url: string, path: string): URL {
  return new URL(path, gateway_url.endsWith('/') ? gateway_url : `${gateway_url}/`);
}

/** 128 random bits. `crypto.randomUUID` is missing on pages without TLS. */
function newRequestId(): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16)));
}

function readSeed(private_key: string): Uint8Array {
  if (/^[A-Za-z0-9_-]{43}$/.test(private_key)) {
    const binary = atob(private_key.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  }
  throw new TypeError('private_key is not base64url of 32 bytes (the Ed25519 seed)');
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function toBase64url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Fields = { readonly [key: string]: unknown };

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
