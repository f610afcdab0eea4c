import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeCliArguments, MAX_WORD_BYTES, subcommandOf } from '../../src/execute/cli-arguments.ts';
import { cliTool, type WrittenCliTool } from '../support/cli-tool.ts';

const kubectl = cliTool({
  command: ['kubectl'],
  allowed_subcommands: ['get', 'rollout status'],
  args: {
    flags: {
      get: {
        '--namespace': { pattern: '[a-z0-9-]{1,63}' },
        '--output': { enum: ['json', 'wide'] },
        '--all-namespaces': { type: 'boolean' },
        '--limit': { type: 'integer' },
        '--ratio': { type: 'number' },
        '--filename': { type: 'path' },
      },
    },
    positionals: { pattern: '[a-z0-9./-]{1,253}', max: 2 },
    deny: ['secret*'],
    max_count: 8,
  },
  workdir: '/work',
});

function argv(args: unknown[], tool = kubectl): readonly string[] {
  const judged = judgeCliArguments(tool, { subcommand: tool.allowed_subcommands[0], args });
  if ('problem' in judged) throw new Error(judged.problem.message);
  return judged.invocation.argv;
}

function rule(args: Record<string, unknown>, tool = kubectl): string | null {
  const judged = judgeCliArguments(tool, args);
  return 'problem' in judged ? judged.problem.rule : null;
}

const refusedBy = (...args: unknown[]) => rule({ subcommand: 'get', args });

describe('the argv', () => {
  test('is the command, the words of the subcommand, and each flag with its value as one word', () => {
    expect(argv(['pods', '--output', 'json', '--all-namespaces', '--namespace=prod'])).toEqual([
      ...['kubectl', 'get', 'pods', '--output=json', '--all-namespaces', '--namespace=prod'],
    ]);
  });

  test('is the same for the name that the wire has for the subcommand', () => {
    const judged = judgeCliArguments(kubectl, { command: 'rollout status', args: ['web'] });
    expect(judged).toMatchObject({ invocation: { argv: ['kubectl', 'rollout', 'status', 'web'] } });
    expect(subcommandOf({ command: 'rollout status' })).toBe('rollout status');
  });

  test('may have no words after the subcommand', () => {
    expect(rule({ subcommand: 'get' })).toBeNull();
    expect(rule({ subcommand: 'get', args: null })).toBeNull();
  });

  test('takes a value that begins with a dash only where it cannot be a flag', () => {
    expect(argv(['--limit=-5'])).toEqual(['kubectl', 'get', '--limit=-5']);
    expect(refusedBy('--limit', '-5')).toBe('args.flags');
  });

  test('keeps equals signs, spaces and shell characters within their word', () => {
    const gh = cliTool({
      command: ['gh'],
      allowed_subcommands: ['issue create'],
      args: { flags: { 'issue create': { '--title': {} } } },
    });
    const title = '$(reboot); `id` && a=b | c > d "e" \'f\' *';
    expect(argv(['--title', title], gh)).toEqual(['gh', 'issue', 'create', `--title=${title}`]);
  });
});

describe('paths are told, from the working directory', () => {
  const paths = (args: unknown[], tool = kubectl) => {
    const judged = judgeCliArguments(tool, { subcommand: tool.allowed_subcommands[0], args });
    return 'problem' in judged ? judged.problem.rule : judged.invocation.paths;
  };

  test('of flags', () => {
    expect(paths(['--filename=/srv/a.yaml'])).toEqual(['/srv/a.yaml']);
    expect(paths(['--filename', 'a.yaml'])).toEqual(['/work/a.yaml']);
    expect(paths(['pods'])).toEqual([]);
  });

  test('of positionals that are declared as such', () => {
    const cat = cliTool({
      command: ['cat'],
      allowed_subcommands: ['show'],
      args: { positionals: { pattern: '.*', type: 'path' } },
    });
    expect(paths(['a/b', '/c'], cat)).toEqual(['a/b', '/c']);
  });

  test.each(['../x', '/srv/../etc', '..', '/srv/%2e%2e/x', '/srv\\x', '/a%2Fb'])(
    'and not in two spellings: %s',
    (path) => {
      expect(paths([`--filename=${path}`])).toBe('path');
    },
  );
});

