/** ApiSpecs whose document is behind a URL: a real reconciler, a real server, the gateway's own way out. */
import { hash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { download } from '../../src/execute/download.ts';
import { createDocuments, type FetchDocument } from '../../src/reconcile/fetch-documents.ts';
import { serveUpstream, testEgress, type Upstream } from '../execute/upstream.ts';
import { directory, put } from '../manifest/directory.ts';
import { context, OPENAPI, workflow } from '../manifest/texts.ts';
import { createCompiler } from './compiled.ts';
import { memoryStore, reconcile } from './reconciled.ts';

const sha256 = (text: string): string => hash('sha256', text, 'hex');
const NEWER = OPENAPI.replace('operationId: getThing', 'operationId: getThing\n      summary: Newer.');
const UNSEEN = { dir: null } as const;

const api = (url: string, digest: string, more = 'egress: {allow_private: true}'): string =>
  `apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: crm}
spec:
  source:
    url: ${url}
    sha256: ${digest}
  ${more}
`;

/** What the server answers can be changed; null: 503. */
interface Serving extends Upstream {
  content: string | null;
}

async function serve(content: string | null): Promise<Serving> {
  const state = { content };
  const upstream = await serveUpstream((_, response) => {
    response.statusCode = state.content === null ? 503 : 200;
    response.end(state.content ?? 'busy');
  });
  return Object.assign(state, upstream);
}

/** The fetch of main.ts. */
function fetcher(): FetchDocument {
  const egress = testEgress();
  return ({ url, egress: allowed }, limits) => download(egress, url, { ...limits, egress: allowed });
}

const statesOf = (gateway: { status(): { manifests: readonly { name: string; status: string }[] } }) =>
  Object.fromEntries(gateway.status().manifests.map(({ name, status }) => [name, status]));

describe('a document behind a URL', () => {
  test('is there with the first snapshot, and asked for once', async () => {
    const server = await serve(OPENAPI);
    const url = `${server.url}/openapi.yaml`;
    const dir = directory({ 'a.yaml': api(url, sha256(OPENAPI)), 'find.yaml': workflow('find') });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    expect(statesOf(gateway)).toEqual({ crm: 'Ready', find: 'Ready' });
    expect(gateway.status().generation).toBe(1);
    // Another field of the manifest is not another document.
    put(dir, { 'a.yaml': api(url, sha256(OPENAPI), 'egress: {allow_private: true}\n  timeout_ms: 7') });
    await gateway.reconcile();
    put(dir, { 'find.yaml': workflow('find', 'Changed.') });
    await gateway.reconcile();
    expect(gateway.tools()).toEqual({ '/find': 'Changed.' });
    expect(server.requests).toHaveLength(1);
  });

  test('is kept in the store: a restart needs no network', async () => {
    const server = await serve(OPENAPI);
    const dir = directory({ 'a.yaml': api(server.url, sha256(OPENAPI)), 'find.yaml': workflow('find') });
    const store = memoryStore();
    const first = await reconcile(dir, { ...UNSEEN, store, fetchDocument: fetcher() });
    await first.close();
    const fetchDocument = vi.fn<FetchDocument>();
    const second = await reconcile(dir, { ...UNSEEN, store, fetchDocument });
    expect(statesOf(second)).toEqual({ crm: 'Ready', find: 'Ready' });
    await second.close();
    rmSync(dir, { recursive: true });
    const third = await reconcile(dir, { ...UNSEEN, store, fetchDocument });
    expect(third.tools()).toEqual({ '/find': 'Get a thing.' });
    expect(fetchDocument).not.toHaveBeenCalled();
  });

  test('that cannot be had leaves all else as it is, and comes when it can', async () => {
    const server = await serve(null);
    const dir = directory({
      'a.yaml': api(`${server.url}/openapi.yaml`, sha256(OPENAPI)),
      'find.yaml': workflow('find'),
      'ctx.yaml': context('reader'),
    });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    expect(statesOf(gateway)).toEqual({ crm: 'Invalid', find: 'Blocked', reader: 'Ready' });
    const state = gateway.status().manifests.find(({ name }) => name === 'crm');
    expect(state?.reason).toMatch(
      /^the document could not be fetched: GET 127\.0\.0\.1:\d+\/openapi\.yaml answered 503 \(the gateway tries again/,
    );
    expect([state?.line, state?.column]).toEqual([6, 10]);
    server.content = OPENAPI;
    await vi.waitFor(() => expect(statesOf(gateway)).toMatchObject({ crm: 'Ready', find: 'Ready' }), 5_000);
    expect(gateway.status().degraded).toBe(false);
  });

  test('of a new digest that cannot be had: the last good version stays in force', async () => {
    const server = await serve(OPENAPI);
    const dir = directory({ 'a.yaml': api(server.url, sha256(OPENAPI)), 'find.yaml': workflow('find') });
    const store = memoryStore();
    const gateway = await reconcile(dir, { ...UNSEEN, store, fetchDocument: fetcher() });
    put(dir, { 'a.yaml': api(server.url, sha256(NEWER)) });
    await gateway.reconcile();
    const crm = () => gateway.status().manifests.find(({ name }) => name === 'crm');
    expect(crm()).toMatchObject({ status: 'Stale', reason: 'the document is being fetched' });
    await vi.waitFor(() => expect(crm()?.reason).toContain('another SHA-256'));
    expect(crm()).toMatchObject({ status: 'Stale', line: 7, column: 13 });
    expect(crm()?.reason).toContain(sha256(OPENAPI));
    expect(gateway.tools()).toEqual({ '/find': 'Get a thing.' });
    // A restart in this state, with the server gone.
    await gateway.close();
    const later = await reconcile(dir, {
      ...UNSEEN,
      store,
      fetchDocument: () => Promise.reject(new Error('no route to it')),
    });
    expect(statesOf(later)).toEqual({ crm: 'Stale', find: 'Ready' });
    expect(later.tools()).toEqual({ '/find': 'Get a thing.' });
  });

  test('that comes slowly does not hold up a change of anything else', async () => {
    const server = await serveUpstream(() => {});
    const dir = directory({ 'ctx.yaml': context('reader', 'a.*') });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    put(dir, { 'a.yaml': api(server.url, sha256(OPENAPI)) });
    await gateway.reconcile();
    put(dir, { 'ctx.yaml': context('reader', 'b.*') });
    await gateway.reconcile();
    expect(gateway.snapshot().contexts.get('/reader')?.capabilities[0]?.tool_pattern).toBe('b.*');
    expect(gateway.status().manifests.find(({ name }) => name === 'crm')).toMatchObject({
      status: 'Invalid',
      reason: 'the document is being fetched',
    });
    // It was asked, and never answers.
    await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  });

  test('at a private address needs the word of the manifest', async () => {
    const server = await serve(OPENAPI);
    for (const [more, status] of [
      ['timeout_ms: 5', 'Invalid'],
      ['egress: {allow_hosts: [127.0.0.1]}', 'Ready'],
    ] as const) {
      const dir = directory({ 'a.yaml': api(server.url, sha256(OPENAPI), more) });
      const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
      expect(statesOf(gateway)).toEqual({ crm: status });
    }
    expect(server.requests).toHaveLength(1);
  });

  test('that nobody names any more is not asked for again', async () => {
    const server = await serve(null);
    const dir = directory({ 'a.yaml': api(server.url, sha256(OPENAPI)), 'ctx.yaml': context('reader') });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    put(dir, { 'a.yaml': context('other') });
    await gateway.reconcile();
    const asked = server.requests.length;
    server.content = OPENAPI;
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(server.requests).toHaveLength(asked);
    expect(statesOf(gateway)).toEqual({ other: 'Ready', reader: 'Ready' });
  });

  test('is where its relative servers begin; the same bytes elsewhere begin there', async () => {
    const relative = OPENAPI.replace('http://127.0.0.1:9001', '../v2');
    const server = await serve(relative);
    const specs = ['a/b/c.yaml', 'x/y/z.yaml'].map((path, index) =>
      api(`${server.url}/${path}`, sha256(relative)).replace('name: crm', `name: crm${index}`),
    );
    const dir = directory({
      'a.yaml': specs.join('---\n'),
      'one.yaml': workflow('one', 'x', undefined, 'crm0'),
      'two.yaml': workflow('two', 'x', undefined, 'crm1'),
    });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    const bases = ['/one', '/two'].map((key) => {
      const tool = gateway.snapshot().tools.get(key);
      return tool?.kind === 'workflow' ? tool.steps[0]?.api.base_url.href : tool;
    });
    expect(bases).toEqual([`${server.url}/a/v2`, `${server.url}/x/v2`]);
  });

  test('that is no OpenAPI document is told so, with line and column', async () => {
    const text = 'openapi: 3.0.3\npaths: [\n';
    const server = await serve(text);
    const dir = directory({ 'a.yaml': api(`${server.url}/x`, sha256(text)) });
    const gateway = await reconcile(dir, { ...UNSEEN, fetchDocument: fetcher() });
    const [crm] = gateway.status().manifests;
    expect(crm?.status).toBe('Invalid');
    expect(crm?.reason).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/x:\d+:\d+: YAML: /);
  });

  test('cannot bring a manifest in, not at a restart either', async () => {
    const sneaky = JSON.stringify({ ...JSON.parse(PLAIN), apiVersion: 'seal.gateway/v1', kind: 'x' });
    const server = await serve(sneaky);
    const dir = directory({ 'a.yaml': api(server.url, sha256(sneaky)) });
    const store = memoryStore();
    const first = await reconcile(dir, { ...UNSEEN, store, fetchDocument: fetcher() });
    expect(statesOf(first)).toEqual({ crm: 'Ready' });
    await first.close();
    rmSync(dir, { recursive: true });
    const second = await reconcile(dir, { ...UNSEEN, store, fetchDocument: fetcher() });
    expect(second.status().manifests.map(({ name }) => name)).toEqual(['crm']);
  });
});

const PLAIN = JSON.stringify({
  openapi: '3.0.3',
  info: { title: 'x', version: '1' },
  servers: [{ url: 'http://127.0.0.1:9001' }],
  paths: {},
});

describe('fetching', () => {
  /** What a set of one ApiSpec is, for a fetcher without a reconciler. */
  async function setOf(text: string) {
    const verdicts = await createCompiler().next({ 'a.yaml': text });
    const [verdict] = verdicts.values();
    const { identity, key, file } = verdict!;
    const manifest = verdict!.applied!.manifest;
    const found = { identity, key, file, line: 1, column: 1, manifest, diagnostics: [] };
    return { found: new Map([[key, found]]), diagnostics: [], broken: new Set<string>() };
  }

  test('is tried again with growing pauses, and told only when the reason is another', async () => {
    const set = await setOf(api('http://a.example/x', sha256(PLAIN)));
    const times: number[] = [];
    const changed = vi.fn();
    const documents = createDocuments({
      fetch: () => {
        times.push(performance.now());
        return times.length < 5 ? Promise.reject(new Error('no')) : Promise.resolve(Buffer.from(PLAIN));
      },
      changed,
      retry_ms: { first: 20, most: 60 },
    });
    onTestFinished(() => documents.close());
    documents.fill(set, new Map());
    await vi.waitFor(() => expect(times).toHaveLength(5));
    await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(2));
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    for (const [index, least] of [20, 40, 60, 60].entries())
      expect(pauses[index]).toBeGreaterThanOrEqual(least - 2);
    const [filled] = documents.fill(set, new Map()).found.values();
    expect([...(filled?.manifest?.data.values() ?? [])].map(({ digest }) => digest)).toEqual([sha256(PLAIN)]);
  });

  test('asks four servers at once, and ends at once when it is closed', async () => {
    const texts = Array.from({ length: 6 }, (_, index) =>
      api(`http://a.example/${index}`, sha256(PLAIN)).replace('name: crm', `name: crm${index}`),
    );
    const sets = await Promise.all(texts.map(setOf));
    const set = { ...sets[0]!, found: new Map(sets.flatMap(({ found }) => [...found])) };
    const signals: AbortSignal[] = [];
    const documents = createDocuments({
      fetch: (_, { signal }) => {
        signals.push(signal);
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('ended')));
        });
      },
      changed: () => {},
    });
    documents.fill(set, new Map());
    expect(signals).toHaveLength(4);
    const waited = documents.settled(60_000);
    await documents.close();
    await waited;
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
    documents.fill(set, new Map());
    expect(signals).toHaveLength(4);
  });
});
