/**
 * One table for every way a call can fail: name -> SEAL code, HTTP status, gRPC status and the layer
 * that rejected. Transports read the row; nobody matches on messages. (docs/reference/errors.md)
 */

/** The layer that a rejection event names. */
export type Layer =
  | 'envelope'
  | 'freshness'
  | 'session'
  | 'signature'
  | 'token'
  | 'replay'
  | 'policy'
  | 'limit'
  | 'judge'
  | 'attestation'
  | 'input'
  | 'tool'
  | 'credential'
  | 'upstream'
  | 'egress'
  | 'container'
  | 'overload'
  | 'caller'
  | 'internal'
  | 'audit';

export interface ErrorRow {
  /** SEAL error code, as in the reply's `error.code`. */
  readonly code: number;
  /** HTTP status of the reply. */
  readonly http: number;
  /** gRPC status name of the reply. */
  readonly grpc: string;
  /** The layer that rejects with this error. */
  readonly layer: Layer;
  /** One line for the error reference. */
  readonly meaning: string;
}

const row = (code: number, http: number, grpc: string, layer: Layer, meaning: string): ErrorRow => ({
  code,
  http,
  grpc,
  layer,
  meaning,
});

export const ERRORS = {
  MALFORMED_ENVELOPE: row(
    1000,
    401,
    'UNAUTHENTICATED',
    'envelope',
    'The body is not a seal/v1 envelope: size, JSON, shape or protocol.',
  ),
  INVALID_SIGNATURE: row(
    1001,
    401,
    'UNAUTHENTICATED',
    'signature',
    'The Ed25519 signature does not fit the canonical message and the key.',
  ),
  TOKEN_EXPIRED: row(
    1003,
    401,
    'UNAUTHENTICATED',
    'freshness',
    'The security token has expired, or the timestamp is over 30 s away.',
  ),
  TOKEN_VERIFICATION_FAILED: row(
    1004,
    401,
    'UNAUTHENTICATED',
    'token',
    'The security token is not valid: signature, algorithm, issuer, audience or claims.',
  ),
  SESSION_NOT_FOUND: row(
    1005,
    401,
    'UNAUTHENTICATED',
    'session',
    'The issuer is unknown, or there is no key to check the envelope with.',
  ),
  SESSION_INACTIVE: row(1006, 401, 'UNAUTHENTICATED', 'session', 'The session is revoked or has expired.'),
  REPLAY_DETECTED: row(
    1007,
    401,
    'UNAUTHENTICATED',
    'replay',
    'This token or envelope has been used before.',
  ),

  POLICY_TOOL_NOT_ALLOWED: row(
    2000,
    403,
    'PERMISSION_DENIED',
    'policy',
    'No rule of the security context allows this tool, or there is no such tool.',
  ),
  POLICY_TOOL_DENIED: row(
    2001,
    403,
    'PERMISSION_DENIED',
    'policy',
    'The deny list of the security context names this call.',
  ),
  POLICY_PATH_NOT_ALLOWED: row(
    2002,
    403,
    'PERMISSION_DENIED',
    'policy',
    'A path argument is outside the path allowlist.',
  ),
  POLICY_COMMAND_NOT_ALLOWED: row(
    2003,
    403,
    'PERMISSION_DENIED',
    'policy',
    'The command or subcommand is outside its allowlist.',
  ),
  POLICY_DOMAIN_NOT_ALLOWED: row(
    2004,
    403,
    'PERMISSION_DENIED',
    'policy',
    'A URL argument is outside the domain allowlist.',
  ),
  POLICY_RATE_LIMIT_EXCEEDED: row(
    2005,
    429,
    'RESOURCE_EXHAUSTED',
    'limit',
    'The rate limit is used up; Retry-After says when to try again.',
  ),
  POLICY_NO_MATCHING_CAPABILITY: row(
    2006,
    403,
    'PERMISSION_DENIED',
    'policy',
    'A capability names the tool, but its constraints do not pass.',
  ),
  SEMANTIC_JUDGE_REJECTED: row(
    2007,
    403,
    'PERMISSION_DENIED',
    'judge',
    'The semantic judge rejected the call.',
  ),

  WORKLOAD_VERIFICATION_FAILED: row(
    3000,
    401,
    'UNAUTHENTICATED',
    'attestation',
    'The workload could not prove itself.',
  ),
  SCOPE_NOT_FOUND: row(
    3001,
    401,
    'UNAUTHENTICATED',
    'attestation',
    'The security context asked for does not exist.',
  ),
  ATTESTATION_FAILED: row(
    3002,
    401,
    'UNAUTHENTICATED',
    'attestation',
    'Attestation failed or is not configured.',
  ),

  INVALID_ARGUMENTS: row(
    4000,
    400,
    'INVALID_ARGUMENT',
    'input',
    'The arguments do not fit the tool: its input schema, an operation, a parameter or a JSONPath that cannot be.',
  ),
  TOOL_NOT_FOUND: row(4001, 404, 'NOT_FOUND', 'tool', 'Policy allows the name, but no such tool exists.'),
  TOOL_UNAVAILABLE: row(
    4002,
    503,
    'UNAVAILABLE',
    'tool',
    'The manifest of the tool is invalid or blocked, or what runs it is missing.',
  ),
  CREDENTIAL_UNAVAILABLE: row(
    4100,
    502,
    'UNAVAILABLE',
    'credential',
    'The credential could not be resolved.',
  ),
  UPSTREAM_FAILED: row(
    4200,
    502,
    'UNAVAILABLE',
    'upstream',
    'The upstream refused, failed or answered with what the workflow cannot use.',
  ),
  UPSTREAM_TIMEOUT: row(4201, 504, 'DEADLINE_EXCEEDED', 'upstream', 'The upstream did not answer in time.'),
  EGRESS_BLOCKED: row(
    4202,
    403,
    'PERMISSION_DENIED',
    'egress',
    'The upstream address is private or otherwise not allowed.',
  ),
  RESPONSE_TOO_LARGE: row(4203, 502, 'RESOURCE_EXHAUSTED', 'upstream', 'The reply is larger than its limit.'),
  CONTAINER_FAILED: row(4300, 502, 'INTERNAL', 'container', 'The container could not be run.'),
  CLI_TIMEOUT: row(
    4301,
    504,
    'DEADLINE_EXCEEDED',
    'container',
    'The command did not end in time and was killed.',
  ),
  OVERLOADED: row(
    4400,
    503,
    'UNAVAILABLE',
    'overload',
    'The gateway is at its limit of calls in flight, or is shutting down.',
  ),
  INTERNAL: row(
    4500,
    500,
    'INTERNAL',
    'internal',
    'A fault of the gateway; request_id leads to the log line.',
  ),
  AUDIT_UNAVAILABLE: row(
    4501,
    503,
    'UNAVAILABLE',
    'audit',
    'The audit trail cannot be written, so nothing was executed or nothing is answered.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof ERRORS;

export interface GatewayErrorOptions {
  /** Facts for the caller: no secret, no internal path. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The row's layer, where one error serves two (1003 is freshness or token). */
  readonly layer?: Layer;
  /** Seconds until a retry may succeed; sent as Retry-After. */
  readonly retry_after_seconds?: number;
  /** Of a limit that is used up; the trail tells of it once in its window. */
  readonly violation?: Violation;
  readonly cause?: unknown;
}

/** Which limit, and its window. */
export interface Violation {
  readonly key: string;
  readonly per_seconds: number;
}

/** The one error class: `name` is a row of {@link ERRORS}; `message` is meant for the caller. */
export class GatewayError extends Error {
  declare readonly name: ErrorName;
  readonly details: Readonly<Record<string, unknown>>;
  readonly layer: Layer;
  readonly retry_after_seconds: number | null;
  readonly violation: Violation | null;

  constructor(name: ErrorName, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    Object.defineProperty(this, 'name', { value: name });
    this.details = options.details ?? {};
    this.layer = options.layer ?? ERRORS[name].layer;
    this.retry_after_seconds = options.retry_after_seconds ?? null;
    this.violation = options.violation ?? null;
  }

  get row(): ErrorRow {
    return ERRORS[this.name];
  }
}
