import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { pause } from '../../src/execute/abort.ts';
import { retryAfterSeconds } from '../../src/execute/retry-after.ts';
import { type Answer, faultsOf, run, serve, toolOf } from './running.ts';
import { rejection } from './upstream.ts';

const get = (retry: object, more: object = {}) => ({
  steps: [{ name: 'a', method: 'GET', path: '/a', retry, ...more }],
});

/** An upstream whose first replies are these, and `{"ok":true}` from then on. */
const failing = (...answers: Answer[]) => serve((_, count) => answers[count - 1] ?? { body: { ok: true } });

describe('retry', () => {
  it.each<[string, Answer]>([
    ...[408, 425, 429, 500, 502, 503, 504].map((status): [string, Answer] => [`${status}`, { status }]),
    ['a connection that ends', { disconnect: true }],
  ])('sends again after %s', async (_, answer) => {
    const { url, asked } = await failing(answer, answer);
    const { output, events, pauses } = run(await toolOf({ crm: url }, get({})));
    expect(await output).toEqual({ ok: true });
    expect(asked).toHaveLength(3);
    expect(events).toMatchObject([{ http_status: 200, attempts: 3 }]);
    expect(events[0]).not.toHaveProperty('error');
    expect(pauses).toEqual([200, 400]);
  });

  it.each([400, 401, 403, 404, 409, 422, 501])('does not after %d', async (status) => {
    const { url, asked } = await failing({ status });
    const error = await rejection(run(await toolOf({ crm: url }, get({}))).output);
    expect(error.details.status).toBe(status);
    expect(error.message).not.toContain('attempt');
    expect(asked).toHaveLength(1);
  });

  it('sends again what was not answered in time', async () => {
    const { url, asked } = await serve((_, count) =>
      count === 1 ? new Promise<never>(() => undefined) : { body: count },
    );
    const tool = await toolOf({ crm: { base_url: url, timeout_ms: 500 } }, get({}));
    expect(await run(tool).output).toBe(2);
    expect(asked).toHaveLength(2);
  });

  it('sends again to an address that refuses, and says how often', async () => {
    const { url, upstream } = await serve(() => ({}));
    await new Promise((resolve) => upstream.server.close(resolve));
    const { output, events } = run(await toolOf({ crm: url }, get({ attempts: 4, backoff_ms: 1 })));
    const error = await rejection(output);
    expect(error.message).toMatch(/^step a: GET .*\/a refused the connection, after 4 attempts$/);
    expect(error.details).toMatchObject({ step: 'a', attempts: 4, error_code: 'ECONNREFUSED' });
    expect(events).toMatchObject([{ attempts: 4, http_status: 0, error: 'UPSTREAM_FAILED' }]);
  });

  it('is of the statuses that are named, and no other', async () => {
    const { url, asked } = await failing({ status: 404 }, { status: 503 });
    const tool = await toolOf({ crm: url }, get({ statuses: [404] }));
    expect((await rejection(run(tool).output)).details.status).toBe(503);
    expect(asked).toHaveLength(2);
  });

  it('waits for what is not ready: a status that is no success counts', async () => {
    const { url } = await failing({ status: 202 }, { status: 202 });
    const tool = await toolOf({ crm: url }, get({ statuses: [202] }, { expect_status: [200] }));
    expect(await run(tool).output).toEqual({ ok: true });
  });

  it('leaves a reply alone that cannot be read', async () => {
    const { url, asked } = await serve(() => ({ headers: { 'content-encoding': 'compress' }, body: [1, 2] }));
    const more = { statuses: [500] };
    await rejection(run(await toolOf({ crm: url }, get(more))).output);
    await rejection(run(await toolOf({ crm: { base_url: url, max_response_bytes: 1 } }, get(more))).output);
    expect(asked).toHaveLength(2);
  });

  it('doubles the longest wait up to 30 s, and waits a random part of it', async () => {
    const { url } = await serve(() => ({ status: 503 }));
    const tool = await toolOf(
      { crm: url },
      { ...get({ attempts: 6, backoff_ms: 4000 }), timeout_ms: 600_000 },
    );
    const longest = run(tool);
    await rejection(longest.output);
    expect(longest.pauses).toEqual([4000, 8000, 16000, 30000, 30000]);
    const random = run(tool, {}, { deps: { random: () => 0.25 } });
    await rejection(random.output);
    expect(random.pauses).toEqual([1000, 2000, 4000, 7500, 7500]);
  });
});

