import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { atMost } from '../../src/execute/at-most.ts';
import { faultsOf, run, serve, toolOf } from './running.ts';
import { rejection } from './upstream.ts';

const each = (for_each: object, more: object = {}, output: unknown = '{{steps.a.v}}') => ({
  steps: [
    {
      name: 'a',
      method: 'GET',
      path: '/things/{id}',
      path_params: { id: '{{item}}' },
      for_each: { in: '{{input.ids}}', ...for_each },
      extract: { v: '$.v' },
      ...more,
    },
  ],
  output,
});

/** Answers `{"v": id * 10}`, or with the id as status where it is one of an error. */
const things = (before: (id: number) => Promise<unknown> = async () => {}) =>
  serve(async ({ url }) => {
    const id = Number(url.split('/')[2]);
    await before(id);
    return id >= 400 ? { status: id } : { body: { v: id * 10 } };
  });

describe('for_each', () => {
  it('asks for each element in turn, and keeps their order', async () => {
    const { url, asked } = await things();
    const spec = each({}, {}, { v: '{{steps.a.v}}', status: '{{steps.a.status}}' });
    const { output, events } = run(await toolOf({ crm: url }, spec), { ids: [3, 1, 2] });
    expect(await output).toEqual({ v: [30, 10, 20], status: [200, 200, 200] });
    expect(asked.map((one) => one.url)).toEqual(['/things/3', '/things/1', '/things/2']);
    expect(events).toMatchObject([
      { step_name: 'a', items: 3, items_failed: 0, attempts: 3, http_status: 200, response_bytes: 24 },
    ]);
  });

  it.each([1, 3, 32])('has %d at work at most, and the order is that of the list', async (concurrency) => {
    let now = 0;
    let most = 0;
    const { url } = await things(async (id) => {
      most = Math.max(most, ++now);
      await sleep(id % 5);
      now -= 1;
    });
    const ids = Array.from({ length: 40 }, (_, id) => id);
    const { output } = run(await toolOf({ crm: url }, each({ concurrency })), { ids });
    expect(await output).toEqual(ids.map((id) => id * 10));
    expect(most).toBeLessThanOrEqual(concurrency);
    if (concurrency > 1) expect(most).toBeGreaterThan(1);
  });

  it('calls the element by its name, in every part of the request', async () => {
    const { url, asked } = await serve(() => ({ body: { v: 1 } }));
    const spec = each(
      { as: 'thing' },
      {
        method: 'PUT',
        path_params: { id: '{{thing.id}}' },
        query: { q: '{{thing.q}}' },
        headers: { 'x-h': '{{thing.h}}' },
        body: { b: '{{thing.b}}', team: '{{input.team}}' },
      },
    );
    const ids = [{ id: 1, q: 'q', h: 'h', b: [true] }];
    await run(await toolOf({ crm: url }, spec), { ids, team: 't' }).output;
    expect(asked[0]).toMatchObject({ method: 'PUT', url: '/things/1?q=q', headers: { 'x-h': 'h' } });
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({ b: [true], team: 't' });
  });

  it('takes the list of an earlier step, or one that is written', async () => {
    const { url, asked } = await serve(({ url: path }) => ({ body: { v: path, ids: ['x', 'y'] } }));
    const first = { name: 'list', method: 'GET', path: '/list', extract: { ids: '$.ids' } };
    const spec = each({ in: '{{steps.list.ids}}' });
    await run(await toolOf({ crm: url }, { ...spec, steps: [first, ...spec.steps] })).output;
    expect(asked.map((one) => one.url)).toEqual(['/list', '/things/x', '/things/y']);
    const written = run(await toolOf({ crm: url }, each({ in: ['a', '{{input.b}}'] })), { b: 'b' });
    expect(await written.output).toEqual(['/things/a', '/things/b']);
  });

  it('of no element sends nothing and leaves empty lists', async () => {
    const { url, asked } = await things();
    const spec = each({}, {}, { v: '{{steps.a.v}}', status: '{{steps.a.status}}' });
    const { output, events } = run(await toolOf({ crm: url }, spec), { ids: [] });
    expect(await output).toEqual({ v: [], status: [] });
    expect(asked).toHaveLength(0);
    expect(events).toMatchObject([{ items: 0, attempts: 0, http_status: 0 }]);
  });

  it('gives all replies as the result, where nothing else is', async () => {
    const { url } = await things();
    const { output: _, ...bare } = each({}, { on_error: 'continue' });
    expect(await run(await toolOf({ crm: url }, bare), { ids: [1, 404, 2] }).output).toEqual([
      { v: 10 },
      null,
      { v: 20 },
    ]);
  });

  it('goes over the pages of each', async () => {
    const { url } = await serve(({ url: path }) => ({
      body: { data: [{ v: path }], ...(path.length < 11 && { next: `${path}?p=2` }) },
    }));
    const paginate = { next: '$.next', collect: '$.data[*]' };
    const spec = each(
      {},
      { paginate, extract: { v: '$[*].v' } },
      { v: '{{steps.a.v}}', t: '{{steps.a.truncated}}' },
    );
    const { output, events } = run(await toolOf({ crm: url }, spec), { ids: [1, 2] });
    expect(await output).toEqual({
      v: [
        ['/things/1', '/things/1?p=2'],
        ['/things/2', '/things/2?p=2'],
      ],
      t: false,
    });
    expect(events).toMatchObject([{ items: 2, pages: 4, attempts: 4 }]);
  });

  it('retries each', async () => {
    let failures = 0;
    const { url } = await serve(({ url: path }) =>
      path === '/things/2' && failures++ < 2 ? { status: 503 } : { body: { v: path } },
    );
    const { output, events } = run(await toolOf({ crm: url }, each({}, { retry: {} })), { ids: [1, 2] });
    expect(await output).toEqual(['/things/1', '/things/2']);
    expect(events).toMatchObject([{ attempts: 4, items: 2 }]);
  });
});

