import { describe, expect, test } from 'vitest';
import { makeTree, type Tree, treeFile } from '../../src/manifest/tree.ts';
import type { Applied, AppliedSet, CompileDeps } from '../../src/reconcile/compile.ts';
import { createDocumentCache } from '../../src/reconcile/document-cache.ts';
import { sideInForce, writeInForce } from '../../src/reconcile/in-force.ts';
import {
  type LastGood,
  type LastGoodRow,
  lastGoodChange,
  restoreLastGood,
  rowsInForce,
} from '../../src/reconcile/last-good.ts';
import type { Files } from '../manifest/directory.ts';
import { createCompiler } from './compiled.ts';
import { aContext } from './repository.ts';

const deps: CompileDeps = {
  indexFile: createDocumentCache().indexFile,
  remoteKeys: () => ({ candidates: async () => [] }),
};
const OPENAPI = JSON.stringify({
  openapi: '3.0.3',
  info: { title: 'x', version: '1' },
  servers: [{ url: 'http://127.0.0.1:9001' }],
  paths: { '/a': { get: { operationId: 'getA', responses: { 200: { description: 'x' } } } } },
});
const API =
  'apiVersion: seal.gateway/v1\nkind: ApiSpec\nmetadata: {name: api}\nspec: {source: {file: ./api.json}, egress: {allow_private: true}}\n';
const FLOW =
  'apiVersion: seal.gateway/v1\nkind: ToolWorkflow\nmetadata: {name: a.get}\nspec: {description: x, api_spec: api, input_schema: {type: object}, steps: [{name: a, operation_id: getA}]}\n';
const FILES: Files = {
  'api.json': OPENAPI,
  'both.yaml': `# What a comment says is kept too.\n${API}---\n${FLOW}`,
  'tenants/acme/ctx.yaml': aContext('own'),
};

const treeOf = (files: Files): Tree =>
  makeTree(
    Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))),
    [],
  );

/** A store that keeps what it is told, and what a gateway tells it of one set of files after the other. */
function gateway() {
  const compiler = createCompiler(deps);
  let rows: ReadonlyMap<string, LastGoodRow> = new Map();
  const contents = new Map<string, string>();
  let changes = 0;
  return {
    async next(files: Files): Promise<AppliedSet> {
      const applied = new Map(
        [...(await compiler.next(files))].flatMap(([key, one]): [string, Applied][] =>
          one.applied === null ? [] : [[key, one.applied]],
        ),
      );
      const change = lastGoodChange(rows, applied, treeOf(files));
      if (change !== null) {
        changes += 1;
        const kept = new Map(rows);
        for (const key of change.remove) kept.delete(key);
        for (const row of change.set) kept.set(row.key, row);
        rows = kept;
        for (const [digest, text] of change.contents) contents.set(digest, text);
      }
      return applied;
    },
    kept: (): LastGood => ({ rows: [...rows.values()], contents }),
    changes: () => changes,
  };
}

const digestsOf = (applied: AppliedSet): string[] =>
  [...applied].map(([key, { manifest }]) => `${key} ${manifest.file} ${manifest.digest}`).sort();