describe('known ways to make a harmless program run another are refused', () => {
  const git = cliTool({
    command: ['git', '--no-pager'],
    allowed_subcommands: ['log', 'show', 'ls-remote'],
    args: {
      flags: { log: { '--oneline': { type: 'boolean' }, '--max-count': { type: 'integer' } }, show: {} },
      positionals: { pattern: '[A-Za-z0-9_./~^-]{1,200}', max: 2 },
    },
  });
  const tar = cliTool({
    command: ['tar'],
    allowed_subcommands: ['x'],
    args: { positionals: { pattern: '.*' } },
  });

  const cases: [name: string, tool: typeof git, args: Record<string, unknown>, rule: string][] = [
    ['git -c alias before the subcommand', git, { subcommand: '-c alias.x=!id x' }, 'allowed_subcommands'],
    ['git -c alias after it', git, { subcommand: 'log', args: ['-c', 'alias.x=!id'] }, 'args.flags'],
    ['a flag glued to the subcommand', git, { subcommand: 'log --oneline' }, 'allowed_subcommands'],
    ['--upload-pack', git, { subcommand: 'ls-remote', args: ['--upload-pack=id', 'a'] }, 'args.flags'],
    [
      '--upload-pack, shortened',
      git,
      { subcommand: 'ls-remote', args: ['--upload-p=id', 'a'] },
      'args.flags',
    ],
    [
      '--upload-pack, its value apart',
      git,
      { subcommand: 'ls-remote', args: ['--upload-pack', 'id'] },
      'args.flags',
    ],
    ['--output', git, { subcommand: 'log', args: ['--output=/etc/passwd'] }, 'args.flags'],
    ['a declared flag, shortened', git, { subcommand: 'log', args: ['--onel'] }, 'args.flags'],
    ['a declared flag in other letters', git, { subcommand: 'log', args: ['--ONELINE'] }, 'args.flags'],
    ['a remote helper', git, { subcommand: 'ls-remote', args: ['ext::sh -c id'] }, 'args.positionals'],
    ['a flag of another subcommand', git, { subcommand: 'show', args: ['--oneline'] }, 'args.flags'],
    ['an alias of a subcommand', git, { subcommand: 'lg' }, 'allowed_subcommands'],
    ['a subcommand in other letters', git, { subcommand: 'LOG' }, 'allowed_subcommands'],
    ['a subcommand with another space', git, { subcommand: 'log ' }, 'allowed_subcommands'],
    [
      'tar --checkpoint-action',
      tar,
      { subcommand: 'x', args: ['--checkpoint=1', '--checkpoint-action=exec=id'] },
      'args.flags',
    ],
    ['tar -I', tar, { subcommand: 'x', args: ['-I', 'id'] }, 'args.flags'],
    ['tar --to-command', tar, { subcommand: 'x', args: ['--to-command=id'] }, 'args.flags'],
    ['combined short flags', tar, { subcommand: 'x', args: ['-xvf'] }, 'args.flags'],
    ['kubectl --kubeconfig', kubectl, { subcommand: 'get', args: ['--kubeconfig=/tmp/x'] }, 'args.flags'],
    [
      'kubectl --kubeconfig, its value apart',
      kubectl,
      { subcommand: 'get', args: ['--kubeconfig', '/tmp/x'] },
      'args.flags',
    ],
    ['kubectl --raw', kubectl, { subcommand: 'get', args: ['--raw=/api/v1/secrets'] }, 'args.flags'],
    ['terraform -chdir', kubectl, { subcommand: 'get', args: ['-chdir=/etc'] }, 'args.flags'],
    ['two dashes', kubectl, { subcommand: 'get', args: ['--', 'pods'] }, 'args.flags'],
    ['two dashes with a value', kubectl, { subcommand: 'get', args: ['--=x'] }, 'args.flags'],
    ['one dash', kubectl, { subcommand: 'get', args: ['-'] }, 'args.flags'],
    [
      'a value for a flag that takes none',
      kubectl,
      { subcommand: 'get', args: ['--all-namespaces=false'] },
      'args.flags',
    ],
    [
      'a flag as the value of another',
      kubectl,
      { subcommand: 'get', args: ['--namespace', '--kubeconfig=x'] },
      'args.flags',
    ],
    ['a value that is missing', kubectl, { subcommand: 'get', args: ['--namespace'] }, 'args.flags'],
    ['an empty value', kubectl, { subcommand: 'get', args: ['--filename='] }, 'args.flags'],
    ['a value that is no integer', kubectl, { subcommand: 'get', args: ['--limit=1e3'] }, 'args.flags'],
    ['a value that is no number', kubectl, { subcommand: 'get', args: ['--ratio=0x10'] }, 'args.flags'],
    [
      'a value that only begins well',
      kubectl,
      { subcommand: 'get', args: ['--namespace=a b'] },
      'args.flags',
    ],
    ['a value of none of the list', kubectl, { subcommand: 'get', args: ['--output=yaml'] }, 'args.flags'],
    [
      'a word that only contains what is allowed',
      kubectl,
      { subcommand: 'get', args: ['pods;id'] },
      'args.positionals',
    ],
    ['an empty word', kubectl, { subcommand: 'get', args: [''] }, 'args.positionals'],
    ['more words than allowed', kubectl, { subcommand: 'get', args: ['a', 'b', 'c'] }, 'args.positionals'],
    ['a denied word', kubectl, { subcommand: 'get', args: ['secrets'] }, 'args.deny'],
    ['a denied value', kubectl, { subcommand: 'get', args: ['--namespace=secret-place'] }, 'args.deny'],
    ['NUL', kubectl, { subcommand: 'get', args: ['pods\0--raw'] }, 'characters'],
    ['NUL in a subcommand', kubectl, { subcommand: 'get\0' }, 'allowed_subcommands'],
    ['a line end', kubectl, { subcommand: 'get', args: ['pods\n'] }, 'characters'],
    ['a carriage return', kubectl, { subcommand: 'get', args: ['po\rds'] }, 'characters'],
    ['an escape sequence', kubectl, { subcommand: 'get', args: ['\u001b[2J'] }, 'characters'],
    ['half a character', kubectl, { subcommand: 'get', args: ['a\ud800'] }, 'characters'],
    ['10,000 arguments', kubectl, { subcommand: 'get', args: Array(10_000).fill('a') }, 'args.max_count'],
    ['an argument of 1 MB', kubectl, { subcommand: 'get', args: ['a'.repeat(1_000_000)] }, 'length'],
    ['standard input that nobody declared', kubectl, { subcommand: 'get', stdin: 'x' }, 'stdin'],
    ['no subcommand', kubectl, { args: ['get'] }, 'input'],
    ['two subcommands', kubectl, { subcommand: 'get', command: 'delete' }, 'input'],
    ['a subcommand as a list', kubectl, { subcommand: ['get'] }, 'input'],
    ['words as one text', kubectl, { subcommand: 'get', args: 'pods --raw=/' }, 'input'],
    ['a number as a word', kubectl, { subcommand: 'get', args: [1] }, 'input'],
    ['a list as a word', kubectl, { subcommand: 'get', args: [['pods']] }, 'input'],
    ['an environment', kubectl, { subcommand: 'get', env: { LD_PRELOAD: '/x' } }, 'input'],
    ['a prototype', kubectl, JSON.parse('{"subcommand":"get","__proto__":{"args":["--raw"]}}'), 'input'],
  ];

  test.each(cases)('%s', (_, tool, args, expected) => {
    expect(rule(args, tool)).toBe(expected);
  });

  test('and no message repeats what was given', () => {
    for (const [, tool, args] of cases) {
      const judged = judgeCliArguments(tool, args);
      const message = 'problem' in judged ? judged.problem.message : '';
      for (const word of [args.args].flat()) {
        if (typeof word === 'string' && word.length > 12) expect(message).not.toContain(word);
      }
    }
  });
});

