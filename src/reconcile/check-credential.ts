/** What of a manifest's credential can be judged ahead of every call. */
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import { isLoopback } from '../openapi/loopback.ts';
import type { Problems } from './problems.ts';

/** `bindings`: whether the store keeps the credentials that users have bound. */
export function checkCredential({ spec }: Manifest, bindings: boolean, problems: Problems): void {
  const fields = ['credential', 'registry_credential'] as const;
  for (const field of fields) {
    const written = (spec as { readonly [F in typeof field]?: SpecOf<'ApiSpec'>['credential'] })[field];
    if (written?.user_bound === undefined || bindings) continue;
    problems.error(
      `/spec/${field}/user_bound`,
      'no-bindings',
      'credentials that users have bound are kept in Postgres, and this gateway keeps its data in SQLite',
      'set database.url to a postgres:// URL, or use another form',
    );
  }
}

/** A credential is not sent where everybody on the way can read it; said here, and kept to by every call. */
export function checkTransport(spec: SpecOf<'ApiSpec'>, base_url: URL, problems: Problems): void {
  const { credential, egress } = spec;
  if (credential === undefined || credential.none !== undefined) return;
  if (base_url.protocol === 'https:' || isLoopback(base_url) || egress?.plain_http_credentials === true)
    return;
  problems.error(
    '/spec/credential',
    'plain-http',
    `the credential would go over plain HTTP to ${base_url.host}`,
    'use https, or set egress.plain_http_credentials where the way is safe',
  );
}
