/** The ApiSpec of an imported document. */
import { isIP } from 'node:net';
import { API_VERSION } from '../../manifest/kind.ts';
import { isObject, member, textOf } from '../../openapi/reference.ts';
import { OPTIONS, SOURCE, STATE } from './annotations.ts';
import { fieldsOf, writeFingerprint } from './fingerprint.ts';

export interface ApiPlace {
  readonly name: string;
  readonly source: { readonly file: string } | { readonly url: string; readonly sha256: string };
  readonly base_url: string;
  /** It was chosen, and is not the document's to change. */
  readonly own_base_url: boolean;
  /** The file or URL that was imported. */
  readonly origin: string;
  readonly prefix: string;
  readonly operations: readonly string[];
}

export function apiManifest({
  name,
  source,
  base_url,
  own_base_url,
  origin,
  prefix,
  operations,
}: ApiPlace): Readonly<Record<string, unknown>> {
  const manifest = (annotations: object) => ({
    apiVersion: API_VERSION,
    kind: 'ApiSpec',
    metadata: { name, annotations },
    // Written out, so that no later version of the document sends the credential elsewhere.
    spec: { source, base_url, ...(isLoopback(base_url) && { egress: { allow_private: true } }) },
  });
  return manifest({
    [SOURCE]: origin,
    [OPTIONS]: JSON.stringify({ prefix, operations, ...(own_base_url && { base_url }) }),
    [STATE]: writeFingerprint(fieldsOf(manifest({}))),
  });
}

/** Whoever imports an API of this very machine wants it called. */
function isLoopback(base_url: string): boolean {
  const host = new URL(base_url).hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** How the document says that callers prove themselves, in words for who fills in `credential`; null: it does not. */
export function credentialHint(document: unknown): string | null {
  const schemes = member(member(document, 'components'), 'securitySchemes');
  if (!isObject(schemes)) return null;
  const hints = Object.values(schemes).flatMap((scheme) => hintOf(scheme) ?? []);
  return hints.length === 0 ? null : [...new Set(hints)].slice(0, 3).join('; or ');
}

function hintOf(scheme: unknown): string | null {
  const name = textOf(scheme, 'name') ?? '';
  switch (textOf(scheme, 'type')) {
    case 'apiKey':
      if (textOf(scheme, 'in') === 'header' && /^[A-Za-z0-9-]+$/.test(name))
        return `inject: {header: {name: ${name}}}`;
      return textOf(scheme, 'in') === 'query' && /^\w+$/.test(name)
        ? `inject: {query: {name: ${name}}}`
        : null;
    case 'http':
      return textOf(scheme, 'scheme')?.toLowerCase() === 'basic'
        ? 'inject: {basic: {}}'
        : 'inject: {bearer: {}}';
    case 'oauth2':
    case 'openIdConnect':
      return 'inject: {bearer: {}}';
    default:
      return null;
  }
}
