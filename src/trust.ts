/** Whose word is taken, by the process configuration: operators, users, workloads, and the gateway's own tokens. */
import type { Clock } from './clock.ts';
import { ConfigError } from './config.ts';
import type { Config, VerifierConfig } from './config-shape.ts';
import type { CredentialSources } from './credentials/sources.ts';
import type { VerifyUser } from './credentials/user-token.ts';
import {
  OPERATOR_ALGORITHMS,
  type Operator,
  type OperatorIssuer,
  verifyOperator,
} from './envelope/operator.ts';
import { USER_ALGORITHMS, verifyUser } from './envelope/user.ts';
import type { LookAtContainer } from './execute/container-evidence.ts';
import { enrollmentsOf } from './invoke/enrollments.ts';
import { keysInFile } from './invoke/issuer-key-file.ts';
import { keysInTransit } from './invoke/issuer-transit.ts';
import { createOwnIssuer, type OwnIssuer } from './invoke/own-issuer.ts';
import { enrollmentVerifier, tokenVerifier, type WorkloadVerifier } from './invoke/workload.ts';
import { containerVerifier } from './invoke/workload-container.ts';
import type { Log } from './log.ts';
import { operatorKeys } from './reconcile/operator-keys.ts';

/** Who the bearer of an operator's token is, null for one who is none. null itself: no issuer of such tokens is named. */
export function operatorVerifier(
  auth: Config['auth'],
  clock: Clock,
  log: Log,
): ((token: string) => Promise<Operator | null>) | null {
  const { operator_jwks_uri, operator_jwt_issuer } = auth;
  if (operator_jwks_uri === null || operator_jwt_issuer === null) return null;
  const issuer: OperatorIssuer = {
    issuer: operator_jwt_issuer,
    audience: auth.operator_jwt_audience,
    keys: operatorKeys(operator_jwks_uri, OPERATOR_ALGORITHMS, { clock, log }),
    role_claim: auth.operator_role_claim,
    roles: auth.operator_roles,
  };
  return (token) => verifyOperator(token, issuer, clock.now());
}

/** null: no key is named. Throws ConfigError for one that cannot be used. */
export function ownIssuer(
  { key_file, transit, ...options }: Config['issuer'],
  sources: Pick<CredentialSources, 'transitKey'>,
  deps: { readonly clock: Clock; readonly log: Log },
): OwnIssuer | null {
  if (transit !== null) return createOwnIssuer(options, keysInTransit(sources.transitKey(transit), deps));
  if (key_file === null) return null;
  try {
    return createOwnIssuer(options, keysInFile(key_file, deps));
  } catch (error) {
    throw new ConfigError([`spec.issuer.key_file: ${(error as Error).message}`]);
  }
}

const SERVICE_ACCOUNT = 'system:serviceaccount:';

/** What proves a workload to be one that the configuration knows. */
export function workloadVerifier(
  config: VerifierConfig,
  { look, ...deps }: { readonly clock: Clock; readonly log: Log; readonly look: LookAtContainer },
): WorkloadVerifier {
  if (config.type === 'enrollment_token')
    return enrollmentVerifier(config.name, enrollmentsOf(config.file, deps.log));
  const rules = config.allow.map(({ subject, workload_ids = null, security_contexts, tenant = null }) => ({
    subject: config.type === 'kubernetes' ? SERVICE_ACCOUNT + subject.replace('/', ':') : subject,
    ...{ workload_ids, security_contexts, tenant },
  }));
  if (config.type === 'container_label') return containerVerifier({ ...config, rules, look });
  const { name, issuer, audience, jwks_uri, type } = config;
  const isCluster = type === 'kubernetes';
  return tokenVerifier({
    ...{ name, issuer, audience, algorithms: OPERATOR_ALGORITHMS },
    keys: operatorKeys(jwks_uri, OPERATOR_ALGORITHMS, deps, 'workloads'),
    rules,
    workload_of: (subject) => (isCluster ? subject.slice(SERVICE_ACCOUNT.length).replace(':', '/') : subject),
  });
}

/** Who the user of a token is. null itself: no issuer of such tokens is named. */
export function userVerifier(
  settings: Config['credentials']['token_exchange'],
  clock: Clock,
  log: Log,
): VerifyUser | null {
  const { user_issuer, user_audience, user_jwks_uri, user_tenant_claim } = settings;
  if (user_issuer === null || user_audience === null || user_jwks_uri === null) return null;
  const issuer = {
    issuer: user_issuer,
    audience: user_audience,
    keys: operatorKeys(user_jwks_uri, USER_ALGORITHMS, { clock, log }),
    tenant_claim: user_tenant_claim,
  };
  return (jwt) => verifyUser(jwt, issuer, clock.now());
}
