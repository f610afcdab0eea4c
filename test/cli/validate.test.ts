import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directory } from '../manifest/directory.ts';
import { runCli } from './run.ts';

const GOLDEN = new URL('../golden/validate/', import.meta.url).pathname;

/** What `validate` prints, the directory called by its name. */
async function validate(name: string) {
  const { code, out, err } = await runCli(['validate', join(GOLDEN, name)]);
  return { code, said: out.replaceAll(GOLDEN, ''), err };
}

describe('golden diagnostics (UPDATE=1 rewrites them: read each as its author would)', () => {
  test.each(readdirSync(GOLDEN))('%s', async (name) => {
    const { code, said, err } = await validate(name);
    const file = join(GOLDEN, name, 'expected.txt');
    if (process.env.UPDATE === '1') writeFileSync(file, said);
    expect(existsSync(file), 'UPDATE=1 writes it').toBe(true);
    expect(said).toBe(readFileSync(file, 'utf8'));
    expect(err).toBe('');
    expect(code).toBe(/ 0 errors, /.test(said) ? 0 : 1);
  });
});

test('as JSON', async () => {
  const { code, out } = await runCli(['validate', join(GOLDEN, 'copies'), '--output', 'json']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    manifests: 1,
    errors: 0,
    warnings: 1,
    diagnostics: [{ file: 'copy.yaml', line: 2, column: 1, severity: 'warning', rule: 'duplicate-manifest' }],
  });
});

test('a directory that cannot be read', async () => {
  const top = directory({ 'a.yaml': '' });
  for (const [path, why] of [
    [join(top, 'gone'), 'is not there'],
    [join(top, 'a.yaml'), 'is not a directory'],
  ] as const) {
    const { code, out, err } = await runCli(['validate', path]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(`seal-gateway: ${path} ${why}\n`);
  }
});

test('an empty directory is valid', async () => {
  const top = directory();
  expect(await runCli(['validate', top])).toEqual({
    code: 0,
    out: `${top}: 0 manifests, 0 errors, 0 warnings\n`,
    err: '',
  });
});
