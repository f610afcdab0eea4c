/** Protocol section 3: the first failure ends the call, in this order, and nothing of a later step happens. */
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorName, type Layer } from '../../src/errors.ts';
import { newId } from '../../src/ids.ts';
import { bodyOf, NOW_MS, type Parts, type Pipeline, pipeline, type Sent } from './pipeline.ts';

interface Fault {
  readonly what: string;
  readonly error: ErrorName;
  readonly layer: Layer;
  /** What the trail is told, where the caller is not. */
  readonly reason?: string;
  /** The part of the call that is wrong. */
  readonly sent?: Sent;
  /** What must have happened before. */
  readonly before?: (gateway: Pipeline, sent: Sent) => Promise<unknown>;
  /** Whether the call's replay id is used up by it. */
  readonly claims: boolean;
}

const PARTS: Parts = {
  context: {
    deny_list: ['crm.denied'],
    capabilities: [
      {
        tool_pattern: 'crm.read',
        rate_limit: { calls: 1, per_seconds: 60 },
        arguments: { type: 'object', maxProperties: 1 },
      },
      { tool_pattern: 'crm.broken' },
    ],
  },
  tools: [{ kind: 'unavailable', name: 'crm.broken', tenant: null, reason: 'its manifest is invalid' }],
};

/** The checks in the order of the protocol. */
const FAULTS: readonly Fault[] = [
  {
    what: 'another protocol',
    error: 'MALFORMED_ENVELOPE',
    layer: 'envelope',
    sent: { protocol: 'seal/v2' },
    claims: false,
  },
  {
    what: 'a timestamp of yesterday',
    error: 'TOKEN_EXPIRED',
    layer: 'freshness',
    sent: { timestamp: NOW_MS / 1000 - 86_400 },
    claims: false,
  },
  {
    what: 'an unknown issuer',
    error: 'SESSION_NOT_FOUND',
    layer: 'session',
    sent: { claims: { iss: 'https://other.example' } },
    claims: false,
  },
  {
    what: 'a forged envelope',
    error: 'INVALID_SIGNATURE',
    layer: 'signature',
    sent: { forged: true },
    claims: false,
  },
  {
    what: 'a forged token',
    error: 'TOKEN_VERIFICATION_FAILED',
    layer: 'token',
    sent: { forged_token: true },
    claims: false,
  },
  {
    what: 'a token that has expired',
    error: 'TOKEN_EXPIRED',
    layer: 'token',
    sent: { claims: { iat: NOW_MS / 1000 - 60, exp: NOW_MS / 1000 - 1 } },
    claims: false,
  },
  {
    what: 'a token that was used before',
    error: 'REPLAY_DETECTED',
    layer: 'replay',
    before: (gateway, { claims }) => gateway.refused({ tool: 'no.such', claims: { jti: claims?.jti } }),
    claims: true,
  },
  {
    what: 'scopes without the tool',
    error: 'POLICY_TOOL_NOT_ALLOWED',
    layer: 'policy',
    reason: 'the scopes of the token or session do not include this tool',
    sent: { claims: { scp: ['other.*'] } },
    claims: true,
  },
  {
    what: 'a tool that is denied',
    error: 'POLICY_TOOL_DENIED',
    layer: 'policy',
    sent: { tool: 'crm.denied' },
    claims: true,
  },
  {
    what: 'arguments that the context does not allow',
    error: 'POLICY_NO_MATCHING_CAPABILITY',
    layer: 'policy',
    sent: { arguments: { bad: 1, more: 2 } },
    claims: true,
  },
  {
    what: 'a rate that is used up',
    error: 'POLICY_RATE_LIMIT_EXCEEDED',
    layer: 'limit',
    before: (gateway, { claims }) => gateway.invoke({ claims: { sub: claims?.sub } }),
    claims: true,
  },
  {
    what: 'arguments that do not fit the tool',
    error: 'INVALID_ARGUMENTS',
    layer: 'input',
    sent: { arguments: { bad: 1 } },
    claims: true,
  },
];

/** A call with all of these faults, of an agent whose limits nobody else has used; its jti is known. */
function sentWith(faults: readonly Fault[]): Sent {
  const claims = Object.assign({ jti: newId(), sub: newId() }, ...faults.map(({ sent }) => sent?.claims));
  return { ...Object.assign({}, ...faults.map(({ sent }) => sent).reverse()), claims };
}

async function refusedWith(gateway: Pipeline, faults: readonly Fault[]) {
  const sent = sentWith(faults);
  for (const { before } of faults) await before?.(gateway, sent);
  await gateway.events();
  const requests = gateway.upstream.requests.length;
  const error = await gateway.refused(sent);
  expect(gateway.upstream.requests.length).toBe(requests);
  return { error, sent, events: await gateway.events() };
}

describe('each check alone', () => {
  test.each(FAULTS)('$what', async (fault) => {
    const gateway = await pipeline(PARTS);
    const { error, sent, events } = await refusedWith(gateway, [fault]);
    expect(error.error).toMatchObject({ name: fault.error, layer: fault.layer });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      event_type: 'ToolCallRejected',
      execution_id: error.execution_id,
      revision: 'rev-1',
      payload: {
        layer: fault.layer,
        code: ERRORS[fault.error].code,
        name: fault.error,
        reason: fault.reason ?? error.error.message,
      },
    });
    // Nobody can burn another's replay id: only a call whose signature and token are good claims it.
    const again = { tool: 'no.such', claims: { jti: sent.claims?.jti } };
    const expected = fault.claims ? 'REPLAY_DETECTED' : 'POLICY_TOOL_NOT_ALLOWED';
    expect((await gateway.refused(again)).error.name).toBe(expected);
  });

  test('a tool whose manifest is broken', async () => {
    const gateway = await pipeline(PARTS);
    const { error } = await gateway.refused({ tool: 'crm.broken' });
    expect(error).toMatchObject({ name: 'TOOL_UNAVAILABLE', message: 'crm.broken: its manifest is invalid' });
  });
});

describe('of two, the earlier is told', () => {
  const pairs = FAULTS.flatMap((first, i) =>
    FAULTS.slice(i + 1)
      // Both are claims of one name, or two tools: a call has one of them.
      .filter(
        (second) =>
          !Object.keys(second.sent ?? {}).some((key) => key !== 'claims' && key in (first.sent ?? {})),
      )
      .map((second) => [first, second] as const),
  );

  test('there are enough pairs', () => {
    expect(pairs.length).toBeGreaterThan(55);
  });

  test('in every pair', async () => {
    const gateway = await pipeline(PARTS);
    for (const [first, second] of pairs) {
      const { error } = await refusedWith(gateway, [first, second]);
      expect
        .soft(`${error.error.name} ${error.error.layer}`, `${first.what}, ${second.what}`)
        .toBe(`${first.error} ${first.layer}`);
    }
  });
});

test('a body that is no JSON is the first of all', async () => {
  const gateway = await pipeline(PARTS);
  const body = await bodyOf({});
  expect((await gateway.refused(body.slice(1))).error.name).toBe('MALFORMED_ENVELOPE');
  expect((await gateway.refused(Buffer.from([0xff]))).error.name).toBe('MALFORMED_ENVELOPE');
});
