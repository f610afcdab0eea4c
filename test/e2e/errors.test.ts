/**
 * The error table over HTTP: every row that this version can answer, provoked by a real call of a real gateway. Each
 * has the body of docs/signing.md, is in the audit trail, executes nothing that it should not, and uses the replay
 * id up only where section 3 says so.
 */
import { renameSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ERRORS, type ErrorName, type Layer } from '../../src/errors.ts';
import type { PositionedEvent } from '../../src/store/store.ts';
import {
  canonical,
  type Draft,
  draftCall,
  type Envelope,
  newKey,
  seal,
  signText,
  unixNow,
} from '../support/caller.ts';
import { type Answer, PATIENTLY, postTo, startTestGateway } from '../support/gateway.ts';
import { type Callers, GOOD_TOOL, goodCall, startWorld, type World } from './world.ts';

const BODY_BYTES = 65_536;
const UNIFORM = /^The security context of this token does not allow this tool\.$/;

interface Row {
  readonly name: ErrorName;
  readonly what: string;
  readonly message: RegExp;
  readonly caller?: keyof Callers;
  readonly tool?: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** What is wrong before anything is signed. */
  readonly spoil?: (draft: Draft) => void;
  /** What is wrong with the text that is sent. */
  readonly alter?: (envelope: Envelope, draft: Draft) => unknown;
  /** A call that goes before and is answered well. */
  readonly first?: (draft: Draft) => Draft;
  readonly layer?: Layer;
  readonly status?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Requests that reach the upstream; none unless told. */
  readonly requests?: number;
}

const REJECTED: readonly Row[] = [
  {
    name: 'MALFORMED_ENVELOPE',
    what: 'no JSON',
    message: /^JSON: expected/,
    alter: (envelope) => JSON.stringify(envelope).slice(0, -1),
  },
  {
    name: 'MALFORMED_ENVELOPE',
    what: 'another protocol',
    message: /^protocol: .* expected the string "seal\/v1"$/,
    alter: (envelope) => ({ ...envelope, protocol: 'seal/v2' }),
  },
  {
    name: 'MALFORMED_ENVELOPE',
    what: 'a key twice',
    message: /^JSON: duplicate key "tool"/,
    alter: (envelope) => JSON.stringify(envelope).replace('"payload":{', '"payload":{"tool":"a","tool":"b",'),
  },
  {
    name: 'MALFORMED_ENVELOPE',
    what: 'a body over the limit is 413',
    message: new RegExp(`larger than the limit of ${BODY_BYTES} bytes`),
    alter: (envelope) => ({ ...envelope, padding: 'x'.repeat(BODY_BYTES) }),
    status: 413,
    details: { limit: BODY_BYTES },
  },
  {
    name: 'INVALID_SIGNATURE',
    what: 'a payload that was changed after it was signed',
    message: /^signature: /,
    alter: (envelope) => ({
      ...envelope,
      payload: { ...envelope.payload, params: { name: GOOD_TOOL, arguments: { to: 'eve' } } },
    }),
  },
  {
    name: 'INVALID_SIGNATURE',
    what: 'another agent',
    message: /^signature: /,
    spoil: (draft) => {
      draft.envelope_key = newKey();
    },
  },
  {
    name: 'TOKEN_EXPIRED',
    what: 'an old timestamp',
    layer: 'freshness',
    message: /^timestamp: 3[1-5] s behind the gateway's clock/,
    spoil: (draft) => {
      draft.timestamp -= 31;
    },
  },
  {
    name: 'TOKEN_EXPIRED',
    what: 'a timestamp of the future',
    layer: 'freshness',
    message: /^timestamp: \d+ s ahead of the gateway's clock/,
    spoil: (draft) => {
      draft.timestamp += 60;
    },
  },
  {
    name: 'TOKEN_EXPIRED',
    what: 'an expired token',
    layer: 'token',
    message: /^security_token: expired/,
    spoil: ({ claims }) => {
      Object.assign(claims, { iat: unixNow() - 120, exp: unixNow() - 60 });
    },
  },
  {
    name: 'TOKEN_VERIFICATION_FAILED',
    what: 'a token that somebody else signed',
    message: /^security_token: its signature fits none of the issuer's keys$/,
    spoil: (draft) => {
      draft.token_key = newKey();
    },
  },
  {
    name: 'TOKEN_VERIFICATION_FAILED',
    what: 'a token for another audience',
    message: /^security_token: claim "aud" does not fit$/,
    spoil: ({ claims }) => {
      claims.aud = 'another-gateway';
    },
  },
  {
    name: 'TOKEN_VERIFICATION_FAILED',
    what: 'no token at all',
    message: /^security_token: not a JWT/,
    alter: (envelope) => ({ ...envelope, security_token: 'a.b.c' }),
  },
  {
    name: 'SESSION_NOT_FOUND',
    what: 'an unknown issuer',
    message: /^no TokenIssuer manifest names the iss/,
    details: { iss: 'https://nobody.invalid' },
    spoil: ({ claims }) => {
      claims.iss = 'https://nobody.invalid';
    },
  },
  {
    name: 'SESSION_NOT_FOUND',
    what: 'no key to check the envelope with',
    message: /^no key to check the envelope with/,
    caller: 'keyless',
  },
  {
    name: 'REPLAY_DETECTED',
    what: 'an envelope that was used',
    message: /^this envelope or its token has been used before/,
    first: (draft) => draft,
  },
];

