/** What a change of an issuer or a tenant grants and takes: whose tokens are believed, and for what. */
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import {
  canonical,
  diffAllowlist,
  diffLimit,
  diffRate,
  missing,
  narrowed,
  type RightsChange,
  widened,
} from './rights-change.ts';

type Issuer = Pick<Manifest<'TokenIssuer'>, 'spec' | 'data'>;
type Tenant = Pick<Manifest<'Tenant'>, 'spec'>;
type KeySource = SpecOf<'TokenIssuer'>['jwks'];

/** What a manifest has when it does not say: see schemas/TokenIssuer.schema.json. */
const LONGEST_TTL = 86_400;

/** null: there is none, or it is not valid, so that no token of it is believed. */
export function diffIssuer(before: Issuer | null, after: Issuer | null): RightsChange[] {
  if (after === null)
    return before === null ? [] : [narrowed(`tokens of ${before.spec.issuer}`, 'are refused')];
  const { spec } = after;
  if (before === null) {
    const contexts = spec.allowed_security_contexts?.join(', ') ?? 'every security context';
    return [widened(`tokens of ${spec.issuer}`, `are believed, for ${contexts}`)];
  }
  const old = before.spec;
  const changes: RightsChange[] = [];
  if (old.issuer !== spec.issuer)
    changes.push(
      widened(`tokens of ${spec.issuer}`, 'are believed'),
      narrowed(`tokens of ${old.issuer}`, 'are refused'),
    );
  changes.push(
    ...diffAllowlist('audience', [old.audience].flat(), [spec.audience].flat()),
    ...diffAllowlist('algorithms', old.algorithms, spec.algorithms),
    ...diffKeys('jwks', keysOf(old.jwks, before), keysOf(spec.jwks, after)),
    ...diffKeys('envelope_keys', keysOf(old.envelope_keys, before), keysOf(spec.envelope_keys, after)),
    ...diffAllowlist('allowed_tenants', old.allowed_tenants, spec.allowed_tenants),
    ...diffAllowlist(
      'allowed_security_contexts',
      old.allowed_security_contexts,
      spec.allowed_security_contexts,
    ),
    ...diffLimit(
      'max_token_ttl_seconds',
      old.max_token_ttl_seconds ?? LONGEST_TTL,
      spec.max_token_ttl_seconds ?? LONGEST_TTL,
    ),
  );
  const [once, often] = [old, spec].map(({ replay }) => replay ?? 'token');
  if (once !== often)
    changes.push(
      often === 'envelope'
        ? widened('replay', 'a token is good for more than one call')
        : narrowed('replay', 'a token is good for one call'),
    );
  const [was, is] = [old.default_security_context, spec.default_security_context];
  if (was !== is)
    changes.push(
      is === undefined
        ? narrowed('default_security_context', `removed: tokens that name none no longer act in ${was}`)
        : widened('default_security_context', `tokens that name none act in ${is}`),
    );
  return changes;
}

/** null: there is none, or it is not valid, so that nobody can call as this tenant. */
export function diffTenant(before: Tenant | null, after: Tenant | null): RightsChange[] {
  if (after === null) return before === null ? [] : [narrowed('tokens of this tenant', 'are refused')];
  const { spec } = after;
  if (before === null)
    return spec.suspended === true ? [] : [widened('tokens of this tenant', 'are believed')];
  const old = before.spec;
  const [was, is] = [old, spec].map(({ suspended }) => suspended ?? false);
  return [
    ...(was && !is ? [widened('suspended', 'no longer: its tokens are believed')] : []),
    ...(!was && is ? [narrowed('suspended', 'its tokens are refused')] : []),
    ...diffRate('rate_limit', old.rate_limit, spec.rate_limit),
    ...diffLimit('max_concurrency', old.max_concurrency, spec.max_concurrency),
    ...diffAllowlist(
      'allowed_security_contexts',
      old.allowed_security_contexts,
      spec.allowed_security_contexts,
    ),
    ...(old.openbao_namespace === spec.openbao_namespace
      ? []
      : [widened('openbao_namespace', 'other secrets: look at it closely')]),
  ];
}

/** The keys of a source, each as one text; those that cannot be told apart here are one text together. */
function keysOf(source: KeySource | undefined, { data }: Issuer): string[] {
  if (source === undefined) return [];
  if (source.url !== undefined) return [`those of ${source.url}`];
  const file = source.file === undefined ? undefined : data.get(source.file);
  const set: unknown = source.inline ?? parsed(file?.bytes.toString('utf8') ?? '');
  const keys = (set as { readonly keys?: unknown } | null)?.keys;
  return Array.isArray(keys)
    ? keys.map(canonical)
    : [`those of ${source.file}, ${file?.digest.slice(0, 12)}`];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function diffKeys(what: string, before: readonly string[], after: readonly string[]): RightsChange[] {
  return [
    ...missing(after, before).map((key) => widened(what, `believes ${nameOfKey(key)}`)),
    ...missing(before, after).map((key) => narrowed(what, `no longer believes ${nameOfKey(key)}`)),
  ];
}

/** By its kid, and what tells it apart from another of that kid. */
function nameOfKey(text: string): string {
  const key = parsed(text) as { readonly kid?: unknown; readonly x?: unknown; readonly n?: unknown } | null;
  if (key === null) return text;
  const part = [key.x, key.n].find((one) => typeof one === 'string');
  const kid = typeof key.kid === 'string' ? ` ${key.kid}` : '';
  return `the key${kid}${part === undefined ? '' : ` (${part.slice(0, 12)}…)`}`;
}
