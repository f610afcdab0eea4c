/**
 * Published documents: GitHub's own (npm `@octokit/openapi`), and the collection of odd ones that ReadMe keeps
 * (`@readme/oas-examples`). Each operation is called with generated values, and read by the other side of the wire.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../../src/openapi/document.ts';
import { indexDocument } from '../../src/openapi/index-document.ts';
import type { Operation } from '../../src/openapi/operation.ts';
import { type BuiltRequest, buildRequest } from '../../src/openapi/request.ts';
import { type Described, readHeader, readPairs, readPathValue, splitPath, texts } from './conforming.ts';
import { createRandom, deref, generate, type Json, kindOf, type Random } from './generate.ts';

const { resolve } = createRequire(import.meta.url);
const octokit = join(dirname(resolve('@octokit/openapi')), 'generated/api.github.com.json');
const examples = dirname(resolve('@readme/oas-examples/package.json'));

interface Wanted extends Described {
  readonly value: unknown;
}

const DEFAULT_STYLES: Readonly<Record<string, string>> = {
  path: 'simple',
  query: 'form',
  header: 'simple',
  cookie: 'form',
};

/** The parameters of an operation as the document describes them, each with a value. */
function parametersOf(document: unknown, item: Json, operation: Json, random: Random): Wanted[] {
  const all = [...((item.parameters ?? []) as unknown[]), ...((operation.parameters ?? []) as unknown[])];
  const merged = new Map(
    all.map((one) => deref(document, one)).map((one) => [`${one.in} ${one.name}`, one] as const),
  );
  return [...merged.values()]
    .filter(
      (one) => !(one.in === 'header' && /^(accept|content-type|authorization)$/i.test(String(one.name))),
    )
    .map((one) => {
      const place = String(one.in);
      const style = String(one.style ?? DEFAULT_STYLES[place]);
      const [media] = Object.values((one.content ?? {}) as Json) as (Json | undefined)[];
      const schema = media?.schema ?? one.schema ?? {};
      const kind = media === undefined ? kindOf(document, schema) : 'json';
      const explode = (one.explode ?? style === 'form') === true;
      // A list that is joined by a delimiter cannot hold it.
      const isJoined = /^(space|pipe)Delimited$/.test(style) && !explode;
      const value = generate(document, schema, isJoined ? 'styled' : place, random);
      return {
        name: String(one.name),
        in: place,
        style,
        explode,
        kind,
        value,
      };
    });
}

function valuesIn(wanted: readonly Wanted[], place: string): Json {
  return Object.fromEntries(wanted.filter((one) => one.in === place).map(({ name, value }) => [name, value]));
}

/** Everything that a server would read from the request, by name of the parameter. */
function readParameters(operation: Operation, wanted: readonly Wanted[], built: BuiltRequest): unknown {
  const [path, query = ''] = built.target.split('?');
  const raw = splitPath(operation.path, path!);
  const of = (place: string) => wanted.filter((one) => one.in === place);
  return {
    path: Object.fromEntries(of('path').map((one) => [one.name, readPathValue(one, raw[one.name]!)])),
    query: readPairs(of('query'), query),
    header: Object.fromEntries(
      of('header').map((one) => [one.name, readHeader(one, built.headers[one.name.toLowerCase()]!)]),
    ),
    cookie: readPairs(of('cookie'), built.headers.cookie ?? '', '; '),
  };
}