/** Denied after the replay id was claimed: signing the same token again does not help. */
const DENIED: readonly Row[] = [
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a tool that the context does not name',
    tool: 'unlisted.call',
    message: UNIFORM,
  },
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a tool that does not exist looks the same',
    tool: 'no.such',
    message: UNIFORM,
  },
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a scope that does not include the tool',
    message: UNIFORM,
    spoil: ({ claims }) => {
      Object.assign(claims, { scp: ['file.*'], security_context: 'main' });
    },
  },
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a context that does not exist',
    message: UNIFORM,
    spoil: ({ claims }) => {
      claims.scp = 'nowhere';
    },
  },
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a context that the issuer may not give',
    message: UNIFORM,
    spoil: ({ claims }) => {
      claims.scp = 'other';
    },
  },
  {
    name: 'POLICY_TOOL_NOT_ALLOWED',
    what: 'a suspended tenant',
    message: UNIFORM,
    spoil: ({ claims }) => {
      claims.tenant_id = 'suspended';
    },
  },
  {
    name: 'POLICY_TOOL_DENIED',
    what: 'the deny list',
    tool: 'plain.denied',
    message: /^deny_list\[0\] "plain\.denied" denies this call$/,
    details: { rule: 'deny_list[0]' },
  },
  {
    name: 'POLICY_PATH_NOT_ALLOWED',
    what: 'a path that climbs out',
    tool: 'file.read',
    args: { path: '/workspace/../etc/passwd' },
    message: /path_allowlist: a path argument/,
    details: { rule: 'capabilities[1].path_allowlist' },
  },
  {
    name: 'POLICY_COMMAND_NOT_ALLOWED',
    what: 'a command that is not listed',
    tool: 'ops.run',
    args: { command: 'delete' },
    message: /command_allowlist: the command is not listed$/,
    details: { rule: 'capabilities[2].command_allowlist' },
  },
  {
    name: 'POLICY_DOMAIN_NOT_ALLOWED',
    what: 'a domain that only ends like the allowed one',
    tool: 'web.get',
    args: { url: 'https://evilexample.com/' },
    message: /domain_allowlist: a URL argument/,
    details: { rule: 'capabilities[3].domain_allowlist' },
  },
  {
    name: 'POLICY_NO_MATCHING_CAPABILITY',
    what: 'arguments that no capability takes',
    tool: 'mail.send',
    args: { to: 'eve' },
    message: /arguments: the arguments do not fit the schema$/,
    details: { rule: 'capabilities[4].arguments' },
  },
  {
    name: 'POLICY_RATE_LIMIT_EXCEEDED',
    what: 'the rate limit of the capability',
    tool: 'rated.call',
    message: /^the rate limit of this capability is used up$/,
    details: { rule: 'capabilities[5].rate_limit', retry_after_seconds: expect.any(Number) },
    first: withAnotherToken,
  },
  {
    name: 'POLICY_RATE_LIMIT_EXCEEDED',
    what: 'the rate limit of the tenant',
    message: /^the rate limit of the tenant is used up$/,
    details: { retry_after_seconds: expect.any(Number) },
    spoil: ({ claims }) => {
      claims.tenant_id = 'rated';
    },
    first: withAnotherToken,
  },
  {
    name: 'INVALID_ARGUMENTS',
    what: 'an argument that the tool does not have',
    args: { nonsense: 1 },
    message: /^plain\.ok: /,
    details: { problems: [expect.stringContaining('nonsense')] },
  },
  {
    name: 'INVALID_ARGUMENTS',
    what: 'a number that would lose digits',
    args: { deep: [0] },
    alter: (envelope, draft) => writtenWith(envelope, draft, '[0]', '[12345678901234567890]'),
    message: /^plain\.ok: \/deep\/0: this number loses digits/,
    details: { problems: [expect.stringContaining('/deep/0')] },
  },
  {
    name: 'TOOL_NOT_FOUND',
    what: 'a name that policy allows',
    tool: 'plain.nothing',
    message: /^there is no tool plain\.nothing$/,
  },
  {
    name: 'TOOL_UNAVAILABLE',
    what: 'a manifest that is not valid',
    tool: 'plain.invalid',
    message: /^plain\.invalid: /,
  },
  {
    name: 'INVALID_ARGUMENTS',
    what: 'a flag that the manifest of a CLI tool does not declare',
    tool: 'plain.cli',
    args: { subcommand: 'get', args: ['--config=/tmp/x'] },
    message: /^plain\.cli: args\/0: this flag is not declared; get has no flags$/,
    details: { rule: 'args.flags' },
  },
];

