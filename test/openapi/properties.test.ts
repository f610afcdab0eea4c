/** Laws of the request builder, on random values. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { buildRequest, literalOperation } from '../../src/openapi/request.ts';
import { type Described, readHeader, readPairs, readPathValue, splitPath, texts } from './conforming.ts';
import { operationOf } from './documents.ts';

const RUNS = { numRuns: 400 };

/** Texts of what has a meaning somewhere, and of what has none. */
const anyText = fc.string({
  unit: fc.constantFrom(
    ...'ab0-._~ :/?#[]@!$&\'()*+,;=%"<>\\^`{|}',
    '\t',
    '\n',
    '\0',
    'é',
    '☃',
    '😀',
    '%2e',
    '%2F',
    '..',
    '．',
    '‥',
  ),
  maxLength: 6,
});
const plain = fc.string({
  unit: fc.constantFrom(...'ab0-_~ :?#[]@!$&\'()*+;"<>^`{}é☃😀=%'),
  minLength: 1,
  maxLength: 6,
});
const word = fc.stringMatching(/^[a-z]{1,4}$/);
const leaf = (text: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 3, arbitrary: text }, fc.integer(), fc.boolean());

const kinds = fc.constantFrom('text', 'list', 'map' as const);
const anyValue = (kind: string, text: fc.Arbitrary<string>): fc.Arbitrary<unknown> => {
  if (kind === 'list') return fc.array(leaf(text), { minLength: 1, maxLength: 3 });
  if (kind === 'map') return fc.dictionary(word, leaf(text), { minKeys: 1, maxKeys: 3 });
  return leaf(text);
};

interface Case extends Described {
  readonly value: unknown;
}

const caseIn = (
  place: string,
  name: string,
  styles: readonly string[],
  text: fc.Arbitrary<string>,
): fc.Arbitrary<Case> =>
  fc
    .record({ style: fc.constantFrom(...styles), explode: fc.boolean(), kind: kinds })
    .chain((described) =>
      anyValue(described.kind, text).map((value) => ({ ...described, name, in: place, value }) as Case),
    );

/** Values that their style can hold; others are refused, which the table test is about. */
const holds = ({ style, explode, kind, value }: Case): boolean => {
  const flat = kind === 'map' ? Object.entries(value as object).flat() : [value].flat();
  const any = (sign: string) => flat.some((part) => String(part).includes(sign));
  // `.;` could be read as a dot segment with a path parameter.
  if (style === 'label' && String(flat[0]).startsWith(';')) return false;
  if (style === 'label' && explode && kind !== 'text') return !any('.');
  if (style === 'spaceDelimited' && !explode && kind !== 'text') return !any(' ');
  if (style === 'pipeDelimited' && !explode && kind !== 'text') return !any('|');
  return true;
};

const pathCase = caseIn(
  'path',
  'p',
  ['simple', 'label', 'matrix'],
  plain.filter((text) => !/%/.test(text)),
).filter(holds);
const queryStyles = ['form', 'spaceDelimited', 'pipeDelimited'];
const queryCase = (name: string) => caseIn('query', name, queryStyles, anyText).filter(holds);
const headerText = fc
  .string({ unit: fc.constantFrom(...'ab0-._~ :/?#[]@!$&\'()*+;%"é'), minLength: 1, maxLength: 6 })
  .map((text) => text.trim() || 'x');
const headerCase = caseIn('header', 'h', ['simple'], headerText);
const cookieCase = caseIn('cookie', 'c', ['form'], anyText);

