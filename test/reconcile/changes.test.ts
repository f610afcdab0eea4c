import { describe, expect, test } from 'vitest';
import { loadManifests } from '../../src/manifest/load.ts';
import { makeTree, treeFile } from '../../src/manifest/tree.ts';
import { type Change, changesBetween, knownOf, looseChanges, looseOf } from '../../src/reconcile/changes.ts';
import type { Files } from '../manifest/directory.ts';
import { apiSpec, cliTool, context, documents, OPENAPI, tenant, workflow } from '../manifest/texts.ts';
import { createCompiler } from './compiled.ts';

const AUTHOR = { registered_by: 'Ann <ann@example.com>', subject: 'Change a tool' };
const GOOD: Files = { 'crm.yaml': apiSpec(), 'crm.openapi.yaml': OPENAPI, 'find.yaml': workflow('find') };

/** The changes that the last of these sets makes. */
async function changes(...sets: Files[]): Promise<Change[]> {
  const compiler = createCompiler();
  let known: ReturnType<typeof knownOf> = new Map();
  let made: Change[] = [];
  for (const files of sets) {
    const verdicts = await compiler.next(files);
    made = changesBetween(known, verdicts, 'r1', AUTHOR);
    known = knownOf(verdicts);
  }
  return made;
}

/** `event name`, in order. */
const told = (made: readonly Change[]): string[] =>
  made.map(({ event_type, payload }) => `${event_type} ${payload.name}`);

describe('what is told of a change', () => {
  test('everything that is applied for the first time, with what it registers', async () => {
    const made = await changes({
      ...GOOD,
      'kubectl.yaml': cliTool('kubectl'),
      'rights.yaml': documents(context('all'), tenant('acme')),
    });
    expect(told(made)).toEqual([
      'ManifestApplied crm',
      'ApiSpecRegistered crm',
      'ManifestApplied all',
      'ManifestApplied acme',
      'ManifestApplied kubectl',
      'CliToolRegistered kubectl',
      'ManifestApplied find',
      'WorkflowRegistered find',
    ]);
    expect(made[0]).toEqual({
      event_type: 'ManifestApplied',
      tenant_id: null,
      payload: {
        kind: 'ApiSpec',
        name: 'crm',
        file: 'crm.yaml',
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        revision: 'r1',
        ...AUTHOR,
      },
    });
    expect(made[1]!.payload).toEqual({ name: 'crm', registered_by: AUTHOR.registered_by, revision: 'r1' });
  });

  test.each<[string, Files[], string[]]>([
    ['nothing has changed', [GOOD, GOOD], []],
    ['a comment', [GOOD, { ...GOOD, 'find.yaml': `# more\n${workflow('find')}` }], []],
    ['a move', [GOOD, { ...GOOD, 'find.yaml': '', 'moved.yaml': workflow('find') }], []],
    [
      'a new version',
      [GOOD, { ...GOOD, 'find.yaml': workflow('find', 'New.') }],
      ['ManifestApplied find', 'WorkflowRegistered find'],
    ],
    [
      'a document that it refers to',
      [GOOD, { ...GOOD, 'crm.openapi.yaml': `${OPENAPI}# more\n` }],
      ['ManifestApplied crm', 'ApiSpecRegistered crm'],
    ],
    ['a removal', [GOOD, { ...GOOD, 'find.yaml': '# gone\n' }], ['ManifestRemoved find']],
    [
      'a file that is empty, as one that is being written',
      [GOOD, { ...GOOD, 'find.yaml': '' }],
      ['ManifestRejected find'],
    ],
    ['a bad version', [GOOD, { ...GOOD, 'find.yaml': workflow('find', '3') }], ['ManifestRejected find']],
    [
      'the same bad version again',
      [
        GOOD,
        { ...GOOD, 'find.yaml': workflow('find', '3') },
        { ...GOOD, 'find.yaml': `\n\n${workflow('find', '3')}` },
      ],
      [],
    ],
    [
      'another bad version',
      [
        GOOD,
        { ...GOOD, 'find.yaml': workflow('find', '3') },
        { ...GOOD, 'find.yaml': workflow('find', '[]') },
      ],
      ['ManifestRejected find'],
    ],
    [
      'another version that is bad for the same reason',
      [
        { ...GOOD, 'find.yaml': workflow('find', 'A', undefined, 'x') },
        { ...GOOD, 'find.yaml': workflow('find', 'B', undefined, 'x') },
      ],
      ['ManifestRejected find'],
    ],
    ['the good version comes back', [GOOD, { ...GOOD, 'find.yaml': workflow('find', '3') }, GOOD], []],
    [
      'another good version after a bad one',
      [
        GOOD,
        { ...GOOD, 'find.yaml': workflow('find', '3') },
        { ...GOOD, 'find.yaml': workflow('find', 'B') },
      ],
      ['ManifestApplied find', 'WorkflowRegistered find'],
    ],
    [
      'a right that becomes bad',
      [{ 'a.yaml': context('a') }, { 'a.yaml': context('a', 'a b') }],
      ['ManifestRejected a'],
    ],
    [
      'a right that is good again',
      [{ 'a.yaml': context('a') }, { 'a.yaml': context('a', 'a b') }, { 'a.yaml': context('a') }],
      ['ManifestApplied a'],
    ],
    ['a file that cannot be read', [GOOD, { ...GOOD, 'find.yaml': 'a: [\n' }], ['ManifestRejected find']],
    [
      'a file that still cannot be read',
      [GOOD, { ...GOOD, 'find.yaml': 'a: [\n' }, { ...GOOD, 'find.yaml': '\na: [\n' }],
      [],
    ],
    [
      'rights in a file that still cannot be read',
      [{ 'a.yaml': context('a') }, { 'a.yaml': 'a: [\n' }, { 'a.yaml': 'a: [\n', 'b.yaml': tenant('b') }],
      ['ManifestApplied b'],
    ],
  ])('%s', async (_what, sets, expected) => {
    expect(told(await changes(...sets))).toEqual(expected);
  });

  test('a rejection says why, where, and what goes on', async () => {
    const bad = {
      ...GOOD,
      'find.yaml': workflow('find').replace('getThing', 'getThink'),
      'a.yaml': context('a', 'a b', 'acme'),
    };
    const [context_, tool] = await changes(GOOD, bad);
    expect(context_).toMatchObject({
      tenant_id: 'acme',
      payload: {
        status: 'Invalid',
        serving: 'nothing',
        reasons: ['a.yaml:4:38: tool pattern "a b" has white space; names have none'],
      },
    });
    expect(tool).toMatchObject({
      tenant_id: null,
      payload: {
        status: 'Stale',
        serving: 'last good version',
        reasons: ['find.yaml:10:21: ApiSpec crm has no operation "getThink" (did you mean getThing?)'],
        revision: 'r1',
        ...AUTHOR,
      },
    });
  });

  test('a Tenant is an event of that tenant', async () => {
    const [made] = await changes({ 'a.yaml': tenant('acme') });
    expect(made!.tenant_id).toBe('acme');
  });
});

