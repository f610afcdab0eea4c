import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { compileCliTool, compileJudge } from '../../src/reconcile/compile-cli.ts';
import { createProblems } from '../../src/reconcile/problems.ts';
import { cliTool } from '../support/cli-tool.ts';

type Spec = Manifest<'CliTool'>['spec'];

function findings(spec: Partial<Spec>): string[] {
  const problems = createProblems();
  const whole = {
    description: 'A.',
    image: 'a',
    command: ['a'],
    allowed_subcommands: ['get'],
    ...spec,
  } as Spec;
  compileCliTool({ spec: whole, name: 'a', tenant: null } as Manifest<'CliTool'>, problems, null);
  return problems.findings.map(({ pointer, severity, message }) => `${severity} ${pointer}: ${message}`);
}

describe('a tool', () => {
  test('that says little gets no more than it needs', () => {
    expect(cliTool()).toMatchObject({
      pull_policy: 'if_not_present',
      timeout_ms: 30_000,
      network: null,
      user: '65534:65534',
      resources: { memory_bytes: 256 * 2 ** 20, cpus: 1, pids: 64, open_files: 1_024 },
      mounts: [],
      stdin: false,
      require_judge: false,
      credential: { kind: 'none' },
      inject: null,
      prewarm: 0,
      max_output_bytes: 1_048_576,
      arguments: { positionals: null, max_count: 64, deny: [] },
    });
  });

  test('has what it says', () => {
    const tool = cliTool({
      network: 'none',
      mounts: [{ source: '/a', target: '/b' }],
      inject: { env: { TOKEN: 'token' } },
      credential: { static_ref: { key: 'a' } },
      resources: { memory: '1Gi' },
    });
    expect(tool).toMatchObject({
      network: null,
      mounts: [{ source: '/a', target: '/b', read_only: true }],
      inject: { kind: 'env', fields: { TOKEN: 'token' } },
      resources: { memory_bytes: 2 ** 30 },
    });
  });

  test.each<[string, Partial<Spec>, string]>([
    [
      'a pattern that only a wrapping would mend',
      { args: { positionals: { pattern: 'a)|(b' } } },
      "error /spec/args/positionals/pattern: this is no regular expression: Unmatched ')'",
    ],
    [
      'memory without its unit',
      { resources: { memory: '256' } },
      'error /spec/resources/memory: 256 is no amount of memory for a container',
    ],
    [
      'a boolean flag with a pattern',
      { args: { flags: { get: { '--all': { type: 'boolean', pattern: 'a' } } } } },
      'error /spec/args/flags/get/--all/pattern: a boolean flag takes no value that this could hold for',
    ],
    [
      'a deny pattern of nothing',
      { args: { deny: [' '] } },
      'error /spec/args/deny/0: a value pattern must not be empty',
    ],
    [
      'a judge that nobody asks',
      { semantic_judge: 'house' },
      'warning /spec/semantic_judge: this judge is never asked',
    ],
    [
      'containers that wait, and a file for one call',
      { prewarm: 1, inject: { file: { path: '/a' } } },
      'error /spec/prewarm: a credential file is made for one call, a waiting container before it',
    ],
  ])('is told of %s', (_, spec, expected) => {
    expect(findings(spec)).toEqual([expected]);
  });
});

test('the input schema says all that a call is held to', () => {
  const { input_schema } = cliTool({
    allowed_subcommands: ['get', 'logs'],
    args: {
      flags: {
        get: {
          '--output': { enum: ['json', 'wide'] },
          '--namespace': { pattern: '[a-z]+' },
          '--all': { type: 'boolean' },
          '--limit': { type: 'integer' },
        },
      },
      positionals: { pattern: '[a-z]+', max: 2 },
      deny: ['secret*'],
      max_count: 9,
    },
    stdin: true,
  });
  expect(input_schema).toEqual({
    type: 'object',
    additionalProperties: false,
    required: ['subcommand'],
    properties: {
      subcommand: {
        type: 'string',
        enum: ['get', 'logs'],
        description: 'The whole subcommand; its words are separated by one space.',
      },
      args: {
        type: 'array',
        items: { type: 'string' },
        maxItems: 9,
        default: [],
        description:
          'Words after the subcommand, one element each; there is no shell. Flags by subcommand: get: ' +
          '--output=json|wide, --namespace=<string matching [a-z]+>, --all, --limit=<integer>; logs: no flags. Flags ' +
          'are written in full, as --name=value; no short or abbreviated ones, and no "--". At most 2 other words, ' +
          'each matching [a-z]+ and not beginning with "-". Refused wherever they stand: secret*.',
      },
      stdin: { type: 'string', description: 'Text that the command reads from standard input.' },
    },
  });
});

test('a judge has its defaults', () => {
  const spec = { url: 'https://judge.example/v1' };
  expect(compileJudge({ spec, name: 'house' } as Manifest<'SemanticJudge'>)).toMatchObject({
    name: 'house',
    protocol: 'http_json',
    timeout_ms: 5_000,
    credential: { kind: 'none' },
  });
});
