import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { newId } from '../../src/ids.ts';
import { CallError } from '../../src/invoke/call.ts';
import type { Snapshot, WorkflowTool } from '../../src/snapshot/snapshot.ts';
import { cliTool } from '../support/cli-tool.ts';
import { agent, bodyOf, NOW_MS, type Parts, pipeline, type Sent, tokenOf } from './pipeline.ts';

/** The id of a token, another in each test. */
let once: string;
beforeEach(() => {
  once = newId();
});

const types = (events: readonly { event_type: string }[]) => events.map((event) => event.event_type);

/** An upstream whose answers wait until they are let go. */
function held() {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const upstream: Parts['upstream'] = async (_, response) => {
    arrived.resolve();
    await go.promise;
    response.setHeader('content-type', 'application/json').end('{}');
  };
  return { upstream, arrived: arrived.promise, go: () => go.resolve() };
}

describe('a good call', () => {
  test('runs, replies, and leaves its whole story in the trail, in order', async () => {
    const gateway = await pipeline();
    const body = await bodyOf({
      arguments: { b: 2, a: 1 },
      claims: { exec_id: 'exec-7', tenant_id: 'acme', wid: 'w-1' },
    });
    const reply = await gateway.invoke(body);
    const events = await gateway.events();
    expect(types(events)).toEqual([
      'ToolCallAuthorized',
      'WorkflowInvocationStarted',
      'WorkflowStepExecuted',
      'WorkflowInvocationCompleted',
    ]);
    expect(reply).toEqual({
      request_id: 'req-1',
      result_json: '{"a":1}',
      execution_id: 'exec-7',
      event_id: events.at(-1)?.id,
      revision: 'rev-1',
      duration_ms: expect.any(Number),
    });
    for (const event of events) {
      expect(event).toMatchObject({ execution_id: 'exec-7', tenant_id: 'acme', revision: 'rev-1' });
      expect(event.payload.call_id).toBe(events[0]?.payload.call_id);
    }
    const { signature, payload, security_token } = JSON.parse(Buffer.from(body).toString());
    const canonical =
      `{"payload":{"id":"req-1","jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"a":1,"b":2},"name":"crm.read"}},` +
      `"security_token":${JSON.stringify(security_token)},"timestamp":${NOW_MS / 1000}}`;
    expect(payload.params.arguments).toEqual({ b: 2, a: 1 });
    expect(events[0]?.payload).toMatchObject({
      agent_id: 'agent-7',
      tool_name: 'crm.read',
      security_context: 'reader',
      tenant_id: 'acme',
      workload_id: 'w-1',
      issuer: 'https://issuer.example',
      rule: 'capabilities[0]',
      signature,
      envelope_digest: createHash('sha256').update(canonical).digest('hex'),
      arguments_bytes: '{"a":1,"b":2}'.length,
    });
    expect(events[0]?.payload).not.toHaveProperty('arguments');
    expect(events.at(-1)?.payload).toMatchObject({ name: 'crm.read', total_steps: 1, result_bytes: 7 });
  });

  test('of the short form has no request id, and one id for all its events', async () => {
    const gateway = await pipeline();
    const reply = await gateway.invoke({ payload: '{"tool":"crm.read"}' });
    expect(reply.request_id).toBeNull();
    const ids = new Set((await gateway.events()).map((event) => event.execution_id));
    expect([...ids]).toEqual([reply.execution_id]);
  });

  test('has its arguments in the trail only where the context says so, without what may be a secret', async () => {
    const context = { capabilities: [{ tool_pattern: 'crm.*' }], audit_arguments: true };
    const gateway = await pipeline({ context });
    await gateway.invoke({ arguments: { email: 'ann@example.com', password: 'hunter2' } });
    const [intent] = await gateway.events();
    expect(intent?.payload.arguments).toEqual({ email: 'ann@example.com', password: '[redacted]' });
  });

  test('keeps the snapshot that it began with', async () => {
    const { upstream, arrived, go } = held();
    const gateway = await pipeline({ upstream });
    const reply = gateway.invoke();
    await arrived;
    gateway.holder.swap({ ...gateway.snapshot, revision: 'rev-2', contexts: new Map() } satisfies Snapshot);
    go();
    expect((await reply).revision).toBe('rev-1');
    expect(new Set((await gateway.events()).map((event) => event.revision))).toEqual(new Set(['rev-1']));
    expect((await gateway.refused()).error.name).toBe('POLICY_TOOL_NOT_ALLOWED');
  });

  test('is in the trail before anything is sent', async () => {
    const seen: string[][] = [];
    const gateway = await pipeline({
      upstream: async (_, response) => {
        seen.push(types(await gateway.events()));
        response.end('{}');
      },
    });
    await gateway.invoke();
    expect(seen).toEqual([['ToolCallAuthorized', 'WorkflowInvocationStarted']]);
  });
});

