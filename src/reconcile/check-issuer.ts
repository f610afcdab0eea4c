/** What a TokenIssuer must be among the others: a token leads to one of them by its `iss`. */
import { type Found, type Identity, keyOf, type Manifest, nameOf } from '../manifest/manifest.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList } from '../manifest/words.ts';
import type { Problems } from './problems.ts';

/** `iss` values -> the TokenIssuers that claim them. */
export type IssuerClaims = ReadonlyMap<string, readonly Identity[]>;

export function issuersOf(found: ReadonlyMap<string, Found>): IssuerClaims {
  const claims = new Map<string, Identity[]>();
  for (const { manifest } of found.values()) {
    if (manifest?.kind !== 'TokenIssuer') continue;
    const { issuer } = (manifest as Manifest<'TokenIssuer'>).spec;
    claims.set(issuer, [...(claims.get(issuer) ?? []), manifest]);
  }
  return claims;
}

/** Of two with one `iss` neither counts, whichever file comes first; but no tenant takes the global one from all. */
export function checkIssuer(
  { key, tenant, spec }: Manifest<'TokenIssuer'>,
  problems: Problems,
  claims: IssuerClaims,
  contexts: readonly Identity[],
): void {
  const others = (claims.get(spec.issuer) ?? []).filter(
    (other) => keyOf(other) !== key && (tenant !== null || other.tenant === null),
  );
  if (others.length > 0) {
    const names = andList(others.map(nameOf).sort());
    const have = others.length === 1 ? 'has' : 'have';
    const hint =
      tenant === null ? 'make one manifest of them' : 'a token leads to one TokenIssuer by its iss';
    problems.error('/spec/issuer', 'duplicate-issuer', `${names} ${have} this issuer too`, hint);
  }
  checkDefaultContext(spec.default_security_context, tenant, problems, contexts);
}

/** A global issuer makes tokens of any tenant, whose own context may be meant. */
function checkDefaultContext(
  name: string | undefined,
  tenant: string | null,
  problems: Problems,
  contexts: readonly Identity[],
): void {
  if (name === undefined) return;
  const names = contexts
    .filter((context) => tenant === null || context.tenant === null || context.tenant === tenant)
    .map((context) => context.name);
  if (names.includes(name)) return;
  const near = suggest(name, names);
  const message = `there is no SecurityContext ${name}; tokens that name none are granted nothing`;
  const hint = near === null ? null : `did you mean ${near}?`;
  problems.warn('/spec/default_security_context', 'unknown-context', message, hint);
}
