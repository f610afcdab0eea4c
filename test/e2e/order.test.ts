/**
 * Protocol section 3 over HTTP: of two faults in one call the earlier check answers, every signed field is bound, and
 * what was used once stays used.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS, type ErrorName, type Layer } from '../../src/errors.ts';
import {
  callPayload,
  canonical,
  type Draft,
  draftCall,
  type Envelope,
  newKey,
  seal,
  signText,
  unixNow,
} from '../support/caller.ts';
import { GOOD_TOOL, goodCall, startWorld, type World } from './world.ts';

const BODY_BYTES = 65_536;

interface Fault {
  /** The check of section 3 that finds it. */
  readonly step: number;
  readonly what: string;
  readonly name: ErrorName;
  readonly layer?: Layer;
  /** The part of the call that it is in: one call has one fault in each. */
  readonly part: string;
  readonly spoil?: (draft: Draft) => void;
  readonly alter?: (envelope: Envelope) => object;
  /** What went before, such as the call that used the token up. */
  readonly before?: (draft: Draft) => Draft;
}

const FAULTS: readonly Fault[] = [
  {
    step: 1,
    what: 'a body that is too large',
    name: 'MALFORMED_ENVELOPE',
    part: 'size',
    alter: (envelope) => ({ ...envelope, padding: 'x'.repeat(BODY_BYTES) }),
  },
  {
    step: 1,
    what: 'another protocol',
    name: 'MALFORMED_ENVELOPE',
    part: 'protocol',
    alter: (envelope) => ({ ...envelope, protocol: 'seal/v2' }),
  },
  {
    step: 2,
    what: 'an old timestamp',
    name: 'TOKEN_EXPIRED',
    layer: 'freshness',
    part: 'timestamp',
    spoil: (draft) => {
      draft.timestamp -= 60;
    },
  },
  {
    step: 3,
    what: 'an unknown issuer',
    name: 'SESSION_NOT_FOUND',
    part: 'issuer',
    spoil: ({ claims }) => {
      claims.iss = 'https://nobody.invalid';
    },
  },
  {
    step: 3,
    what: 'an issuer without a key for the envelope',
    name: 'SESSION_NOT_FOUND',
    part: 'issuer',
    spoil: ({ claims }) => {
      claims.iss = world.callers.keyless.iss;
    },
  },
  {
    step: 4,
    what: 'the signature of another agent',
    name: 'INVALID_SIGNATURE',
    part: 'signature',
    spoil: (draft) => {
      draft.envelope_key = newKey();
    },
  },
  {
    step: 5,
    what: 'a forged token',
    name: 'TOKEN_VERIFICATION_FAILED',
    part: 'token signature',
    spoil: (draft) => {
      draft.token_key = newKey();
    },
  },
  {
    step: 5,
    what: 'another audience',
    name: 'TOKEN_VERIFICATION_FAILED',
    part: 'audience',
    spoil: ({ claims }) => {
      claims.aud = 'another-gateway';
    },
  },
  {
    step: 5,
    what: 'a claim that is missing',
    name: 'TOKEN_VERIFICATION_FAILED',
    part: 'claims',
    spoil: ({ claims }) => {
      delete claims.sub;
    },
  },
  {
    step: 5,
    what: 'an expired token',
    name: 'TOKEN_EXPIRED',
    layer: 'token',
    part: 'expiry',
    spoil: ({ claims }) => {
      Object.assign(claims, { iat: unixNow() - 120, exp: unixNow() - 60 });
    },
  },
  {
    step: 7,
    what: 'a token that was used',
    name: 'REPLAY_DETECTED',
    part: 'replay',
    before: ({ claims }) => {
      const used = goodCall(world);
      used.claims.jti = claims.jti;
      return used;
    },
  },
  {
    step: 8,
    what: 'scopes without the tool',
    name: 'POLICY_TOOL_NOT_ALLOWED',
    part: 'scope',
    spoil: ({ claims }) => {
      Object.assign(claims, { scp: ['plain.*'], security_context: 'main' });
    },
  },
  {
    step: 9,
    what: 'the deny list',
    name: 'POLICY_TOOL_DENIED',
    part: 'path',
    spoil: withArgument('path', '/etc/passwd'),
  },
  {
    step: 9,
    what: 'arguments that no capability takes',
    name: 'POLICY_NO_MATCHING_CAPABILITY',
    part: 'to',
    spoil: withArgument('to', 'eve'),
  },
  {
    step: 10,
    what: 'the rate limit',
    name: 'POLICY_RATE_LIMIT_EXCEEDED',
    part: 'rate',
    before: ({ claims }) => {
      const earlier = draftCall(world.callers.main, 'rated.call');
      earlier.claims.sub = claims.sub;
      return earlier;
    },
  },
  {
    step: 11,
    what: 'arguments that do not fit the tool',
    name: 'INVALID_ARGUMENTS',
    part: 'arguments',
    spoil: withArgument('nonsense', 1),
  },
];