/** Authorized, and failed on the way. */
const FAILED: readonly Row[] = [
  {
    name: 'CREDENTIAL_UNAVAILABLE',
    what: 'a credential that nobody provides',
    tool: 'plain.locked',
    message: /no provider for the credential path static_ref/,
    details: { step: 'only', resolution_path: 'static_ref' },
  },
  {
    name: 'EGRESS_BLOCKED',
    what: 'a private address',
    tool: 'plain.walled',
    message: /has an address that the gateway may not dial/,
    details: { step: 'only' },
  },
  {
    name: 'UPSTREAM_FAILED',
    what: 'a status that is no success',
    tool: 'plain.failing',
    message: /answered 500$/,
    details: { step: 'only', status: 500 },
    requests: 1,
  },
  {
    name: 'UPSTREAM_FAILED',
    what: 'a connection that is cut',
    tool: 'plain.broken',
    message: /closed the connection before the reply was whole$/,
    details: { step: 'only' },
    requests: 1,
  },
  {
    name: 'UPSTREAM_FAILED',
    what: 'a reply that nobody could print',
    tool: 'plain.nested',
    message: /nests deeper than/,
    details: { step: 'only' },
    requests: 1,
  },
  {
    name: 'UPSTREAM_TIMEOUT',
    what: 'an upstream that does not answer',
    tool: 'plain.hasty',
    message: /did not answer within 200 ms$/,
    details: { step: 'only' },
    requests: 1,
  },
  {
    name: 'RESPONSE_TOO_LARGE',
    what: 'a reply over the limit of the API',
    tool: 'plain.large',
    message: /answered with more than 1024 bytes$/,
    details: { step: 'only', limit_bytes: 1_024 },
    requests: 1,
  },
  {
    name: 'RESPONSE_TOO_LARGE',
    what: 'a result over the limit of the context',
    tool: 'brief.call',
    message: /^the result of brief\.call has \d+ bytes; the security context allows 1024$/,
    details: { limit: 1_024 },
    requests: 1,
  },
];

