import { describe, expect, test } from 'vitest';
import { nextPage, PROBES, relatedOperations } from '../../src/execute/hints.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import type { Operation } from '../../src/openapi/operation.ts';
import { documentOf, operationOf } from '../openapi/documents.ts';

const query = (...names: string[]): Operation =>
  operationOf('get', '/a', { parameters: names.map((name) => ({ name, in: 'query', schema: {} })) });

/** What the probes find in a reply. */
const probedIn = (value: unknown): (string | number | null)[] =>
  PROBES.map((probe) => {
    const [found] = probe.select(value);
    return typeof found === 'string' || typeof found === 'number' ? found : null;
  });

const api = { base_url: new URL('https://api.example/v1') };

const next = (operation: Operation, reply: unknown, parameters: Record<string, unknown> = {}) =>
  nextPage(undefined, probedIn(reply), { api, operation, parameters });

describe('the Link header', () => {
  const follow = (link: string, parameters: Record<string, unknown> = {}) =>
    nextPage(link, [], { api, operation: query('page', 'per_page', 'q'), parameters });

  test.each([
    ['<https://api.example/a?page=2>; rel="next"', { page: '2' }],
    ['</a?page=1>; rel="prev", </a?page=3&per_page=9>; rel="next"', { page: '3', per_page: '9' }],
    ['<?page=2>;rel=next', { page: '2' }],
    ['<?page=2>; title="a, <b>"; rel="last next"', null],
    ['<?page=2>; rel="first  NEXT"', { page: '2' }],
    ['<?q=a&q=b>; rel="next"', { q: ['a', 'b'] }],
    ['<?q=a%26b%3D1>; rel="next"', { q: 'a&b=1' }],
  ])('%s', (link, parameters) => {
    if (parameters === null) expect(follow(link)?.parameters ?? null).toBeNull();
    else expect(follow(link)).toEqual({ from: 'link', parameters, value: null });
  });

  test('names nothing that is not a parameter of the operation: it may be the credential', () => {
    expect(follow('<https://api.example/a?key=secret>; rel="next"')).toEqual({
      from: 'link',
      parameters: null,
      value: null,
    });
    expect(follow('<https://[bad>; rel="next"')).toMatchObject({ from: 'link', parameters: null });
  });

  test('no next page', () => {
    for (const link of ['', '<x>; rel="prev"', '<x>', 'rel="next"', '<x>; rel="nextpage"'])
      expect(follow(link)).toBeNull();
  });

  test('takes the place of what was given, by name or in a group', () => {
    const link = '<?page=3>; rel="next"';
    expect(follow(link, { page: 2, q: 'x' })?.parameters).toEqual({ page: '3', q: 'x' });
    expect(follow(link, { query: { page: 2, q: 'x' } })?.parameters).toEqual({
      query: { q: 'x' },
      page: '3',
    });
  });

  test.each([
    'https://other.example/a?page=2',
    'http://api.example/a?page=2',
    'https://api.example:8443/a?page=2',
    '//other.example/a?page=2',
    'javascript:1?page=2',
    'ftp://api.example/a?page=2',
  ])('to %s is not offered: it is another origin', (url) => {
    expect(follow(`<${url}>; rel="next"`)).toBeNull();
    if (!url.startsWith('javascript')) expect(next(query('page'), { next: url })).toBeNull();
  });

  test('of many kilobytes is read at once', () => {
    // Were the time quadratic, the test would not end.
    for (const link of ['<', '<x>; rel="', '<x>; rel=', '; rel='])
      expect(follow(`<x>${link.repeat(200_000)}`)).toBeNull();
  });
});

describe('fields of the reply', () => {
  test.each<[string, string[], unknown, unknown]>([
    ['a link', ['page'], { next: 'https://api.example/a?page=2&key=x' }, { page: '2' }],
    ['a link below links', ['offset'], { _links: { next: { href: '/a?offset=20' } } }, { offset: '20' }],
    ['of OData', ['$skip'], { '@odata.nextLink': 'https://api.example/a?$skip=50' }, { $skip: '50' }],
    ['a page', ['page'], { meta: { next_page: 4 } }, { page: 4 }],
    ['a page as text', ['pageNumber', 'cursor'], { next_page: '4' }, { pageNumber: '4' }],
    ['a cursor', ['limit', 'cursor'], { response_metadata: { next_cursor: 'abc=' } }, { cursor: 'abc=' }],
    ['a mark that is called so', ['pageToken', 'cursor'], { nextPageToken: 't' }, { pageToken: 't' }],
    ['the same name first', ['cursor', 'next_token'], { next_token: 't' }, { next_token: 't' }],
    ['after', ['after'], { paging: { cursors: { after: 'z' } } }, { after: 'z' }],
  ])('%s', (_, names, reply, parameters) => {
    expect(next(query(...names), reply)?.parameters).toEqual(parameters);
  });

  test('a mark without a parameter is told; a link without one is not, for it may hold the credential', () => {
    expect(next(query('limit'), { next_cursor: 'abc' })).toEqual({
      from: '$.next_cursor',
      parameters: null,
      value: 'abc',
    });
    expect(next(query('limit'), { next: '/a?key=secret' })).toEqual({
      from: '$.next',
      parameters: null,
      value: null,
    });
  });

  test('no next page', () => {
    for (const reply of [{}, null, [], 'text', { next: null }, { next: {} }, { meta: { next: false } }])
      expect(next(query('page'), reply)).toBeNull();
  });

  test('a parameter of the path does not become one of the query', () => {
    const operation = operationOf('get', '/a/{page}', {
      parameters: [{ name: 'page', in: 'path', required: true, schema: {} }],
    });
    expect(next(operation, { next_page: 2 }, { page: 'x' })).toMatchObject({ parameters: null, value: 2 });
  });
});

describe('related operations', () => {
  const paths = [
    ...['/', '/orgs', '/orgs/{org}', '/orgs/{org}/repos', '/orgs/{name}/repos/{repo}'],
    ...['/orgs/{o}/repos/{r}/issues', '/orgsx', '/users/{id}'],
  ];
  const entries = paths.map((path) => [
    path,
    { get: { operationId: `get ${path}`, summary: 's'.repeat(300) } },
  ]);
  const { operations } = indexDocument(documentOf(Object.fromEntries(entries)));
  const related = (path: string, allowed: (operation: Operation) => boolean = () => true) =>
    relatedOperations(operations.get(`get ${path}`)!, operations.values(), allowed);

  test('stand on the way to it or below it, the nearest first, whatever their parameters are called', () => {
    expect(related('/orgs/{org}/repos').map(({ path }) => path)).toEqual([
      '/orgs/{org}',
      '/orgs/{name}/repos/{repo}',
      '/orgs',
      '/orgs/{o}/repos/{r}/issues',
    ]);
    expect(related('/users/{id}')).toEqual([]);
    expect(related('/')).toEqual([]);
  });

  test('are those that may be called', () => {
    expect(related('/orgs/{org}/repos', ({ path }) => path === '/orgs')).toEqual([
      { operation_id: 'get /orgs', method: 'GET', path: '/orgs', summary: 's'.repeat(200) },
    ]);
  });

  test('are ten at most', () => {
    const many = Array.from({ length: 50 }, (_, i) => [`/a/x${i}`, { get: {} }]);
    const document = documentOf({ '/a': { get: { operationId: 'list' } }, ...Object.fromEntries(many) });
    const index = indexDocument(document).operations;
    expect(relatedOperations(index.get('list')!, index.values(), () => true)).toHaveLength(10);
  });
});
