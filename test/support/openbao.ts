/**
 * A stand-in for OpenBao, written from the facts of its HTTP API: seals, namespaces, tokens with policies and lives,
 * logins, key-value engines of both versions, engines whose credentials are leases, and the shapes of its errors. It
 * holds real clocks: what it says will end ends.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

type Json = Record<string, unknown>;

/** Rules by path; `*` at the end stands for the rest, `+` for one segment. Paths are whole, with their namespace. */
export type Policy = Readonly<Record<string, readonly ('create' | 'read' | 'update' | 'sudo')[]>>;

interface Token {
  readonly id: string;
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly created: number;
  /** Milliseconds since the Unix epoch; Infinity: never. */
  ends: number;
  /** Seconds; 0: it does not end. */
  readonly ttl: number;
  readonly max_ttl: number;
  readonly renewable: boolean;
}

export interface Lease {
  readonly lease_id: string;
  readonly data: Json;
  ends: number;
  revoked: boolean;
}

export interface SeenRequest {
  readonly method: string;
  /** Without /v1/, decoded, without the query. */
  readonly path: string;
  readonly namespace: string;
  readonly token: string | undefined;
  readonly body: Json;
  readonly headers: IncomingMessage['headers'];
}

interface KvVersion {
  data: Json | null;
  deletion_time: string;
  destroyed: boolean;
  readonly created_time: string;
}

/** Of type ed25519, its versions from 1. */
interface TransitKey {
  readonly versions: KeyObject[];
  /** The oldest that still verifies. */
  min_decryption_version: number;
}

type Engine =
  | { readonly type: 'kv1'; readonly secrets: Map<string, Json> }
  | { readonly type: 'kv2'; readonly secrets: Map<string, KvVersion[]> }
  | { readonly type: 'transit'; readonly keys: Map<string, TransitKey> }
  /** `make` gives the fields of a new credential; `post`: it has to be told something. */
  | {
      readonly type: 'dynamic';
      readonly ttl: number;
      readonly post: boolean;
      make(role: string, body: Json): Json | null;
    };