/** Tests of their own, below. */
const BY_THEMSELVES: readonly ErrorName[] = ['OVERLOADED', 'AUDIT_UNAVAILABLE'];

/** What no call of this version can be answered with. */
const ELSEWHERE: Readonly<Partial<Record<ErrorName, string>>> = {
  SESSION_INACTIVE: 'there are no sessions yet',
  SEMANTIC_JUDGE_REJECTED: 'test/e2e/cli.test.ts has a judge and containers',
  WORKLOAD_VERIFICATION_FAILED: 'there is no attestation yet',
  SCOPE_NOT_FOUND: 'there is no attestation yet',
  ATTESTATION_FAILED: 'there is no attestation yet',
  CONTAINER_FAILED: 'test/execute/cli-run.test.ts has a container engine',
  CLI_TIMEOUT: 'test/execute/cli-run.test.ts has a container engine',
  INTERNAL: 'no input is known that leads to it; test/serve/http/data-plane.test.ts holds its reply',
};

let world: World;
beforeAll(async () => {
  world = await startWorld({ spec: { limits: { body_bytes: BODY_BYTES } } });
});
afterAll(() => world.close());

test('every row of the table has its test, or a reason why not', () => {
  const tested = [...REJECTED, ...DENIED, ...FAILED].map(({ name }) => name);
  const names = new Set([...tested, ...BY_THEMSELVES, ...Object.keys(ELSEWHERE)]);
  expect([...names].sort()).toEqual(Object.keys(ERRORS).sort());
});

describe('before the replay id is claimed', () => {
  test.each(REJECTED)('$name: $what', async (row) => {
    const { draft, answer } = await provoke(row);
    const events = await eventsAs(answer, ['ToolCallRejected']);
    expect(events[0]?.payload).toMatchObject(rejectionOf(row, answer));
    // The same token, in an envelope that is good.
    const mended = goodCall(world);
    mended.claims.jti = draft.claims.jti;
    expect((await world.send(mended)).body.error?.name).toBe(
      row.name === 'REPLAY_DETECTED' ? 'REPLAY_DETECTED' : undefined,
    );
  });
});

describe('by policy, or for what was asked', () => {
  test.each(DENIED)('$name: $what', async (row) => {
    const { draft, answer } = await provoke(row);
    const events = await world.gateway.eventsOf(answer);
    expect(events.at(-1)?.event_type).toBe('ToolCallRejected');
    expect(events.at(-1)?.payload).toMatchObject(rejectionOf(row, answer));
    await expectUsedUp(draft);
  });
});

describe('on the way', () => {
  test.each(FAILED)('$name: $what', async (row) => {
    const { draft, answer } = await provoke(row);
    const events = await eventsAs(answer, [
      'ToolCallAuthorized',
      'WorkflowInvocationStarted',
      ...(row.name === 'CREDENTIAL_UNAVAILABLE' ? ['CredentialExchangeFailed'] : []),
      'WorkflowStepExecuted',
      'WorkflowInvocationFailed',
    ]);
    expect(events.at(-1)?.payload).toMatchObject({
      name: row.tool,
      layer: row.layer ?? ERRORS[row.name].layer,
      code: ERRORS[row.name].code,
      error: row.name,
      reason: answer.body.error?.message,
      failed_step: row.details?.step ?? null,
    });
    await expectUsedUp(draft);
  });
});

test('OVERLOADED: as many calls in flight as there may be; the refused one can be sent again', async () => {
  const narrow = await startWorld({ spec: { limits: { max_in_flight: 1 } } });
  onTestFinished(() => narrow.close());
  const held = narrow.send(draftCall(narrow.callers.main, 'plain.held'));
  await expect.poll(() => narrow.upstream.requests.length, PATIENTLY).toBe(1);
  const envelope = seal(goodCall(narrow));
  const answer = await narrow.gateway.post(envelope);
  // Its body was not even read.
  expectError(answer, { name: 'OVERLOADED', message: /^the gateway has 1 calls in flight, its limit/ });
  expect(answer.headers.get('retry-after')).toBe('1');
  expect((await narrow.gateway.eventsOf(answer))[0]?.payload).toMatchObject({
    layer: 'overload',
    code: 4400,
  });
  narrow.release();
  expect((await held).status).toBe(200);
  expect(narrow.upstream.requests).toEqual(['GET /held']);
  expect((await narrow.gateway.post(envelope)).status).toBe(200);
});

