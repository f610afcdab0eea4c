import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram, leaves } from '../../src/cli/program.ts';
import { GatewayError } from '../../src/errors.ts';
import { runCli, scratch } from './run.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const program = createProgram({
  startGateway: () => Promise.reject(new Error('unused')),
  console: { out: () => {}, err: () => {} },
});

const pathOf = (command: Command): string[] =>
  command.parent === null ? [] : [...pathOf(command.parent), command.name()];

describe('the commands', () => {
  const commands = leaves(program).map((command) => [pathOf(command).join(' '), command] as const);

  test('have a file each, and each such file is one', () => {
    const folder = new URL('../../src/cli/', import.meta.url);
    const sources = readdirSync(folder).filter((file) => file.endsWith('.ts'));
    const files = sources.filter((file) =>
      /^export function add[A-Z]\w*\(program: Command, /m.test(readFileSync(new URL(file, folder), 'utf8')),
    );
    const names = program.commands.map((command) => command.name());
    expect(names.sort()).toEqual(files.map((file) => file.slice(0, -'.ts'.length)).sort());
  });

  test.each(commands)('%s says what it does, has --output, and has help', async (path, command) => {
    expect(command.description()).not.toBe('');
    expect(command.options.find(({ long }) => long === '--output')?.argChoices).toEqual(
      expect.arrayContaining(['text', 'json']),
    );
    expect(command.options.filter(({ description }) => description === '')).toEqual([]);
    const { code, out, err } = await runCli([...path.split(' '), '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Usage: seal-gateway ${path}`);
  });
});

describe('the exit code', () => {
  test('is 0 for help and version', async () => {
    expect(await runCli(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
    expect(await runCli(['--help'])).toMatchObject({ code: 0, err: '' });
  });

  test.each([
    [['fly'], "unknown command 'fly'"],
    [['token', '--fly'], "unknown option '--fly'"],
    [['call'], "missing required argument 'tool'"],
    [['schema', 'a', 'b'], 'too many arguments'],
    [['schema', '--output', 'xml'], "'xml' is invalid. Allowed choices are text, json."],
    [['serve', '--watch', 'never'], '--watch never: expected auto or poll'],
  ])('is 1 for a command line that is none: %j', async (argv, message) => {
    const { code, out, err } = await runCli(argv);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
  });

  test('is 1 without a command, with the help', async () => {
    const { code, out, err } = await runCli([]);
    expect(code).toBe(1);
    expect(out + err).toContain('Usage: seal-gateway');
  });

  test('is 1 for a configuration that cannot be', async () => {
    const file = join(scratch(), 'gateway.yaml');
    writeFileSync(file, 'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {fly: 1, run: 2}\n');
    const { code, err } = await runCli(['serve', '--config', file]);
    expect(code).toBe(1);
    expect(err.split('\n')).toHaveLength(3);
    expect(err).toContain(`${file}:3:8: spec.fly: there is no such key`);
    expect(err).toContain(`${file}:3:16: spec.run: there is no such key`);
  });

  test('is 1 for a failure of the table, with its code for a program', async () => {
    const failing = () => Promise.reject(new GatewayError('AUDIT_UNAVAILABLE', 'the disk is full'));
    const config = join(scratch(), 'gateway.yaml');
    writeFileSync(config, 'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {log: {level: silent}}\n');
    expect(await runCli(['serve', '--config', config], failing)).toEqual({
      code: 1,
      out: '',
      err: 'seal-gateway: the disk is full\n',
    });
    const json = await runCli(['serve', '--config', config, '-o', 'json'], failing);
    expect({ ...json, out: JSON.parse(json.out) }).toEqual({
      code: 1,
      out: { status: 'error', error: { message: 'the disk is full', code: 4501, name: 'AUDIT_UNAVAILABLE' } },
      err: '',
    });
  });
});