describe('what is kept for a restart', () => {
  test('is everything in force, with the files that it refers to', async () => {
    const one = gateway();
    const applied = await one.next(FILES);
    const restored = await restoreLastGood(one.kept(), deps);
    expect(restored.size).toBe(3);
    expect(digestsOf(restored)).toEqual(digestsOf(applied));
    expect(restored.get('SecurityContext/acme/own')?.manifest.tenant).toBe('acme');
    expect(restored.get('ToolWorkflow//a.get')?.uses[0]?.manifest.name).toBe('api');
  });

  test('is told again only when something in force is another version, or elsewhere', async () => {
    const one = gateway();
    await one.next(FILES);
    await one.next({ ...FILES, 'both.yaml': `# Another comment.\n${FILES['both.yaml']}` });
    expect(one.changes()).toBe(1);
    await one.next({ ...FILES, 'both.yaml': API, 'flow.yaml': FLOW });
    expect(one.changes()).toBe(2);
    await one.next({ ...FILES, 'api.json': OPENAPI.replace('"x"', '"y"') });
    expect(one.changes()).toBe(3);
    await one.next({});
    expect(one.kept().rows).toEqual([]);
  });

  test('of two manifests of one file may be of two versions of it', async () => {
    const one = gateway();
    await one.next(FILES);
    // The workflow is broken, the API is changed.
    const changed = `${API.replace('{name: api}', '{name: api, labels: {a: b}}')}---\n${FLOW.replace('getA', 'getB')}`;
    const applied = await one.next({ ...FILES, 'both.yaml': changed });
    expect(applied.size).toBe(3);
    expect(digestsOf(await restoreLastGood(one.kept(), deps))).toEqual(digestsOf(applied));
  });

  test('is never another version than the one that was in force', async () => {
    const one = gateway();
    await one.next({ 'a.yaml': aContext('a') });
    const { rows, contents } = one.kept();
    const other = aContext('a').replace('a.*', '*');
    const swapped = new Map([...contents.keys()].map((digest) => [digest, other]));
    expect((await restoreLastGood({ rows, contents: swapped }, deps)).size).toBe(0);
    expect((await restoreLastGood({ rows, contents: new Map() }, deps)).size).toBe(0);
    expect((await restoreLastGood({ rows, contents }, deps)).size).toBe(1);
  });

  test('is compiled together: what can no longer be is left out', async () => {
    const one = gateway();
    await one.next(FILES);
    const { rows, contents } = one.kept();
    const without = rows.filter(({ key }) => key !== 'ApiSpec//api');
    const restored = await restoreLastGood({ rows: without, contents }, deps);
    expect([...restored.keys()]).toEqual(['SecurityContext/acme/own']);
  });
});

describe('a tool that goes on with what it fitted', () => {
  const gone = OPENAPI.replace('getA', 'getB');

  test.each<[string, Files]>([
    ['an API that has changed', { ...FILES, 'api.json': gone }],
    ['an API that is gone', { 'api.json': OPENAPI, 'flow.yaml': FLOW }],
  ])('does so after a restart: %s', async (_what, files) => {
    const one = gateway();
    await one.next(FILES);
    const applied = await one.next(files);
    const path = (set: AppliedSet): string | undefined => {
      const resource = set.get('ToolWorkflow//a.get')?.resource;
      return resource?.kind === 'ToolWorkflow' && resource.tool.kind === 'workflow'
        ? resource.tool.steps[0]?.operation.id
        : undefined;
    };
    expect(path(applied)).toBe('getA');
    const restored = await restoreLastGood(one.kept(), deps);
    expect(path(restored)).toBe('getA');
    expect(digestsOf(restored)).toEqual(digestsOf(applied));
    // And after one more.
    await one.next({ ...files, 'more.yaml': aContext('more') });
    expect(path(await restoreLastGood(one.kept(), deps))).toBe('getA');
    // What it no longer needs is forgotten.
    await one.next(FILES);
    expect(rowsInForce(one.kept().rows)).toHaveLength(one.kept().rows.length);
  });
});

describe('what is in force, for another program', () => {
  const read = (applied: AppliedSet) => JSON.parse([...writeInForce(applied, 'rev-1')].join(''));

  test('is the same there', async () => {
    const applied = await gateway().next(FILES);
    const side = await sideInForce(read(applied), deps);
    expect(side.revision).toBe('rev-1');
    expect([...side.verdicts.values()].every(({ status }) => status === 'Ready')).toBe(true);
    const there = new Map([...side.verdicts].map(([key, { applied: one }]) => [key, one!]));
    expect(digestsOf(there)).toEqual(digestsOf(applied));
  });

  test('holds a file once that several refer to', async () => {
    const second = API.replace('{name: api}', '{name: other}');
    const answer = read(await gateway().next({ 'api.json': OPENAPI, 'a.yaml': API, 'b.yaml': second }));
    expect(answer.rows).toHaveLength(2);
    expect(Object.values(answer.contents).filter((text) => text === OPENAPI)).toHaveLength(1);
  });

  test('is nothing before the first reading', async () => {
    expect(read(new Map())).toEqual({ revision: 'rev-1', rows: [], contents: {} });
    expect([...writeInForce(new Map(), null)].join('')).toBe('{"revision":null,"rows":[],"contents":{}}');
  });
});
