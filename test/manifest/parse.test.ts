import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostic.ts';
import { MAX_FILE_BYTES, MAX_MANIFEST_BYTES, parseFile } from '../../src/manifest/parse.ts';

/** Values of the documents, and what is said. */
function parse(text: string | Buffer) {
  const { documents, diagnostics } = parseFile('f.yaml', Buffer.from(text));
  return {
    values: documents.map(({ value }) => value),
    valid: documents.map(({ valid }) => valid),
    said: diagnostics.map(formatDiagnostic),
  };
}

const said = (text: string): string[] => parse(text).said;
const rules = (text: string | Buffer): string[] =>
  parseFile('f.yaml', Buffer.from(text)).diagnostics.map(({ rule }) => rule);

/** Whether reading takes no more than so many milliseconds of work, however busy the machine is. */
function isReadWithin(ms: number, text: string): boolean {
  const bytes = Buffer.from(text);
  const before = process.threadCpuUsage();
  parseFile('f.yaml', bytes);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000 < ms;
}

describe('what is YAML 1.2', () => {
  test.each([
    ['no', 'no'],
    ['yes', 'yes'],
    ['on', 'on'],
    ['~', null],
    ['', null],
    ['0o17', 15],
    ['017', 17],
    ['1_000', '1_000'],
    ['12:30:45', '12:30:45'],
    ['2026-01-31', '2026-01-31'],
    ['0x1F', 31],
    ['1e3', 1000],
    ['true', true],
    ['"no"', 'no'],
    ['=', '='],
  ])('%j reads as %j', (text, value) => {
    expect(parse(`a: ${text}\n`)).toEqual({ values: [{ a: value }], valid: [true], said: [] });
  });

  test('keys are texts, whatever they look like', () => {
    expect(parse('1: a\ntrue: b\nnull: c\n0x10: d\n').values).toEqual([
      { '1': 'a', true: 'b', null: 'c', '0x10': 'd' },
    ]);
  });

  test('JSON is a part of it', () => {
    expect(parse('{"a": [1, {"b": "\\u00e9"}], "c": null}\n').values).toEqual([
      { a: [1, { b: 'é' }], c: null },
    ]);
  });

  test('several documents', () => {
    expect(parse('a: 1\n---\n---\nb: 2\n...\n---\nc: 3\n').values).toEqual([
      { a: 1 },
      null,
      { b: 2 },
      { c: 3 },
    ]);
    expect(parse('').values).toEqual([]);
    expect(parse('# nothing but a comment\n').values).toEqual([]);
  });

  test('a byte order mark is no part of the first key, and does not move its place', () => {
    expect(parse('\uFEFFa: 1\n').values).toEqual([{ a: 1 }]);
    expect(said('\uFEFFa: *b\n')).toEqual(['f.yaml:1:4: aliases are not allowed (write the value out)']);
  });

  test('lines that end with CR LF have the same places', () => {
    expect(said('a: 1\r\nb:\r\n  c: 2\r\n  c: 3\r\n')).toEqual([
      'f.yaml:4:3: this key was given before, on line 3 (remove one)',
    ]);
    expect(parse('a: |\r\n  x\r\n  y\r\n').values).toEqual([{ a: 'x\ny\n' }]);
  });

  test('what is read is frozen', () => {
    const [value] = parse('a: {b: [1]}\n').values as [{ a: { b: number[] } }];
    expect(() => value.a.b.push(2)).toThrow(TypeError);
    expect(() => {
      (value as Record<string, unknown>).c = 1;
    }).toThrow(TypeError);
  });
});

