/** The explorer through a real gateway: signed envelopes in, slices out, and every mistake with its code. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Draft, draftCall, newKey, seal, signText, signToken } from '../support/caller.ts';
import { type Answer, postTo, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { newOperatorKey, OPERATOR_ISSUER, operatorClaims, operatorToken } from '../support/operator.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const KEY = 'the-key-of-the-gateway';
const DOCUMENT = {
  openapi: '3.0.3',
  info: { title: 'CRM', version: '1' },
  paths: {
    '/customers': {
      get: {
        operationId: 'listCustomers',
        summary: 'Customers, page by page.',
        parameters: [
          { name: 'page', in: 'query', schema: { type: 'integer' } },
          { name: 'limit', in: 'query', schema: { type: 'integer' } },
          { name: 'X-Trace', in: 'header', schema: { type: 'string' } },
          { name: 'X-Version', in: 'header', required: true, schema: { type: 'string' } },
          { name: 'User-Agent', in: 'header', required: true, schema: { type: 'string' } },
          { name: 'session', in: 'cookie', schema: { type: 'string' } },
        ],
      },
      post: { operationId: 'createCustomer', requestBody: { content: { 'application/json': {} } } },
    },
    '/customers/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      get: { operationId: 'getCustomer', summary: 'One customer.' },
      delete: { operationId: 'deleteCustomer' },
    },
    '/customers/{id}/secrets': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      get: { operationId: 'listSecrets' },
    },
    '/replies/{kind}': {
      parameters: [{ name: 'kind', in: 'path', required: true, schema: { type: 'string' } }],
      get: { operationId: 'getReply' },
      head: { operationId: 'headReply' },
    },
    '/elsewhere': { get: { operationId: 'getElsewhere', servers: [{ url: 'https://other.example' }] } },
  },
};

const CUSTOMERS = Array.from({ length: 1_000 }, (_, i) => ({
  id: `c-${i}`,
  name: `Customer ${i}`,
  address: { street: 'x'.repeat(120), city: 'Berlin' },
}));

let upstream: Upstream;
let gateway: TestGateway;
let files: string;
/** Requests that are still to fail. */
let failures = 0;
const seen: Record<string, string | string[] | undefined>[] = [];
const caller = { iss: 'https://agents.invalid', issuer_key: newKey(), agent_key: newKey() };
const operators = newOperatorKey();

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    seen.push(request.headers);
    const url = new URL(request.url ?? '/', 'http://x');
    const json = (value: unknown, status = 200, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    };
    const kind = url.pathname.split('/')[2] ?? '';
    if (failures > 0) {
      failures -= 1;
      return json({}, 503);
    }
    if (url.pathname === '/customers') {
      const link = `<http://${request.headers.host}/customers?page=3&limit=50&key=${KEY}>; rel="next", </>; rel="first"`;
      return json({ data: CUSTOMERS, next: '/customers?page=9' }, 200, { link });
    }
    if (!url.pathname.startsWith('/replies/')) return json({ id: kind, name: 'Ada', secret: 1 });
    switch (kind) {
      case 'echo':
        return json({
          url: request.url,
          key: KEY,
          twice: { [KEY]: `${KEY}${KEY}` },
          pad: 'x'.repeat(300_000),
        });
      case 'failing':
        return json({ error: 'no', hint: `Bearer ${KEY}`, more: 'x'.repeat(100_000) }, 500);
      case 'fields':
        return json({ error: 'no such customer', token: 'abcdefgh', trace: { password: 'x', id: 7 } }, 422);
      case 'missing':
        return json({ error: 'there is no such thing' }, 404);
      case 'redirect':
        return json('', 302, { location: 'http://169.254.169.254/' });
      case 'html':
        response.writeHead(200, { 'content-type': 'application/json' });
        return void response.end('<html>oops</html>');
      case 'empty':
        return void response.writeHead(204).end();
      case 'text':
        response.writeHead(200, { 'content-type': 'text/plain' });
        return void response.end('plain');
      case 'binary':
        response.writeHead(200, { 'content-type': 'application/octet-stream' });
        return void response.end(Buffer.from([0, 1, 2]));
      case 'bomb': {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
        return void response.end(gzipSync(Buffer.alloc(50 * 1024 * 1024, ' ')));
      }
      case 'huge':
        return json(`[${'{"a":[1,2,3,{"b":null}]},'.repeat(350_000)}0]`);
      case 'truncated':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{"a":1');
        return void setImmediate(() => response.destroy());
      case 'slow':
        return response.flushHeaders();
      default:
        return json({ cursor: { next: 'x' }, nextCursor: 'abc' });
    }
  });
  files = mkdtempSync(join(tmpdir(), 'seal-operators-'));
  writeFileSync(join(files, 'jwks.json'), JSON.stringify(operators.jwks));
  mkdirSync(join(files, 'secrets/crm'), { recursive: true });
  writeFileSync(join(files, 'secrets/crm/key'), KEY, { mode: 0o400 });
  gateway = await startTestGateway({
    spec: {
      credentials: { files: { dir: join(files, 'secrets') } },
      auth: {
        operator_jwks_uri: join(files, 'jwks.json'),
        operator_jwt_issuer: OPERATOR_ISSUER,
        operator_security_context: 'operators',
      },
    },
    manifests: manifests(),
  });
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
  rmSync(files, { recursive: true });
});
beforeEach(() => void seen.splice(0));

