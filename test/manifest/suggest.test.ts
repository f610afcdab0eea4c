import { expect, test } from 'vitest';
import { suggest } from '../../src/manifest/suggest.ts';

test.each([
  ['baseURL', ['source', 'base_url', 'headers'], 'base_url'],
  ['base-url', ['base_url'], 'base_url'],
  ['descripton', ['description', 'deny_list'], 'description'],
  ['capabilites', ['capabilities'], 'capabilities'],
  ['ToolWorkFlow', ['ToolWorkflow', 'Tenant'], 'ToolWorkflow'],
  ['setps', ['steps'], 'steps'],
  ['inptu', ['input', 'output'], 'input'],
  ['nmae', ['name'], 'name'],
  ['naem', ['name'], 'name'],
  ['key', ['kid'], null],
  ['id', ['i'], 'i'],
  ['xy', ['ab'], null],
  ['apple', ['orange', 'pear'], null],
  ['name', ['name'], null],
  ['', ['a'], 'a'],
])('%j among %j: %j', (word, candidates, expected) => {
  expect(suggest(word, candidates)).toBe(expected);
});

test('the first of equally near ones', () => {
  expect(suggest('step_', ['steps', 'step'])).toBe('step');
  expect(suggest('stepx', ['stepa', 'stepb'])).toBe('stepa');
});

test('long words are not compared', () => {
  const word = 'x'.repeat(100_000);
  expect(suggest(word, [`${word}y`])).toBeNull();
  expect(suggest('x', [word])).toBeNull();
});
