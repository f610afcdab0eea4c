/** Holds src/ to the rules of the house, and the rules to samples that break them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LEAVES, packageOf, placeOf, problemsOf, TABLE } from './rules.ts';
import { readSource, type Source } from './source.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const sources = new Map(
  filesBelow('src', /\.ts$/).map((path) => {
    const file = path.slice('src/'.length);
    return [file, readSource(file, readFileSync(join(ROOT, path), 'utf8'))];
  }),
);

function filesBelow(folder: string, name: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
}

/** What a file imports below src/, itself included, through any number of files. */
function reach(file: string, seen = new Map<string, Source>()): Map<string, Source> {
  const source = sources.get(file);
  if (source === undefined || seen.has(file)) return seen;
  seen.set(file, source);
  for (const { specifier, type_only } of source.imports) {
    if (!type_only && specifier.startsWith('.')) reach(posix.join(posix.dirname(file), specifier), seen);
  }
  return seen;
}

describe('the sources', () => {
  test('keep the rules', () => {
    expect([...sources.values()].flatMap(problemsOf)).toEqual([]);
  });

  test('import dependencies, and each dependency is imported', () => {
    const packages = new Set<string>();
    for (const { imports } of sources.values()) {
      for (const { specifier } of imports) {
        if (!specifier.startsWith('.') && !specifier.startsWith('node:')) packages.add(packageOf(specifier));
      }
    }
    const development = [...packages].filter((name) => devDependencies[name] !== undefined);
    expect([...packages].filter((name) => !development.includes(name)).sort()).toEqual(
      Object.keys(dependencies).sort(),
    );
    // The program never loads what makes its types.
    const loaded = [...reach('main.ts').values()].flatMap(({ imports }) =>
      imports.map((one) => one.specifier),
    );
    expect(loaded.filter((specifier) => development.includes(packageOf(specifier)))).toEqual([]);
  });

  test('the client needs nothing of Node', () => {
    const needed = reach('client.ts');
    expect([...needed.keys()].sort()).toEqual([
      'client.ts',
      'clock.ts',
      'envelope/canonical.ts',
      'errors.ts',
    ]);
    for (const { file, code, imports } of needed.values()) {
      expect
        .soft(
          imports.filter(({ specifier }) => specifier.startsWith('node:')),
          file,
        )
        .toEqual([]);
      expect.soft(code, file).not.toMatch(/\b(?:Buffer|process|global|setImmediate|__dirname)\b/);
    }
  });

  test('nothing of the project reads what lies outside of it', () => {
    const outside = ['src', 'test', 'examples', 'gateway.d', 'schemas'].flatMap((folder) =>
      filesBelow(folder, /\.(?:ts|json|ya?ml)$/).filter((path) =>
        /(?:\.\.|\/work)\/shared\b/.test(readFileSync(join(ROOT, path), 'utf8')),
      ),
    );
    expect(outside).toEqual([]);
  });

  test('the table of docs/architecture.md is this one', () => {
    const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
    const [, section = ''] = page.split('## Who may import whom\n');
    const rows = [...section.matchAll(/^\| ((?:`[^`|]+`(?:, )?)+) \| ([^|]*) \|$/gm)].flatMap(
      ([, places = '', what = '']) =>
        [...places.matchAll(/`([^`]+)`/g)].map(([, place = '']) => [place, what.replaceAll('`', '').trim()]),
    );
    const written = Object.entries(TABLE).map(([place, allowed]) => [
      place,
      ['leaves', ...allowed.map(({ from, what }) => `${from}${inWords(what)}`)].join(', '),
    ]);
    expect(Object.fromEntries(rows)).toEqual({
      ...Object.fromEntries(written),
      'main.ts': 'all',
      cli: 'all but main.ts',
    });
  });

  test('every place below src/ has a row', () => {
    const places = new Set([...sources.keys()].filter((file) => !LEAVES.includes(file)).map(placeOf));
    expect([...places].filter((place) => TABLE[place] === undefined).sort()).toEqual(['cli', 'main.ts']);
  });
});

function inWords(what: 'all' | 'types' | readonly string[]): string {
  if (what === 'all') return '';
  return what === 'types' ? ' (types)' : ` (types; ${what.join('; ')})`;
}

describe('a source that breaks a rule is found', () => {
  const samples: [file: string, text: string, problem: string][] = [
    [
      'execute/step.ts',
      "import { evaluate } from '../policy/evaluate.ts';",
      'may not import policy/evaluate.ts',
    ],
    ['execute/step.ts', "import type { Call } from '../policy/call.ts';", 'may not import policy/call.ts'],
    ['invoke/call.ts', "export { x } from '../manifest/kind.ts';\nx();", 'may not import manifest/kind.ts'],
    [
      'serve/http/a.ts',
      "export * from '../../reconcile/watch.ts';\nx();",
      'may not import reconcile/watch.ts',
    ],
    [
      'openapi/a.ts',
      "const a = await import('../snapshot/snapshot.ts');",
      'may not import snapshot/snapshot.ts',
    ],
    ['openapi/a.ts', "import '../snapshot/holder.ts';", 'may not import snapshot/holder.ts'],
    [
      'snapshot/snapshot.ts',
      "import {\n  type Operation,\n  parse,\n} from '../openapi/operation.ts';",
      'may import openapi/operation.ts for its types alone',
    ],
    [
      'policy/select.ts',
      "import { visible, freeze } from '../snapshot/snapshot.ts';",
      'may import snapshot/snapshot.ts for scoped, visible, EXPLORE and types, not freeze',
    ],
    [
      'policy/select.ts',
      "import * as model from '../snapshot/snapshot.ts';",
      'may import snapshot/snapshot.ts for scoped, visible, EXPLORE and types, not the whole of it',
    ],
    ['policy/path.ts', "import { posix } from 'node:path';", 'is pure and imports node:path'],
    ['clock.ts', "import { loadConfig } from './config.ts';", 'is a leaf and imports config.ts'],
    ['cli/run.ts', "import { startGateway } from '../main.ts';", 'imports main.ts, which is a program'],
    ['queue/a.ts', "import { invoke } from '../invoke/invoke.ts';", 'is in no row of the import table'],
    [
      'serve/grpc/a.ts',
      "import { sendError } from '../http/reply.ts';",
      'imports its sibling serve/http/reply.ts',
    ],
    [
      'serve/http/control/a.ts',
      "import { x } from '../../grpc/a.ts';",
      'imports its sibling serve/grpc/a.ts',
    ],
    [
      'serve/metrics.ts',
      "import { listen } from './http/listener.ts';",
      'imports its sibling serve/http/listener.ts',
    ],
    [
      'execute/a.ts',
      "import x from '../../test/store/scratch.ts';",
      'imports ../../test/store/scratch.ts, which is not in src',
    ],
    [
      'main.ts',
      "import x from '../examples/crm/server.ts';",
      'imports ../examples/crm/server.ts, which is not in src',
    ],
    ['execute/a.ts', "import { x } from './egress';", 'imports ./egress without its .ts'],
    [
      'audit/record.ts',
      "import Database from 'better-sqlite3';",
      'better-sqlite3 belongs into store/sqlite-file.ts, store/sqlite-ledger.ts, store/sqlite-reader.ts, store/sqlite-sessions.ts, store/sqlite-trim.ts',
    ],
    ['invoke/a.ts', "import { Router } from '@koa/router/lib/router.js';", '@koa/router belongs into serve/'],
    ['log.ts', "import type { Server } from '@grpc/grpc-js';", '@grpc/grpc-js belongs into serve/'],
    [
      'cli/a.ts',
      "import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';",
      '@modelcontextprotocol/sdk belongs into serve/',
    ],
    ['cli/a.ts', 'const home = process.env.HOME;', 'process.env belongs into config.ts'],
    ['cli/a.ts', "const home = process['env'].HOME;", 'process.env belongs into config.ts'],
    ['cli/a.ts', 'const { env } = process;', 'process.env belongs into config.ts'],
    ['cli/a.ts', "import { env } from 'node:process';", 'node:process belongs into config.ts'],
    ['audit/a.ts', 'const at = Date.now();', 'Date.now belongs into clock.ts'],
    ['audit/a.ts', 'const at = new Date();', 'new Date() belongs into clock.ts'],
    ['audit/a.ts', 'const at = new Date;', 'new Date() belongs into clock.ts'],
    ['audit/a.ts', 'const text = Date();', 'Date() belongs into clock.ts'],
    ['audit/a.ts', `const text = \`at \${new Date( )}\`;`, 'new Date() belongs into clock.ts'],
    ['invoke/a.ts', 'const now = performance.now();', 'performance.now belongs into clock.ts'],
    ['invoke/a.ts', "import { randomUUID } from 'node:crypto';", 'randomUUID belongs into ids.ts'],
    ['invoke/a.ts', 'const id = crypto.randomUUID();', 'randomUUID belongs into ids.ts'],
    ['invoke/a.ts', 'const id = Math.random();', 'Math.random belongs into no source'],
    ['invoke/a.ts', "const x = createRequire(import.meta.url)('koa');", 'require belongs into no source'],
    [
      'invoke/a.ts',
      'const x = await import(name);',
      'import() of what is not a plain text belongs into no source',
    ],
    ['policy/utils.ts', 'export const x = 1;', '"utils" names nothing of the field'],
    ['execute/url-helpers.ts', 'export const x = 1;', '"url-helpers" names nothing of the field'],
    ['common/retry.ts', 'export const x = 1;', '"common" names nothing of the field'],
    [
      'policy/index.ts',
      "/** All of it. */\nexport * from './match.ts';\nexport { a } from './path.ts';\n",
      'only re-exports: import from where things are',
    ],
  ];

  test.each(samples)('%s: %s', (file, text, problem) => {
    expect(problemsOf(readSource(file, text))).toEqual([`${file}: ${problem}`]);
  });

  test.each([
    ['policy/a.ts', "import { type Snapshot, visible } from '../snapshot/snapshot.ts';"],
    ['policy/a.ts', "import type * as model from '../snapshot/snapshot.ts';"],
    ['snapshot/a.ts', "import { type Operation } from '../openapi/operation.ts';"],
    ['execute/a.ts', 'const at = new Date(now_ms);'],
    ['execute/a.ts', '// Date.now() and process.env are read elsewhere.\nconst x = 1;'],
    ['execute/a.ts', "/* import x from '../policy/match.ts'; */ const url = 'http://x'; // Date.now()"],
    ['execute/a.ts', "throw new Error('set process.env, or call Date.now() and new Date()');"],
    ['execute/a.ts', 'const quoted = /[\'"`]/.test(text); // Date.now()'],
    ['cli/a.ts', "process.on('SIGTERM', stop); process.exitCode = 1;"],
    ['main.ts', "import { createDataPlane } from './serve/http/data-plane.ts';"],
    ['serve/http/control/a.ts', "import { sendError } from '../reply.ts';"],
    ['serve/http/a.ts', "import type { Operator } from './control/operator.ts';"],
  ])('and one that keeps them is not: %s: %s', (file, text) => {
    expect(problemsOf(readSource(file, text))).toEqual([]);
  });
});