function manifests() {
  const api = (name: string, more: Record<string, unknown> = {}, tenant?: string) => ({
    kind: 'ApiSpec',
    name,
    ...(tenant !== undefined && { tenant }),
    spec: {
      source: { inline: DOCUMENT },
      base_url: upstream.url,
      headers: { 'X-Version': '2' },
      egress: { allow_private: true },
      timeout_ms: 20_000,
      ...more,
    },
  });
  const context = (name: string, spec: Record<string, unknown>) => ({ kind: 'SecurityContext', name, spec });
  return [
    api('crm'),
    api('own', {}, 'acme'),
    api('fixed', {
      headers: { 'X-Version': '2', Accept: 'text/fixed' },
      credential: { static_ref: { key: 'crm', field: 'key' } },
      inject: { header: { name: 'Cookie', prefix: 'session=' } },
    }),
    api('closed', { explorer: { operations: [] } }),
    api('writable', { explorer: { operations: ['*Customer'], methods: ['POST', 'DELETE'] } }),
    api('walled', { egress: { allow_private: false } }),
    api('hasty', { timeout_ms: 200 }),
    api('keyed', {
      credential: { static_ref: { key: 'crm', field: 'key' } },
      inject: { query: { name: 'key' } },
    }),
    api('flaky', {
      retry: { attempts: 2, backoff_ms: 1 },
      explorer: { methods: ['GET', 'POST'] },
    }),
    { kind: 'ApiSpec', name: 'broken', spec: { source: { inline: { openapi: '2' } } } },
    {
      kind: 'ToolWorkflow',
      name: 'customers.list',
      spec: {
        description: 'All customers.',
        api_spec: 'crm',
        allow_fields: true,
        steps: [{ name: 'only', operation_id: 'listCustomers', headers: { 'X-Version': '2' } }],
      },
    },
    {
      kind: 'ToolWorkflow',
      name: 'customers.whole',
      spec: {
        description: 'All customers, whole.',
        api_spec: 'crm',
        steps: [{ name: 'only', operation_id: 'listCustomers', headers: { 'X-Version': '2' } }],
      },
    },
    {
      kind: 'ToolWorkflow',
      name: 'replies.get',
      spec: {
        description: 'A reply.',
        api_spec: 'crm',
        input_schema: { type: 'object', properties: { kind: { type: 'string' } } },
        steps: [{ name: 'only', operation_id: 'getReply', path_params: { kind: '{{input.kind}}' } }],
      },
    },
    { kind: 'Tenant', name: 'acme', spec: { display_name: 'Acme' } },
    context('main', {
      deny_list: ['api.explore:crm:listSecrets'],
      capabilities: [
        { tool_pattern: 'api.explore' },
        { tool_pattern: 'customers.*' },
        { tool_pattern: 'replies.*' },
      ],
    }),
    context('narrow', {
      capabilities: [
        { tool_pattern: 'api.explore', command_allowlist: ['crm:list*'], max_response_size: 2_000 },
        { tool_pattern: 'customers.*', max_response_size: 2_000 },
      ],
    }),
    context('none', { capabilities: [{ tool_pattern: 'customers.*' }] }),
    context('operators', {
      capabilities: [
        {
          tool_pattern: 'api.explore',
          command_allowlist: ['crm:getCustomer'],
          rate_limit: { calls: 3, per_seconds: 600 },
        },
      ],
    }),
    {
      kind: 'TokenIssuer',
      name: 'agents',
      spec: {
        issuer: caller.iss,
        audience: 'seal-gateway',
        algorithms: ['EdDSA'],
        jwks: { inline: { keys: [caller.issuer_key.jwk] } },
        envelope_keys: { inline: { keys: [caller.agent_key.jwk] } },
      },
    },
  ];
}

type Fields = Record<string, unknown>;

const LIST = { api_spec_id: 'crm', operation_id: 'listCustomers', fields: ['$.data[0].id'] };
const reply = (kind: string, more: Fields = {}): Fields => ({
  api_spec_id: 'crm',
  operation_id: 'getReply',
  parameters: { kind },
  fields: ['$'],
  ...more,
});

function drafted(args: Fields, claims: Fields = {}): Draft {
  const draft = draftCall(caller, 'api.explore', args);
  Object.assign(draft.claims, claims);
  return draft;
}

function explore(args: Fields, claims: Fields = {}): Promise<Answer> {
  return postTo(gateway.url(), seal(drafted(args, claims)), '/v1/explorer');
}

