import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/credentials/secret.ts';
import { nextLink } from '../../src/execute/link-header.ts';
import { type Answer, type Asked, faultsOf, run, serve, toolOf } from './running.ts';
import { rejection } from './upstream.ts';

const list = (paginate: object, more: object = {}) => ({
  steps: [
    {
      name: 'a',
      method: 'GET',
      path: '/things',
      paginate: { collect: '$.data[*]', ...paginate },
      extract: { ids: '$[*].id' },
      ...more,
    },
  ],
  output: { ids: '{{steps.a.ids}}', truncated: '{{steps.a.truncated}}' },
});

/** Pages of two things each, from 1 to `last`; `next` says where the one after is. */
const pages = (last: number, next: (page: number, asked: Asked) => Answer) =>
  serve((asked) => {
    const { searchParams } = new URL(asked.url, 'http://x');
    const page = Number(searchParams.get('page') ?? searchParams.get('cursor')?.slice(1) ?? 1);
    const more = page < last ? next(page + 1, asked) : {};
    const data = page > last ? [] : [{ id: page * 2 - 1 }, { id: page * 2 }];
    return { ...more, body: { data, ...(more.body as object) } };
  });

const SIX = { ids: [1, 2, 3, 4, 5, 6], truncated: false };

describe('pages', () => {
  it('by link header, relative or whole', async () => {
    for (const whole of [false, true]) {
      const { url, asked } = await pages(3, (page, { headers }) => ({
        headers: {
          link: `</first>; rel=first, <${whole ? `http://${headers.host}` : ''}/things?page=${page}>; rel="next"`,
        },
      }));
      const { output, events } = run(await toolOf({ crm: url }, list({ next: 'link' })));
      expect(await output).toEqual(SIX);
      expect(asked.map((one) => one.url)).toEqual(['/things', '/things?page=2', '/things?page=3']);
      expect(events).toMatchObject([{ attempts: 3, pages: 3, truncated: false, http_status: 200 }]);
      expect(events[0]).not.toHaveProperty('truncated_by');
    }
  });

  it('by a URL in the reply, below a base URL with a path', async () => {
    const { url, asked } = await pages(3, (page) => ({ body: { next: `/v1/things?page=${page}` } }));
    const tool = await toolOf({ crm: `${url}/v1` }, list({ next: '$.next' }));
    expect(await run(tool).output).toEqual(SIX);
    expect(asked.map((one) => one.url)).toEqual(['/v1/things', '/v1/things?page=2', '/v1/things?page=3']);
  });

  it('by a token that goes to a parameter, in place of the first page’s value', async () => {
    const { url, asked } = await pages(3, (page) => ({ body: { meta: { next: `c${page}` } } }));
    const paginate = { next: '$.meta.next', param: 'cursor' };
    const tool = await toolOf({ crm: url }, list(paginate, { query: { size: 2, cursor: 'c1' } }));
    expect(await run(tool).output).toEqual(SIX);
    expect(asked.map((one) => one.url)).toEqual([
      '/things?size=2&cursor=c1',
      '/things?size=2&cursor=c2',
      '/things?size=2&cursor=c3',
    ]);
  });

  it.each([
    [{}, ['/things', '/things?page=2', '/things?page=3', '/things?page=4']],
    [{ query: { page: 2 } }, ['/things?page=2', '/things?page=3', '/things?page=4']],
  ])('by number until one is empty: %j', async (more, urls) => {
    const { url, asked } = await pages(3, () => ({}));
    const { output } = run(await toolOf({ crm: url }, list({ next: 'page', param: 'page' }, more)));
    expect(await output).toMatchObject({ truncated: false });
    expect(asked.map((one) => one.url)).toEqual(urls);
  });

  it('end with max_pages, and say that there is more', async () => {
    const { url, asked } = await pages(9, (page) => ({ body: { next: `/things?page=${page}` } }));
    const { output, events } = run(await toolOf({ crm: url }, list({ next: '$.next', max_pages: 2 })));
    expect(await output).toEqual({ ids: [1, 2, 3, 4], truncated: true });
    expect(asked).toHaveLength(2);
    expect(events).toMatchObject([{ pages: 2, truncated: true, truncated_by: 'max_pages' }]);
    const all = run(await toolOf({ crm: url }, list({ next: '$.next', max_pages: 9 })));
    expect(await all.output).toMatchObject({ truncated: false });
  });

  it('are ten when nothing is said', async () => {
    const { url, asked } = await pages(99, () => ({}));
    await run(await toolOf({ crm: url }, list({ next: 'page', param: 'page' }))).output;
    expect(asked).toHaveLength(10);
  });

  it.each<[string, object, (page: number) => Answer, number]>([
    ['the same page', { next: '$.next' }, () => ({ body: { next: '/things' } }), 1],
    [
      'a page before',
      { next: 'link' },
      (p) => ({ headers: { link: `</things?page=${3 - p}>; rel=next` } }),
      2,
    ],
    ['the same token', { next: '$.next', param: 'cursor' }, () => ({ body: { next: 'c1' } }), 2],
  ])('do not go round: %s', async (_, paginate, next, requests) => {
    const { url, asked } = await pages(3, next);
    const { output, events } = run(await toolOf({ crm: url }, list(paginate)));
    expect(await output).toMatchObject({ truncated: true });
    expect(asked).toHaveLength(requests);
    expect(events).toMatchObject([{ truncated: true, truncated_by: 'loop' }]);
  });

  it('of a server that does not know the parameter are one', async () => {
    const { url, asked } = await serve(() => ({ body: { data: [{ id: 1 }] } }));
    const { output } = run(await toolOf({ crm: url }, list({ next: 'page', param: 'pgae' })));
    expect(await output).toEqual({ ids: [1], truncated: true });
    expect(asked).toHaveLength(2);
  });

  it.each([null, false, '', undefined])('end with a next that is %j', async (next) => {
    const { url } = await serve(() => ({ body: { data: [{ id: 1 }], ...(next !== undefined && { next }) } }));
    const tool = await toolOf({ crm: url }, list({ next: '$.next', param: 'cursor' }));
    expect(await run(tool).output).toEqual({ ids: [1], truncated: false });
  });

  it('are one list as the result, where nothing else is', async () => {
    const { url } = await pages(2, () => ({}));
    const { output: _, ...bare } = list({ next: 'page', param: 'page' });
    expect(await run(await toolOf({ crm: url }, bare)).output).toEqual([1, 2, 3, 4].map((id) => ({ id })));
  });

  it('are retried each, and fail as one', async () => {
    let failures = 0;
    const flaky = await pages(3, (page) => ({ body: { next: `/things?page=${page}` } }));
    const { url, asked } = await serve(async ({ url: path }) => {
      if (path.endsWith('2') && failures++ < 1) return { status: 503 };
      return { body: (await (await fetch(flaky.url + path)).json()) as never };
    });
    const paginate = { next: '$.next' };
    const again = run(await toolOf({ crm: url }, list(paginate, { retry: { backoff_ms: 0 } })));
    expect(await again.output).toEqual(SIX);
    expect(again.events).toMatchObject([{ attempts: 4, pages: 3 }]);
    failures = -9;
    const more = { on_error: 'continue', defaults: { ids: [] } };
    const once = run(await toolOf({ crm: url }, list(paginate, more)));
    expect(await once.output).toEqual({ ids: [], truncated: false });
    expect(once.events).toMatchObject([{ attempts: 2, pages: 1, error: 'UPSTREAM_FAILED' }]);
    expect(asked.length).toBe(6);
  });

  it('have max_response_bytes together', async () => {
    const { url } = await pages(5, () => ({}));
    const bytes = JSON.stringify({ data: [{ id: 1 }, { id: 2 }] }).length;
    const crm = { base_url: url, max_response_bytes: bytes * 3 + 2 };
    const error = await rejection(run(await toolOf({ crm }, list({ next: 'page', param: 'page' }))).output);
    expect(error).toMatchObject({
      name: 'RESPONSE_TOO_LARGE',
      details: { step: 'a', limit_bytes: bytes * 3 + 2 },
    });
    expect(error.message).toContain('answered all requests of the step together with more than');
  });
});

