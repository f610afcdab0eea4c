/** How the gateway proves itself to OpenBao: a token that it was given, AppRole, Kubernetes or another issuer's JWT. */
import { readFile } from 'node:fs/promises';
import { type BaoHttp, type BaoReply, object } from './openbao-http.ts';
import { baoPath, segments } from './openbao-path.ts';
import { reveal, Secret } from './secret.ts';

export type OpenBaoAuth =
  | { readonly method: 'token'; readonly token: Secret }
  | {
      readonly method: 'approle';
      readonly mount: string;
      readonly role_id: string;
      /** The id itself, or the file that holds it: read for each login, so that it can be changed. */
      readonly secret_id: Secret | { readonly file: string };
    }
  | {
      /** The two differ in the engine alone: a role and a JWT, which is read for each login because it is short-lived. */
      readonly method: 'kubernetes' | 'jwt';
      readonly mount: string;
      readonly role: string;
      readonly jwt_file: string;
    };

/** A token that a login gave. */
export interface Grant {
  readonly token: Secret;
  /** 0: it does not end. */
  readonly ttl_seconds: number;
  readonly renewable: boolean;
}

/** Why there is no token: the server's answer, or what is wrong on this side. */
export type LoginFailure = { readonly reply: BaoReply } | { readonly problem: string };

/** Logs in once, without another try. Never rejects. */
export async function login(
  auth: OpenBaoAuth,
  namespace: string | null,
  http: BaoHttp,
): Promise<Grant | LoginFailure> {
  if (auth.method === 'token') return adopt(auth.token, namespace, http);
  let body: Record<string, string>;
  try {
    body = await loginBody(auth);
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException;
    return { problem: `the file for its login cannot be read (${code})` };
  }
  const path = baoPath('auth', ...segments(auth.mount, 'the mount of the login'), 'login');
  const reply = await http.send({ method: 'POST', path, namespace, token: null, body });
  return grantOf(reply) ?? { reply };
}

async function loginBody(auth: Exclude<OpenBaoAuth, { method: 'token' }>): Promise<Record<string, string>> {
  if (auth.method !== 'approle')
    return { role: auth.role, jwt: (await readFile(auth.jwt_file, 'utf8')).trim() };
  const { secret_id } = auth;
  const id =
    secret_id instanceof Secret ? reveal(secret_id) : (await readFile(secret_id.file, 'utf8')).trim();
  return { role_id: auth.role_id, secret_id: id };
}

/** A token that was given says how long it lives only when it is asked. */
async function adopt(token: Secret, namespace: string | null, http: BaoHttp): Promise<Grant | LoginFailure> {
  const reply = await http.send({ method: 'GET', path: 'auth/token/lookup-self', namespace, token });
  const data = reply.status === 200 ? object(reply.body.data) : null;
  if (data === null) return { reply };
  // Rounded down, so that 0 is also the last second of a token that ends: only such a one says when.
  const ttl_seconds = data.expire_time == null ? seconds(data.ttl) : Math.max(1, seconds(data.ttl));
  return { token, ttl_seconds, renewable: data.renewable === true };
}

/** Asks for more time. null: the server gave none, for whatever reason. */
export async function renew(token: Secret, namespace: string | null, http: BaoHttp): Promise<Grant | null> {
  const reply = await http.send({
    method: 'POST',
    path: 'auth/token/renew-self',
    namespace,
    token,
    body: {},
  });
  const grant = grantOf(reply);
  // At its longest life a token is given 0 more; one that never ends is not renewed.
  return grant === null || grant.ttl_seconds === 0 ? null : { ...grant, token };
}

function grantOf(reply: BaoReply): Grant | null {
  const auth = reply.status === 200 ? object(reply.body.auth) : null;
  const token = auth?.client_token;
  if (auth === null || typeof token !== 'string' || token === '') return null;
  return {
    token: new Secret(token),
    ttl_seconds: seconds(auth.lease_duration),
    renewable: auth.renewable === true,
  };
}

function seconds(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}