interface Answer {
  readonly status: number;
  readonly body: Json | null;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Login {
  readonly accepts: (body: Json) => boolean;
  readonly policies: readonly string[];
  readonly ttl: number;
  readonly max_ttl: number;
  readonly renewable: boolean;
}

export interface OpenBaoStandIn {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** All leases that were ever given. */
  readonly leases: readonly Lease[];
  readonly root_token: string;
  namespace(name: string): void;
  policy(name: string, rules: Policy): void;
  /** A new token; seconds, 0: without end. */
  token(options: { policies: string[]; ttl?: number; max_ttl?: number; renewable?: boolean }): string;
  revokeToken(id: string): void;
  /** A login at `auth/<mount>/login`. */
  login(mount: string, options: Partial<Login> & Pick<Login, 'accepts'>): void;
  /** Mounts an engine; `path` with its namespace. */
  kv(path: string, version: 1 | 2): void;
  dynamic(
    path: string,
    options?: { ttl?: number; post?: boolean; make?: (role: string, body: Json) => Json | null },
  ): void;
  /** Mounts a transit engine with one key. */
  transit(path: string, key: string): void;
  /** A new version signs from now on. */
  rotate(mount: string, key: string): void;
  /** From now on versions before this one neither sign nor verify. */
  retire(mount: string, key: string, before: number): void;
  put(mount: string, key: string, data: Json): void;
  /** Of the latest version (KV v2). */
  remove(mount: string, key: string, how: 'delete' | 'destroy'): void;
  /** Leases that live. */
  alive(): Lease[];
  seal(sealed: boolean): void;
  /** What the engines make credentials of is down: none can be made, and none revoked at once. */
  outage(down: boolean): void;
  /** As a node that is not the active one answers: by handing on, by a redirect, or not at all. */
  standby(how: 'no' | 'forwards' | 'leaderless' | { redirect: string }): void;
  /** Looks at each request first; true: it has answered, or will. */
  intercept(handler: ((request: SeenRequest, response: ServerResponse) => boolean) | null): void;
  /** Answers a request that was intercepted, as if it came now. */
  answer(request: SeenRequest, response: ServerResponse): void;
  close(): Promise<void>;
}

export interface StandInOptions {
  /** TLS, all as PEM; `client_ca`: clients have to show a certificate of it. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly client_ca?: string };
}

export async function startOpenBao(options: StandInOptions = {}): Promise<OpenBaoStandIn> {
  const tokens = new Map<string, Token>();
  const policies = new Map<string, Policy>();
  const namespaces = new Set(['']);
  const logins = new Map<string, Login>();
  const engines = new Map<string, Engine>();
  const leases: Lease[] = [];
  const requests: SeenRequest[] = [];
  let sealed = false;
  let outage = false;
  let standby: Parameters<OpenBaoStandIn['standby']>[0] = 'no';
  let intercept: Parameters<OpenBaoStandIn['intercept']>[0] = null;

  const newToken: OpenBaoStandIn['token'] = ({
    policies: of,
    ttl = 0,
    max_ttl = ttl * 10,
    renewable = ttl > 0,
  }) => {
    const id = `s.${randomBytes(18).toString('base64url')}`;
    const created = Date.now();
    const ends = ttl === 0 ? Infinity : created + ttl * 1000;
    tokens.set(id, { id, accessor: randomUUID(), policies: of, created, ends, ttl, max_ttl, renewable });
    return id;
  };
  const root_token = newToken({ policies: ['root'] });

  const living = (id: string | undefined): Token | null => {
    const token = id === undefined ? undefined : tokens.get(id);
    return token !== undefined && Date.now() < token.ends ? token : null;
  };

  const may = (token: Token, path: string, capability: 'create' | 'read' | 'update'): boolean => {
    if (token.policies.includes('root')) return true;
    // Of the policy `default`, which every token has.
    if (/^auth\/token\/(?:lookup|renew|revoke)-self$/.test(path)) return true;
    return token.policies.some((name) =>
      Object.entries(policies.get(name) ?? {}).some(
        ([pattern, capabilities]) => fits(pattern, path) && capabilities.includes(capability),
      ),
    );
  };

  const handle = (request: SeenRequest): Answer => {
    if (request.path === 'sys/health') return health();
    if (sealed) return fail(503, 'Vault is sealed');
    if (standby === 'leaderless') return fail(500, 'local node not active but active cluster node not found');
    if (typeof standby === 'object') {
      return { status: 307, body: null, headers: { location: `${standby.redirect}/v1/${request.path}` } };
    }
    const [namespace, path] = placeOf(request, namespaces);
    if (namespace === null) return fail(404, 'namespace not found');
    const whole = namespace === '' ? path : `${namespace}/${path}`;
    const login = /^auth\/(.+)\/login$/.exec(path);
    if (login !== null) return logIn(request, namespace === '' ? login[1]! : `${namespace}/${login[1]}`);
    const token = living(request.token);
    if (token === null) return fail(403, 'permission denied', 'invalid token');
    const capability = request.method === 'GET' ? 'read' : 'update';
    if (!may(token, whole, capability)) return fail(403, '1 error occurred:\n\t* permission denied\n\n');
    if (path.startsWith('auth/token/')) return ofToken(path, token);
    if (path === 'sys/leases/revoke') return revoke(request);
    if (path === 'sys/leases/lookup') return lookupLease(request);
    return ofEngine(request, whole);
  };

  function health(): Answer {
    const is_standby = standby !== 'no';
    // Asked with standbyok, a standby is well.
    const status = sealed ? 503 : 200;
    return send(status, {
      initialized: true,
      sealed,
      standby: is_standby,
      performance_standby: false,
      server_time_utc: Math.floor(Date.now() / 1000),
      version: '2.1.0',
      cluster_name: 'stand-in',
      cluster_id: 'c0ffee',
    });
  }

  function logIn({ body, method }: SeenRequest, mount: string): Answer {
    const login = logins.get(mount);
    if (login === undefined)
      return fail(404, `no handler for route "auth/${mount}/login". route entry not found.`);
    if (method !== 'POST' && method !== 'PUT') return fail(405, 'unsupported operation');
    if (!login.accepts(body)) return fail(400, 'invalid role or secret ID');
    const { ttl, max_ttl, renewable, policies: of } = login;
    const id = newToken({ policies: [...of], ttl, max_ttl, renewable });
    return send(200, answer({ auth: authOf(tokens.get(id)!) }));
  }

  function ofToken(path: string, token: Token): Answer {
    if (path === 'auth/token/lookup-self') {
      const left = token.ends === Infinity ? 0 : Math.floor((token.ends - Date.now()) / 1000);
      const expire_time = token.ends === Infinity ? null : new Date(token.ends).toISOString();
      const { id, accessor, policies: of, renewable, ttl: creation_ttl } = token;
      const data = { id, accessor, policies: of, renewable, ttl: left, creation_ttl, expire_time };
      return send(200, answer({ data }));
    }
    if (path === 'auth/token/renew-self') {
      if (!token.renewable) return fail(400, 'lease is not renewable');
      const longest = token.created + token.max_ttl * 1000;
      token.ends = Math.min(Date.now() + token.ttl * 1000, longest);
      return send(200, answer({ auth: authOf(token) }));
    }
    tokens.delete(token.id);
    return send(204, null);
  }

  function authOf(token: Token): Json {
    const left = token.ends === Infinity ? 0 : Math.max(0, Math.round((token.ends - Date.now()) / 1000));
    return {
      client_token: token.id,
      accessor: token.accessor,
      policies: token.policies,
      token_policies: token.policies,
      metadata: null,
      lease_duration: left,
      renewable: token.renewable,
      entity_id: '',
      token_type: 'service',
      orphan: true,
    };
  }

  /** An unknown lease is no error: it is gone already. One that was left to the server ends as soon as it can. */
  function revoke({ body, method }: SeenRequest): Answer {
    if (method === 'GET') return fail(405, 'unsupported operation');
    if (typeof body.lease_id !== 'string' || body.lease_id === '')
      return fail(400, 'lease_id must be specified');
    if (outage && body.sync === true)
      return fail(400, `failed to revoke entry: resp: (*logical.Response)(nil) err: connection refused`);
    for (const lease of leases) if (lease.lease_id === body.lease_id) lease.revoked = true;
    return send(body.sync === true ? 204 : 202, null);
  }

