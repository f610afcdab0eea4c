/** src/errors.ts against the table of the protocol, and docs/reference/errors.md against src/errors.ts. */
import { expect, test } from 'vitest';
import { ERRORS, type ErrorRow, GatewayError } from '../../src/errors.ts';
import { code, expectPage, markdownTable } from './page.ts';

/** Protocol section 4, written out once more: clients hold us to these numbers. */
const PROTOCOL: readonly (readonly [number, string, number, string])[] = [
  [1000, 'MALFORMED_ENVELOPE', 401, 'UNAUTHENTICATED'],
  [1001, 'INVALID_SIGNATURE', 401, 'UNAUTHENTICATED'],
  [1003, 'TOKEN_EXPIRED', 401, 'UNAUTHENTICATED'],
  [1004, 'TOKEN_VERIFICATION_FAILED', 401, 'UNAUTHENTICATED'],
  [1005, 'SESSION_NOT_FOUND', 401, 'UNAUTHENTICATED'],
  [1006, 'SESSION_INACTIVE', 401, 'UNAUTHENTICATED'],
  [1007, 'REPLAY_DETECTED', 401, 'UNAUTHENTICATED'],
  [2000, 'POLICY_TOOL_NOT_ALLOWED', 403, 'PERMISSION_DENIED'],
  [2001, 'POLICY_TOOL_DENIED', 403, 'PERMISSION_DENIED'],
  [2002, 'POLICY_PATH_NOT_ALLOWED', 403, 'PERMISSION_DENIED'],
  [2003, 'POLICY_COMMAND_NOT_ALLOWED', 403, 'PERMISSION_DENIED'],
  [2004, 'POLICY_DOMAIN_NOT_ALLOWED', 403, 'PERMISSION_DENIED'],
  [2005, 'POLICY_RATE_LIMIT_EXCEEDED', 429, 'RESOURCE_EXHAUSTED'],
  [2006, 'POLICY_NO_MATCHING_CAPABILITY', 403, 'PERMISSION_DENIED'],
  [2007, 'SEMANTIC_JUDGE_REJECTED', 403, 'PERMISSION_DENIED'],
  [3000, 'WORKLOAD_VERIFICATION_FAILED', 401, 'UNAUTHENTICATED'],
  [3001, 'SCOPE_NOT_FOUND', 401, 'UNAUTHENTICATED'],
  [3002, 'ATTESTATION_FAILED', 401, 'UNAUTHENTICATED'],
  [4000, 'INVALID_ARGUMENTS', 400, 'INVALID_ARGUMENT'],
  [4001, 'TOOL_NOT_FOUND', 404, 'NOT_FOUND'],
  [4002, 'TOOL_UNAVAILABLE', 503, 'UNAVAILABLE'],
  [4100, 'CREDENTIAL_UNAVAILABLE', 502, 'UNAVAILABLE'],
  [4200, 'UPSTREAM_FAILED', 502, 'UNAVAILABLE'],
  [4201, 'UPSTREAM_TIMEOUT', 504, 'DEADLINE_EXCEEDED'],
  [4202, 'EGRESS_BLOCKED', 403, 'PERMISSION_DENIED'],
  [4203, 'RESPONSE_TOO_LARGE', 502, 'RESOURCE_EXHAUSTED'],
  [4300, 'CONTAINER_FAILED', 502, 'INTERNAL'],
  [4301, 'CLI_TIMEOUT', 504, 'DEADLINE_EXCEEDED'],
  [4400, 'OVERLOADED', 503, 'UNAVAILABLE'],
  [4500, 'INTERNAL', 500, 'INTERNAL'],
  [4501, 'AUDIT_UNAVAILABLE', 503, 'UNAVAILABLE'],
];

const rows = Object.entries(ERRORS) as [keyof typeof ERRORS, ErrorRow][];

test('the table is that of the protocol', () => {
  expect(rows.map(([name, row]) => [row.code, name, row.http, row.grpc])).toEqual(PROTOCOL);
});

test('the code, the range and the status say the same', () => {
  for (const [name, row] of rows) {
    const [range] = String(row.code);
    if (range === '1' || range === '3') expect.soft(row.http, name).toBe(401);
    if (range === '2') expect.soft([403, 429], name).toContain(row.http);
    expect.soft(row.meaning, name).toMatch(/^[A-Z].*\.$/);
  }
});

test('an error carries its row, and what it is told beside', () => {
  const error = new GatewayError('TOKEN_EXPIRED', 'too late', {
    layer: 'token',
    details: { skew_seconds: 31 },
  });
  expect(error).toMatchObject({
    name: 'TOKEN_EXPIRED',
    message: 'too late',
    layer: 'token',
    retry_after_seconds: null,
  });
  expect(error.row).toBe(ERRORS.TOKEN_EXPIRED);
  expect(error.details).toEqual({ skew_seconds: 31 });
  expect(new GatewayError('OVERLOADED', 'full').layer).toBe('overload');
});

test('docs/reference/errors.md is made from it', () => {
  expectPage('docs/reference/errors.md', renderErrors());
});

function renderErrors(): string {
  const table = (first: string) =>
    markdownTable(
      ['code', 'name', 'HTTP', 'gRPC', 'layer', 'meaning'],
      rows
        .filter(([, row]) => String(row.code).startsWith(first))
        .map(([name, row]) => [
          String(row.code),
          code(name),
          String(row.http),
          code(row.grpc),
          row.layer,
          row.meaning,
        ]),
    );
  return `# Errors

<!-- Made from src/errors.ts by \`make generate\`; do not edit. -->

A call that fails is answered with the HTTP status of its row and this body:

\`\`\`json
{"protocol": "seal/v1", "status": "error",
 "error": {"code": 2002, "name": "POLICY_PATH_NOT_ALLOWED", "message": "...", "timestamp": "2026-02-17T14:32:01.583Z",
           "request_id": "req-1", "details": {"execution_id": "..."}}}
\`\`\`

- \`code\` and \`name\` are stable: decide by them, never by \`message\`, which is for people.
- \`details\` holds facts that help to mend the call: \`problems\` (4000), \`rule\` (policy), \`skew_seconds\` (1003),
  \`retry_after_seconds\` (2005), \`step\` (a failed workflow). \`execution_id\` is the call's name in the audit trail.
- A code below 1000 is the HTTP status of what is no call: 403 \`FORBIDDEN\` (an operator's role is missing), 404
  \`NOT_FOUND\` (no such route or resource), 405 \`METHOD_NOT_ALLOWED\`, 409 \`CONFLICT\`
  (a proposal made from another version than is in force); \`details\` of a refused write is the manifest.
- 2005 and 4400 carry \`Retry-After\`. A body over the limit is 413 with code 1000.
- The first check that fails ends the call, in the order envelope, freshness, session, signature, token, replay, policy,
  limit. The audit trail holds one \`ToolCallRejected\` with the layer.
- Of a caller who went away the outcome has the layer \`caller\`, whatever its code: nobody failed but the connection.
- A tool that one may not call and a tool that does not exist look the same (2000). 4001 is seen only where policy
  allows the name.
- An unknown fault is a blank 4500; \`request_id\` leads to the line of the log that tells more.

## 1000 to 1999: who calls

${table('1')}

## 2000 to 2999: may they

${table('2')}

## 3000 to 3999: attestation

No call of this version yields these; they belong to attestation, which is not there yet.

${table('3')}

## 4000 to 4999: did it work

${table('4')}
`;
}