describe('replay', () => {
  test('by token: one token is one call, whatever it calls', async () => {
    const gateway = await pipeline();
    const claims = { jti: once };
    await gateway.invoke({ claims });
    expect((await gateway.refused({ claims, arguments: { other: 1 } })).error.name).toBe('REPLAY_DETECTED');
    expect(gateway.upstream.requests).toHaveLength(1);
  });

  test('by token: another issuer has the same jti for itself', async () => {
    const gateway = await pipeline();
    const [issuer] = [...gateway.snapshot.issuers.values()];
    const other = { ...issuer!, issuer: 'https://other.example' };
    gateway.holder.swap({
      ...gateway.snapshot,
      issuers: new Map([...gateway.snapshot.issuers, [other.issuer, other]]),
    });
    await gateway.invoke({ claims: { jti: once } });
    await gateway.invoke({ claims: { jti: once, iss: other.issuer } });
  });

  test('by envelope: one token is many calls, but each envelope one', async () => {
    const gateway = await pipeline({ issuer: { replay: 'envelope' } });
    const claims = { jti: once };
    const body = await bodyOf({ claims });
    await gateway.invoke(body);
    await gateway.invoke({ claims, arguments: { other: 1 } });
    expect((await gateway.refused(body)).error.name).toBe('REPLAY_DETECTED');
    // However it is spelt.
    const spelt = Buffer.from(JSON.stringify(JSON.parse(Buffer.from(body).toString()), null, 1));
    expect((await gateway.refused(spelt)).error.name).toBe('REPLAY_DETECTED');
  });

  test('of many at once lets one through', async () => {
    const gateway = await pipeline();
    const body = await bodyOf({});
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => gateway.invoke(body)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(gateway.upstream.requests).toHaveLength(1);
  });
});

describe('without an audit trail', () => {
  const broken = new GatewayError('AUDIT_UNAVAILABLE', 'the disk is full');
  const fails = () => Promise.reject(broken);

  test('nothing is executed', async () => {
    const gateway = await pipeline({ store: { admit: fails, append: fails } });
    const refused = await gateway.refused();
    expect(refused).toBeInstanceOf(CallError);
    expect(refused.error).toBe(broken);
    expect(gateway.upstream.requests).toHaveLength(0);
  });

  test('nothing is answered', async () => {
    const gateway = await pipeline({ store: { append: fails } });
    expect((await gateway.refused()).error).toBe(broken);
    expect(gateway.upstream.requests).toHaveLength(1);
  });

  test('a refusal says that it could not be recorded', async () => {
    const gateway = await pipeline({ store: { append: fails } });
    expect((await gateway.refused({ forged: true })).error).toBe(broken);
  });
});

