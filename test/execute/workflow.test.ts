import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/credentials/secret.ts';
import { GatewayError } from '../../src/errors.ts';
import { compileQuery } from '../../src/execute/jsonpath.ts';
import { compileTemplate } from '../../src/execute/template.ts';
import { failedStep, runWorkflow, type StepEvent, type WorkflowDeps } from '../../src/execute/workflow.ts';
import { literalOperation } from '../../src/openapi/request.ts';
import type { Api, Json, Step, Template, WorkflowTool } from '../../src/snapshot/snapshot.ts';
import { credentialsOf } from '../support/principal.ts';
import { apiOf, bodyOf, rejection, serveUpstream, testEgress, type Upstream } from './upstream.ts';

interface GivenStep extends Partial<Pick<Step, 'on_error' | 'defaults' | 'expect_status'>> {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly path_params?: Record<string, Json>;
  readonly query?: Record<string, Json>;
  readonly headers?: Record<string, Json>;
  readonly body?: Json;
  readonly extract?: Record<string, string>;
  readonly api: Api;
}

const compileAll = (values: Record<string, Json> = {}): Record<string, Template> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, compileTemplate(value)]));

function stepOf(given: GivenStep): Step {
  return {
    name: given.name,
    api: given.api,
    operation: literalOperation(given.method ?? 'GET', given.path),
    path_params: compileAll(given.path_params),
    query: compileAll(given.query),
    headers: compileAll(given.headers),
    body: given.body === undefined ? null : compileTemplate(given.body),
    extract: new Map(Object.entries(given.extract ?? {}).map(([name, path]) => [name, compileQuery(path)])),
    on_error: given.on_error ?? 'fail',
    defaults: given.defaults ?? {},
    expect_status: given.expect_status ?? null,
    when: null,
    for_each: null,
    paginate: null,
    retry: null,
  };
}

function toolOf(
  steps: (Step | GivenStep)[],
  more: { output?: Json; timeout_ms?: number } = {},
): WorkflowTool {
  const built = steps.map((step) => ('operation' in step ? step : stepOf(step)));
  return {
    kind: 'workflow',
    name: 'customer.tool',
    tenant: null,
    description: '',
    input_schema: {},
    output_schema: null,
    tags: [],
    category: null,
    annotations: {},
    validate: () => [],
    validate_output: null,
    steps: built,
    stages: built.map((step) => [step]),
    output: more.output === undefined ? null : compileTemplate(more.output),
    timeout_ms: more.timeout_ms ?? 10_000,
  };
}

interface Options {
  readonly input?: Record<string, unknown>;
  readonly signal?: AbortSignal;
  readonly timeout_ms?: number;
  readonly emit?: (event: StepEvent) => void | Promise<void>;
  readonly deps?: Partial<WorkflowDeps>;
}

/** Runs a tool; `events` are those so far, also when it fails. */
function run(tool: WorkflowTool, options: Options = {}) {
  const events: StepEvent[] = [];
  let ticks = 0;
  const deps: WorkflowDeps = {
    egress: testEgress(),
    credentials: credentialsOf({}).forApi,
    clock: { now: () => 0, monotonic: () => (ticks += 7) },
    ...options.deps,
  };
  const run = runWorkflow(deps, tool, options.input ?? {}, {
    signal: options.signal ?? new AbortController().signal,
    ...(options.timeout_ms !== undefined && { timeout_ms: options.timeout_ms }),
    emit: (event) => {
      events.push(event);
      return options.emit?.(event);
    },
  });
  return { events, output: run.then(({ output }) => output) };
}

type Route = (url: URL, body: string) => [status: number, value: unknown] | Promise<[number, unknown]>;

/** An upstream of JSON routes, by path. */
async function routes(
  table: Record<string, Route | [number, unknown]>,
): Promise<{ api: Api; upstream: Upstream }> {
  const upstream = await serveUpstream(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const route = table[url.pathname] ?? [404, { error: 'no such route' }];
    const [status, value] = typeof route === 'function' ? await route(url, await bodyOf(request)) : route;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(value === undefined ? '' : JSON.stringify(value));
  });
  return { upstream, api: apiOf(upstream.url) };
}

const asked = (upstream: Upstream) => upstream.requests.map(({ method, url }) => `${method} ${url}`);

