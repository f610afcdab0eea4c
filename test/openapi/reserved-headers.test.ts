/** Headers that are the gateway's to set: one list, in the code and in the texts that people read. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { indexDocument } from '../../src/openapi/index-document.ts';
import { RESERVED_HEADERS } from '../../src/openapi/reserved-headers.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8').toLowerCase();

describe.each([...RESERVED_HEADERS])('%s', (name) => {
  test('is named where headers are written down', () => {
    const [workflow, api] = ['ToolWorkflow', 'ApiSpec'].map((kind) => read(`schemas/${kind}.schema.json`));
    for (const text of [workflow, api]) expect(text).toContain(`${name}, `);
    expect(read('docs/guides/workflows.md')).toContain(`\`${name}\``);
  });

  test('is no parameter, whatever a document says', () => {
    const parameters = [{ name: name.toUpperCase(), in: 'header', required: true, schema: {} }];
    const { operations, problems } = indexDocument({
      openapi: '3.1.0',
      info: { title: 'x', version: '1' },
      paths: { '/x': { get: { operationId: 'x', parameters } } },
    });
    expect(problems.filter(({ operation_id }) => operation_id !== null)).toEqual([]);
    expect(operations.get('x')?.parameters).toEqual([]);
  });
});