let world: World;
beforeAll(async () => {
  world = await startWorld({ spec: { limits: { body_bytes: BODY_BYTES } } });
});
afterAll(() => world.close());

describe('of two faults the earlier check answers', () => {
  const pairs = FAULTS.flatMap((first, index) =>
    FAULTS.slice(index + 1)
      .filter(({ part, name }) => part !== first.part && name !== first.name)
      .map((second) => ({ first, second })),
  );

  test.each(pairs)(
    '$first.step before $second.step: $first.what, $second.what',
    async ({ first, second }) => {
      const draft = await spoiled([first, second]);
      const answer = await sendUnexecuted(altered(seal(draft), [first, second]));
      expect(answer.body.error).toMatchObject({ name: first.name, code: ERRORS[first.name].code });
      const events = await world.gateway.eventsOf(answer);
      expect(events.map(({ event_type, payload }) => [event_type, payload.layer])).toEqual([
        ['ToolCallRejected', first.layer ?? ERRORS[first.name].layer],
      ]);
      // The replay id is claimed by step 7, not before.
      if (second.part !== 'replay') {
        const mended = goodCall(world);
        mended.claims.jti = draft.claims.jti;
        expect((await world.send(mended)).status).toBe(first.step < 7 ? 200 : 401);
      }
    },
  );

  test('11: no credential before the intent, no connection before the credential', async () => {
    const answer = await world.send(draftCall(world.callers.main, 'plain.sealed'));
    expect(answer.body.error?.name).toBe('CREDENTIAL_UNAVAILABLE');
    const [intent, ...rest] = await world.gateway.eventsOf(answer);
    expect(intent?.event_type).toBe('ToolCallAuthorized');
    expect(rest.at(-1)?.event_type).toBe('WorkflowInvocationFailed');
  });
});

describe('where the token brings the key (cnf), 5 precedes 4', () => {
  const withKey = (draft: Draft): Draft => {
    draft.claims.cnf = { jwk: draft.envelope_key.jwk };
    return draft;
  };
  const ofToken = FAULTS.filter(({ step }) => step === 5);

  test('it is good for any issuer', async () => {
    for (const caller of [world.callers.keyless, world.callers.main]) {
      const draft = draftCall(caller, GOOD_TOOL);
      draft.envelope_key = newKey();
      expect((await world.send(withKey(draft))).status).toBe(200);
    }
  });

  test.each(ofToken)('$what, and the signature of another agent', async (fault) => {
    const draft = withKey(draftCall(world.callers.keyless, GOOD_TOOL));
    draft.envelope_key = newKey();
    fault.spoil?.(draft);
    expect((await sendUnexecuted(seal(draft))).body.error?.name).toBe(fault.name);
  });

  test('the issuer still comes first', async () => {
    const draft = withKey(draftCall(world.callers.keyless, GOOD_TOOL));
    Object.assign(draft.claims, { iss: 'https://nobody.invalid', aud: 'another-gateway' });
    expect((await sendUnexecuted(seal(draft))).body.error?.name).toBe('SESSION_NOT_FOUND');
  });

  test('no other key will do, not even one of the issuer', async () => {
    const draft = goodCall(world);
    draft.claims.cnf = { jwk: newKey().jwk };
    expect((await sendUnexecuted(seal(draft))).body.error?.name).toBe('INVALID_SIGNATURE');
  });
});

