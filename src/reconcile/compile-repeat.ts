/** What makes one step several requests: `retry`, `for_each` and `paginate`. */
import { compileList, compileQuery } from '../execute/jsonpath.ts';
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import { suggest } from '../manifest/suggest.ts';
import { andList, quoted } from '../manifest/words.ts';
import type { Operation } from '../openapi/operation.ts';
import type { Api, ForEach, NextPage, Pagination, Retry, RetryRule, Template } from '../snapshot/snapshot.ts';
import type { Problems } from './problems.ts';

type WrittenStep = Manifest<'ToolWorkflow'>['spec']['steps'][number];
type WrittenRetry = NonNullable<SpecOf<'ApiSpec'>['retry']>;
type WrittenPagination = NonNullable<WrittenStep['paginate']>;

/** Doing it twice is like doing it once (RFC 9110, section 9.2.2). */
const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];
const PASSING_STATUSES = [408, 425, 429, 500, 502, 503, 504];
const DEFAULT_ATTEMPTS = 3;
const DEFAULT_BACKOFF_MS = 200;
const DEFAULT_MAX_ITEMS = 100;
const DEFAULT_MAX_PAGES = 10;

/** null: every request is sent once. */
export function retryRule(written: WrittenRetry | undefined): RetryRule | null {
  if (written === undefined || written.attempts === 1) return null;
  return {
    attempts: written.attempts ?? DEFAULT_ATTEMPTS,
    backoff_ms: written.backoff_ms ?? DEFAULT_BACKOFF_MS,
    statuses: written.statuses ?? PASSING_STATUSES,
    methods: written.methods ?? IDEMPOTENT,
  };
}

/** The step's own, which replaces the API's as a whole; null: the request is sent once. */
export function retryOf(
  written: WrittenStep,
  api: Api,
  { id, method }: Operation,
  pointer: string,
  problems: Problems,
): Retry | null {
  const rule = written.retry === undefined ? api.retry : retryRule(written.retry);
  if (rule === null) return null;
  const { methods, ...retry } = rule;
  if (methods.includes(method)) return retry;
  if (written.retry !== undefined)
    problems.error(
      `${pointer}/retry`,
      'bad-retry',
      `${id} is a ${method}, which is not sent again: it may have been done although no good reply came`,
      `add methods: [${method}] where doing it twice does no harm`,
    );
  return null;
}

export function forEachOf({ for_each }: WrittenStep, list: Template): ForEach {
  return {
    list,
    concurrency: for_each?.concurrency ?? 1,
    max_items: for_each?.max_items ?? DEFAULT_MAX_ITEMS,
  };
}

export function paginationOf(
  { paginate }: WrittenStep,
  operation: Operation,
  pointer: string,
  problems: Problems,
): Pagination | null {
  if (paginate === undefined) return null;
  const at = `${pointer}/paginate`;
  if (operation.method !== 'GET') {
    const message = `${operation.id} is a ${operation.method}; only a GET has pages`;
    problems.error(at, 'bad-pagination', message);
    return null;
  }
  const next = nextPage(paginate, operation, at, problems);
  const collect = problems.attempt(`${at}/collect`, 'bad-jsonpath', () => compileList(paginate.collect));
  if (next === null || collect === null) return null;
  const { max_pages = DEFAULT_MAX_PAGES, allow_absent = false } = paginate;
  return { next, collect, max_pages, allow_absent };
}

function nextPage(
  { next, param }: WrittenPagination,
  operation: Operation,
  at: string,
  problems: Problems,
): NextPage | null {
  if (param !== undefined && next !== 'link') checkParam(param, operation, at, problems);
  if (next === 'link') {
    if (param === undefined) return { kind: 'link' };
    const message = 'the Link header names the whole URL of the next page';
    problems.error(`${at}/param`, 'bad-pagination', message, 'remove param', 'key');
    return null;
  }
  if (next === 'page') {
    if (param !== undefined) return { kind: 'number', param };
    const message = 'the query parameter that the page number goes to is not named';
    problems.error(`${at}/next`, 'bad-pagination', message, 'add param');
    return null;
  }
  const query = problems.attempt(`${at}/next`, 'bad-jsonpath', () => compileQuery(next));
  if (query === null) return null;
  return param === undefined ? { kind: 'url', query } : { kind: 'token', query, param };
}

function checkParam(param: string, operation: Operation, at: string, problems: Problems): void {
  const names = operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name);
  if (operation.literal || names.includes(param)) return;
  const near = suggest(param, names);
  const has = names.length === 0 ? 'it has none' : `it has ${andList(names.slice(0, 10))}`;
  problems.error(
    `${at}/param`,
    'unknown-parameter',
    `${operation.id} has no query parameter ${quoted(param)}`,
    near === null ? has : `did you mean ${near}?`,
  );
}