describe('an element that fails', () => {
  it('ends the step, and no further one is begun', async () => {
    const { url, asked } = await things();
    const { output, events } = run(await toolOf({ crm: url }, each({})), { ids: [1, 500, 2, 503] });
    const error = await rejection(output);
    expect(error.message).toMatch(
      /^step a, element 1: GET .*\/things\/\{id\} answered 500; 1 of 4 elements failed, 2 were not begun$/,
    );
    expect(error.details).toMatchObject({ step: 'a', element: 1, status: 500 });
    expect(asked).toHaveLength(2);
    expect(events).toMatchObject([{ items: 2, items_failed: 1, http_status: 500, error: 'UPSTREAM_FAILED' }]);
  });

  it('is the first of the list, whichever failed first; those under way end by themselves', async () => {
    const ended: number[] = [];
    const { url, asked } = await things(async (id) => {
      await sleep(id === 500 ? 60 : 5);
      ended.push(id);
    });
    const { output } = run(await toolOf({ crm: url }, each({ concurrency: 3 })), {
      ids: [500, 503, 1, 2, 3, 4, 5],
    });
    expect((await rejection(output)).details).toMatchObject({ element: 0, status: 500 });
    expect(ended).toHaveLength(asked.length);
    expect(asked.length).toBeLessThan(7);
  });

  it('leaves its default, or null, with on_error: continue', async () => {
    const { url } = await things();
    for (const [defaults, instead] of [
      [{}, null],
      [{ v: -1 }, -1],
    ]) {
      const spec = each(
        {},
        { on_error: 'continue', defaults },
        { v: '{{steps.a.v}}', status: '{{steps.a.status}}' },
      );
      const { output, events } = run(await toolOf({ crm: url }, spec), { ids: [1, 404, 2, 503] });
      expect(await output).toEqual({ v: [10, instead, 20, instead], status: [200, 404, 200, 503] });
      expect(events).toMatchObject([
        { items: 4, items_failed: 2, http_status: 404, error: 'UPSTREAM_FAILED' },
      ]);
    }
  });

  it('ends the call when the caller is to blame, whatever on_error says', async () => {
    const { url, asked } = await things();
    const tool = await toolOf({ crm: url }, each({}, { on_error: 'continue' }));
    for (const bad of ['a/b', '..', '', null]) {
      const error = await rejection(run(tool, { ids: [1, bad, 2] }).output);
      expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { element: 1 } });
      expect(asked.splice(0)).toHaveLength(1);
    }
  });

  it('without what the path needs is the upstream’s fault where the list is', async () => {
    const { url } = await serve(({ url: path }) =>
      path === '/list' ? { body: { all: [{ id: 1 }, {}] } } : { body: { v: path } },
    );
    const first = { name: 'list', method: 'GET', path: '/list', extract: { all: '$.all' } };
    const spec = each(
      { in: '{{steps.list.all}}' },
      { path_params: { id: '{{item.id}}' }, on_error: 'continue', defaults: { v: 'none' } },
    );
    const tool = await toolOf({ crm: url }, { ...spec, steps: [first, ...spec.steps] });
    const { output, events } = run(tool);
    expect(await output).toEqual(['/things/1', 'none']);
    expect(events[1]?.reason).toBe(
      'step a, element 1: GET /things/{id} needs the path parameter "id"; 1 of 2 elements failed',
    );
  });
});

