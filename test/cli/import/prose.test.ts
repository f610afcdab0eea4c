import { expect, test } from 'vitest';
import { prose } from '../../../src/cli/import/prose.ts';

test.each([
  [
    'links and pictures are their words',
    'See [the guide](https://x.example/a_(b)) ![logo](l.png) now',
    'See the guide) logo now',
  ],
  ['space at the ends of lines, and blank lines', 'a  \r\nb\t\n\n\n\nc\n', 'a\nb\n\nc'],
  [
    'notes',
    'Do it.\n\n> [!NOTE]\n> Not *now*,\n> or later.\n\nSo.',
    'Do it.\n\nNot *now*,\nor later.\n\nSo.',
  ],
  ['a > b, and what is quoted', 'a > b\n> c', 'a > b\nc'],
  ['bold type', '**Closing down.** Do (**not**) use', 'Closing down. Do (not) use'],
  ['patterns and powers', '`**/*.ts`, 2**3 and ** a **', '`**/*.ts`, 2**3 and ** a **'],
  ['control characters', 'a\u0000b\u001bc', 'abc'],
  ['half a surrogate pair', 'a\ud800b', 'a\ufffdb'],
])('%s', (_, text, plain) => {
  expect(prose(text, 100)).toBe(plain);
});

test('a long text ends with a sentence, or with a word', () => {
  expect(prose('One sentence here. And another one that is too long.', 30)).toBe('One sentence here.');
  expect(prose('A text without any end that goes on and on', 20)).toBe('A text without any…');
  expect(prose('x'.repeat(50), 20)).toHaveLength(20);
  expect(prose('Short. And then a very long sentence that goes on and on', 40)).toBe(
    'Short. And then a very long sentence…',
  );
});
