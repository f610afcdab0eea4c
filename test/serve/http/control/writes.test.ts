import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import { type AskedChange, type Draft, ProposalConflict } from '../../../../src/reconcile/status.ts';
import { BODY_LIMIT, type Body, serveControl } from './served.ts';

const DRAFT: Draft = {
  identity: { kind: 'ToolWorkflow', tenant: null, name: 'x' },
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

describe('with a git target a write becomes a proposal', () => {
  const PROPOSED = { branch: 'seal-gateway/x', commit: 'c0ffee' };

  async function ask(
    { method = 'POST', path = '/v1/workflows' }: { method?: string; path?: string },
    drafted: Draft,
    fails?: Error,
  ) {
    const asked: unknown[] = [];
    const url = await serveControl({
      draft: async () => drafted,
      propose: async (...args) => {
        asked.push(args);
        if (fails !== undefined) throw fails;
        return PROPOSED;
      },
    });
    const response = await fetch(url + path, { method, ...(method !== 'DELETE' && { body: '{}' }) });
    return { status: response.status, body: (await response.json()) as Body, asked };
  }

  test('202 with branch and commit', async () => {
    const { status, body, asked } = await ask({}, DRAFT);
    expect(status).toBe(202);
    expect(body).toEqual({
      ...{ status: 'proposed', ...PROPOSED, kind: 'ToolWorkflow', tenant: null, name: 'x' },
      ...{ change: 'add', file: 'workflows/x.yaml', diagnostics: [] },
    });
    expect(asked).toEqual([[DRAFT, 'create', { subject: 'development', name: null, email: null }]]);
  });

  test.each([
    ['has an error', { diagnostics: [FAULT] }],
    ['is none', { identity: null, file: null, manifest_yaml: null, diagnostics: [FAULT] }],
  ])('what %s is not proposed', async (_, more) => {
    const { status, body, asked } = await ask({}, { ...DRAFT, ...more } as Draft);
    expect([status, body.error.code, asked]).toEqual([400, 4000, []]);
    expect(body.error.details).toMatchObject({ diagnostics: [FAULT] });
  });

  test('nor is the removal of what is nowhere', async () => {
    const drafted: Draft = { ...DRAFT, change: 'remove', file: null, manifest_yaml: null };
    const { status, asked } = await ask({ method: 'DELETE', path: '/v1/workflows/x' }, drafted);
    expect([status, asked]).toEqual([404, []]);
  });

  test('a POST of what is there is no way to replace it unseen', async () => {
    const { status, body, asked } = await ask({}, { ...DRAFT, change: 'replace' });
    expect([status, asked]).toEqual([409, []]);
    expect(body.error.message).toBe(
      'nothing was proposed: ToolWorkflow x is there already, in workflows/x.yaml; PUT replaces it, PATCH amends it',
    );
    expect(
      (await ask({ method: 'PUT', path: '/v1/workflows/x' }, { ...DRAFT, change: 'replace' })).status,
    ).toBe(202);
  });

  test('what git refuses is told with its code, and a conflict as one', async () => {
    const conflict = await ask({}, DRAFT, new ProposalConflict('the base branch says this already'));
    expect([conflict.status, conflict.body.error.message]).toEqual([
      409,
      'nothing was proposed: the base branch says this already',
    ]);
    const failed = await ask(
      {},
      DRAFT,
      new GatewayError('UPSTREAM_FAILED', 'nothing was proposed: git push: no'),
    );
    expect([failed.status, failed.body.error.code]).toEqual([502, 4200]);
  });
});
