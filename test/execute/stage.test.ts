import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Answer, faultsOf, run, serve, toolOf } from './running.ts';
import { rejection } from './upstream.ts';

type Given = Readonly<Record<string, unknown>>;

const step = (name: string, more: Given = {}): Given => ({
  name,
  method: 'GET',
  path: `/${name}`,
  extract: { v: '$.v' },
  ...more,
});
const uses = (...names: string[]): Given => ({
  query: Object.fromEntries(names.map((name) => [name, `{{steps.${name}.v}}`])),
});
const write = (name: string, more: Given = {}): Given => step(name, { method: 'POST', ...more });

async function stagesOf(...steps: Given[]): Promise<string> {
  const { stages } = await toolOf({ crm: 'http://127.0.0.1:9' }, { steps });
  return stages.map((stage) => stage.map(({ name }) => name).join(' ')).join(' | ');
}

/** Answers by path; a number is the milliseconds that a reply takes. */
const paths = (answers: Readonly<Record<string, Answer | number>>) =>
  serve(async ({ url }) => {
    const answer = answers[url.slice(1).split('?')[0] ?? ''] ?? 0;
    if (typeof answer !== 'number') return answer;
    await sleep(answer);
    return { body: { v: url } };
  });

describe('stages', () => {
  it.each<[string, Given[], string]>([
    ['neighbours that only read', [step('a'), step('b', { method: 'HEAD' }), step('c')], 'a b c'],
    ['one that needs another', [step('a'), step('b', uses('a')), step('c')], 'a | b c'],
    ['a chain', [step('a'), step('b', uses('a')), step('c', uses('b'))], 'a | b | c'],
    [
      'what both need',
      [step('a'), step('b', uses('a')), step('c', uses('a')), step('d', uses('b', 'c'))],
      'a | b c | d',
    ],
    ['a write between them', [step('a'), write('w'), step('b'), step('c')], 'a | w | b c'],
    ['writes', [write('v'), write('w'), step('a')], 'v | w | a'],
    ['a need of when', [step('a'), step('b', { when: '{{steps.a.v}}' })], 'a | b'],
    ['a need of for_each', [step('a'), step('b', { for_each: { in: '{{steps.a.v}}' } })], 'a | b'],
    [
      'a need within a block',
      [step('a'), step('b', { headers: { x: '{{#if steps.a.v}}y{{/if}}' } })],
      'a | b',
    ],
    ['a need of the status', [step('a'), step('b', { query: { q: '{{steps.a.status}}' } })], 'a | b'],
  ])('%s', async (_, steps, stages) => {
    expect(await stagesOf(...steps)).toBe(stages);
  });

  it('may be of different APIs', async () => {
    const crm = await paths({});
    const billing = await paths({});
    const spec = {
      steps: [step('a'), step('b', { api_spec: 'billing' })],
      output: ['{{steps.a.v}}', '{{steps.b.v}}'],
    };
    expect(await run(await toolOf({ crm: crm.url, billing: billing.url }, spec)).output).toEqual([
      '/a',
      '/b',
    ]);
    expect([crm.asked, billing.asked].map((asked) => asked.map(({ url }) => url))).toEqual([['/a'], ['/b']]);
  });
});

