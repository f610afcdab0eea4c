import { describe, expect, test } from 'vitest';
import type { EventBody } from '../../src/audit/event.ts';
import { type ErrorName, GatewayError, type Violation } from '../../src/errors.ts';
import { createLimiter } from '../../src/invoke/limit.ts';
import { createRejections, type Refusal } from '../../src/invoke/rejections.ts';

function aTrail(per_minute = 2) {
  const clock = { ms: 1_771_338_722_000, now: () => clock.ms, monotonic: () => clock.ms };
  const rejections = createRejections({ clock, limiter: createLimiter(clock), per_minute });
  const written: { tenant_id: string | null; payload: EventBody['payload'] }[] = [];
  return {
    clock,
    rejections,
    written,
    flush: () =>
      rejections.flush(async ({ payload }, tenant_id) => {
        written.push({ tenant_id, payload });
      }),
    told: (refusal: Refusal, times = 1) =>
      Array.from({ length: times }, () => {
        const told = rejections.tells(refusal);
        if (!told) rejections.count(refusal);
        return told;
      }).filter(Boolean).length,
  };
}

const from = (remote_addr: string | null, name: ErrorName = 'INVALID_SIGNATURE'): Refusal => ({
  error: new GatewayError(name, 'no'),
  caller: null,
  remote_addr,
});

const by = (
  subject: string,
  name: ErrorName = 'POLICY_TOOL_DENIED',
  tenant_id: string | null = 'acme',
): Refusal => ({
  error: new GatewayError(name, 'no'),
  caller: { issuer: 'https://ci.example', subject, tenant_id },
  remote_addr: '203.0.113.9',
});

const violating = (refusal: Refusal, violation: Violation): Refusal => ({
  ...refusal,
  error: new GatewayError('POLICY_RATE_LIMIT_EXCEEDED', 'no', { violation }),
});

describe('a rejection is told', () => {
  test('so many times a minute for each address, and again in the next', () => {
    const { clock, told } = aTrail();
    expect(told(from('203.0.113.9'), 5)).toBe(2);
    expect(told(from('203.0.113.10'), 5)).toBe(2);
    clock.ms += 60_000;
    expect(told(from('203.0.113.9'), 5)).toBe(2);
  });

  test('for each error: a flood of one does not hide another', () => {
    const { told } = aTrail();
    told(from('203.0.113.9'), 100);
    expect(told(from('203.0.113.9', 'TOKEN_EXPIRED'))).toBe(1);
  });

  test('for all addresses of an IPv6 network together', () => {
    const { told } = aTrail();
    const flood = Array.from({ length: 50 }, (_, index) => told(from(`2001:db8::${index.toString(16)}`)));
    expect(flood.filter(Boolean)).toHaveLength(2);
  });

  test('ten times as often for everybody who has not proven who he is', () => {
    const { told } = aTrail();
    const flood = Array.from({ length: 100 }, (_, index) => told(from(`203.0.113.${index}`)));
    expect(flood.filter(Boolean)).toHaveLength(20);
    // Who has proven it is not held up by that.
    expect(told(by('agent-7'))).toBe(1);
  });

  test('for each caller, wherever he comes from', () => {
    const { told } = aTrail();
    expect(told(by('agent-7'), 5)).toBe(2);
    expect(told({ ...by('agent-7'), remote_addr: '198.51.100.1' }, 5)).toBe(0);
    expect(told(by('agent-8'), 5)).toBe(2);
  });

  test('so many times a day, so that what goes on for days fills no disk either', () => {
    const { clock, told } = aTrail();
    const day = { address: 0, unknown: 0, caller: 0 };
    for (let minute = 0; minute < 1_440; minute += 1) {
      clock.ms += 60_000;
      day.address += told(from('203.0.113.9'), 3);
      for (let index = 0; index < 20; index += 1)
        day.unknown += told(from(`198.51.${minute % 256}.${index}`, 'TOKEN_EXPIRED'));
      day.caller += told(by('agent-7'), 3);
    }
    expect(day.address).toBe(24);
    expect(day.caller).toBe(480);
    expect(day.unknown + day.address).toBe(480);
  });

  test('once in the window of a limit, a minute at least', () => {
    const { clock, told } = aTrail();
    const hour = violating(by('agent-7'), { key: 'a', per_seconds: 3_600 });
    const second = violating(by('agent-7'), { key: 'b', per_seconds: 1 });
    expect([told(hour, 10), told(second, 10)]).toEqual([1, 1]);
    clock.ms += 59_999;
    expect([told(hour, 10), told(second, 10)]).toEqual([0, 0]);
    clock.ms += 1;
    expect([told(hour, 10), told(second, 10)]).toEqual([0, 1]);
    clock.ms += 3_540_000;
    expect(told(hour, 10)).toBe(1);
  });

  test('within the measure of its address, where limits are of names that anybody makes up', () => {
    const { told } = aTrail();
    const flood = Array.from({ length: 50 }, (_, index) =>
      told(violating(from('203.0.113.9'), { key: `workload-${index}`, per_seconds: 60 })),
    );
    expect(flood.filter(Boolean)).toHaveLength(2);
  });
});

describe('what is not told', () => {
  test('is counted, in an event of its tenant, and once', async () => {
    const { clock, told, flush, written } = aTrail();
    told(by('agent-7'), 5);
    told(by('agent-8', 'POLICY_TOOL_DENIED', 'bolt'), 3);
    told(from('2001:db8::1'), 12);
    clock.ms += 60_000;
    await flush();
    const span = { since: '2026-02-17T14:32:02.000Z', until: '2026-02-17T14:33:02.000Z' };
    const denied = { code: 2001, name: 'POLICY_TOOL_DENIED', issuer: 'https://ci.example' };
    expect(written).toEqual([
      {
        tenant_id: 'acme',
        payload: { ...span, count: 3, rejections: [{ ...denied, agent_id: 'agent-7', count: 3 }] },
      },
      {
        tenant_id: 'bolt',
        payload: { ...span, count: 1, rejections: [{ ...denied, agent_id: 'agent-8', count: 1 }] },
      },
      {
        tenant_id: null,
        payload: {
          ...span,
          count: 10,
          rejections: [
            { code: 1001, name: 'INVALID_SIGNATURE', remote_addr: '2001:db8:0:0::/64', count: 10 },
          ],
        },
      },
    ]);
    await flush();
    expect(written).toHaveLength(3);
  });

  test('is counted on when it cannot be written', async () => {
    const { rejections, told, flush, written } = aTrail();
    told(by('agent-7'), 5);
    await expect(rejections.flush(() => Promise.reject(new Error('full')))).rejects.toThrow('full');
    told(by('agent-7'), 5);
    await flush();
    expect(written).toMatchObject([{ payload: { count: 8 } }]);
  });

  test('takes no more memory and no longer event with more who are refused', async () => {
    const { told, flush, written } = aTrail();
    for (let index = 0; index < 3_000; index += 1) told(by(`agent-${index}`), 3);
    await flush();
    const total = written.reduce((sum, { payload }) => sum + Number(payload.count), 0);
    expect(total).toBe(3_000);
    expect(written).toHaveLength(2);
    for (const { payload } of written) expect(JSON.stringify(payload).length).toBeLessThan(8_192);
  });
});
