import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { validateDirectory } from '../../src/cli/validate.ts';
import { loadConfig } from '../../src/config.ts';
import { runCli, scratch } from './run.ts';

const FILES = [
  '.gitignore',
  'gateway.yaml',
  'gateway.d/issuer.yaml',
  'gateway.d/context.yaml',
  'gateway.d/health.yaml',
  '.seal/issuer.jwk.json',
  '.seal/agent.jwk.json',
];

const below = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort();

test('makes a directory that the gateway takes as it is', async () => {
  const dir = join(scratch(), 'new');
  const { code, out, err } = await runCli(['init', dir]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(below(dir)).toEqual([...FILES].sort());
  expect(await validateDirectory(join(dir, 'gateway.d'))).toMatchObject({ manifests: 4, diagnostics: [] });
  expect(loadConfig(join(dir, 'gateway.yaml'), {})).toMatchObject({
    config: {
      manifests: { dir: './gateway.d' },
      network: { bind_addr: '127.0.0.1:8089' },
      auth: { development: true },
    },
    warnings: [],
  });
  for (const line of [`  cd ${dir}`, '  seal-gateway validate', '  seal-gateway call gateway.health']) {
    expect(out).toContain(`${line}\n`);
  }
});

test('keeps the private keys to their owner, and out of git and the manifests', async () => {
  const dir = scratch();
  await runCli(['init', dir]);
  const issuer = readFileSync(join(dir, 'gateway.d/issuer.yaml'), 'utf8');
  const [manifest] = parseAllDocuments(issuer).map((document) => document.toJS());
  const pairs = [
    ['issuer', manifest.spec.jwks],
    ['agent', manifest.spec.envelope_keys],
  ] as const;
  for (const [name, set] of pairs) {
    const file = join(dir, `.seal/${name}.jwk.json`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { d, ...publicKey } = JSON.parse(readFileSync(file, 'utf8'));
    expect(set.inline.keys).toEqual([publicKey]);
    expect(issuer).not.toContain(d);
  }
  expect(readFileSync(join(dir, '.gitignore'), 'utf8')).toMatch(/^\.seal\/$/m);
});

test('says as JSON what it wrote', async () => {
  const dir = scratch();
  const { out } = await runCli(['init', dir, '-o', 'json']);
  expect(JSON.parse(out)).toEqual({ dir, files: FILES });
});

test.each(FILES)('writes nothing when %s is there', async (taken) => {
  const dir = scratch();
  mkdirSync(join(dir, taken, '..'), { recursive: true });
  writeFileSync(join(dir, taken), 'mine');
  const { code, out, err } = await runCli(['init', dir]);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain(`${dir} has ${taken} already; nothing was written`);
  expect(below(dir)).toEqual([taken]);
  expect(readFileSync(join(dir, taken), 'utf8')).toBe('mine');
});
