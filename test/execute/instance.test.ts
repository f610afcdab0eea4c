import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isDead, thisInstance } from '../../src/execute/instance.ts';

const [scope, , start] = thisInstance().split('.');

test('this process lives', () => {
  expect(thisInstance()).toMatch(/^[0-9a-f]{12}\.\d+\.\d+$/);
  expect(thisInstance()).toBe(thisInstance());
  expect(isDead(thisInstance())).toBe(false);
});

test('another living process is not dead, and is once it has ended', async () => {
  const child = spawn('sleep', ['60']);
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  expect(isDead(`${scope}.${child.pid}.${began}`)).toBe(false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(isDead(`${scope}.${child.pid}.${began}`)).toBe(true);
});

test('one whose number is another process by now is dead', () => {
  expect(isDead(`${scope}.${process.pid}.${Number(start) - 1}`)).toBe(true);
});

test.each(['', 'undefined', 'ffffffffffff.1.1', `${scope}`, `${scope}.0.1`, `${scope}.-1.1`, `${scope}.x.1`])(
  'of what cannot be seen from here nothing is said: %s',
  (instance) => {
    expect(isDead(instance)).toBe(false);
  },
);
