/** Where a caller of the explorer can go from a reply: its next page, and operations beside the one that was called. */
import { inputProperties } from '../openapi/input-schema.ts';
import type { Operation, Parameter } from '../openapi/operation.ts';
import type { Query } from '../snapshot/snapshot.ts';
import { compileQuery } from './jsonpath.ts';

export interface Hints {
  readonly next_page: NextPage | null;
  readonly related_operations: readonly RelatedOperation[];
}

export interface NextPage {
  /** Where the reply says so: `link` (the header), or the JSONPath of the field. */
  readonly from: string;
  /** What to give as `parameters` of the next call; null: no parameter of the operation is known to take it. */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  /** What the field holds; null for a link, which may carry what is the gateway's own. */
  readonly value: string | number | null;
}

export interface RelatedOperation {
  readonly operation_id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string | null;
}

const MAX_RELATED = 10;
const MAX_SUMMARY_LENGTH = 200;

/** Names of parameters that take a number or a mark of the next page, folded, the likeliest first. */
const PAGE = ['page', 'pagenumber', 'pageno', 'offset', 'start'];
const MARK = ['cursor', 'pagetoken', 'after', 'startingafter', 'nexttoken', 'continuationtoken', 'marker'];

/** Where replies name their next page. What such a field holds is a link, a number or a mark; its value tells. */
const FIELDS: readonly string[] = [
  ...['next', 'next_url', 'nextUrl', 'nextLink', 'next_link', 'next_page', 'nextPage', 'next_cursor'],
  ...['nextCursor', 'next_page_token', 'nextPageToken', 'next_token', 'nextToken'],
  ...['links.next', 'links.next.href', '_links.next', '_links.next.href', 'paging.next', 'paging.next.link'],
  ...['paging.cursors.after', 'pagination.next', 'pagination.next_url', 'pagination.next_page'],
  ...['pagination.next_cursor', 'pagination.nextCursor', 'meta.next', 'meta.next_page', 'meta.next_cursor'],
  ...['meta.nextCursor', 'response_metadata.next_cursor', 'page_info.end_cursor'],
].map((path) => `$.${path}`);

/** The fields as queries, for the slicer to look up beside what is asked for. */
export const PROBES: readonly Query[] = [...FIELDS, "$['@odata.nextLink']"].map(compileQuery);

export interface Asked {
  readonly api: { readonly base_url: URL };
  readonly operation: Operation;
  /** As the caller gave them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** `probed` is what {@link PROBES} found. null: the reply names no next page, or one that is not of this API. */
export function nextPage(
  link: string | undefined,
  probed: readonly (string | number | null)[],
  asked: Asked,
): NextPage | null {
  const target = nextLink(link ?? '');
  if (target !== null && isElsewhere(target, asked)) return null;
  if (target !== null) return { from: 'link', parameters: fromLink(target, asked), value: null };
  const found = probed.findIndex((value) => value !== null);
  const value = probed[found] ?? null;
  if (value === null) return null;
  const from = PROBES[found]!.text;
  if (typeof value === 'string' && isLink(value)) {
    if (isElsewhere(value, asked)) return null;
    return { from, parameters: fromLink(value, asked), value: null };
  }
  return { from, parameters: fromValue(from, value, asked), value };
}

/**
 * Operations of the same resource that are not this one: those on its path, on the path above it, and on paths that
 * begin with it, the nearest first.
 */
export function relatedOperations(
  operation: Operation,
  operations: Iterable<Operation>,
  allowed: (operation: Operation) => boolean,
): RelatedOperation[] {
  const own = segmentsOf(operation.path);
  const near: { readonly other: Operation; readonly distance: number }[] = [];
  for (const other of operations) {
    if (other.id === operation.id) continue;
    const distance = distanceOf(own, segmentsOf(other.path));
    if (distance !== null) near.push({ other, distance });
  }
  // The sort is stable: what is equally near stays in the order of the document.
  near.sort((a, b) => a.distance - b.distance);
  const related: RelatedOperation[] = [];
  for (const { other } of near) {
    if (related.length === MAX_RELATED) break;
    if (!allowed(other)) continue;
    const { id: operation_id, method, path, summary } = other;
    related.push({ operation_id, method, path, summary: summary?.slice(0, MAX_SUMMARY_LENGTH) ?? null });
  }
  return related;
}

/** Segments between the two paths when one begins with the other; null: neither does, or it is far above. */
function distanceOf(own: readonly string[], other: readonly string[]): number | null {
  const [shorter, longer] = own.length <= other.length ? [own, other] : [other, own];
  if (shorter.length === 0 || !shorter.every((segment, i) => segment === longer[i])) return null;
  const distance = other.length - own.length;
  return distance < -2 ? null : Math.abs(distance);
}

/** Two names for the same place of a path are one. */
function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => segment.replace(/\{[^{}]*\}/g, '{}'));
}