/** What is sent, and what a server reads from it. */
function exchanged(cases: readonly Case[]) {
  const operation = operationOf('get', '/x/{p}/y', {
    parameters: cases.map(({ name, in: place, style, explode }) => ({
      name,
      in: place,
      style,
      explode,
      required: place === 'path',
      schema: {},
    })),
  });
  const valuesIn = (place: string) =>
    Object.fromEntries(cases.filter((one) => one.in === place).map(({ name, value }) => [name, value]));
  const { target, headers } = buildRequest(operation, {
    path: valuesIn('path'),
    query: valuesIn('query'),
    headers: valuesIn('header'),
    cookies: valuesIn('cookie'),
  });
  const [path, query = ''] = target.split('?');
  const of = (place: string) => cases.filter((one) => one.in === place);
  const raw = splitPath('/x/{p}/y', path!);
  const sent = Object.fromEntries(cases.map(({ name, value }) => [name, texts(value)]));
  const read = {
    ...Object.fromEntries(of('path').map((one) => [one.name, readPathValue(one, raw[one.name]!)])),
    ...Object.fromEntries(of('header').map((one) => [one.name, readHeader(one, headers[one.name]!)])),
    ...readPairs(of('query'), query),
    ...readPairs(of('cookie'), headers.cookie ?? '', '; '),
  };
  return { sent, read };
}

describe('a conforming server reads what was given', () => {
  test('path, query, header and cookie together', () => {
    fc.assert(
      fc.property(pathCase, queryCase('one'), headerCase, cookieCase, (...cases) => {
        const { sent, read } = exchanged(cases);
        expect(read).toEqual(sent);
      }),
      RUNS,
    );
  });

  test('queries beside each other', () => {
    const path = fc.constant<Case>({
      name: 'p',
      in: 'path',
      style: 'simple',
      explode: false,
      kind: 'text',
      value: 'v',
    });
    // Of two exploded maps nobody can tell whose a key is.
    const firm = (one: Case) => one.kind !== 'map' || !one.explode;
    fc.assert(
      fc.property(
        path,
        queryCase('Q1').filter(firm),
        queryCase('Q2').filter(firm),
        queryCase('Q3'),
        (...cases) => {
          const { sent, read } = exchanged(cases);
          expect(read).toEqual(sent);
        },
      ),
      RUNS,
    );
  });

  test('deepObject', () => {
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf(anyText),
        fc.array(tie('node'), { minLength: 1, maxLength: 2 }),
        fc.dictionary(word, tie('node'), { minKeys: 1, maxKeys: 2 }),
      ),
    })).node;
    const operation = operationOf('get', '/a', {
      parameters: [{ name: 'q', in: 'query', style: 'deepObject', explode: true }],
    });
    const described: Described = { name: 'q', in: 'query', style: 'deepObject', explode: true, kind: 'map' };
    fc.assert(
      fc.property(fc.dictionary(word, tree, { minKeys: 1, maxKeys: 3 }), (value) => {
        const [, query = ''] = buildRequest(operation, { query: { q: value } }).target.split('?');
        expect(readPairs([described], query)).toEqual({ q: texts(value) });
      }),
      RUNS,
    );
  });

  test('JSON by content, and JSON bodies', () => {
    const operation = operationOf('post', '/a', {
      parameters: [{ name: 'q', in: 'query', content: { 'application/json': {} } }],
      requestBody: { content: { 'application/json': {} } },
    });
    fc.assert(
      fc.property(
        fc.jsonValue().filter((value) => value !== null),
        (value) => {
          const { target, body } = buildRequest(operation, { query: { q: value }, body: value });
          const again = JSON.parse(JSON.stringify(value));
          expect(JSON.parse(decodeURIComponent(target.slice('/a?q='.length)))).toEqual(again);
          expect(JSON.parse(String(body))).toEqual(again);
        },
      ),
      RUNS,
    );
  });

  test('forms, by the parser of the platform', () => {
    const operation = operationOf('post', '/a', {
      requestBody: { content: { 'application/x-www-form-urlencoded': {} } },
    });
    fc.assert(
      fc.property(fc.dictionary(anyText, leaf(anyText), { maxKeys: 4 }), (body) => {
        const sent = String(buildRequest(operation, { body }).body);
        expect(Object.fromEntries(new URLSearchParams(sent))).toEqual(texts(body));
      }),
      RUNS,
    );
  });
});

/** The target, or null when the values are refused as they may be. */
function targetOf(path: string, values: Record<string, unknown>, allow_slash: boolean): string | null {
  try {
    return buildRequest(literalOperation('GET', path), { path: values }, { allow_slash }).target;
  } catch (error) {
    if (error instanceof GatewayError && error.name === 'INVALID_ARGUMENTS') return null;
    throw error;
  }
}

