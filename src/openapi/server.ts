/** The base URL that a document, or one of its operations, names by `servers`. */
import {
  isObject,
  type JsonObject,
  type Located,
  Malformed,
  member,
  nounOf,
  pointerTo,
  quote,
} from './reference.ts';

/**
 * The first server with the defaults of its variables, without a slash at the end. Other servers are for people
 * to choose from, by `base_url` of an ApiSpec. null: no server is given, or it is relative and `documentUrl` is
 * not known. Throws {@link Malformed} for one that cannot be a base URL.
 */
export function baseUrl(servers: Located | null, documentUrl: string | null): string | null {
  const server = firstServer(servers);
  const base = documentUrl ?? undefined;
  // OpenAPI 3.1 section 4.8.1.1: without servers, the one that the document is from.
  const text = server === null ? '/' : filled(server);
  const url = URL.parse(text, base);
  if (url === null && base === undefined && !text.includes('://')) return null;
  const pointer = server?.pointer ?? '';
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === null || !isHttp)
    throw new Malformed(pointer, `the server ${quote(text)} is not an http or https URL`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Malformed(pointer, `the server ${quote(text)} has a user, a query or a fragment`);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** Whether a list of servers says anything: an empty one stands for none (OpenAPI 3.1 section 4.8.1.1). */
export function namesServers(servers: Located | null): boolean {
  return servers !== null && !(Array.isArray(servers.value) && servers.value.length === 0);
}

function firstServer(servers: Located | null): Located<JsonObject> | null {
  if (servers === null || !namesServers(servers)) return null;
  if (!Array.isArray(servers.value))
    throw new Malformed(servers.pointer, `servers must be a list, not ${nounOf(servers.value)}`);
  const value: unknown = servers.value[0];
  const pointer = pointerTo(servers.pointer, 0);
  if (!isObject(value)) throw new Malformed(pointer, `a server must be an object, not ${nounOf(value)}`);
  return { value, pointer };
}

function filled({ value, pointer }: Located<JsonObject>): string {
  const url = member(value, 'url');
  if (typeof url !== 'string') throw new Malformed(pointer, 'a server needs the text url');
  const variables = member(value, 'variables');
  return url.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const initial = member(member(variables, name), 'default');
    if (typeof initial === 'string' || typeof initial === 'number') return String(initial);
    throw new Malformed(pointer, `the server variable ${quote(name)} has no default`);
  });
}
