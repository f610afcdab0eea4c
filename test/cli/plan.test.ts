import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { localDeps } from '../../src/cli/local-side.ts';
import { loadManifests } from '../../src/manifest/load.ts';
import { readTree } from '../../src/manifest/tree.ts';
import type { AppliedSet } from '../../src/reconcile/compile.ts';
import { writeInForce } from '../../src/reconcile/in-force.ts';
import { appliedOf, compileSide, type Plan, type Side } from '../../src/reconcile/plan.ts';
import { serveUpstream } from '../execute/upstream.ts';
import { directory, type Files, put } from '../manifest/directory.ts';
import { OPENAPI, workflow } from '../manifest/texts.ts';
import { reconcile } from '../reconcile/reconciled.ts';
import { repository, scratchDir } from '../reconcile/repository.ts';
import { serveControl } from '../serve/http/control/served.ts';
import { runCli } from './run.ts';

const GOLDEN = new URL('../golden/plan/', import.meta.url).pathname;

beforeEach(() => {
  // The tests may themselves run in a step of GitHub, or from a hook of git.
  for (const name of ['GITHUB_STEP_SUMMARY', 'GITHUB_WORKSPACE', 'SEAL_GATEWAY_CONTROL_URL'])
    vi.stubEnv(name, undefined);
});

describe('golden plans (UPDATE=1 rewrites them: read each as a reviewer would)', () => {
  test.each(readdirSync(GOLDEN))('%s', async (name) => {
    const [before, after] = [join(GOLDEN, name, 'before'), join(GOLDEN, name, 'after')];
    const { code, out, err } = await runCli(['plan', '--from', before, after, '--exit-code']);
    const said = out.replaceAll(join(GOLDEN, name, '/'), '');
    const file = join(GOLDEN, name, 'expected.txt');
    if (process.env.UPDATE === '1') writeFileSync(file, said);
    expect(existsSync(file), 'UPDATE=1 writes it').toBe(true);
    expect(said).toBe(readFileSync(file, 'utf8'));
    expect(err).toBe('');
    expect(code).toBe({ errors: 1, held: 3, 'no-changes': 0 }[name] ?? 2);
  });
});

const READER = 'apiVersion: seal.gateway/v1\nkind: SecurityContext\nmetadata: {name: reader}\n';
const context = (pattern: string): string =>
  `${READER}spec: {capabilities: [{tool_pattern: "${pattern}"}]}\n`;