/** How the most careless server splits a path: decoded as often as it goes, folded, and then split. */
function carelessly(path: string): string[] {
  let current = path;
  for (let round = 0; round < 20; round += 1) {
    try {
      current = current.replace(/(%[0-9a-f]{2})+/gi, decodeURIComponent);
    } catch {
      break;
    }
  }
  return current.normalize('NFKC').replaceAll('\\', '/').split('/');
}

describe('no path value changes the shape of a path', () => {
  const template = fc.constantFrom('/a/{x}/b/{y}', '/a/.{x}/{y}b', '/a/{x}{y}/b', "/a('{x}')/..{y}/b");
  const value = fc.oneof(
    anyText,
    fc.array(anyText, { maxLength: 2 }),
    fc.dictionary(anyText, anyText, { maxKeys: 2 }),
  );

  test('neither for a standard reader nor for a careless one', () => {
    let sent = 0;
    fc.assert(
      fc.property(template, value, value, (path, x, y) => {
        const target = targetOf(path, { x, y }, false);
        if (target === null) return;
        sent += 1;
        expect(target).toMatch(/^\/[\x21-\x7e]*$/);
        expect(target).not.toMatch(/[?#\\]/);
        expect(new URL(`http://h${target}`).pathname.split('/')).toHaveLength(path.split('/').length);
        const segments = carelessly(target);
        expect(segments).toHaveLength(path.split('/').length);
        expect(segments.filter((segment) => /^\.{1,2}$/.test(segment))).toEqual([]);
      }),
      { numRuns: 3000 },
    );
    expect(sent).toBeGreaterThan(100);
  });

  test('with slashes allowed, neither for a standard reader, nor does a careless one climb', () => {
    fc.assert(
      fc.property(template, value, value, (path, x, y) => {
        const target = targetOf(path, { x, y }, true);
        if (target === null) return;
        expect(new URL(`http://h${target}`).pathname.split('/')).toHaveLength(path.split('/').length);
        expect(carelessly(target).filter((segment) => /^\.{1,2}$/.test(segment))).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});

test('no query value adds a parameter, whatever it is', () => {
  const operation = operationOf('get', '/a', {
    parameters: ['x', 'y'].map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
  });
  fc.assert(
    fc.property(anyText, anyText, (x, y) => {
      const url = new URL(`http://h${buildRequest(operation, { query: { x, y } }).target}`);
      expect([...url.searchParams]).toEqual([
        ['x', x],
        ['y', y],
      ]);
      expect(url.pathname + url.hash).toBe('/a');
    }),
    RUNS,
  );
});

test('with allowReserved neither', () => {
  const operation = operationOf('get', '/a', {
    parameters: ['x', 'y'].map((name) => ({ name, in: 'query', allowReserved: true })),
  });
  fc.assert(
    fc.property(anyText, anyText, (x, y) => {
      const url = new URL(`http://h${buildRequest(operation, { query: { x, y } }).target}`);
      expect([...url.searchParams]).toEqual([
        ['x', x],
        ['y', y],
      ]);
    }),
    RUNS,
  );
});

test('what is given in any shape is sent or refused, and nothing else happens', () => {
  const operation = operationOf('post', '/a/{p}', {
    parameters: [
      { name: 'p', in: 'path', required: true },
      { name: 'q', in: 'query' },
      { name: 'd', in: 'query', style: 'deepObject' },
      { name: 'h', in: 'header' },
      { name: 'c', in: 'cookie' },
    ],
    requestBody: { content: { 'multipart/form-data': {} } },
  });
  const odd = fc.anything({ withBigInt: true, withNullPrototype: true });
  fc.assert(
    fc.property(odd, odd, odd, odd, odd, odd, (p, q, d, h, c, body) => {
      const given = { path: { p }, query: { q, d }, headers: { h }, cookies: { c }, body };
      try {
        buildRequest(operation, given);
      } catch (error) {
        expect(error).toMatchObject({ name: 'INVALID_ARGUMENTS' });
      }
    }),
    { numRuns: 2000 },
  );
});
