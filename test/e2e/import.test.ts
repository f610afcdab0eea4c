/**
 * Published documents as manifests: GitHub's (1,223 operations), and all of OpenAPI 3 that ReadMe has collected. What is
 * imported is valid, and imported again it is the same.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { validateDirectory } from '../../src/cli/validate.ts';
import { runCli, scratch } from '../cli/run.ts';

const { resolve } = createRequire(import.meta.url);
const examples = dirname(resolve('@readme/oas-examples/package.json'));
const octokit = join(dirname(resolve('@octokit/openapi')), 'generated/api.github.com.json');
const files = readdirSync(examples, { recursive: true, encoding: 'utf8' })
  .filter((file) => /^3\..*\.(json|yaml)$/.test(file))
  .sort();

interface Row {
  readonly action: string;
  readonly name: string | null;
  readonly note: string;
}

/** Resolves to how many tools the document made. */
async function importTwice(document: string): Promise<number> {
  const out = scratch();
  const flags = ['--name', 'x', '--base-url', 'https://x.example', '-o', 'json'];
  const run = () => runCli(['import', 'openapi', document, '--out', out, ...flags]);
  const first = await run();
  expect(first.code).toBe(0);
  const rows = JSON.parse(first.out).rows as Row[];
  // What the index takes becomes a tool, unless it needs what no step can send.
  for (const { action, name, note } of rows)
    if (action === 'skipped' && name !== null) expect(note).toMatch(/^it needs (the cookie|\w+ parameter) /);
  const { errors, diagnostics, manifests } = await validateDirectory(out);
  expect(errors, JSON.stringify(diagnostics.slice(0, 3))).toBe(0);
  expect(JSON.parse((await run()).out).files).toEqual([]);
  return manifests - 1;
}

describe.skipIf(process.env.SEAL_TEST_FULL !== '1')(
  'published documents as manifests (SKIPPED without SEAL_TEST_FULL=1: make ci)',
  () => {
    test('GitHub', { timeout: 300_000 }, async () => {
      expect(await importTwice(octokit)).toBeGreaterThan(1_200);
    });

    test('oas-examples', { timeout: 300_000 }, async () => {
      let tools = 0;
      for (const file of files) tools += await importTwice(join(examples, file));
      expect(tools).toBeGreaterThan(500);
    });
  },
);