/** The target of `rel="next"` in a Link header (RFC 8288). */
function nextLink(header: string): string | null {
  for (const [, target = '', rest = ''] of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const [, quoted, bare] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(rest) ?? [];
    if (/(?:^|\s)next(?:\s|$)/i.test(quoted ?? bare ?? '')) return target;
  }
  return null;
}

function isLink(text: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]{0,30}:\/\/|\/|\?)/i.test(text);
}

/** What leads to another origin is not for this API's parameters, and no call would be let out there. */
function isElsewhere(link: string, { api: { base_url } }: Asked): boolean {
  const url = URL.parse(link, base_url.href);
  return url !== null && url.origin !== base_url.origin;
}

/**
 * The caller's parameters with those of the link's query in their place. Only what the operation declares is taken:
 * the link may repeat what the gateway itself has added, such as a key in the query.
 */
function fromLink(link: string, asked: Asked): Readonly<Record<string, unknown>> | null {
  const url = URL.parse(link, asked.api.base_url.href);
  if (url === null) return null;
  const changed = new Map<string, unknown>();
  for (const parameter of asked.operation.parameters) {
    const values = parameter.in === 'query' ? url.searchParams.getAll(parameter.name) : [];
    if (values.length > 0)
      changed.set(propertyName(asked, parameter), values.length === 1 ? values[0] : values);
  }
  return changed.size === 0 ? null : withParameters(asked, changed);
}

function fromValue(
  from: string,
  value: string | number,
  asked: Asked,
): Readonly<Record<string, unknown>> | null {
  const query = asked.operation.parameters.filter((parameter) => parameter.in === 'query');
  const field = fold(from.slice(from.lastIndexOf('.') + 1));
  const likely = [
    field,
    field.replace(/^next/, ''),
    ...(typeof value === 'number' || /^\d+$/.test(value) ? PAGE : []),
    ...MARK,
  ];
  const [taker] = likely.flatMap((name) => query.find((parameter) => fold(parameter.name) === name) ?? []);
  if (taker === undefined) return null;
  return withParameters(asked, new Map([[propertyName(asked, taker), value]]));
}

function propertyName({ operation }: Asked, parameter: Parameter): string {
  return inputProperties(operation).find((one) => one.parameter === parameter)?.name ?? parameter.name;
}

/** By name, and out of the group where they were given: a group wins over names. */
function withParameters(
  { parameters, operation }: Asked,
  changed: ReadonlyMap<string, unknown>,
): Readonly<Record<string, unknown>> {
  const next = new Map(Object.entries(parameters));
  const group = next.get('query');
  const names = new Set(
    inputProperties(operation).flatMap(({ name, parameter }) =>
      changed.has(name) && parameter !== null ? [parameter.name] : [],
    ),
  );
  if (typeof group === 'object' && group !== null && !Array.isArray(group)) {
    next.set('query', Object.fromEntries(Object.entries(group).filter(([name]) => !names.has(name))));
  }
  for (const [name, value] of changed) next.set(name, value);
  return Object.fromEntries(next);
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}
