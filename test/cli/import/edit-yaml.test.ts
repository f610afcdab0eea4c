import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Edit, editManifest, writeYaml } from '../../../src/cli/import/edit-yaml.ts';
import type { Identity } from '../../../src/manifest/manifest.ts';

const A: Identity = { kind: 'ApiSpec', tenant: null, name: 'a' };
const edit = (text: string, ...edits: Edit[]): string => editManifest(text, 'a.yaml', A, edits);
/** What makes a text that of a manifest. */
const HEAD = 'kind: ApiSpec\nmetadata: {name: a}\n';
const parseRest = (text: string): unknown => {
  const { kind: _, metadata: __, ...rest } = parse(text);
  return rest;
};

const TEXT = `# About it all.
kind: ApiSpec
metadata: {name: a}   # who

# What it is called.
spec:
    description: >-
      folded
      text
    "list":
    - one
    - two      # the second

    # About the step.
    steps:
      - name: call
        query: {page: "{{input.page}}", size: 10}   # two of them
        path_params:
          id: '{{input.id}}'
    last: |
      text

# The end.
`;

describe('an edit changes its field, and nothing else', () => {
  test.each<[string, Edit, string, string]>([
    ['a text', { path: ['spec', 'description'], value: 'new' }, '>-\n      folded\n      text', 'new'],
    [
      'a text of lines',
      { path: ['spec', 'description'], value: 'a\nb' },
      '>-\n      folded\n      text',
      '|-\n      a\n      b',
    ],
    ['a list', { path: ['spec', 'list'], value: ['x'] }, '"list":\n    - one\n    - two ', 'list: [x] '],
    [
      'a field of a step',
      { path: ['spec', 'steps', 0, 'path_params', 'id'], value: '{{input.other}}' },
      "'{{input.id}}'",
      '"{{input.other}}"',
    ],
    [
      'a field of a map on one line',
      { path: ['spec', 'steps', 0, 'query', 'page'], value: '{{input.p}}' },
      '{page: "{{input.page}}", size: 10}',
      '{page: "{{input.p}}", size: 10}',
    ],
    [
      'a new field of a map on one line',
      { path: ['spec', 'steps', 0, 'query', 'sort'], value: { by: [1] } },
      'size: 10}',
      'size: 10, sort: {by: [1]}}',
    ],
    [
      'a new field',
      { path: ['spec', 'steps', 0, 'path_params', 'more'], value: '{{input.more}}' },
      "'{{input.id}}'\n",
      `'{{input.id}}'\n          more: "{{input.more}}"\n`,
    ],
    [
      'a new field after a text of lines',
      { path: ['spec', 'more'], value: { a: { b: 1 } } },
      '      text\n\n# The end.',
      '      text\n    more:\n      a:\n        b: 1\n\n# The end.',
    ],
    ['a field that goes', { path: ['spec', 'last'], value: undefined }, '    last: |\n      text\n', ''],
  ])('%s', (_, one, before, after) => {
    expect(TEXT).toContain(before);
    expect(edit(TEXT, one)).toBe(TEXT.replace(before, () => after));
  });
});

test('a document among others', () => {
  const text = `${TEXT}---\n# Another.\nkind: ApiSpec\nmetadata: {name: b}\nspec: {x: 1}\n---\nkind: Tenant\nmetadata: {name: a}\n`;
  expect(edit(text, { path: ['spec', 'last'], value: 'x' })).toBe(
    text.replace('last: |\n      text', 'last: x'),
  );
  const other = editManifest(text, 'a.yaml', { ...A, name: 'b' }, [{ path: ['spec', 'x'], value: 2 }]);
  expect(other).toBe(text.replace('{x: 1}', '{x: 2}'));
});

test('several edits, of which the later ones build on the earlier', () => {
  const edited = edit(
    TEXT,
    { path: ['spec', 'last'], value: undefined },
    { path: ['spec', 'steps', 0, 'body'], value: '{{input.body}}' },
    { path: ['spec', 'description'], value: undefined },
  );
  expect(parse(edited).spec).toEqual({
    list: ['one', 'two'],
    steps: [
      {
        name: 'call',
        query: { page: '{{input.page}}', size: 10 },
        path_params: { id: '{{input.id}}' },
        body: '{{input.body}}',
      },
    ],
  });
  for (const comment of [
    '# About it all.',
    '# who',
    '# the second',
    '# About the step.',
    '# two of them',
    '# The end.',
  ])
    expect(edited).toContain(comment);
});

test('where a field cannot be changed in place the rest is the same all the same', () => {
  // The comment behind it would become a part of a text of lines.
  const edited = edit(`${HEAD}spec:\n  x: 1 # note\n  y: 2 # other\n`, {
    path: ['spec', 'x'],
    value: 'a\nb',
  });
  expect(parseRest(edited)).toEqual({ spec: { x: 'a\nb', y: 2 } });
  expect(edited).toContain('y: 2 # other');
  // The last field of a block map, and one that begins the line of a list.
  expect(parseRest(edit(`${HEAD}spec:\n  x: 1\n`, { path: ['spec', 'x'], value: undefined }))).toEqual({
    spec: {},
  });
  const steps = edit(`${HEAD}steps:\n  - name: call\n    x: 1\n`, {
    path: ['steps', 0, 'name'],
    value: undefined,
  });
  expect(parseRest(steps)).toEqual({ steps: [{ x: 1 }] });
});

test('a text without a line end, and with Windows line ends', () => {
  expect(edit(`${HEAD}x: 1`, { path: ['y'], value: 2 })).toBe(`${HEAD}x: 1\ny: 2`);
  const windows = `${HEAD}x: 1\n`.replaceAll('\n', '\r\n');
  expect(parseRest(edit(windows, { path: ['x'], value: 2 }))).toEqual({ x: 2 });
});

test('what is written has no aliases, and short lists on one line', () => {
  const shared = { type: 'string' };
  const long = Array.from({ length: 40 }, (_, index) => `word-${index}`);
  const text = writeYaml({ a: shared, b: shared, c: ['x', 'y'], d: long, e: [{ f: 1 }] }, 'One.\nTwo.');
  expect(text).toMatch(
    /^# One\.\n# Two\.\na:\n {2}type: string\nb:\n {2}type: string\nc: \[x, y\]\nd:\n {2}- word-0\n/,
  );
  expect(parse(text)).toEqual({ a: shared, b: shared, c: ['x', 'y'], d: long, e: [{ f: 1 }] });
});