describe('runWorkflow', () => {
  it('runs steps in order, each with what earlier ones left', async () => {
    let noted = '';
    const { api, upstream } = await routes({
      '/customers': (url) => [200, { data: [{ id: 42, email: url.searchParams.get('email') }] }],
      '/customers/42/invoices': [200, { data: [{ amount: 10 }, { amount: 2.5 }] }],
      '/customers/42/notes': (_, body) => {
        noted = body;
        return [201, { ok: true }];
      },
    });
    const tool = toolOf(
      [
        {
          name: 'find',
          api,
          path: '/customers',
          query: { email: '{{input.email}}' },
          extract: { id: '$.data[0].id' },
        },
        {
          name: 'invoices',
          api,
          path: '/customers/{customer_id}/invoices',
          path_params: { customer_id: '{{steps.find.id}}' },
          query: { limit: 10 },
          extract: { amounts: '$.data[*].amount' },
        },
        {
          name: 'note',
          api,
          method: 'POST',
          path: '/customers/{customer_id}/notes',
          path_params: { customer_id: '{{steps.find.id}}' },
          headers: { 'X-Reason': 'total of {{input.email}}' },
          body: { text: 'total read', count: '{{count steps.invoices.amounts}}' },
        },
      ],
      {
        output: {
          customer: '{{steps.find.id}}',
          total: '{{sum steps.invoices.amounts}}',
          noted: '{{steps.note.status}}',
        },
      },
    );
    const { output, events } = run(tool, { input: { email: 'a@b.example' } });
    expect(await output).toEqual({ customer: 42, total: 12.5, noted: 201 });
    expect(asked(upstream)).toEqual([
      'GET /customers?email=a%40b.example',
      'GET /customers/42/invoices?limit=10',
      'POST /customers/42/notes',
    ]);
    expect(JSON.parse(noted)).toEqual({ text: 'total read', count: 2 });
    expect(upstream.requests[2]?.headers).toMatchObject({
      'x-reason': 'total of a@b.example',
      'content-type': 'application/json',
    });
    const host = `127.0.0.1:${upstream.port}`;
    expect(events.map(({ payload }) => payload)).toEqual([
      {
        step_name: 'find',
        http_status: 200,
        duration_ms: 7,
        method: 'GET',
        host,
        path: '/customers',
        attempts: 1,
        response_bytes: 42,
      },
      {
        step_name: 'invoices',
        http_status: 200,
        duration_ms: 7,
        method: 'GET',
        host,
        path: '/customers/{customer_id}/invoices',
        attempts: 1,
        response_bytes: 39,
      },
      {
        step_name: 'note',
        http_status: 201,
        duration_ms: 7,
        method: 'POST',
        host,
        path: '/customers/{customer_id}/notes',
        attempts: 1,
        response_bytes: 11,
      },
    ]);
    expect(events.every(({ event_type }) => event_type === 'WorkflowStepExecuted')).toBe(true);
  });

  it('answers with the last reply when the tool has no output', async () => {
    const { api } = await routes({ '/a': [200, { a: 1 }], '/b': [200, [1, 2]], '/empty': [204, undefined] });
    expect(
      await run(
        toolOf([
          { name: 'a', api, path: '/a' },
          { name: 'b', api, path: '/b' },
        ]),
      ).output,
    ).toEqual([1, 2]);
    expect(await run(toolOf([{ name: 'a', api, path: '/empty' }])).output).toBeNull();
    const lastFails = [
      { name: 'a', api, path: '/a' },
      { name: 'b', api, path: '/none', on_error: 'continue' as const },
    ];
    expect(await run(toolOf(lastFails)).output).toEqual({ a: 1 });
  });

  it('has nothing in common with Object.prototype', async () => {
    const { api } = await routes({ '/a': [200, { __proto__: null, admin: true }] });
    const steps = [{ name: '__proto__', api, path: '/a', extract: { ['__proto__']: '$.admin' } }];
    expect(await run(toolOf(steps)).output).toEqual({ admin: true });
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it('waits for each event before the next side effect', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1], '/b': [200, 2] });
    const seen: string[][] = [];
    const emit = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push(asked(upstream));
    };
    await run(
      toolOf([
        { name: 'a', api, path: '/a' },
        { name: 'b', api, path: '/b' },
      ]),
      { emit },
    ).output;
    expect(seen).toEqual([['GET /a'], ['GET /a', 'GET /b']]);
  });

  it('fails when an event cannot be written, whatever on_error says', async () => {
    const { api, upstream } = await routes({ '/a': [500, 1], '/b': [200, 2] });
    const lost = new GatewayError('AUDIT_UNAVAILABLE', 'disk full');
    const tool = toolOf([
      { name: 'a', api, path: '/a', on_error: 'continue' },
      { name: 'b', api, path: '/b' },
    ]);
    expect(await rejection(run(tool, { emit: () => Promise.reject(lost) }).output)).toBe(lost);
    expect(asked(upstream)).toEqual(['GET /a']);
  });

  it('lets a path value hold a slash only where the API says so', async () => {
    const { api, upstream } = await routes({ '/files/a%2Fb': [200, 'file'] });
    const given = { name: 'a', path: '/files/{name}', path_params: { name: '{{input.name}}' } };
    const input = { name: 'a/b' };
    expect((await rejection(run(toolOf([{ ...given, api }]), { input }).output)).name).toBe(
      'INVALID_ARGUMENTS',
    );
    expect(upstream.requests).toHaveLength(0);
    const open = { ...api, allow_slash: (id: string) => id === literalOperation('GET', given.path).id };
    expect(await run(toolOf([{ ...given, api: open }]), { input }).output).toBe('file');
  });
});