test('POLICY_RATE_LIMIT_EXCEEDED: as many calls of the tenant at one time as it may have', async () => {
  const narrow = (tool: string): Draft => {
    const draft = draftCall(world.callers.main, tool);
    draft.claims.tenant_id = 'narrow';
    return draft;
  };
  const before = world.upstream.requests.length;
  const held = world.send(narrow('plain.held'));
  await expect.poll(() => world.upstream.requests.length, PATIENTLY).toBe(before + 1);
  const draft = narrow(GOOD_TOOL);
  const answer = await world.send(draft);
  const row: Omit<Row, 'what'> = {
    name: 'POLICY_RATE_LIMIT_EXCEEDED',
    message: /^the tenant has as many calls at one time as it may$/,
    details: { retry_after_seconds: 1 },
  };
  expectError(answer, row, draft.payload.id);
  expect(world.upstream.requests.length).toBe(before + 1);
  world.release();
  expect((await held).status).toBe(200);
  expect((await world.send(narrow(GOOD_TOOL))).status).toBe(200);
});

test('AUDIT_UNAVAILABLE: nothing is executed, and the call can be sent again', async () => {
  const broken = await startWorld();
  onTestFinished(() => broken.close());
  const envelope = seal(goodCall(broken));
  renameSync(broken.gateway.database, `${broken.gateway.database}.aside`);
  const answer = await broken.gateway.post(envelope);
  renameSync(`${broken.gateway.database}.aside`, broken.gateway.database);
  const row: Omit<Row, 'what'> = {
    name: 'AUDIT_UNAVAILABLE',
    message: /^the audit trail could not be written/,
  };
  expectError(answer, row, envelope.payload.id);
  expect(broken.upstream.requests).toEqual([]);
  expect(await broken.gateway.eventsOf(answer)).toEqual([]);
  expect((await broken.gateway.post(envelope)).status).toBe(200);
});

test('TOOL_UNAVAILABLE: a gateway that has no configuration', async () => {
  const gateway = await startTestGateway({ manifests: [], spec: { manifests: { dir: '/nowhere/at-all' } } });
  onTestFinished(() => gateway.close());
  const draft = goodCall(world);
  const answer = await gateway.post(seal(draft));
  expectError(answer, { name: 'TOOL_UNAVAILABLE', message: /has no configuration yet/ }, draft.payload.id);
});

describe('GET /v1/tools', () => {
  const listed = async (token: string): Promise<Answer> => {
    const response = await fetch(`${world.gateway.url()}/v1/tools`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Answer['body'],
    };
  };

  const bearer = REJECTED.filter(({ layer, name, alter }) => {
    const ofToken = layer === 'token' || name === 'TOKEN_VERIFICATION_FAILED' || name === 'SESSION_NOT_FOUND';
    return ofToken && alter === undefined;
  }).filter(({ caller }) => caller === undefined);

  test.each(bearer)('$name: $what', async (row) => {
    const draft = goodCall(world);
    row.spoil?.(draft);
    const answer = await listed(seal(draft).security_token);
    expectError(answer, row);
    const events = await eventsAs(answer, ['ToolCallRejected']);
    expect(events[0]?.payload).toMatchObject(rejectionOf(row, answer));
  });

  test('does not use the token up', async () => {
    const draft = goodCall(world);
    const { security_token } = seal(draft);
    expect((await listed(security_token)).status).toBe(200);
    expect((await listed(security_token)).status).toBe(200);
    expect((await world.send(draft)).status).toBe(200);
  });
});