describe('every signed field is bound', () => {
  const ARGUMENTS = { path: '/a', deep: { list: [{ amount: 1.5, note: 'x' }, null, true], other: {} } };

  const changes: readonly [string, (body: string, envelope: Envelope) => string][] = [
    ['a value deep inside', (body) => body.replace('"note":"x"', '"note":"y"')],
    ['its case', (body) => body.replace('"note":"x"', '"note":"X"')],
    ['a character that looks the same', (body) => body.replace('"note":"x"', '"note":"\u0445"')],
    ['another spelling of a number', (body) => body.replace('1.5', '1.50')],
    ['a type', (body) => body.replace('1.5', '"1.5"')],
    ['the order of a list', (body) => body.replace('null,true', 'true,null')],
    ['a member more', (body) => body.replace('"other":{}', '"other":{"a":1}')],
    ['a member less', (body) => body.replace(',"other":{}', '')],
    ['a key', (body) => body.replace('"other"', '"Other"')],
    ['where a member is', (body) => body.replace('true],"other":{}}', 'true,{}]}')],
    ['the tool', (body) => body.replace(GOOD_TOOL, 'plain.failing')],
    ['the request id', (body) => body.replace(/"id":"req-/, '"id":"req.')],
    ['a member of the payload that nobody reads', (body) => body.replace('"jsonrpc"', '"more":1,"jsonrpc"')],
    [
      'the form of the payload',
      (body, { payload }) =>
        body.replace(JSON.stringify(payload), JSON.stringify({ tool: GOOD_TOOL, arguments: ARGUMENTS })),
    ],
    [
      'the security token',
      (body, { security_token }) => body.replace(security_token, seal(goodCall(world)).security_token),
    ],
    ['the timestamp', (body, { timestamp }) => body.replace(`${timestamp}`, `${Number(timestamp) + 1}`)],
    [
      'the timestamp, as text',
      (body, { timestamp }) =>
        body.replace(`${timestamp}`, `"${new Date((Number(timestamp) - 1) * 1000).toISOString()}"`),
    ],
    [
      'a bit of the signature',
      (body) => body.replace(/"signature":"(.)/, (_, c) => `"signature":"${next(c)}`),
    ],
  ];

  test.each(changes)('%s', async (_, change) => {
    const envelope = seal(draftCall(world.callers.main, GOOD_TOOL, ARGUMENTS));
    const body = change(JSON.stringify(envelope), envelope);
    expect(body).not.toBe(JSON.stringify(envelope));
    expect((await sendUnexecuted(body)).body.error?.name).toBe('INVALID_SIGNATURE');
    expect((await world.gateway.post(envelope)).status).toBe(200);
  });

  const harmless: readonly [string, (envelope: Envelope) => unknown][] = [
    ['a jti beside the token', (envelope) => ({ ...envelope, jti: 'another' })],
    ['a container id', (envelope) => ({ ...envelope, container_id: 'c-1' })],
    ['anything else outside', (envelope) => ({ anything: [{ else: null }], ...envelope })],
    ['the wrapper of some clients', (envelope) => ({ envelope })],
    ['the order of the keys', (envelope) => Object.fromEntries(Object.entries(envelope).reverse())],
    ['white space', (envelope) => JSON.stringify(envelope, null, 2)],
    [
      'a signature in URL-safe base64',
      (envelope) => ({
        ...envelope,
        signature: Buffer.from(envelope.signature, 'base64').toString('base64url'),
      }),
    ],
    [
      'the same second as text',
      (envelope) => ({
        ...envelope,
        timestamp: new Date(Number(envelope.timestamp) * 1000 + 999).toISOString(),
      }),
    ],
    ['escapes in a string', (envelope) => JSON.stringify(envelope).replace('"note":"x"', '"note":"\\u0078"')],
  ];

  test.each(harmless)('not bound: %s', async (_, change) => {
    const envelope = seal(draftCall(world.callers.main, GOOD_TOOL, ARGUMENTS));
    expect((await world.gateway.post(change(envelope))).status).toBe(200);
    // However it is spelt, it is the same call.
    expect((await sendUnexecuted(envelope)).body.error?.name).toBe('REPLAY_DETECTED');
  });
});

describe('what was used once stays used', () => {
  test('replay: token. One token, one call, whatever the envelope says', async () => {
    const draft = goodCall(world);
    const first = seal(draft);
    expect((await world.gateway.post(first)).status).toBe(200);
    draft.payload = callPayload(GOOD_TOOL, { to: 'somebody else' });
    for (const again of [first, seal(draft)]) {
      expect((await sendUnexecuted(again)).body.error?.name).toBe('REPLAY_DETECTED');
    }
  });

  test('replay: token. The same jti of another issuer is another token', async () => {
    const jti = randomUUID();
    const ours = goodCall(world);
    const theirs = draftCall(world.callers.keyless, GOOD_TOOL);
    Object.assign(ours.claims, { jti });
    Object.assign(theirs.claims, { jti, cnf: { jwk: theirs.envelope_key.jwk } });
    expect((await world.send(ours)).status).toBe(200);
    expect((await world.send(theirs)).status).toBe(200);
  });

  test('replay: envelope. One token, many calls, each once, however it is spelt', async () => {
    const draft = draftCall(world.callers.reusing, GOOD_TOOL);
    const first = seal(draft);
    draft.payload = callPayload(GOOD_TOOL, {});
    const second = seal(draft);
    expect(second.security_token).toBe(first.security_token);
    expect((await world.gateway.post(first)).status).toBe(200);
    expect((await world.gateway.post(second)).status).toBe(200);
    const respelt = JSON.stringify({ more: 1, ...second }, null, 1);
    for (const again of [first, second, respelt]) {
      expect((await sendUnexecuted(again)).body.error?.name).toBe('REPLAY_DETECTED');
    }
  });

  test('replay: envelope. Signed in another order of keys, it is the same call', async () => {
    const draft = draftCall(world.callers.reusing, GOOD_TOOL);
    draft.payload = { tool: GOOD_TOOL, arguments: {} };
    const envelope = seal(draft);
    const { payload, security_token, timestamp } = envelope;
    const sorted = canonical({ payload, security_token, timestamp });
    const sent = sorted.replace(canonical(payload), JSON.stringify(payload));
    expect(sent).not.toBe(sorted);
    const respelt = { ...envelope, signature: signText(sent, draft.envelope_key) };
    expect((await world.gateway.post(respelt)).status).toBe(200);
    expect((await sendUnexecuted(envelope)).body.error?.name).toBe('REPLAY_DETECTED');
  });

  test('of many at one time one is executed', async () => {
    const envelope = seal(goodCall(world));
    const before = world.upstream.requests.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.gateway.post(envelope)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(401)]);
    expect(world.upstream.requests.length).toBe(before + 1);
  });

  test('also after a restart', async () => {
    const used = [
      goodCall(world),
      draftCall(world.callers.reusing, GOOD_TOOL),
      draftCall(world.callers.main, 'plain.denied'),
      draftCall(world.callers.main, 'plain.failing'),
    ].map(seal);
    const unused = seal(goodCall(world));
    for (const envelope of used) await world.gateway.post(envelope);
    await world.gateway.restart();
    for (const envelope of used) {
      expect((await sendUnexecuted(envelope)).body.error?.name).toBe('REPLAY_DETECTED');
    }
    expect((await world.gateway.post(unused)).status).toBe(200);
  });
});

/** A call with these faults, of an agent whose rate nobody else has used. */
async function spoiled(faults: readonly Fault[]): Promise<Draft> {
  const draft = draftCall(world.callers.main, 'rated.call');
  draft.claims.sub = randomUUID();
  for (const { before } of faults) {
    if (before !== undefined) expect((await world.send(before(draft))).status).toBe(200);
  }
  for (const { spoil } of faults) spoil?.(draft);
  return draft;
}

function altered(envelope: Envelope, faults: readonly Fault[]): unknown {
  return faults.reduce<Envelope>(
    (sent, { alter }) => (alter?.(sent) as Envelope | undefined) ?? sent,
    envelope,
  );
}

/** Sends it and holds that nothing reaches the upstream. */
async function sendUnexecuted(body: unknown) {
  const before = world.upstream.requests.length;
  const answer = await world.gateway.post(body);
  expect(world.upstream.requests.length).toBe(before);
  return answer;
}

function withArgument(name: string, value: unknown): (draft: Draft) => void {
  return (draft) => {
    const { params } = draft.payload as { params: { arguments: Record<string, unknown> } };
    params.arguments[name] = value;
  };
}

/** Another letter of the base64 alphabet. */
function next(letter: string): string {
  return letter === 'A' ? 'B' : 'A';
}