describe('variables', () => {
  const REPLY = { one: 1, none: null, list: [1, 2], empty: [] };
  const cases: [string, string, Record<string, Json>, unknown][] = [
    ['a value', '$.one', {}, 1],
    ['a whole list', '$.list', {}, [1, 2]],
    ['all matches of a query that can match several', '$.list[*]', {}, [1, 2]],
    ['no matches of such a query', '$.empty[*]', { v: 9 }, []],
    ['null for nothing', '$.missing', {}, null],
    ['a default for nothing', '$.missing', { v: { deep: [1] } }, { deep: [1] }],
    ['a null that is there, not the default', '$.none', { v: 9 }, null],
  ];
  it.each(cases)('are %s', async (_, path, defaults, expected) => {
    const { api } = await routes({ '/a': [200, REPLY] });
    const steps = [{ name: 'a', api, path: '/a', extract: { v: path }, defaults }];
    expect(await run(toolOf(steps, { output: { v: '{{json steps.a.v}}' } })).output).toEqual({
      v: JSON.stringify(expected),
    });
  });

  it.each([
    ['$.data[0].id', '$.data[0].id matched nothing in the reply of step find'],
    ['$.none', '$.none is null in the reply of step find'],
  ])('without a value cannot be part of a path: %s', async (path, why) => {
    const { api, upstream } = await routes({ '/find': [200, { data: [], none: null }] });
    const steps = [
      { name: 'find', api, path: '/find', extract: { id: path, other: '$.other' } },
      {
        name: 'drop',
        api,
        method: 'DELETE',
        path: '/customers/{id}',
        query: { other: '{{steps.find.other}}' },
        path_params: { id: '{{steps.find.id}}' },
      },
    ];
    const { output, events } = run(toolOf(steps));
    const error = await rejection(output);
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toBe(`step drop: steps.find.id has no value: ${why}`);
    expect(error.details).toMatchObject({ step: 'drop', path: '/customers/{id}', path_parameter: 'id' });
    expect(asked(upstream)).toEqual(['GET /find']);
    expect(events.at(-1)?.payload).toMatchObject({
      step_name: 'drop',
      http_status: 0,
      error: 'UPSTREAM_FAILED',
    });
  });

  it('say that their step failed when it did', async () => {
    const { api } = await routes({ '/find': [500, {}] });
    const steps = [
      { name: 'find', api, path: '/find', extract: { id: '$.id' }, on_error: 'continue' as const },
      { name: 'get', api, path: '/customers/{id}', path_params: { id: '{{steps.find.id}}' } },
    ];
    const error = await rejection(run(toolOf(steps)).output);
    expect(error.message).toMatch(
      /^step get: steps\.find\.id has no value: step find: GET [^ ]*\/find answered 500$/,
    );
    expect(error.details).toMatchObject({ step: 'find', status: 500, path_parameter: 'id' });
  });

  it('that queries cannot reach within their limits fail the step', async () => {
    const { api } = await routes({ '/a': [200, {}] });
    const step = stepOf({ name: 'a', api, path: '/a' });
    const select = () => {
      throw new GatewayError('INVALID_ARGUMENTS', 'visits too many nodes');
    };
    const extract = new Map([['v', { text: '$..*..*', singular: false, select }]]);
    const error = await rejection(run(toolOf([{ ...step, extract }])).output);
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toBe('step a: cannot extract v by $..*..*: visits too many nodes');
    expect(error.details).toMatchObject({ step: 'a', status: 200 });
  });
});