describe('what is refused', () => {
  test.each([
    [
      'a version directive',
      '%YAML 1.1\n---\na: no\n',
      'f.yaml:1:1: directives are not allowed (remove the line that begins with %)',
    ],
    [
      'a tag directive',
      'a: 1\n...\n%TAG ! tag:x,2000:\n---\nb: 2\n',
      'f.yaml:3:1: directives are not allowed (remove the line that begins with %)',
    ],
    ['an alias', 'a: &x 1\nb: *x\n', 'f.yaml:2:4: aliases are not allowed (write the value out)'],
    [
      'an alias as key',
      'a: &x 1\n*x : 2\n',
      'f.yaml:2:1: a key must be plain text, not a collection or an alias (a template such as {{input.id}} needs quotes around it)',
    ],
    ['a merge key', 'a: 1\n<<: {b: 2}\n', 'f.yaml:2:1: merge keys are not allowed (write the fields out)'],
    [
      'a custom tag',
      'a: !secret x\n',
      'f.yaml:1:4: this tag is not known (write the value without "!"; a text that begins with "!" needs quotes)',
    ],
    [
      'a language tag',
      'a: !!js/function x\n',
      'f.yaml:1:4: this tag is not known (write the value without "!"; a text that begins with "!" needs quotes)',
    ],
    [
      'binary data',
      'a: !!binary aGk=\n',
      'f.yaml:1:4: this tag is not known (write the value without "!"; a text that begins with "!" needs quotes)',
    ],
    [
      'a set',
      'a: !!set {b}\n',
      'f.yaml:1:4: this tag is not known (write the value without "!"; a text that begins with "!" needs quotes)',
    ],
    [
      'a key given twice',
      'a: 1\nb: 2\na: 3\n',
      'f.yaml:3:1: this key was given before, on line 1 (remove one)',
    ],
    [
      'a key given twice, once with quotes',
      '{"a": 1, a: 2}',
      'f.yaml:1:10: this key was given before, on line 1 (remove one)',
    ],
    ['the key __proto__', 'a: {__proto__: {b: 1}}\n', 'f.yaml:1:5: the key __proto__ is not allowed'],
    [
      'infinity',
      'a: -.inf\n',
      'f.yaml:1:4: the value is not a number that JSON knows (put quotes around it)',
    ],
    [
      'a number beyond all numbers',
      'a: 1e999\n',
      'f.yaml:1:4: the value is not a number that JSON knows (put quotes around it)',
    ],
    [
      'a collection as key',
      '[a]: 1\n',
      'f.yaml:1:1: a key must be plain text, not a collection or an alias (a template such as {{input.id}} needs quotes around it)',
    ],
    [
      'a template without quotes',
      'id: {{input.id}}\n',
      'f.yaml:1:6: a key must be plain text, not a collection or an alias (a template such as {{input.id}} needs quotes around it)',
    ],
    [
      'a tab as indentation',
      'a:\n\tb: 1\n',
      'f.yaml:2:1: YAML: Tabs are not allowed as indentation (indent with spaces)',
    ],
    ['an open quote', 'a: 1\nb: "x\nc: y\n', 'f.yaml:2:4: YAML: the quote that begins here is never closed'],
    [
      'an open list',
      'a: [1, 2\nb: 3\n',
      'f.yaml:2:1: YAML: "[" is still open here (close it with "]", or indent this line more)',
    ],
    [
      'an open mapping',
      'a: {b: 1\n',
      'f.yaml:2:1: YAML: "{" is still open here (close it with "}", or indent this line more)',
    ],
    [
      'a bracket too many',
      'a: {b: c}}\n',
      'f.yaml:1:10: YAML: unexpected "}" (check the indentation, and the quotes before this)',
    ],
    [
      'a colon in a text',
      'a: b: c\n',
      'f.yaml:1:4: YAML: this text has a colon in it, as if it were a field of its own (put quotes around it, or indent the next line like this one)',
    ],
    [
      'a text that begins with @',
      'a: @x\n',
      'f.yaml:1:4: YAML: Plain value cannot start with reserved character @ (put quotes around the text)',
    ],
    [
      'keys that do not line up',
      'a:\n   b: 1\n  c: 2\n',
      'f.yaml:3:1: YAML: All mapping items must start at the same column (indent it as far as what stands beside it)',
    ],
    [
      'a list among keys',
      'a: 1\n- b\n',
      'f.yaml:2:1: YAML: Implicit keys need to be on a single line (a key needs a colon behind it, on its own line)',
    ],
    [
      'text behind a quoted value',
      "a: 'it's'\n",
      'f.yaml:1:8: YAML: unexpected text after the value (check the indentation, and the quotes before this)',
    ],
  ])('%s', (_what, text, line) => {
    expect(said(text)).toEqual([line]);
  });

  test('no message quotes what is written', () => {
    for (const text of [
      'a: "\\q hunter2"\n',
      'a: |hunter2\n',
      'a: 1\nhunter2\nb: 2\n',
      '%hunter2\n',
      'a: !hunter2 b\n',
    ])
      expect(said(text).join(), text).not.toContain('hunter2');
  });

  test('one bad document leaves the others sound', () => {
    expect(parse('a: 1\n---\nb: {\n---\nc: 3\n')).toMatchObject({
      values: [{ a: 1 }, expect.anything(), { c: 3 }],
      valid: [true, false, true],
    });
    const { documents } = parseFile('f.yaml', Buffer.from('a: 1\n---\nb: 1\nb: 2\n'));
    expect(documents.map(({ diagnostics }) => diagnostics.length)).toEqual([0, 1]);
  });

  test('every mistake is told, those that follow from others on the same line are not', () => {
    expect(said('a: *x\nb: *y\nc: 1\nc: 2\n')).toHaveLength(3);
    expect(said('a: [[[\n')).toHaveLength(1);
  });
});