/** The body as a server reads it, and what it should be. */
async function exchangeBody(
  content: Json,
  built: BuiltRequest,
  value: unknown,
): Promise<[read: unknown, sent: unknown]> {
  const type = built.headers['content-type'] ?? '';
  const bare = type.split(';')[0]!;
  if (/json$|^\*/.test(bare)) return [JSON.parse(String(built.body)), JSON.parse(JSON.stringify(value))];
  const isForm = /x-www-form-urlencoded|form-data/.test(bare);
  if (!isForm) return [Buffer.from(built.body ?? '').toString(), value];
  const described = content[bare] as Json;
  const form = await new Response(built.body, { headers: { 'content-type': type } }).formData();
  const read = [...form].map(([name, item]) => [name, item] as const);
  const sent: [string, unknown][] = [];
  for (const [name, item] of Object.entries(value as Json)) {
    const encoding = ((described.encoding ?? {}) as Json)[name] as Json | undefined;
    if (encoding?.style !== undefined) {
      // Without percent-encoding this is what a query would have.
      const style = String(encoding.style);
      const explode = encoding.explode ?? style === 'form';
      sent.push(...styled(name, item, style, explode === true));
    } else if (Array.isArray(item)) {
      for (const one of item) sent.push([name, one]);
    } else sent.push([name, item]);
  }
  const asText = (item: unknown) => (typeof item === 'object' ? JSON.stringify(item) : String(item));
  const texted = await Promise.all(
    read.map(async ([name, item]) => [name, typeof item === 'string' ? item : await item.text()]),
  );
  return [texted, sent.map(([name, item]) => [name, asText(item)])];
}

function styled(name: string, item: unknown, style: string, explode: boolean): [string, unknown][] {
  const delimiter = { spaceDelimited: ' ', pipeDelimited: '|' }[style] ?? ',';
  if (typeof item !== 'object' || item === null) return [[name, item]];
  const entries = Object.entries(item);
  if (style === 'deepObject') return entries.map(([key, value]) => [`${name}[${key}]`, value]);
  if (Array.isArray(item)) return explode ? item.map((one) => [name, one]) : [[name, item.join(delimiter)]];
  return explode ? entries : [[name, entries.flat().join(delimiter)]];
}

/** Calls every operation of a document; the number of operations. */
async function callAll(bytes: Buffer): Promise<number> {
  const document = readDocument(bytes) as Json;
  const index = indexDocument(document, { url: 'https://origin.example/openapi.json' });
  expect(index.problems).toEqual([]);
  const random = createRandom(7);
  let written = 0;
  for (const [path, writtenItem] of Object.entries((document.paths ?? {}) as Json)) {
    const item = deref(document, writtenItem);
    for (const method of Object.keys(item)) {
      if (!/^(get|put|post|delete|options|head|patch)$/.test(method)) continue;
      written += 1;
      const raw = item[method] as Json;
      const operation = index.operations.get(String(raw.operationId ?? `${method.toUpperCase()} ${path}`));
      expect(operation, `${method} ${path}`).toBeDefined();
      await call(document, item, raw, operation!, random);
    }
  }
  expect(index.operations.size).toBe(written);
  return written;
}

async function call(
  document: Json,
  item: Json,
  raw: Json,
  operation: Operation,
  random: Random,
): Promise<void> {
  const wanted = parametersOf(document, item, raw, random);
  const content = deref(document, raw.requestBody).content as Json | undefined;
  const body = content === undefined ? undefined : bodyOf(document, content, operation, random);
  const built = buildRequest(operation, {
    path: valuesIn(wanted, 'path'),
    query: valuesIn(wanted, 'query'),
    headers: valuesIn(wanted, 'header'),
    cookies: valuesIn(wanted, 'cookie'),
    body,
  });
  const places = ['path', 'query', 'header', 'cookie'];
  expect(readParameters(operation, wanted, built), operation.id).toEqual(
    texts(Object.fromEntries(places.map((place) => [place, valuesIn(wanted, place)]))),
  );
  if (content === undefined) {
    expect(built.body).toBeNull();
    return;
  }
  const [read, sent] = await exchangeBody(content, built, body);
  expect(read, operation.id).toEqual(sent);
}

/** A value in the media type that the gateway prefers. */
function bodyOf(document: Json, content: Json, operation: Operation, random: Random): unknown {
  const preferred = operation.body!.types[0]!.media_type;
  const found = Object.entries(content).find(([key]) => key.toLowerCase().split(';')[0] === preferred);
  const described = (found?.[1] ?? {}) as Json;
  if (!/json$|^\*|form/.test(preferred)) return generate(document, { type: 'string' }, 'body', random);
  const isStyled = JSON.stringify(described.encoding ?? {}).includes('"style"');
  const schema = { type: 'object', ...deref(document, described.schema) };
  return generate(document, schema, isStyled ? 'styled' : 'body', random);
}