function call(tool: string, more: Fields, claims: Fields = {}): Promise<Answer> {
  const draft = draftCall(caller, tool);
  Object.assign(draft.claims, claims);
  const { params, ...rest } = draft.payload as { params: Fields };
  draft.payload = { ...rest, params: { ...params, ...more } };
  return gateway.post(seal(draft));
}

const names = (answer: Answer): unknown => [
  answer.status,
  answer.body.error?.code,
  answer.body.error?.message,
];
const types = async (answer: Answer): Promise<string[]> =>
  (await gateway.eventsOf(answer)).map((event) => event.event_type);

describe('an exploration', () => {
  test('answers slices, sizes and what the upstream said, and records both', async () => {
    const fields = ['$.data[0].name', '$.data[*].id', '$.nothing'];
    const answer = await explore({ ...LIST, parameters: { limit: 1_000 }, fields });
    const sliced_data = {
      '$.data[0].name': ['Customer 0'],
      '$.data[*].id': CUSTOMERS.map(({ id }) => id),
      '$.nothing': [],
    };
    const bytes_before = Buffer.byteLength(JSON.stringify({ data: CUSTOMERS, next: '/customers?page=9' }));
    const bytes_after = Buffer.byteLength(JSON.stringify(sliced_data));
    expect(answer.status, JSON.stringify(answer.body.error)).toBe(200);
    expect(answer.body.result).toEqual({
      sliced_data,
      bytes_before,
      bytes_after,
      operation_metadata: { status: 200, content_type: 'application/json' },
    });
    const [intent, outcome, ...rest] = await gateway.eventsOf(answer);
    expect(rest).toEqual([]);
    expect(intent).toMatchObject({
      event_type: 'ToolCallAuthorized',
      payload: {
        tool_name: 'api.explore',
        api_spec_id: 'crm',
        operation_id: 'listCustomers',
        agent_id: 'agent-7',
        security_context: 'main',
        rule: 'capabilities[0]',
      },
    });
    expect(outcome).toMatchObject({
      event_type: 'ExplorerRequestExecuted',
      payload: {
        api_spec_id: 'crm',
        operation_id: 'listCustomers',
        fields_requested: fields,
        http_status: 200,
        response_bytes_before_slice: bytes_before,
        response_bytes_after_slice: bytes_after,
        matches: 1_001,
      },
    });
    expect(upstream.requests.at(-1)).toBe('GET /customers?limit=1000');
    // The fixed header of the ApiSpec is sent, though the caller did not and could not give it.
    expect(seen.at(-1)).toMatchObject({ 'x-version': '2' });
  });

  test('is the same call in every form, and by every route', async () => {
    const parameters = { id: 'c-1' };
    const args = { api_spec_id: 'crm', operation_id: 'getCustomer', parameters, fields: ['$.name'] };
    const forms = [drafted(args).payload, { tool: 'api.explore', arguments: args }, args];
    for (const path of ['/v1/explorer', '/v1/invoke', '/v1/seal/invoke']) {
      for (const payload of forms) {
        const answer = await postTo(gateway.url(), seal({ ...drafted(args), payload }), path);
        expect(answer.body.result, path).toMatchObject({ sliced_data: { '$.name': ['Ada'] } });
      }
    }
    const seenArguments = (await gateway.trail.query({ tool_name: 'api.explore', limit: 9 })).map(
      ({ payload }) => payload.arguments_digest,
    );
    expect(new Set(seenArguments).size).toBe(1);
  });

  test('takes parameters by name or in groups', async () => {
    for (const parameters of [
      { limit: 5, 'X-Trace': 'a b' },
      { query: { limit: 5 }, header: { 'x-trace': 'a b' } },
      { limit: 5, header: { 'X-TRACE': 'a b' } },
    ]) {
      expect((await explore({ ...LIST, parameters })).status).toBe(200);
      expect(upstream.requests.at(-1)).toBe('GET /customers?limit=5');
      expect(seen.at(-1)).toMatchObject({ 'x-trace': 'a b' });
    }
  });

  test('of a reply of megabytes', async () => {
    const answer = await explore(reply('huge', { fields: ['$[0].a[3].b', '$[-1]'] }));
    expect(answer.body.result).toMatchObject({ sliced_data: { '$[0].a[3].b': [null], '$[-1]': [0] } });
    expect((answer.body.result as { bytes_before: number }).bytes_before).toBeGreaterThan(8_000_000);
  });

  test.each([
    ['$..*..*..*', /^JSONPath "\$\.\.\*\.\.\*\.\.\*" visits more than 1000000 nodes/],
    ['$[?count($..*) > 1]', /visits more than 1000000 nodes; name more of the path$/],
  ])('that asks for more of it than anybody may: %s', async (field, message) => {
    const answer = await explore(reply('huge', { fields: [field] }));
    expect(names(answer)).toEqual([400, 4000, expect.stringMatching(message)]);
    expect(await types(answer)).toEqual(['ToolCallAuthorized', 'ExplorerRequestFailed']);
  });

  test.each([
    ['text', ['plain'], 'text/plain'],
    ['binary', [{ base64: 'AAEC' }], 'application/octet-stream'],
    ['empty', [null], null],
  ])('of a reply that is %s', async (kind, value, content_type) => {
    const answer = await explore(reply(kind));
    expect(answer.body.result).toMatchObject({
      sliced_data: { $: value },
      operation_metadata: { content_type },
    });
  });

  test('by HEAD, which has no body', async () => {
    const answer = await explore(reply('x', { operation_id: 'headReply', fields: ['$', '$.a'] }));
    expect(answer.body.result).toMatchObject({ sliced_data: { $: [null], '$.a': [] }, bytes_before: 0 });
  });
});

