/** The claims of a security token whose signature, issuer and audience are good (docs/signing.md, The token). */
import type { EnvelopeKey, Issuer } from '../snapshot/snapshot.ts';
import { importEnvelopeKey } from './keys.ts';
import { type Refusals, SECURITY_TOKEN } from './refusals.ts';

/** Who calls, and with which rights, as a verified token says. */
export interface Identity {
  /** The `iss` claim. */
  readonly issuer: string;
  /** The `sub` claim. */
  readonly subject: string;
  readonly jti: string;
  /** Whole Unix seconds. */
  readonly expires_at: number;
  readonly tenant_id: string | null;
  /** The `exec_id` claim. */
  readonly execution_id: string | null;
  /** The `wid` claim. */
  readonly workload_id: string | null;
  /** Name of the security context: a string `scp`, else `security_context`, else the issuer's default. */
  readonly security_context: string;
  /** `scp` as a list; null: the token does not narrow. */
  readonly tool_patterns: readonly string[] | null;
  /** The key of `cnf.jwk` (RFC 7800), which must have signed the envelope. */
  readonly cnf_key: EnvelopeKey | null;
}

/** No token lives longer, whatever its issuer allows. */
export const MAX_TOKEN_TTL_SECONDS = 86_400;
/** How far the clocks of issuer and gateway may be apart, for `iat` and `nbf`; `exp` gets no allowance. */
export const CLOCK_SKEW_SECONDS = 30;
const { refused } = SECURITY_TOKEN;
const MAX_CLAIM_LENGTH = 256;
const MAX_TOOL_PATTERNS = 256;

export type Claims = { readonly [claim: string]: unknown };

/** Checks times and types. Throws TOKEN_EXPIRED (layer token) or TOKEN_VERIFICATION_FAILED. */
export function readIdentity(claims: Claims, issuer: Issuer, now_ms: number): Identity {
  const subject = requiredText(claims, 'sub', SECURITY_TOKEN);
  const jti = requiredText(claims, 'jti', SECURITY_TOKEN);
  const tenant_id = optional(claims, 'tenant_id');
  // A slash separates tenant and name in the snapshot's keys (`scoped`).
  if (tenant_id?.includes('/')) throw refused('claim "tenant_id" holds a slash');
  const { scope, tool_patterns } = readScope(claims);
  const security_context =
    scope ?? optional(claims, 'security_context') ?? issuer.default_security_context ?? null;
  if (security_context === null) {
    throw refused('no security context: neither "scp", nor "security_context", nor a default of the issuer');
  }
  return {
    issuer: issuer.issuer,
    subject,
    jti,
    tenant_id,
    execution_id: optional(claims, 'exec_id'),
    workload_id: optional(claims, 'wid'),
    security_context,
    tool_patterns,
    cnf_key: readConfirmation(claims),
    // Last: a token is expired only when nothing else is wrong with it.
    expires_at: checkTimes(claims, now_ms, issuer.max_token_ttl_seconds, SECURITY_TOKEN),
  };
}

/** From this issuer, for this gateway, and to be used by now. */
export function checkAddress(
  claims: Claims,
  { issuer, audience }: Pick<Issuer, 'issuer' | 'audience'>,
  now_ms: number,
  refusals: Refusals,
): void {
  const { refused } = refusals;
  if (own(claims, 'iss') !== issuer) throw refused('claim "iss" does not fit');
  const aud = own(claims, 'aud');
  if (aud === undefined) throw refused('claim "aud" is missing');
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audience.some((one) => named.includes(one))) throw refused('claim "aud" does not fit');
  if (own(claims, 'nbf') === undefined) return;
  const early = seconds(claims, 'nbf', refusals) - Math.floor(now_ms / 1000);
  if (early > CLOCK_SKEW_SECONDS) throw refused(`claim "nbf" is ${early} s in the future`);
}

/** Gives `exp` in whole seconds. `longest`: seconds that the token may live, {@link MAX_TOKEN_TTL_SECONDS} at most. */
export function checkTimes(claims: Claims, now_ms: number, longest: number, refusals: Refusals): number {
  const { refused, expired } = refusals;
  const now = Math.floor(now_ms / 1000);
  const exp = seconds(claims, 'exp', refusals);
  const iat = seconds(claims, 'iat', refusals);
  if (iat > now + CLOCK_SKEW_SECONDS) throw refused(`claim "iat" is ${iat - now} s in the future`);
  const most = Math.min(longest, MAX_TOKEN_TTL_SECONDS);
  if (exp - iat > most) {
    throw refused(`it lives ${exp - iat} s ("exp" - "iat"), at most ${most} s allowed`);
  }
  if (exp <= now) throw expired(` ${now - exp} s ago`);
  if (exp <= iat) throw refused('claim "exp" is not after "iat"');
  return exp;
}

function seconds(claims: Claims, claim: string, { refused }: Refusals): number {
  const value = own(claims, claim);
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER) {
    throw refused(`claim "${claim}" is not a number of Unix seconds`);
  }
  return Math.floor(value);
}

interface Scope {
  readonly scope: string | null;
  readonly tool_patterns: readonly string[] | null;
}

function readScope(claims: Claims): Scope {
  const scp = own(claims, 'scp');
  if (!Array.isArray(scp)) return { scope: optional(claims, 'scp'), tool_patterns: null };
  if (scp.length > MAX_TOOL_PATTERNS) {
    throw refused(`claim "scp" lists ${scp.length} patterns, at most ${MAX_TOOL_PATTERNS} allowed`);
  }
  if (!scp.every(isText)) throw refused('claim "scp" is a list of something else than tool patterns');
  return { scope: null, tool_patterns: scp };
}

/** RFC 7800: a token bound to a key that we cannot use must not pass as an unbound one. */
function readConfirmation(claims: Claims): EnvelopeKey | null {
  const cnf = own(claims, 'cnf');
  if (cnf === undefined) return null;
  if (typeof cnf !== 'object' || cnf === null || !Object.hasOwn(cnf, 'jwk')) {
    throw refused('claim "cnf" has no "jwk", the only binding that is supported');
  }
  try {
    return importEnvelopeKey((cnf as { readonly jwk: unknown }).jwk);
  } catch (cause) {
    throw refused(`claim "cnf.jwk": ${cause instanceof Error ? cause.message : 'not a key'}`, cause);
  }
}

/** A claim that must be a text of 1 to 256 characters. */
export function requiredText(claims: Claims, claim: string, refusals: Refusals): string {
  const value = optional(claims, claim, refusals);
  if (value === null) throw refusals.refused(`claim "${claim}" is missing`);
  return value;
}

/** Absent and null are the same: many issuers write null for a claim that they do not fill. */
function optional(claims: Claims, claim: string, refusals: Refusals = SECURITY_TOKEN): string | null {
  const value = own(claims, claim);
  if (value === undefined || value === null) return null;
  if (!isText(value))
    throw refusals.refused(`claim "${claim}" is not a string of 1 to ${MAX_CLAIM_LENGTH} characters`);
  return value;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_CLAIM_LENGTH;
}

/** A claim that the token itself holds, and not the prototype of the object. */
export function own(claims: Claims, claim: string): unknown {
  return Object.hasOwn(claims, claim) ? claims[claim] : undefined;
}
