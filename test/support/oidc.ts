/** A real OpenID server (oidc-provider) that exchanges tokens by RFC 8693, as Keycloak's standard exchange does. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWTPayload, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

export const CLIENT = { id: 'seal gateway', secret: 'a/secret+with:odd characters' } as const;
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export interface ExchangeRequest {
  readonly subject_token: string;
  readonly audience: string;
  readonly scope: string | undefined;
}

export interface OidcServer {
  readonly issuer: string;
  readonly token_url: string;
  readonly jwks_uri: string;
  /** Exchanges that were granted. */
  readonly exchanges: readonly ExchangeRequest[];
  /** Requests to the token endpoint. */
  readonly requests: readonly IncomingMessage[];
  /** A user's access token; `audience`: for the gateway unless told. Seconds. */
  userToken(user: { sub?: string; tenant?: string | null; audience?: string; ttl?: number }): Promise<string>;
  close(): Promise<void>;
}

export interface OidcOptions {
  /** Audiences that the exchange gives; others are `invalid_target`. */
  readonly audiences?: readonly string[];
  /** Seconds that an exchanged token lives. */
  readonly exchanged_ttl?: number;
  /** The `aud` that is written into the token, whatever was asked for. */
  readonly audience_given?: string;
}

export async function startOidc(options: OidcOptions = {}): Promise<OidcServer> {
  const { audiences = ['crm'], exchanged_ttl = 300 } = options;
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const kid = 'k1';
  const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256' }] });
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const exchanges: ExchangeRequest[] = [];
  const requests: IncomingMessage[] = [];

  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: [EXCHANGE],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
      },
    ],
    extraTokenClaims: (_context, token) => token.extra,
    features: { devInteractions: { enabled: false } },
  });

  /** An access token that the server itself makes, as a JWT for one audience. */
  async function issue(subject: string, audience: string, ttl: number, tenant: unknown): Promise<string> {
    const client = await provider.Client.find(CLIENT.id);
    const token = new provider.AccessToken({
      accountId: subject,
      client: client!,
      expiresIn: ttl,
      scope: '',
    } as never);
    const format = {
      audience,
      accessTokenFormat: 'jwt',
      accessTokenTTL: ttl,
      scope: '',
      jwt: { sign: { alg: 'ES256' } },
    };
    const full = token as unknown as { resourceServer: unknown; extra: Record<string, unknown> };
    full.resourceServer = new provider.ResourceServer(audience, format as never);
    full.extra = typeof tenant === 'string' ? { tenant_id: tenant } : {};
    return token.save();
  }

  provider.registerGrantType(
    EXCHANGE,
    async (context) => {
      const { params } = context.oidc;
      const { subject_token, subject_token_type, requested_token_type, audience, scope } = params as Record<
        string,
        string
      >;
      if (subject_token_type !== ACCESS_TOKEN || requested_token_type !== ACCESS_TOKEN) {
        throw new errors.InvalidRequest('a token type is not supported');
      }
      if (audience === undefined || !audiences.includes(audience)) throw new errors.InvalidTarget();
      let user: JWTPayload;
      try {
        ({ payload: user } = await jwtVerify(subject_token ?? '', keys, { issuer }));
      } catch {
        throw new errors.InvalidGrant('the subject token is not valid');
      }
      exchanges.push({ subject_token: subject_token!, audience, scope });
      context.body = {
        access_token: await issue(
          user.sub!,
          options.audience_given ?? audience,
          exchanged_ttl,
          user.tenant_id,
        ),
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        expires_in: exchanged_ttl,
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope'],
  );
  const handle = provider.callback();
  server.on('request', (request, response) => {
    if (request.url === '/token') requests.push(request);
    void handle(request, response);
  });

  return {
    issuer,
    token_url: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    exchanges,
    requests,
    userToken: ({ sub = 'olga', tenant = null, audience = 'seal-gateway', ttl = 300 }) =>
      issue(sub, audience, ttl, tenant),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