describe('hints', () => {
  test('the next page by the Link header, and the operations beside that may be explored', async () => {
    const answer = await explore({
      ...LIST,
      parameters: { query: { page: 2, limit: 50 } },
      include_hints: true,
    });
    const { hints } = answer.body.result as { hints: Fields };
    expect(hints).toEqual({
      next_page: { from: 'link', parameters: { query: {}, page: '3', limit: '50' }, value: null },
      // listSecrets is denied, createCustomer and deleteCustomer write.
      related_operations: [
        { operation_id: 'getCustomer', method: 'GET', path: '/customers/{id}', summary: 'One customer.' },
      ],
    });
    // The link repeated the credential.
    expect(JSON.stringify(answer.body)).not.toContain(KEY);
    const next = await explore({ ...LIST, parameters: (hints.next_page as Fields).parameters });
    expect(next.status).toBe(200);
    expect(upstream.requests.at(-1)).toBe('GET /customers?page=3&limit=50');
  });

  test('not unless they are asked for', async () => {
    expect((await explore(LIST)).body.result).not.toHaveProperty('hints');
  });

  test('a mark that no parameter takes is told as it is', async () => {
    const answer = await explore(reply('cursor', { include_hints: true }));
    expect((answer.body.result as { hints: Fields }).hints).toEqual({
      next_page: { from: '$.nextCursor', parameters: null, value: 'abc' },
      related_operations: [
        { operation_id: 'headReply', method: 'HEAD', path: '/replies/{kind}', summary: null },
      ],
    });
  });
});

describe('an API with a credential', () => {
  test('gets it, and whatever it echoes of it is masked before anything is selected', async () => {
    const fields = ['$.url', '$.key', '$.twice', `$[?@ == '${KEY}']`, "$.key[?@ > 'a']"];
    const answer = await explore(reply('echo', { api_spec_id: 'keyed', fields, include_hints: true }));
    expect(upstream.requests.at(-1)).toBe(`GET /replies/echo?key=${KEY}`);
    expect(answer.body.result).toMatchObject({
      sliced_data: {
        '$.url': ['/replies/echo?key=[secret]'],
        '$.key': ['[secret]'],
        '$.twice': [{ '[secret]': '[secret][secret]' }],
        [`$[?@ == '${KEY}']`]: [],
      },
    });
    const events = await gateway.eventsOf(answer);
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'ToolCallAuthorized',
      'CredentialExchangeCompleted',
      'ExplorerRequestExecuted',
    ]);
    expect(JSON.stringify(events)).not.toContain(KEY);
  });

  test('is told of no next page that would repeat it', async () => {
    const keyed = { ...LIST, api_spec_id: 'keyed', include_hints: true, fields: ['$.next'] };
    const answer = await explore({ ...keyed, parameters: { page: 2 } });
    expect(answer.body.result).toMatchObject({
      hints: { next_page: { from: 'link', parameters: { page: '3', limit: '50' }, value: null } },
    });
    expect(JSON.stringify(answer.body)).not.toContain(KEY);
  });

  test("its place is not the caller's to fill", async () => {
    const answer = await explore({ ...LIST, api_spec_id: 'keyed', parameters: { query: { key: 'x' } } });
    expect(names(answer)).toEqual([400, 4000, expect.stringMatching(/no query parameter "key"/)]);
  });

  test('an error that quotes it is masked', async () => {
    const answer = await explore(reply('failing', { api_spec_id: 'keyed' }));
    expect(answer.body.error?.code).toBe(4200);
    expect(JSON.stringify([answer.body, await gateway.eventsOf(answer)])).not.toContain(KEY);
  });
});

