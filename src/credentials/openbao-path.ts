/** Paths of OpenBao. A path selects a namespace, an engine and a secret at once, so each segment is checked. */
import type { Tenant } from '../snapshot/snapshot.ts';
import { unavailable } from './problem.ts';

/** How the secrets of tenants are kept apart. */
export interface Tenancy {
  /** The namespace that the gateway itself works in; null: the root of the server. */
  readonly namespace: string | null;
  /** `namespace`: each tenant has one of its own. `path`: a tenant's name begins its keys and engine paths. */
  readonly by: 'namespace' | 'path';
  /** Before a tenant's name. */
  readonly prefix: string;
}

type Tenants = ReadonlyMap<string, Pick<Tenant, 'name' | 'openbao_namespace'>>;

/** Where the secrets of one caller are. */
export interface Scope {
  readonly namespace: string | null;
  /** The first segments of its keys and engine paths. */
  readonly below: readonly string[];
}

/** Engines of the server itself: no credential comes from there. */
const SERVERS_OWN: ReadonlySet<string> = new Set(['sys', 'auth', 'identity', 'cubbyhole', 'audit']);

/** The part of OpenBao that belongs to a tenant; null: to those without one. */
export function scopeOf(tenancy: Tenancy, tenant: Pick<Tenant, 'name' | 'openbao_namespace'> | null): Scope {
  if (tenant === null) return { namespace: tenancy.namespace, below: [] };
  const own = `${tenancy.prefix}${tenant.name}`;
  // A name of several segments would lie within the part of the tenant that has the first for its name.
  if (tenant.name.includes('/')) throw unavailable('the name of the tenant is no single segment');
  if (tenancy.by === 'path')
    return { namespace: tenancy.namespace, below: segments(own, 'the name of the tenant') };
  const namespace = segments(tenant.openbao_namespace ?? own, 'the namespace of the tenant').join('/');
  return {
    namespace: tenancy.namespace === null ? namespace : `${tenancy.namespace}/${namespace}`,
    below: [],
  };
}

/**
 * The segments of a path that a manifest or a binding holds. Throws CREDENTIAL_UNAVAILABLE for one that would leave
 * its place: empty and dot segments, and characters that servers read in more than one way.
 */
export function segments(path: string, what: string): string[] {
  const parts = path.split('/');
  const bad = parts.find((part) => part === '' || /^\.+$/.test(part) || !/^[\w.@:+=~ -]+$/.test(part));
  if (bad !== undefined) throw unavailable(`${what} is no path of plain segments`);
  return parts;
}

/**
 * Refuses a path that begins with a tenant's namespace or prefix: for those without a tenant it would lead into what
 * belongs to one, and a tenant's own path never begins with it.
 */
export function checkForeign(
  parts: readonly string[],
  tenancy: Tenancy,
  tenants: Tenants,
  what: string,
): void {
  const first = parts[0] ?? '';
  const path = `${parts.join('/')}/`;
  const prefixed = tenancy.prefix !== '' && first.startsWith(tenancy.prefix);
  const inNamespace = [...tenants.values()].some(({ name, openbao_namespace }) =>
    path.startsWith(`${openbao_namespace ?? `${tenancy.prefix}${name}`}/`),
  );
  if (prefixed || inNamespace) throw unavailable(`${what} leads into the secrets of a tenant`);
}

/** Refuses what is not an engine of secrets. */
export function checkEngine(parts: readonly string[]): void {
  if (SERVERS_OWN.has(parts[0] ?? '')) throw unavailable('the engine path names a part of OpenBao itself');
}

/** The segments as they are sent. */
export function baoPath(...parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join('/');
}