  function lookupLease({ body }: SeenRequest): Answer {
    const lease = alive().find(({ lease_id }) => lease_id === body.lease_id);
    if (lease === undefined) return fail(400, 'invalid lease');
    return send(
      200,
      answer({ data: { id: lease.lease_id, ttl: Math.ceil((lease.ends - Date.now()) / 1000) } }),
    );
  }

  function ofEngine(request: SeenRequest, whole: string): Answer {
    const mount = [...engines.keys()]
      .filter((path) => whole.startsWith(`${path}/`))
      .sort((a, b) => b.length - a.length)[0];
    if (mount === undefined) {
      return fail(404, `no handler for route "${whole}". route entry not found.`);
    }
    const engine = engines.get(mount)!;
    const rest = whole.slice(mount.length + 1);
    if (engine.type === 'dynamic') return mint(request, engine, mount, rest);
    if (engine.type === 'transit') return ofTransit(request, engine.keys, rest);
    if (request.method !== 'GET') return fail(405, 'unsupported operation');
    if (engine.type === 'kv1') {
      const data = engine.secrets.get(rest);
      if (data === undefined) return send(404, { errors: [] });
      return send(200, { ...answer({ data }), lease_duration: 2_764_800 });
    }
    return readVersion(engine.secrets.get(rest.replace(/^data\//, '')), rest);
  }

  function ofTransit({ method, body }: SeenRequest, keys: Map<string, TransitKey>, rest: string): Answer {
    const [, what, name = ''] = /^(keys|sign)\/([^/]+)$/.exec(rest) ?? [];
    const key = keys.get(name);
    if (what === undefined) return fail(404, 'unsupported path');
    if (what === 'keys') {
      if (key === undefined) return send(404, { errors: [] });
      const oldest = key.min_decryption_version;
      const versions = key.versions.slice(oldest - 1).map((private_key, index) => {
        const { x } = createPublicKey(private_key).export({ format: 'jwk' });
        const public_key = Buffer.from(String(x), 'base64url').toString('base64');
        const about = { creation_time: new Date().toISOString(), name: 'ed25519', public_key };
        return [String(oldest + index), about] as const;
      });
      const data = {
        ...{ type: 'ed25519', name, derived: false, exportable: false, deletion_allowed: false },
        ...{ keys: Object.fromEntries(versions), latest_version: key.versions.length },
        ...{ min_available_version: 0, min_decryption_version: oldest, min_encryption_version: 0 },
        ...{ supports_encryption: false, supports_decryption: false, supports_signing: true },
      };
      return send(200, answer({ data }));
    }
    if (method === 'GET') return fail(405, 'unsupported operation');
    if (key === undefined) return fail(400, 'signing key not found');
    const version = Number(body.key_version ?? 0) || key.versions.length;
    const private_key = key.versions[version - 1];
    if (version < key.min_decryption_version || private_key === undefined)
      return fail(
        500,
        '1 error occurred:\n\t* requested version for signing is less than the minimum encryption key version\n\n',
      );
    const signature = sign(null, Buffer.from(String(body.input), 'base64'), private_key).toString('base64');
    return send(200, answer({ data: { signature: `vault:v${version}:${signature}`, key_version: version } }));
  }

  function readVersion(versions: KvVersion[] | undefined, rest: string): Answer {
    if (!rest.startsWith('data/')) {
      const warning =
        'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use.';
      return send(404, { errors: [], warnings: [warning] });
    }
    const latest = versions?.at(-1);
    if (versions === undefined || latest === undefined) return send(404, { errors: [] });
    const { data, created_time, deletion_time, destroyed } = latest;
    const metadata = {
      created_time,
      custom_metadata: null,
      deletion_time,
      destroyed,
      version: versions.length,
    };
    const gone = destroyed || deletion_time !== '';
    return send(gone ? 404 : 200, answer({ data: { data: gone ? null : data, metadata } }));
  }

  function mint(
    request: SeenRequest,
    engine: Extract<Engine, { type: 'dynamic' }>,
    mount: string,
    rest: string,
  ): Answer {
    const role = /^creds\/([^/]+)$/.exec(rest)?.[1];
    if (role === undefined) return fail(404, 'unsupported path');
    if ((request.method === 'GET') === engine.post) return fail(405, 'unsupported operation');
    if (outage) return fail(500, '1 error occurred:\n\t* connection refused\n\n');
    const data = engine.make(role, request.body);
    if (data === null) return fail(400, `unknown role: ${role}`);
    const namespace = request.namespace === '' ? '' : `.${randomBytes(3).toString('hex')}`;
    const lease: Lease = {
      lease_id: `${mount}/creds/${role}/${randomBytes(18).toString('base64url')}${namespace}`,
      data,
      ends: Date.now() + engine.ttl * 1000,
      revoked: false,
    };
    leases.push(lease);
    return send(200, {
      ...answer({ data }),
      lease_id: lease.lease_id,
      lease_duration: engine.ttl,
      renewable: true,
    });
  }

  const alive = (): Lease[] => leases.filter(({ revoked, ends }) => !revoked && Date.now() < ends);

  const serve = (raw: IncomingMessage, response: ServerResponse): void => {
    void readBody(raw).then((body) => {
      const path = decodeURIComponent(new URL(raw.url ?? '/', 'http://bao').pathname);
      if (!path.startsWith('/v1/')) return write(response, fail(404, 'not found'));
      const namespace = String(raw.headers['x-vault-namespace'] ?? '').replace(/^\/+|\/+$/g, '');
      const request: SeenRequest = {
        method: raw.method ?? '',
        path: path.slice('/v1/'.length),
        namespace,
        token: raw.headers['x-vault-token'] as string | undefined,
        body,
        headers: raw.headers,
      };
      requests.push(request);
      if (intercept?.(request, response) !== true) write(response, handle(request));
    });
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(serve)
      : createTlsServer(
          {
            key: tls.key,
            cert: tls.cert,
            ...(tls.client_ca !== undefined && {
              ca: tls.client_ca,
              requestCert: true,
              rejectUnauthorized: true,
            }),
          },
          serve,
        );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const versionsOf = (mount: string, key: string): KvVersion[] => {
    const engine = engines.get(mount);
    if (engine?.type !== 'kv2') throw new Error(`${mount} has no versions`);
    const versions = engine.secrets.get(key) ?? [];
    engine.secrets.set(key, versions);
    return versions;
  };

  const transitKey = (mount: string, name: string): TransitKey => {
    const engine = engines.get(mount);
    const key = engine?.type === 'transit' ? engine.keys.get(name) : undefined;
    if (key === undefined) throw new Error(`there is no transit key ${name} at ${mount}`);
    return key;
  };

  return {
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    requests,
    leases,
    root_token,
    namespace: (name) => void namespaces.add(name),
    policy: (name, rules) => void policies.set(name, rules),
    token: newToken,
    revokeToken: (id) => void tokens.delete(id),
    login(mount, { policies: of = ['root'], ttl = 3600, max_ttl = ttl * 10, renewable = true, accepts }) {
      logins.set(mount, { policies: of, ttl, max_ttl, renewable, accepts });
    },
    kv(path, version) {
      engines.set(
        path,
        version === 1 ? { type: 'kv1', secrets: new Map() } : { type: 'kv2', secrets: new Map() },
      );
    },
    dynamic(path, { ttl = 3600, post = false, make = someUser } = {}) {
      engines.set(path, { type: 'dynamic', ttl, post, make });
    },
    transit(path, key) {
      const versions = [generateKeyPairSync('ed25519').privateKey];
      engines.set(path, { type: 'transit', keys: new Map([[key, { versions, min_decryption_version: 1 }]]) });
    },
    rotate(mount, key) {
      transitKey(mount, key).versions.push(generateKeyPairSync('ed25519').privateKey);
    },
    retire(mount, key, before) {
      transitKey(mount, key).min_decryption_version = before;
    },
    put(mount, key, data) {
      const engine = engines.get(mount);
      if (engine?.type === 'kv1') engine.secrets.set(key, data);
      else
        versionsOf(mount, key).push({
          data,
          deletion_time: '',
          destroyed: false,
          created_time: new Date().toISOString(),
        });
    },
    remove(mount, key, how) {
      const latest = versionsOf(mount, key).at(-1)!;
      if (how === 'delete') latest.deletion_time = new Date().toISOString();
      else Object.assign(latest, { destroyed: true, data: null });
    },
    alive,
    seal(value) {
      sealed = value;
    },
    outage(down) {
      outage = down;
    },
    standby(how) {
      standby = how;
    },
    intercept(handler) {
      intercept = handler;
    },
    answer: (request, response) => write(response, handle(request)),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** As the database engines make them. */
function someUser(role: string): Json {
  const name = `v-token-${role}-${randomBytes(8).toString('hex')}`;
  return { username: name, password: `A1a-${randomBytes(15).toString('base64url')}` };
}

/** A namespace is named by the header, by the first segments of the path, or by both. null: there is none such. */
function placeOf({ namespace, path }: SeenRequest, namespaces: ReadonlySet<string>): [string | null, string] {
  if (!namespaces.has(namespace)) return [null, path];
  const inner = [...namespaces]
    .filter((name) => name !== '' && (namespace === '' || name.startsWith(`${namespace}/`)))
    .map((name) => (namespace === '' ? name : name.slice(namespace.length + 1)))
    .filter((name) => path.startsWith(`${name}/`))
    .sort((a, b) => b.length - a.length)[0];
  if (inner === undefined) return [namespace, path];
  return [namespace === '' ? inner : `${namespace}/${inner}`, path.slice(inner.length + 1)];
}

function fits(pattern: string, path: string): boolean {
  const source = pattern.replace(/[.^$(){}|[\]\\?]/g, '\\$&').replaceAll('+', '[^/]+');
  return new RegExp(`^${source.endsWith('*') ? `${source.slice(0, -1)}.*` : source}$`).test(path);
}

/** What every answer has. */
function answer(more: Json): Json {
  return {
    request_id: randomUUID(),
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
    warnings: null,
    auth: null,
    ...more,
  };
}

function fail(status: number, ...errors: string[]): Answer {
  return send(status, { errors });
}

function send(status: number, body: Json | null): Answer {
  return { status, body };
}

function write(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(body === null ? undefined : JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : (JSON.parse(text) as Json);
}
