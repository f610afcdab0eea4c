/** What of its requests an API sets by itself: the headers of its ApiSpec, and the place of its credential. */
import type { Parameter } from '../openapi/operation.ts';
import type { Api } from '../snapshot/snapshot.ts';

type Sender = Pick<Api, 'headers' | 'inject'>;
type Place = Pick<Parameter, 'in' | 'name'>;

/** Where the credential goes; a header's name is in lower case. */
export function credentialPlace({ inject }: Pick<Api, 'inject'>): Place {
  if (inject.kind === 'query') return { in: 'query', name: inject.name };
  return { in: 'header', name: inject.kind === 'header' ? inject.name.toLowerCase() : 'authorization' };
}

/** Whether a parameter is set by the API; a header's name in any case. A header `cookie` holds all cookies. */
export function isFixed(api: Sender, { in: place, name }: Place): boolean {
  const own = credentialPlace(api);
  if (place === 'query') return own.in === 'query' && own.name === name;
  if (place !== 'header' && place !== 'cookie') return false;
  const header = place === 'cookie' ? 'cookie' : name.toLowerCase();
  return Object.hasOwn(api.headers, header) || (own.in === 'header' && own.name === header);
}