describe('a failure', () => {
  test('of the upstream is an outcome, and its step is named', async () => {
    const gateway = await pipeline({ upstream: (_, response) => response.writeHead(500).end() });
    const { error, request_id } = await gateway.refused();
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(request_id).toBe('req-1');
    const events = await gateway.events();
    expect(types(events).at(-1)).toBe('WorkflowInvocationFailed');
    expect(types(events)).not.toContain('ToolCallRejected');
    expect(events.at(-1)?.payload).toMatchObject({
      code: 4200,
      error: 'UPSTREAM_FAILED',
      failed_step: 'read',
    });
  });

  test('that takes too long is a time-out', async () => {
    const gateway = await pipeline({ upstream: () => undefined, limits: { call_timeout_ms: 50 } });
    expect((await gateway.refused()).error.name).toBe('UPSTREAM_TIMEOUT');
  });

  test('of a caller who went away ends the request upstream, and is recorded', async () => {
    const arrived = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const gateway = await pipeline({
      upstream: (request) => {
        request.once('close', ended.resolve);
        arrived.resolve();
      },
    });
    const controller = new AbortController();
    const call = gateway.invoke({}, controller.signal);
    const failed = expect(call).rejects.toBeInstanceOf(CallError);
    await arrived.promise;
    controller.abort(new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away', { layer: 'caller' }));
    await failed;
    await ended.promise;
    expect((await gateway.events()).at(-1)).toMatchObject({
      event_type: 'WorkflowInvocationFailed',
      payload: { layer: 'caller', failed_step: 'read', reason: 'step read: the caller went away' },
    });
  });

  test('of a result over the size that the context allows', async () => {
    const gateway = await pipeline({ max_response_size: 6 });
    const { error } = await gateway.refused();
    expect(error).toMatchObject({ name: 'RESPONSE_TOO_LARGE', details: { bytes: 7, limit: 6 } });
    await (await pipeline({ max_response_size: 7 })).invoke();
  });

  test('of the gateway itself is blank to the caller, and in the trail', async () => {
    const fault = new TypeError('a secret');
    const validate: WorkflowTool['validate'] = () => {
      throw fault;
    };
    const gateway = await pipeline({ tool: { validate } });
    const { error } = await gateway.refused();
    expect(error).toMatchObject({ name: 'INTERNAL', message: 'internal error', cause: fault });
    const events = await gateway.events();
    expect(types(events)).toEqual(['ToolCallRejected']);
    expect(JSON.stringify(events)).not.toContain('a secret');
  });

  test('of reading the body is recorded too', async () => {
    const gateway = await pipeline();
    const { signal } = new AbortController();
    const error = new GatewayError('MALFORMED_ENVELOPE', 'too large');
    await expect(gateway.invoker.invoke(() => Promise.reject(error), signal)).rejects.toMatchObject({
      error,
    });
    expect(types(await gateway.events())).toEqual(['ToolCallRejected']);
  });
});

describe('what a caller may learn of tools', () => {
  test('one that may not be called and one that is not there look the same', async () => {
    const gateway = await pipeline({ context: { capabilities: [{ tool_pattern: 'other' }] } });
    const refusals = [
      await gateway.refused({ tool: 'crm.read' }),
      await gateway.refused({ tool: 'no.such' }),
    ];
    const shown = refusals.map(({ error }) => ({
      ...error.row,
      message: error.message,
      details: error.details,
    }));
    expect(shown[0]).toMatchObject({ code: 2000, details: {} });
    expect(shown[0]).toEqual(shown[1]);
  });

  test('one that policy allows, but is not there, is not found', async () => {
    const gateway = await pipeline();
    expect((await gateway.refused({ tool: 'crm.none' })).error.name).toBe('TOOL_NOT_FOUND');
  });

  test('one of another tenant is not there', async () => {
    const hidden = { kind: 'unavailable', name: 'crm.hidden', tenant: 'bolt', reason: 'x' } as const;
    const gateway = await pipeline({ tools: [hidden] });
    const sent: Sent = { tool: 'crm.hidden', claims: { tenant_id: 'acme' } };
    expect((await gateway.refused(sent)).error.name).toBe('TOOL_NOT_FOUND');
  });

  test('a number that would lose digits is refused, not rounded', async () => {
    const gateway = await pipeline();
    const payload = '{"tool":"crm.read","arguments":{"ids":[1,9007199254740993]}}';
    expect((await gateway.refused({ payload })).error).toMatchObject({
      name: 'INVALID_ARGUMENTS',
      details: { problems: ['/ids/1: this number loses digits; send it as a string'] },
    });
  });
});

test('a CLI tool is judged by its name and subcommand, and then by the words that its manifest allows', async () => {
  const gateway = await pipeline({
    context: {
      capabilities: [{ tool_pattern: '*', command_allowlist: ['kubectl'], subcommand_allowlist: ['get'] }],
    },
    tools: [cliTool()],
  });
  const refusal = async (args: Record<string, unknown>) =>
    (await gateway.refused({ tool: 'kubectl', arguments: args })).error;
  expect(await refusal({ subcommand: 'delete' })).toMatchObject({ name: 'POLICY_COMMAND_NOT_ALLOWED' });
  expect(await refusal({})).toMatchObject({ name: 'POLICY_COMMAND_NOT_ALLOWED' });
  expect(await refusal({ subcommand: 'get', args: ['--kubeconfig=/tmp/mine'] })).toMatchObject({
    name: 'INVALID_ARGUMENTS',
    details: { rule: 'args.flags' },
  });
});

describe('a token that names the key of its envelope', () => {
  const claims = { cnf: { jwk: agent.jwk } };

  test('needs no key of the issuer', async () => {
    await (await pipeline({ issuer: { envelope_keys: [] } })).invoke({ claims });
  });

  test('is checked before the envelope', async () => {
    const gateway = await pipeline();
    const both = await gateway.refused({ claims, forged: true, forged_token: true });
    expect(both.error.name).toBe('TOKEN_VERIFICATION_FAILED');
    expect((await gateway.refused({ claims, forged: true })).error.name).toBe('INVALID_SIGNATURE');
  });
});

describe('limits', () => {
  test('calls over those in flight are turned away, and heard again after', async () => {
    const { upstream, arrived, go } = held();
    const gateway = await pipeline({ upstream, limits: { max_in_flight: 1 } });
    const first = gateway.invoke();
    await arrived;
    const { error } = await gateway.refused();
    expect(error).toMatchObject({ name: 'OVERLOADED', retry_after_seconds: 1 });
    go();
    await first;
    await gateway.invoke();
  });

  const tenant = { claims: { tenant_id: 'acme' } };

  test('a tenant has as many calls at one time as it may, and a failed one gives its place back', async () => {
    const { upstream, arrived, go } = held();
    const gateway = await pipeline({ upstream, tenant: { max_concurrency: 1 } });
    const first = gateway.invoke(tenant);
    await arrived;
    const { error } = await gateway.refused(tenant);
    expect(error).toMatchObject({
      name: 'POLICY_RATE_LIMIT_EXCEEDED',
      message: 'the tenant has as many calls at one time as it may',
    });
    // Another tenant, and none, are not held up.
    const others = gateway.invoke();
    go();
    await Promise.all([first, others]);
    await gateway.invoke(tenant);
  });

  test('a call that the limit of the tenant refuses does not use the limit of its capability up', async () => {
    const limit = { calls: 2, per_seconds: 60 };
    const gateway = await pipeline({
      context: { capabilities: [{ tool_pattern: 'crm.*', rate_limit: limit }] },
      tenant: { rate_limit: { calls: 1, per_seconds: 60 } },
    });
    await gateway.invoke({ claims: { tenant_id: 'acme', sub: 'a' } });
    for (let i = 0; i < 3; i += 1) {
      const { error } = await gateway.refused({ claims: { tenant_id: 'acme', sub: 'b' } });
      expect(error.message).toBe('the rate limit of the tenant is used up');
    }
  });

  test('a refusal says when to try again', async () => {
    const context = { capabilities: [{ tool_pattern: 'crm.*', rate_limit: { calls: 1, per_seconds: 60 } }] };
    const gateway = await pipeline({ context });
    await gateway.invoke();
    const { error } = await gateway.refused();
    expect(error.retry_after_seconds).toBeGreaterThan(55);
    expect(error.details).toEqual({
      retry_after_seconds: error.retry_after_seconds,
      rule: 'capabilities[0].rate_limit',
    });
    // Counted by agent.
    await gateway.invoke({ claims: { sub: 'another' } });
  });

  test('calls that come at once are not counted as one', async () => {
    const context = { capabilities: [{ tool_pattern: 'crm.*', rate_limit: { calls: 3, per_seconds: 60 } }] };
    const gateway = await pipeline({ context });
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => gateway.invoke()));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(gateway.upstream.requests).toHaveLength(3);
  });
});

