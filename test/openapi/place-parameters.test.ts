import { describe, expect, test } from 'vitest';
import { placeParameters } from '../../src/openapi/place-parameters.ts';
import { operationOf } from './documents.ts';

const parameter = (name: string, place: string) => ({
  name,
  in: place,
  ...(place === 'path' && { required: true }),
  schema: {},
});
const operation = operationOf('post', '/a/{id}', {
  parameters: [
    parameter('id', 'path'),
    parameter('limit', 'query'),
    parameter('X-Trace', 'header'),
    parameter('session', 'cookie'),
  ],
  requestBody: { content: { 'application/json': {} } },
});
const ALL = {
  given: {
    path: { id: 1 },
    query: { limit: 2 },
    headers: { 'x-trace': 't' },
    cookies: { session: 's' },
    body: { a: 1 },
  },
  unknown: [],
};

test('by name', () => {
  expect(
    placeParameters(operation, { id: 1, limit: 2, 'x-trace': 't', session: 's', body: { a: 1 } }),
  ).toEqual(ALL);
});

test('in groups', () => {
  expect(
    placeParameters(operation, {
      path: { id: 1 },
      query: { limit: 2 },
      header: { 'x-trace': 't' },
      cookie: { session: 's' },
      body: { a: 1 },
    }),
  ).toEqual(ALL);
});

test('mixed; a group wins, whatever comes first', () => {
  expect(placeParameters(operation, { path: { id: 1 }, id: 9, limit: 2 }).given).toMatchObject({
    path: { id: 1 },
    query: { limit: 2 },
  });
  expect(placeParameters(operation, { id: 9, path: { id: 1 } }).given.path).toEqual({ id: 1 });
});

test('what is no parameter', () => {
  expect(placeParameters(operation, { limt: 1, none: null, query: { other: 1 } })).toMatchObject({
    given: { query: { other: 1 } },
    unknown: ['limt'],
  });
  // No object, so no group.
  expect(placeParameters(operation, { query: 'x', header: [1] }).unknown).toEqual(['query', 'header']);
});

test('no name reaches a prototype', () => {
  const given = JSON.parse('{"__proto__":{"id":1},"query":{"__proto__":{"limit":1}},"constructor":1}');
  const placed = placeParameters(operation, given);
  expect(placed.unknown).toEqual(['__proto__', 'constructor']);
  expect(Object.getPrototypeOf(placed.given.query)).toBeNull();
  expect(Object.keys(placed.given.path!)).toEqual([]);
});

test('two parameters of one name are told apart', () => {
  const twice = operationOf('get', '/a/{id}', {
    parameters: [parameter('id', 'path'), parameter('id', 'query')],
  });
  expect(placeParameters(twice, { path_id: 1, query_id: 2 }).given).toMatchObject({
    path: { id: 1 },
    query: { id: 2 },
  });
  expect(placeParameters(twice, { id: 1 }).unknown).toEqual(['id']);
});

describe('a parameter with the name of a group', () => {
  const search = operationOf('get', '/a', {
    parameters: [parameter('query', 'query'), parameter('path', 'query')],
  });

  test('is given by name', () => {
    expect(placeParameters(search, { query: 'x', path: '/y' }).given.query).toEqual({
      query: 'x',
      path: '/y',
    });
    expect(placeParameters(search, { path: { a: 1 } }).given).toMatchObject({
      query: { path: { a: 1 } },
      path: {},
    });
  });

  test('or in its group, when that holds nothing else', () => {
    expect(placeParameters(search, { query: { query: 'x', path: 'y' } }).given.query).toEqual({
      query: 'x',
      path: 'y',
    });
    expect(placeParameters(search, { query: { field: 'x' } }).given.query).toEqual({ query: { field: 'x' } });
  });
});