describe('elements that all fail', () => {
  const failing = each({}, { on_error: 'continue' });
  const needing = {
    name: 'b',
    method: 'POST',
    path: '/uses/{id}',
    path_params: { id: '{{first steps.a.v}}' },
  };
  const wrong = {
    name: 'UPSTREAM_FAILED',
    details: {
      step: 'a',
      element: 0,
      method: 'GET',
      path: '/things/{id}',
      status: 404,
      excerpt: '{"why":"no 404"}',
      items: 2,
      items_failed: 2,
    },
  };
  const server = () =>
    serve(({ url }) => {
      const status = Number(url.split('/')[2]);
      return { status, body: { why: `no ${status}` } };
    });

  it.each([
    ['a later path', { ...needing }],
    ['a later query', { ...needing, path_params: { id: 7 }, query: { q: '{{sum steps.a.v}}' } }],
    ['a later list', { ...needing, path_params: { id: '{{item}}' }, for_each: { in: '{{steps.a.v}}' } }],
  ])('are to blame where %s needs what they should have given', async (_, later) => {
    const { url, asked } = await server();
    const spec = { ...failing, steps: [...failing.steps, later] };
    const error = await rejection(run(await toolOf({ crm: url }, spec), { ids: [404, 500] }).output);
    expect(error).toMatchObject(wrong);
    expect(error.message).toMatch(
      /^step b: steps\.a\.v has no value: step a, element 0: GET .* answered 404; 2 of 2 elements failed$/,
    );
    expect(asked).toHaveLength(2);
  });

  it('are to blame where the output needs it, and no list of nulls is a failure', async () => {
    const { url } = await server();
    const output = { total: '{{sum steps.a.v}}' };
    const error = await rejection(
      run(await toolOf({ crm: url }, { ...failing, output }), { ids: [404, 500] }).output,
    );
    expect(error).toMatchObject(wrong);
    expect(await run(await toolOf({ crm: url }, failing), { ids: [404, 500] }).output).toEqual([null, null]);
  });

  it('says how many failed, and how many were not begun', async () => {
    const { url } = await things();
    const { output, events } = run(await toolOf({ crm: url }, each({})), { ids: [1, 500, 2, 503] });
    const error = await rejection(output);
    expect(error.message).toMatch(/answered 500; 1 of 4 elements failed, 2 were not begun$/);
    expect(error.details).toMatchObject({ items: 4, items_failed: 1 });
    expect(events).toMatchObject([{ items: 2, items_failed: 1, reason: error.message }]);
  });

  it('names the one that ended the call, not one that was gone on from', async () => {
    const { url } = await things();
    const tool = await toolOf({ crm: url }, failing);
    const error = await rejection(run(tool, { ids: [500, 'a/b', 2] }).output);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { element: 1, items_failed: 2 } });
  });
});

describe('a value that cannot be sent', () => {
  const asking = (id: unknown, more: object = {}) => ({
    steps: [
      { name: 'list', method: 'GET', path: '/list', extract: { ids: '$.ids' } },
      { name: 'a', method: 'GET', path: '/things/{id}', path_params: { id }, ...more },
    ],
  });

  it.each([
    ['an upstream gave it', '{{first steps.list.ids}}', {}],
    ['it is an element that an upstream gave', '{{item}}', { for_each: { in: '{{steps.list.ids}}' } }],
    ['it is written so', 'a/b', {}],
  ])('is no mistake of the caller where %s', async (_, id, more) => {
    const { url } = await serve(() => ({ body: { ids: ['a/b'] } }));
    const error = await rejection(run(await toolOf({ crm: url }, asking(id, more)), { x: 'c/d' }).output);
    expect(error).toMatchObject({ name: 'UPSTREAM_FAILED', details: { step: 'a', path_parameter: 'id' } });
  });

  it.each([
    ['the caller gave it', '{{input.x}}', {}],
    ['it is an element that the caller gave', '{{item}}', { for_each: { in: ['{{input.x}}'] } }],
  ])('is one where %s', async (_, id, more) => {
    const { url } = await serve(() => ({ body: { ids: ['a/b'] } }));
    const error = await rejection(run(await toolOf({ crm: url }, asking(id, more)), { x: 'c/d' }).output);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { path_parameter: 'id' } });
  });
});

