/**
 * Requests to OpenBao, one at a time and nothing more: no token is sent to another origin, no redirect followed but
 * within the cluster, no answer is larger than it may be. Not node-vault: docs/decisions/0013-openbao-client.md.
 */
import { Agent, request } from 'undici';
import type { Clock } from '../clock.ts';
import { reveal, type Secret } from './secret.ts';

export interface OpenBaoAddress {
  /** Origin of the server, such as https://bao.example:8200. */
  readonly addr: string;
  /** Origins of the cluster's other nodes: a standby that redirects to one of these is followed. */
  readonly cluster_addrs: readonly string[];
  /** Milliseconds for one request and its answer. */
  readonly timeout_ms: number;
  /** All as PEM; null: the system's certificates, and no certificate of our own. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null };
}

export interface BaoRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Below /v1, its segments encoded (`baoPath`). */
  readonly path: string;
  /** null: the root of the server. */
  readonly namespace: string | null;
  readonly token: Secret | null;
  readonly body?: Readonly<Record<string, unknown>>;
  /** Milliseconds, where that is less than the usual. */
  readonly timeout_ms?: number;
  /** Hears an answer that came too late for whoever asked: what it tells of was made all the same. */
  readonly onLate?: (reply: BaoReply) => void;
}

/** Why there was no answer. */
export type Silence =
  /** It surely did nothing. */
  | 'unreachable'
  /** It may have done what it was asked for. */
  | 'lost'
  | 'timeout'
  | 'redirect'
  | 'garbage';

export interface BaoReply {
  /** 0: there was no answer, for the reason that `silence` gives. */
  readonly status: number;
  readonly silence: Silence | null;
  /** The system's word for it, such as ECONNREFUSED, for whoever runs the gateway; null: there is none. */
  readonly code: string | null;
  readonly body: JsonReply;
  /** What the server asks to wait; null: nothing. */
  readonly retry_after_ms: number | null;
}

/** A JSON object, empty for an answer without a body. */
export type JsonReply = Readonly<Record<string, unknown>>;

export interface BaoHttp {
  /** Never rejects. */
  send(request: BaoRequest): Promise<BaoReply>;
  close(): Promise<void>;
}

const MAX_BYTES = 1024 * 1024;
const CONNECTIONS = 64;
/** Milliseconds that a late answer is waited for. */
const LATE_MS = 60_000;
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

export function createBaoHttp(address: OpenBaoAddress, clock: Clock): BaoHttp {
  const { ca, cert, key } = address.tls;
  const agent = new Agent({
    connections: CONNECTIONS,
    connect: {
      timeout: address.timeout_ms,
      // Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise turn the check off.
      rejectUnauthorized: true,
      ...(ca !== null && { ca }),
      ...(cert !== null && { cert }),
      ...(key !== null && { key }),
    },
  });
  const own = new URL(address.addr).origin;
  const cluster = new Set([own, ...address.cluster_addrs.map((addr) => new URL(addr).origin)]);

  async function ask(origin: string, asked: BaoRequest, left_ms: number): Promise<BaoReply | { to: string }> {
    const { method, path, namespace, token, body } = asked;
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(left_ms)));
    const reply = await request(`${origin}/v1/${path}`, {
      dispatcher: agent,
      method,
      signal,
      headers: {
        accept: 'application/json',
        // Listeners may require it, as a guard against forged requests.
        'x-vault-request': 'true',
        ...(namespace !== null && { 'x-vault-namespace': namespace }),
        ...(token !== null && { 'x-vault-token': reveal(token) }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const { statusCode: status, headers } = reply;
    // A body that is left unread ends with an error, which nobody needs to hear and everybody would.
    reply.body.on('error', () => {});
    if (status >= 300 && status < 400) {
      reply.body.destroy();
      return { to: String(headers.location ?? '') };
    }
    const text = await readText(reply.body);
    const parsed = text === null ? null : parse(text);
    // Proxies put their pages in front of a server that is down: the status says what there is to say.
    if (parsed === null && status < 400) return silent('garbage');
    const wait = Number(headers['retry-after']);
    const retry_after_ms = wait > 0 && wait < Infinity ? wait * 1000 : null;
    return { status, silence: null, code: null, body: parsed ?? {}, retry_after_ms };
  }

  async function follow(asked: BaoRequest, timeout_ms: number): Promise<BaoReply> {
    const ends = clock.monotonic() + timeout_ms;
    try {
      const first = await ask(own, asked, timeout_ms);
      if (!('to' in first)) return first;
      // A standby node names the active one, and has done nothing itself.
      const active = URL.parse(first.to, own)?.origin;
      if (active === undefined || active === own || !cluster.has(active)) return silent('redirect');
      const second = await ask(active, asked, ends - clock.monotonic());
      return 'to' in second ? silent('redirect') : second;
    } catch (error) {
      return silent(silenceOf(error), codeOf(error));
    }
  }

  return {
    async send(asked) {
      const timeout_ms = Math.min(asked.timeout_ms ?? Infinity, address.timeout_ms);
      const { onLate } = asked;
      if (onLate === undefined) return follow(asked, timeout_ms);
      const answer = follow(asked, timeout_ms + LATE_MS);
      const { promise: deadline, resolve } = Promise.withResolvers<BaoReply>();
      const timer = setTimeout(() => resolve(silent('timeout')), Math.max(1, timeout_ms));
      const reply = await Promise.race([answer, deadline]);
      clearTimeout(timer);
      if (reply.silence === 'timeout') void answer.then(onLate);
      return reply;
    },
    close: () => agent.destroy(),
  };
}

function silent(silence: Silence, code: string | null = null): BaoReply {
  return { status: 0, silence, code, body: {}, retry_after_ms: null };
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** null: it is no JSON object. */
function parse(text: string): JsonReply | null {
  if (text.trim() === '') return {};
  try {
    return object(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The value as an object; null: it is none. */
export function object(value: unknown): JsonReply | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonReply) : null;
}

/** The code alone: messages and causes may quote what was sent. */
function codeOf(error: unknown): string | null {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : null;
}

function silenceOf(error: unknown): Silence {
  const { name = '' } = error as { readonly name?: string };
  const code = codeOf(error) ?? '';
  if (name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return 'timeout';
  if (
    NEVER_SENT.has(code) ||
    code === 'UND_ERR_CONNECT_TIMEOUT' ||
    code.startsWith('ERR_TLS') ||
    CERTIFICATE.test(code)
  ) {
    return 'unreachable';
  }
  return code.startsWith('HPE_') ? 'garbage' : 'lost';
}

/** OpenSSL's words for a certificate that is not trusted: the request was not sent. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/;