describe('steps of one stage', () => {
  it('are sent at the same time; their events are in the order of the steps', async () => {
    const waiting: (() => void)[] = [];
    const { url } = await serve(async ({ url: path }, count) => {
      // Nobody is answered before all have asked, and then the last first.
      if (count < 3) await new Promise<void>((resolve) => waiting.push(resolve));
      else for (const resume of waiting.reverse()) setTimeout(resume, 5);
      return { body: { v: path } };
    });
    const spec = { steps: [step('a'), step('b'), step('c')], output: ['{{steps.a.v}}', '{{steps.c.v}}'] };
    const { output, events } = run(await toolOf({ crm: url }, spec));
    expect(await output).toEqual(['/a', '/c']);
    expect(events.map(({ step_name }) => step_name)).toEqual(['a', 'b', 'c']);
  });

  it('are eight at once, and no more', async () => {
    let waiting: (() => void)[] = [];
    let most = 0;
    const { url } = await serve(async (_, count) => {
      const answered = new Promise<void>((resolve) => waiting.push(resolve));
      // Eight are held until a ninth would have come; of twenty the last four are as many as there are.
      if (waiting.length === 8 || count === 20) {
        await sleep(20);
        most = Math.max(most, waiting.length);
        for (const resume of waiting) resume();
        waiting = [];
      }
      await answered;
      return {};
    });
    const steps = Array.from({ length: 20 }, (_, i) => step(`s${i}`));
    await run(await toolOf({ crm: url }, { steps })).output;
    expect(most).toBe(8);
  });

  it('give the reply of the last as written, however long it takes', async () => {
    const { url } = await paths({ b: 40 });
    expect(await run(await toolOf({ crm: url }, { steps: [step('a'), step('b')] })).output).toEqual({
      v: '/b',
    });
  });

  it('have one error, the first as written, whichever came first', async () => {
    const slow = { status: 500 };
    const { url } = await serve(async ({ url: path }) => {
      if (path === '/b') await sleep(60);
      return path === '/a' ? { body: { v: 1 } } : slow;
    });
    const tool = await toolOf(
      { crm: url },
      { steps: [step('a'), step('b'), step('c'), step('d', uses('a'))] },
    );
    const { output, events } = run(tool);
    const error = await rejection(output);
    expect(error.details).toMatchObject({ step: 'b', status: 500 });
    expect(events).toMatchObject([
      { step_name: 'a', http_status: 200 },
      { step_name: 'b', http_status: 500, error: 'UPSTREAM_FAILED' },
      { step_name: 'c', http_status: 500, error: 'UPSTREAM_FAILED' },
    ]);
  });

  it('cancel those after one that fails, and not those before', async () => {
    const closed: string[] = [];
    const { url, upstream } = await serve(async ({ url: path }) => {
      if (path === '/b') return { status: 500 };
      await sleep(path === '/a' ? 50 : 60_000, undefined, { ref: false });
      return { body: { v: path } };
    });
    upstream.server.on('request', (request, response) =>
      response.on('close', () => {
        if (!response.writableFinished) closed.push(request.url ?? '');
      }),
    );
    const { output, events } = run(await toolOf({ crm: url }, { steps: [step('a'), step('b'), step('c')] }));
    expect((await rejection(output)).details.step).toBe('b');
    expect(events).toMatchObject([
      { step_name: 'a', http_status: 200 },
      { step_name: 'b', http_status: 500 },
      { step_name: 'c', http_status: 0, reason: 'step c: cancelled, because step b failed' },
    ]);
    await expect.poll(() => closed).toEqual(['/c']);
  });

  it('go on past one that may fail', async () => {
    const { url } = await paths({ a: { status: 500 } });
    const spec = { steps: [step('a', { on_error: 'continue', defaults: { v: 0 } }), step('b')] };
    const tool = await toolOf({ crm: url }, { ...spec, output: ['{{steps.a.v}}', '{{steps.b.v}}'] });
    expect(await run(tool).output).toEqual([0, '/b']);
  });

  it('end together at the deadline', async () => {
    const { url } = await paths({ a: 20_000, b: 20_000 });
    const steps = [step('a', { on_error: 'continue' }), step('b')];
    const { output, events } = run(await toolOf({ crm: url }, { steps }), {}, { timeout_ms: 300 });
    expect(await rejection(output)).toMatchObject({ name: 'UPSTREAM_TIMEOUT', details: { step: 'a' } });
    expect(events).toHaveLength(2);
  });

  it('write nothing when one before it has failed', async () => {
    const { url, asked } = await paths({ a: { status: 500 } });
    await rejection(run(await toolOf({ crm: url }, { steps: [step('a'), write('w')] })).output);
    expect(asked.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('when', () => {
  const table: [unknown, unknown, boolean][] = [
    [true, {}, true],
    [false, {}, false],
    ['{{input.x}}', { x: 1 }, true],
    ['{{input.x}}', { x: 'no' }, true],
    ['{{input.x}}', { x: 'false' }, true],
    ['{{input.x}}', { x: {} }, true],
    ['{{input.x}}', {}, false],
    ['{{input.x}}', { x: null }, false],
    ['{{input.x}}', { x: 0 }, false],
    ['{{input.x}}', { x: '' }, false],
    ['{{input.x}}', { x: [] }, false],
    ['{{input.x}}', { x: false }, false],
    ['{{count input.x}}', { x: [1] }, true],
    ['{{#if input.x}}{{#unless input.y}}yes{{/unless}}{{/if}}', { x: 1 }, true],
    ['{{#if input.x}}{{#unless input.y}}yes{{/unless}}{{/if}}', { x: 1, y: 1 }, false],
  ];
  it.each(table)('%j of %j: %s', async (when, input, runs) => {
    const { url, asked } = await paths({});
    await run(await toolOf({ crm: url }, { steps: [step('a', { when })] }), input as never).output;
    expect(asked).toHaveLength(runs ? 1 : 0);
  });

  it('skips: no value, a default, status 0, no reply, and an event that says so', async () => {
    const { url, asked } = await paths({});
    const spec = {
      steps: [
        step('a'),
        step('b', { when: '{{input.x}}', extract: { v: '$.v', w: '$.w' }, defaults: { w: 'instead' } }),
      ],
      output: { v: '{{json steps.b.v}}', w: '{{steps.b.w}}', status: '{{steps.b.status}}' },
    };
    const { output, events } = run(await toolOf({ crm: url }, spec));
    expect(await output).toEqual({ v: 'null', w: 'instead', status: 0 });
    expect(asked).toHaveLength(1);
    expect(events[1]).toMatchObject({ step_name: 'b', skipped: true, http_status: 0, attempts: 0 });
    expect(events[0]).not.toHaveProperty('skipped');
    const { output: _, ...bare } = spec;
    expect(await run(await toolOf({ crm: url }, bare)).output).toEqual({ v: '/a' });
  });

  it('leaves no request for those who need what was skipped', async () => {
    const { url, asked } = await paths({});
    const need = step('b', { path: '/b/{v}', path_params: { v: '{{steps.a.v}}' } });
    const { output } = run(await toolOf({ crm: url }, { steps: [step('a', { when: false }), need] }));
    expect((await rejection(output)).message).toBe('step b: steps.a.v has no value: step a was skipped');
    expect(asked).toHaveLength(0);
  });

  it('is asked once for all elements, and skips all of them', async () => {
    const { url, asked } = await paths({});
    const all = step('a', { for_each: { in: [1, 2] }, when: '{{input.x}}', defaults: { v: [] } });
    const spec = { steps: [all], output: { v: '{{steps.a.v}}', status: '{{steps.a.status}}' } };
    const tool = await toolOf({ crm: url }, spec);
    expect(await run(tool).output).toEqual({ v: [], status: 0 });
    expect(await run(tool, { x: 1 }).output).toEqual({ v: ['/a', '/a'], status: [200, 200] });
    expect(asked).toHaveLength(2);
  });

  it('that cannot be asked fails the step', async () => {
    const { url, asked } = await paths({});
    const { output } = run(await toolOf({ crm: url }, { steps: [step('a', { when: '{{sum input.x}}' })] }), {
      x: 'y',
    });
    expect(await rejection(output)).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { step: 'a' } });
    expect(asked).toHaveLength(0);
  });

  it.each(['input.x', '', '{{input.x}} ', '{{input.x}} and {{input.y}}'])(
    'is refused where it is always the same: %j',
    async (when) => {
      expect(await faultsOf({ steps: [step('a', { when })] })).toEqual([
        'this is the same whatever the values are; write one expression, or blocks such as {{#if input.x}}yes{{/if}}',
      ]);
    },
  );
});

describe('output_schema', () => {
  const spec = (output: unknown, schema: object) => ({
    steps: [step('a')],
    output,
    output_schema: { type: 'object', properties: { v: { type: 'number', maximum: 5 } }, ...schema },
  });

  it('lets through what fits', async () => {
    const { url } = await paths({ a: { body: { v: 3 } } });
    expect(await run(await toolOf({ crm: url }, spec({ v: '{{steps.a.v}}' }, {}))).output).toEqual({ v: 3 });
  });

  it.each<[unknown, object, string]>([
    [{ v: '{{steps.a.v}}' }, {}, '/v: must be <= 5'],
    [{ w: 1 }, { required: ['v'] }, 'output: v is missing'],
    [{ s3cret: 1 }, { additionalProperties: false }, 'output: has a member that the schema does not allow'],
    ['{{steps.a.v}}', {}, 'output: must be object'],
  ])('fails the call on what does not fit, without the value: %j', async (output, schema, problem) => {
    const { url } = await paths({ a: { body: { v: 424242 } } });
    const error = await rejection(run(await toolOf({ crm: url }, spec(output, schema))).output);
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toBe(`the output of workflow tool does not fit its output_schema: ${problem}`);
    expect(error.details).toEqual({ problems: [problem] });
    expect(`${error.message}${JSON.stringify(error.details)}`).not.toMatch(/424242|s3cret/);
  });
});