describe('a first page without the list', () => {
  const ask = async (body: Answer['body'], collect: string, more: object = {}) => {
    const { url, asked } = await serve(() => (body === undefined ? { status: 204 } : { body }));
    const paginate = { next: '$.next', param: 'cursor', collect, ...more };
    return { output: run(await toolOf({ crm: url }, list(paginate))).output, asked };
  };

  it.each<[Answer['body'], string]>([
    [{ items: [{ id: 1 }] }, '$.itmes[*]'],
    [{ kind: 'list' }, '$.items[*]'],
    [{ data: {} }, '$.data.items[*]'],
    [{ items: 'none' }, '$.items[*]'],
    [{ items: [{ id: 1 }, { id: 2 }] }, '$.items[*].nme'],
    [{ items: 7 }, '$.items[?@.id]'],
    [[{ id: 1 }], '$[1].items[*]'],
    ['no JSON at all', '$[*]'],
  ])('fails: %j by %s', async (body, collect) => {
    const { output, asked } = await ask(body, collect);
    const error = await rejection(output);
    expect(error.name).toBe('UPSTREAM_FAILED');
    expect(error.message).toMatch(/^step a: GET \S+ answered a first page in which /);
    expect(error.message).toContain(`${collect} leads nowhere; where the API leaves an empty list out, `);
    expect(error.details).toMatchObject({ step: 'a', status: 200, excerpt: expect.any(String) });
    expect(asked).toHaveLength(1);
    expect(await (await ask(body, collect, { allow_absent: true })).output).toMatchObject({
      ids: [],
      truncated: false,
    });
  });

  it.each<[Answer['body'], string]>([
    [{ items: [] }, '$.items[*]'],
    [{ items: {} }, '$.items[*]'],
    [{ items: null }, '$.items[*]'],
    [{ data: null }, '$.data.items[*]'],
    [{ items: [] }, '$.items[*].id'],
    [{ items: [{ open: false }] }, '$.items[?@.open].id'],
    [{ items: [1] }, '$.items[1:]'],
    [{ a: { items: [] } }, '$..items[*]'],
    [[], '$[*]'],
    [[], '$[0].items[*]'],
    [undefined, '$.items[*]'],
  ])('is empty where the list is: %j by %s', async (body, collect) => {
    expect(await (await ask(body, collect)).output).toEqual({ ids: [], truncated: false });
  });

  it('is another thing than a later one', async () => {
    const { url } = await serve(({ url: asked }) => ({
      body: asked.includes('cursor') ? {} : { data: [{ id: 1 }], next: 'c' },
    }));
    const tool = await toolOf({ crm: url }, list({ next: '$.next', param: 'cursor' }));
    expect(await run(tool).output).toEqual({ ids: [1], truncated: false });
  });
});

