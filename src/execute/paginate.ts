/** Reads a list over its pages: one request after the other, on the same origin and below the API's base URL. */
import { isDeepStrictEqual } from 'node:util';
import type { BuiltRequest } from '../openapi/request.ts';
import type { Pagination, Query, Step } from '../snapshot/snapshot.ts';
import { upstreamError } from './exchange.ts';
import { nextLink } from './link-header.ts';
import type { Reply } from './rest.ts';
import { placeOf, type Tally } from './run.ts';
import { selectFrom } from './select.ts';
import { buildStep, type StepValues } from './step-request.ts';

/**
 * The last page's reply with the elements of all pages as its value. `send` makes one request. That there may be
 * more than was read is noted in the tally: a page too many, or a next page that was read before.
 */
export async function readPages(
  step: Step,
  pages: Pagination,
  values: StepValues,
  tally: Tally,
  send: (request: BuiltRequest) => Promise<Reply>,
): Promise<Reply> {
  const elements: unknown[] = [];
  const asked = new Set<string>();
  let request = buildStep(step, values);
  let before: unknown[] | null = null;
  for (let count = 1; ; count++) {
    asked.add(request.target);
    const reply = await send(request);
    tally.pages += 1;
    const found = selectFrom(pages.collect, reply.value, 'paginate.collect');
    if (count === 1 && found.length === 0) checkList(step, pages, reply);
    // A server that does not know the parameter answers with the same page for ever.
    const repeated = pages.next.kind === 'number' && found.length > 0 && isDeepStrictEqual(found, before);
    if (!repeated) for (const element of found) elements.push(element);
    const next = nextRequest(step, pages, values, { request, reply, count, isEmpty: found.length === 0 });
    const end = { ...reply, value: elements };
    if (next === null) return end;
    if (repeated || asked.has(next.target)) tally.truncated_by = 'loop';
    else if (count === pages.max_pages) tally.truncated_by = 'max_pages';
    if (tally.truncated_by !== null) return end;
    request = next;
    before = found;
  }
}

/**
 * A path that leads nowhere would look like a list that is empty. Later pages may do without: the path has been right
 * before.
 */
function checkList(step: Step, { collect, allow_absent }: Pagination, reply: Reply): void {
  const value = reply.value ?? null;
  if (allow_absent || !collect.isAbsent(value)) return;
  const excerpt = reply.excerpt();
  throw upstreamError(
    'UPSTREAM_FAILED',
    placeOf(step),
    `answered a first page in which ${collect.text} leads nowhere; where the API leaves an empty list out, paginate.allow_absent says so`,
    { details: { status: reply.status, ...(excerpt !== null && { excerpt }) } },
  );
}

interface Page {
  readonly request: BuiltRequest;
  readonly reply: Reply;
  /** From 1. */
  readonly count: number;
  readonly isEmpty: boolean;
}

/** The request of the page after this one; null: this is the last. */
function nextRequest(step: Step, { next }: Pagination, values: StepValues, page: Page): BuiltRequest | null {
  const { reply, request } = page;
  switch (next.kind) {
    case 'link': {
      const link = nextLink(reply.headers.link ?? '');
      return link === null ? null : { ...request, target: targetOf(step, link, request.target) };
    }
    case 'url': {
      const url = nextValue(step, next.query, reply.value);
      if (url === null) return null;
      if (typeof url !== 'string') throw unfit(step, `${next.query.text} is no URL`);
      return { ...request, target: targetOf(step, url, request.target) };
    }
    case 'token': {
      const token = nextValue(step, next.query, reply.value);
      return token === null ? null : buildStep(step, withQuery(values, next.param, token));
    }
    case 'number':
      if (page.isEmpty) return null;
      return buildStep(step, withQuery(values, next.param, firstPage(step, values, next.param) + page.count));
  }
}

/** What the reply names; null for what APIs say when there is no more: nothing, null, false, an empty text. */
function nextValue(step: Step, query: Query, value: unknown): string | number | null {
  const named = selectFrom(query, value, 'paginate.next')[0] ?? null;
  if (named === null || named === false || named === '') return null;
  if (typeof named === 'string' || typeof named === 'number') return named;
  throw unfit(step, `${query.text} is neither text nor a number`);
}

/**
 * A URL of an upstream as a target below the API's base URL. Nothing else is asked for, wherever the upstream
 * points: the request carries the API's credential.
 */
function targetOf(step: Step, written: string, current: string): string {
  const { origin, pathname } = step.api.base_url;
  const base = pathname.endsWith('/') ? pathname.slice(0, -1) : pathname;
  const from = origin + base + current;
  if (!URL.canParse(written, from)) throw unfit(step, 'it is no URL');
  const url = new URL(written, from);
  if (!/^https?:$/.test(url.protocol)) {
    const scheme =
      url.protocol.length <= MAX_SCHEME ? `it is a ${url.protocol} URL, not one` : 'it is no URL';
    throw unfit(step, `${scheme} of http`);
  }
  if (url.origin !== origin) throw unfit(step, `it is at ${url.origin}`);
  if (!url.pathname.startsWith(`${base}/`)) throw unfit(step, 'it is not below the base URL');
  return url.pathname.slice(base.length) + url.search;
}

/** Characters of a scheme that a message shows. */
const MAX_SCHEME = 20;

function withQuery(values: StepValues, param: string, value: string | number): StepValues {
  return { ...values, query: { ...values.query, [param]: value } };
}

function firstPage(step: Step, { query }: StepValues, param: string): number {
  const given = query[param] ?? 1;
  const first = typeof given === 'boolean' || given === '' ? Number.NaN : Number(given);
  if (!Number.isSafeInteger(first)) throw unfit(step, `query parameter ${param} is no whole number`);
  return first;
}

function unfit(step: Step, why: string) {
  return upstreamError('UPSTREAM_FAILED', placeOf(step), `names a next page that cannot be read: ${why}`);
}