describe('on_error: fail', () => {
  it('ends the call, and says where and what', async () => {
    const { api, upstream } = await routes({
      '/a': [503, { error: 'down\n\u0007for\u202e now' }],
      '/b': [200, 1],
    });
    const steps = [
      { name: 'first', api, path: '/a', query: { key: 't0psecret' } },
      { name: 'b', api, path: '/b' },
    ];
    const { output, events } = run(toolOf(steps));
    const error = await rejection(output);
    const host = `127.0.0.1:${upstream.port}`;
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toBe(`step first: GET ${host}/a answered 503`);
    expect(error.details).toEqual({
      step: 'first',
      method: 'GET',
      host,
      path: '/a',
      status: 503,
      excerpt: '{"error":"down\\n\\u0007for now"}',
    });
    expect(failedStep(error)).toBe('first');
    expect(failedStep(new GatewayError('INTERNAL', 'x'))).toBeNull();
    expect(upstream.requests).toHaveLength(1);
    expect(events.map(({ payload }) => payload)).toMatchObject([
      { step_name: 'first', http_status: 503, error: 'UPSTREAM_FAILED', reason: error.message },
    ]);
  });

  it('keeps an excerpt short, and shows none of binary replies', async () => {
    const long = await serveUpstream((_, response) => response.writeHead(500).end('x'.repeat(5000)));
    const error = await rejection(run(toolOf([{ name: 'a', api: apiOf(long.url), path: '/' }])).output);
    expect(error.details.excerpt).toBe('x'.repeat(512));
    const binary = await serveUpstream((_, response) =>
      response.writeHead(500).end(Buffer.from([0xff, 0x00])),
    );
    const other = await rejection(run(toolOf([{ name: 'a', api: apiOf(binary.url), path: '/' }])).output);
    expect(other.details).not.toHaveProperty('excerpt');
  });

  it('names the step for errors of the arguments and of the gateway', async () => {
    const { api, upstream } = await routes({});
    const bad = { name: 'a', api, path: '/x', headers: { 'x-note': '{{input.note}}' } };
    const error = await rejection(run(toolOf([bad]), { input: { note: 'a\r\nb' } }).output);
    expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS', details: { step: 'a', header: 'x-note' } });
    const broken = { blame: 'UPSTREAM_FAILED', render: () => expect.fail('broken template') } as const;
    const step = { ...stepOf({ name: 'a', api, path: '/x' }), body: broken };
    const fault = await rejection(run(toolOf([step])).output);
    expect(fault).toMatchObject({
      name: 'INTERNAL',
      message: 'step a: internal error',
      details: { step: 'a' },
    });
    expect(String(fault.cause)).toContain('broken template');
    expect(upstream.requests).toHaveLength(0);
  });
});

describe('on_error: continue', () => {
  const after = { v: '{{steps.a.v}}', w: '{{json steps.a.w}}', status: '{{steps.a.status}}' };
  const flaky = (api: Api, more: Partial<GivenStep> = {}): GivenStep => ({
    name: 'a',
    path: '/a',
    api,
    extract: { v: '$.v', w: '$.w' },
    defaults: { v: 'instead' },
    on_error: 'continue',
    ...more,
  });

  it.each([
    ['a status', [500, { v: 'not taken' }], 500],
    ['a status that is not the expected one', [200, { v: 'not taken' }], 200],
  ] as const)('goes on after %s', async (_, reply, status) => {
    const { api } = await routes({ '/a': [...reply] });
    const steps = [flaky(api, status === 200 ? { expect_status: [201] } : {})];
    const { output, events } = run(toolOf(steps, { output: after }));
    expect(await output).toEqual({ v: 'instead', w: 'null', status });
    expect(events[0]?.payload).toMatchObject({ http_status: status, error: 'UPSTREAM_FAILED' });
  });

  it('goes on after a reply that lies, with its status', async () => {
    const upstream = await serveUpstream((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('no');
    });
    const { output, events } = run(toolOf([flaky(apiOf(upstream.url))], { output: after }));
    expect(await output).toMatchObject({ v: 'instead', status: 200 });
    expect(events[0]?.payload).toMatchObject({ http_status: 200, response_bytes: 0 });
  });

  it.each([
    ['a connection that breaks', {}, 'UPSTREAM_FAILED'],
    ['the API’s own timeout', { timeout_ms: 30 }, 'UPSTREAM_TIMEOUT'],
    [
      'an address that is blocked',
      { egress: { allow_private: false, allow_addresses: [] } },
      'EGRESS_BLOCKED',
    ],
    [
      'a credential that is missing',
      { credential: { kind: 'static_ref', key: 'k' } },
      'CREDENTIAL_UNAVAILABLE',
    ],
  ] as const)('goes on after %s, with status 0', async (_, api, name) => {
    const upstream = await serveUpstream((request) => {
      if (!('timeout_ms' in api)) request.socket.destroy();
    });
    const { output, events } = run(toolOf([flaky(apiOf(upstream.url, api))], { output: after }));
    expect(await output).toEqual({ v: 'instead', w: 'null', status: 0 });
    expect(events[0]?.payload).toMatchObject({ http_status: 0, error: name });
  });

  it('does not cover what the caller got wrong', async () => {
    const { api } = await routes({ '/b': [200, 1] });
    const bad = flaky(api, { headers: { 'x-note': '{{input.note}}' } });
    const { output } = run(toolOf([bad, { name: 'b', api, path: '/b' }]), { input: { note: 'a\nb' } });
    expect((await rejection(output)).name).toBe('INVALID_ARGUMENTS');
  });

  it('does not cover the end of the call’s own time', async () => {
    const upstream = await serveUpstream(() => undefined);
    const { output } = run(toolOf([flaky(apiOf(upstream.url))], { timeout_ms: 30 }));
    expect((await rejection(output)).name).toBe('UPSTREAM_TIMEOUT');
  });
});