describe('the list of tools', () => {
  const PAYLOAD = '{"jsonrpc":"2.0","id":7,"method":"tools/list"}';
  const READ = { name: 'crm.read', kind: 'workflow', tags: ['crm'], annotations: { read_only: true } };

  test('by envelope is a call: recorded, and good once', async () => {
    const gateway = await pipeline();
    const sent: Sent = { payload: PAYLOAD, claims: { jti: once } };
    const reply = await gateway.invoke(sent);
    expect(reply.request_id).toBe(7);
    expect(JSON.parse(reply.result_json)).toMatchObject({
      tools: [{ ...READ, inputSchema: { type: 'object' } }],
    });
    const events = await gateway.events();
    expect(events).toMatchObject([
      { event_type: 'ToolCallAuthorized', payload: { tool_name: 'tools/list' } },
    ]);
    expect(reply.event_id).toBe(events[0]?.id);
    expect((await gateway.refused(sent)).error.name).toBe('REPLAY_DETECTED');
  });

  test('by bearer uses no token up', async () => {
    const gateway = await pipeline();
    const token = await tokenOf({ jti: once });
    for (let i = 0; i < 2; i += 1) expect(await gateway.invoker.tools(token)).toMatchObject([READ]);
    await gateway.invoke({ claims: { jti: once } });
  });

  test('holds what the token may call, and no more', async () => {
    const gateway = await pipeline({
      tools: [{ kind: 'unavailable', name: 'crm.x', tenant: null, reason: '' }],
    });
    expect(await gateway.invoker.tools(await tokenOf({ scp: ['other.*'] }))).toEqual([]);
    expect(await gateway.invoker.tools(await tokenOf({ scp: ['crm.*'] }))).toMatchObject([READ]);
  });

  test.each([
    [{ iss: 'https://other.example' }, false, 'SESSION_NOT_FOUND'],
    [{}, true, 'TOKEN_VERIFICATION_FAILED'],
    [{ exp: NOW_MS / 1000 }, false, 'TOKEN_EXPIRED'],
    [{ scp: 'none' }, false, 'POLICY_TOOL_NOT_ALLOWED'],
  ])('is refused by the same rules: %j, forged: %s', async (claims, forged, name) => {
    const gateway = await pipeline();
    await expect(gateway.invoker.tools(await tokenOf(claims, forged))).rejects.toMatchObject({
      error: { name },
    });
    expect(await gateway.events()).toMatchObject([{ event_type: 'ToolCallRejected', payload: { name } }]);
  });
});

test('before there is a configuration every call is refused, and recorded', async () => {
  const gateway = await pipeline({ empty: true });
  expect((await gateway.refused()).error).toMatchObject({
    name: 'TOOL_UNAVAILABLE',
    message: 'the gateway has no configuration yet; /readyz says why',
  });
  expect(await gateway.events()).toMatchObject([{ event_type: 'ToolCallRejected', revision: null }]);
});
