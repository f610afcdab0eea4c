import { describe, expect, test } from 'vitest';
import type { AskedChange, Draft } from '../../../../src/reconcile/status.ts';
import { BODY_LIMIT, type Body, serveControl } from './served.ts';

const DRAFT: Draft = {
  change: 'add',
  file: 'workflows/x.yaml',
  shares_file_with: [],
  manifest_yaml: 'kind: ToolWorkflow\n',
  diagnostics: [],
};
const FAULT = {
  severity: 'error',
  rule: 'unknown-field',
  file: 'workflows/x.yaml',
  line: 1,
  column: 2,
  message: 'no',
  hint: null,
} as const;

/** Serves one request, with what was asked of the drafting beside the answer. */
async function send(method: string, path: string, body?: string, drafted: Draft = DRAFT) {
  const asked: AskedChange[] = [];
  const draft = async (change: AskedChange) => {
    asked.push(change);
    return drafted;
  };
  const url = await serveControl({ draft });
  const response = await fetch(url + path, { method, ...(body !== undefined && { body }) });
  return {
    status: response.status,
    allow: response.headers.get('allow'),
    body: (await response.json()) as Body,
    asked,
  };
}

describe('a write changes nothing, and is answered with the manifest that would', () => {
  const GIVEN = '{"name":"x"}';
  test.each([
    ['POST', '/v1/specs', 'create', 'ApiSpec', null, null],
    ['POST', '/v1/workflows', 'create', 'ToolWorkflow', null, null],
    ['POST', '/v1/cli-tools?tenant=acme', 'create', 'CliTool', null, 'acme'],
    ['POST', '/v1/security-contexts', 'create', 'SecurityContext', null, null],
    ['PUT', '/v1/specs/crm', 'replace', 'ApiSpec', 'crm', null],
    ['PUT', '/v1/workflows/a%2Fb?tenant=acme', 'replace', 'ToolWorkflow', 'a/b', 'acme'],
    ['PATCH', '/v1/cli-tools/kubectl', 'amend', 'CliTool', 'kubectl', null],
    ['DELETE', '/v1/security-contexts/reader', 'remove', 'SecurityContext', 'reader', null],
  ] as const)('%s %s', async (method, path, action, kind, name, tenant) => {
    const { status, allow, body, asked } = await send(method, path, action === 'remove' ? undefined : GIVEN);
    expect([status, allow]).toEqual([405, 'GET, HEAD']);
    expect(asked).toEqual([
      { action, kind, name, tenant, body: action === 'remove' ? null : Buffer.from(GIVEN) },
    ]);
    expect(body).toMatchObject({
      ...{ protocol: 'seal/v1', status: 'error' },
      error: { code: 405, name: 'METHOD_NOT_ALLOWED', message: expect.any(String), details: DRAFT },
    });
  });

  const bad = [FAULT];
  test.each([
    [{}, 'Write the manifest to workflows/x.yaml and merge that'],
    [
      { diagnostics: bad },
      'Write the manifest to workflows/x.yaml and merge that; as it is it would not be applied: see diagnostics',
    ],
    [{ change: 'replace' }, 'Put the manifest in the place of the one in workflows/x.yaml and merge that'],
    [
      { manifest_yaml: null, file: null, diagnostics: bad },
      'What was sent is no ToolWorkflow: see diagnostics',
    ],
    [
      { change: 'remove', manifest_yaml: null },
      'Remove the ToolWorkflow from workflows/x.yaml and merge that',
    ],
    [
      { change: 'remove', manifest_yaml: null, diagnostics: bad },
      'Remove the ToolWorkflow from workflows/x.yaml and merge that; it is in use: see diagnostics',
    ],
    [{ change: 'remove', manifest_yaml: null, file: null }, 'There is no such ToolWorkflow to remove'],
  ] as const)('%j says: %s', async (more, message) => {
    const { body } = await send('POST', '/v1/workflows', GIVEN, { ...DRAFT, ...more });
    expect(body.error.message).toBe(`nothing was changed: configuration flows through git. ${message}`);
  });
});

test('a body over the limit is refused before it is read', async () => {
  const { status, body, asked } = await send('POST', '/v1/workflows', 'x'.repeat(BODY_LIMIT + 1));
  expect([status, body.error.code, asked]).toEqual([413, 1000, []]);
});

test('a parameter that would be ignored is refused', async () => {
  const { status, asked } = await send('DELETE', '/v1/workflows/x?tenent=acme');
  expect([status, asked]).toEqual([400, []]);
});

test('who is no operator learns nothing', async () => {
  const url = await serveControl({ development: false });
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await fetch(`${url}/v1/workflows/x`, {
      method,
      ...(method !== 'DELETE' && { body: '{}' }),
    });
    expect(response.status).toBe(401);
  }
});
