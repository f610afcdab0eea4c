/** Headers and parameters of manifests that would never be sent as they are written. */
import { pointerTo } from '../manifest/position.ts';
import { RESERVED_HEADERS } from '../openapi/reserved-headers.ts';
import type { Api } from '../snapshot/snapshot.ts';
import { credentialPlace } from './fixed-parameters.ts';
import type { Problems } from './problems.ts';

type Sender = Pick<Api, 'name' | 'credential' | 'inject'>;
type Named = Readonly<Record<string, unknown>>;

/** `pointer`: of what holds the two. What would be dropped without a word is refused at its name. */
export function checkSent(
  { headers = {}, query = {} }: { readonly headers?: Named; readonly query?: Named },
  pointer: string,
  api: Sender,
  problems: Problems,
): void {
  const own = api.credential.kind === 'none' ? null : credentialPlace(api);
  const refuse = (field: 'headers' | 'query', name: string, why: string, hint: string): void =>
    problems.error(pointerTo(`${pointer}/${field}`, name), 'reserved-name', `${name} ${why}`, hint, 'key');
  const why = `is where the credential of ApiSpec ${api.name} goes`;
  for (const name of Object.keys(headers)) {
    const folded = name.toLowerCase();
    if (RESERVED_HEADERS.has(folded))
      refuse('headers', name, 'is a header that the gateway sets', 'take it out');
    else if (own?.in === 'header' && own.name === folded) refuse('headers', name, why, 'take it out');
  }
  if (own?.in === 'query' && Object.hasOwn(query, own.name)) refuse('query', own.name, why, 'take it out');
}

/** A credential in such a header could never be sent. */
export function checkInject(api: Sender, problems: Problems): void {
  const { inject } = api;
  if (inject.kind !== 'header' || !RESERVED_HEADERS.has(inject.name.toLowerCase())) return;
  const message = `${inject.name} is a header that the gateway sets, and can carry no credential`;
  problems.error('/spec/inject/header/name', 'reserved-name', message, 'name the one that the API asks for');
}