describe('of a checkout', () => {
  const twoRevisions = () => {
    const one = repository({ 'gateway.d/ctx.yaml': context('a.*'), 'README.md': 'x' });
    one.git('tag', 'v1');
    one.commit({ 'gateway.d/ctx.yaml': context('b.*') });
    return { ...one, manifests: join(one.dir, 'gateway.d') };
  };

  test('what is not committed is compared with HEAD', async () => {
    const { manifests } = twoRevisions();
    expect((await runCli(['plan', manifests])).out).toContain('No changes.');
    put(manifests, { 'ctx.yaml': context('c.*') });
    const { code, out } = await runCli(['plan', manifests]);
    expect(code).toBe(0);
    expect(out).toContain(`plan: git:HEAD -> ${manifests}\n`);
    expect(out).toContain('/spec/capabilities/0: (none) -> {"tool_pattern":"c.*"}');
    expect((await runCli(['plan', manifests, '--exit-code'])).code).toBe(2);
  });

  test('another revision is one side or both; the other side names the checkout', async () => {
    const { manifests } = twoRevisions();
    const config = join(scratchDir(), 'gateway.yaml');
    writeFileSync(
      config,
      `apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {manifests: {dir: ${manifests}}}\n`,
    );
    for (const argv of [
      ['--from', 'git:v1', manifests],
      ['--from', 'git:v1', 'git:main', '--config', config],
      ['--from', 'git:HEAD~1', '--config', config],
      ['--from', `git:${'HEAD^{/first}'}`, manifests],
    ]) {
      const { out, code } = await runCli(['plan', ...argv, '-o', 'json']);
      expect(code, argv.join(' ')).toBe(0);
      expect(JSON.parse(out).rights[0].changes, argv.join(' ')).toEqual([
        { direction: 'narrowed', what: 'a.*', detail: 'capability removed: without constraints' },
        { direction: 'widened', what: 'b.*', detail: 'capability added: without constraints' },
      ]);
    }
    const back = JSON.parse((await runCli(['plan', '--from', manifests, 'git:v1', '-o', 'json'])).out);
    expect(back).toMatchObject({ from: manifests, to: 'git:v1', held: null, diagnostics: [] });
    expect(back.rights[0].changes[0]).toMatchObject({ direction: 'widened', what: 'a.*' });
  });

  test('a directory that is new has nothing to be compared with', async () => {
    const one = repository({ 'README.md': 'x' });
    put(one.dir, { 'gateway.d/ctx.yaml': context('a.*') });
    const { out, code } = await runCli(['plan', join(one.dir, 'gateway.d')]);
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining('+ SecurityContext reader'),
    });
  });

  test.each([
    ['nothing', 'git knows no revision nothing; fetch it first'],
    ['--all', 'git knows no revision --all; fetch it first'],
    ['HEAD:gateway.d', 'git knows no revision HEAD:gateway.d; fetch it first'],
    ['', 'git knows no revision ; fetch it first'],
  ])('there is no revision %s', async (revision, message) => {
    const { manifests } = twoRevisions();
    expect(await runCli(['plan', '--from', `git:${revision}`, manifests])).toEqual({
      code: 1,
      out: '',
      err: `seal-gateway: ${message}\n`,
    });
  });

  test('outside of one is an error that says what to do', async () => {
    const top = directory({ 'ctx.yaml': context('a.*') });
    const { code, err } = await runCli(['plan', top]);
    expect(code).toBe(1);
    expect(err).toBe(
      `seal-gateway: ${top} is in no git checkout: name a directory to compare with (--from <dir>)\n`,
    );
  });

  test('a directory that is not there is an error', async () => {
    const gone = join(scratchDir(), 'gone');
    for (const argv of [[gone], ['--from', gone, directory()], ['--from', directory(), gone]]) {
      const { code, err } = await runCli(['plan', ...argv]);
      expect(code).toBe(1);
      expect(err).toContain(gone);
      expect(err).not.toContain('internal error');
    }
  });
});

