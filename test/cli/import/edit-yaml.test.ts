import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Edit, editYaml, removeDocument, writeYaml } from '../../../src/cli/import/edit-yaml.ts';

const first = (value: unknown): boolean => (value as { name?: string }).name === 'a';
const edit = (text: string, ...edits: Edit[]): string => editYaml(text, first, edits);

const TEXT = `# About it all.
name: a   # who

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
  const text = `${TEXT}---\n# Another.\nname: b\nspec: {x: 1}\n---\nname: c\n`;
  expect(edit(text, { path: ['spec', 'last'], value: 'x' })).toBe(
    text.replace('last: |\n      text', 'last: x'),
  );
  const other = editYaml(text, (value) => (value as { name: string }).name === 'b', [
    { path: ['spec', 'x'], value: 2 },
  ]);
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
  const edited = edit('name: a\nspec:\n  x: 1 # note\n  y: 2 # other\n', {
    path: ['spec', 'x'],
    value: 'a\nb',
  });
  expect(parse(edited)).toEqual({ name: 'a', spec: { x: 'a\nb', y: 2 } });
  expect(edited).toContain('y: 2 # other');
  // The last field of a block map, and one that begins the line of a list.
  expect(parse(edit('name: a\nspec:\n  x: 1\n', { path: ['spec', 'x'], value: undefined }))).toEqual({
    name: 'a',
    spec: {},
  });
  const steps = edit('name: a\nsteps:\n  - name: call\n    x: 1\n', {
    path: ['steps', 0, 'name'],
    value: undefined,
  });
  expect(parse(steps)).toEqual({ name: 'a', steps: [{ x: 1 }] });
});

test('a text without a line end, and with Windows line ends', () => {
  expect(edit('name: a\nx: 1', { path: ['y'], value: 2 })).toBe('name: a\nx: 1\ny: 2');
  expect(parse(edit('name: a\r\nx: 1\r\n', { path: ['x'], value: 2 }))).toEqual({ name: 'a', x: 2 });
});

test('a document that goes takes its text with it', () => {
  const isB = (value: unknown): boolean => (value as { name?: string }).name === 'b';
  expect(removeDocument('name: a\n---\n# b\nname: b\n---\nname: c\n', isB)).toBe('name: a\n---\nname: c\n');
  expect(removeDocument('# top\nname: b\n---\nname: c\n', isB)).toBe('name: c\n');
  expect(removeDocument('name: a\n---\nname: b\n', isB)).toBe('name: a\n');
  expect(removeDocument('name: b\n', isB)).toBeNull();
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
