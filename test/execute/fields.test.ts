import { expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { compileFields, MAX_FIELDS } from '../../src/execute/fields.ts';
import { explorerTool } from '../../src/reconcile/compile-explorer.ts';

function refusal(fields: unknown): GatewayError {
  try {
    compileFields(fields);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    return error as GatewayError;
  }
  return expect.fail('nothing was refused');
}

test('each text once, in the order given', () => {
  const queries = compileFields(['$.b', '$.a', '$.b']);
  expect(queries.map(({ text }) => text)).toEqual(['$.b', '$.a']);
});

test('as many as the limit, and no more', () => {
  expect(compileFields(Array.from({ length: MAX_FIELDS }, (_, i) => `$[${i}]`))).toHaveLength(MAX_FIELDS);
  expect(refusal(Array(MAX_FIELDS + 1).fill('$'))).toMatchObject({
    name: 'INVALID_ARGUMENTS',
    message: 'fields: 33 expressions, and a call may have 32',
    details: { limit: 32 },
  });
});

test.each([[undefined], [null], ['$'], [{}], [[]]])('no list of texts: %j', (fields) => {
  expect(refusal(fields).message).toBe('fields: a list of JSONPath texts, such as ["$.data[*].id"]');
});

test('the place in the list and in the text of the first that is bad', () => {
  expect(refusal(['$', '$.a-b', '$['])).toMatchObject({
    name: 'INVALID_ARGUMENTS',
    message: expect.stringMatching(/^fields\[1\]: JSONPath "\$\.a-b" at offset 3: /),
    details: { field: 1, offset: 3 },
  });
  expect(refusal(['$', 7])).toMatchObject({ message: 'fields[1]: not a text', details: { field: 1 } });
});

test('the schema of the explorer tells the same limits', () => {
  const tool = explorerTool(new Map([['/x', { kind: 'unavailable', tenant: null, reason: '' }]]))!;
  const problems = (fields: unknown): number =>
    tool.validate({ api_spec_id: 'x', operation_id: 'y', fields }).length;
  expect(problems(Array(MAX_FIELDS).fill('$'))).toBe(0);
  expect(problems(Array(MAX_FIELDS + 1).fill('$'))).toBe(1);
  expect(problems([`$.${'a'.repeat(1_022)}`])).toBe(0);
  expect(problems([`$.${'a'.repeat(1_023)}`])).toBe(1);
  expect(refusal([`$.${'a'.repeat(1_023)}`]).message).toContain('1024 characters');
});