describe('expect_status', () => {
  it.each([
    [null, 200, true],
    [null, 299, true],
    [null, 302, false],
    [null, 404, false],
    [[200, 404], 404, true],
    [[404], 200, false],
    [[302], 302, true],
  ])('%j: %d is success: %s', async (expect_status, status, success) => {
    const { api } = await routes({ '/a': [status, { v: 1 }] });
    const { output } = run(toolOf([{ name: 'a', api, path: '/a', expect_status }]));
    if (success) expect(await output).toEqual({ v: 1 });
    else expect((await rejection(output)).details.status).toBe(status);
  });
});

describe('time', () => {
  it('ends the call at the tool’s limit, and names the step', async () => {
    const upstream = await serveUpstream((request, response) => {
      if (request.url === '/a') response.end();
    });
    const api = apiOf(upstream.url);
    const steps = [
      { name: 'quick', api, path: '/a' },
      { name: 'slow', api, path: '/b' },
    ];
    const { output, events } = run(toolOf(steps, { timeout_ms: 200 }));
    const error = await rejection(output);
    expect(error.name).toBe('UPSTREAM_TIMEOUT');
    expect(error.message).toBe('step slow: workflow customer.tool did not end within 200 ms');
    expect(failedStep(error)).toBe('slow');
    expect(events.map(({ payload }) => payload.step_name)).toEqual(['quick', 'slow']);
  });

  it('ends the call at the caller’s limit, where that is less', async () => {
    const upstream = await serveUpstream(() => {});
    const tool = toolOf([{ name: 'slow', api: apiOf(upstream.url), path: '/a' }]);
    const error = await rejection(run(tool, { timeout_ms: 50 }).output);
    expect(error).toMatchObject({ name: 'UPSTREAM_TIMEOUT' });
    expect(error.message).toBe('step slow: workflow customer.tool did not end within 50 ms');
  });

  it('does not begin a step when the caller has gone', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1], '/b': [200, 2] });
    const controller = new AbortController();
    const gone = new GatewayError('OVERLOADED', 'the gateway is shutting down');
    const tool = toolOf([
      { name: 'a', api, path: '/a' },
      { name: 'b', api, path: '/b', on_error: 'continue' },
    ]);
    const { output } = run(tool, { signal: controller.signal, emit: () => controller.abort(gone) });
    const error = await rejection(output);
    expect(error).toMatchObject({ name: 'OVERLOADED', message: 'step b: the gateway is shutting down' });
    expect(asked(upstream)).toEqual(['GET /a']);
  });

  it('does nothing for a caller that has gone before', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1] });
    const guarded: Api = { ...api, credential: { kind: 'static_ref', key: 'k' } };
    const credentials = () => expect.fail('asked for a credential');
    const { output } = run(toolOf([{ name: 'a', api: guarded, path: '/a' }]), {
      signal: AbortSignal.abort(),
      deps: { credentials },
    });
    expect((await rejection(output)).name).toBe('UPSTREAM_TIMEOUT');
    expect(upstream.sockets).toHaveLength(0);
  });

  it('does not wait for a credential beyond it', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1] });
    const guarded: Api = { ...api, credential: { kind: 'static_ref', key: 'k' } };
    const credentials = () => new Promise<never>(() => undefined);
    const { output } = run(toolOf([{ name: 'a', api: guarded, path: '/a' }], { timeout_ms: 30 }), {
      deps: { credentials },
    });
    expect((await rejection(output)).name).toBe('UPSTREAM_TIMEOUT');
    expect(upstream.sockets).toHaveLength(0);
  });
});