describe('--output', () => {
  const sides = () => [
    directory({ 'ctx.yaml': context('a.*') }),
    directory({ 'ctx.yaml': context('*'), 'sub/bad.yaml': 'kind: Nothing\n' }),
  ];

  test('github: errors and widened rights at their lines, and the page of the step', async () => {
    const [before, after] = sides() as [string, string];
    const file = join(scratchDir(), 'summary.md');
    vi.stubEnv('GITHUB_STEP_SUMMARY', file);
    vi.stubEnv('GITHUB_WORKSPACE', after);
    const { code, out } = await runCli(['plan', '--from', before, after, '-o', 'github']);
    expect(code).toBe(1);
    const commands = out.split('\n').filter((line) => /^::(error|warning|notice)/.test(line));
    expect(commands[0]).toMatch(/^::error file=sub\/bad\.yaml,line=1,col=\d+,title=[\w-]+::/);
    expect(commands.at(-1)).toBe(
      '::notice file=ctx.yaml,line=1,col=1,title=widened rights::SecurityContext reader grants more than before:%0A*: capability added: without constraints',
    );
    const token = /^::stop-commands::(\S{20,})$/m.exec(out)![1];
    const log = out.slice(out.indexOf('::stop-commands::'));
    expect(log).toMatch(new RegExp(`\\n::${token}::\\n$`));
    const page = readFileSync(file, 'utf8');
    expect(page).toMatch(/^### Plan\n\n`````diff\nplan: /);
    expect(page).toContain('!   widened *: capability added: without constraints\n');
    expect(page).toMatch(/1 widened rights\.\n`````\n\n$/);
    expect(log).toContain(page.split('\n').slice(3, -3).join('\n'));
  });

  test('sarif and junit tell the errors', async () => {
    const [before, after] = sides() as [string, string];
    const log = await runCli(['plan', '--from', before, after, '-o', 'sarif']);
    expect(JSON.parse(log.out).runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri).toMatch(
      /sub\/bad\.yaml$/,
    );
    const page = await runCli(['plan', '--from', before, after, '-o', 'junit']);
    expect(page.out).toContain('name="sub/bad.yaml"><failure');
    expect([log.code, page.code]).toEqual([1, 1]);
  });

  test('no name and no value of a change looks like another line, or reads backwards', async () => {
    const before = directory();
    const odd = 'x\n!   widened rights.yaml';
    const text = `${READER.replace('{name: reader}', '{name: reader, annotations: {note: "\u202Eevil\\u2066\\n- no"}}')}spec: {capabilities: []}\n`;
    const after = directory({ [odd]: text });
    const { out } = await runCli(['plan', '--from', before, after]);
    expect(out).toContain('+ SecurityContext reader (x\\u000A!   widened rights.yaml:1)\n');
    put(before, { [odd]: text.replace('evil', 'good') });
    const changed = await runCli(['plan', '--from', before, after]);
    expect(changed.out).toContain('/metadata/annotations/note: "\\u202Egood\\u2066\\n- no" -> "\\u202Eevil');
    expect(changed.out).not.toMatch(/[\u202E\u2066]/);
  });

  test('a resource with very many changes is told in few lines', async () => {
    const list = (n: number): string => Array.from({ length: 300 }, (_, i) => `"a${i + n}"`).join(', ');
    const spec = (n: number): string => `${READER}spec: {deny_list: [${list(n)}], capabilities: []}\n`;
    const [before, after] = [directory({ 'a.yaml': spec(0) }), directory({ 'a.yaml': spec(1000) })];
    const { out } = await runCli(['plan', '--from', before, after]);
    expect(out).toContain('    and 250 more fields: see --output json\n');
    const { out: json } = await runCli(['plan', '--from', before, after, '-o', 'json']);
    expect(JSON.parse(json).resources[0].fields).toHaveLength(300);
  });
});

describe('of the running gateway', () => {
  /** A control listener of a gateway that has these files in force, over what was before. */
  async function gateway(files: Files, earlier: Files = {}): Promise<string> {
    const [first, second] = [directory(earlier), directory(files)];
    const before = await compiled(first, new Map());
    const applied = appliedOf(await compiled(second, appliedOf(before)));
    return serveControl({ manifests: () => writeInForce(applied, 'rev-1') });
  }

  async function compiled(dir: string, previous: AppliedSet): Promise<Side> {
    return compileSide(await loadManifests(await readTree(dir)), previous, localDeps(), 'rev');
  }

  const golden = (name: string): Files => {
    const top = join(GOLDEN, name, 'before');
    return Object.fromEntries(
      readdirSync(top, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.yaml'))
        .map((path) => [path, readFileSync(join(top, path), 'utf8')]),
    );
  };

  test.each(readdirSync(GOLDEN).filter((name) => !['held', 'first'].includes(name)))(
    'is as that of the directory that it runs: %s',
    async (name) => {
      const url = await gateway(golden(name));
      const after = join(GOLDEN, name, 'after');
      const one = JSON.parse((await runCli(['plan', '--from', url, after, '-o', 'json'])).out);
      const two = await runCli(['plan', '--from', join(GOLDEN, name, 'before'), after, '-o', 'json']);
      const same = ({ resources, tools, rights, diagnostics }: Plan) => ({
        // Where a manifest that goes stands in its file is not kept.
        resources: resources.map((change) => (change.action === 'remove' ? { ...change, line: 1 } : change)),
        ...{ tools, rights, diagnostics },
      });
      expect(same(one)).toEqual(same(JSON.parse(two.out)));
    },
  );

  test('which serves a version that its directory no longer has', async () => {
    const good = golden('resources');
    const url = await gateway({ ...good, 'find.yaml': 'kind: Broken\n' }, good);
    const dir = directory(good);
    vi.stubEnv('SEAL_GATEWAY_CONTROL_URL', url);
    const { code, out } = await runCli(['plan', '--from', 'gateway', dir, '--exit-code']);
    expect({ code, out }).toEqual({ code: 0, out: `plan: gateway -> ${dir}\n\nNo changes.\n` });
    const back = await runCli(['plan', '--from', dir, 'gateway', '--exit-code']);
    expect(back.code).toBe(0);
  });

  test('one that cannot be asked is an error', async () => {
    const { code, err } = await runCli(['plan', '--from', 'http://127.0.0.1:1', directory()]);
    expect(code).toBe(1);
    expect(err).toMatch(/^seal-gateway: http:\/\/127\.0\.0\.1:1: .*Is the gateway running\?/);
    const foreign = await serveControl({ manifests: () => ['{"a":1}'] });
    expect(await runCli(['plan', '--from', foreign, directory()])).toMatchObject({
      code: 1,
      err: `seal-gateway: ${foreign}: HTTP 200, and no answer of a control listener\n`,
    });
    const closed = await serveControl({ development: false });
    expect((await runCli(['plan', '--from', closed, directory()])).err).toContain(
      'this gateway knows no operators',
    );
  });
});

describe('of a document behind a URL', () => {
  const apiAt = (url: string, text: string, more = ''): string =>
    `apiVersion: seal.gateway/v1\nkind: ApiSpec\nmetadata: {name: crm}\nspec:\n  source: {url: "${url}", sha256: ${hash('sha256', text, 'hex')}}\n  egress: {allow_private: true}\n${more}`;

  test('that was not fetched says so, and no tool vanishes', async () => {
    const api = apiAt('http://127.0.0.1:9/openapi.yaml', OPENAPI);
    const before = directory({ 'api.yaml': api, 'find.yaml': workflow('find') });
    const after = directory({ 'api.yaml': `${api}  timeout_ms: 5\n`, 'find.yaml': workflow('find') });
    const { code, out } = await runCli(['plan', '--from', before, after]);
    expect(code).toBe(0);
    expect(out).toContain('/spec/timeout_ms');
    expect(out).toContain('warning: the document is not fetched here, so its operations were not checked');
    expect(out).not.toContain('ToolWorkflow find');
    expect(out).toContain('0 to remove');
  });

  test('is that of the gateway when it has the same digest; else --fetch asks for it', async () => {
    const { url, requests } = await serveUpstream((_, response) => response.end(OPENAPI));
    const api = apiAt(url, OPENAPI);
    const dir = directory({ 'api.yaml': api, 'find.yaml': workflow('find') });
    const gateway = await reconcile(dir, {
      dir: null,
      fetchDocument: async () => Buffer.from(OPENAPI),
    });
    const control = await serveControl({
      manifests: () => writeInForce(gateway.applied(), gateway.status().revision),
    });
    const from = ['plan', '--from', 'gateway', '--control', control];
    const same = await runCli([...from, dir]);
    expect(same.out).toContain('No changes.');
    expect(same.out).not.toContain('not fetched');
    put(dir, { 'find.yaml': workflow('find').replace('getThing', 'getThink') });
    expect((await runCli([...from, dir])).out).toContain('did you mean getThing?');
    expect(requests).toHaveLength(0);
    const fetched = await runCli(['plan', '--from', directory({}), dir, '--fetch']);
    expect(fetched.out).toContain('did you mean getThing?');
    expect(requests.length).toBeGreaterThan(0);
  });
});