describe('a list', () => {
  it.each([['text'], [{ a: 1 }], [undefined], [null], [7]])('is not %j', async (ids) => {
    const { url, asked } = await things();
    const error = await rejection(run(await toolOf({ crm: url }, each({})), { ids }).output);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', message: 'step a: for_each.in gives no list' });
    expect(asked).toHaveLength(0);
  });

  it('of an upstream that is none is its fault, says why, and may be gone on from', async () => {
    const { url } = await serve(() => ({ body: {} }));
    const first = { name: 'list', method: 'GET', path: '/list', extract: { ids: '$.ids' } };
    const spec = each({ in: '{{steps.list.ids}}' }, { on_error: 'continue', defaults: { v: [] } });
    const { output, events } = run(await toolOf({ crm: url }, { ...spec, steps: [first, ...spec.steps] }));
    expect(await output).toEqual([]);
    expect(events[1]).toMatchObject({
      error: 'UPSTREAM_FAILED',
      reason: 'step a: steps.list.ids has no value: $.ids matched nothing in the reply of step list',
    });
  });

  it('that is too long fails before anything is sent', async () => {
    const { url, asked } = await things();
    const ids = Array.from({ length: 101 }, (_, id) => id);
    const error = await rejection(run(await toolOf({ crm: url }, each({})), { ids }).output);
    expect(error.message).toBe('step a: for_each.in gives 101 elements; max_items is 100');
    expect(asked).toHaveLength(0);
    expect(
      await run(await toolOf({ crm: url }, each({ max_items: 2 })), { ids: [1, 2] }).output,
    ).toHaveLength(2);
  });

  it('has max_response_bytes together', async () => {
    const { url, asked } = await things();
    const crm = { base_url: url, max_response_bytes: 20 };
    const error = await rejection(run(await toolOf({ crm }, each({})), { ids: [1, 2, 3] }).output);
    expect(error).toMatchObject({ name: 'RESPONSE_TOO_LARGE', details: { element: 2 } });
    expect(asked).toHaveLength(3);
  });

  it('is left when the caller goes', async () => {
    const controller = new AbortController();
    const { url, asked } = await things(async (id) => {
      if (id === 2) controller.abort();
      await sleep(20);
    });
    const tool = await toolOf({ crm: url }, each({}, { on_error: 'continue' }));
    const { output, events } = run(tool, { ids: [1, 2, 3, 4] }, { signal: controller.signal });
    expect((await rejection(output)).details).toMatchObject({ element: 1 });
    expect(asked).toHaveLength(2);
    expect(events).toMatchObject([{ items: 2, items_failed: 1 }]);
  });
});

describe('what is no for_each', () => {
  it('is told by validation', async () => {
    const about = (for_each: object, more: object = {}) => faultsOf(each(for_each, more));
    expect(await about({ in: 'ids' })).toEqual([
      'this is text, whatever the values are; write one expression, as in {{input.list}}',
    ]);
    expect(await about({ in: '{{input.a}}{{input.b}}' })).toHaveLength(1);
    expect(await about({ in: '{{item}}' })).toHaveLength(1);
    expect(await about({ as: 'input' })).toContain(
      'input already has a meaning in templates (choose another name)',
    );
    expect(await about({ as: 'thing' })).toEqual([
      'item is not known here (item is known in a step with for_each); templates read input, steps, thing',
    ]);
    expect(await about({}, { when: '{{item}}' })).toHaveLength(1);
  });
});

describe('atMost', () => {
  it('begins in order, and nothing after one that says so', async () => {
    const begun: number[] = [];
    await atMost(2, 9, async (index) => {
      begun.push(index);
      await sleep(index === 3 ? 0 : 5);
      return index !== 3;
    });
    expect(begun).toEqual([0, 1, 2, 3]);
    await atMost(5, 0, () => expect.fail('there is none'));
  });
});
