/** The docs say what the code does: generated pages are current, links lead somewhere, tables are complete. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createProgram, leaves } from '../../src/cli/program.ts';
import { loadConfig } from '../../src/config.ts';
import { generate } from '../../src/manifest/generate.ts';
import { KINDS } from '../../src/manifest/kind.ts';
import { pathOf, renderCli } from './cli-page.ts';
import { KEYS, renderConfiguration, SHORT_NAMES } from './configuration-page.ts';
import { expectPage, ROOT, readText } from './page.ts';

const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(new URL('docs', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path}`),
];
const readme = readText('README.md');
const program = createProgram({
  startGateway: () => Promise.reject(new Error('no gateway is started here')),
  console: { out: () => {}, err: () => {} },
});

test('docs/reference/cli.md is made from the commands', () => {
  expectPage('docs/reference/cli.md', renderCli(program));
});

test('every command, argument and option is explained', () => {
  for (const command of leaves(program)) {
    const described = [command, ...command.registeredArguments, ...command.options].map((one) =>
      typeof one.description === 'function' ? one.description() : one.description,
    );
    expect.soft(described.every(Boolean), pathOf(command)).toBe(true);
  }
});

test('the README names every command', () => {
  const commands = program.commands.map((command) => command.name());
  expect(tableOf(readme, 'The command line').sort()).toEqual(commands.sort());
});

test('docs/reference/configuration.md is made from the schema', () => {
  expectPage('docs/reference/configuration.md', renderConfiguration());
});

test('every environment variable of that page is one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'seal-docs-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'gateway.yaml');
  writeFileSync(file, 'apiVersion: seal.gateway/v1\nkind: GatewayConfig\n');
  // What cannot be set in this version is a warning or an error of its own; an unknown name is always this warning.
  expect(loadConfig(file, { SEAL_GATEWAY_NO_SUCH: 'x' }).warnings.join()).toContain('SEAL_GATEWAY_NO_SUCH');
  const variables = [...KEYS.flatMap(({ variable }) => variable ?? []), ...Object.keys(SHORT_NAMES)];
  for (const variable of variables) {
    const { setting } = KEYS.find((key) => key.variable === variable) ?? {
      setting: KEYS.find(({ group, name }) => `${group}.${name}` === SHORT_NAMES[variable])!.setting,
    };
    const value = [setting.default ?? ''].flat().join(',');
    expect
      .soft(warningsOf(() => loadConfig(file, { [variable]: value }).warnings).join(), variable)
      .not.toContain(variable);
  }
});

function warningsOf(load: () => readonly string[]): readonly string[] {
  try {
    return load();
  } catch {
    // A refused value was recognised.
    return [];
  }
}

test('the types and the reference of the manifests are current', async () => {
  for (const target of ['types', 'docs'] as const) {
    const { committed, current } = await generate(target);
    expect(committed === current, `${target}: make generate`).toBe(true);
  }
});

test('the README has a line for every dependency, and for nothing else', () => {
  const { dependencies, devDependencies } = JSON.parse(readText('package.json'));
  expect(tableOf(readme, 'Dependencies').sort()).toEqual(
    [...Object.keys(dependencies), ...Object.keys(devDependencies)].sort(),
  );
});

test('the README has a line for every kind of manifest', () => {
  expect(tableOf(readme, 'The seven kinds of manifest').sort()).toEqual([...KINDS].sort());
});

test('every relative link leads somewhere', () => {
  const broken = pages.flatMap((page) => linksOf(readText(page)).flatMap((link) => problemOf(page, link)));
  expect(broken).toEqual([]);
});

test('every decision is a page that is linked from their list', () => {
  const decisions = pages.filter((page) => /^docs\/decisions\/\d{4}-/.test(page));
  const index = readText('docs/decisions/README.md');
  for (const page of decisions) {
    expect.soft(index, page).toContain(`](${page.slice('docs/decisions/'.length)})`);
    expect.soft(readText(page), page).toMatch(new RegExp(`^# ${page.slice(15, 19)} `));
  }
});

/** The first cells, in backticks, of the table below this heading. */
function tableOf(page: string, heading: string): string[] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name.split(' ')[0]!);
}

/** Link targets outside of code. */
function linksOf(page: string): string[] {
  const prose = page.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

function problemOf(page: string, link: string): string[] {
  if (/^https?:/.test(link)) return [];
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(new URL(target, ROOT))) return [`${page}: ${link} is not there`];
  if (anchor === undefined || anchorsOf(readText(target)).includes(anchor)) return [];
  return [`${page}: ${link} names no heading of ${target}`];
}

/** Anchors as the forges make them. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