describe('bytes', () => {
  test('no UTF-8', () => {
    expect(rules(Buffer.from([0x61, 0x3a, 0x20, 0xff, 0x0a]))).toEqual(['not-utf8']);
    expect(rules(Buffer.from('a: b\n', 'utf16le'))).toEqual(['control-character']);
  });

  test.each(['\0', '\u0002', '\u0018', '\u001f', '\u007f', '\u001b'])(
    'the control character %j',
    (character) => {
      const { said: lines } = parse(`ok: 1\na: "x${character}"\n`);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/^f\.yaml:2:6: the file holds the control character U\+00/);
    },
  );

  test('a program, an image, an archive', () => {
    for (const head of ['\x7fELF\x02\x01', '\x89PNG\r\n\x1a\n', 'PK\x03\x04', '\x1f\x8b\x08'])
      expect(rules(Buffer.from(head, 'latin1'))).toHaveLength(1);
  });
});

describe('sizes', () => {
  const manifest = (kind: string, text: string): string =>
    `apiVersion: seal.gateway/v1\nkind: ${kind}\nmetadata: {name: a}\nspec:\n  source:\n    inline:\n      openapi: 3.0.0\n      x: "${text}"\n`;

  test('a manifest has its limit', () => {
    const rest = manifest('Tenant', '').length;
    const most = manifest('Tenant', 'x'.repeat(MAX_MANIFEST_BYTES - rest));
    expect(rules(most)).toEqual([]);
    expect(said(`${most}\n`)).toEqual([
      'f.yaml:1:1: the file has 257 KiB; manifests may have 256 KiB, inline OpenAPI documents apart (split the file; a large OpenAPI document stands better in a file of its own (source.file))',
    ]);
  });

  test('an inline OpenAPI document does not count, up to a limit of its own', () => {
    expect(rules(manifest('ApiSpec', 'x'.repeat(2 * MAX_MANIFEST_BYTES)))).toEqual([]);
    expect(rules(manifest('ApiSpec', 'x'.repeat(MAX_FILE_BYTES)))).toEqual(['file-too-large']);
    expect(rules(`${manifest('ApiSpec', 'x')}# ${'x'.repeat(MAX_MANIFEST_BYTES)}`)).toEqual([
      'file-too-large',
    ]);
  });

  test('depth', () => {
    const nested = (depth: number): string => `a: ${'['.repeat(depth)}${']'.repeat(depth)}\n`;
    expect(rules(nested(63))).toEqual([]);
    expect(rules(nested(64))).toEqual(['too-deep']);
    expect(rules(nested(100_000))).toEqual(['too-deep']);
    const block = Array.from({ length: 2_000 }, (_, depth) => `${' '.repeat(Math.min(depth, 60))}- `).join(
      '\n',
    );
    expect(rules(`a:\n${block}`).length).toBeLessThan(25);
    expect(rules('- '.repeat(10_000))).toEqual(['too-deep']);
    expect(rules('? '.repeat(10_000))).toEqual(['too-deep']);
  });

  test('documents', () => {
    expect(parse('---\n'.repeat(4_000)).said).toEqual([]);
    expect(rules('---\n'.repeat(5_000))).toEqual(['too-many-documents']);
  });

  test('errors', () => {
    const { said: lines } = parse('a: *x\n'.repeat(1_000));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toContain('there are more errors from here on');
  });
});

describe('hostile input takes time in proportion to its size', () => {
  test('20,000 keys, each twice', () => {
    const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}: 1`).join('\n');
    // Quadratic checking takes five seconds here.
    expect(isReadWithin(2_000, `${keys}\n${keys}\n`)).toBe(true);
  });

  test('an alias bomb is a few aliases', () => {
    const levels = Array.from({ length: 30 }, (_, index) => {
      const below = index === 0 ? '"lol"' : `*l${index - 1}`;
      return `l${index}: &l${index} [${Array.from({ length: 9 }, () => below).join(', ')}]`;
    });
    const bomb = `${levels.join('\n')}\n`;
    expect(new Set(rules(bomb))).toEqual(new Set(['yaml-alias', 'too-many-errors']));
    expect(isReadWithin(500, bomb)).toBe(true);
  });

  test.each([
    ['open brackets', '['],
    ['open braces', '{'],
    ['commas in a list', '[,'],
    ['quotes', '"a" '],
    ['colons', ': '],
    ['question marks', '? \n'],
    ['anchors', '&a '],
    ['tags', '! '],
    ['dashes', '- - - -\n'],
    ['percent signs', '%a\n'],
    ['pipes', 'a: |\n'],
    ['open quotes', 'a: "\n'],
    ['tabs', 'a:\n\t\t'],
  ])('%s', (_what, piece) => {
    // What is quadratic in one of these takes a minute.
    expect(isReadWithin(2_000, piece.repeat(100_000 / piece.length))).toBe(true);
  });
});
