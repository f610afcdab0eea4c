/** RFC 8693: a user's token for one that the target service accepts. Keycloak (standard, V2) and any conforming server. */
import { Agent, request } from 'undici';
import { unavailable } from './problem.ts';
import { reveal, Secret } from './secret.ts';

export interface TokenExchangeOptions {
  readonly url: string;
  readonly client_id: string;
  readonly client_secret: Secret;
  /** How the client proves itself (RFC 6749 section 2.3.1). */
  readonly client_auth: 'basic' | 'post';
  /** Milliseconds for the request and its answer. */
  readonly timeout_ms: number;
  /** Certificates to trust, as PEM; null: the system's. */
  readonly ca: string | null;
}

export interface Exchanged {
  readonly token: Secret;
  /** null: the server does not say, so that it must not be used again. */
  readonly expires_in_seconds: number | null;
}

export interface TokenExchange {
  /** Rejects with CREDENTIAL_UNAVAILABLE. Never tried again: a refusal stays one. */
  exchange(user_token: Secret, audience: string, scope: string | undefined): Promise<Exchanged>;
  close(): Promise<void>;
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const MAX_BYTES = 256 * 1024;

/** Errors that servers name, in words. Anything else is "refused": descriptions may hold what nobody should see. */
const REFUSALS: Readonly<Record<string, string>> = {
  invalid_request:
    'the request is refused: the audience may not be available to this client (invalid_request)',
  invalid_target: 'the audience is not granted (invalid_target)',
  invalid_scope: 'the scope is not granted (invalid_scope)',
  invalid_grant: "the user's token is refused (invalid_grant)",
  invalid_token: "the user's token is refused (invalid_token)",
  invalid_client: 'the gateway is not known there as a client (invalid_client)',
  unauthorized_client: 'the gateway may not exchange tokens (unauthorized_client)',
  unsupported_grant_type: 'the server exchanges no tokens (unsupported_grant_type)',
  access_denied: "the user's token is not meant for this gateway (access_denied)",
};

export function createTokenExchange(options: TokenExchangeOptions): TokenExchange {
  const agent = new Agent({
    connections: 32,
    connect: {
      timeout: options.timeout_ms,
      rejectUnauthorized: true,
      ...(options.ca !== null && { ca: options.ca }),
    },
  });

  async function post(
    form: URLSearchParams,
  ): Promise<{ status: number; body: Record<string, unknown> | null }> {
    const reply = await request(options.url, {
      dispatcher: agent,
      method: 'POST',
      signal: AbortSignal.timeout(options.timeout_ms),
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(options.client_auth === 'basic' && { authorization: basic(options) }),
      },
      body: form.toString(),
    });
    reply.body.on('error', () => {});
    // A redirect would take the user's token and the client's secret elsewhere: it is an answer, and no good one.
    return { status: reply.statusCode, body: await readJson(reply.body) };
  }

  return {
    async exchange(user_token, audience, scope) {
      const form = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: reveal(user_token),
        subject_token_type: ACCESS_TOKEN,
        requested_token_type: ACCESS_TOKEN,
        audience,
      });
      if (scope !== undefined) form.set('scope', scope);
      if (options.client_auth === 'post') {
        form.set('client_id', options.client_id);
        form.set('client_secret', reveal(options.client_secret));
      }
      const reply = await post(form).catch((error: unknown) => {
        const late = error instanceof Error && error.name === 'TimeoutError';
        throw unavailable(
          late ? 'the token exchange did not answer in time' : 'the token exchange could not be reached',
        );
      });
      return read(reply, user_token);
    },
    close: () => agent.destroy(),
  };
}

function read(
  reply: { status: number; body: Record<string, unknown> | null },
  user_token: Secret,
): Exchanged {
  const { status, body } = reply;
  if (status !== 200) {
    const error = typeof body?.error === 'string' ? body.error : '';
    const why = Object.hasOwn(REFUSALS, error) ? REFUSALS[error] : `the exchange is refused (${status})`;
    throw unavailable(`the user's token could not be exchanged: ${why}`);
  }
  const { access_token, token_type, issued_token_type, expires_in } = body ?? {};
  if (typeof access_token !== 'string' || access_token === '') {
    throw unavailable('the token exchange answered without a token');
  }
  if (typeof token_type !== 'string' || !/^(?:bearer|n_a)$/i.test(token_type)) {
    throw unavailable('the token exchange answered with a token of a type that cannot be used');
  }
  if (typeof issued_token_type === 'string' && !/:(?:access_token|jwt)$/.test(issued_token_type)) {
    throw unavailable('the token exchange answered with something else than an access token');
  }
  // The user's own token is never handed on.
  if (access_token === reveal(user_token))
    throw unavailable("the token exchange answered with the user's own token");
  return {
    token: new Secret(access_token),
    expires_in_seconds: typeof expires_in === 'number' && expires_in > 0 ? expires_in : null,
  };
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic({ client_id, client_secret }: TokenExchangeOptions): string {
  const encode = (text: string): string => new URLSearchParams({ _: text }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(client_id)}:${encode(reveal(client_secret))}`).toString('base64')}`;
}

async function readJson(body: AsyncIterable<Uint8Array>): Promise<Record<string, unknown> | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return null;
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