describe('policy', () => {
  test.each<[string, Fields, Fields, number, RegExp]>([
    ['a context that does not name it', LIST, { scp: 'none' }, 2000, /does not allow this tool/],
    ['scopes without it', LIST, { scp: ['customers.*'], security_context: 'main' }, 2000, /./],
    ['the deny list', { ...LIST, operation_id: 'listSecrets' }, {}, 2001, /deny_list\[0\]/],
    ['another operation', reply('x'), { scp: 'narrow' }, 2003, /the command is not listed/],
    ['one that does not exist', { ...LIST, operation_id: 'nope' }, { scp: 'narrow' }, 2003, /not listed/],
    ['an API that does not exist', { ...LIST, api_spec_id: 'nope' }, { scp: 'narrow' }, 2003, /not listed/],
    ['one that writes', { ...LIST, operation_id: 'createCustomer' }, {}, 2003, /is POST, and ApiSpec crm/],
    ['a method by any name', { ...LIST, operation_id: 'deleteCustomer' }, {}, 2003, /GET or HEAD$/],
    ['an API that is closed', { ...LIST, api_spec_id: 'closed' }, {}, 2003, /does not let the explorer/],
    ['a read where only writes may be', { ...LIST, api_spec_id: 'writable' }, {}, 2003, /./],
    ['an unlisted operation', { ...reply('x'), api_spec_id: 'writable' }, {}, 2003, /does not let/],
  ])('%s', async (_, args, claims, code, message) => {
    const before = upstream.requests.length;
    const answer = await explore(args, claims);
    expect(names(answer)).toEqual([403, code, expect.stringMatching(message)]);
    expect(await types(answer)).toEqual(['ToolCallRejected']);
    expect(upstream.requests.length).toBe(before);
  });

  test('writes where the ApiSpec lets them', async () => {
    const answer = await explore({
      api_spec_id: 'writable',
      operation_id: 'createCustomer',
      parameters: { body: { name: 'Ada' } },
      fields: ['$.data[0].id'],
    });
    expect(answer.status, JSON.stringify(answer.body.error)).toBe(200);
    expect(upstream.requests.at(-1)).toBe('POST /customers');
  });

  test("a tenant's API is its own callers' alone", async () => {
    const own = { ...LIST, api_spec_id: 'own' };
    expect((await explore(own, { tenant_id: 'acme' })).status).toBe(200);
    expect(names(await explore(own))).toEqual([400, 4000, 'there is no ApiSpec "own"']);
    expect((await explore(LIST, { tenant_id: 'acme' })).status).toBe(200);
  });

  test('max_response_size is of what is returned', async () => {
    expect((await explore(LIST, { scp: 'narrow' })).status).toBe(200);
    const answer = await explore({ ...LIST, fields: ['$.data[*].id'] }, { scp: 'narrow' });
    expect(names(answer)).toEqual([502, 4203, 'the slices have more than 2000 bytes']);
    expect(await types(answer)).toEqual(['ToolCallAuthorized', 'ExplorerRequestFailed']);
  });

  test('an envelope is good once, on whatever route', async () => {
    const envelope = seal(drafted(LIST));
    expect((await postTo(gateway.url(), envelope, '/v1/explorer')).status).toBe(200);
    expect((await postTo(gateway.url(), envelope, '/v1/invoke')).body.error?.code).toBe(1007);
  });

  test('the route takes nothing else', async () => {
    const answer = await postTo(gateway.url(), seal(draftCall(caller, 'customers.list')), '/v1/explorer');
    expect(names(answer)).toEqual([401, 1000, 'this route takes calls of api.explore alone; use /v1/invoke']);
  });
});

