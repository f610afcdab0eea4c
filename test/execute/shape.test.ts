/** Whatever the caller and the upstream say: what is sent has the shape that the manifest gives it, or is not sent. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { run, serve, toolOf } from './running.ts';
import { testEgress } from './upstream.ts';

/** Texts that mean something to paths, queries, headers, JSON and templates. */
const hostile = fc.string({
  unit: fc.constantFrom(
    ...[
      'a',
      '1',
      ' ',
      '.',
      '..',
      '/',
      '\\',
      '%2e',
      '%2f',
      '%00',
      '%',
      '?',
      '#',
      '&',
      '=',
      ';',
      '+',
      '@',
      ':',
    ],
    ...[
      '"',
      "'",
      ',',
      '{',
      '}',
      '[',
      ']',
      '{{',
      '}}',
      '{{input.admin}}',
      '","admin":true,"x":"',
      '\\"',
      '\\u0022',
    ],
    ...[
      '\r\n',
      '\n',
      '\0',
      '\t',
      '\r\nx-admin: 1',
      '&admin=1',
      '/admin',
      '?admin=1',
      'é',
      '☃',
      '😀',
      '\ud800',
    ],
    ...['．', '／', '__proto__', 'null', 'true', '-'],
  ),
  maxLength: 5,
});
const value = fc.oneof({ weight: 4, arbitrary: hostile }, fc.integer(), fc.boolean(), fc.constant(null));
const deep = fc.oneof(
  value,
  fc.array(value, { maxLength: 2 }),
  fc.dictionary(hostile, value, { maxKeys: 2 }),
);

it('no value changes the path, the query, the headers or the JSON around it, also of the elements of a list', async () => {
  let reply: unknown;
  const { url, asked } = await serve(({ url: path }) => (path === '/first' ? { body: reply as never } : {}));
  const tool = await toolOf(
    { crm: `${url}/v1`, top: url },
    {
      steps: [
        {
          name: 'first',
          api_spec: 'top',
          method: 'GET',
          path: '/first',
          extract: { x: '$.x', list: '$.list' },
        },
        {
          name: 'each',
          method: 'PUT',
          path: '/a/{p}/b/x{q}y',
          path_params: { p: '{{input.p}}', q: '{{item}}' },
          for_each: { in: '{{steps.first.list}}' },
          query: { one: '{{input.q}}', two: 't{{steps.first.x}}' },
          headers: { 'x-h': 'h{{input.h}}' },
          body: { text: 'a {{input.p}} b', whole: '{{steps.first.x}}', fixed: { admin: false } },
        },
        {
          name: 'text',
          method: 'POST',
          path: '/text',
          body_template: '{"text": "a {{input.p}} b", "whole": {{steps.first.x}}, "fixed": {"admin": false}}',
        },
      ],
    },
  );
  const egress = testEgress();
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({ p: value, q: value, h: hostile }),
      deep,
      fc.array(value, { maxLength: 2 }),
      async (input, x, list) => {
        asked.length = 0;
        reply = { x, list };
        const refused = await run(tool, input, { deps: { egress } }).output.then(
          () => null,
          (error: unknown) => error,
        );
        if (refused !== null) {
          expect(refused).toBeInstanceOf(GatewayError);
          expect(['INVALID_ARGUMENTS', 'UPSTREAM_FAILED']).toContain((refused as GatewayError).name);
        }
        for (const { url: target, method, headers, body } of asked.slice(1)) {
          sent += 1;
          const { pathname, searchParams } = new URL(target, 'http://h');
          if (method === 'PUT') {
            expect(pathname.split('/')).toEqual([
              '',
              'v1',
              'a',
              expect.stringMatching(/./),
              'b',
              expect.stringMatching(/^x.*y$/),
            ]);
            expect([...searchParams.keys()].filter((key) => key !== 'one')).toEqual(['two']);
            expect(headers['x-h']).toMatch(/^h/);
          } else {
            expect(target).toBe('/v1/text');
          }
          expect(Object.keys(headers).filter((name) => name.includes('admin'))).toEqual([]);
          const json = JSON.parse(body);
          expect(Object.keys(json).filter((key) => key !== 'whole')).toEqual(['text', 'fixed']);
          expect(json.fixed).toEqual({ admin: false });
          expect(json.text.startsWith('a ') && json.text.endsWith(' b')).toBe(true);
          // As the upstream sent it, whatever it holds.
          if (json.whole !== null) expect(json.whole).toEqual(x);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(sent).toBeGreaterThan(50);
});