describe('files that nobody is known of', () => {
  async function loose(files: Files) {
    const tree = makeTree(
      Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))),
      [],
    );
    const compiler = createCompiler();
    return looseOf((await loadManifests(tree)).diagnostics, await compiler.next(files));
  }

  test('are told once, for as long as they are bad in the same way', async () => {
    const [good, bad, moved, other] = await Promise.all([
      loose({ 'a.yaml': tenant('a') }),
      loose({ 'a.yaml': 'a: [\n' }),
      loose({ 'a.yaml': '\n\na: [\n' }),
      loose({ 'a.yaml': 'a: b\n' }),
    ]);
    expect(looseChanges(good, bad, 'r1', AUTHOR)).toEqual([
      {
        event_type: 'ManifestRejected',
        tenant_id: null,
        payload: {
          kind: null,
          name: null,
          file: 'a.yaml',
          status: 'Invalid',
          reasons: ['a.yaml:2:1: YAML: "[" is still open here (close it with "]", or indent this line more)'],
          serving: 'nothing',
          revision: 'r1',
          ...AUTHOR,
        },
      },
    ]);
    expect(looseChanges(bad, moved, 'r1', AUTHOR)).toEqual([]);
    expect(looseChanges(bad, other, 'r1', AUTHOR)).toHaveLength(1);
    expect(looseChanges(bad, good, 'r1', AUTHOR)).toEqual([]);
  });

  test('warnings are no rejections', async () => {
    expect(await loose({ 'crm.openapi.yaml': OPENAPI })).toEqual(new Map());
  });
});