describe('methods', () => {
  const step = (method: string, retry?: object) => ({
    steps: [{ name: 'a', method, path: '/a', ...(retry !== undefined && { retry }) }],
  });
  const api = { retry: { attempts: 2, backoff_ms: 0 } };

  it.each([
    ['GET', 2],
    ['HEAD', 2],
    ['OPTIONS', 2],
    ['PUT', 2],
    ['DELETE', 2],
    ['POST', 1],
    ['PATCH', 1],
  ])('of the API’s retry: %s is sent %d times', async (method, times) => {
    const { url, asked } = await serve(() => ({ status: 503 }));
    await rejection(run(await toolOf({ crm: { base_url: url, ...api } }, step(method))).output);
    expect(asked).toHaveLength(times);
  });

  it('may name a method that is not idempotent', async () => {
    const { url, asked } = await serve(() => ({ status: 503 }));
    await rejection(run(await toolOf({ crm: url }, step('POST', { methods: ['POST'] }))).output);
    expect(asked).toHaveLength(3);
    const named = { base_url: url, retry: { ...api.retry, methods: ['PATCH'] } };
    await rejection(run(await toolOf({ crm: named }, step('PATCH'))).output);
    await rejection(run(await toolOf({ crm: named }, step('GET'))).output);
    expect(asked).toHaveLength(3 + 2 + 1);
  });

  it('must name it where the step asks for retry', async () => {
    expect(await faultsOf(step('POST', { attempts: 2 }))).toEqual([
      'POST /a is a POST, which is not sent again: it may have been done although no good reply came (add methods: [POST] where doing it twice does no harm)',
    ]);
    expect(await faultsOf(step('POST', { attempts: 1 }))).toEqual([]);
  });

  it('of a step’s own retry replace the API’s as a whole, and one attempt is none', async () => {
    const { url, asked } = await serve(() => ({ status: 503 }));
    const crm = { base_url: url, retry: { attempts: 5, backoff_ms: 0, methods: ['POST'] } };
    await rejection(run(await toolOf({ crm }, step('GET', { attempts: 2 }))).output);
    expect(asked).toHaveLength(2);
    await rejection(run(await toolOf({ crm }, step('POST', { attempts: 1 }))).output);
    expect(asked).toHaveLength(3);
  });
});

describe('Retry-After', () => {
  const later = (value: string): Answer => ({ status: 429, headers: { 'retry-after': value } });

  it('is the least that is waited', async () => {
    const { url } = await failing(later('2'), later('0'));
    const { output, pauses } = run(await toolOf({ crm: url }, get({ backoff_ms: 500 })));
    await output;
    expect(pauses).toEqual([2000, 1000]);
  });

  it('may be a date', async () => {
    const { url } = await failing(later('Thu, 01 Jan 1970 00:00:07 GMT'));
    const { output, pauses } = run(await toolOf({ crm: url }, get({})));
    await output;
    expect(pauses).toEqual([7000]);
  });

  it('that does not fit into the time that is left ends the step at once, and is told', async () => {
    const { url, asked } = await serve(() => later('120'));
    const tool = await toolOf({ crm: url }, { ...get({}), timeout_ms: 8000 });
    const { output, pauses, events } = run(tool);
    const error = await rejection(output);
    expect(error.message).toMatch(
      /^step a: GET .*\/a answered 429, after 1 attempt; it asks to wait 120 s, and the call has 7\.\d s left$/,
    );
    expect(error).toMatchObject({ retry_after_seconds: 120, details: { status: 429, attempts: 1 } });
    expect(pauses).toEqual([]);
    expect(asked).toHaveLength(1);
    expect(events).toMatchObject([{ attempts: 1, http_status: 429 }]);
  });

  it('is told also where nothing is sent again', async () => {
    const { url } = await serve(() => later('9'));
    const tool = await toolOf({ crm: url }, { steps: [{ name: 'a', method: 'GET', path: '/a' }] });
    expect((await rejection(run(tool).output)).retry_after_seconds).toBe(9);
  });

  it('of the backoff itself does not fit either', async () => {
    const { url } = await serve(() => ({ status: 503 }));
    const tool = await toolOf({ crm: url }, { ...get({ backoff_ms: 9000 }), timeout_ms: 8000 });
    expect((await rejection(run(tool).output)).message).toContain(
      ', after 1 attempt; there is no time for another, the call has ',
    );
  });

  it.each([
    ['0', 0],
    ['007', 7],
    ['99999999999999999999', 86_400],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 7],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 7],
    ['Sun Nov  6 08:49:37 1994', 7],
    ['Sun, 06 Nov 1994 08:49:00 GMT', 0],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 86_400],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['2026-01-01', null],
    ['Sun, 99 Nov 1994 08:49:37 GMT', null],
    ['', null],
    [undefined, null],
  ])('%j is %j seconds', (header, seconds) => {
    expect(retryAfterSeconds(header, Date.UTC(1994, 10, 6, 8, 49, 30))).toBe(seconds);
  });
});

describe('a wait', () => {
  it('ends at once when the caller goes', async () => {
    const gone = new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away');
    const controller = new AbortController();
    const { url, asked } = await serve(() => ({ status: 503 }));
    const waits = async (ms: number, signal: AbortSignal) => {
      setImmediate(() => controller.abort(gone));
      await pause(ms, signal);
    };
    const tool = await toolOf({ crm: url }, get({ backoff_ms: 20_000 }));
    const { output, events } = run(tool, {}, { signal: controller.signal, deps: { pause: waits } });
    expect((await rejection(output)).message).toBe('step a: the caller went away');
    expect(asked).toHaveLength(1);
    expect(events).toMatchObject([{ attempts: 1, reason: 'step a: the caller went away' }]);
  });

  it('takes its time, and is not begun by one who has gone', async () => {
    const began = performance.now();
    await pause(20, new AbortController().signal);
    expect(performance.now() - began).toBeGreaterThan(15);
    expect((await rejection(pause(60_000, AbortSignal.abort()))).name).toBe('UPSTREAM_TIMEOUT');
  });
});