describe('a next page elsewhere', () => {
  it.each([
    ['another origin', 'http://evil.example/things?page=2', 'it is at http://evil.example'],
    ['another port', 'http://127.0.0.1:1/v1/things', 'it is at http://127.0.0.1:1'],
    ['another scheme', 'file:///v1/things', 'it is a file: URL, not one of http'],
    ['a script', 'javascript:1', 'it is a javascript: URL, not one of http'],
    ['a scheme without end', `${'x'.repeat(9_000)}:1`, 'it is no URL of http'],
    ['a metadata service', '//169.254.169.254/v1/things', 'it is at http://169.254.169.254'],
    ['above the base URL', '/v2/things', 'it is not below the base URL'],
    ['above it by dots', '../../v1/../admin', 'it is not below the base URL'],
    ['above it by encoded dots', '/v1/%2e%2e/admin', 'it is not below the base URL'],
    ['a neighbour with the same beginning', '/v10/things', 'it is not below the base URL'],
    ['nowhere', 'http://', 'it is no URL'],
  ])('is not asked for, nor told a credential: %s', async (_, target, why) => {
    const other = await serve(() => ({ body: {} }));
    const { url, asked } = await serve(() => ({
      headers: { link: `<${target}>; rel=next` },
      body: { next: target, data: [] },
    }));
    for (const next of ['link', '$.next']) {
      const crm = { base_url: `${url}/v1`, credential: { static_ref: { key: 'k' } } };
      const credentials = async () => ({
        headers: { authorization: new Secret('Bearer s3cret') },
        query: {},
      });
      const tool = await toolOf({ crm }, list({ next }));
      const error = await rejection(run(tool, {}, { deps: { credentials } }).output);
      expect(error.name).toBe('UPSTREAM_FAILED');
      expect(error.message).toMatch(/^step a: GET .* names a next page that cannot be read: /);
      expect(error.message.endsWith(why)).toBe(true);
      expect(asked.pop()?.headers.authorization).toBe('Bearer s3cret');
      expect(asked).toHaveLength(0);
    }
    expect(other.asked).toHaveLength(0);
  });

  it.each([[{ a: 1 }], [[1]], [true]])('is not %j', async (next) => {
    const { url } = await serve(() => ({ body: { data: [], next } as never }));
    const error = await rejection(run(await toolOf({ crm: url }, list({ next: '$.next' }))).output);
    expect(error.message).toMatch(/\$\.next is neither text nor a number$/);
  });

  it('is no number', async () => {
    const { url } = await serve(() => ({ body: { data: [], next: 2 } }));
    const error = await rejection(run(await toolOf({ crm: url }, list({ next: '$.next' }))).output);
    expect(error.message).toMatch(/\$\.next is no URL$/);
  });

  it('keeps the credential’s parameter to itself', async () => {
    const { url, asked } = await pages(2, () => ({
      headers: { link: '</things?page=2&key=theirs>; rel=next' },
    }));
    const credentials = async () => ({ headers: {}, query: { key: new Secret('mine') } });
    const crm = { base_url: url, credential: { static_ref: { key: 'k' } } };
    await run(await toolOf({ crm }, list({ next: 'link' })), {}, { deps: { credentials } }).output;
    expect(asked.map((one) => one.url)).toEqual(['/things?key=mine', '/things?page=2&key=mine']);
  });
});