describe('credentials', () => {
  const inject = { kind: 'header', name: 'X-API-Key', prefix: '' } as const;

  it('are asked for last, and sent to that API alone', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1] });
    const other = await routes({ '/b': [200, 2] });
    let given = 0;
    const credentials = credentialsOf({
      static_ref: async ({ key }) => {
        given++;
        return { value: new Secret(`value of ${key}`), fields: {} };
      },
    }).forApi;
    const guarded: Api = { ...api, credential: { kind: 'static_ref', key: 'crm' }, inject };
    const steps = [
      { name: 'a', api: guarded, path: '/a', headers: { 'x-api-key': 'mine' } },
      { name: 'b', api: other.api, path: '/b' },
    ];
    await run(toolOf(steps), { deps: { credentials } }).output;
    expect(upstream.requests[0]?.headers['x-api-key']).toBe('value of crm');
    expect(other.upstream.requests[0]?.headers).not.toHaveProperty('x-api-key');
    const bad = { name: 'a', api: guarded, path: '/{x}', path_params: { x: '..' } };
    await rejection(run(toolOf([bad]), { deps: { credentials } }).output);
    expect(given).toBe(1);
  });

  it('that cannot be had end the call before anything is sent', async () => {
    const { api, upstream } = await routes({ '/a': [200, 1] });
    const guarded: Api = { ...api, credential: { kind: 'user_bound', provider: 'github' } };
    const error = await rejection(run(toolOf([{ name: 'a', api: guarded, path: '/a' }])).output);
    expect(error.name).toBe('CREDENTIAL_UNAVAILABLE');
    expect(error.message).toBe(
      'step a: no provider for the credential path user_bound is configured in this gateway',
    );
    expect(upstream.sockets).toHaveLength(0);
  });
});

describe('what a workflow that fails has written', () => {
  const write = (name: string, api: Api, more: Partial<GivenStep> = {}): GivenStep => ({
    ...{ name, api, method: 'POST', path: `/${name}` },
    ...more,
  });
  const writesOf = async (tool: WorkflowTool, options: Options = {}): Promise<unknown> =>
    (await rejection(run(tool, options).output)).details.writes;

  it('is every request of a step that writes, and those of them that were answered as expected', async () => {
    const { api } = await routes({
      '/made': [201, {}],
      '/tried': [409, {}],
      '/read': [200, {}],
      '/last': [500, {}],
    });
    const steps = [
      write('made', api),
      { name: 'read', api, path: '/read' },
      write('tried', api, { on_error: 'continue' }),
      write('last', api),
    ];
    expect(await writesOf(toolOf(steps))).toEqual([
      { step: 'made', sent: 1, done: 1 },
      { step: 'tried', sent: 1, done: 0 },
      { step: 'last', sent: 1, done: 0 },
    ]);
  });

  it('is nothing where it only read', async () => {
    const { api } = await routes({ '/read': [500, {}] });
    expect(await writesOf(toolOf([{ name: 'read', api, path: '/read' }]))).toBeUndefined();
  });

  it('is known of a caller who went away, too', async () => {
    const arrived = Promise.withResolvers<void>();
    const { api } = await routes({
      '/made': [201, {}],
      '/slow': () => {
        arrived.resolve();
        return new Promise(() => {});
      },
    });
    const controller = new AbortController();
    const writes = writesOf(toolOf([write('made', api), write('slow', api)]), {
      signal: controller.signal,
    });
    await arrived.promise;
    controller.abort(new GatewayError('UPSTREAM_TIMEOUT', 'the caller went away', { layer: 'caller' }));
    expect(await writes).toEqual([
      { step: 'made', sent: 1, done: 1 },
      { step: 'slow', sent: 1, done: 0 },
    ]);
  });

  it('is known where the output does not fit either', async () => {
    const { api } = await routes({ '/made': [201, {}] });
    const tool = { ...toolOf([write('made', api)]), validate_output: () => ['output: must be a text'] };
    expect(await writesOf(tool)).toEqual([{ step: 'made', sent: 1, done: 1 }]);
  });
});
