import { expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { run, serve, toolOf } from './running.ts';
import { rejection } from './upstream.ts';

const read = { name: 'read', method: 'GET', path: '/read' };
const create = { name: 'create', method: 'POST', path: '/create' };
const share = {
  name: 'share',
  method: 'PUT',
  path: '/share/{id}',
  path_params: { id: '{{item}}' },
  for_each: { in: '{{input.ids}}' },
};
const GONE = new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away', { layer: 'caller' });

test('a workflow that fails says which of its writes were done', async () => {
  const { url } = await serve(({ url: path }) => ({ status: path === '/share/2' ? 500 : 200 }));
  const tool = await toolOf({ crm: url }, { steps: [read, create, share] });
  const error = await rejection(run(tool, { ids: [1, 2, 3] }).output);
  expect(error.details).toMatchObject({
    step: 'share',
    element: 1,
    writes: [
      { step: 'create', sent: 1, done: 1 },
      { step: 'share', sent: 2, done: 1 },
    ],
  });
});

test('that the output does not fit undoes none of them', async () => {
  const { url } = await serve(() => ({ body: 'text' }));
  const tool = await toolOf({ crm: url }, { steps: [create], output_schema: { type: 'object' } });
  const { details } = await rejection(run(tool).output);
  expect(details).toMatchObject({ writes: [{ step: 'create', sent: 1, done: 1 }] });
});

test('a caller who goes stops before the next write, and one under way may have been done', async () => {
  for (const [path, writes] of [
    ['/read', undefined],
    ['/create', [{ step: 'create', sent: 1, done: 0 }]],
    ['/share/1', [create, share].map(({ name }, at) => ({ step: name, sent: 1, done: 1 - at }))],
  ] as const) {
    const controller = new AbortController();
    const { url, asked } = await serve((one) => {
      if (one.url === path) controller.abort(GONE);
      return {};
    });
    const tool = await toolOf({ crm: url }, { steps: [read, create, share] });
    const { output } = run(tool, { ids: [1, 2] }, { signal: controller.signal });
    const error = await rejection(output);
    expect(error).toMatchObject({ layer: 'caller', message: expect.stringMatching(/the caller went away/) });
    expect(error.details.writes).toEqual(writes);
    expect(asked.at(-1)?.url).toBe(path);
  }
});

test('a workflow that only reads says nothing of writes', async () => {
  const { url } = await serve(() => ({ status: 500 }));
  const { details } = await rejection(run(await toolOf({ crm: url }, { steps: [read] })).output);
  expect(details).not.toHaveProperty('writes');
});