describe('what cannot be paginated', () => {
  const faults = (paginate: object, more: object = {}) => faultsOf(list(paginate, more));

  it('is told by validation', async () => {
    expect(await faults({ next: 'link', param: 'page' })).toEqual([
      'the Link header names the whole URL of the next page (remove param)',
    ]);
    expect(await faults({ next: 'page' })).toEqual([
      'the query parameter that the page number goes to is not named (add param)',
    ]);
    expect(await faults({ next: 'link' }, { method: 'POST' })).toEqual([
      'POST /things is a POST; only a GET has pages',
    ]);
    expect(await faults({ next: '$.[' })).toHaveLength(1);
    expect(await faults({ next: 'link', collect: '$.[' })).toHaveLength(1);
    expect(await faults({ next: 'link' }, { extract: { ids: '$', truncated: '$' } })).toEqual([
      'truncated says whether pages are missing (choose another name)',
    ]);
  });

  it('has no truncated', async () => {
    const spec = { steps: [{ name: 'a', method: 'GET', path: '/' }], output: '{{steps.a.truncated}}' };
    expect(await faultsOf(spec)).toEqual(['step "a" extracts no "truncated" (only its status can be read)']);
  });
});

describe('nextLink', () => {
  it.each([
    ['</a>; rel="next"', '/a'],
    ['</a>;rel=next', '/a'],
    ['</a> ; REL = "NEXT"', '/a'],
    ['</a>; rel="prev next"', '/a'],
    ['</p>; rel="prev", </a>; rel="next"', '/a'],
    ['</p>; rel=prev; title="a, <b>; rel=next", </a>; rel="next"', '/a'],
    ['</p>; title="say \\"rel=next\\""; rel=prev, </a>; rel=next', '/a'],
    ['<https://x/a?b=1,2;c>; rel="next"; type="text/html"', 'https://x/a?b=1,2;c'],
    [', </a>; rel=next', '/a'],
    ['<>; rel=next', ''],
    ['</a>; rel=prev; rel=next', null],
    ['</a>; rel="nextish"', null],
    ['</a>; rel=next; anchor="/other", </b>; rel=next', '/b'],
    ['</a>; flag; rel=next', '/a'],
    ['</a', null],
    ['garbage, </a>; rel=next', null],
    ['', null],
  ])('%s: %j', (header, target) => {
    expect(nextLink(header)).toBe(target);
  });

  it('takes linear time', () => {
    for (const header of [
      '<'.repeat(100_000),
      `<a>${';'.repeat(100_000)}`,
      `<a>; rel="${'\\'.repeat(99_999)}`,
      ', '.repeat(50_000),
    ])
      expect(nextLink(header)).toBeNull();
  });
});
