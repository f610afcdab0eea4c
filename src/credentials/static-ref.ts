/** `static_ref`: a secret that is kept in OpenBao's key-value engine, version 2 or 1. */
import type { Clock } from '../clock.ts';
import { credentialOf } from './fields.ts';
import type { OpenBao } from './openbao.ts';
import { type BaoReply, type JsonReply, object } from './openbao-http.ts';
import { baoPath, checkForeign, type Scope, scopeOf, segments, type Tenancy } from './openbao-path.ts';
import { lacksNamespace, problemOf } from './openbao-problem.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider, Principal } from './resolve.ts';
import { createShared } from './shared.ts';

export interface KvOptions {
  readonly openbao: Pick<OpenBao, 'read'>;
  readonly tenancy: Tenancy;
  readonly mount: string;
  readonly version: 1 | 2;
}

/** Reads one secret of a tenant. Rejects with CREDENTIAL_UNAVAILABLE. */
export type ReadSecret = (key: string, principal: Principal) => Promise<JsonReply>;

/** Secrets that are kept at one time, where manifests say `cache_seconds`. */
const MAX_CACHED = 10_000;

export function createReadSecret({ openbao, tenancy, mount, version }: KvOptions): ReadSecret {
  const engine = segments(mount, 'the mount of the key-value engine');
  return async (key, { tenant, tenants }) => {
    const below = segments(key, 'the key of the secret');
    checkForeign(below, tenancy, tenants, 'the key of the secret');
    const scope = scopeOf(tenancy, tenant);
    const path = kvPath(engine, version, scope, below);
    const reply = await openbao.read({ method: 'GET', path, namespace: scope.namespace });
    return version === 2 ? dataOfVersion2(reply, key) : dataOfVersion1(reply, key);
  };
}

export function createStaticRef(read: ReadSecret, clock: Clock): CredentialProvider<'static_ref'> {
  const shared = createShared<JsonReply>({ clock, max: MAX_CACHED });
  return async (ref, principal) => {
    const { key, field, cache_seconds = 0 } = ref;
    if (cache_seconds === 0) return credentialOf(await read(key, principal), field);
    // By name and namespace: the same name under another namespace is another secret.
    const owner = principal.tenant;
    const id = JSON.stringify([owner?.name ?? null, owner?.openbao_namespace ?? null, key]);
    const { value, cached } = await shared(id, async () => ({
      value: await read(key, principal),
      keep_ms: cache_seconds * 1000,
    }));
    return { ...credentialOf(value, field), facts: { cached } };
  };
}

function kvPath(engine: readonly string[], version: 1 | 2, { below }: Scope, key: readonly string[]): string {
  return baoPath(...engine, ...(version === 2 ? ['data'] : []), ...below, ...key);
}

/** A deleted version is a 404 with its metadata; a missing one is a 404 without. */
function dataOfVersion2(reply: BaoReply, key: string): JsonReply {
  const outer = reply.status === 200 || reply.status === 404 ? object(reply.body.data) : null;
  const metadata = object(outer?.metadata);
  if (metadata?.destroyed === true) throw unavailable(`the secret ${key} is destroyed`);
  if (typeof metadata?.deletion_time === 'string' && metadata.deletion_time !== '' && outer?.data === null) {
    throw unavailable(`the latest version of the secret ${key} is deleted`);
  }
  return dataOf(reply, object(outer?.data), key);
}

function dataOfVersion1(reply: BaoReply, key: string): JsonReply {
  return dataOf(reply, reply.status === 200 ? object(reply.body.data) : null, key);
}

function dataOf(reply: BaoReply, data: JsonReply | null, key: string): JsonReply {
  if (isVersioned(reply)) {
    throw unavailable('the key-value engine keeps versions: its kv_version is 2');
  }
  if (reply.status === 404 && !lacksNamespace(reply))
    throw unavailable(`there is no secret ${key} where this caller's secrets are`);
  if (reply.status !== 200) throw unavailable(problemOf(reply));
  if (data === null)
    throw unavailable(`OpenBao's answer holds no secret ${key}: is its engine of the configured version?`);
  return data;
}

/** A path of version 1 is answered with a warning there. */
function isVersioned({ status, body: { warnings } }: BaoReply): boolean {
  return (
    status === 404 && Array.isArray(warnings) && warnings.some((warning) => /versioned K\/V/.test(warning))
  );
}