describe('what the caller got wrong is told before anything is sent', () => {
  test.each<[string, Fields, RegExp]>([
    ['no arguments', {}, /must have|missing|needs/],
    ['an unknown argument', { ...LIST, extra: 1 }, /extra/],
    [
      'an API by a slip of the pen',
      { ...LIST, api_spec_id: 'crn' },
      /^there is no ApiSpec "crn"; did you mean crm\?$/,
    ],
    ['an API that is far from all', { ...LIST, api_spec_id: 'x:y' }, /^there is no ApiSpec "x:y"$/],
    [
      'an operation by a slip',
      { ...LIST, operation_id: 'listCustomer' },
      /no operation "listCustomer"; did you mean listCustomers\?$/,
    ],
    // Its neighbour is one that this context denies.
    ['a slip beside what is denied', { ...LIST, operation_id: 'listSecret' }, /no operation "listSecret"$/],
    ['a slip beside what the ApiSpec keeps', { ...LIST, operation_id: 'deleteCustomr' }, /"deleteCustomr"$/],
    [
      'an operation on another server',
      { ...LIST, operation_id: 'getElsewhere' },
      /sends getElsewhere to another server/,
    ],
    [
      'a parameter by a slip',
      { ...LIST, parameters: { limt: 1 } },
      /no parameter "limt"; did you mean limit\?/,
    ],
    ['one in the wrong group', { ...LIST, parameters: { path: { limit: 1 } } }, /no path parameter "limit"/],
    ['a fixed header', { ...LIST, parameters: { 'X-Version': '9' } }, /no parameter "X-Version"/],
    [
      'a header of the gateway',
      { ...LIST, parameters: { header: { authorization: 'x' } } },
      /no header parameter "authorization"/,
    ],
    [
      'a header of the connection that the document describes',
      { ...LIST, parameters: { 'User-Agent': 'mine' } },
      /no parameter "User-Agent"/,
    ],
    [
      'a header that any operation takes, where the ApiSpec fixes it',
      { ...LIST, api_spec_id: 'fixed', parameters: { header: { ACCEPT: 'text/mine' } } },
      /^header "ACCEPT" is set by ApiSpec fixed$/,
    ],
    [
      'a cookie, where the credential goes into them',
      { ...LIST, api_spec_id: 'fixed', parameters: { cookie: { session: 'mine' } } },
      /no cookie parameter "session"/,
    ],
    ['a missing one', { ...LIST, operation_id: 'getCustomer' }, /needs the path parameter "id"/],
    ['a body where there is none', { ...LIST, parameters: { body: 1 } }, /takes no body/],
    [
      'dot segments',
      { ...LIST, operation_id: 'getCustomer', parameters: { id: '..' } },
      /path parameter "id" is a dot segment/,
    ],
    ['a slash', { ...LIST, operation_id: 'getCustomer', parameters: { id: 'a/b' } }, /holds a slash/],
    [
      'a line break in a header',
      { ...LIST, parameters: { 'X-Trace': 'a\r\nb: c' } },
      /header parameter "x-trace" holds a character/,
    ],
    ['a list of objects', { ...LIST, parameters: { limit: [{}] } }, /query parameter "limit"/],
    ['no fields', { ...LIST, fields: [] }, /fields/],
    ['too many fields', { ...LIST, fields: Array(33).fill('$') }, /32/],
    ['a field that is no text', { ...LIST, fields: [1] }, /fields\/0/],
    ['a bad path', { ...LIST, fields: ['$.a', '$.b['] }, /^fields\[1\]: JSONPath "\$\.b\[" at offset 4: /],
    ['a script', { ...LIST, fields: ['$[(@.length-1)]'] }, /^fields\[0\]: JSONPath .* at offset 2: /],
    ['a regular expression', { ...LIST, fields: ["$[?match(@.a, '(a+)+')]"] }, /match\(\) is not available/],
    ['a long path', { ...LIST, fields: [`$.${'a'.repeat(1_100)}`] }, /1024/],
    ['filters in filters', { ...LIST, fields: [`$${'[?@'.repeat(9)}${']'.repeat(9)}`] }, /nest 8 deep/],
  ])('%s', async (_, args, message) => {
    const before = upstream.requests.length;
    const answer = await explore(args);
    expect(names(answer)).toEqual([400, 4000, expect.stringMatching(message)]);
    expect(await types(answer)).toEqual(['ToolCallRejected']);
    expect(upstream.requests.length).toBe(before);
  });

  test('an API that is not valid', async () => {
    const answer = await explore({ ...LIST, api_spec_id: 'broken' });
    expect(names(answer)).toEqual([503, 4002, 'ApiSpec broken: its manifest is not valid']);
  });

  test('a number that would lose digits', async () => {
    const draft = drafted(LIST);
    const token = signToken(draft);
    const payload = JSON.stringify({ ...LIST, parameters: { limit: 1 } }).replace(
      ':1}',
      ':9007199254740993}',
    );
    // Signed in the order sent, which is one of the readings.
    const message = `{"payload":${payload},"security_token":"${token}","timestamp":${draft.timestamp}}`;
    const signature = signText(message, caller.agent_key);
    const envelope = `{"protocol":"seal/v1","signature":"${signature}",${message.slice(1)}`;
    expect(names(await postTo(gateway.url(), envelope, '/v1/explorer'))).toEqual([
      400,
      4000,
      'api.explore: /parameters/limit: this number loses digits; send it as a string',
    ]);
  });
});