test('both routes of a call answer alike', async () => {
  const envelope = seal(goodCall(world));
  expect((await world.gateway.post(envelope)).status).toBe(200);
  const response = await fetch(`${world.gateway.url()}/v1/seal/invoke`, {
    method: 'POST',
    body: JSON.stringify(envelope),
  });
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { code: 1007 } });
  expect((await postTo(world.gateway.url(), envelope)).body).toMatchObject({ error: { code: 1007 } });
});

/** Sends what the row describes and checks reply and upstream. */
async function provoke(row: Row): Promise<{ draft: Draft; answer: Answer }> {
  const draft = draftCall(world.callers[row.caller ?? 'main'], row.tool ?? GOOD_TOOL, row.args);
  row.spoil?.(draft);
  if (row.first !== undefined) expect((await world.send(row.first(draft))).status).toBe(200);
  const before = world.upstream.requests.length;
  const envelope = seal(draft);
  const answer = await world.gateway.post(row.alter?.(envelope, draft) ?? envelope);
  expectError(answer, row, row.name === 'MALFORMED_ENVELOPE' ? undefined : draft.payload.id);
  expect(world.upstream.requests.length - before).toBe(row.requests ?? 0);
  return { draft, answer };
}

/** The whole reply, as docs/signing.md has it. A call whose envelope could not be read is named by its execution. */
function expectError(answer: Answer, row: Omit<Row, 'what'>, request_id?: unknown): void {
  const { code, http } = ERRORS[row.name];
  const execution_id = answer.body.error?.details.execution_id;
  expect(answer.body).toEqual({
    protocol: 'seal/v1',
    status: 'error',
    error: {
      code,
      name: row.name,
      message: expect.stringMatching(row.message),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      request_id: request_id ?? (answer.body.error?.request_id as string),
      details: expect.objectContaining({ execution_id: expect.any(String), ...row.details }),
    },
  });
  if (request_id === undefined) expect(answer.body.error?.request_id).toBe(execution_id);
  expect(answer.status).toBe(row.status ?? http);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
  expect(answer.headers.get('www-authenticate')).toBe(http === 401 ? 'SEAL' : null);
  const retry = answer.body.error?.details.retry_after_seconds;
  if (retry !== undefined) expect(answer.headers.get('retry-after')).toBe(String(retry));
}

async function eventsAs(answer: Answer, types: readonly string[]): Promise<PositionedEvent[]> {
  const events = await world.gateway.eventsOf(answer);
  expect(events.map((event) => event.event_type)).toEqual(types);
  return events;
}

/** The trail says what the caller was told, and by which layer. */
function rejectionOf({ name, layer }: Row, answer: Answer): Record<string, unknown> {
  const { code } = ERRORS[name];
  // Of a uniform denial the trail knows more than the caller.
  const uniform = name === 'POLICY_TOOL_NOT_ALLOWED';
  const reason = uniform ? expect.not.stringMatching(UNIFORM) : answer.body.error?.message;
  return { layer: layer ?? ERRORS[name].layer, code, name, reason };
}

/** The token of this call has been used, whatever came of it. */
async function expectUsedUp({ claims }: Draft): Promise<void> {
  const again = goodCall(world);
  Object.assign(again.claims, { jti: claims.jti });
  expect((await world.send(again)).body.error?.name).toBe('REPLAY_DETECTED');
}

/** The same call under another token. */
function withAnotherToken(draft: Draft): Draft {
  return { ...draft, claims: { ...draft.claims, jti: `${draft.claims.jti}-before` } };
}

/** A number as no JavaScript client could write it, signed as it is sent. */
function writtenWith(envelope: Envelope, draft: Draft, from: string, to: string): string {
  const { payload, security_token, timestamp } = envelope;
  const message = canonical({ payload, security_token, timestamp }).replace(from, to);
  const signature = signText(message, draft.envelope_key);
  return JSON.stringify({ ...envelope, signature }).replace(from, to);
}
