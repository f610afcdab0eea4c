/** How a workload proves itself before it gets a session: by a token of its platform, or by one made for it. */
import { hash, timingSafeEqual } from 'node:crypto';
import { checkTimes, MAX_TOKEN_TTL_SECONDS, requiredText } from '../envelope/claims.ts';
import { refusals } from '../envelope/refusals.ts';
import { readToken, verifyClaims } from '../envelope/token.ts';
import { GatewayError } from '../errors.ts';
import { compileValuePattern, matchesAny } from '../policy/match.ts';
import type { Matcher, TokenKeys } from '../snapshot/snapshot.ts';
import type { ReplayClaim } from '../store/store.ts';

export interface Claimed {
  /** null: whoever the proof stands for. */
  readonly workload_id: string | null;
  /** What it proves itself with. */
  readonly proof: string;
  /** The key that its session is to have, base64url: a proof may be bound to it. */
  readonly public_key: string;
}

/** What a verifier stands for. */
export interface Vouched {
  readonly verifier: string;
  readonly workload_id: string;
  readonly tenant_id: string | null;
  /** Names of the security contexts that it may ask for. */
  readonly security_contexts: readonly Matcher[];
  /** The proof is good once; null: as often as it likes. */
  readonly once: ReplayClaim | null;
}

export interface WorkloadVerifier {
  /** null: this proof is nothing to it. Throws WORKLOAD_VERIFICATION_FAILED for one that is, and is not good. */
  verify(claimed: Claimed, now: number): Promise<Vouched | null>;
}

/** Whom a platform names stands for which workloads, and what those may ask for. */
export interface TokenRule {
  /** Pattern on what the platform says of the workload: the `sub` claim of its token, the label of its container. */
  readonly subject: string;
  /** Patterns on the workload's id; null: its id must be what the verifier makes of the subject. */
  readonly workload_ids: readonly string[] | null;
  readonly security_contexts: readonly string[];
  readonly tenant: string | null;
}

export interface TokenVerifierOptions {
  readonly name: string;
  readonly issuer: string;
  readonly audience: string;
  readonly keys: TokenKeys;
  /** JOSE names. */
  readonly algorithms: readonly string[];
  readonly rules: readonly TokenRule[];
  /** The id of the workload that a subject is. */
  readonly workload_of: (subject: string) => string;
}

const WORKLOAD_TOKEN = refusals('workload token');

/** What one rule allows. */
type Allowed = Pick<Vouched, 'tenant_id' | 'security_contexts'>;

/** Finds the first rule by which a subject stands for a workload; null: none does. `workload_of`: who it is by itself. */
export function compileRules(
  rules: readonly TokenRule[],
  workload_of: (subject: string) => string,
): (subject: string, workload_id: string) => Allowed | null {
  const compiled = rules.map((rule) => ({
    tenant_id: rule.tenant,
    subject: compileValuePattern(rule.subject),
    workload_ids: rule.workload_ids?.map(compileValuePattern) ?? null,
    security_contexts: rule.security_contexts.map(compileValuePattern),
  }));
  return (subject, workload_id) =>
    compiled.find(
      (one) =>
        one.subject(subject) &&
        (one.workload_ids === null
          ? workload_of(subject) === workload_id
          : matchesAny(one.workload_ids, workload_id)),
    ) ?? null;
}

/** Believes JWTs of one issuer: OpenID Connect, or a Kubernetes service account's. */
export function tokenVerifier(options: TokenVerifierOptions): WorkloadVerifier {
  const { name, issuer, audience, keys, algorithms, workload_of } = options;
  const ruleFor = compileRules(options.rules, workload_of);
  return {
    async verify({ workload_id, proof }, now) {
      if (proof.split('.').length !== 3) return null;
      let subject: string;
      try {
        const token = readToken(proof, WORKLOAD_TOKEN);
        if (token.iss !== issuer) return null;
        const expected = { issuer, audience: [audience], algorithms, keys };
        const claims = await verifyClaims(token, expected, now, WORKLOAD_TOKEN);
        subject = requiredText(claims, 'sub', WORKLOAD_TOKEN);
        checkTimes(claims, now, MAX_TOKEN_TTL_SECONDS, WORKLOAD_TOKEN);
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        throw unproven(error.message);
      }
      const claimed = workload_id ?? workload_of(subject);
      const rule = ruleFor(subject, claimed);
      if (rule === null) throw unproven('workload token: it does not stand for this workload_id');
      const { tenant_id, security_contexts } = rule;
      return { verifier: name, workload_id: claimed, tenant_id, security_contexts, once: null };
    },
  };
}

/** A workload for which a token was made; of the token only its hash is kept. */
export interface Enrollment {
  readonly workload_id: string;
  /** Hex SHA-256 of the token. */
  readonly token_sha256: string;
  readonly security_contexts: readonly string[];
  readonly tenant: string | null;
  /** Milliseconds since the Unix epoch. */
  readonly expires_at: number;
}

/** Begins every enrollment token, so that one is told from a platform's, and found when it leaks. */
export const ENROLLMENT_PREFIX = 'seal-enroll-';

/** Begins the proof of a workload that runs in a container; the container's id follows. */
export const CONTAINER_PREFIX = 'seal-container-';

/** Believes tokens that were made for one workload and one use. `enrollments` is asked at every attempt. */
export function enrollmentVerifier(name: string, enrollments: () => readonly Enrollment[]): WorkloadVerifier {
  return {
    async verify({ workload_id, proof }, now) {
      if (!proof.startsWith(ENROLLMENT_PREFIX)) return null;
      const digest = Buffer.from(hash('sha256', proof, 'hex'), 'hex');
      const found = enrollments().filter((one) => sameDigest(one, digest));
      const own = found.find((one) => workload_id === null || one.workload_id === workload_id);
      if (own === undefined) throw unproven('enrollment token: it was not made for this workload_id');
      if (own.expires_at <= now) throw unproven('enrollment token: it has expired');
      return {
        verifier: name,
        workload_id: own.workload_id,
        tenant_id: own.tenant,
        security_contexts: own.security_contexts.map(compileValuePattern),
        once: { id: `enrollment:${own.token_sha256}`, expires_at: own.expires_at },
      };
    },
  };
}

function sameDigest({ token_sha256 }: Enrollment, digest: Buffer): boolean {
  const theirs = Buffer.from(token_sha256, 'hex');
  return theirs.length === digest.length && timingSafeEqual(theirs, digest);
}

/** Whether a text is what a workload could prove itself with: clients that know no header send it as their id. */
export function isProof(text: string): boolean {
  const known = [ENROLLMENT_PREFIX, CONTAINER_PREFIX].some((prefix) => text.startsWith(prefix));
  return known || /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** `cause`: what the audit trail says besides. */
export function unproven(reason: string, cause?: Error): GatewayError {
  return new GatewayError('WORKLOAD_VERIFICATION_FAILED', reason, cause === undefined ? {} : { cause });
}