/** Each style that a location has, exploded and not, with each kind of value. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited'],
  header: ['simple'],
  cookie: ['form'],
};
const SCHEMAS = {
  text: { type: 'string' },
  number: { type: 'number' },
  list: { type: 'array', items: { type: 'string' } },
  map: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'integer' } } },
};
const WRITTEN = Object.entries(WAYS).flatMap(([place, styles]) =>
  styles.flatMap((style) =>
    [true, false].flatMap((explode) =>
      Object.entries(SCHEMAS).map(([kind, schema]) => ({ place, style, explode, kind, schema })),
    ),
  ),
);

/** A document with one operation for each of them, where one parameter is by reference and one the path's. */
function documentOfWays(openapi: string): Json {
  const paths: Json = {};
  const components = { parameters: {} as Json, requestBodies: {} as Json };
  for (const { place, style, explode, kind, schema } of WRITTEN) {
    const id = `${place}-${style}-${explode}-${kind}`;
    components.parameters[id] = { name: 'p', in: place, style, explode, required: true, schema };
    const path = place === 'path' ? `/${id}/{p}/end` : `/${id}`;
    const query = { name: 'of-the-path', in: 'query', schema: { type: 'boolean' } };
    // An exploded map takes the names that nobody else has.
    const own = kind === 'map' && explode && place === 'query' ? [] : [query];
    paths[path] = { parameters: own, get: { parameters: [{ $ref: `#/components/parameters/${id}` }] } };
  }
  for (const place of ['path', 'query', 'header', 'cookie']) {
    // JSON with a quote in a text has a backslash, which no path may hold.
    const schema = place === 'path' ? { type: 'array', items: { type: 'integer' } } : SCHEMAS.map;
    const content = { 'application/json': { schema } };
    const path = place === 'path' ? '/json-path/{p}' : `/json-${place}`;
    paths[path] = { get: { parameters: [{ name: 'p', in: place, required: true, content }] } };
  }
  const deep = { name: 'p', in: 'query', style: 'deepObject', explode: true, schema: SCHEMAS.map };
  paths['/deep'] = { get: { parameters: [deep] } };
  const types = [
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/plain',
    'application/octet-stream',
    'application/vnd.a+json',
  ];
  for (const type of types) {
    components.requestBodies[type] = { required: true, content: { [type]: { schema: SCHEMAS.map } } };
    const pointer = type.replaceAll('/', '~1');
    paths[`/body-${type}`] = { post: { requestBody: { $ref: `#/components/requestBodies/${pointer}` } } };
  }
  for (const style of ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'])
    for (const explode of [true, false]) {
      if (style === 'deepObject' && !explode) continue;
      const encoding = { field: { style, explode } };
      const schema = {
        type: 'object',
        properties: { field: style === 'deepObject' ? SCHEMAS.map : SCHEMAS.list },
      };
      const content = { 'application/x-www-form-urlencoded': { schema, encoding } };
      paths[`/form-${style}-${explode}`] = { post: { requestBody: { content } } };
    }
  return { openapi, info: { title: 'Ways', version: '1' }, paths, components };
}

test.each(['3.0.3', '3.1.0'])('every style of every location and type, of OpenAPI %s', async (openapi) => {
  const bytes = Buffer.from(JSON.stringify(documentOfWays(openapi)));
  expect(await callAll(bytes)).toBe(WRITTEN.length + 4 + 1 + 6 + 7);
});

test('GitHub', async () => {
  expect(await callAll(readFileSync(octokit))).toBeGreaterThan(1000);
});

describe('oas-examples', () => {
  const files = readdirSync(examples, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(json|ya?ml)$/.test(file) && /^[23]\./.test(file))
    .sort();

  test('are all there', () => expect(files.length).toBeGreaterThan(100));

  test.each(files.filter((file) => file.startsWith('3.')))('%s', async (file) => {
    await callAll(readFileSync(join(examples, file)));
  });

  test.each(files.filter((file) => file.startsWith('2.')))('%s is refused', (file) => {
    const document = readDocument(readFileSync(join(examples, file)));
    expect(() => indexDocument(document)).toThrow('Swagger 2.0');
  });
});