test('a manifest without rules allows no word at all', () => {
  const bare = cliTool();
  expect(rule({ subcommand: 'get' }, bare)).toBeNull();
  expect(rule({ subcommand: 'get', args: ['pods'] }, bare)).toBe('args.positionals');
  expect(rule({ subcommand: 'get', args: ['--all'] }, bare)).toBe('args.flags');
});

test('a word of the greatest length passes, and one byte more does not', () => {
  const open = cliTool({ args: { positionals: { pattern: '.*' } } });
  expect(rule({ subcommand: 'get', args: ['é'.repeat(MAX_WORD_BYTES / 2)] }, open)).toBeNull();
  expect(rule({ subcommand: 'get', args: [`${'é'.repeat(MAX_WORD_BYTES / 2)}a`] }, open)).toBe('length');
});

test('a pattern holds for the whole word, however it is written', () => {
  const written = (pattern: string): WrittenCliTool => ({ args: { positionals: { pattern } } });
  expect(rule({ subcommand: 'get', args: ['ab'] }, cliTool(written('a|b')))).toBe('args.positionals');
  expect(rule({ subcommand: 'get', args: ['a'] }, cliTool(written('a|b')))).toBeNull();
  expect(rule({ subcommand: 'get', args: ['ab'] }, cliTool(written('^a')))).toBe('args.positionals');
});

describe('whatever is given', () => {
  const word = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      '--namespace',
      '--output=json',
      '--output',
      'json',
      '--',
      '-n',
      '--all-namespaces',
      'pods',
    ),
    fc.string({ maxLength: 8 }).map((text) => `--${text}`),
  );

  test('every word of the argv is a declared flag or a listed word, and no flag stands before the subcommand', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (args) => {
        const judged = judgeCliArguments(kubectl, { subcommand: 'get', args });
        if ('problem' in judged) return;
        const [program, subcommand, ...words] = judged.invocation.argv;
        expect([program, subcommand]).toEqual(['kubectl', 'get']);
        const flags = [...kubectl.arguments.flags.get('get')!.keys()];
        for (const one of words) {
          if (one.startsWith('-')) expect(flags).toContain(one.split('=')[0]);
          else expect(one).toMatch(/^[a-z0-9./-]{1,253}$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('another deny entry never allows more', () => {
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 6 }),
        fc.constantFrom('p*', '--out*', 'json', '*'),
        (args, entry) => {
          const narrower = {
            ...kubectl,
            arguments: { ...kubectl.arguments, deny: cliTool({ args: { deny: [entry] } }).arguments.deny },
          };
          const wider = { ...kubectl, arguments: { ...kubectl.arguments, deny: [] } };
          const asked = { subcommand: 'get', args };
          if ('problem' in judgeCliArguments(wider, asked))
            expect(judgeCliArguments(narrower, asked)).toHaveProperty('problem');
        },
      ),
      { numRuns: 300 },
    );
  });
});