describe('what the upstream got wrong', () => {
  test.each<[string, number, number, RegExp]>([
    ['failing', 502, 4200, /^GET 127\.0\.0\.1:\d+\/replies\/\{kind\} answered 500$/],
    ['missing', 502, 4200, /answered 404$/],
    ['redirect', 502, 4200, /answered 302$/],
    ['html', 502, 4200, /answered 200 with application\/json that is not JSON$/],
    ['bomb', 502, 4203, /more than 10485760 bytes$/],
    ['truncated', 502, 4200, /closed the connection before the reply was whole$/],
  ])('%s', async (kind, status, code, message) => {
    const answer = await explore(reply(kind));
    expect(names(answer)).toEqual([status, code, expect.stringMatching(message)]);
    expect(await types(answer)).toEqual(['ToolCallAuthorized', 'ExplorerRequestFailed']);
  });

  test('its error is quoted: the beginning, and no secret', async () => {
    expect((await explore(reply('missing'))).body.error?.details).toMatchObject({
      status: 404,
      excerpt: '{"error":"there is no such thing"}',
    });
    // By its fields, as the error of a step of a workflow.
    const fields =
      '{"error":"no such customer","token":"[redacted]","trace":{"password":"[redacted]","id":7}}';
    expect((await explore(reply('fields'))).body.error?.details).toMatchObject({ excerpt: fields });
    const step = await call('replies.get', { arguments: { kind: 'fields' } });
    expect(step.body.error?.details).toMatchObject({ status: 422, excerpt: fields });
    const answer = await explore(reply('failing'));
    expect(answer.body.error?.details).toMatchObject({
      status: 500,
      excerpt: expect.stringMatching(/^\{"error":"no","hint":"\[redacted\]","more":"x+/),
    });
    expect(JSON.stringify(answer.body.error?.details).length).toBeLessThan(1_000);
    expect(JSON.stringify([answer.body, await gateway.eventsOf(answer)])).not.toContain(KEY);
  });

  test("what passes is asked again as the API's `retry` says, and only what may be", async () => {
    const flaky = { api_spec_id: 'flaky' };
    failures = 1;
    expect((await explore(reply('flaky', flaky))).status).toBe(200);
    failures = 2;
    expect(names(await explore(reply('flaky', flaky)))).toEqual([
      502,
      4200,
      expect.stringMatching(/answered 503, after 2 attempts$/),
    ]);
    failures = 1;
    const created = { ...flaky, operation_id: 'createCustomer', fields: ['$'] };
    expect(names(await explore(created))).toEqual([502, 4200, expect.stringMatching(/answered 503$/)]);
  });

  test('too slow', async () => {
    const answer = await explore(reply('slow', { api_spec_id: 'hasty' }));
    expect(names(answer)).toEqual([504, 4201, expect.stringMatching(/did not answer within 200 ms$/)]);
  });

  test('a private address', async () => {
    const answer = await explore({ ...LIST, api_spec_id: 'walled' });
    expect([answer.status, answer.body.error?.code]).toEqual([403, 4202]);
  });
});

describe('GET /v1/tools', () => {
  const listed = async (claims: Fields): Promise<Fields[]> => {
    const draft = drafted(LIST, claims);
    const headers = { authorization: `Bearer ${signToken(draft)}` };
    return (await fetch(`${gateway.url()}/v1/tools`, { headers })).json() as Promise<Fields[]>;
  };

  test('lists it with what may be explored, and says which tools take fields', async () => {
    const tools = await listed({});
    expect(tools.map(({ name, allow_fields }) => [name, allow_fields])).toEqual([
      ['api.explore', undefined],
      ['customers.list', true],
      ['customers.whole', undefined],
      ['replies.get', undefined],
    ]);
    expect(tools[0]).toMatchObject({
      kind: 'explorer',
      input_schema: {
        required: ['api_spec_id', 'operation_id', 'fields'],
        properties: {
          api_spec_id: { enum: ['crm', 'fixed', 'flaky', 'hasty', 'keyed', 'walled', 'writable'] },
          operation_id: {
            description: expect.stringContaining(
              'Of crm: listCustomers, getCustomer, getReply, headReply. Of',
            ),
          },
        },
      },
    });
  });

  test('to those alone who may', async () => {
    const [explorer] = await listed({ scp: 'narrow' });
    expect(explorer).toMatchObject({
      input_schema: {
        properties: {
          api_spec_id: { enum: ['crm'] },
          operation_id: { description: 'Of crm: listCustomers, listSecrets.' },
        },
      },
    });
    expect((await listed({ scp: 'none' })).map(({ name }) => name)).not.toContain('api.explore');
    const [own] = await listed({ tenant_id: 'acme' });
    expect(own).toMatchObject({
      input_schema: { properties: { api_spec_id: { enum: expect.arrayContaining(['own']) } } },
    });
  });
});

describe('fields beside the arguments of a tool', () => {
  test('cut its result down, in both forms, under the signature', async () => {
    const fields = ['$.data[0].name', '$.data[-1].id'];
    const answer = await call('customers.list', { fields });
    const sliced_data = { '$.data[0].name': ['Customer 0'], '$.data[-1].id': ['c-999'] };
    expect(answer.body.result).toEqual({
      sliced_data,
      bytes_before: Buffer.byteLength(JSON.stringify({ data: CUSTOMERS, next: '/customers?page=9' })),
      bytes_after: Buffer.byteLength(JSON.stringify(sliced_data)),
    });
    expect((await gateway.eventsOf(answer)).at(-1)).toMatchObject({
      event_type: 'WorkflowInvocationCompleted',
      payload: { fields_requested: fields },
    });
    const short = { ...draftCall(caller, 'x'), payload: { tool: 'customers.list', arguments: {}, fields } };
    expect((await gateway.post(seal(short))).body.result).toMatchObject({ sliced_data });
    const forged = seal({ ...draftCall(caller, 'x'), payload: { tool: 'customers.list', fields } });
    const tampered = { ...forged, payload: { tool: 'customers.list', fields: ['$'] } };
    expect((await gateway.post(tampered)).body.error?.code).toBe(1001);
  });

  test('keep to max_response_size, which the whole would not', async () => {
    const narrow = { scp: 'narrow' };
    expect((await call('customers.list', {}, narrow)).body.error?.code).toBe(4203);
    expect((await call('customers.list', { fields: ['$.data[0].id'] }, narrow)).status).toBe(200);
    expect((await call('customers.list', { fields: ['$.data[*].id'] }, narrow)).body.error?.code).toBe(4203);
  });

  test.each<[string, string, unknown, RegExp]>([
    ['a tool that does not allow them', 'customers.whole', ['$'], /^customers\.whole takes no fields/],
    ['what is no list', 'customers.list', '$', /^fields: a list of JSONPath texts/],
    ['an empty list', 'customers.list', [], /^fields: a list of JSONPath texts/],
    ['too many', 'customers.list', Array(33).fill('$'), /^fields: 33 expressions, and a call may have 32$/],
    ['no texts', 'customers.list', ['$', null], /^fields\[1\]: not a text$/],
    ['a bad path', 'customers.list', ['$', '$..'], /^fields\[1\]: JSONPath "\$\.\." at offset 3: /],
  ])('refused: %s', async (_, tool, fields, message) => {
    const before = upstream.requests.length;
    expect(names(await call(tool, { fields }))).toEqual([400, 4000, expect.stringMatching(message)]);
    expect(upstream.requests.length).toBe(before);
  });

  test('the explorer has its own', async () => {
    const answer = await call('api.explore', { arguments: LIST, fields: ['$'] });
    expect(names(answer)).toEqual([400, 4000, 'api.explore takes fields among its arguments']);
  });
});

describe('an operator, without an envelope', () => {
  const ask = (body: unknown, token: string | null, url = gateway.url()): Promise<Answer> =>
    postTo(url, body, '/v1/explorer', token === null ? {} : { authorization: `Bearer ${token}` });
  const GET_ADA = {
    api_spec_id: 'crm',
    operation_id: 'getCustomer',
    parameters: { id: 'c-1' },
    fields: ['$.name'],
  };

  test('explores in the context that the configuration names, and is recorded by name', async () => {
    const token = operatorToken(operators);
    const answer = await ask(GET_ADA, token);
    expect(answer.body.result, JSON.stringify(answer.body)).toMatchObject({
      sliced_data: { '$.name': ['Ada'] },
    });
    // Its token is good for more than one.
    expect((await ask(GET_ADA, token)).status).toBe(200);
    const [intent, outcome] = await gateway.eventsOf(answer);
    expect(intent).toMatchObject({
      event_type: 'ToolCallAuthorized',
      payload: {
        tool_name: 'api.explore',
        operator: true,
        agent_id: 'olga@example.com',
        issuer: OPERATOR_ISSUER,
        security_context: 'operators',
        rule: 'capabilities[0]',
        arguments_digest: expect.stringMatching(/^sha256:/),
      },
    });
    expect(intent?.payload).not.toHaveProperty('signature');
    expect(outcome?.event_type).toBe('ExplorerRequestExecuted');
  });

  test.each<[string, unknown, string | null, number, number]>([
    ['what its context does not list', LIST, operatorToken(operators), 403, 2003],
    ["a tenant's API", { ...GET_ADA, api_spec_id: 'own' }, operatorToken(operators), 403, 2003],
    ['no role', GET_ADA, operatorToken(operators, operatorClaims({ aegis_role: 'guest' })), 403, 2000],
    ['no token', GET_ADA, null, 401, 1000],
    ['an expired token', GET_ADA, operatorToken(operators, operatorClaims({ exp: 1, iat: 0 })), 401, 1003],
    ["a stranger's token", GET_ADA, operatorToken(newOperatorKey()), 401, 1004],
    ['an envelope', { protocol: 'seal/v1', api_spec_id: 'crm' }, operatorToken(operators), 401, 1000],
    ['what is no exploration', { tool: 'customers.list' }, operatorToken(operators), 401, 1000],
    ['what is no JSON', '{', operatorToken(operators), 401, 1000],
    ['a bad parameter', { ...GET_ADA, parameters: {} }, operatorToken(operators), 400, 4000],
  ])('refused: %s', async (_, body, token, status, code) => {
    const before = upstream.requests.length;
    const answer = await ask(body, token);
    expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
    expect(await types(answer)).toEqual(['ToolCallRejected']);
    expect(upstream.requests.length).toBe(before);
  });

  test('is counted as any caller', async () => {
    const token = operatorToken(operators, operatorClaims({ sub: 'busy@example.com' }));
    const statuses: number[] = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await ask(GET_ADA, token)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  });

  test("an agent's token makes no operator", async () => {
    const answer = await ask(GET_ADA, signToken(drafted(LIST)));
    expect(answer.body.error?.code).toBe(1004);
  });

  test('nobody, where no context is named, and where no operators are', async () => {
    const auth = { operator_jwks_uri: join(files, 'jwks.json'), operator_jwt_issuer: OPERATOR_ISSUER };
    for (const [given, code, message] of [
      [auth, 2000, 'auth.operator_security_context names no context for operators'],
      [{ ...auth, operator_security_context: 'gone' }, 2000, /does not exist or is not valid/],
      [{ development: true, operator_security_context: 'operators' }, 1004, /knows no operators/],
    ] as const) {
      const other = await startTestGateway({ spec: { auth: given }, manifests: manifests() });
      const answer = await ask(GET_ADA, operatorToken(operators), other.url());
      expect([answer.body.error?.code, answer.body.error?.message]).toEqual([
        code,
        typeof message === 'string' ? message : expect.stringMatching(message),
      ]);
      await other.close();
    }
  });
});
